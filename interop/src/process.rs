//! Server processes: start, readiness, stop and restart.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fs, thread};

use rustix::process::{Pid, Signal, kill_process};

use crate::environment::{Environment, Listener};

/// A companion: a server that another server needs.
#[derive(Debug)]
pub(crate) struct Neighbour {
    pub(crate) name: &'static str,
    /// Runs it in the foreground.
    pub(crate) command: Command,
    /// The address at which it greets.
    pub(crate) address: SocketAddr,
    /// Its log files, beside its output.
    pub(crate) logs: Vec<PathBuf>,
}

/// A running server; stopped when dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    command: Command,
    /// The addresses at which it greets.
    listeners: Vec<(Listener, SocketAddr)>,
    /// Its output and its log files.
    texts: Vec<PathBuf>,
    /// Known after the first reply.
    processes: Option<Processes>,
}

/// The processes of a server: all in its mount namespace, whichever process started them.
#[derive(Clone, Debug)]
pub(crate) struct Processes {
    /// An open file of the namespace, so that no other one gets its number.
    namespace: Arc<fs::File>,
}

impl Running {
    /// Starts a server with its output in a file, and waits until every listener replies.
    pub(crate) fn start(
        command: Command,
        environment: &Environment,
        listeners: &[Listener],
        logs: Vec<PathBuf>,
    ) -> io::Result<Self> {
        let listeners = listeners
            .iter()
            .map(|&listener| (listener, environment.address(listener)));
        Self::new(
            command,
            environment.path("output"),
            listeners.collect(),
            logs,
        )
    }

    /// Starts a companion server.
    pub(crate) fn start_beside(
        neighbour: Neighbour,
        environment: &Environment,
    ) -> io::Result<Self> {
        let output = environment.path(&format!("output-{}", neighbour.name));
        let listeners = vec![(Listener::Relay, neighbour.address)];
        Self::new(neighbour.command, output, listeners, neighbour.logs)
            .map_err(|error| io::Error::other(format!("{}: {error:#}", neighbour.name)))
    }

    /// Starts a server that does not speak first, such as a proxy.
    pub(crate) fn start_silent(
        command: Command,
        environment: &Environment,
        address: SocketAddr,
    ) -> io::Result<Self> {
        // As at this listener, that it accepts connections is enough.
        let listeners = vec![(Listener::Implicit, address)];
        Self::new(command, environment.path("output"), listeners, Vec::new())
    }

    fn new(
        mut command: Command,
        output: PathBuf,
        listeners: Vec<(Listener, SocketAddr)>,
        logs: Vec<PathBuf>,
    ) -> io::Result<Self> {
        wait_until_free(&listeners)?;
        let file = fs::File::create(&output)?;
        let child = command.stdout(file.try_clone()?).stderr(file).spawn()?;
        let mut running = Self {
            child,
            command,
            listeners,
            texts: [vec![output], logs].concat(),
            processes: None,
        };
        running.wait_until_up()?;
        Ok(running)
    }

    /// Its processes, also those that it will start.
    pub(crate) fn processes(&self) -> io::Result<Processes> {
        let known = self.processes.clone();
        known.ok_or_else(|| io::Error::other("the server does not run"))
    }

    /// Starts it again, when all its processes have ended and no address is in use.
    pub(crate) fn restart(&mut self) -> io::Result<()> {
        self.stop()?;
        wait_until_free(&self.listeners)?;
        self.child = self.command.spawn()?;
        self.wait_until_up()
    }

