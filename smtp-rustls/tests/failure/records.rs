//! Records: which content counts as sent.

use std::task::Poll;

use crate::common::answered::Answered as _;
use crate::common::{HELLO, NOW, Wiring, implicit, mail, session, transmit, wiring};
use smtp_rustls::Endpoint;
use smtp_rustls::proto::{ErrorKind, Mail, Window, Wire};
use smtp_test::{Action, Config, Log, Output, Peer, Tls};

use super::body;

#[test]
fn a_final_reply_before_the_content_is_sent_is_an_error() {
    let tls = Tls::new();
    let log = Log::new();
    // The server sends 250 right after 354, before any byte of the content.
    let eager = Action::normal().then("250 stored already\r\n");
    let config = Config::new()
        .tls(tls.clone())
        .implicit_tls()
        .on(smtp_test::Stage::Data, eager);
    let mut wiring = Wiring::new(session(implicit(&tls)), &config, &tls, &log);
    wiring.ready().unwrap();
    let id = wiring.session.smtp_mut().submit(mail(HELLO));
    let mut last = Vec::new();
    while !matches!(
        wiring.session.smtp_mut().poll_outcome(id),
        Poll::Ready(Ok(_))
    ) {
        // Output after DATA stays queued: the transport is full.
        let waits = log
            .session()
            .commands()
            .iter()
            .any(|command| command == "DATA");
        if !waits {
            wiring.write();
        }
        if let Some(Output::Write(bytes)) = wiring.server.poll_output() {
            wiring.session.handle_input(NOW, &bytes);
            last.push(
                wiring
                    .session
                    .poll_transmit(NOW)
                    .map_or(0, |transmit| transmit.len()),
            );
        } else if waits {
            break;
        }
    }
    assert!(log.mails().is_empty());
    let error = wiring.session.smtp_mut().poll_ready().answer().unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Protocol(_)),
        "{error:#}; {last:?}"
    );
}

/// I4, I7: a record counts as sent when the transport has taken all of it.
#[test]
fn a_partly_written_record_does_not_count_as_sent() {
    for tls in [Tls::new().only_tls12(), Tls::new().only_tls13()] {
        for len in [100, 40_000] {
            let log = Log::new();
            // The server sends 250 right after 354, before the content has arrived.
            let eager = Action::normal().then("250 stored already\r\n");
            let config = Config::new()
                .tls(tls.clone())
                .implicit_tls()
                .on(smtp_test::Stage::Data, eager);
            let mut wiring = Wiring::new(session(implicit(&tls)), &config, &tls, &log);
            wiring.ready().unwrap();
            let id = wiring.session.smtp_mut().submit(mail(body(len)));
            wiring.write();
            assert_eq!(log.session().commands().last().unwrap(), "DATA");
            let pending = loop {
                let Some(Output::Write(bytes)) = wiring.server.poll_output() else {
                    panic!("354 comes");
                };
                wiring.session.handle_input(NOW, &bytes);
                if let Some(transmit) = wiring.session.poll_transmit(NOW) {
                    break transmit.len();
                }
            };
            assert!(pending > len, "the whole content is transmitted");
            for count in [1, pending - 2] {
                wiring.session.handle_sent(NOW, count);
            }
            while let Some(Output::Write(bytes)) = wiring.server.poll_output() {
                wiring.session.handle_input(NOW, &bytes);
            }
            let outcome = wiring.session.smtp_mut().poll_outcome(id).answer().unwrap();
            assert!(log.mails().is_empty());
            assert!(!outcome.is_accepted(), "the server has not stored it");
        }
    }
}

#[test]
fn long_content_is_sent_through_a_small_buffer() {
    let tls = Tls::new();
    let log = Log::new();
    let mut wiring = wiring(true, &tls, &log);
    let text = body(5 << 20);
    let outcome = wiring.send(mail(text.clone()));
    assert!(outcome.is_accepted());
    assert!(wiring.longest <= 66 << 10, "{}", wiring.longest);
    assert!(log.mails()[0].body() == text);
    // 80 transmits of 64 KiB, not one for each record of 16 KiB.
    assert!(wiring.sent.len() < 100, "{}", wiring.sent.len());
    log.assert_clean();
}

#[test]
fn a_reply_to_a_sent_record_is_accepted_while_later_records_are_being_written() {
    let tls12 = Tls::new().only_tls12();
    let tls13 = Tls::new().only_tls13();
    for (tls, fragment, write) in [
        (&tls12, None, 1000),
        (&tls13, None, 100),
        (&tls13, None, 16_000),
        (&tls13, Some(600), 500),
        (&tls13, None, usize::MAX),
    ] {
        let mut client = (*tls.client_config()).clone();
        client.max_fragment_size = fragment;
        let log = Log::new();
        let config = Config::new().tls(tls.clone()).implicit_tls();
        let endpoint = Endpoint::implicit("localhost").tls(client);
        let mut wiring = Wiring::new(session(endpoint), &config, tls, &log);
        (wiring.write, wiring.full_duplex) = (write, true);
        wiring.session.smtp_mut().set_window(Window::FULL_DUPLEX);
        let mut ids = Vec::new();
        for size in [100, 20_000, 70_000, 300] {
            ids.push(wiring.session.smtp_mut().submit(mail(body(size))));
        }
        // The commands alone are longer than a record.
        let many = (0..900).map(|number| format!("recipient-{number}@example.net"));
        let builder = Mail::builder().sender("a@example.org").recipients(many);
        let mail = builder
            .message("From: a@example.org\r\nSubject: many\r\n\r\n")
            .build()
            .unwrap();
        ids.push(wiring.session.smtp_mut().submit(mail));
        for id in ids {
            let outcome = wiring.drive(|smtp| smtp.poll_outcome(id)).unwrap().unwrap();
            assert!(outcome.is_accepted(), "{write}: {:?}", outcome.error());
        }
        assert_eq!(log.mails().len(), 5);
        log.assert_clean();
    }
}

#[test]
fn acknowledgements_after_the_connection_has_failed_change_nothing() {
    let tls = Tls::new();
    let log = Log::new();
    let mut wiring = wiring(true, &tls, &log);
    wiring.ready().unwrap();
    let id = wiring.session.smtp_mut().submit(mail(body(100_000)));
    let mut bytes = Vec::new();
    while bytes.len() < 60_000 {
        wiring.session.handle_sent(NOW, bytes.len());
        wiring.server.handle_input(&bytes);
        while wiring.read() {}
        let transmit = transmit(&mut wiring.session).unwrap();
        bytes = transmit.iter().flatten().copied().collect();
    }
    wiring.session.handle_sent(NOW, 20_000);
    wiring.server.handle_input(&bytes[..20_000]);
    wiring.session.smtp_mut().abandon(id);
    wiring.session.handle_sent(NOW, 20_000);
    wiring.server.handle_input(&bytes[20_000..40_000]);
    // The rest of the record is sent, then `close_notify`.
    wiring.settle();
    assert!(log.session().client_eof());
    assert!(log.mails().is_empty());
    let outcome = wiring.session.smtp_mut().poll_outcome(id).answer().unwrap();
    assert!(outcome.recipients()[0].status().is_safe_to_retry());
}
