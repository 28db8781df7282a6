//! The parameters of MAIL and RCPT: advertised, in their place, and well formed.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use crate::common;

use common::{ask, broken, codes, greeted, read};
use smtp_test::{Config, Machine, Peer, Rule, TlsInfo};

fn generous() -> Config {
    Config::new()
        .user("alice", "secret")
        .with("DELIVERBY 60")
        .with("MT-PRIORITY MIXER")
        .with("FUTURERELEASE 86400 2030-01-01T00:00:00Z")
        .with("RRVS")
        .with("REQUIRETLS")
}

#[test]
fn parameters_are_understood_and_decoded() {
    let mut machine = greeted(&generous());
    let flight = "MAIL FROM:<a@x.test> SIZE=3 RET=HDRS ENVID=q+2B1 AUTH=e+3Dmc2@x.test BY=60;R MT-PRIORITY=-3 HOLDFOR=60\r\n\
        RCPT TO:<b@x.test> NOTIFY=success,Failure ORCPT=rfc822;b+2Bc@x.test RRVS=2014-04-03T23:01:00Z\r\n\
        DATA\r\n";
    assert_eq!(codes(&mut machine, flight), [250, 250, 354]);
    ask(&mut machine, "x\r\n.\r\n");
    machine.log().assert_clean();
    let mail = machine.log().mails().remove(0);
    assert_eq!(mail.envelope_id().as_deref(), Some("q+1"));
    assert_eq!(mail.submitter().as_deref(), Some("e=mc2@x.test"));
    assert_eq!(mail.parameter("by"), Some("60;R"));
    let recipient = mail.recipients().first().unwrap();
    let original = ("rfc822".to_owned(), "b+c@x.test".to_owned());
    assert_eq!(recipient.original_recipient(), Some(original));
    assert_eq!(recipient.notify(), ["SUCCESS", "FAILURE"]);
}

#[test]
fn parameters_that_are_not_offered_or_out_of_place_or_malformed_are_rejected() {
    for (line, code, rule) in [
        ("MAIL FROM:<a@x.test> NOTIFY=NEVER", 555, Rule::Syntax),
        ("MAIL FROM:<a@x.test> RET=ALL", 501, Rule::Syntax),
        ("MAIL FROM:<a@x.test> ENVID=+zz", 501, Rule::Syntax),
        ("MAIL FROM:<a@x.test> AUTH=a", 501, Rule::Syntax),
        ("MAIL FROM:<a@x.test> AUTH=a+0D@x", 501, Rule::Syntax),
        ("MAIL FROM:<a@x.test> MT-PRIORITY=12", 501, Rule::Syntax),
        (
            "MAIL FROM:<a@x.test> HOLDFOR=1 HOLDUNTIL=2026-12-19T16:39:57Z",
            501,
            Rule::Syntax,
        ),
        ("MAIL FROM:<a@x.test> REQUIRETLS", 530, Rule::OutOfSequence),
        ("MAIL FROM:<a@x.test> BODY=7", 501, Rule::Syntax),
        ("MAIL FROM:<a@x.test> XOTHER=1", 555, Rule::NotAdvertised),
    ] {
        let line = format!("{line}\r\n");
        assert_eq!(codes(&mut greeted(&generous()), &line), [code], "{line}");
        assert_eq!(broken(&generous(), &line), [rule], "{line}");
    }
    let plain = Config::new().without("DSN").without("SIZE");
    for parameter in [
        "RET=FULL",
        "ENVID=1",
        "SIZE=1",
        "AUTH=<>",
        "BY=60;R",
        "MT-PRIORITY=1",
        "HOLDFOR=1",
        "REQUIRETLS",
    ] {
        let flight = format!("MAIL FROM:<a@x.test> {parameter}\r\n");
        assert_eq!(
            broken(&plain, &flight),
            [Rule::NotAdvertised],
            "{parameter}"
        );
    }
    for parameter in [
        "NOTIFY=NEVER",
        "ORCPT=rfc822;a@b",
        "RRVS=2014-04-03T23:01:00Z",
    ] {
        let flight = format!("MAIL FROM:<a@x.test>\r\nRCPT TO:<a@x.test> {parameter}\r\n");
        assert_eq!(
            broken(&plain, &flight),
            [Rule::NotAdvertised],
            "{parameter}"
        );
    }
    let flight = "MAIL FROM:<a@x.test>\r\nRCPT TO:<a@x.test> RET=FULL\r\n";
    assert_eq!(broken(&generous(), flight), [Rule::Syntax]);
}

#[test]
fn a_wish_beyond_what_is_offered_is_rejected_but_is_no_fault() {
    for (parameter, code) in [
        ("BY=59;R", 555),
        ("BY=59;N", 250),
        ("BY=60;R", 250),
        ("HOLDFOR=86400", 250),
        ("HOLDFOR=86401", 501),
        ("HOLDUNTIL=2029-12-31T23:00:00-01:00", 250),
        ("HOLDUNTIL=2029-12-31T23:00:01-01:00", 501),
    ] {
        let line = format!("MAIL FROM:<a@x.test> {parameter}\r\n");
        assert_eq!(
            codes(&mut greeted(&generous()), &line),
            [code],
            "{parameter}"
        );
        assert_eq!(broken(&generous(), &line), [], "{parameter}");
    }
}

