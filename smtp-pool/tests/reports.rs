//! What the outcomes of real connections mean for the pool: when a message waits again.

use smtp_pool::proto::{Mail, MailId, Outcome, Pipelining, Protocol};
use smtp_pool::{Action, Pool, PoolConfig, Report, Request, Verdict};

use crate::history::dialogue::Dialogue;

/// Whether a message with this outcome on a used connection is sent again: at first, and after
/// it has been sent again once.
fn verdicts(report: Report) -> (Verdict, Verdict) {
    let now = smtp_pool::proto::Time::ORIGIN;
    let mut pool = Pool::new(PoolConfig::new().with_max_connections(2), 7);
    // Two connections have carried a message.
    for _ in 0..2 {
        let _ = pool.request(now, Request::new()).unwrap();
    }
    let mut used = Vec::new();
    while let Some(action) = pool.poll_action(now) {
        let Action::Connect { connection, .. } = action else {
            panic!("{action:?}");
        };
        let ticket = pool.handle_connected(now, connection, None).unwrap();
        used.push((connection, ticket));
    }
    for (connection, ticket) in used {
        let _ = pool.handle_outcome(now, connection, ticket, Report::accepted());
    }
    let send = |pool: &mut Pool, report| {
        let Some(Action::Use {
            connection, ticket, ..
        }) = pool.poll_action(now)
        else {
            panic!("no idle connection is used");
        };
        pool.handle_outcome(now, connection, ticket, report)
    };
    let _ = pool.request(now, Request::new()).unwrap();
    let first = send(&mut pool, report);
    if first == Verdict::Final {
        return (first, Verdict::Final);
    }
    (first, send(&mut pool, report))
}

const ALWAYS: (Verdict, Verdict) = (Verdict::Again, Verdict::Again);
const ONCE: (Verdict, Verdict) = (Verdict::Again, Verdict::Final);
const NEVER: (Verdict, Verdict) = (Verdict::Final, Verdict::Final);

/// The report on a message, as a driver makes it.
fn report(dialogue: &mut Dialogue, id: MailId, before: u64) -> (Outcome, Report) {
    let outcome = dialogue.outcome(id);
    let is_untouched = outcome.stats().bytes_sent() == before;
    let report = Report::new(&outcome, dialogue.is_open(), is_untouched);
    (outcome, report)
}

/// A message to two recipients on a used connection; the server's replies, and then the fault.
fn after(replies: &[&str], fault: fn(&mut Dialogue)) -> Report {
    let mut dialogue = Dialogue::used();
    let before = dialogue.connection.stats().bytes_sent();
    let id = dialogue.submit(&["b@x.test", "c@x.test"]);
    dialogue.say_all(replies);
    dialogue.listen();
    fault(&mut dialogue);
    let (outcome, report) = report(&mut dialogue, id, before);
    if verdicts(report).0 == Verdict::Again {
        let retry = outcome.retry().expect("a message that is sent again");
        assert_eq!(retry.recipients().len(), 2, "{outcome}");
    }
    report
}

