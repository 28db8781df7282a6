use alloc::format;
use alloc::string::{String, ToString};
use core::iter;

use super::*;
use crate::address::{ForwardPath, Mailbox};
use crate::config::{Config, Security};
use crate::extension::dsn::{Notify, Return};
use crate::mail::{Mail, MailBuilder, Recipient, StreamedContent};
use crate::sasl::Credentials;

const TEXT: &str = "From: a@x.test\r\nTLS-Required: No\r\n\r\nhello\r\n";

fn mail() -> MailBuilder {
    Mail::builder()
        .sender("a@x.test")
        .recipient("b@x.test")
        .message(TEXT)
}

fn fault(builder: MailBuilder) -> String {
    builder.build().unwrap_err().to_string()
}

fn own(keyword: &str, bytes: usize) -> Parameter {
    Parameter::new(keyword, Some(&"v".repeat(bytes))).unwrap()
}

#[test]
fn conflicting_parameters_are_an_error_of_the_message() {
    let optional = |builder: MailBuilder| builder.honor_tls_required();
    for (builder, expected) in [
        (
            mail().parameter(Parameter::notify(Notify::NEVER)),
            "parameters: parameter of the other command",
        ),
        (
            mail().recipient(Recipient::new("c@x.test").parameter(Parameter::require_tls())),
            "recipient 1: parameter of the other command",
        ),
        (
            mail().recipient(Recipient::new("c").notify(Notify::NEVER)),
            "recipient 1 \"c\": no @ after the local part at offset 1",
        ),
        (
            mail().recipient(
                Recipient::new("c@x.test")
                    .notify(Notify::DELAY)
                    .notify(Notify::DELAY)
                    .original_recipient(""),
            ),
            "recipient 1: duplicate parameter",
        ),
        (
            mail().recipient(Recipient::new("c@x.test").original_recipient("a\nb")),
            "recipient 1: character that is not allowed in a parameter at offset 8",
        ),
        (
            mail()
                .parameter(Parameter::ret(Return::Full))
                .parameter(Parameter::ret(Return::Headers)),
            "parameters: duplicate parameter",
        ),
        (
            optional(mail()).parameter(Parameter::require_tls()),
            "parameters: parameter that another one excludes",
        ),
        (
            mail()
                .parameter(Parameter::require_tls())
                .optional_extension("requiretls"),
            "parameters: parameter that cannot be optional",
        ),
        (
            mail().optional_extension("D S N"),
            "parameters: character that is not allowed in a parameter at offset 1",
        ),
    ] {
        assert_eq!(fault(builder), expected);
    }
    // RFC 8689, sections 4.1 and 5.
    assert!(mail().parameter(Parameter::require_tls()).build().is_ok());
    let report = mail().sender("").parameter(Parameter::require_tls());
    assert!(report.optional_extension("REQUIRETLS").build().is_ok());
}

#[test]
fn each_recipient_has_its_own_parameters() {
    let built = mail()
        .recipients([
            Recipient::new("c@x.test").notify(Notify::NEVER),
            Recipient::from("d@x.test"),
            Recipient::new("e@x.test").original_recipient("f@x.test"),
        ])
        .build()
        .unwrap();
    let shown = |index| -> Vec<String> {
        let own = built.recipient_parameters(index);
        own.iter().map(ToString::to_string).collect()
    };
    assert_eq!(built.recipients().count(), 4);
    assert_eq!(shown(0), [""; 0]);
    assert_eq!(shown(1), ["NOTIFY=NEVER"]);
    assert_eq!(shown(2), [""; 0]);
    assert_eq!(shown(3), ["ORCPT=rfc822;f@x.test"]);
    assert_eq!(shown(4), [""; 0]);
    assert_eq!(built.parameters(), []);
    assert!(
        mail().build().unwrap().envelope.extensions.is_none(),
        "paid for nothing"
    );
}

#[test]
fn every_form_of_an_address_converts_to_a_recipient() {
    let text = String::from("b@x.test");
    let mailbox: Mailbox = text.parse().unwrap();
    let path: ForwardPath = text.parse().unwrap();
    let built = Mail::builder()
        .recipients(["b@x.test"])
        .recipients([&text])
        .recipients([&mailbox])
        .recipients([text])
        .recipients([mailbox])
        .recipients([&path])
        .recipients([path.clone()])
        .recipients([Recipient::new("b@x.test")])
        .message(TEXT)
        .build()
        .unwrap();
    assert_eq!(built.recipients().len(), 8);
    assert!(built.recipients().all(|recipient| *recipient == path));
}

