//! The outcome of each recipient when more than an envelope is in flight, with chunks, and in LMTP:
//! right wherever and however a session fails, and the same at every level.

use crate::common::invariants::check_fates;
use crate::common::pair::{Cut, Fault, Pair};
use crate::common::raw_mail;
use crate::common::session::{MODES, Mode};
use crate::exhaustive::{is_exhaustive, one_in_turn};
use proptest::prelude::*;
use smtp_proto::Pipelining;
use smtp_test::{Action, Machine, Stage};

#[test]
fn an_undisturbed_session_has_the_same_outcomes_in_every_mode() {
    for mode in MODES {
        let run = mode.run(&mode.server(), None);
        run.end.as_ref().unwrap();
        let c = if mode.lmtp {
            "rejected at the end of the message: 452"
        } else {
            "accepted: 250"
        };
        let large = match mode.chunk {
            Some(9) => "rejected while sending the message: 552",
            _ => "rejected at the end of the message: 552",
        };
        let starts = [
            "rejected at MAIL: 553",
            "accepted: 250",
            "rejected at RCPT: 550",
            c,
            "accepted: 250",
            "rejected at RCPT: 550",
            large,
            "accepted: 250",
            "accepted: 250",
        ];
        let statuses = run.statuses();
        assert_eq!(statuses.len(), starts.len());
        for (fate, start) in statuses.iter().zip(starts) {
            assert!(
                fate.starts_with(start),
                "{mode:?}: {fate:#}, and not {start}"
            );
        }
    }
}

/// The places at which a session of `len` bytes is cut in a mode: all, or without `EXHAUSTIVE` those
/// that no other mode has.
fn places(len: usize, mode: usize) -> impl Iterator<Item = usize> {
    (0..len).filter(move |at| is_exhaustive() || at % MODES.len() == mode)
}

#[test]
fn v40_every_outcome_is_right_wherever_the_input_ends() {
    let faults = [
        (Fault::Eof, true),
        (Fault::Silence, false),
        (Fault::Input(b"\x00250 ok\r\n"), true),
        (Fault::ReadError, false),
    ];
    for (number, mode) in MODES.into_iter().enumerate() {
        let server = mode.server();
        for after in places(mode.run(&server, None).received, number) {
            let &(fault, eager) = one_in_turn(&faults, number + after);
            let cut = Cut::Input {
                after,
                eager,
                fault,
            };
            mode.run(&server, Some(cut));
        }
    }
}

#[test]
fn v40_every_outcome_is_right_wherever_the_output_ends() {
    let faults = [
        (Fault::Eof, true),
        (Fault::WriteError, false),
        (Fault::Silence, true),
        (Fault::WriteErrorAndEof, true),
        (Fault::Eof, false),
    ];
    for (number, mode) in MODES.into_iter().enumerate() {
        let server = mode.server();
        for after in places(mode.run(&server, None).sent, number) {
            let &(fault, reaches) = one_in_turn(&faults, number + after);
            let cut = Cut::Output {
                after,
                reaches,
                fault,
            };
            mode.run(&server, Some(cut));
        }
    }
}

#[test]
fn v26_an_invalid_final_reply_leaves_the_message_in_doubt_and_those_sent_after_it() {
    for mode in MODES {
        for reply in [
            "354 go on\r\n",
            "150 wait\r\n",
            "250-one\r\n550 two\r\n",
            "25",
        ] {
            for nth in 1..3 {
                let server = mode
                    .server()
                    .on(Stage::EndOfData.nth(nth), Action::raw(reply));
                let run = mode.run(&server, None);
                assert!(run.end.is_err(), "{mode:?}, {reply:?}");
                assert!(
                    run.outcomes.iter().any(smtp_proto::Outcome::is_in_doubt),
                    "{mode:?}, {reply:?}, {nth}: {:?}",
                    run.statuses()
                );
            }
        }
    }
}

