//! Sessions over a transport whose operations own their bytes, and whose completions are seen after
//! the replies.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on ends"
)]

use std::time::Duration;

use crate::common::answered::Answered as _;
use crate::common::{HELLO, NOW, implicit, mail, session, starttls, transmit, wiring};
use smtp_rustls::proto::{Connection, ErrorKind, RecipientStatus, Timeout, Timeouts, Wire};
use smtp_test::{Config, Defect, Log, Tls};

#[test]
fn a_session_is_the_same_by_completion() {
    for is_implicit in [true, false] {
        for write in [usize::MAX, 1000, 7] {
            let log = Log::new();
            let mut wiring = wiring(is_implicit, &Tls::new(), &log);
            wiring.by_completion = true;
            wiring.write = write;
            wiring.ready().unwrap();
            assert!(wiring.send(mail(HELLO)).is_accepted());
            assert!(wiring.send(mail(HELLO.repeat(2000))).is_accepted());
            wiring.session.smtp_mut().quit();
            wiring.drive(Connection::poll_closed).unwrap().unwrap();
            wiring.settle();
            assert_eq!(log.mails().len(), 2);
            assert!(log.violations().is_empty(), "{:?}", log.violations());
        }
    }
}

#[test]
fn an_alert_in_an_operation_is_sent() {
    let tls = Tls::new().defect(Defect::Expired);
    let log = Log::new();
    let mut wiring = wiring(true, &tls, &log);
    wiring.by_completion = true;
    let error = wiring.ready().unwrap_err();
    assert!(format!("{error:#}").contains("xpired"), "{error:#}");
    assert!(log.session().tls_error().unwrap().contains("alert"));
}

#[test]
fn v29_an_operation_that_does_not_complete_is_a_timeout_in_tls_too() {
    for is_implicit in [true, false] {
        let (tls, log) = (Tls::new(), Log::new());
        let limit = Duration::from_secs(7);
        let timeouts = Timeouts::default().with_data_block(limit);
        let builder = if is_implicit { implicit } else { starttls };
        let mut config = Config::new().tls(tls.clone());
        if is_implicit {
            config = config.implicit_tls();
        }
        let session = session(builder(&tls).timeouts(timeouts));
        let mut wiring = crate::common::Wiring::new(session, &config, &tls, &log);
        wiring.ready().unwrap();
        let session = &mut wiring.session;
        let id = session.smtp_mut().submit(mail(HELLO));
        let count = transmit(session).unwrap().len();
        session.handle_submitted(NOW, count);
        assert_eq!(session.poll_timeout(), Some(NOW + limit));
        session.handle_timeout(NOW + limit);
        let outcome = session.smtp_mut().poll_outcome(id).answer().unwrap();
        let RecipientStatus::NotSent(error) = outcome.recipients()[0].status() else {
            panic!("{outcome}");
        };
        assert!(matches!(error.kind(), ErrorKind::Timeout(Timeout::Write)));
    }
}
