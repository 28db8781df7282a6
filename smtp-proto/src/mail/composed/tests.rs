use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use mail_builder::MessageBuilder;
use mail_builder::headers::address::Address;
use mail_builder::headers::raw::Raw;

use super::emails;
use crate::content::fields;
use crate::mail::{Content, Mail, MailBuilder};

fn content(mail: &Mail) -> String {
    let Content::Whole { bytes, .. } = &mail.content else {
        panic!("streamed");
    };
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn field(mail: &Mail, name: &str) -> Option<String> {
    let content = content(mail);
    let found = fields(content.as_bytes()).find(|field| field.name == name.as_bytes())?;
    Some(String::from_utf8_lossy(found.value).trim().into())
}

fn message() -> MessageBuilder<'static> {
    MessageBuilder::new().from(("Alice", "alice@example.org"))
}

#[test]
fn an_address_that_would_begin_another_is_an_error() {
    for (address, shown) in [
        ("b@x.test>, <c@x.test", "b@x.test>, <c@x.test"),
        ("b@x.test, c@x.test", "b@x.test, c@x.test"),
        ("Bob <b@x.test>", "Bob <b@x.test>"),
        ("<b@x.test>", "<b@x.test>"),
        (
            "b@x.test\r\nBcc: c@x.test",
            "b@x.test\\x0d\\x0aBcc: c@x.test",
        ),
        ("b(c)@x.test", "b(c)@x.test"),
        ("", ""),
    ] {
        let list = Address::new_list(std::vec!["ok@x.test".into(), address.into()]);
        let group = Address::new_group(Some("Team"), std::vec![list]);
        for name in ["To", "cc", "Bcc", "Resent-To"] {
            let error = Mail::try_from(message().header(name, group.clone())).unwrap_err();
            let shown = format!("{name} \"{shown}\": ").to_lowercase();
            let error = error.to_string().to_lowercase();
            assert!(error.starts_with(&format!("content: {shown}")), "{error}");
        }
    }
    // Not of the envelope.
    let other = message().to("b@x.test").reply_to("not an address");
    assert!(Mail::try_from(other).is_ok());
}

#[test]
fn raw_fields_are_parsed_like_those_of_any_message() {
    let mail =
        Mail::try_from(message().header("To", Raw::new("b@x.test, (c) <d@x.test>"))).unwrap();
    assert_eq!(mail.recipients().len(), 2);
    assert!(Mail::try_from(message().header("To", Raw::new("b@x.test c@x.test"))).is_err());
}

#[test]
fn missing_fields_are_added_and_given_ones_kept() {
    let mail = Mail::try_from(message().to("b@x.test")).unwrap();
    let id = field(&mail, "Message-ID").unwrap();
    assert!(id.starts_with('<') && id.ends_with("@example.org>"), "{id}");
    assert!(field(&mail, "Date").is_some());
    assert!(field(&mail, "MIME-Version").is_some());
    let other = Mail::try_from(message().to("b@x.test")).unwrap();
    assert_ne!(field(&other, "Message-ID"), Some(id));

    let given = message().to("b@x.test").message_id("1@x.test").date(0_i64);
    let mail = Mail::try_from(given).unwrap();
    assert_eq!(field(&mail, "Message-ID").unwrap(), "<1@x.test>");
    assert_eq!(content(&mail).matches("Message-ID").count(), 1);
    assert_eq!(
        field(&mail, "Date").unwrap(),
        "Thu, 1 Jan 1970 00:00:00 +0000"
    );

    for author in ["a@[192.0.2.1]", "a@bücher.test"] {
        let mail = Mail::try_from(MessageBuilder::new().from(author).to("b@x.test")).unwrap();
        assert!(field(&mail, "Message-ID").unwrap().is_ascii());
    }
}

#[test]
fn a_message_that_states_no_envelope_is_an_error() {
    for (message, expected) in [
        (MessageBuilder::new().to("b@x.test"), "no From field"),
        (message(), "no address in To"),
        (message().to(Vec::<&str>::new()), "no address in To"),
        (
            message().to(("Group", Vec::<&str>::new())),
            "a group without members",
        ),
        (
            message().from("c@x.test").to("b@x.test"),
            "From: the field occurs more than once",
        ),
        (
            MessageBuilder::new()
                .from(std::vec!["a@x.test", "b@x.test"])
                .to("b@x.test"),
            "From: more than one mailbox",
        ),
    ] {
        let error = Mail::try_from(message).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let mail = MailBuilder::from(message()).recipient("b@x.test").build();
    assert!(mail.is_ok());
}

#[test]
fn nested_lists_are_walked_in_order() {
    let inner = Address::new_group(Some("g"), std::vec!["b".into(), "c".into()]);
    let list = Address::new_list(std::vec!["a".into(), inner, "d".into()]);
    assert_eq!(emails(&list).collect::<String>(), "abcd");
}
