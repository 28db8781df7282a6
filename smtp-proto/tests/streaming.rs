//! Streamed content: when each piece is wanted, what is sent, and what follows an error in the
//! content.

use crate::common::Answered as _;
use crate::common::pair::transmit;
use std::io;
use std::sync::Arc;
use std::task::Poll;

use crate::common::pair::Pair;
use crate::common::raw_mail;
use bytes::Bytes;
use proptest::prelude::*;
use smtp_proto::{
    ApiMisuse, Config, Connection, ContentStatus, Error, ErrorKind, Event, Mail, MailId, Outcome,
    Pipelining, RecipientStatus, Security, Seed, Stage, StreamedContent,
};
use smtp_test::{Action, Machine, Peer};

fn config() -> Arc<Config> {
    let config = Config::builder("client.test".parse().unwrap()).security(Security::Cleartext);
    Arc::new(config.build().unwrap())
}

fn pair() -> Pair<Machine> {
    Pair::new(config(), Machine::new(&smtp_test::Config::new()))
}

fn streamed(sender: &str) -> Mail {
    Mail::builder()
        .sender(sender)
        .recipient("to@x.test")
        .without_header_check()
        .streamed(StreamedContent::new())
        .build()
        .unwrap()
}

/// Waits until a piece is wanted.
fn wanted(pair: &mut Pair<Machine>, id: MailId) {
    let status = pair.drive(|c| c.poll_content(id)).unwrap();
    assert_eq!(status, ContentStatus::Wanted);
}

/// Writes the pieces, each when it is wanted, and returns the outcome.
fn send<'a>(
    pair: &mut Pair<Machine>,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Outcome, Error> {
    let id = pair.connection.submit(streamed("from@x.test"));
    for piece in pieces {
        match pair.drive(|c| c.poll_content(id))? {
            ContentStatus::Wanted => {}
            _ => break,
        }
        let piece = Bytes::copy_from_slice(piece);
        pair.connection.write_content(id, piece).unwrap();
    }
    pair.connection.finish_content(id).unwrap();
    pair.drive(|c| c.poll_outcome(id))
}

/// The status of the only recipient.
fn fate(outcome: &Outcome) -> &RecipientStatus {
    assert_eq!(outcome.recipients().len(), 1);
    outcome.recipients()[0].status()
}

fn is_misuse(error: &Error, misuse: ApiMisuse) -> bool {
    matches!(error.kind(), ErrorKind::Misuse(each) if *each == misuse)
}

#[test]
fn streamed_content_arrives_as_it_was_written() {
    let mut pair = pair();
    let pieces: [&[u8]; 6] = [
        b"Subject: t\r",
        b"\n\r\n",
        b".",
        b".",
        b"\r\nend",
        b" of it",
    ];
    let outcome = send(&mut pair, pieces).unwrap();
    assert!(outcome.is_accepted());
    let mails = pair.peer.log().mails();
    assert_eq!(mails[0].body(), b"Subject: t\r\n\r\n..\r\nend of it\r\n");
    pair.peer.log().assert_clean();
}

#[test]
fn no_pieces_or_empty_pieces_are_empty_content() {
    for pieces in [vec![], vec![&b""[..]], vec![b"", b"", b""]] {
        let mut pair = pair();
        let outcome = send(&mut pair, pieces).unwrap();
        assert!(outcome.is_accepted());
        assert_eq!(pair.peer.log().mails()[0].body(), b"");
        pair.peer.log().assert_clean();
    }
}

#[test]
fn no_piece_is_wanted_before_the_354() {
    let mut pair = pair();
    pair.drive(Connection::poll_ready).unwrap();
    let id = pair.connection.submit(streamed("from@x.test"));
    while pair.connection.poll_content(id).is_pending() {
        let said: Vec<u8> = pair.received.iter().map(|(_, byte)| *byte).collect();
        assert!(!said.windows(4).any(|part| part == b"354 "));
        assert!(pair.write_some(1) || pair.read());
    }
}

