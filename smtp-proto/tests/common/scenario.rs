//! Scenarios: the calls of a caller, the dialogue on the wire, and the results that the caller
//! gets.
//!
//! Each is a file in a folder of `tests/scenarios`, which is its topic. The name of a scenario is
//! that of its folder and its file, `starttls/…`. A file has three parts:
//!
//! ```text
//! # the section of the RFC, and what this shows
//! security cleartext                 starttls (the default), implicit, opportunistic, cleartext
//! name [192.0.2.1]                   the client's name in EHLO; client.test by default
//! login alice secret                 credentials: a name and a password
//! login-later alice canary           the same without an initial response
//! token alice t0k3n                  credentials for XOAUTH2
//! fetched alice t0k3n                credentials whose token the caller fetches: it provides this one
//! fetched-fails alice                the same: the source of the token fails
//! fetched-never alice                the same: the caller never provides a token
//! credentials-in-cleartext           allows a login without TLS
//! xclient NAME=a ADDR=192.0.2.1      the client to act for; `-` is a value that is not known
//! xclient-optional NAME=a            the same where the server advertises it
//! pipelining off                     or envelope, transactions, speculative; envelope by default
//! speculation 100 200                limits in bytes: of a message, and of all content in flight
//! chunk-size 10                      bytes
//! lmtp
//! window 64 2                        limits of bytes and replies in flight
//! reply-limits 80 3                  limits of a reply: bytes of a line, and lines
//! without CHUNKING                   an extension that is ignored
//! session-limit 30                   seconds
//! message Subject: t\r\n\r\nhello\r\n the content of the messages below; the escapes \r \n \0 \\ \xNN
//! binary                             the content of the messages below is binary
//! header-check                       checks the header section of the messages below
//! eight-bit-headers                  allows header fields that are not UTF-8
//! bare-line-ends convert
//! max-line-len none
//! parameter BY=120;R                 a parameter of MAIL for the messages below
//! optional-extension DSN             its parameters are left out if it is not advertised
//! declare eight-bit                  or utf8-headers, binary, size 100: of streamed content
//! mail a@x.test b@x.test c@x.test    sends a message: the sender (<> for none) and the recipients (local:root for
//!                                    one without a domain), each followed by its own parameters:
//!                                    b@x.test|NOTIFY=NEVER|ORCPT=rfc822;b@x.test
//! stream a@x.test b@x.test           sends a message with streamed content:
//! piece Subject: t\r\n\r\n           then `finish`, `fail` (the source fails) or `abandon`
//! vrfy root                          or noop, rset, expn, help, custom
//! xforward ADDR=- SOURCE=REMOTE      the source of the next message
//! quit
//! ---
//! S: 220 …                           a script of smtp-test
//! ---
//! ready                              the results, one a line
//! b@x.test accepted: 250 ok
//! ```
//!
//! Nothing here depends on how the bytes move. The tests of the core run the scenarios in memory;
//! those of the adapters include this file, run them over their own streams, and compare the same
//! [`Trace`].

#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use smtp_proto::content::BareLineEnds;
use smtp_proto::sasl::TokenRequest;
use smtp_proto::xclient::{Xclient, XclientProto, Xforward, XforwardSource};
use smtp_proto::{
    ApiMisuse, Command, Config, ConfigBuilder, Connection, Credentials, Error, ErrorKind,
    ForwardPath, Mail, MailBuilder, MailError, Outcome, Parameter, Pipelining, Protocol, Recipient,
    Reply, ReplyLimits, Security, SpeculationLimits, StreamedContent, Timeouts, Window,
};
use smtp_test::Script;

pub struct Scenario {
    pub name: String,
    pub config: Arc<Config>,
    pub actions: Vec<Action>,
    pub script: Script,
    pub expected: String,
    /// What the caller does when a token is wanted.
    pub token: TokenAnswer,
    /// Whether it needs a virtual clock, because a time limit passes.
    pub needs_clock: bool,
}

/// What the caller does when a token is wanted.
#[derive(Clone, Debug)]
pub enum TokenAnswer {
    Provide(String),
    Fail,
    /// It goes on driving the connection.
    Never,
}

