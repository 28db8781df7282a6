//! The clients, and how each is run.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use peers::Result;

use crate::{Bench, usage};

/// A client, and its name.
pub(crate) struct Client {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) nodelay: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A client of this package.
    Here(&'static str),
    SmtpSource,
    Curl,
    Smtplib,
    Nodemailer,
}

/// The number of messages, their size, and their recipients.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) mails: usize,
    pub(crate) bytes: usize,
    pub(crate) recipients: usize,
}

/// The cost of one run of a client.
pub(crate) struct Cost {
    pub(crate) seconds: f64,
    pub(crate) cpu: f64,
    pub(crate) peak: u64,
    pub(crate) stderr: String,
}

impl Bench {
    /// All installed clients; `twice`: also with TCP_NODELAY, for those that do not set it.
    pub(crate) fn clients(&self, twice: bool) -> Vec<Client> {
        let here = OURS
            .iter()
            .chain(&PEERS)
            .chain(&LIMITS)
            .map(|&name| (name, Kind::Here(name)));
        let installed = [
            ("smtp-source", Kind::SmtpSource),
            ("curl", Kind::Curl),
            ("smtplib", Kind::Smtplib),
        ]
        .into_iter()
        .filter(|(_, kind)| {
            kind.program()
                .is_some_and(|program| which(program).is_some())
        });
        let mut clients = Vec::new();
        for (name, kind) in here.chain(installed) {
            clients.push(Client {
                name: name.into(),
                kind,
                // Where time is not measured, no client has to wait for delayed acknowledgements.
                nodelay: !twice && kind.is_slow_alone(),
            });
            if twice && kind.is_peer() {
                clients.push(Client {
                    name: format!("{name} +NODELAY"),
                    kind,
                    nodelay: true,
                });
            }
        }
        // Only clients whose names start with this, to see the effect of a change.
        if let Ok(beginning) = std::env::var("BENCH_CLIENTS") {
            clients.retain(|client| client.name.starts_with(&beginning));
        }
        clients
    }

    /// The clients that send for many callers over three connections, with TCP_NODELAY.
    pub(crate) fn pools(&self) -> Vec<Client> {
        let here = POOLS.iter().map(|&name| (name, Kind::Here(name)));
        let nodemailer = (self.scratch.join("node/node_modules/nodemailer").exists())
            .then_some(("nodemailer", Kind::Nodemailer));
        let clients = here.chain(nodemailer).map(|(name, kind)| Client {
            name: name.into(),
            kind,
            nodelay: kind.is_slow_alone(),
        });
        clients.collect()
    }

    /// Runs a client to its end, within a minute or two.
    pub(crate) fn run(
        &self,
        client: &Client,
        address: &str,
        load: Load,
        trust: Option<&Path>,
        wrap: &[&str],
    ) -> Result<Cost> {
        let (program, arguments) = self.call(client, address, load, trust)?;
        let mut preload = Vec::new();
        if client.nodelay {
            preload.push(self.scratch.join("nodelay.so"));
        }
        let mut command = match wrap {
            [] => Command::new(program),
            ["allocations"] => {
                preload.push(self.scratch.join("mallocs.so"));
                Command::new(program)
            }
            [wrapper, rest @ ..] => {
                let mut command = Command::new(wrapper);
                command.args(rest).arg(program);
                command
            }
        };
        command.args(arguments);
        if !preload.is_empty() {
            let list: Vec<_> = preload.iter().map(|path| path.to_string_lossy()).collect();
            command.env("LD_PRELOAD", list.join(":"));
        }
        // Several may run at a time.
        let number = NUMBER.fetch_add(1, Relaxed);
        let outfile = self.scratch.join(format!("stdout-{number}"));
        let errfile = self.scratch.join(format!("stderr-{number}"));
        command
            .stdin(Stdio::null())
            .stdout(std::fs::File::create(&outfile)?)
            .stderr(std::fs::File::create(&errfile)?);
        let begin = Instant::now();
        let child = command.spawn()?;
        let usage = usage::wait(child, Duration::from_secs(150))?;
        let whole = begin.elapsed().as_secs_f64();
        let (stdout, stderr) = (
            std::fs::read_to_string(&outfile)?,
            std::fs::read_to_string(&errfile)?,
        );
        std::fs::remove_file(outfile)?;
        std::fs::remove_file(errfile)?;
        if !usage.success {
            return Err(stderr.lines().last().unwrap_or("it failed").into());
        }
        let own = stdout
            .lines()
            .find_map(|line| line.strip_prefix("seconds "));
        Ok(Cost {
            seconds: own.map_or(Ok(whole), str::parse)?,
            cpu: usage.cpu,
            peak: usage.peak,
            stderr,
        })
    }

