//! The servers: how each is configured, and where it stores messages.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;
use std::{fs, io, thread};

use smtp_proto::Protocol;

use crate::certificates::Flaw;
use crate::environment::{Environment, InternalListener, LARGE, Listener, SMALL};
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

/// A mail server.
pub(crate) trait Server: Sync {
    /// The name for users and for `interop/fetch`.
    fn name(&self) -> &'static str;

    /// The name of its packages.
    fn package(&self) -> &'static str {
        self.name()
    }

    /// The listeners that it has.
    fn listeners(&self) -> &'static [Listener];

    /// The internal listeners that only some cases use.
    fn internal_listeners(&self) -> &'static [InternalListener] {
        &[]
    }

    /// Writes its configuration; returns the command that runs it in the foreground.
    fn prepare(&self, environment: &Environment) -> io::Result<Command>;

    /// Its log files, beside its output.
    fn logs(&self, _environment: &Environment) -> Vec<PathBuf> {
        Vec::new()
    }

    /// The packages of companion servers, used where they exist.
    fn beside(&self) -> &'static [&'static str] {
        &[]
    }

    /// Writes the configurations of companion servers; returns how to start them.
    fn neighbours(&self, _environment: &Environment) -> io::Result<Vec<Neighbour>> {
        Ok(Vec::new())
    }

    /// The protocol of a listener.
    fn protocol(&self, _listener: Listener) -> Protocol {
        Protocol::Smtp
    }

    /// The Unix socket with the same configuration as [`Listener::Relay`].
    fn socket(&self, _environment: &Environment) -> Option<PathBuf> {
        None
    }

    /// Whether it rejects addresses of this kind.
    fn rejects(&self, kind: &str) -> bool {
        self.protocol(Listener::Relay) == Protocol::Lmtp || !is_of(&DELIVERIES, kind)
    }

    /// Whether mail for [`FAR`](crate::environment::FAR) reaches a mailbox that IMAP and POP3 can
    /// read.
    fn is_read_back(&self, _environment: &Environment) -> bool {
        false
    }

    /// Whether it asks its policy before the first chunk, as it does at DATA.
    fn rejects_before_chunks(&self) -> bool {
        true
    }

    /// Whether it reads the rest of a chunk that it rejected for its size as commands, and so loses
    /// the session.
    fn loses_its_place(&self) -> bool {
        false
    }

    /// Takes the stored messages out of the store, by default a Maildir for all recipients.
    fn take(&self, environment: &Environment) -> io::Result<Vec<Stored>> {
        let files = take_files(&environment.path("store/new"))?;
        let stored = files.iter().map(|file| Stored::parse(file, None));
        stored.collect()
    }

    /// The SASL mechanisms that it advertises in TLS, at least.
    fn mechanisms(&self) -> &'static [&'static str] {
        &["PLAIN", "LOGIN"]
    }

    /// The SASL mechanisms that it advertises in cleartext.
    fn mechanisms_in_clear(&self) -> &'static [&'static str] {
        &[]
    }

    /// Whether it replies to the users of [`LOGINS`](crate::message::LOGINS) as listed.
    fn answers_logins(&self) -> bool {
        false
    }

    /// Whether its channel binding is `tls-unique` alone (RFC 5929, section 3).
    fn binds_by_unique(&self) -> bool {
        false
    }

    /// The code of its reply to a wrong password.
    fn code_for_wrong_password(&self) -> u16 {
        535
    }

    /// Whether it authenticates a client by its certificate.
    fn knows_certificates(&self) -> bool {
        false
    }

    /// Whether it writes the parameters of a message at the top of the stored message.
    fn writes_parameters(&self) -> bool {
        false
    }

    /// Whether it greets several clients that connect at one time.
    fn greets_many(&self) -> bool {
        true
    }

    /// Whether [`Listener::Strict`] closes idle connections.
    fn closes_idle(&self) -> bool {
        true
    }

    /// Whether [`Listener::Strict`] limits the number of connections.
    fn limits_connections(&self) -> bool {
        true
    }

    /// Whether [`Listener::Strict`] rejects a connection too many by a reply.
    fn rejects_connections(&self) -> bool {
        true
    }

    /// Whether it resumes TLS sessions.
    fn resumes_tls(&self) -> bool {
        true
    }

    /// The code of its reply to content that is too large.
    fn code_for_too_large(&self) -> u16 {
        552
    }

    /// Whether it greylists recipients of the kind `later`.
    fn greylists(&self) -> bool {
        false
    }

    /// Whether it accepts messages to recipients of the kind `bounce`, and reports that they cannot
    /// be delivered.
    fn reports(&self) -> bool {
        false
    }

    /// Whether its reports repeat xtext without decoding it.
    fn reports_xtext(&self) -> bool {
        false
    }

    /// The number of messages that it has accepted and not yet stored.
    fn queued(&self, environment: &Environment) -> io::Result<usize>;

    /// Its queue and log, if messages from senders of the kind `hold` stay in its queue.
    fn delivery_log(&self, environment: &Environment) -> Option<DeliveryLog> {
        let _ = environment;
        None
    }
}

/// All servers.
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
    /// The whole stored message, with CRLF line ends.
    pub(crate) text: Vec<u8>,
}

/// Waits until every accepted message is stored, and takes them out of the store.
pub(crate) fn collect(server: &dyn Server, environment: &Environment) -> io::Result<Vec<Stored>> {
    collect_expected(server, environment, usize::MAX)
}

/// Waits until every accepted message is stored.
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
        // A message may be between two folders, or be read by a process that gets no processor
        // time.
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

/// Takes all files out of a folder, if it exists.
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
    /// Reads a file of a Maildir. The server wrote Return-Path at its top, and the recipient unless
    /// it is known.
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

/// The text with CRLF line ends, if its first line end is LF.
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

/// Runs a command that must succeed; returns its output.
pub(crate) fn said(command: &mut Command) -> io::Result<String> {
    output(command).map(|said| String::from_utf8_lossy(&said).into_owned())
}

/// The same with the output as bytes.
pub(crate) fn output(command: &mut Command) -> io::Result<Vec<u8>> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{}: {said}", output.status)))
}

/// A process for each of these listeners, for a server with one certificate and one limit of each
/// kind per process.
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
        ("strict", Listener::Strict, Flaw::None, LARGE),
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

/// The number of files in a folder and below it.
fn count_files(folder: &Path) -> io::Result<usize> {
    count_files_if(folder, |_| true)
}

/// The same for files that match.
fn count_files_if(folder: &Path, is_right: fn(&Path) -> bool) -> io::Result<usize> {
    let mut count = 0;
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        // A file that is gone by now does not count.
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => count += count_files_if(&entry.path(), is_right)?,
            _ => count += usize::from(is_right(&entry.path())),
        }
    }
    Ok(count)
}
