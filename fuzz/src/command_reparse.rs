//! For any names, addresses, parameters and commands of a caller, an independent parser finds
//! exactly what was requested.

use std::collections::BTreeMap;
use std::sync::Arc;

use smtp_proto::xclient::{Xclient, Xforward};
use smtp_proto::{
    Command, Config, Connection, ForwardPath, Mail, MailBuilder, Parameter, Recipient, ReversePath,
    Security,
};
use smtp_test::Machine;

use crate::common::pair::Pair;

/// Lines, each with a letter first: `n` the client's name, `s` a sender, `r` a recipient, `l` a
/// local recipient, `p` a parameter of MAIL, `q` one of the last recipient, `v` `e` `h` `t` the
/// argument of VRFY, EXPN, HELP or ETRN, `c` a custom command, `b` a line of the content; `x` and
/// `f` an attribute of XCLIENT and XFORWARD, after a letter for its name. Only LF ends a line, so
/// all other control characters are tried.
pub fn command_reparse(input: &[u8]) {
    let asked = Asked::read(&String::from_utf8_lossy(input));
    let mut server = smtp_test::Config::new()
        .host("mx.test")
        .with("SMTPUTF8")
        .with("8BITMIME")
        .with("XCLIENT NAME HELO LOGIN")
        .with("XFORWARD NAME HELO PROTO IDENT");
    for parameter in asked.all_parameters() {
        for keyword in [parameter.extension(), parameter.keyword().as_str()] {
            // All arguments that FUTURERELEASE can have (RFC 4865, section 3).
            server = server.with(match keyword {
                "FUTURERELEASE" => "FUTURERELEASE 999999999 9999-12-31T23:59:59Z",
                keyword => keyword,
            });
        }
    }
    let machine = Machine::new(&server);
    let log = machine.log();
    let config = Config::builder(asked.name.parse().unwrap())
        .security(Security::Cleartext)
        .xclient(asked.client.clone());
    let mut pair = Pair::new(Arc::new(config.build().unwrap()), machine);
    pair.drive(Connection::poll_ready).unwrap();

    let hello = format!("EHLO {}", asked.name);
    let mut expected = vec![hello.clone()];
    if !asked.client_told.is_empty() {
        for line in log.session().commands().iter().skip(1).rev().skip(1).rev() {
            assert!(line.starts_with("XCLIENT ") && line.len() <= 510, "{line}");
            expected.push(line.clone());
        }
        expected.push(hello);
    }
    for (attribute, value) in &asked.client_told {
        assert_eq!(log.session().xclient(attribute).as_ref(), Some(value));
    }
    for command in &asked.commands {
        let id = pair.connection.command(command.clone());
        pair.drive(|connection| connection.poll_reply(id)).unwrap();
        expected.push(command.as_str().to_owned());
    }
    let session = log.session();
    assert_eq!(session.commands(), expected);
    assert_eq!(session.client_name(), Some(&*asked.name));

    if let Some(mail) = asked.mail() {
        if !asked.origin_told.is_empty() {
            let told = Command::xforward(asked.origin.clone());
            let id = pair.connection.command(told);
            pair.drive(|connection| connection.poll_reply(id)).unwrap();
            for line in log.session().commands().iter().skip(expected.len()) {
                assert!(line.starts_with("XFORWARD ") && line.len() <= 510, "{line}");
                expected.push(line.clone());
            }
        }
        let id = pair.connection.submit(mail);
        let outcome = pair
            .drive(|connection| connection.poll_outcome(id))
            .unwrap();
        let line = log.session().commands()[expected.len()].clone();
        for parameter in &asked.parameters {
            assert!(
                format!("{line} ").contains(&format!(" {parameter} ")),
                "{line}"
            );
        }
        assert!(
            outcome.is_accepted(),
            "{outcome:?}\n{}",
            log.session().transcript()
        );
        let mails = log.mails();
        let [stored] = mails.as_slice() else {
            panic!("{} messages", mails.len());
        };
        asked.check(stored);
        for (attribute, value) in &asked.origin_told {
            assert_eq!(stored.forwarded(attribute).as_ref(), Some(value));
        }
    }
    log.assert_clean();
}

