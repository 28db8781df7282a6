//! The command line.

use std::env::{self, VarError};
use std::fmt::{self, Display};
use std::fs;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use lexopt::{Arg, Parser, ValueExt};

use super::report;
use crate::smtp::proto::content::BareLineEnds;
use crate::smtp::proto::{
    ClientName, Credentials, ForwardPath, Mail, MailErrorKind, Pipelining, ReversePath, Secret,
    Security, Timeouts, TranscriptEntry,
};
use crate::smtp::tls::{Endpoint, EndpointError, ProxyServer, TlsConfig};

/// What the command line asks for.
pub(crate) enum Task {
    Help,
    /// No argument: the demo, with an embedded server.
    Demo,
    Send(Box<Options>),
}

/// The message to send, and the options for sending it.
#[derive(Default)]
pub(crate) struct Options {
    host: Option<String>,
    port: Option<u16>,
    security: Security,
    user: Option<String>,
    password_file: Option<PathBuf>,
    token_file: Option<PathBuf>,
    credentials_in_cleartext: bool,
    from: Option<ReversePath>,
    to: Vec<ForwardPath>,
    file: Option<PathBuf>,
    ca: Vec<PathBuf>,
    client_name: Option<ClientName>,
    proxy: Option<ProxyServer>,
    timeout: Option<Duration>,
    pipelining: Option<Pipelining>,
    without: Vec<String>,
    strict: bool,
    quiet: bool,
}

/// Why nothing was tried.
#[derive(Debug)]
pub(crate) struct Unusable(String);

impl Task {
    /// Reads the command line.
    pub(crate) fn parse() -> Result<Self, Unusable> {
        let mut parser = Parser::from_env();
        let mut options = Options::default();
        let mut any = false;
        while let Some(arg) = parser.next()? {
            any = true;
            match arg {
                Arg::Long("help") | Arg::Short('h') => return Ok(Self::Help),
                Arg::Long(name) => {
                    let name = name.to_owned();
                    options.take(&name, &mut parser)?;
                }
                other => return Err(other.unexpected().into()),
            }
        }
        Ok(if any {
            Self::Send(Box::new(options))
        } else {
            Self::Demo
        })
    }
}

impl Options {
    /// Where and how to connect.
    pub(crate) fn endpoint(&self) -> Result<Endpoint, Unusable> {
        let host = self.host.as_deref().ok_or_else(|| missing("--host"))?;
        let mut builder = Endpoint::builder(host)
            .security(self.security)
            .proxy(self.proxy.clone());
        if let Some(port) = self.port {
            builder = builder.port(port);
        }
        if let Some(credentials) = self.credentials()? {
            builder = builder.credentials(credentials);
        }
        if self.credentials_in_cleartext {
            builder = builder.dangerous_credentials_in_cleartext();
        }
        if !self.ca.is_empty() {
            builder = builder.tls(self.trust()?);
        }
        if let Some(name) = self.client_name.clone() {
            builder = builder.client_name(name);
        }
        if let Some(limit) = self.timeout {
            builder = builder.timeouts(Timeouts::default().at_most(limit).with_connect(limit));
        }
        if let Some(level) = self.pipelining {
            builder = builder.pipelining(level);
        }
        for keyword in &self.without {
            builder = builder.ignore_extension(keyword);
        }
        if !self.quiet {
            builder = builder.transcript(|entry| match entry {
                // Printed at the end, with its sources.
                TranscriptEntry::Failed(_) => {}
                entry => report::note(&entry.to_string()),
            });
        }
        let endpoint = builder.build().map_err(|error| match error {
            EndpointError::Host(kind) => Unusable(format!("--host: {kind:#}")),
            EndpointError::Port => Unusable("--port 0: not a valid port".into()),
            EndpointError::Config(error) => Unusable(format!(
                "--user: {error:#}; or, dangerous, `--security cleartext` with `--credentials-in-cleartext`"
            )),
            error => Unusable::new(error),
        })?;
        if !self.quiet {
            report::note(&format!("-- connecting to {}", endpoint.peer()));
        }
        Ok(endpoint)
    }

    /// The message and its envelope.
    pub(crate) fn mail(&self) -> Result<Mail, Unusable> {
        let sender = self.from.clone().ok_or_else(|| missing("--from"))?;
        if self.to.is_empty() {
            return Err(missing("--to"));
        }
        let text = self.text()?;
        let line_ends = if self.strict {
            BareLineEnds::Reject
        } else {
            BareLineEnds::Convert
        };
        let mail = Mail::builder()
            .sender(sender)
            .recipients(self.to.iter().cloned())
            .bare_line_ends(line_ends)
            .message(text)
            .build();
        mail.map_err(|error| match error.kind() {
            MailErrorKind::Content(_) if self.strict => Unusable(format!(
                "{error:#} (without --strict, line ends are converted)"
            )),
            _ => Unusable::new(error),
        })
    }

