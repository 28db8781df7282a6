//! XCLIENT and XFORWARD: advertised, in their place, well formed, and as long in force as Postfix
//! has it.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use crate::common::{ask, broken, codes, greeted};
use smtp_test::{Action, Config, Machine, Rule, Stage};

fn trusting() -> Config {
    Config::new()
        .with("XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT")
        .with("XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE")
}

const MAIL: &str = "MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nDATA\r\n";

fn mail(machine: &mut Machine) {
    assert_eq!(codes(machine, MAIL), [250, 250, 354]);
    ask(machine, "x\r\n.\r\n");
}

#[test]
fn xclient_leads_back_to_the_greeting_and_keeps_what_was_told() {
    let mut machine = greeted(&trusting());
    let first = "XCLIENT name=a.x.test ADDR=IPV6:2001:db8::1 HELO=old.x.test\r\n";
    assert_eq!(codes(&mut machine, first), [220]);
    let second = "XCLIENT PROTO=ESMTP LOGIN=al+20ice DESTPORT=25\r\n";
    assert_eq!(codes(&mut machine, second), [220]);
    assert_eq!(codes(&mut machine, "EHLO b.x.test\r\n"), [250]);
    mail(&mut machine);
    machine.log().assert_clean();
    let session = machine.log().session();
    for (attribute, value) in [
        ("NAME", Some("a.x.test")),
        ("addr", Some("IPV6:2001:db8::1")),
        ("PROTO", Some("ESMTP")),
        ("LOGIN", Some("al ice")),
        // A later XCLIENT undoes it.
        ("HELO", None),
    ] {
        assert_eq!(session.xclient(attribute).as_deref(), value, "{attribute}");
    }
    assert_eq!(session.authenticated_as(), Some("al ice"));
    let mail = machine.log().mails().remove(0);
    assert_eq!(mail.authenticated_as(), Some("al ice"));
}

#[test]
fn behind_xclient_there_is_no_mail_before_ehlo() {
    let flight = "XCLIENT NAME=a\r\n";
    let mut machine = greeted(&trusting());
    codes(&mut machine, flight);
    assert_eq!(codes(&mut machine, "MAIL FROM:<a@x.test>\r\n"), [503]);
    assert!(matches!(
        machine.log().violations().as_slice(),
        [one] if one.rule() == Rule::OutOfSequence
    ));
}

#[test]
fn xforward_is_for_the_next_mail() {
    let mut machine = greeted(&trusting());
    let told = "XFORWARD NAME=[UNAVAILABLE] SOURCE=LOCAL\r\nXFORWARD IDENT=4X NAME=a.x.test\r\n";
    assert_eq!(codes(&mut machine, told), [250, 250]);
    mail(&mut machine);
    mail(&mut machine);
    machine.log().assert_clean();
    let mails = machine.log().mails();
    let told = |attribute| {
        let values = mails.iter().map(|mail| mail.forwarded(attribute));
        values.collect::<Vec<_>>()
    };
    assert_eq!(told("NAME"), [Some("a.x.test".to_owned()), None]);
    assert_eq!(told("SOURCE"), [Some("LOCAL".to_owned()), None]);
    assert_eq!(told("IDENT"), [Some("4X".to_owned()), None]);
}

#[test]
fn attributes_that_are_not_offered_or_malformed_or_late_are_rejected() {
    for (line, code, rule) in [
        ("XCLIENT ADDR=10.0.0.256", 501, Rule::Syntax),
        ("XCLIENT ADDR=2001:db8::1", 501, Rule::Syntax),
        ("XCLIENT PORT=70000", 501, Rule::Syntax),
        ("XCLIENT PROTO=HTTP", 501, Rule::Syntax),
        ("XCLIENT HELO=[TEMPUNAVAIL]", 501, Rule::Syntax),
        ("XCLIENT NAME=a+20b", 501, Rule::Syntax),
        ("XCLIENT IDENT=a", 501, Rule::NotAdvertised),
        ("XFORWARD LOGIN=a", 501, Rule::NotAdvertised),
        ("XFORWARD SOURCE=HERE", 501, Rule::Syntax),
        ("XFORWARD NAME=[TEMPUNAVAIL]", 501, Rule::Syntax),
        ("XCLIENT NAME", 501, Rule::Syntax),
    ] {
        let line = format!("{line}\r\n");
        assert_eq!(codes(&mut greeted(&trusting()), &line), [code], "{line}");
        assert_eq!(broken(&trusting(), &line), [rule], "{line}");
    }
    for line in ["XCLIENT NAME=a\r\n", "XFORWARD NAME=a\r\n"] {
        assert_eq!(
            broken(&Config::new(), line),
            [Rule::NotAdvertised],
            "{line}"
        );
        let flight = format!("MAIL FROM:<a@x.test>\r\n{line}");
        assert_eq!(
            broken(&trusting(), &flight),
            [Rule::OutOfSequence],
            "{line}"
        );
    }
}

#[test]
fn a_rejected_xclient_changes_nothing() {
    let config = trusting().on(Stage::Xclient, Action::reply("550 5.7.0 not you"));
    let config = config.on(Stage::Xforward, Action::reply("550 5.7.0 not you"));
    let mut machine = greeted(&config);
    assert_eq!(codes(&mut machine, "XCLIENT LOGIN=a\r\n"), [550]);
    assert_eq!(codes(&mut machine, "XFORWARD NAME=a\r\n"), [550]);
    mail(&mut machine);
    machine.log().assert_clean();
    assert_eq!(machine.log().session().xclient("LOGIN"), None);
    let mail = machine.log().mails().remove(0);
    assert_eq!(
        (mail.authenticated_as(), mail.forwarded("NAME")),
        (None, None)
    );
}