#[derive(Clone, Debug)]
pub enum Action {
    Mail(Mail),
    /// A message with streamed content: the pieces, each to be written when the connection wants
    /// it.
    Stream(Mail, Vec<Piece>),
    /// A message that cannot be built. The caller gets the error at once, and nothing is sent.
    Rejected(MailError),
    Command(Command),
    Quit,
}

#[derive(Clone, Debug)]
pub enum Piece {
    Text(Vec<u8>),
    Finish,
    Fail,
    Abandon,
}

/// The results that the caller got, one a line.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Trace(pub String);

/// All scenarios, or the one that the environment variable `SCENARIO` names.
pub fn all() -> Vec<Scenario> {
    all_within(None)
}

/// The same for a real clock: where the server falls silent, no time limit is longer than `limit`.
pub fn all_within(limit: Option<Duration>) -> Vec<Scenario> {
    let only = std::env::var("SCENARIO").ok();
    let scenarios: Vec<_> = names()
        .iter()
        .map(|name| Scenario::parse(name, &read(name), limit))
        .filter(|scenario| {
            only.as_ref()
                .is_none_or(|only| scenario.name.contains(only.as_str()))
        })
        .collect();
    assert!(!scenarios.is_empty(), "no scenario of that name");
    scenarios
}

/// The names of all scenarios: each is the folder and the file, `starttls/…`, without the
/// extension.
///
/// # Panics
/// If a file is neither a scenario nor the index.
pub fn names() -> Vec<String> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder()).expect("the folder of scenarios") {
        let topic = entry.expect("a topic").path();
        if topic.file_name().is_some_and(|name| name == "README.md") {
            continue;
        }
        for entry in std::fs::read_dir(&topic).expect("a folder for each topic") {
            let file = entry.expect("a scenario").path();
            assert!(
                file.extension().is_some_and(|extension| extension == "txt"),
                "{} is not a scenario",
                file.display()
            );
            let [topic, name] =
                [&topic, &file].map(|path| path.file_stem().unwrap().to_string_lossy());
            names.push(format!("{topic}/{name}"));
        }
    }
    names.sort();
    names
}

/// The text of a scenario.
pub fn read(name: &str) -> String {
    std::fs::read_to_string(folder().join(format!("{name}.txt"))).expect("a scenario's text")
}

/// The folder of the scenarios.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../smtp-proto/tests/scenarios")
}

impl Scenario {
    pub fn parse(name: &str, text: &str, limit: Option<Duration>) -> Self {
        let mut parts = text.split("\n---\n");
        let mut part = || {
            parts
                .next()
                .unwrap_or_else(|| panic!("{name}: a part is missing"))
        };
        let (head, script, expected) = (part(), part(), part());
        let setting = |word| head.lines().find_map(|line| line.strip_prefix(word));
        let needs_clock = script.contains("<timeout>");
        let client_name = setting("name ").unwrap_or("client.test");
        let mut config = Config::builder(client_name.parse().unwrap()).timeouts(timeouts(
            setting("session-limit "),
            limit.filter(|_| needs_clock),
        ));
        let mut template = MessageTemplate::default();
        let mut actions = Vec::new();
        for line in head
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty())
        {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            if let Some(changed) = configure(config.clone(), word, rest) {
                config = changed;
            } else {
                let known = template.set(word, rest) || act(&mut actions, &template, word, rest);
                assert!(known, "{name}: no such line: {line}");
            }
        }
        Self {
            name: name.to_owned(),
            config: Arc::new(config.build().unwrap()),
            actions,
            script: Script::parse(script).unwrap_or_else(|error| panic!("{name}: {error:#}")),
            expected: expected.trim_end().to_owned(),
            token: match (setting("fetched "), setting("fetched-fails ")) {
                (Some(words), _) => {
                    TokenAnswer::Provide(words.split_once(' ').expect("two words").1.to_owned())
                }
                (None, Some(_)) => TokenAnswer::Fail,
                (None, None) => TokenAnswer::Never,
            },
            needs_clock,
        }
    }

    /// Whether a question of the caller was answered by the misuse that a token is wanted.
    pub fn wants_token(error: &Error) -> bool {
        matches!(error.kind(), ErrorKind::Misuse(ApiMisuse::TokenWanted))
    }

    /// Answers the request of a connection that wants a token.
    ///
    /// # Panics
    /// If it wants none.
    pub fn answer_token(&self, connection: &mut Connection) {
        let Poll::Ready(Ok(Some(TokenRequest::Cached))) = connection.poll_token() else {
            panic!("{}: no token is wanted", self.name);
        };
        match &self.token {
            // The error is that of the connection too.
            TokenAnswer::Provide(token) => drop(connection.provide_token(token.as_str().into())),
            TokenAnswer::Fail => {
                let error = std::io::Error::other("the token server is down");
                connection.fail_token(error.into());
            }
            TokenAnswer::Never => {}
        }
    }
}