#[test]
fn a_piece_that_is_written_early_waits() {
    let mut pair = pair();
    let id = pair.connection.submit(streamed("from@x.test"));
    pair.connection
        .write_content(id, Bytes::from_static(b"early\r\n"))
        .unwrap();
    pair.connection
        .write_content(id, Bytes::from_static(b"bird\r\n"))
        .unwrap();
    pair.connection.finish_content(id).unwrap();
    assert!(pair.drive(|c| c.poll_outcome(id)).unwrap().is_accepted());
    assert_eq!(pair.peer.log().mails()[0].body(), b"early\r\nbird\r\n");
}

#[test]
fn an_event_asks_for_each_piece_once_and_again_after_an_empty_one() {
    let mut pair = pair();
    let id = pair.connection.submit(streamed("from@x.test"));
    let mut pieces = [&b"one\r\n"[..], b"", b"two\r\n", b""].into_iter();
    loop {
        match pair.event().unwrap() {
            Event::ContentWanted(asked) => {
                assert_eq!(asked, id);
                assert!(pair.connection.poll_event().is_none(), "wanted twice");
                match pieces.next() {
                    Some(piece) => pair
                        .connection
                        .write_content(id, Bytes::from_static(piece))
                        .unwrap(),
                    None => pair.connection.finish_content(id).unwrap(),
                }
            }
            Event::Outcome(_, outcome) => {
                assert!(outcome.is_accepted());
                break;
            }
            _ => {}
        }
    }
    assert_eq!(pair.peer.log().mails()[0].body(), b"one\r\ntwo\r\n");
}

#[test]
fn ten_megabytes_go_through_a_bounded_send_buffer_without_a_copy() {
    let server = smtp_test::Config::new()
        .discard_bodies()
        .discard_transcripts();
    let mut pair = Pair::new(config(), Machine::new(&server));
    let id = pair.connection.submit(streamed("from@x.test"));
    let piece = Bytes::from(
        b"0123456789012345678901234567890123456789012345678901234567890123456789\r\n".repeat(1024),
    );
    let inside = |slice: &[u8]| {
        let (all, part) = (piece.as_ptr_range(), slice.as_ptr_range());
        all.start <= part.start && part.end <= all.end
    };
    let mut written = 0;
    let mut offers = 0;
    while written < 10 << 20 {
        wanted(&mut pair, id);
        pair.connection.write_content(id, piece.clone()).unwrap();
        written += piece.len();
        let now = pair.now;
        let offer = transmit(&mut pair.connection, now).unwrap();
        assert!(offer.len() <= 65_536, "{} bytes at a time", offer.len());
        for slice in offer.iter() {
            assert!(inside(slice), "{} bytes were copied", slice.len());
        }
        offers += 1;
        pair.exchange();
        pair.sent.clear();
        pair.transmitted.clear();
    }
    assert!(offers > 100);
    pair.connection.finish_content(id).unwrap();
    assert!(pair.drive(|c| c.poll_outcome(id)).unwrap().is_accepted());
    assert_eq!(
        pair.peer.log().mails()[0].body_len(),
        u64::try_from(written).unwrap()
    );
}

#[test]
fn whole_content_is_not_copied_either() {
    let mut pair = pair();
    let text = Bytes::from(b"a line of the text\r\n".repeat(1000));
    let id = pair
        .connection
        .submit(raw_mail("from@x.test", ["to@x.test"], text.clone()).unwrap());
    let mut of_text = 0;
    while pair.connection.poll_outcome(id).is_pending() {
        let now = pair.now;
        if let Some(offer) = transmit(&mut pair.connection, now) {
            of_text = of_text.max(
                offer
                    .iter()
                    .filter(|slice| text.as_ptr_range().contains(&slice.as_ptr()))
                    .map(<[u8]>::len)
                    .sum(),
            );
        }
        assert!(pair.write_some(usize::MAX) | pair.read());
    }
    assert_eq!(of_text, text.len());
}