    /// Takes the option `--name`, and its value if it has one.
    fn take(&mut self, name: &str, parser: &mut Parser) -> Result<(), Unusable> {
        match name {
            "host" => self.host = Some(parser.value()?.string()?),
            "port" => self.port = Some(value(name, parser)?),
            "security" => {
                self.security = word(
                    name,
                    parser,
                    &[
                        ("starttls", Security::StartTls),
                        ("implicit", Security::Implicit),
                        ("opportunistic", Security::Opportunistic),
                        ("cleartext", Security::Cleartext),
                    ],
                )?;
            }
            "user" => self.user = Some(parser.value()?.string()?),
            "password-file" => self.password_file = Some(parser.value()?.into()),
            "token" => self.token_file = Some(parser.value()?.into()),
            "credentials-in-cleartext" => self.credentials_in_cleartext = true,
            "from" => self.from = Some(value(name, parser)?),
            "to" => self.to.push(value(name, parser)?),
            "file" => self.file = Some(parser.value()?.into()),
            "ca" => self.ca.push(parser.value()?.into()),
            "client-name" => self.client_name = Some(value(name, parser)?),
            "proxy" => {
                // The error repeats nothing of it: it may contain a password.
                let proxy = ProxyServer::from_url(&parser.value()?.string()?);
                let invalid = |error| Unusable(format!("--proxy: {error:#}"));
                self.proxy = Some(proxy.map_err(invalid)?);
            }
            "timeout" => {
                let seconds: u32 = value(name, parser)?;
                if seconds == 0 {
                    return Err(Unusable("--timeout 0: at least 1 second is needed".into()));
                }
                self.timeout = Some(Duration::from_secs(seconds.into()));
            }
            "pipelining" => {
                let levels = [("off", Pipelining::Off), ("envelope", Pipelining::Envelope)];
                self.pipelining = Some(word(name, parser, &levels)?);
            }
            "without" => self.without.push(parser.value()?.string()?),
            "strict" => self.strict = true,
            "quiet" => self.quiet = true,
            "password" => {
                return Err(Unusable(
                    "--password: visible to every user of this machine; use SMTP_PASSWORD or --password-file"
                        .into(),
                ));
            }
            _ => return Err(Arg::Long(name).unexpected().into()),
        }
        Ok(())
    }

    fn credentials(&self) -> Result<Option<Credentials>, Unusable> {
        let Some(user) = &self.user else {
            return match (&self.password_file, &self.token_file) {
                (None, None) => Ok(None),
                _ => Err(Unusable("--password-file and --token need --user".into())),
            };
        };
        let credentials = match (&self.password_file, &self.token_file) {
            (Some(_), Some(_)) => {
                return Err(Unusable(
                    "--password-file and --token: only one of them".into(),
                ));
            }
            (None, Some(file)) => Credentials::token(user, secret(file)?),
            (Some(file), None) => Credentials::password(user, secret(file)?),
            (None, None) => {
                let password = env::var(PASSWORD).map_err(|error| match error {
                    VarError::NotPresent => Unusable(format!(
                        "--user needs {PASSWORD} to be set, or --password-file or --token"
                    )),
                    VarError::NotUnicode(_) => Unusable(format!("{PASSWORD} is not in UTF-8")),
                })?;
                Credentials::password(user, password)
            }
        };
        credentials
            .map(Some)
            .map_err(|error| Unusable(format!("--user {user:?}: {error:#}")))
    }

    fn trust(&self) -> Result<TlsConfig, Unusable> {
        let mut builder = TlsConfig::builder();
        let mut names = String::new();
        for path in &self.ca {
            names += &format!(" {}", path.display());
            let certificate = read(path)?;
            builder = if certificate.starts_with(DER_SEQUENCE) {
                builder.add_root_der(certificate)
            } else {
                builder.add_root_pem(certificate)
            };
        }
        builder
            .build()
            .map_err(|error| Unusable(format!("--ca{names}: {error:#}")))
    }