/// The content and options of the messages that follow in a scenario.
struct MessageTemplate {
    text: Vec<u8>,
    line_ends: BareLineEnds,
    max_line_len: Option<usize>,
    parameters: Vec<Parameter>,
    optional_extensions: Vec<String>,
    declared: StreamedContent,
    binary: bool,
    eight_bit_headers: bool,
    header_check: bool,
}

impl Default for MessageTemplate {
    fn default() -> Self {
        Self {
            text: b"Subject: t\r\n\r\nhello\r\n".to_vec(),
            line_ends: BareLineEnds::Reject,
            max_line_len: Some(998),
            parameters: Vec::new(),
            optional_extensions: Vec::new(),
            declared: StreamedContent::new(),
            binary: false,
            eight_bit_headers: false,
            header_check: false,
        }
    }
}

impl MessageTemplate {
    /// Takes a line about messages; returns whether it is one.
    fn set(&mut self, word: &str, rest: &str) -> bool {
        match (word, rest) {
            ("message", _) => self.text = unescape(rest),
            ("binary", _) => self.binary = true,
            ("header-check", _) => self.header_check = true,
            ("eight-bit-headers", _) => self.eight_bit_headers = true,
            ("bare-line-ends", "convert") => self.line_ends = BareLineEnds::Convert,
            ("max-line-len", _) => self.max_line_len = rest.parse().ok(),
            ("parameter", _) => self.parameters.push(parameter(rest)),
            ("optional-extension", _) => self.optional_extensions.push(rest.to_owned()),
            ("declare", "eight-bit") => self.declared = self.declared.eight_bit(),
            ("declare", "binary") => self.declared = self.declared.binary(),
            ("declare", "utf8-headers") => self.declared = self.declared.utf8_headers(),
            ("declare", _) => {
                let bytes = rest
                    .strip_prefix("size ")
                    .expect("eight-bit, utf8-headers, binary or size");
                self.declared = self.declared.size(bytes.parse().unwrap());
            }
            _ => return false,
        }
        true
    }

    fn mail(&self, envelope: &str, streamed: bool) -> Result<Mail, MailError> {
        let mut words = envelope.split(' ');
        let mut mail = Mail::builder().sender(words.next().unwrap());
        for word in words {
            let mut parts = word.split('|');
            let path = parts.next().unwrap();
            let recipient = match path.strip_prefix("local:") {
                Some(user) => ForwardPath::local(user).unwrap().into(),
                None => Recipient::from(path),
            };
            mail = mail.recipient(parts.map(parameter).fold(recipient, Recipient::parameter));
        }
        for extension in &self.optional_extensions {
            mail = mail.optional_extension(extension);
        }
        mail = self
            .parameters
            .iter()
            .cloned()
            .fold(mail, MailBuilder::parameter);
        mail = mail
            .bare_line_ends(self.line_ends)
            .max_line_len(self.max_line_len);
        if !self.header_check {
            mail = mail.without_header_check();
        }
        if self.eight_bit_headers {
            mail = mail.eight_bit_headers();
        }
        if streamed {
            mail.streamed(self.declared)
        } else if self.binary {
            mail.binary_message(self.text.clone())
        } else {
            mail.message(self.text.clone())
        }
        .build()
    }
}

fn parameter(text: &str) -> Parameter {
    let (keyword, value) = text
        .split_once('=')
        .map_or((text, None), |(word, value)| (word, Some(value)));
    Parameter::new(keyword, value).unwrap()
}

fn timeouts(session: Option<&str>, limit: Option<Duration>) -> Timeouts {
    let within = |time: Duration| limit.map_or(time, |limit| time.min(limit));
    let timeouts = limit.map_or_else(Timeouts::default, |limit| {
        // The limit for STARTTLS also covers the EHLO after it. On a virtual clock both pass at
        // once, and the error names EHLO; on a real clock STARTTLS would always be the first.
        Timeouts::default().at_most(limit).with_starttls(limit * 2)
    });
    match session {
        Some(seconds) => {
            timeouts.with_session(within(Duration::from_secs(seconds.parse().unwrap())))
        }
        None => timeouts,
    }
}