#[test]
fn a_command_line_is_as_long_as_its_extensions_allow() {
    let too_long = "parameters: parameter too long at offset 0";
    // MAIL FROM:<a@x.test> X=v… BODY=8BITMIME and CRLF.
    let room = 512 - "MAIL FROM:<a@x.test> X= BODY=8BITMIME\r\n".len();
    assert!(mail().parameter(own("X", room)).build().is_ok());
    assert_eq!(fault(mail().parameter(own("X", room + 1))), too_long);
    // The extra line length of an extension is for its own parameters.
    let id = Parameter::envelope_id(&"i".repeat(94)).unwrap();
    assert!(
        mail()
            .parameter(own("X", room))
            .parameter(id.clone())
            .build()
            .is_ok()
    );
    assert_eq!(
        fault(mail().parameter(own("X", room + 1)).parameter(id)),
        too_long
    );
    let named = own("X", room + 100)
        .with_extension("Y")
        .unwrap()
        .with_extra_line_len(100)
        .unwrap();
    assert!(mail().parameter(named).build().is_ok());
    let named = own("X", room + 101)
        .with_extension("Y")
        .unwrap()
        .with_extra_line_len(100)
        .unwrap();
    assert_eq!(fault(mail().parameter(named)), too_long);

    // RFC 4954, section 5: 500 bytes; an encoded mailbox may be longer.
    let all_quoted = format!(
        "\"{}\"@{}.test",
        "=".repeat(62),
        iter::repeat_n("a", 60).collect::<String>()
    );
    let submitter = |text: &str| Parameter::submitter(&text.parse().unwrap()).unwrap();
    assert!(mail().parameter(submitter(&all_quoted)).build().is_ok());

    let room = 512 - "RCPT TO:<c@x.test> X=\r\n".len();
    let recipient = |bytes| Recipient::new("c@x.test").parameter(own("X", bytes));
    assert!(mail().recipient(recipient(room)).build().is_ok());
    let too_long = "recipient 1: parameter too long at offset 0";
    assert_eq!(fault(mail().recipient(recipient(room + 1))), too_long);
    let all = recipient(room)
        .notify(Notify::SUCCESS | Notify::FAILURE | Notify::DELAY)
        .original_recipient(&*"o".repeat(487));
    assert!(mail().recipient(all).build().is_ok());
}

#[test]
fn the_header_field_tls_required_is_read() {
    for (text, expected) in [
        (TEXT, true),
        ("Subject: t\r\ntls-required:no\r\n\r\n", true),
        ("TLS-Required: \r\n No\r\n\r\n", true),
        ("TLS-Required : No \r\n\r\n", true),
        ("TLS-Required: No", true),
        ("TLS-Required: No\n\nconverted", true),
        ("TLS-Required: Yes\r\n\r\n", false),
        ("TLS-Required: No thanks\r\n\r\n", false),
        ("TLS-Required: No\r\n thanks\r\n\r\n", false),
        ("TLS-Required: \r\n\tN\r\n o\r\n\r\n", false),
        ("TLS-Required:\r\n\r\nNo\r\n", false),
        ("TLS-Required: No\r\nTLS-Required: No\r\n\r\n", false),
        ("TLS-Required: No\r\nTLS-Required: Yes\r\n\r\n", false),
        ("Subject: t\r\n TLS-Required: No\r\n\r\n", false),
        ("TLS-Required-Too: No\r\n\r\n", false),
        ("Subject: t\r\n\r\nTLS-Required: No\r\n", false),
        ("", false),
    ] {
        assert_eq!(says_tls_optional(text.as_bytes()), expected, "{text:?}");
    }
}

#[test]
fn tls_is_optional_if_the_message_says_so_and_the_caller_honors_it() {
    assert!(
        mail()
            .honor_tls_required()
            .build()
            .unwrap()
            .is_tls_optional()
    );
    assert!(!mail().build().unwrap().is_tls_optional());
    let other = mail()
        .message("From: a@x.test\r\nSubject: t\r\n\r\n")
        .honor_tls_required();
    assert!(!other.clone().build().unwrap().is_tls_optional());
    // The header field does not count then.
    assert!(other.parameter(Parameter::require_tls()).build().is_ok());
    let streamed = |declared| {
        mail()
            .honor_tls_required()
            .streamed(declared)
            .build()
            .unwrap()
    };
    assert!(streamed(StreamedContent::new().tls_optional()).is_tls_optional());
    assert!(!streamed(StreamedContent::new()).is_tls_optional());
}

#[test]
fn a_configuration_is_relaxed_for_optional_tls_but_never_with_credentials() {
    let optional = mail().honor_tls_required().build().unwrap();
    let required = mail().build().unwrap();
    let policy = |security| Config::builder("client.test".parse().unwrap()).security(security);
    let relaxed = |config: &Config, mail| config.relaxed_for(mail).map(|config| config.security());
    let starttls = policy(Security::StartTls).build().unwrap();
    assert_eq!(relaxed(&starttls, &optional), Some(Security::Opportunistic));
    assert_eq!(relaxed(&starttls, &required), None);
    let with_login = policy(Security::StartTls)
        .credentials(Credentials::password("alice", "canary").unwrap())
        .build()
        .unwrap();
    assert_eq!(relaxed(&with_login, &optional), None);
    for security in [
        Security::Implicit,
        Security::Opportunistic,
        Security::Cleartext,
    ] {
        assert_eq!(relaxed(&policy(security).build().unwrap(), &optional), None);
    }
}

#[test]
fn reports_about_all_recipients_leave_those_with_their_own() {
    let never = |address| Recipient::new(address).notify(Notify::NEVER);
    let built = mail()
        .notify_all(Notify::DELAY)
        .recipient(never("c@x.test"))
        .recipient(Recipient::new("d@x.test").original_recipient("e@x.test"))
        .notify_all(Notify::FAILURE)
        .build()
        .unwrap();
    let parameters = |index| {
        let all = built.recipient_parameters(index).iter();
        all.map(ToString::to_string).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(parameters(0), "NOTIFY=FAILURE");
    assert_eq!(parameters(1), "NOTIFY=NEVER");
    assert_eq!(parameters(2), "ORCPT=rfc822;e@x.test NOTIFY=FAILURE");
    assert!(built.parameters().is_empty());

    // Of a list that has no room for it.
    let full = Recipient::new("c@x.test")
        .parameter(own("X", 1020))
        .parameter(own("Y", 1020));
    let error = fault(mail().recipient(full).notify_all(Notify::DELAY));
    assert!(error.starts_with("recipient 1: "), "{error}");
}
