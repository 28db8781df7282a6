//! The addresses of an envelope.

use lettre::Address;
use lettre::address::Envelope;
use smtp_lettre::ErrorKind;
use smtp_test::Config;

use crate::cases::{cleartext, start};
use crate::programs::Program;

pub(crate) fn a_missing_sender_is_the_null_sender<P: Program>() {
    let server = start(Config::new());
    let envelope = Envelope::new(None, vec![address("bob@example.net")]).unwrap();
    P::send_raw(&cleartext::<P>(&server), &envelope, MESSAGE).unwrap();
    assert_eq!(server.mails()[0].sender(), "");
}

pub(crate) fn a_domain_that_is_not_ascii_is_sent_as_a_labels<P: Program>() {
    for config in [Config::new(), Config::new().without("SMTPUTF8")] {
        let server = start(config);
        let envelope = to(address("bob@bücher.example"));
        P::send_raw(&cleartext::<P>(&server), &envelope, MESSAGE).unwrap();
        assert_eq!(server.mails()[0].addresses(), ["bob@xn--bcher-kva.example"]);
    }
}

pub(crate) fn a_local_part_that_is_not_ascii_needs_smtputf8<P: Program>() {
    let envelope = to(address("bücher@bücher.example"));
    let server = start(Config::new());
    P::send_raw(&cleartext::<P>(&server), &envelope, MESSAGE).unwrap();
    assert_eq!(server.mails()[0].addresses(), ["bücher@bücher.example"]);

    let old = start(Config::new().without("SMTPUTF8"));
    let error = P::send_raw(&cleartext::<P>(&old), &envelope, MESSAGE).unwrap_err();
    assert!(error.not_accepted().eq(["bücher@bücher.example"]));
    assert!(error.is_permanent());
    assert!(old.mails().is_empty());
}

pub(crate) fn an_ipv6_address_gets_its_tag<P: Program>() {
    let server = start(Config::new());
    let transport = cleartext::<P>(&server);
    let sent = [
        ("bob@[2001:db8::1]", "bob@[IPv6:2001:db8::1]"),
        ("bob@2001:db8::1", "bob@[IPv6:2001:db8::1]"),
        ("bob@[192.0.2.1]", "bob@[192.0.2.1]"),
        ("\"bob dobbs\"@example.net", "\"bob dobbs\"@example.net"),
    ];
    for (number, (given, expected)) in sent.into_iter().enumerate() {
        P::send_raw(&transport, &to(address(given)), MESSAGE).unwrap();
        assert_eq!(server.mails()[number].addresses(), [expected]);
    }
}

pub(crate) fn an_address_outside_of_the_grammar_is_named<P: Program>() {
    let server = start(Config::new());
    let injected = Address::new_dangerous("bob", "example.net>\r\nRCPT TO:<eve@example.net");
    let error = P::send_raw(&cleartext::<P>(&server), &to(injected), MESSAGE).unwrap_err();
    let ErrorKind::Mail(invalid) = error.kind() else {
        panic!("{error:#}");
    };
    assert_eq!(invalid.invalid_recipients().len(), 1);
    assert!(server.sessions().is_empty());
}

fn address(text: &str) -> Address {
    text.parse().expect("an address")
}

fn to(recipient: Address) -> Envelope {
    Envelope::new(Some(address("alice@example.org")), vec![recipient]).expect("an envelope")
}

const MESSAGE: &[u8] = b"From: alice@example.org\r\n\r\nHello.\r\n";
