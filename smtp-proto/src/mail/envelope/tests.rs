use alloc::format;

use crate::extension::parameter::Parameter;
use crate::mail::{Mail, MailBuilder, Recipient};

const MESSAGE: &str = "From: alice@example.org\r\n\r\nHello\r\n";

fn mail(change: impl FnOnce(MailBuilder) -> MailBuilder) -> Mail {
    let builder = Mail::builder().sender("alice@example.org").message(MESSAGE);
    change(builder).build().unwrap()
}

fn envelope_id(value: &str) -> Parameter {
    Parameter::envelope_id(value).unwrap()
}

#[test]
fn envelopes_are_equal_if_sender_recipients_and_parameters_are() {
    let bob = || mail(|builder| builder.recipient("bob@example.net"));
    assert_eq!(bob().envelope(), bob().envelope());
    let others = [
        mail(|builder| builder.sender("").recipient("bob@example.net")),
        mail(|builder| builder.recipient("carol@example.net")),
        mail(|builder| builder.recipients(["bob@example.net", "bob@example.net"])),
        mail(|builder| {
            let builder = builder.recipient("bob@example.net");
            builder.parameter(envelope_id("QQ314159"))
        }),
        mail(|builder| {
            let bob = Recipient::new("bob@example.net");
            builder.recipient(bob.notify(crate::dsn::Notify::NEVER))
        }),
    ];
    for other in &others {
        assert_ne!(other.envelope(), bob().envelope());
        assert_ne!(*other, bob());
    }
}

#[test]
fn the_debug_output_shows_each_recipient_with_its_parameters() {
    let mail = mail(|builder| {
        let bob = Recipient::new("bob@example.net").notify(crate::dsn::Notify::NEVER);
        builder.recipient(bob).recipient("carol@example.net")
    });
    let shown = format!("{:?}", mail.envelope());
    let at = |text: &str| shown.find(text).unwrap();
    assert!(at("bob@example.net") < at("NOTIFY"), "{shown}");
    assert!(at("NOTIFY") < at("carol@example.net"), "{shown}");
    assert!(!shown.contains("Hello"), "{shown}");
}
