//! The servers: how each is set up, and where it keeps what it took.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;
use std::{fs, io, thread};

use smtp_proto::Protocol;

use crate::certificates::Flaw;
use crate::environment::{Environment, LARGE, Listener, SMALL};
use crate::message::{DELIVERIES, is_of};
use crate::process::{self, LONGEST, Neighbour, POLL};

mod aiosmtpd;
mod cyrus;
mod delivery_log;
mod dovecot;
mod exim;
mod haraka;
mod nodemailer;
mod opensmtpd;
mod postfix;
mod program;
mod sendmail;

pub(crate) use delivery_log::{DeliveryLog, Held};

/// A mail server that people run.
pub(crate) trait Server: Sync {
    /// What it is called, by users and by `interop/fetch`.
    fn name(&self) -> &'static str;

    /// What its packages are called.
    fn package(&self) -> &'static str {
        self.name()
    }

    /// The ways in that it has.
    fn listeners(&self) -> &'static [Listener];

    /// Writes its configuration, and gives the command that runs it in the foreground.
    fn prepare(&self, environment: &Environment) -> io::Result<Command>;

    /// The files in which it writes about itself, beside its output.
    fn logs(&self, _site: &Environment) -> Vec<PathBuf> {
        Vec::new()
    }

    /// The servers that it uses where their packages are there.
    fn beside(&self) -> &'static [&'static str] {
        &[]
    }

    /// Writes the configurations of those beside it, and tells how to start them.
    fn neighbours(&self, _site: &Environment) -> io::Result<Vec<Neighbour>> {
        Ok(Vec::new())
    }

    /// What is spoken at a listener.
    fn protocol(&self, _door: Listener) -> Protocol {
        Protocol::Smtp
    }

    /// The Unix socket at which it speaks the same as at [`Listener::Relay`].
    fn socket(&self, _site: &Environment) -> Option<PathBuf> {
        None
    }

    /// Whether it rejects addresses of this kind.
    fn rejects(&self, kind: &str) -> bool {
        self.protocol(Listener::Relay) == Protocol::Lmtp || !is_of(&DELIVERIES, kind)
    }

    /// Whether mail for [`FAR`](crate::environment::FAR) comes to a mailbox that can be read by IMAP and POP3.
    fn is_read_back(&self, _site: &Environment) -> bool {
        false
    }

    /// Whether it asks its policy about the text of a message before the first chunk as it does at DATA.
    fn rejects_before_chunks(&self) -> bool {
        true
    }

    /// Whether it takes the rest of a chunk for commands that it rejected for its size, and so loses the session.
    fn loses_its_place(&self) -> bool {
        false
    }

    /// Takes what it stored out of the store, by default a Maildir for all.
    fn take(&self, environment: &Environment) -> io::Result<Vec<Stored>> {
        let files = take_files(&environment.path("store/new"))?;
        let stored = files.iter().map(|file| Stored::parse(file, None));
        stored.collect()
    }

    /// The SASL mechanisms that it advertises in TLS, at least.
    fn mechanisms(&self) -> &'static [&'static str] {
        &["PLAIN", "LOGIN"]
    }

    /// The SASL mechanisms that it already advertises in cleartext.
    fn mechanisms_in_clear(&self) -> &'static [&'static str] {
        &[]
    }

    /// Whether it answers those of [`LOGINS`](crate::message::LOGINS) as they say.
    fn answers_logins(&self) -> bool {
        false
    }

    /// Whether its channel binding is `tls-unique` alone (RFC 5929, section 3).
    fn binds_by_unique(&self) -> bool {
        false
    }

    /// How it rejects a wrong password.
    fn code_for_wrong_password(&self) -> u16 {
        535
    }

    /// Whether it knows a client by its certificate.
    fn knows_certificates(&self) -> bool {
        false
    }

    /// Whether it writes at the top of a message which parameters came with it.
    fn writes_parameters(&self) -> bool {
        false
    }

    /// Whether it greets all of some clients that connect at one time.
    fn greets_many(&self) -> bool {
        true
    }

    /// Whether it resumes sessions of TLS.
    fn resumes_tls(&self) -> bool {
        true
    }

    /// How it rejects a text that is too large.
    fn code_for_too_large(&self) -> u16 {
        552
    }

    /// Whether it makes recipients of the kind `later` wait for a second try.
    fn greylists(&self) -> bool {
        false
    }

    /// Whether it takes messages to recipients of the kind `bounce`, and reports that they cannot be delivered.
    fn reports(&self) -> bool {
        false
    }

    /// Whether its reports show xtext as it came.
    fn reports_xtext(&self) -> bool {
        false
    }

    /// How many messages it has taken and not yet stored.
    fn queued(&self, environment: &Environment) -> io::Result<usize>;

    /// Its queue and log, if it keeps in its queue what comes from senders of the kind `hold`.
    fn delivery_log(&self, environment: &Environment) -> Option<DeliveryLog> {
        let _ = environment;
        None
    }
}

/// All of them.
pub(crate) const SERVERS: &[&dyn Server] = &[
    &postfix::Postfix,
    &exim::Exim,
    &dovecot::Dovecot,
    &cyrus::Cyrus,
    &opensmtpd::OpenSmtpd,
    &sendmail::Sendmail,
    &nodemailer::Nodemailer(Protocol::Smtp),
    &nodemailer::Nodemailer(Protocol::Lmtp),
    &aiosmtpd::Aiosmtpd(Protocol::Smtp),
    &aiosmtpd::Aiosmtpd(Protocol::Lmtp),
    &haraka::Haraka,
];

