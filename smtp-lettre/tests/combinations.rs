//! What an error says of every combination of replies to three recipients and to the message.

use lettre::Transport;
use smtp_lettre::{Error, SmtpTransport};
use smtp_test::{Action, Config, Server, Stage};

use crate::cases::{RECIPIENTS, invoice, start};

#[test]
fn the_methods_of_an_error_agree_for_every_combination_of_replies() {
    let mut errors = 0;
    for replies in 0..27_usize {
        let replies = [replies % 3, replies / 3 % 3, replies / 9].map(|n| RCPT[n]);
        for end in END {
            let mut config = Config::new();
            for (number, reply) in replies.into_iter().enumerate() {
                config = config.on(Stage::Rcpt(number + 1), Action::reply(reply));
            }
            let action = match end {
                Some(reply) => Action::reply(reply),
                None => Action::cut(),
            };
            let server = start(config.on(Stage::EndOfData, action));
            match send(&server) {
                Ok(()) => assert_eq!((replies, end), ([RCPT[0]; 3], END[0])),
                Err(error) => {
                    errors += 1;
                    check(&error, &server, replies, end);
                }
            }
        }
    }
    assert_eq!(errors, 27 * END.len() - 1);
}

fn check(error: &Error, server: &Server, replies: [&str; 3], end: Option<&str>) {
    let context = format!("{replies:?}, {end:?}: {error:#}");
    let admitted = |reply: &&str| **reply == *RCPT[0];
    let is_decided = replies.iter().any(admitted);
    let is_accepted = |number: usize| end == END[0] && admitted(&replies[number]);

    let missing = (0..3).filter(|number| !is_accepted(*number));
    let missing: Vec<_> = missing.map(|number| RECIPIENTS[number]).collect();
    assert!(
        error.not_accepted().eq(missing.iter().copied()),
        "{context}"
    );

    assert_eq!(
        error.is_in_doubt(),
        end.is_none() && is_decided,
        "{context}"
    );

    let transient = |number: &usize| {
        let reply = match end {
            Some(end) if admitted(&replies[*number]) => end,
            _ => replies[*number],
        };
        reply.starts_with('4')
    };
    let again: Vec<_> = (0..3).filter(transient).map(|n| RECIPIENTS[n]).collect();
    let retry = error.retry();
    let retried = retry.iter().flat_map(|mail| mail.recipients());
    assert!(
        retried.map(|path| path.as_str()).eq(again.iter().copied()),
        "{context}"
    );

    // The whole message can be sent again if no recipient has it, or may have it.
    let is_whole = missing.len() == 3 && !error.is_in_doubt();
    assert_eq!(
        error.is_transient(),
        is_whole && !again.is_empty(),
        "{context}"
    );
    assert!(!(error.is_transient() && error.is_permanent()), "{context}");
    // Where sending again does not help, a reply says so.
    if retry.is_none() && !error.is_in_doubt() {
        assert!(error.is_permanent(), "{context}");
    }
    if error.is_transient() {
        assert!(server.mails().is_empty(), "{context}");
    }
}

fn send(server: &Server) -> Result<(), Error> {
    let transport = SmtpTransport::builder_dangerous("localhost")
        .port(server.port())
        .build()?;
    transport.send(&invoice()).map(drop)
}

const RCPT: [&str; 3] = ["250 2.1.5 ok", "450 4.2.1 busy", "550 5.1.1 no such user"];

/// The final reply; with `None`, the connection is lost before it.
const END: [Option<&str>; 4] = [
    Some("250 2.0.0 queued"),
    Some("451 4.3.0 later"),
    Some("554 5.7.1 spam"),
    None,
];