    fn text(&self) -> Result<Vec<u8>, Unusable> {
        let (name, text) = match &self.file {
            Some(path) => (path.display().to_string(), read(path)?),
            None => {
                if io::stdin().is_terminal() {
                    report::note("the message: header section, empty line, body:");
                }
                let mut text = Vec::new();
                let result = io::stdin().lock().read_to_end(&mut text);
                result.map_err(|error| Unusable(format!("standard input: {error:#}")))?;
                ("standard input".to_owned(), text)
            }
        };
        if text.is_empty() {
            return Err(Unusable(format!(
                "{name}: empty; expected a message, header section first"
            )));
        }
        Ok(text)
    }
}

impl Unusable {
    fn new(error: impl Display) -> Self {
        // With the hint.
        Self(format!("{error:#}"))
    }
}

impl Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<lexopt::Error> for Unusable {
    fn from(error: lexopt::Error) -> Self {
        Self::new(error)
    }
}

fn missing(option: &str) -> Unusable {
    Unusable(format!("{option} is missing"))
}

/// The value of the option `--name`, parsed.
fn value<T: std::str::FromStr<Err: Display>>(
    name: &str,
    parser: &mut Parser,
) -> Result<T, Unusable> {
    let text = parser.value()?.string()?;
    text.parse()
        .map_err(|error| Unusable(format!("--{name} {text:?}: {error:#}")))
}

/// The value of the option `--name`, one of the given words.
fn word<T: Copy>(name: &str, parser: &mut Parser, words: &[(&str, T)]) -> Result<T, Unusable> {
    let text = parser.value()?.string()?;
    let found = words.iter().find(|(word, _)| *word == text);
    found.map(|(_, meaning)| *meaning).ok_or_else(|| {
        let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        Unusable(format!(
            "--{name} {text:?}: one of {} is expected",
            words.join(", ")
        ))
    })
}

fn read(path: &Path) -> Result<Vec<u8>, Unusable> {
    fs::read(path).map_err(|error| Unusable(format!("{}: {error:#}", path.display())))
}

/// The first line of a file, without its end.
fn secret(path: &Path) -> Result<Secret, Unusable> {
    let mut bytes = read(path)?;
    let end = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
    bytes.truncate(end.unwrap_or(bytes.len()));
    Ok(bytes.into())
}

/// The environment variable with the password.
const PASSWORD: &str = "SMTP_PASSWORD";

/// The first bytes of a certificate in DER; PEM starts otherwise.
const DER_SEQUENCE: &[u8] = &[0x30, 0x82];

pub(crate) const HELP: &str = concat!(
    "Sends a message.

Usage:
  ",
    env!("CARGO_BIN_NAME"),
    "
      Without arguments, runs the demo: starts a test server, sends it a
      message over STARTTLS, and checks the result.
  ",
    env!("CARGO_BIN_NAME"),
    " --host HOST --from ADDRESS --to ADDRESS [option]... < mail.eml
      Sends a message, header section included, through any server.

Server:
  --host HOST              DNS name or IP address; the server's certificate must be
                           valid for it
  --port PORT              default: 587 for starttls, 465 for implicit, else 25
  --security starttls      requires STARTTLS; the default
             implicit      TLS from the first byte
             opportunistic TLS if available, unverified, else cleartext; no login
             cleartext     no TLS
  --ca FILE                trusts this authority in addition to the system's;
                           certificate in PEM or DER; repeatable

Login (default: none):
  --user NAME              password in the environment variable
                           SMTP_PASSWORD
  --password-file FILE     password in the first line of this file
  --token FILE             OAuth 2.0 access token (OAUTHBEARER or XOAUTH2) in the
                           first line of this file
  --credentials-in-cleartext
                           dangerous: allows the login under `cleartext`, where
                           the network path can read the password

Message:
  --from ADDRESS           envelope sender, which receives delivery failures;
                           \"\" for the null reverse path
  --to ADDRESS             recipient; repeatable
  --file FILE              the message; default: standard input
  --strict                 line ends other than CRLF are an error; by default they
                           are converted

Connection:
  --client-name NAME       name in EHLO; default: the address of this machine
  --proxy URL              reaches the server through a proxy: socks5://HOST:PORT,
                           http://HOST:PORT or https://HOST:PORT, each with
                           USER:PASSWORD@ before the host if it requires a login
  --timeout SECONDS        limit of each wait; default: 5 s to 10 min, by wait
  --pipelining off         one command at a time
               envelope    one envelope at a time; the default
  --without KEYWORD        ignores this extension; repeatable
  --quiet                  no transcript (on standard error, with secrets removed)

Exit status:
  0  accepted for all recipients
  1  rejected or not sent for at least one recipient, and in doubt for none
  2  nothing was tried: invalid option or message
  3  in doubt for at least one recipient: the message may have been delivered
"
);
