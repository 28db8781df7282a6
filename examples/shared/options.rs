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
use crate::smtp::tls::{Endpoint, EndpointError, TlsConfig};

/// What the command line asks for.
pub(crate) enum Task {
    Help,
    /// Without any argument: to show all of it, with a server of its own.
    Demo,
    Send(Box<Options>),
}

/// A message to be sent, and how.
#[derive(Default)]
pub(crate) struct Options {
    host: Option<String>,
    port: Option<u16>,
    security: Security,
    user: Option<String>,
    password_file: Option<PathBuf>,
    token_file: Option<PathBuf>,
    credentials_in_clear: bool,
    from: Option<ReversePath>,
    to: Vec<ForwardPath>,
    file: Option<PathBuf>,
    ca: Vec<PathBuf>,
    client_name: Option<ClientName>,
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
        let mut builder = Endpoint::builder(host).security(self.security);
        if let Some(port) = self.port {
            builder = builder.port(port);
        }
        if let Some(credentials) = self.credentials()? {
            builder = builder.credentials(credentials);
        }
        if self.credentials_in_clear {
            builder = builder.dangerous_credentials_in_cleartext();
        }
        if !self.ca.is_empty() {
            builder = builder.tls(self.trust()?);
        }
        if let Some(name) = self.client_name.clone() {
            builder = builder.client_name(name);
        }
        if let Some(limit) = self.timeout {
            builder = builder.timeouts(Timeouts::default().at_most(limit).connect(limit));
        }
        if let Some(level) = self.pipelining {
            builder = builder.pipelining(level);
        }
        for keyword in &self.without {
            builder = builder.ignore_extension(keyword);
        }
        if !self.quiet {
            builder = builder.transcript(|entry| match entry {
                // That comes in the end, with the reasons.
                TranscriptEntry::Failed(_) => {}
                entry => report::note(&entry.to_string()),
            });
        }
        let endpoint = builder.build().map_err(|error| match error {
            EndpointError::Host(fault) => Unusable(format!("--host {host:?}: {fault}")),
            EndpointError::Port => Unusable("--port 0: nothing can be there".into()),
            EndpointError::Config(error) => Unusable(format!(
                "--user: {error}; or, dangerous, `--security cleartext` with `--credentials-in-clear`"
            )),
            error => Unusable::new(error),
        })?;
        if !self.quiet {
            report::note(&format!(
                "-- connecting to {} port {}",
                endpoint.host(),
                endpoint.port()
            ));
        }
        Ok(endpoint)
    }

    /// What to send, to whom.
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
            MailErrorKind::Text(_) if self.strict => Unusable(format!(
                "{error} (without --strict, line ends are converted)"
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
            "credentials-in-clear" => self.credentials_in_clear = true,
            "from" => self.from = Some(value(name, parser)?),
            "to" => self.to.push(value(name, parser)?),
            "file" => self.file = Some(parser.value()?.into()),
            "ca" => self.ca.push(parser.value()?.into()),
            "client-name" => self.client_name = Some(value(name, parser)?),
            "timeout" => {
                let seconds: u32 = value(name, parser)?;
                if seconds == 0 {
                    return Err(Unusable(
                        "--timeout: a wait of 0 seconds would be over at once".into(),
                    ));
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
                    "--password: everybody on this machine could read it; put it into SMTP_PASSWORD or use --password-file"
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
            .map_err(|error| Unusable(format!("--user {user:?}: {error}")))
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
            .map_err(|error| Unusable(format!("--ca{names}: {error}")))
    }

    fn text(&self) -> Result<Vec<u8>, Unusable> {
        let (name, text) = match &self.file {
            Some(path) => (path.display().to_string(), read(path)?),
            None => {
                if io::stdin().is_terminal() {
                    report::note("the message, headers first, then an empty line, then its text:");
                }
                let mut text = Vec::new();
                let result = io::stdin().lock().read_to_end(&mut text);
                result.map_err(|error| Unusable(format!("standard input: {error}")))?;
                ("standard input".to_owned(), text)
            }
        };
        if text.is_empty() {
            return Err(Unusable(format!(
                "{name}: it is empty; the message is expected there, headers first"
            )));
        }
        Ok(text)
    }
}

impl Unusable {
    fn new(error: impl Display) -> Self {
        Self(error.to_string())
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
        .map_err(|error| Unusable(format!("--{name} {text:?}: {error}")))
}

/// The value of the option `--name`, which is one of a few words.
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
    fs::read(path).map_err(|error| Unusable(format!("{}: {error}", path.display())))
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

/// How a certificate in DER begins; no text does.
const DER_SEQUENCE: &[u8] = &[0x30, 0x82];

pub(crate) const HELP: &str = concat!(
    "Sends a mail.

Usage:
  ",
    env!("CARGO_BIN_NAME"),
    "
      Without arguments: starts a server of its own, sends it a mail over
      STARTTLS, and checks that all came about as it should.
  ",
    env!("CARGO_BIN_NAME"),
    " --host HOST --from ADDRESS --to ADDRESS [option]... < mail.eml
      Sends a mail, headers included, through any server.

Where to:
  --host HOST              a DNS name or an IP address; the server's certificate
                           has to be for it
  --port PORT              by default 587 for starttls, 465 for implicit, else 25
  --security starttls      begins in clear and demands STARTTLS; the default
             implicit      TLS from the first byte
             opportunistic TLS with whoever answers, else in clear; no login
             cleartext     no TLS
  --ca FILE                trusts this authority beside those of the system; a
                           certificate in PEM or DER; may be repeated

Who logs in (nobody, by default):
  --user NAME              with the password in the environment variable
                           SMTP_PASSWORD
  --password-file FILE     or else the first line of this file
  --token FILE             or else with an OAuth 2.0 access token (OAUTHBEARER
                           or XOAUTH2), the first line of this file
  --credentials-in-clear   dangerous: logs in also under `cleartext`, where
                           everybody on the path can read the password

What, and to whom:
  --from ADDRESS           to whom failures are reported; \"\" for nobody
  --to ADDRESS             may be repeated
  --file FILE              the mail; by default, standard input
  --strict                 rejects a mail with line ends other than CRLF; by
                           default they are converted

How:
  --client-name NAME       what EHLO says; by default, this machine's address
  --timeout SECONDS        for each wait; by default those of RFC 5321, minutes
  --pipelining off         waits for each reply before the next command
               envelope    sends an envelope in one flight; the default
  --without KEYWORD        does not use this extension; may be repeated
  --quiet                  does not show the dialogue (on standard error, with
                           secrets taken out)

Exit status:
  0  accepted for all recipients
  1  rejected or not sent for at least one recipient, and in doubt for none
  2  nothing was tried: a wrong option, or a mail that cannot be sent as it is
  3  in doubt for at least one recipient: it may or may not have been delivered
"
);
