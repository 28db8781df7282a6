//! Whatever names, addresses, parameters and commands a caller gives: an independent parser finds exactly what was asked for.

use std::sync::Arc;

use smtp_proto::{
    Command, Config, Connection, ForwardPath, Mail, Parameter, ReversePath, Security,
};
use smtp_test::{Machine, Rule, Violation};

use crate::common::pair::Pair;

/// Lines, each with a letter in front that says what it is: `n` the client's name, `s` a sender, `r` a recipient, `l` a
/// local recipient, `p` a parameter, `v` `e` `h` `t` the text of VRFY, EXPN, HELP or ETRN, `c` a custom command, `b` a
/// line of the text. Only LF ends a line, so all other controls come to be tried.
pub fn command_reparse(input: &[u8]) {
    let asked = Asked::read(&String::from_utf8_lossy(input));
    let mut server = smtp_test::Config::new()
        .host("mx.test")
        .with("SMTPUTF8")
        .with("8BITMIME");
    for parameter in &asked.parameters {
        for keyword in [parameter.extension(), parameter.keyword().as_str()] {
            // What FUTURERELEASE takes belongs to it: all that can be said (RFC 4865, section 3).
            server = server.with(match keyword {
                "FUTURERELEASE" => "FUTURERELEASE 999999999 9999-12-31T23:59:59Z",
                keyword => keyword,
            });
        }
    }
    let machine = Machine::new(&server);
    let log = machine.log();
    let config = Config::builder(asked.name.parse().unwrap()).security(Security::Cleartext);
    let mut pair = Pair::new(Arc::new(config.build().unwrap()), machine);
    pair.drive(Connection::poll_ready).unwrap();

    let mut expected = vec![format!("EHLO {}", asked.name)];
    for command in &asked.commands {
        let id = pair.connection.command(command.clone());
        pair.drive(|connection| connection.poll_reply(id)).unwrap();
        expected.push(command.as_str().to_owned());
    }
    let session = log.session();
    assert_eq!(session.commands(), expected);
    assert_eq!(session.client_name(), Some(&*asked.name));

    if let Some(mail) = asked.mail() {
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
        // A value is the caller's to encode, and the server may find that it does not fit its extension.
        let unfit = |violation: &Violation| asked.gave_wrong_value(violation.detail());
        if !log.violations().iter().any(unfit) {
            assert!(
                outcome.is_accepted(),
                "{outcome:?}\n{}",
                log.session().transcript()
            );
            let mails = log.mails();
            let [stored] = mails.as_slice() else {
                panic!("{} mails", mails.len());
            };
            asked.check(stored);
        }
    }
    // What the extensions allow beyond 512 octets is not for the machine to add up.
    let excused = |rule: Rule, detail: &str| {
        rule == Rule::LineTooLong && detail.contains("MAIL FROM:") && !asked.parameters.is_empty()
    };
    for violation in log.violations() {
        let (rule, detail) = (violation.rule(), violation.detail());
        let accounted = excused(rule, detail) || asked.gave_wrong_value(detail);
        assert!(accounted, "{violation}");
    }
}

/// What a caller asks for.
struct Asked {
    name: String,
    sender: ReversePath,
    recipients: Vec<ForwardPath>,
    parameters: Vec<Parameter>,
    commands: Vec<Command>,
    text: String,
}

impl Asked {
    /// All of it that the core lets pass.
    fn read(text: &str) -> Self {
        let mut asked = Self {
            name: "client.test".to_owned(),
            sender: ReversePath::null(),
            recipients: Vec::new(),
            parameters: Vec::new(),
            commands: Vec::new(),
            text: String::new(),
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
                    asked.recipients.extend(rest.parse::<ForwardPath>());
                    continue;
                }
                Some('l') => {
                    asked.recipients.extend(ForwardPath::local(rest));
                    continue;
                }
                Some('p') => {
                    let (keyword, value) = rest
                        .split_once('=')
                        .map_or((rest, None), |(keyword, value)| (keyword, Some(value)));
                    asked.parameters.extend(Parameter::new(keyword, value));
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
                    Command::custom(verb, arguments)
                }
                _ => Ok(Command::noop()),
            };
            asked.commands.extend(command);
        }
        // Only those that may stand together, and that may travel in clear (RFC 8689, section 2).
        let mut kept = smtp_proto::Parameters::mail();
        asked
            .parameters
            .retain(|each| each.extension() != "REQUIRETLS" && kept.push(each.clone()).is_ok());
        asked
    }

    fn mail(&self) -> Option<Mail> {
        let builder = Mail::builder()
            .sender(self.sender.clone())
            .recipients(self.recipients.clone())
            .text(self.text.clone());
        let add =
            |builder: smtp_proto::MailBuilder, each: &Parameter| builder.parameter(each.clone());
        self.parameters.iter().fold(builder, add).build().ok()
    }

    /// Whether this is what the server says of the value of a parameter that was asked for.
    fn gave_wrong_value(&self, detail: &str) -> bool {
        let mut parameters = self.parameters.iter();
        parameters.any(|each| detail == format!("wrong value: {each}"))
    }

    fn check(&self, stored: &smtp_test::StoredMail) {
        assert_eq!(stored.sender(), self.sender.as_str());
        let asked: Vec<&str> = self.recipients.iter().map(ForwardPath::as_str).collect();
        assert_eq!(stored.addresses(), asked);
        assert_eq!(stored.body(), self.text.as_bytes());
        // What the mail itself demands stands beside what was asked for.
        let ours = |keyword: &str| matches!(keyword, "SIZE" | "BODY" | "SMTPUTF8");
        let came = stored
            .parameters()
            .iter()
            .filter(|each| !ours(each.keyword()));
        let came: Vec<_> = came.map(|each| (each.keyword(), each.value())).collect();
        let asked = self.parameters.iter().map(|each| {
            let value = each.value().map(smtp_proto::Value::as_str);
            (each.keyword().as_str(), value)
        });
        assert_eq!(came, asked.collect::<Vec<_>>());
        let envelope = self.sender.is_ascii() && self.recipients.iter().all(ForwardPath::is_ascii);
        if !envelope {
            assert_eq!(stored.parameter("SMTPUTF8"), Some(""));
        }
    }
}
