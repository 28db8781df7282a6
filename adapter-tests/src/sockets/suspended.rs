//! V43: input that arrived while the process was suspended goes before a time limit that was
//! reached meanwhile.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{env, thread};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use smtp_proto::{Security, Timeouts};
use smtp_rustls::Endpoint;

use super::Adapter;
use crate::common::mail;

/// The steps of a dialogue: the command that the server waits for, and its reply. The content
/// counts as a command.
const STEPS: [(&str, &str); 7] = [
    ("", "220 here\r\n"),
    ("EHLO", "250 here\r\n"),
    ("MAIL", "250 2.1.0 well\r\n"),
    ("RCPT", "250 2.1.5 well\r\n"),
    ("RCPT", "250 2.1.5 well\r\n"),
    ("DATA", "354 go on\r\n"),
    (".\r\n", "250 2.0.0 taken\r\n"),
];

/// The steps at which a client is suspended.
const STAGES: [usize; 4] = [0, 1, 2, 6];

pub fn v43_what_came_while_the_process_was_suspended_is_taken<A: Adapter>() {
    // All at the same time, since the clock is real.
    thread::scope(|scope| {
        for stage in STAGES {
            scope.spawn(move || suspend_at(stage));
        }
    });
}

/// Serves a client in a process of its own, which is suspended at this step until its time limit
/// has long been reached.
fn suspend_at(stage: usize) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "driven::suspended_client", "--nocapture"])
        .env(WHERE, format!("{stage} {port}"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    for (step, (command, reply)) in STEPS.into_iter().enumerate() {
        // A client whose time limit was reached sends something else, or closes.
        while !command.is_empty() {
            line.clear();
            let count = reader.read_line(&mut line).unwrap();
            if count == 0 || line.starts_with(command) {
                break;
            }
        }
        let suspended = (step == stage).then(|| Suspended::new(&child));
        if stream.write_all(reply.as_bytes()).is_err() {
            break;
        }
        if let Some(suspended) = suspended {
            thread::sleep(LIMIT + LIMIT / 4);
            suspended.resume();
        }
    }
    let _ = reader.read_line(&mut line);
    let _ = stream.write_all(b"221 2.0.0 bye\r\n");
    let output = child.wait_with_output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    let failed = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && shown.contains(TAKEN),
        "suspended at {:?}: {shown}{failed}",
        STEPS[stage]
    );
}

/// A process that is suspended.
struct Suspended(Pid);

impl Suspended {
    fn new(child: &Child) -> Self {
        let pid = Pid::from_child(child);
        kill_process(pid, Signal::STOP).unwrap();
        // Returns when it has stopped.
        waitpid(Some(pid), WaitOptions::UNTRACED).unwrap();
        Self(pid)
    }

    fn resume(self) {
        kill_process(self.0, Signal::CONT).unwrap();
    }
}

/// The process that is suspended, if the environment variable is set; otherwise it does nothing.
pub fn suspended_client<A: Adapter>() {
    let Ok(variable) = env::var(WHERE) else {
        return;
    };
    let (stage, port) = variable.split_once(' ').unwrap();
    let timeouts = Timeouts::default();
    let timeouts = match stage {
        "0" => timeouts.with_greeting(LIMIT),
        "1" => timeouts.with_ehlo(LIMIT),
        "2" => timeouts.with_mail(LIMIT),
        _ => timeouts.with_data_end(LIMIT),
    };
    let port = port.parse().unwrap();
    let endpoint = Endpoint::builder("localhost")
        .security(Security::Cleartext)
        .port(port)
        .timeouts(timeouts)
        .build()
        .unwrap();
    let mut client = A::connect(&endpoint, ([127, 0, 0, 1], port).into()).unwrap();
    let outcome = client.send(mail());
    assert!(outcome.is_accepted(), "{outcome:?}");
    client.quit().unwrap();
    println!("{TAKEN}");
}

/// The environment variable with the step at which to be suspended, and the port of the server.
const WHERE: &str = "SMTP_SUSPENDED_AT";

/// What the process prints when it succeeds.
const TAKEN: &str = "every reply was taken";

/// How long the client waits at the stage at which it is suspended.
const LIMIT: Duration = Duration::from_secs(1);