#[test]
fn no_piece_is_wanted_while_the_transport_takes_nothing() {
    let mut pair = pair();
    let id = pair.connection.submit(streamed("from@x.test"));
    wanted(&mut pair, id);
    let piece = Bytes::from(b"0123456789\r\n".repeat(10_000));
    pair.connection.write_content(id, piece).unwrap();
    for _ in 0..100 {
        let now = pair.now;
        assert!(transmit(&mut pair.connection, now).unwrap().len() <= 65_536);
        assert!(pair.connection.poll_content(id).is_pending());
        assert!(
            pair.connection
                .poll_event()
                .is_some_and(|event| matches!(event, Ok(Event::Ready)))
                || pair.connection.poll_event().is_none()
        );
    }
    pair.write_some(65_536);
    assert!(transmit(&mut pair.connection, pair.now).is_some());
    wanted(&mut pair, id);
}

#[test]
fn an_error_in_the_content_stops_it_before_its_end_and_names_the_offset() {
    for (pieces, offset) in [
        (vec![&b"one\r\n"[..], b"two\nthree\r\n"], 8),
        (vec![&b"one\r\n"[..], b"t\rwo\r\n"], 6),
        (vec![&b"one\r"[..], b"two\r\n"], 3),
        (vec![&b"one\r\n"[..], b"", b"a\0b"], 6),
        (vec![&b"one\r\n"[..], b"gr\xfc\xdfe"], 7),
        (vec![&b"one\r\n"[..], &[b'x'; 999]], 1003),
        (vec![&b"one\r\n"[..], b"end\r"], 8),
    ] {
        let mut pair = pair();
        let id = pair.connection.submit(streamed("from@x.test"));
        let next = pair.connection.submit(streamed("next@x.test"));
        wanted(&mut pair, id);
        for piece in &pieces {
            pair.connection
                .write_content(id, Bytes::copy_from_slice(piece))
                .unwrap();
            pair.exchange();
        }
        let _ = pair.connection.finish_content(id);
        let outcome = pair.drive(|c| c.poll_outcome(id)).unwrap();
        let RecipientStatus::NotSent(error) = fate(&outcome) else {
            panic!("{pieces:?}: {outcome:?}");
        };
        let ErrorKind::Content(fault) = error.kind() else {
            panic!("{pieces:?}: {error:#}");
        };
        assert_eq!(fault.offset(), offset, "{pieces:?}: {fault}");
        assert_eq!(error.stage(), Stage::Content);
        assert!(
            format!("{error:#}").contains(&offset.to_string()),
            "{error:#}"
        );
        assert!(!error.is_transient());
        assert!(pair.connection.poll_transmit(pair.now).is_none());
        assert!(!pair.sent.ends_with(b".\r\n"));
        pair.peer.handle_eof();
        assert!(pair.peer.log().mails().is_empty());
        let outcome = pair.drive(|c| c.poll_outcome(next)).unwrap();
        assert!(matches!(fate(&outcome), RecipientStatus::NotSent(_)));
    }
}

#[test]
fn a_source_that_fails_leaves_nothing_on_the_server() {
    for written in [0, 1, 100, 200_000] {
        let mut pair = pair();
        let id = pair.connection.submit(streamed("from@x.test"));
        wanted(&mut pair, id);
        pair.connection
            .write_content(id, Bytes::from(b"\r\n".repeat(written)))
            .unwrap();
        pair.write_some(10_000);
        let error = io::Error::new(io::ErrorKind::NotFound, "the file is gone");
        pair.connection.fail_content(id, error.into());
        let outcome = pair.drive(|c| c.poll_outcome(id)).unwrap();
        let RecipientStatus::NotSent(error) = fate(&outcome) else {
            panic!("{outcome:?}");
        };
        assert!(matches!(error.kind(), ErrorKind::Source(_)), "{error:#}");
        assert!(format!("{error:#}").contains("the file is gone"));
        assert!(pair.connection.poll_transmit(pair.now).is_none());
        let after = pair.drive(Connection::poll_ready).unwrap_err();
        assert_eq!(format!("{after:#}"), format!("{error:#}"));
        assert!(pair.peer.log().mails().is_empty());
    }
}

