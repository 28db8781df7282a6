//! Any bytes after the 220 to STARTTLS fail the connection before a second EHLO, and only commands
//! without content or credentials are sent in cleartext.

use smtp_proto::{ErrorKind, Event, ProtocolError, RecipientStatus, Security};

use crate::choice;
use crate::common::Answered as _;
use crate::session::{POLICIES, Session};

/// Bytes: configuration, where the injection is cut, whether the driver asked for the upgrade
/// before; then the injected bytes.
pub fn starttls(mut input: &[u8]) {
    let policy = &POLICIES[[1, 2, 5][choice(&mut input, 3)]];
    let cut = choice(&mut input, 32);
    let claimed = choice(&mut input, 2) == 1;
    let injected = input;

    let mut session = Session::new(policy, false);
    let mail =
        crate::common::raw_mail("a@x.test", ["b@x.test"], "Subject: secret\r\n\r\n").unwrap();
    let id = session.connection.submit(mail);
    session.flush(usize::MAX);
    session.input(b"220 mx.test\r\n");
    session.flush(usize::MAX);
    session.input(b"250-mx.test\r\n250-AUTH PLAIN LOGIN\r\n250-SMTPUTF8\r\n250 STARTTLS\r\n");
    session.flush(usize::MAX);
    assert_eq!(session.ledger.wire(), SAID);

    let (with_reply, later) = injected.split_at(cut.min(injected.len()));
    session.input(&[b"220 go ahead\r\n", with_reply].concat());
    if claimed && let Ok(upgrade) = session.connection.begin_tls(session.now) {
        // Dropping it changes nothing.
        let _ = upgrade;
    }
    assert!(session.connection.poll_transmit(session.now).is_none());
    session.input(later);
    if injected.is_empty() {
        session.flush(usize::MAX);
        assert!(
            session
                .ledger
                .wire()
                .ends_with(b"STARTTLS\r\nEHLO client.test\r\n")
        );
        assert_eq!(session.connection.capabilities().iter().count(), 0, "I5");
        return;
    }

    let error = session.connection.begin_tls(session.now).unwrap_err();
    let found = matches!(
        error.kind(),
        ErrorKind::Protocol(ProtocolError::InjectedBeforeTls)
    );
    assert!(found, "{error}");
    assert!(session.connection.is_closed());
    assert!(session.connection.poll_transmit(session.now).is_none());
    assert_eq!(session.ledger.wire(), SAID, "I6");
    let outcome = session.connection.poll_outcome(id).answer().unwrap();
    assert!(matches!(
        outcome.recipients()[0].status(),
        RecipientStatus::NotSent(_)
    ));
    while let Some(Ok(event)) = session.connection.poll_event() {
        assert!(!matches!(event, Event::Ready), "ready without TLS");
    }
    let security = session.connection.security();
    assert!(matches!(
        security,
        Security::StartTls | Security::Opportunistic
    ));
}

const SAID: &[u8] = b"EHLO client.test\r\nSTARTTLS\r\n";