/// Applies a line of the configuration; `None` if it is not one.
fn configure(config: ConfigBuilder, word: &str, rest: &str) -> Option<ConfigBuilder> {
    let two = || rest.split_once(' ').expect("two words");
    Some(match word {
        // Read before.
        "name" | "session-limit" => config,
        "security" => config.security(security(rest)),
        "login" => config.credentials(Credentials::password(two().0, two().1).unwrap()),
        "login-later" => {
            let credentials = Credentials::password(two().0, two().1).unwrap();
            config.credentials(credentials.without_initial_response())
        }
        "token" => config.credentials(Credentials::xoauth2(two().0, two().1).unwrap()),
        "fetched" => config.credentials(Credentials::fetched_token(two().0).unwrap()),
        "fetched-fails" | "fetched-never" => {
            config.credentials(Credentials::fetched_token(rest).unwrap())
        }
        "xclient" => config.xclient(xclient(rest)),
        "xclient-optional" => config.xclient(xclient(rest).optional()),
        "credentials-in-cleartext" => config.dangerous_credentials_in_cleartext(),
        "pipelining" => config.pipelining(pipelining(rest)),
        "speculation" => config.speculation(
            SpeculationLimits::default()
                .with_message_bytes(two().0.parse().unwrap())
                .with_bytes_in_flight(two().1.parse().unwrap()),
        ),
        "chunk-size" => config.chunk_size(rest.parse().unwrap()),
        "lmtp" => config.protocol(Protocol::Lmtp),
        "window" => config.window(
            Window::FULL_DUPLEX
                .with_bytes(two().0.parse().unwrap())
                .with_replies(two().1.parse().unwrap()),
        ),
        "reply-limits" => config.reply_limits(
            ReplyLimits::default()
                .line(two().0.parse().unwrap())
                .lines(two().1.parse().unwrap()),
        ),
        "without" => config.ignore_extension(rest),
        _ => return None,
    })
}

/// Takes a line with a call of the caller; returns whether it is one.
fn act(actions: &mut Vec<Action>, template: &MessageTemplate, word: &str, rest: &str) -> bool {
    let piece = match word {
        "piece" => Some(Piece::Text(unescape(rest))),
        "finish" => Some(Piece::Finish),
        "fail" => Some(Piece::Fail),
        "abandon" => Some(Piece::Abandon),
        _ => None,
    };
    if let Some(piece) = piece {
        let Some(Action::Stream(_, pieces)) = actions.last_mut() else {
            panic!("{word}: no message with streamed content");
        };
        pieces.push(piece);
        return true;
    }
    actions.push(match word {
        "mail" => template
            .mail(rest, false)
            .map_or_else(Action::Rejected, Action::Mail),
        "stream" => Action::Stream(template.mail(rest, true).unwrap(), Vec::new()),
        "noop" => Action::Command(Command::noop()),
        "rset" => Action::Command(Command::rset()),
        "vrfy" => Action::Command(Command::vrfy(rest).unwrap()),
        "expn" => Action::Command(Command::expn(rest).unwrap()),
        "help" => {
            Action::Command(Command::help(Some(rest).filter(|rest| !rest.is_empty())).unwrap())
        }
        "xforward" => Action::Command(Command::xforward(xforward(rest))),
        "custom" => {
            let (verb, arguments) = rest
                .split_once(' ')
                .map_or((rest, None), |(verb, rest)| (verb, Some(rest)));
            Action::Command(Command::custom(verb, arguments).unwrap())
        }
        "quit" => Action::Quit,
        _ => return false,
    });
    true
}

/// The error of a content source that fails.
pub fn source_error() -> smtp_proto::TransportError {
    std::io::Error::other("the disk is gone").into()
}

impl Trace {
    /// Records whether the connection became ready, and returns it.
    pub fn ready(&mut self, result: Result<(), Error>) -> bool {
        match &result {
            Ok(()) => self.line("ready"),
            Err(error) => self.line(&format!("failed {error:#}")),
        }
        result.is_ok()
    }