    /// Waits until every listener replies.
    fn wait_until_up(&mut self) -> io::Result<()> {
        let until = Instant::now() + LONGEST;
        let mut silent = self.listeners.clone();
        loop {
            // All at one time, because some servers take a while to end a session.
            let failed = thread::scope(|scope| {
                let answers = silent
                    .iter()
                    .map(|&(listener, address)| scope.spawn(move || answer(address, listener)));
                let answers: Vec<_> = answers.collect();
                let joined = answers.into_iter().zip(&silent).map(|(answer, &listener)| {
                    let answer = answer
                        .join()
                        .unwrap_or_else(|_| Err(io::ErrorKind::Other.into()));
                    answer.err().map(|error| (listener, error))
                });
                joined.flatten().collect::<Vec<_>>()
            });
            let Some(((listener, _), error)) = failed.first() else {
                self.processes = Some(Processes::of(&self.child)?);
                return Ok(());
            };
            let ended = self.child.try_wait()?;
            if ended.is_some() || Instant::now() > until {
                let state = ended.map_or_else(
                    || format!("it still runs after {} s", LONGEST.as_secs()),
                    |status| format!("it has ended: {status}"),
                );
                let texts = self.told();
                return Err(io::Error::other(format!(
                    "{listener:?}: {error}; {state}{texts}"
                )));
            }
            silent = failed.into_iter().map(|(listener, _)| listener).collect();
            thread::sleep(POLL);
        }
    }

    /// The ends of its output and its logs.
    fn told(&self) -> String {
        let mut told = String::new();
        for path in &self.texts {
            let text = fs::read(path).unwrap_or_default();
            let end = &text[text.len().saturating_sub(4000)..];
            let end = String::from_utf8_lossy(end);
            // Writing to a string does not fail.
            let _ = write!(told, "\n{} ends with:\n{end}", path.display());
        }
        told
    }

    fn stop(&mut self) -> io::Result<()> {
        if self.child.try_wait()?.is_none() {
            // A server that has not replied may be in its own namespace by now.
            if self.processes.is_none() {
                self.processes = Processes::of(&self.child).ok();
            }
            kill_process(Pid::from_child(&self.child), Signal::TERM)?;
            let until = Instant::now() + Duration::from_secs(10);
            while self.child.try_wait()?.is_none() {
                if Instant::now() > until {
                    self.child.kill()?;
                    self.child.wait()?;
                    break;
                }
                thread::sleep(POLL);
            }
        }
        match self.processes.take() {
            Some(processes) => processes.shut_down(),
            None => Ok(()),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            eprintln!("a server could not be stopped: {error:#}");
        }
    }
}

impl Processes {
    /// The processes of the server whose first process this is.
    fn of(child: &Child) -> io::Result<Self> {
        let namespace = fs::File::open(namespace_of(child.id(), "mnt"))?;
        let (its, own) = (
            namespace.metadata()?,
            fs::metadata(namespace_of(std::process::id(), "mnt"))?,
        );
        if (its.dev(), its.ino()) == (own.dev(), own.ino()) {
            return Err(io::Error::other("the server is not apart"));
        }
        Ok(Self {
            namespace: Arc::new(namespace),
        })
    }

    /// Asks all processes to end, as a system does at shutdown, kills those that do not, and waits
    /// until none is left.
    ///
    /// A server may start processes while it ends, which hold its sockets as well.
    pub(crate) fn shut_down(&self) -> io::Result<()> {
        const PATIENCE: Duration = Duration::from_millis(500);
        let begin = Instant::now();
        let mut asked = HashSet::new();
        loop {
            let left = self.ids()?;
            if left.is_empty() {
                return Ok(());
            }
            let elapsed = begin.elapsed();
            if elapsed > LONGEST {
                let commands = left
                    .iter()
                    .map(|id| fs::read(format!("/proc/{id}/cmdline")));
                let commands: Vec<_> = commands
                    .map(|command| command.unwrap_or_default().escape_ascii().to_string())
                    .collect();
                return Err(io::Error::other(format!("{commands:?} do not end")));
            }
            for id in left {
                let signal = match elapsed > PATIENCE {
                    true => Signal::KILL,
                    false if asked.insert(id) => Signal::TERM,
                    false => continue,
                };
                // A process that has ended meanwhile needs no signal.
                let id = i32::try_from(id).ok().and_then(Pid::from_raw);
                let _ = id.map(|id| kill_process(id, signal));
            }
            thread::sleep(POLL);
        }
    }