/// A failure by its name.
type Fault = (&'static str, fn(&mut Dialogue));

const FAULTS: &[Fault] = &[
    ("end of file", Dialogue::eof),
    ("reset", Dialogue::reset),
    ("timeout", Dialogue::time_out),
    ("221", |dialogue| dialogue.say("221 2.0.0 bye\r\n")),
    ("221 and the end", |dialogue| {
        dialogue.say("221 2.0.0 bye\r\n");
        dialogue.eof();
    }),
];

#[test]
fn a_connection_lost_before_the_end_of_data_costs_the_one_retry() {
    let dialogues: &[&[&str]] = &[
        &[],
        &["250 ok\r\n"],
        &["250 ok\r\n", "250 ok\r\n"],
        &["250 ok\r\n", "250 ok\r\n", "250 ok\r\n"],
    ];
    for replies in dialogues {
        for (name, fault) in FAULTS {
            let report = after(replies, *fault);
            assert_eq!(verdicts(report), ONCE, "{replies:?}, {name}");
        }
    }
}

#[test]
fn a_connection_lost_after_the_end_of_data_leaves_a_doubt() {
    let replies = ["250 ok\r\n", "250 ok\r\n", "250 ok\r\n", "354 go\r\n"];
    for (name, fault) in FAULTS {
        let report = after(&replies, *fault);
        assert_eq!(report, Report::in_doubt(), "{name}");
        assert_eq!(verdicts(report), NEVER, "{name}");
    }
}

#[test]
fn a_connection_lost_inside_the_content_costs_the_one_retry() {
    for name in ["end of file", "reset", "timeout"] {
        let mut dialogue = Dialogue::used();
        let before = dialogue.connection.stats().bytes_sent();
        let message = format!("From: a@x.test\r\n\r\n{}", "hello\r\n".repeat(100_000));
        let mail = Mail::new("a@x.test", ["b@x.test"], message).unwrap();
        let id = dialogue.connection.submit(mail);
        dialogue.say_all(&["250 ok\r\n", "250 ok\r\n", "354 go\r\n"]);
        // One piece of the content is handed to the transport.
        if dialogue.connection.poll_transmit(dialogue.now).is_none() {
            dialogue.connection.handle_timeout(dialogue.now);
        }
        let len = dialogue
            .connection
            .poll_transmit(dialogue.now)
            .unwrap()
            .len();
        assert!(len < 700_000);
        dialogue.connection.handle_sent(dialogue.now, len);
        match name {
            "end of file" => dialogue.connection.handle_eof(dialogue.now),
            "reset" => {
                let error = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
                dialogue
                    .connection
                    .handle_read_error(dialogue.now, error.into());
            }
            _ => {
                // Some of the content is on its way, and the server takes no more of it.
                while dialogue.is_open() {
                    let _ = dialogue.connection.poll_transmit(dialogue.now);
                    dialogue.now = dialogue.connection.poll_timeout().unwrap();
                    dialogue.connection.handle_timeout(dialogue.now);
                }
            }
        }
        let (outcome, report) = report(&mut dialogue, id, before);
        assert_eq!(verdicts(report), ONCE, "{name}: {outcome}");
        assert!(outcome.retry().is_some());
    }
}

#[test]
fn a_connection_that_closed_while_it_was_idle_costs_nothing() {
    let faults: &[Fault] = &[
        ("end of file", |dialogue| {
            dialogue.connection.handle_eof(dialogue.now)
        }),
        ("reset", |dialogue| {
            let error = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
            dialogue
                .connection
                .handle_read_error(dialogue.now, error.into());
        }),
        ("421", |dialogue| {
            dialogue
                .connection
                .handle_input(dialogue.now, b"421 4.4.2 idle for too long\r\n");
        }),
        ("421 and the end", |dialogue| {
            dialogue
                .connection
                .handle_input(dialogue.now, b"421 4.4.2 idle\r\n");
            dialogue.connection.handle_eof(dialogue.now);
        }),
        ("221 and the end", |dialogue| {
            dialogue
                .connection
                .handle_input(dialogue.now, b"221 2.0.0 bye\r\n");
            dialogue.connection.handle_eof(dialogue.now);
        }),
        ("half a 421", |dialogue| {
            dialogue.connection.handle_input(dialogue.now, b"421 4.4");
            dialogue.connection.handle_eof(dialogue.now);
        }),
        ("garbage", |dialogue| {
            dialogue
                .connection
                .handle_input(dialogue.now, b"hello?\r\n");
        }),
        ("a surplus reply", |dialogue| {
            dialogue
                .connection
                .handle_input(dialogue.now, b"250 ok\r\n");
        }),
    ];
    for (name, fault) in faults {
        // The driver learns of it before or after it submits the message.
        for is_first in [true, false] {
            let mut dialogue = Dialogue::used();
            let before = dialogue.connection.stats().bytes_sent();
            if is_first {
                fault(&mut dialogue);
            }
            let id = dialogue.submit(&["b@x.test", "c@x.test"]);
            if !is_first {
                fault(&mut dialogue);
            }
            let (outcome, report) = report(&mut dialogue, id, before);
            assert_eq!(report, Report::untouched(), "{name}, {is_first}: {outcome}");
            assert_eq!(verdicts(report), ALWAYS);
            assert_eq!(outcome.retry().unwrap().recipients().len(), 2, "{name}");
        }
    }
}

#[test]
fn a_closing_reply_to_mail_costs_the_one_retry() {
    for reply in [
        "421 4.3.2 closing\r\n",
        "421 4.4.2 idle\r\n",
        "221 2.0.0 bye\r\n",
    ] {
        let mut dialogue = Dialogue::used();
        let before = dialogue.connection.stats().bytes_sent();
        let id = dialogue.submit(&["b@x.test"]);
        dialogue.say(reply);
        let (outcome, report) = report(&mut dialogue, id, before);
        assert_eq!(verdicts(report), ONCE, "{outcome}");
        assert!(outcome.retry().is_some(), "{outcome}");
    }
}

#[test]
fn a_message_that_was_rejected_was_not_untouched() {
    let mut dialogue = Dialogue::used();
    let id = dialogue.submit(&["b@x.test"]);
    dialogue.say("421 4.3.2 closing\r\n");
    let report = Report::new(&dialogue.outcome(id), false, true);
    assert_eq!(verdicts(report), ONCE);
}

#[test]
fn another_rejection_of_mail_is_final() {
    for reply in [
        "432 4.3.2 busy\r\n",
        "451 4.7.28 busy\r\n",
        "450 4.7.1 later\r\n",
        "550 5.7.1 no\r\n",
    ] {
        let mut dialogue = Dialogue::used();
        let before = dialogue.connection.stats().bytes_sent();
        let id = dialogue.submit(&["b@x.test"]);
        dialogue.say(reply);
        let (outcome, report) = report(&mut dialogue, id, before);
        assert!(report.is_open(), "{outcome}");
        assert_eq!(verdicts(report), NEVER, "{outcome}");
    }
}

#[test]
fn a_421_after_mail_is_final() {
    let dialogues: &[&[&str]] = &[
        &["250 ok\r\n", "421 closing\r\n"],
        &["250 ok\r\n", "250 ok\r\n", "421 closing\r\n"],
        &["250 ok\r\n", "250 ok\r\n", "250 ok\r\n", "421 closing\r\n"],
        &[
            "250 ok\r\n",
            "250 ok\r\n",
            "250 ok\r\n",
            "354 go\r\n",
            "421 closing\r\n",
        ],
    ];
    for replies in dialogues {
        assert_eq!(verdicts(after(replies, |_| {})), NEVER, "{replies:?}");
    }
}

#[test]
fn a_message_with_a_rejected_recipient_is_not_sent_again_as_a_whole() {
    for rejection in ["550 5.1.1 no such user\r\n", "450 4.2.1 busy\r\n"] {
        let mut dialogue = Dialogue::used();
        let before = dialogue.connection.stats().bytes_sent();
        let id = dialogue.submit(&["b@x.test", "c@x.test"]);
        dialogue.say_all(&["250 ok\r\n", "250 ok\r\n", rejection]);
        dialogue.eof();
        let (outcome, report) = report(&mut dialogue, id, before);
        assert_eq!(verdicts(report), NEVER, "{outcome}");
    }
}

#[test]
fn a_message_accepted_for_one_recipient_of_two_counts_as_accepted() {
    let mut dialogue = Dialogue::used();
    let before = dialogue.connection.stats().bytes_sent();
    let id = dialogue.submit(&["b@x.test", "c@x.test"]);
    dialogue.say_all(&[
        "250 ok\r\n",
        "550 no\r\n",
        "250 ok\r\n",
        "354 go\r\n",
        "250 taken\r\n",
    ]);
    let (outcome, report) = report(&mut dialogue, id, before);
    assert_eq!(report, Report::accepted(), "{outcome}");
}

#[test]
fn lmtp_with_a_recipient_in_doubt_is_in_doubt() {
    let mut dialogue = Dialogue::ready_with(Pipelining::Off, Protocol::Lmtp);
    let id = dialogue.submit(&["b@x.test", "c@x.test"]);
    dialogue.say_all(&[
        "250 ok\r\n",
        "250 ok\r\n",
        "250 ok\r\n",
        "354 go\r\n",
        "250 taken\r\n",
    ]);
    dialogue.eof();
    let (outcome, report) = report(&mut dialogue, id, 0);
    assert_eq!(report, Report::in_doubt(), "{outcome}");
    assert_eq!(verdicts(report), NEVER);
}

#[test]
fn lmtp_with_a_recipient_accepted_is_accepted() {
    let mut dialogue = Dialogue::ready_with(Pipelining::Off, Protocol::Lmtp);
    let id = dialogue.submit(&["b@x.test", "c@x.test"]);
    let replies = [
        "250 ok\r\n",
        "250 ok\r\n",
        "250 ok\r\n",
        "354 go\r\n",
        "250 taken\r\n",
        "452 full\r\n",
    ];
    dialogue.say_all(&replies);
    let (outcome, report) = report(&mut dialogue, id, 0);
    assert_eq!(report, Report::accepted(), "{outcome}");
}

#[test]
fn streamed_content_is_not_sent_again() {
    let mut dialogue = Dialogue::used();
    let before = dialogue.connection.stats().bytes_sent();
    let mail = Mail::builder()
        .sender("a@x.test")
        .recipient("b@x.test")
        .streamed(smtp_pool::proto::StreamedContent::new())
        .build()
        .unwrap();
    let id = dialogue.connection.submit(mail);
    dialogue.say("250 ok\r\n");
    dialogue.eof();
    let (outcome, report) = report(&mut dialogue, id, before);
    assert_eq!(verdicts(report), NEVER, "{outcome}");
}

/// Two messages in one flight. The first has its reply, or not, when the connection fails.
fn two_in_a_flight(replies: &[&str], fault: fn(&mut Dialogue)) -> [Report; 2] {
    let mut dialogue = Dialogue::ready_with(Pipelining::Transactions, Protocol::Smtp);
    let ids = [
        dialogue.submit(&["b@x.test"]),
        dialogue.submit(&["c@x.test"]),
    ];
    dialogue.say_all(replies);
    dialogue.listen();
    fault(&mut dialogue);
    // Others were on the connection, so it cannot be told whether this one was touched.
    ids.map(|id| report(&mut dialogue, id, u64::MAX).1)
}

#[test]
fn a_message_behind_one_whose_connection_fails_costs_the_one_retry() {
    let envelope = "250 ok\r\n250 ok\r\n354 go\r\n";
    for (name, fault) in FAULTS {
        let reports = two_in_a_flight(&[envelope], *fault);
        assert_eq!(reports[0], Report::in_doubt(), "{name}");
        assert_eq!(verdicts(reports[1]), ONCE, "{name}");
        let reports = two_in_a_flight(&[], *fault);
        assert_eq!(reports.map(verdicts), [ONCE, ONCE], "{name}");
    }
    // The rejection of one message is not that of the next.
    let reports = two_in_a_flight(&["421 4.3.2 closing\r\n"], |_| {});
    assert_eq!(reports.map(verdicts), [ONCE, ONCE]);
    let reports = two_in_a_flight(&[envelope, "421 4.3.2 closing\r\n"], |_| {});
    assert_eq!(reports.map(verdicts), [NEVER, ONCE]);
    let reports = two_in_a_flight(&[envelope, "250 taken\r\n"], Dialogue::eof);
    assert_eq!(reports.map(verdicts), [NEVER, ONCE]);
}
