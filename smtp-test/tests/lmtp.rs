//! LMTP (RFC 2033) and the limits that a server may tell (RFC 9422).
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use crate::common::{ask, codes, greeted, read, rules};
use smtp_test::{Action, Config, Log, Machine, Rule, Stage};

const ENVELOPE: &str = "MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nRCPT TO:<no@x.test>\r\nRCPT TO:<c@x.test>\r\nRCPT TO:<d@x.test>\r\n";

fn lmtp() -> Config {
    Config::new()
        .lmtp()
        .with("CHUNKING")
        .reject("no@x.test", "550 5.1.1 no such user")
        .reject_delivery("C@x.test", "452 4.2.2 mailbox full")
}

/// A server of local mail that has been greeted.
fn local(config: &Config) -> Machine {
    let mut machine = Machine::new(config);
    assert_eq!(read(&mut machine), "220 mail.test LMTP\r\n");
    assert!(ask(&mut machine, "LHLO client.test\r\n").ends_with("250 CHUNKING\r\n"));
    machine
}

fn delivered(log: &Log) -> Vec<(String, Vec<u8>)> {
    log.mails()
        .iter()
        .map(|mail| (mail.addresses().join(" "), mail.body().to_vec()))
        .collect()
}

#[test]
fn each_accepted_recipient_gets_a_final_reply_and_a_copy() {
    let copies = [
        ("b@x.test".to_owned(), b"x\r\n".to_vec()),
        ("d@x.test".to_owned(), b"x\r\n".to_vec()),
    ];
    let mut machine = local(&lmtp());
    assert_eq!(
        codes(&mut machine, format!("{ENVELOPE}DATA\r\n")),
        [250, 250, 550, 250, 250, 354]
    );
    assert_eq!(
        ask(&mut machine, "x\r\n.\r\n"),
        "250 2.1.5 delivered\r\n452 4.2.2 mailbox full\r\n250 2.1.5 delivered\r\n"
    );
    assert_eq!(delivered(&machine.log()), copies);

    let mut machine = local(&lmtp());
    let chunks = codes(
        &mut machine,
        format!("{ENVELOPE}BDAT 1\r\nxBDAT 2 LAST\r\n\r\n"),
    );
    assert_eq!(chunks, [250, 250, 550, 250, 250, 250, 250, 452, 250]);
    assert_eq!(delivered(&machine.log()), copies);
    assert_eq!(machine.log().session().mails(), 2);
    machine.log().assert_clean();
}

#[test]
fn the_same_recipient_twice_gets_two_replies() {
    let mut machine = local(&lmtp());
    let flight = "MAIL FROM:<>\r\nRCPT TO:<b@x.test>\r\nRCPT TO:<b@x.test>\r\nBDAT 0 LAST\r\n";
    assert_eq!(codes(&mut machine, flight), [250; 5]);
}

#[test]
fn each_final_reply_is_a_stage() {
    let config = lmtp()
        .on(Stage::Delivery(1), Action::reply("550 5.7.1 no"))
        .on(Stage::EndOfData.nth(3), Action::silent().then_close());
    let mut machine = local(&config);
    ask(&mut machine, format!("{ENVELOPE}DATA\r\n"));
    assert_eq!(
        ask(&mut machine, "x\r\n.\r\n"),
        "550 5.7.1 no\r\n452 4.2.2 mailbox full\r\n<Close>"
    );
    assert_eq!(
        delivered(&machine.log()),
        [("d@x.test".to_owned(), b"x\r\n".to_vec())]
    );
}

#[test]
fn without_recipients_there_is_one_reply() {
    for end in ["DATA\r\n", "BDAT 1 LAST\r\nx"] {
        let mut machine = local(&lmtp());
        let flight = format!("MAIL FROM:<a@x.test>\r\nRCPT TO:<no@x.test>\r\n{end}");
        assert_eq!(codes(&mut machine, flight), [250, 550, 503], "{end}");
        machine.log().assert_clean();
    }
}

#[test]
fn each_protocol_has_its_own_greeting() {
    let mut machine = local(&lmtp());
    assert_eq!(codes(&mut machine, "EHLO client.test\r\n"), [500]);
    assert_eq!(codes(&mut machine, "HELO client.test\r\n"), [500]);
    assert_eq!(rules(&machine.log()), [Rule::NotAdvertised; 2]);
    let mut machine = greeted(&Config::new());
    assert_eq!(codes(&mut machine, "LHLO client.test\r\n"), [500]);
    assert_eq!(rules(&machine.log()), [Rule::NotAdvertised]);
}

#[test]
fn limits_hold_where_they_are_told() {
    let config = Config::new()
        .with("LIMITS RCPTMAX=3 MAILMAX=2 RCPTDOMAINMAX=1")
        .reject("no@x.test", "550 no");
    let mut machine = greeted(&config);
    let rejected_count = "MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nRCPT TO:<no@x.test>\r\nRCPT TO:<c@X.TEST>\r\nRCPT TO:<d@x.test>\r\nRSET\r\n";
    assert_eq!(
        codes(&mut machine, rejected_count),
        [250, 250, 550, 250, 452, 250]
    );
    let domains = "MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nRCPT TO:<b@y.test>\r\nRSET\r\n";
    assert_eq!(codes(&mut machine, domains), [250, 250, 452, 250]);
    let answer = ask(&mut machine, "MAIL FROM:<a@x.test>\r\n");
    assert_eq!(answer, "421 4.7.0 too many messages\r\n<Close>");
    machine.log().assert_clean();

    let unlimited = config.without("LIMITS");
    let mut machine = greeted(&unlimited);
    assert_eq!(
        codes(&mut machine, rejected_count),
        [250, 250, 550, 250, 250, 250]
    );
}

#[test]
fn too_many_recipients_get_the_reply_that_was_asked_for() {
    let flight = "MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nRCPT TO:<c@x.test>\r\n";
    let config = Config::new().max_recipients(1);
    assert_eq!(codes(&mut greeted(&config), flight), [250, 250, 452]);
    let config = config.too_many_recipients("552 5.5.3 too many recipients");
    assert_eq!(codes(&mut greeted(&config), flight), [250, 250, 552]);
}
