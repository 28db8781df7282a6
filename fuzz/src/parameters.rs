//! For any text as a parameter: the core accepts it exactly if the server's own parser does, and
//! sends it unchanged.

use smtp_proto::parameter::ParameterErrorKind::{Duplicate, Misplaced};
use smtp_proto::parameter::{ParameterError, ParameterErrorKind};
use smtp_proto::{Mail, MailBuilder, MailErrorKind, Parameter, Recipient};
use smtp_test::{Config, Machine, Peer, Rule, TlsInfo};

/// Lines, each a parameter of MAIL or RCPT. Only LF ends a line, so all other control characters
/// are tried.
pub fn parameters(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let lines: Vec<&str> = text.split('\n').take(20).collect();
    let offers = lines.iter().flat_map(|line| {
        let keyword = line.split('=').next().unwrap_or_default();
        // The extension of the parameter, or the parameter of an unknown extension.
        let parameter = parse(line).ok();
        let extension = parameter.map(|parameter| parameter.extension().to_owned());
        let is_keyword = keyword.parse::<smtp_proto::parameter::Keyword>().is_ok();
        let own = is_keyword.then(|| keyword.to_ascii_uppercase());
        extension.into_iter().chain(own)
    });
    let generous = EXTENSIONS
        .iter()
        .fold(Config::new(), |config, offer| config.with(*offer))
        .implicit_tls();
    let config = offers
        .filter(|offer| {
            let mut known = EXTENSIONS.iter();
            !known.any(|known| known.split(' ').next() == Some(offer))
        })
        .fold(generous, |config, offer| config.with(offer));
    let mut server = Machine::new(&config);
    server.handle_tls(TlsInfo::pretended());
    hear(&mut server);
    server.handle_input(b"EHLO client.test\r\n");
    hear(&mut server);
    for line in lines {
        match parse(line) {
            Ok(parameter) => check_taken(&mut server, line, &parameter),
            Err(error) => check_rejected(&mut server, line, error),
        }
    }
}

fn check_taken(server: &mut Machine, line: &str, parameter: &Parameter) {
    // Unchanged, except for the case of the keyword.
    let shown = parameter.to_string();
    assert!(shown.eq_ignore_ascii_case(line), "{line} became {shown}");
    assert_eq!(parse(&shown).as_ref(), Ok(parameter));
    let of_mail = fault(mail().parameter(parameter.clone())) != Some(Misplaced);
    let once = Recipient::new("b@x.test").parameter(parameter.clone());
    let of_rcpt = fault(mail().recipient(once.clone())) != Some(Misplaced);
    assert!(of_mail || of_rcpt);
    let again = match of_mail {
        true => mail()
            .parameter(parameter.clone())
            .parameter(parameter.clone()),
        false => mail().recipient(once.parameter(parameter.clone())),
    };
    assert_eq!(fault(again), Some(Duplicate));
    let complaints = complaints(server, &shown, of_mail);
    assert!(complaints.is_empty(), "of {shown}: {complaints:?}");
}

fn mail() -> MailBuilder {
    let message = "From: a@x.test\r\n\r\n";
    Mail::builder()
        .sender("")
        .recipient("c@x.test")
        .message(message)
}

fn fault(mail: MailBuilder) -> Option<ParameterErrorKind> {
    match mail.build().err()?.kind() {
        MailErrorKind::Parameter(error) => Some(error.kind()),
        other => panic!("{other}"),
    }
}

fn check_rejected(server: &mut Machine, line: &str, error: ParameterError) {
    assert!(error.offset() <= line.len(), "{line}: {error}");
    let (keyword, value) = line.split_once('=').unwrap_or((line, ""));
    if value.len() >= 6 && value.bytes().all(|byte| byte.is_ascii_uppercase()) {
        assert!(
            !error.to_string().contains(value),
            "an error repeats the text"
        );
    }
    let upper = keyword.to_ascii_uppercase();
    let of_mail = !matches!(&*upper, "NOTIFY" | "ORCPT" | "RRVS");
    // A parameter that the server knows must be invalid to the server, too.
    let is_line = line.bytes().all(|byte| byte.is_ascii_graphic()) && !line.is_empty();
    if is_line && KNOWN.contains(&&*upper) {
        let complaints = complaints(server, line, of_mail);
        assert!(!complaints.is_empty(), "{line} was rejected: {error}");
    }
}

/// The violations in a command with this parameter.
fn complaints(server: &mut Machine, parameter: &str, of_mail: bool) -> Vec<String> {
    let before = server.log().violations().len();
    // A parameter that occurs twice would be another violation.
    let wide = if parameter.is_ascii() {
        ""
    } else {
        " SMTPUTF8"
    };
    let lines = if of_mail {
        format!("MAIL FROM:<a@x.test>{wide} {parameter}\r\nRSET\r\n")
    } else {
        format!("MAIL FROM:<a@x.test>{wide}\r\nRCPT TO:<b@x.test> {parameter}\r\nRSET\r\n")
    };
    server.handle_input(lines.as_bytes());
    hear(server);
    let all = server.log().violations();
    let new = all.iter().skip(before);
    // The length of a parameter of an unknown extension is not limited here, but in the command
    // line.
    new.filter(|violation| violation.rule() != Rule::LineTooLong)
        .map(ToString::to_string)
        .collect()
}

fn hear(server: &mut Machine) {
    while server.poll_output().is_some() {}
}

fn parse(line: &str) -> Result<Parameter, ParameterError> {
    match line.split_once('=') {
        Some((keyword, value)) => Parameter::new(keyword, Some(value)),
        None => Parameter::new(line, None),
    }
}

const EXTENSIONS: &[&str] = &[
    "SMTPUTF8",
    "AUTH PLAIN",
    "DELIVERBY",
    "FUTURERELEASE 999999999 9999-12-31T23:59:59Z",
    "MT-PRIORITY",
    "REQUIRETLS",
    "RRVS",
    "DSN",
];

/// The parameters that both sides know.
const KNOWN: &[&str] = &[
    "AUTH",
    "BY",
    "ENVID",
    "HOLDFOR",
    "HOLDUNTIL",
    "MT-PRIORITY",
    "NOTIFY",
    "ORCPT",
    "REQUIRETLS",
    "RET",
    "RRVS",
];