/// A message as it was stored for one recipient.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) sender: String,
    pub(crate) recipient: String,
    /// All that was stored, with CRLF line ends.
    pub(crate) text: Vec<u8>,
}

/// Waits until all that the server took is stored, and takes it out of the store.
pub(crate) fn collect(server: &dyn Server, environment: &Environment) -> io::Result<Vec<Stored>> {
    collect_expected(server, environment, usize::MAX)
}

/// Waits until all that the server took is stored.
pub(crate) fn settle(server: &dyn Server, environment: &Environment) -> io::Result<()> {
    settle_expected(server, environment, usize::MAX)
}

/// The same, but returns as soon as `expected` messages are stored; a later call finds the rest.
pub(crate) fn collect_expected(
    server: &dyn Server,
    environment: &Environment,
    expected: usize,
) -> io::Result<Vec<Stored>> {
    settle_expected(server, environment, expected)?;
    server.take(environment)
}

fn settle_expected(
    server: &dyn Server,
    environment: &Environment,
    expected: usize,
) -> io::Result<()> {
    let until = Instant::now() + LONGEST;
    let new = environment.path("store/new");
    loop {
        let before = process::activity()?;
        let empty = server.queued(environment)? == 0;
        if empty && count_files(&new)? >= expected {
            return Ok(());
        }
        thread::sleep(POLL);
        // A message may be between two places, or still be read by a process that gets no time.
        if empty && before.is_rest() && process::activity()? == before {
            return Ok(());
        }
        if Instant::now() > until {
            return Err(io::Error::other(match empty {
                false => "it does not store what it took".to_owned(),
                true => format!("it does not come to rest: {before:?}"),
            }));
        }
    }
}

/// Takes all files out of a folder, if it is there.
fn take_files(folder: &Path) -> io::Result<Vec<Vec<u8>>> {
    let mut files = Vec::new();
    if folder.exists() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            files.push(fs::read(&path)?);
            fs::remove_file(path)?;
        }
    }
    Ok(files)
}

impl Stored {
    /// Reads a file of a Maildir, at whose top the server wrote Return-Path, and for whom it is unless that is known.
    fn parse(file: &[u8], recipient: Option<&str>) -> io::Result<Self> {
        let text = with_crlf(file);
        let mut fields = BTreeMap::new();
        for line in String::from_utf8_lossy(&text[..text.len().min(1000)]).lines() {
            if let Some((name, value)) = line.split_once(": ") {
                let value = value.trim_matches(['<', '>']).to_owned();
                fields.entry(name.to_ascii_lowercase()).or_insert(value);
            }
        }
        let recipient = recipient
            .map(str::to_owned)
            .or_else(|| fields.remove("x-original-to"))
            .or_else(|| fields.remove("envelope-to"))
            .or_else(|| fields.remove("delivered-to"));
        match (fields.remove("return-path"), recipient) {
            (Some(sender), Some(recipient)) => Ok(Self {
                sender,
                recipient,
                text,
            }),
            _ => {
                let head = text[..text.len().min(300)].escape_ascii();
                Err(io::Error::other(format!(
                    "a message was stored without its envelope: {head}"
                )))
            }
        }
    }
}

/// A text whose line ends are those of its first line.
fn with_crlf(file: &[u8]) -> Vec<u8> {
    let first = file.iter().position(|&byte| byte == b'\n');
    if first.is_some_and(|end| file[..end].ends_with(b"\r")) {
        return file.to_vec();
    }
    let mut text = Vec::with_capacity(file.len() + file.len() / 32);
    for &byte in file {
        if byte == b'\n' {
            text.push(b'\r');
        }
        text.push(byte);
    }
    text
}

/// Runs a command that is to succeed, and gives what it said.
pub(crate) fn said(command: &mut Command) -> io::Result<String> {
    output(command).map(|said| String::from_utf8_lossy(&said).into_owned())
}

/// The same, byte by byte.
pub(crate) fn output(command: &mut Command) -> io::Result<Vec<u8>> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{}: {said}", output.status)))
}

/// A process for each of these listeners, where one has but one certificate and one limit of size.
fn each_by_itself(
    environment: &Environment,
    listeners: &[Listener],
    start: impl Fn(&Environment, Flaw, u64, &[Listener]) -> io::Result<Command>,
) -> io::Result<Vec<Neighbour>> {
    let parts = [
        ("small", Listener::Small, Flaw::None, SMALL),
        ("wrong-name", Listener::WrongName, Flaw::WrongName, LARGE),
        ("expired", Listener::Expired, Flaw::Expired, LARGE),
        ("self-signed", Listener::SelfSigned, Flaw::SelfSigned, LARGE),
        ("few", Listener::Few, Flaw::None, LARGE),
    ];
    (parts
        .into_iter()
        .filter(|(_, listener, ..)| listeners.contains(listener)))
    .map(|(name, listener, flaw, size)| {
        Ok(Neighbour {
            name,
            command: start(&environment.part(name)?, flaw, size, &[listener])?,
            address: environment.address(listener),
            logs: Vec::new(),
        })
    })
    .collect()
}

/// How many files there are in a folder and those in it.
fn count_files(folder: &Path) -> io::Result<usize> {
    count_files_if(folder, |_| true)
}

/// The same of those that are looked for.
fn count_files_if(folder: &Path, is_right: fn(&Path) -> bool) -> io::Result<usize> {
    let mut count = 0;
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        // What is gone by now is no longer there.
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => count += count_files_if(&entry.path(), is_right)?,
            _ => count += usize::from(is_right(&entry.path())),
        }
    }
    Ok(count)
}