#[test]
fn an_original_recipient_beyond_ascii_is_decoded_and_needs_smtputf8_as_it_stands() {
    let generous = generous().with("SMTPUTF8");
    let mut machine = greeted(&generous);
    let flight = "MAIL FROM:<a@x.test> SMTPUTF8\r\n\
        RCPT TO:<b@x.test> ORCPT=utf-8;gr\u{fc}\\x{DF}e\\x{2B}@x.test\r\n\
        RCPT TO:<c@x.test> NOTIFY=NEVER\r\n\
        RCPT TO:<d@x.test>\r\n\
        DATA\r\n";
    assert_eq!(codes(&mut machine, flight), [250, 250, 250, 250, 354]);
    ask(&mut machine, "x\r\n.\r\n");
    machine.log().assert_clean();
    let mail = machine.log().mails().remove(0);
    let [first, second, third] = mail.recipients() else {
        panic!("{mail:?}");
    };
    let original = ("utf-8".to_owned(), "gr\u{fc}\u{df}e+@x.test".to_owned());
    assert_eq!(first.original_recipient(), Some(original));
    assert_eq!(
        (second.notify(), second.original_recipient()),
        (vec!["NEVER".to_owned()], None)
    );
    assert_eq!(third.parameters(), []);

    let flight = "MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test> ORCPT=utf-8;\u{fc}@x.test\r\n";
    assert_eq!(codes(&mut greeted(&generous), flight), [250, 501]);
    assert!(broken(&generous, flight).contains(&Rule::EightBit));
    let flight = "MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test> ORCPT=utf-8;\\x{FC}@x.test\r\n";
    assert_eq!(broken(&generous, flight), []);
}

#[test]
fn requiretls_is_taken_inside_tls() {
    let mut machine = Machine::new(&generous().implicit_tls());
    assert!(machine.poll_upgrade());
    machine.handle_tls(TlsInfo::pretended());
    read(&mut machine);
    ask(&mut machine, "EHLO client.test\r\n");
    assert_eq!(
        codes(&mut machine, "MAIL FROM:<a@x.test> REQUIRETLS\r\n"),
        [250]
    );
    machine.log().assert_clean();
}

#[test]
fn what_is_beyond_ascii_is_held_to_smtputf8_and_8bitmime() {
    use Rule::{EightBit, NotAdvertised};
    // In an address, in the header, in the body: by MAIL's parameters, what is held against the
    // client.
    let cases: [(&str, &str, &str, &[Rule]); 12] = [
        ("x.test", "a", "a", &[]),
        ("xn--bcher-kva.test", "a", "a", &[]),
        ("b\u{fc}cher.test", "a", "a", &[EightBit]),
        ("x.test", "\u{fc}", "a", &[EightBit]),
        ("x.test", "a", "\u{fc}", &[EightBit]),
        ("x.test BODY=8BITMIME", "a", "\u{fc}", &[]),
        ("x.test BODY=8BITMIME", "\u{fc}", "a", &[EightBit]),
        ("x.test BODY=8BITMIME", "\u{fc}", "\u{fc}", &[EightBit]),
        ("x.test BODY=BINARYMIME", "\u{fc}", "a", &[EightBit]),
        ("b\u{fc}cher.test SMTPUTF8", "\u{fc}", "\u{fc}", &[]),
        ("x.test SMTPUTF8 BODY=8BITMIME", "\u{fc}", "\u{fc}", &[]),
        ("x.test SMTPUTF8 BODY=BINARYMIME", "\u{fc}", "\u{fc}", &[]),
    ];
    for (mail, header, body, rules) in cases {
        let (domain, parameters) = mail.split_once(' ').unwrap_or((mail, ""));
        let text = format!("Subject: {header}\r\n\r\n{body}\r\n");
        let envelope = format!("MAIL FROM:<a@{domain}> {parameters}");
        let envelope = format!("{}\r\nRCPT TO:<b@x.test>\r\n", envelope.trim_end());
        let config = Config::new().with("CHUNKING").with("BINARYMIME");
        if !parameters.contains("BINARYMIME") {
            let mut machine = greeted(&config);
            ask(&mut machine, format!("{envelope}DATA\r\n"));
            if rules.is_empty() || domain.is_ascii() {
                ask(&mut machine, format!("{text}.\r\n"));
            }
            assert_eq!(common::rules(&machine.log()), rules, "{mail}: {text}");
        }
        if domain.is_ascii() {
            let flight = format!("{envelope}BDAT {} LAST\r\n{text}", text.len());
            assert_eq!(broken(&config, flight), rules, "{mail}: {text}");
        }
        if parameters.contains("SMTPUTF8") {
            let flight = format!("{envelope}RSET\r\n");
            let broken = broken(&config.clone().without("SMTPUTF8"), flight);
            assert!(broken.contains(&NotAdvertised), "{mail}: {broken:?}");
        }
    }
}