/// The requests of a caller.
struct Asked {
    name: String,
    sender: ReversePath,
    recipients: Vec<(ForwardPath, Vec<Parameter>)>,
    parameters: Vec<Parameter>,
    commands: Vec<Command>,
    text: String,
    client: Xclient,
    client_told: Told,
    origin: Xforward,
    origin_told: Told,
}

/// The attributes of XCLIENT or XFORWARD, with their values.
type Told = BTreeMap<&'static str, String>;

impl Asked {
    /// Those requests that the core accepts.
    fn read(text: &str) -> Self {
        let mut asked = Self {
            name: "client.test".to_owned(),
            sender: ReversePath::null(),
            recipients: Vec::new(),
            parameters: Vec::new(),
            commands: Vec::new(),
            text: String::new(),
            client: Xclient::new(),
            client_told: Told::new(),
            origin: Xforward::new(),
            origin_told: Told::new(),
        };
        for line in text.split('\n').take(60) {
            let mut chars = line.chars();
            let (kind, rest) = (chars.next(), chars.as_str());
            let command = match kind {
                Some('n') => {
                    if rest.parse::<smtp_proto::ClientName>().is_ok() {
                        asked.name = rest.to_owned();
                    }
                    continue;
                }
                Some('s') => {
                    asked.sender = rest.parse().unwrap_or(asked.sender);
                    continue;
                }
                Some('r') => {
                    asked.add(rest.parse().ok());
                    continue;
                }
                Some('l') => {
                    asked.add(ForwardPath::local(rest).ok());
                    continue;
                }
                Some('p') => {
                    // Not available in cleartext (RFC 8689, section 2).
                    let parameter =
                        parse(rest).filter(|parameter| parameter.extension() != "REQUIRETLS");
                    if let Some(parameter) = parameter {
                        asked.parameters.push(parameter);
                        if !asked.parameters_fit() {
                            asked.parameters.pop();
                        }
                    }
                    continue;
                }
                Some('q') => {
                    if let (Some((path, list)), Some(parameter)) =
                        (asked.recipients.last_mut(), parse(rest))
                    {
                        list.push(parameter);
                        if !fits(recipient(path, list), []) {
                            list.pop();
                        }
                    }
                    continue;
                }
                Some('x') => {
                    asked.speak_for(rest);
                    continue;
                }
                Some('f') => {
                    asked.forward(rest);
                    continue;
                }
                Some('b') => {
                    asked.text.push_str(rest);
                    asked.text.push_str("\r\n");
                    continue;
                }
                Some('v') => Command::vrfy(rest),
                Some('e') => Command::expn(rest),
                Some('h') => Command::help(Some(rest).filter(|rest| !rest.is_empty())),
                Some('t') => Command::etrn(rest),
                Some('c') => {
                    let (verb, arguments) = rest
                        .split_once(' ')
                        .map_or((rest, None), |(verb, arguments)| (verb, Some(arguments)));
                    // The server checks the arguments of these verbs. The core does not check those
                    // of custom commands.
                    if ["VRFY", "EXPN", "XFORWARD"].contains(&&*verb.to_ascii_uppercase()) {
                        continue;
                    }
                    Command::custom(verb, arguments)
                }
                _ => Ok(Command::noop()),
            };
            asked.commands.extend(command);
        }
        asked
    }

    fn add(&mut self, path: Option<ForwardPath>) {
        let recipient = path.map(|path| (path, Vec::new()));
        self.recipients.extend(recipient);
    }