    /// The ids of the processes that have not ended.
    fn ids(&self) -> io::Result<Vec<u32>> {
        ids_in(&self.namespace.metadata()?, "mnt")
    }
}

/// The activity of all servers' processes: their threads, and the context switches of each.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Activity(Vec<Vec<String>>);

/// The activity now.
pub(crate) fn activity() -> io::Result<Activity> {
    let own = std::process::id();
    // The network namespace is that of this program and the servers.
    let ids = ids_in(&fs::metadata(namespace_of(own, "net"))?, "net")?;
    let mut threads = Vec::new();
    for id in ids.into_iter().filter(|&id| id != own) {
        // Processes that end meanwhile are missing the next time.
        let tasks = fs::read_dir(format!("/proc/{id}/task"));
        for thread in tasks.into_iter().flatten().flatten() {
            let status = fs::read_to_string(thread.path().join("status")).unwrap_or_default();
            let fields = ["Name:", "State:", "Pid:", "voluntary_", "nonvoluntary_"];
            let lines =
                (status.lines()).filter(|line| fields.iter().any(|field| line.starts_with(field)));
            threads.push(lines.map(str::to_owned).collect());
        }
    }
    Ok(Activity(threads))
}

impl Activity {
    /// Whether no thread runs or is about to: if none has run after a while either, all wait for
    /// input.
    pub(crate) fn is_rest(&self) -> bool {
        (self.0.iter()).all(|lines| lines.iter().any(|line| line.starts_with("State:\tS")))
    }
}

/// The ids of the processes in a namespace of this kind.
fn ids_in(namespace: &fs::Metadata, kind: &str) -> io::Result<Vec<u32>> {
    let mut ids = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(id) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // A process that has ended is in none.
        if let Ok(its) = fs::metadata(namespace_of(id, kind))
            && (its.dev(), its.ino()) == (namespace.dev(), namespace.ino())
        {
            ids.push(id);
        }
    }
    Ok(ids)
}

/// The longest wait for a server on a busy machine. As long as the client's limit for the final
/// reply (RFC 5321, section 4.5.3.2.6): a disk that is busy for minutes is not a failure.
pub(crate) const LONGEST: Duration = Duration::from_secs(600);

/// The time between two checks of a server.
pub(crate) const POLL: Duration = Duration::from_millis(10);

fn namespace_of(id: u32, kind: &str) -> PathBuf {
    format!("/proc/{id}/ns/{kind}").into()
}

/// Waits until these addresses are free: if one is in use, some servers wait for half a minute.
fn wait_until_free(listeners: &[(Listener, SocketAddr)]) -> io::Result<()> {
    let until = Instant::now() + LONGEST;
    for (listener, address) in listeners {
        while let Err(error) = TcpListener::bind(address) {
            if Instant::now() > until {
                let port = format!("sport = :{}", address.port());
                let holder = Command::new("ss").args(["-Hltnp", &port]).output()?;
                let holder = String::from_utf8_lossy(&holder.stdout);
                return Err(io::Error::other(format!(
                    "{listener:?}: {error:#}: {holder}"
                )));
            }
            thread::sleep(POLL);
        }
    }
    Ok(())
}

/// Whether a server greets or, at a listener with implicit TLS, accepts a connection.
fn answer(address: SocketAddr, listener: Listener) -> io::Result<()> {
    let limit = LONGEST / 2;
    let stream = TcpStream::connect_timeout(&address, limit)?;
    if listener == Listener::Implicit {
        return Ok(());
    }
    stream.set_read_timeout(Some(limit))?;
    let mut line = String::new();
    BufReader::new(&stream).read_line(&mut line)?;
    // A server may count a client that leaves without QUIT as misbehaving.
    io::Write::write_all(&mut &stream, b"QUIT\r\n")?;
    let _ = io::copy(&mut &stream, &mut io::sink());
    if line.starts_with("220") {
        Ok(())
    } else {
        Err(io::Error::other(format!("it greets by {line:?}")))
    }
}