    fn call(
        &self,
        client: &Client,
        address: &str,
        load: Load,
        trust: Option<&Path>,
    ) -> Result<(PathBuf, Vec<String>)> {
        let numbers = [load.mails, load.bytes, load.recipients].map(|number| number.to_string());
        let trust = trust.map(|path| path.to_string_lossy().into_owned());
        let program = |kind: Kind| kind.program().and_then(which).ok_or("is not installed");
        Ok(match client.kind {
            Kind::Here(name) => {
                let mut arguments = vec![name.to_owned(), address.to_owned()];
                arguments.extend(numbers);
                arguments.extend(trust);
                (self.programs.join("client"), arguments)
            }
            Kind::SmtpSource => {
                let [mails, bytes, recipients] = numbers;
                let words = [
                    "-d",
                    "-s",
                    "1",
                    "-m",
                    &mails,
                    "-l",
                    &bytes,
                    "-r",
                    &recipients,
                ];
                let mut words = words.map(String::from).to_vec();
                let more = ["-f", "alice@example.org", "-t", "user@example.net", address];
                words.extend(more.map(String::from));
                (program(client.kind)?, words)
            }
            Kind::Curl => {
                let text = self.scratch.join(format!("text-{}", load.bytes));
                if !text.exists() {
                    // In pieces, because a process starts with the memory peak of its parent.
                    let mut file = BufWriter::new(File::create(&text)?);
                    for part in peers::parts(load.bytes) {
                        file.write_all(part)?;
                    }
                    file.flush()?;
                }
                let mut words = String::from("silent\nmail-from = \"alice@example.org\"\n");
                for index in 0..load.recipients {
                    words += &format!("mail-rcpt = \"user{index}@example.net\"\n");
                }
                for _ in 0..load.mails {
                    words += &format!(
                        "url = \"smtp://{address}/client.example.org\"\nupload-file = \"{}\"\n",
                        text.display()
                    );
                }
                let number = NUMBER.fetch_add(1, Relaxed);
                let file = self.scratch.join(format!("curl-{number}"));
                std::fs::write(&file, words)?;
                let file = file.to_string_lossy().into_owned();
                (program(client.kind)?, vec!["-q".into(), "-K".into(), file])
            }
            Kind::Nodemailer => {
                let script = self.scratch.join("node/nodemailer-client.cjs");
                let mut words = vec![script.to_string_lossy().into_owned(), address.to_owned()];
                words.extend(numbers);
                (program(client.kind)?, words)
            }
            Kind::Smtplib => {
                let script = self
                    .scratch
                    .join("smtplib-client.py")
                    .to_string_lossy()
                    .into_owned();
                let mut arguments = vec![script, address.to_owned()];
                arguments.extend(numbers);
                arguments.extend(trust.map(|path| path.replace(".der", ".pem")));
                (program(client.kind)?, arguments)
            }
        })
    }
}

impl Kind {
    fn program(self) -> Option<&'static str> {
        match self {
            Self::Here(_) => None,
            Self::SmtpSource => Some("smtp-source"),
            Self::Curl => Some("curl"),
            Self::Smtplib => Some("python3"),
            Self::Nodemailer => Some("node"),
        }
    }

    pub(crate) fn is_peer(self) -> bool {
        match self {
            Self::Here(name) => PEERS.contains(&name),
            _ => true,
        }
    }

    /// Whether it writes twice in a turn, and then waits for the delayed acknowledgement.
    pub(crate) fn is_slow_alone(self) -> bool {
        matches!(
            self,
            Self::Here("lettre" | "lettre-pool" | "lettre-tokio" | "mail-send") | Self::Nodemailer
        )
    }

    /// Whether it is measured with STARTTLS and a login.
    pub(crate) fn can_log_in(self) -> bool {
        matches!(
            self,
            Self::Here(
                "ours" | "ours-tokio" | "lettre" | "lettre-tokio" | "mail-send" | "async-smtp"
            ) | Self::Smtplib
        )
    }
}

pub(crate) fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into()])
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

const OURS: [&str; 9] = [
    "ours",
    "ours-batch",
    "ours-bdat",
    "ours-binary",
    "ours-speculative",
    "ours-tokio",
    "ours-tokio-batch",
    "ours-tokio-bdat",
    "ours-tokio-speculative",
];
const POOLS: [&str; 6] = [
    "three",
    "mailer",
    "three-batches",
    "mailer-driver",
    "mailer-send_all",
    "lettre-pool",
];
const PEERS: [&str; 5] = [
    "lettre",
    "lettre-tokio",
    "mail-send",
    "async-smtp",
    "io-smtp",
];
const LIMITS: [&str; 5] = ["limit-turn", "limit-b", "limit-c", "limit-bdat", "limit-d"];

/// Distinguishes the files of runs.
static NUMBER: AtomicUsize = AtomicUsize::new(0);