#[test]
fn a_message_abandoned_before_it_was_sent_is_withdrawn() {
    for in_line in [false, true] {
        let mut pair = pair();
        if !in_line {
            pair.drive(Connection::poll_ready).unwrap();
        }
        let id = pair.connection.submit(streamed("from@x.test"));
        pair.connection.abandon(id);
        let outcome = pair.drive(|c| c.poll_outcome(id)).unwrap();
        assert!(
            matches!(fate(&outcome), RecipientStatus::NotSent(error) if matches!(error.kind(), ErrorKind::Abandoned))
        );
        let outcome = send(&mut pair, [&b"the next\r\n"[..]]).unwrap();
        assert!(outcome.is_accepted(), "the connection goes on");
        assert_eq!(pair.peer.log().mails().len(), 1);
    }
}

#[test]
fn a_message_abandoned_in_flight_ends_the_connection_and_is_in_doubt_only_after_its_end() {
    let mut pair = pair();
    let id = pair
        .connection
        .submit(raw_mail("from@x.test", ["to@x.test"], "hello\r\n").unwrap());
    let mut steps = 0;
    let (mut not_sent, mut in_doubt) = (0, 0);
    // The whole dialogue, byte by byte; the message is abandoned after each of them once.
    while pair.connection.poll_outcome(id).is_pending() {
        assert!(pair.write_some(1) || pair.read());
        steps += 1;
    }
    for stop in 0..steps - 1 {
        let mut pair = self::pair();
        let id = pair
            .connection
            .submit(raw_mail("from@x.test", ["to@x.test"], "hello\r\n").unwrap());
        for _ in 0..stop {
            assert!(pair.write_some(1) || pair.read());
        }
        transmit(&mut pair.connection, pair.now);
        let ended = pair
            .transmitted
            .windows(6)
            .any(|part| part == b"o\r\n.\r\n")
            || pair
                .connection
                .poll_transmit(pair.now)
                .is_some_and(|offer| offer.iter().any(|slice| slice == b".\r\n"));
        pair.connection.abandon(id);
        let outcome = pair.connection.poll_outcome(id).answer().unwrap();
        match fate(&outcome) {
            RecipientStatus::InDoubt(error) if ended => {
                in_doubt += 1;
                assert!(matches!(error.kind(), ErrorKind::Abandoned));
            }
            RecipientStatus::NotSent(error) if !ended => {
                not_sent += 1;
                assert!(matches!(error.kind(), ErrorKind::Abandoned));
                assert!(pair.peer.log().mails().is_empty());
            }
            other => panic!("after {stop} steps, end transmitted {ended}: {other}"),
        }
    }
    assert!(not_sent > 50 && in_doubt > 5, "{not_sent}, {in_doubt}");
}

#[test]
fn abandoning_a_message_after_its_outcome_changes_nothing() {
    let mut pair = pair();
    let id = pair
        .connection
        .submit(raw_mail("from@x.test", ["to@x.test"], "hello\r\n").unwrap());
    let other = pair.connection.submit(streamed("from@x.test"));
    wanted(&mut pair, other);
    pair.connection.abandon(id);
    assert!(pair.drive(|c| c.poll_outcome(id)).unwrap().is_accepted());
    pair.connection.abandon(id);
    pair.connection.finish_content(other).unwrap();
    assert!(pair.drive(|c| c.poll_outcome(other)).unwrap().is_accepted());
}