    fn speak_for(&mut self, text: &str) {
        let mut chars = text.chars();
        let client = self.client.clone();
        let (attribute, client) = match (chars.next(), chars.as_str()) {
            (Some('n'), text) => ("NAME", client.name(text)),
            (Some('h'), text) => ("HELO", client.helo(text)),
            (Some('l'), text) => ("LOGIN", client.login(text)),
            _ => return,
        };
        if let Ok(client) = client {
            self.client = client;
            self.client_told
                .insert(attribute, chars.as_str().to_owned());
        }
    }

    fn forward(&mut self, text: &str) {
        let mut chars = text.chars();
        let origin = self.origin.clone();
        let (attribute, origin) = match (chars.next(), chars.as_str()) {
            (Some('n'), text) => ("NAME", origin.name(text)),
            (Some('h'), text) => ("HELO", origin.helo(text)),
            (Some('p'), text) => ("PROTO", origin.proto(text)),
            (Some('i'), text) => ("IDENT", origin.ident(text)),
            _ => return,
        };
        if let Ok(origin) = origin {
            self.origin = origin;
            self.origin_told
                .insert(attribute, chars.as_str().to_owned());
        }
    }

    fn parameters_fit(&self) -> bool {
        fits(Recipient::new("c@x.test"), self.parameters.iter().cloned())
    }

    fn all_parameters(&self) -> impl Iterator<Item = &Parameter> {
        let recipients = self.recipients.iter();
        let theirs = recipients.flat_map(|(_, parameters)| parameters);
        self.parameters.iter().chain(theirs)
    }

    fn mail(&self) -> Option<Mail> {
        let mut builder = Mail::builder()
            .sender(self.sender.clone())
            .without_header_check()
            .message(self.text.clone());
        for (path, parameters) in &self.recipients {
            builder = builder.recipient(recipient(path, parameters));
        }
        let own = self.parameters.iter().cloned();
        own.fold(builder, MailBuilder::parameter).build().ok()
    }

    fn check(&self, stored: &smtp_test::StoredMail) {
        assert_eq!(stored.sender(), self.sender.as_str());
        let asked: Vec<&str> = self
            .recipients
            .iter()
            .map(|(path, _)| path.as_str())
            .collect();
        assert_eq!(stored.addresses(), asked);
        for (recipient, (_, asked)) in stored.recipients().iter().zip(&self.recipients) {
            assert_eq!(shown(recipient.parameters()), shown(asked));
        }
        assert_eq!(stored.body(), self.text.as_bytes());
        // Parameters that the message itself requires are beside the requested ones.
        let ours = |keyword: &str| matches!(keyword, "SIZE" | "BODY" | "SMTPUTF8");
        let came = stored.parameters().iter();
        let came: Vec<_> = came.filter(|each| !ours(each.keyword())).collect();
        assert_eq!(shown(came), shown(&self.parameters));
        let paths_are_ascii = self.recipients.iter().all(|(path, _)| path.is_ascii());
        if !(self.sender.is_ascii() && paths_are_ascii) {
            assert_eq!(stored.parameter("SMTPUTF8"), Some(""));
        }
    }
}

fn recipient(path: &ForwardPath, parameters: &[Parameter]) -> Recipient {
    let parameters = parameters.iter().cloned();
    parameters.fold(path.into(), Recipient::parameter)
}

/// Whether these parameters are allowed together.
fn fits(recipient: Recipient, own: impl IntoIterator<Item = Parameter>) -> bool {
    let mail = Mail::builder()
        .without_header_check()
        .sender(ReversePath::null())
        .recipient(recipient)
        .message("");
    let mail = own.into_iter().fold(mail, MailBuilder::parameter);
    mail.build().is_ok()
}

fn parse(text: &str) -> Option<Parameter> {
    let (keyword, value) = text
        .split_once('=')
        .map_or((text, None), |(keyword, value)| (keyword, Some(value)));
    Parameter::new(keyword, value).ok()
}

fn shown<T: ToString>(parameters: impl IntoIterator<Item = T>) -> Vec<String> {
    parameters
        .into_iter()
        .map(|each| each.to_string())
        .collect()
}