    pub fn outcome(&mut self, result: Result<Outcome, Error>) {
        match result {
            Ok(outcome) => {
                for delivery in outcome.recipients() {
                    self.line(&format!(
                        "{} {:#}",
                        delivery.recipient().as_str(),
                        delivery.status()
                    ));
                }
            }
            Err(error) => self.line(&format!("failed {error:#}")),
        }
    }

    pub fn reply(&mut self, result: Result<Reply, Error>) {
        match result {
            Ok(reply) => self.line(&format!("reply {reply}")),
            Err(error) => self.line(&format!("failed {error:#}")),
        }
    }

    pub fn ended(&mut self, result: Result<(), Error>) {
        match result {
            Ok(()) => self.line("closed"),
            Err(error) => self.line(&format!("failed {error:#}")),
        }
    }

    /// Records a message that could not be built.
    pub fn rejected(&mut self, error: &MailError) {
        self.line(&format!("no message: {error:#}"));
    }

    fn line(&mut self, text: &str) {
        writeln!(self.0, "{text}").unwrap();
    }
}

fn pipelining(name: &str) -> Pipelining {
    match name {
        "off" => Pipelining::Off,
        "envelope" => Pipelining::Envelope,
        "transactions" => Pipelining::Transactions,
        "speculative" => Pipelining::Speculative,
        _ => panic!("no such level: {name}"),
    }
}

fn security(name: &str) -> Security {
    match name {
        "starttls" => Security::StartTls,
        "implicit" => Security::Implicit,
        "opportunistic" => Security::Opportunistic,
        "cleartext" => Security::Cleartext,
        _ => panic!("no such security: {name}"),
    }
}

fn xclient(attributes: &str) -> Xclient {
    attributes_of(attributes).fold(Xclient::new(), |client, attribute| match attribute {
        ("NAME", "later") => client.name_temporarily_unavailable(),
        ("NAME", "-") => client.name_unavailable(),
        ("NAME", name) => client.name(name).unwrap(),
        ("ADDR", "-") => client.addr_unavailable(),
        ("ADDR", addr) => client.addr(addr.parse::<IpAddr>().unwrap()),
        ("PORT", "-") => client.port_unavailable(),
        ("PORT", port) => client.port(port.parse().unwrap()),
        ("HELO", "-") => client.helo_unavailable(),
        ("HELO", helo) => client.helo(helo).unwrap(),
        ("LOGIN", "-") => client.login_unavailable(),
        ("LOGIN", login) => client.login(login).unwrap(),
        ("PROTO", "ESMTP") => client.proto(XclientProto::Esmtp),
        (name, _) => panic!("no such attribute: {name}"),
    })
}

fn xforward(attributes: &str) -> Xforward {
    attributes_of(attributes).fold(Xforward::new(), |origin, attribute| match attribute {
        ("NAME", "-") => origin.name_unavailable(),
        ("NAME", name) => origin.name(name).unwrap(),
        ("ADDR", "-") => origin.addr_unavailable(),
        ("ADDR", addr) => origin.addr(addr.parse::<IpAddr>().unwrap()),
        ("HELO", "-") => origin.helo_unavailable(),
        ("HELO", helo) => origin.helo(helo).unwrap(),
        ("PROTO", proto) => origin.proto(proto).unwrap(),
        ("IDENT", ident) => origin.ident(ident).unwrap(),
        ("SOURCE", "REMOTE") => origin.source(XforwardSource::Remote),
        (name, _) => panic!("no such attribute: {name}"),
    })
}

/// Attributes such as `NAME=value`; the value `-` means that it is not known.
fn attributes_of(words: &str) -> impl Iterator<Item = (&str, &str)> {
    let words = words.split(' ');
    words.map(|word| word.split_once('=').expect("an attribute"))
}

/// Resolves `\r`, `\n`, `\0`, `\\` and `\xNN`.
fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'\\' {
            out.push(*first);
            continue;
        }
        let (escape, after) = rest.split_first().expect("a character after a backslash");
        rest = after;
        out.push(match escape {
            b'r' => b'\r',
            b'n' => b'\n',
            b'0' => 0,
            b'\\' => b'\\',
            b'x' => {
                let (digits, after) = rest.split_at(2);
                rest = after;
                u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap()
            }
            other => panic!("an unknown escape: {}", char::from(*other)),
        });
    }
    out
}