#[test]
fn a_message_rejected_before_its_content_takes_no_piece() {
    use smtp_test::Stage;
    for stage in [Stage::Mail, Stage::Rcpt(1), Stage::Data] {
        for level in [Pipelining::Off, Pipelining::Envelope] {
            let server = smtp_test::Config::new().on(stage.nth(1), Action::reply("550 5.7.1 no"));
            let config = Config::builder("client.test".parse().unwrap())
                .security(Security::Cleartext)
                .pipelining(level);
            let mut pair = Pair::new(Arc::new(config.build().unwrap()), Machine::new(&server));
            let id = pair.connection.submit(streamed("from@x.test"));
            assert_eq!(
                pair.drive(|c| c.poll_content(id)).unwrap(),
                ContentStatus::Done
            );
            pair.connection
                .write_content(id, Bytes::from_static(b"too late"))
                .unwrap();
            pair.connection.finish_content(id).unwrap();
            let outcome = pair.drive(|c| c.poll_outcome(id)).unwrap();
            assert!(
                matches!(fate(&outcome), RecipientStatus::Rejected { .. }),
                "{stage:?}: {outcome:?}"
            );
            assert!(
                send(&mut pair, [&b"the next\r\n"[..]])
                    .unwrap()
                    .is_accepted()
            );
        }
    }
}

#[test]
fn queued_streamed_content_is_wanted_one_message_after_the_other() {
    let mut pair = pair();
    let ids: Vec<_> = (0..5)
        .map(|number| {
            pair.connection
                .submit(streamed(&format!("from{number}@x.test")))
        })
        .collect();
    for (number, id) in ids.iter().enumerate() {
        wanted(&mut pair, *id);
        for next in &ids[number + 1..] {
            let told = pair.connection.poll_content(*next);
            let told = match told {
                Poll::Ready(told) => Some(told.unwrap_err()),
                Poll::Pending => None,
            };
            assert!(told.is_none_or(|error| is_misuse(&error, ApiMisuse::ContentUnfinished)));
        }
        let text = format!("text {number}\r\n");
        pair.connection
            .write_content(*id, Bytes::from(text))
            .unwrap();
        pair.connection.finish_content(*id).unwrap();
    }
    for id in &ids {
        assert!(pair.drive(|c| c.poll_outcome(*id)).unwrap().is_accepted());
    }
    for (number, mail) in pair.peer.log().mails().iter().enumerate() {
        assert_eq!(mail.sender(), format!("from{number}@x.test"));
        assert_eq!(mail.body(), format!("text {number}\r\n").as_bytes());
    }
}

#[test]
fn waiting_for_an_impossible_event_is_api_misuse() {
    let mut pair = pair();
    let id = pair.connection.submit(streamed("from@x.test"));
    let next = pair
        .connection
        .submit(raw_mail("from@x.test", ["to@x.test"], "hello\r\n").unwrap());
    for _ in 0..2 {
        let error = pair.drive(|c| c.poll_outcome(id)).unwrap_err();
        assert!(is_misuse(&error, ApiMisuse::ContentUnfinished), "{error:#}");
    }
    let error = pair.drive(|c| c.poll_outcome(next)).unwrap_err();
    assert!(is_misuse(&error, ApiMisuse::ContentUnfinished), "{error:#}");
    let error = pair.drive(|c| c.poll_content(next)).unwrap_err();
    assert!(is_misuse(&error, ApiMisuse::NotStreaming), "{error:#}");
    assert_eq!(
        pair.connection
            .write_content(next, Bytes::from_static(b"x")),
        Err(ApiMisuse::NotStreaming)
    );
    assert_eq!(
        pair.connection.finish_content(next),
        Err(ApiMisuse::NotStreaming)
    );
    // None of these calls did any harm.
    pair.connection
        .write_content(id, Bytes::from_static(b"text\r\n"))
        .unwrap();
    pair.connection.finish_content(id).unwrap();
    assert_eq!(
        pair.connection.finish_content(id),
        Err(ApiMisuse::NotStreaming)
    );
    assert_eq!(
        pair.connection.write_content(id, Bytes::new()),
        Err(ApiMisuse::NotStreaming)
    );
    assert!(pair.drive(|c| c.poll_outcome(id)).unwrap().is_accepted());
    assert!(pair.drive(|c| c.poll_outcome(next)).unwrap().is_accepted());
    for taken in [id, next] {
        let error = pair.drive(|c| c.poll_outcome(taken)).unwrap_err();
        assert!(is_misuse(&error, ApiMisuse::UnknownId), "{error:#}");
        assert_eq!(
            pair.connection.write_content(taken, Bytes::new()),
            Err(ApiMisuse::UnknownId)
        );
        assert_eq!(
            pair.connection.finish_content(taken),
            Err(ApiMisuse::UnknownId)
        );
    }
    let error = pair.drive(Connection::poll_closed).unwrap_err();
    assert!(is_misuse(&error, ApiMisuse::NothingUnderWay), "{error:#}");
}

