//! Every scenario in `tests/scenarios`, whole, by line and by byte, and with completions that are
//! seen after the replies.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;

use crate::common::invariants::check_leaving;
use crate::common::pair::Pair;
use crate::common::scenario::{self, Action, Piece, Scenario, Trace, source_error};
use smtp_proto::{CommandId, Connection, ContentStatus, MailError, MailId};
use smtp_test::{Peer, Split};

#[test]
fn every_scenario_has_its_dialogue_and_results_for_any_cuts() {
    let mut failed = Vec::new();
    let mut ran = Vec::new();
    for scenario in scenario::all() {
        ran.push(scenario.name.clone());
        // Printed if it panics.
        println!("{}", scenario.name);
        // One that panics does not hide the others.
        let first = AssertUnwindSafe(|| run(&scenario, Split::Whole, usize::MAX, false));
        let Ok((whole, sent)) = catch_unwind(first) else {
            failed.push(format!("{}: see above\n", scenario.name));
            continue;
        };
        if whole.0.trim_end() != scenario.expected {
            failed.push(format!(
                "{}: the results are\n{}\nand not\n{}\n",
                scenario.name, whole.0, scenario.expected
            ));
            continue;
        }
        for split in Split::ALL {
            for (write_at_most, by_completion) in [
                (usize::MAX, false),
                (7, false),
                (1, false),
                (usize::MAX, true),
                (7, true),
            ] {
                let again = run(&scenario, split, write_at_most, by_completion);
                let context = format!(
                    "{}, {split:?}, {write_at_most} bytes a write, by completion: {by_completion}",
                    scenario.name
                );
                assert_eq!(again.0, whole, "{context}");
                assert_eq!(again.1, sent, "{context}");
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    if std::env::var_os("SCENARIO").is_none() {
        assert_eq!(ran, scenario::names());
    }
}

/// Runs a scenario in memory; returns the results of the caller and the output.
fn run(
    scenario: &Scenario,
    split: Split,
    write_at_most: usize,
    by_completion: bool,
) -> (Trace, Vec<u8>) {
    let name = &scenario.name;
    let player = scenario.script.play(split);
    let report = player.report();
    let mut pair = Pair::new(Arc::clone(&scenario.config), player);
    pair.write_at_most = write_at_most;
    pair.by_completion = by_completion;
    let mut trace = Trace::default();
    // The driver begins TLS before its first question.
    pair.exchange();
    let mut ready = pair.drive(Connection::poll_ready);
    if ready.as_ref().is_err_and(Scenario::wants_token) {
        scenario.answer_token(&mut pair.connection);
        ready = pair.drive(Connection::poll_ready);
    }
    if trace.ready(ready) {
        let ids: Vec<_> = scenario
            .actions
            .iter()
            .map(|action| submit(&mut pair.connection, action))
            .collect();
        for id in ids {
            match id {
                Id::Mail(id, pieces) => {
                    write(&mut pair, id, pieces);
                    trace.outcome(pair.drive(|c| c.poll_outcome(id)));
                }
                Id::Rejected(error) => trace.rejected(error),
                Id::Command(id) => trace.reply(pair.drive(|c| c.poll_reply(id))),
                Id::Quit => trace.ended(pair.drive(Connection::poll_closed)),
            }
        }
    }
    pair.exchange();
    if let Poll::Ready(Err(_)) = pair.connection.poll_ready() {
        assert!(
            pair.connection.poll_transmit(pair.now).is_none(),
            "{name}: output after the end"
        );
        assert_eq!(
            pair.connection.poll_timeout(),
            None,
            "{name}: awaited after the end"
        );
    }
    pair.peer.handle_eof();
    check_leaving(
        scenario.config.security(),
        &pair.sent,
        pair.sent_in_cleartext,
    );
    if let Err(mismatch) = report.verdict() {
        panic!(
            "{name} ({split:?}, {write_at_most} bytes a write): {mismatch}\nresults:\n{}",
            trace.0
        );
    }
    (trace, pair.sent)
}

enum Id<'a> {
    Mail(MailId, &'a [Piece]),
    Rejected(&'a MailError),
    Command(CommandId),
    Quit,
}

fn submit<'a>(connection: &mut Connection, action: &'a Action) -> Id<'a> {
    match action {
        Action::Mail(mail) => Id::Mail(connection.submit(mail.clone()), &[]),
        Action::Stream(mail, pieces) => Id::Mail(connection.submit(mail.clone()), pieces),
        Action::Rejected(error) => Id::Rejected(error),
        Action::Command(command) => Id::Command(connection.command(command.clone())),
        Action::Quit => {
            connection.quit();
            Id::Quit
        }
    }
}

/// Writes each piece when it is wanted, until the outcome is known.
fn write<P: Peer>(pair: &mut Pair<P>, id: MailId, pieces: &[Piece]) {
    for piece in pieces {
        let Ok(ContentStatus::Wanted) = pair.drive(|c| c.poll_content(id)) else {
            return;
        };
        match piece {
            Piece::Text(text) => pair
                .connection
                .write_content(id, text.clone().into())
                .unwrap(),
            Piece::Finish => pair.connection.finish_content(id).unwrap(),
            Piece::Fail => pair.connection.fail_content(id, source_error()),
            Piece::Abandon => pair.connection.abandon(id),
        }
    }
}
