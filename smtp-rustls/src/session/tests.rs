//! The state of a session that its public methods do not show.

use std::sync::Arc;
use std::task::Poll;

use smtp_proto::{Mail, Security, Seed, Time};
use smtp_test::{Config, Log, Machine, Output, Peer, TlsPeer};

use super::direct::Layer;
use super::*;
use crate::{Endpoint, TlsConfig};

const NOW: Time = Time::ORIGIN;

#[test]
fn an_idle_session_holds_no_buffer_of_its_own() {
    let tls = smtp_test::Tls::new();
    let config = Config::new().tls(tls.clone()).implicit_tls();
    let mut server = TlsPeer::new(Machine::with_log(&config, &Log::new()), tls.server_config());
    let endpoint = Endpoint::implicit("localhost")
        .tls(TlsConfig::from(tls.client_config()))
        .build()
        .unwrap();
    let mut session = endpoint.session();
    drive(&mut session, &mut server);
    assert_eq!(capacity(&session), 0, "before the first message");
    let text = "From: a@example.org\r\nSubject: long\r\n\r\n".to_owned()
        + &"a line of text\r\n".repeat(20_000);
    let mail = Mail::new("a@example.org", ["b@example.net"], text).unwrap();
    let id = session.smtp_mut().submit(mail);
    let most = drive(&mut session, &mut server);
    let outcome = session.smtp_mut().poll_outcome(id);
    assert!(matches!(outcome, Poll::Ready(Ok(outcome)) if outcome.is_accepted()));
    assert!((64 << 10..140 << 10).contains(&most), "{most}");
    assert_eq!(capacity(&session), 0, "after it");
}

#[test]
fn a_cleartext_session_is_little_larger_than_its_connection() {
    let more = size_of::<Session>() - size_of::<Connection>();
    assert!(more <= 64, "{more}");
    let endpoint = Endpoint::builder("localhost")
        .security(Security::Cleartext)
        .build()
        .unwrap();
    assert!(matches!(layer(&endpoint.session()), Layer::Cleartext(None)));
}

#[test]
fn a_session_without_a_proxy_is_not_larger_for_those_with_one() {
    let more = size_of::<Session>() - size_of::<Direct>();
    assert!(more <= size_of::<usize>(), "{more}");
}

#[test]
fn the_connection_fails_if_tls_cannot_begin() {
    let config = smtp_proto::Config::builder("client.example.org".parse().unwrap());
    for security in [Security::Implicit, Security::StartTls, Security::Cleartext] {
        let config = config.clone().security(security).build().unwrap();
        let connection = Connection::new(Arc::new(config), Seed::from_bytes([0; 32]));
        let error = TransportError::new(rustls::Error::FailedToGetRandomBytes);
        let mut session = Session::failed(connection, error);
        assert!(session.poll_transmit(NOW).is_none());
        let Poll::Ready(Err(error)) = session.smtp_mut().poll_ready() else {
            panic!("no error");
        };
        assert!(format!("{error:#}").contains("random"), "{error:#}");
        session.handle_input(NOW, b"220 too late\r\n");
        session.handle_eof(NOW);
        assert!(session.poll_transmit(NOW).is_none());
    }
}

/// A source of random numbers that always fails.
#[derive(Debug)]
struct NoRandom;

impl rustls::crypto::SecureRandom for NoRandom {
    fn fill(&self, _: &mut [u8]) -> Result<(), rustls::crypto::GetRandomFailed> {
        Err(rustls::crypto::GetRandomFailed)
    }
}

#[test]
fn the_connection_fails_if_tls_to_the_proxy_cannot_begin() {
    let tls = smtp_test::Tls::new();
    let working = tls.client_config();
    let mut provider = (**working.crypto_provider()).clone();
    provider.secure_random = &NoRandom;
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let endpoint = Endpoint::implicit("localhost")
        .tls(TlsConfig::from(working))
        .proxy(crate::ProxyServer::https("localhost"))
        .proxy_tls(Arc::new(config))
        .build()
        .unwrap();
    let mut session = endpoint.session();
    assert!(session.poll_transmit(NOW).is_none());
    let Poll::Ready(Err(error)) = session.smtp_mut().poll_ready() else {
        panic!("no error");
    };
    assert_eq!(error.stage(), smtp_proto::Stage::Proxy);
    assert!(format!("{error:#}").contains("random"), "{error:#}");
    session.handle_input(NOW, b"HTTP/1.1 200 OK\r\n\r\n");
    session.handle_eof(NOW);
    session.handle_timeout(NOW);
    session.handle_read_error(NOW, TransportError::new(std::io::Error::other("late")));
    session.handle_write_error(NOW, TransportError::new(std::io::Error::other("late")));
    assert!(session.poll_transmit(NOW).is_none());
    assert_eq!(session.poll_timeout(), None);
    assert!(format!("{session:?}").contains("TLS failed"));
}

#[test]
fn v29_records_without_end_in_which_nothing_is_said_end_the_session() {
    let tls = smtp_test::Tls::new().only_tls13();
    for (tickets, ends) in [(4, false), (100, true)] {
        let mut config = (*tls.server_config()).clone();
        // About 200 bytes each.
        config.send_tls13_tickets = tickets;
        let mut server = rustls::ServerConnection::new(config.into()).unwrap();
        let endpoint = Endpoint::implicit("localhost").tls(tls.client_config());
        let mut session = endpoint.build().unwrap().session();
        for _ in 0..3 {
            while let Some(transmit) = session.poll_transmit(NOW) {
                let bytes: Vec<u8> = transmit.iter().flatten().copied().collect();
                session.handle_sent(NOW, bytes.len());
                server.read_tls(&mut bytes.as_slice()).unwrap();
                server.process_new_packets().unwrap();
            }
            let mut wire = Vec::new();
            while server.wants_write() {
                server.write_tls(&mut wire).unwrap();
            }
            for part in wire.chunks(2048) {
                session.handle_input(NOW, part);
            }
        }
        // The alert.
        let count = session
            .poll_transmit(NOW)
            .map_or(0, |transmit| transmit.len());
        session.handle_sent(NOW, count);
        let text = match session.smtp_mut().poll_ready() {
            Poll::Ready(Err(error)) => format!("{error:#}"),
            _ => String::new(),
        };
        assert_eq!(text.contains("without end"), ends, "{tickets}: {text:?}");
    }
}

/// Moves bytes until neither side has output. Returns the largest capacity that the session's
/// buffer had.
fn drive(session: &mut Session, server: &mut TlsPeer<Machine>) -> usize {
    let mut most = 0;
    loop {
        while let Some(transmit) = session.poll_transmit(NOW) {
            let bytes: Vec<u8> = transmit.iter().flatten().copied().collect();
            most = most.max(capacity(session));
            session.handle_sent(NOW, bytes.len());
            server.handle_input(&bytes);
        }
        match server.poll_output() {
            Some(Output::Write(bytes)) => session.handle_input(NOW, &bytes),
            // Output is held back until all input is read.
            _ if session.poll_timeout() == Some(NOW) => session.handle_timeout(NOW),
            _ => return most,
        }
    }
}

/// The TLS layer of a session without a proxy.
fn layer(session: &Session) -> &Layer {
    match &session.route {
        Route::Direct(direct) => &direct.layer,
        _ => panic!("a route through a proxy"),
    }
}

fn capacity(session: &Session) -> usize {
    match layer(session) {
        Layer::Tls(stream) => stream.buffer_capacity(),
        _ => 0,
    }
}