#[test]
fn an_id_of_another_connection_is_unknown() {
    let mut other = Connection::new(config(), Seed::from_bytes([0; 32]));
    let ids: Vec<_> = (0..9)
        .map(|_| other.submit(streamed("from@x.test")))
        .collect();
    let stranger = *ids.last().unwrap();
    let mut pair = pair();
    pair.drive(Connection::poll_ready).unwrap();
    for told in [
        pair.connection
            .poll_content(stranger)
            .map(|told| told.map(|_| ())),
        pair.connection
            .poll_outcome(stranger)
            .map(|told| told.map(|_| ())),
    ] {
        assert!(is_misuse(&told.answer().unwrap_err(), ApiMisuse::UnknownId));
    }
    pair.connection.abandon(stranger);
    pair.connection
        .fail_content(stranger, io::Error::from(io::ErrorKind::NotFound).into());
    assert!(pair.connection.is_idle());
}

#[test]
fn quit_waits_for_unfinished_content() {
    let mut pair = pair();
    let id = pair.connection.submit(streamed("from@x.test"));
    pair.connection.quit();
    let error = pair.drive(Connection::poll_closed).unwrap_err();
    assert!(is_misuse(&error, ApiMisuse::ContentUnfinished), "{error:#}");
    pair.connection.finish_content(id).unwrap();
    pair.drive(Connection::poll_closed).unwrap();
    assert!(
        pair.connection
            .poll_outcome(id)
            .answer()
            .unwrap()
            .is_accepted()
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_content_in_any_pieces_over_any_writes_arrives_whole(
        lines in prop::collection::vec(prop::sample::select(vec!["", ".", "..", ".x", "text", "a longer line of text"]), 0..40),
        ends in any::<bool>(),
        cuts in prop::collection::vec(0..30_usize, 0..60),
        write_at_most in prop::sample::select(vec![1, 2, 7, 64, usize::MAX]),
    ) {
        let mut text = lines.join("\r\n");
        if ends && !text.is_empty() {
            text.push_str("\r\n");
        }
        let mut rest = text.as_bytes();
        let mut pieces = Vec::new();
        for cut in cuts {
            let (piece, next) = rest.split_at(cut.min(rest.len()));
            pieces.push(piece);
            rest = next;
        }
        pieces.push(rest);
        let mut pair = pair();
        pair.write_at_most = write_at_most;
        eprintln!("{pieces:?}");
        prop_assert!(send(&mut pair, pieces).unwrap().is_accepted());
        let log = pair.peer.log();
        log.assert_clean();
        if !text.is_empty() && !text.ends_with("\r\n") {
            text.push_str("\r\n");
        }
        let mails = log.mails();
        prop_assert_eq!(mails[0].body(), text.as_bytes());
    }
}