#[test]
fn v27_a_421_ends_the_connection_at_every_stage_and_every_outcome_is_right() {
    for mode in MODES {
        for stage in [
            Stage::Mail.nth(2),
            Stage::AnyRcpt.nth(2),
            Stage::AnyRcpt.nth(4),
            Stage::AnyRcpt.nth(5),
            Stage::Data.nth(1),
            Stage::Bdat(1).nth(2),
            Stage::Rset.nth(1),
            Stage::Rset.nth(2),
            Stage::EndOfData.nth(1),
            Stage::EndOfData.nth(2),
            Stage::EndOfData.nth(3),
            Stage::Delivery(2).nth(1),
        ] {
            for action in [
                Action::reply("421 4.3.2 going down").then_close(),
                Action::reply("421 4.3.2 going down"),
            ] {
                let server = mode.server().on(stage, action);
                mode.run(&server, None);
            }
        }
    }
}

/// A message: whether it is too large, and the kinds of its recipients.
fn mail() -> impl Strategy<Value = (bool, Vec<usize>)> {
    (
        prop::bool::weighted(0.2),
        prop::collection::vec(0..KINDS.len(), 1..6),
    )
}

/// The names of recipients, which decide their outcome.
const KINDS: [&str; 6] = ["ok", "fine", "good", "no", "later", "full"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn every_level_gives_the_same_outcomes(
        mails in prop::collection::vec(mail(), 1..6),
        most in prop::option::of(1..4_usize),
        limit in prop::option::of(1..4_usize),
        chunk in prop::sample::select(vec![None, Some(9), Some(1000)]),
        lmtp in any::<bool>(),
    ) {
        let mut expected: Option<Vec<String>> = None;
        for level in LEVELS {
            let mode = Mode { level, chunk, lmtp };
            let statuses = statuses(mode, &mails, most, limit);
            prop_assert_eq!(expected.get_or_insert_with(|| statuses.clone()), &statuses, "{:?}", mode);
        }
    }
}

const LEVELS: [Pipelining; 4] = [
    Pipelining::Off,
    Pipelining::Envelope,
    Pipelining::Transactions,
    Pipelining::Speculative,
];

/// Sends the messages to a server that accepts `most` recipients in a transaction, and advertises
/// `limit`.
fn statuses(
    mode: Mode,
    mails: &[(bool, Vec<usize>)],
    most: Option<usize>,
    limit: Option<usize>,
) -> Vec<String> {
    let mut server = mode.plain_server().without("SIZE").size_limit(60);
    if let Some(most) = most {
        server = server.max_recipients(most);
    }
    if let Some(limit) = limit {
        server = server.with(format!("LIMITS RCPTMAX={limit}"));
    }
    let mut texts = Vec::new();
    for (number, (large, kinds)) in mails.iter().enumerate() {
        let recipients: Vec<_> = kinds
            .iter()
            .enumerate()
            .map(|(index, kind)| format!("{}-{number}-{index}@x.test", KINDS[*kind]))
            .collect();
        for recipient in &recipients {
            server = match recipient.split('-').next() {
                Some("no") => server.reject(recipient, "550 5.1.1 no such user"),
                Some("later") => server.reject(recipient, "450 4.2.1 later"),
                Some("full") => server
                    .reject(recipient, "452 4.2.2 full")
                    .reject_delivery(recipient, "452 4.2.2 full"),
                _ => server,
            };
        }
        let text = format!(
            "Number: {number}\r\n\r\n{}",
            if *large {
                "x".repeat(60)
            } else {
                String::new()
            }
        );
        let mail = raw_mail(format!("m{number}@x.test"), recipients, text.clone()).unwrap();
        texts.push((mail, text));
    }
    let mut pair = Pair::new(mode.config(), Machine::new(&server));
    let mails: Vec<_> = texts
        .into_iter()
        .map(|(mail, text)| (pair.connection.submit(mail), text))
        .collect();
    pair.connection.quit();
    let (mut outcomes, end) = pair.finish();
    end.unwrap();
    outcomes.sort_by_key(|(id, _)| *id);
    let log = pair.peer.log();
    log.assert_clean();
    for ((_, outcome), (_, text)) in outcomes.iter().zip(&mails) {
        check_fates(outcome, &log.mails(), text.as_bytes());
    }
    outcomes
        .iter()
        .flat_map(|(_, outcome)| outcome.recipients())
        .map(|delivery| format!("{:#}", delivery.status()))
        .collect()
}
