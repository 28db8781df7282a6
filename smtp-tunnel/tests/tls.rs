//! TLS inside a tunnel: STARTTLS and implicit.

use smtp_proto::{Error, Stage, Wire as _};
use smtp_rustls::{Endpoint, Session, TlsConfig};
use smtp_test::{Config, Log, Machine, Output, Peer, Tls, TlsPeer};
use smtp_tunnel::{Destination, Proxy, ProxyHeader, Tunnel};

use crate::model::{NOW, mail};

/// The bytes of a message of the client that are missing, and the reply to it.
type Exchange = (usize, &'static [u8]);

/// A proxy before a server: one reply for each message of the client, of a known length.
struct Front {
    dialogue: Vec<Exchange>,
    server: TlsPeer<Machine>,
    output: Vec<u8>,
    /// Bytes of the client that came to the server.
    inside: usize,
    /// Changes of direction before the tunnel was open.
    round_trips: usize,
}

impl Front {
    fn handle_input(&mut self, mut input: &[u8]) {
        while let Some((missing, reply)) = self.dialogue.first_mut() {
            let taken = input.len().min(*missing);
            input = &input[taken..];
            *missing -= taken;
            if *missing > 0 {
                return;
            }
            if !reply.is_empty() {
                assert!(input.is_empty(), "bytes before the reply: {input:?}");
                self.round_trips += 1;
                self.output.extend(*reply);
            }
            self.dialogue.remove(0);
        }
        self.inside += input.len();
        if !input.is_empty() {
            self.server.handle_input(input);
        }
    }

    /// All output, with the first of the server in the segment of the proxy's last reply.
    fn output(&mut self) -> Vec<u8> {
        let mut output = std::mem::take(&mut self.output);
        if self.dialogue.is_empty() {
            while let Some(Output::Write(bytes)) = self.server.poll_output() {
                output.extend(bytes);
            }
        }
        output
    }
}

#[test]
fn a_message_is_sent_by_tls_inside_every_tunnel() {
    let tls = Tls::new();
    let header = ProxyHeader::v1(
        "192.0.2.7:40000".parse().unwrap(),
        "192.0.2.1:25".parse().unwrap(),
    );
    let login = Proxy::socks5().credentials("alice", "pa55").unwrap();
    let request = "CONNECT localhost:587 HTTP/1.1\r\nHost: localhost:587\r\n\r\n".len();
    let accepted = b"\x05\x00\x00\x01\0\0\0\0\0\0";
    let established = b"HTTP/1.1 200 OK\r\n\r\n";
    let cases: [(Option<Proxy>, Vec<Exchange>, usize); 4] = [
        (Some(Proxy::socks5()), vec![(3, &[5, 0]), (16, accepted)], 2),
        (
            Some(login),
            vec![(4, &[5, 2]), (12, &[1, 0]), (16, accepted)],
            3,
        ),
        (Some(Proxy::http()), vec![(request, established)], 1),
        (None, vec![(header.to_bytes().len(), b"")], 0),
    ];
    for (proxy, dialogue, round_trips) in cases {
        for is_implicit in [false, true] {
            for piece in [usize::MAX, 1] {
                let session = session(&tls, is_implicit);
                let tunnel = match &proxy {
                    Some(proxy) => {
                        let destination = Destination::new("localhost", 587).unwrap();
                        Tunnel::new(session, proxy, destination)
                    }
                    None => Tunnel::with_header(session, &header),
                };
                let log = Log::new();
                let server = server(&tls, is_implicit, &log);
                let mut front = Front {
                    dialogue: dialogue.clone(),
                    server,
                    output: Vec::new(),
                    inside: 0,
                    round_trips: 0,
                };
                send(tunnel, &mut front, piece).unwrap();
                assert_eq!(front.round_trips, round_trips, "{proxy:?}");
                assert!(front.inside > 0);
                assert!(log.mails()[0].over_tls());
                log.assert_clean();
            }
        }
    }
}

/// The first output of TLS from the first byte follows the header, and the reply.
#[test]
fn v45_nothing_of_tls_is_sent_before_the_tunnel_is_open() {
    let mut tunnel = Tunnel::new(
        session(&Tls::new(), true),
        &Proxy::socks5(),
        Destination::new("localhost", 465).unwrap(),
    );
    assert_eq!(crate::failures::sent(&mut tunnel), [5, 1, 0]);
    tunnel.handle_input(NOW, &[5, 0]);
    assert_eq!(crate::failures::sent(&mut tunnel)[..4], [5, 1, 0, 3]);
    assert!(tunnel.poll_transmit(NOW).is_none());
    tunnel.handle_input(NOW, b"\x05\x00\x00\x01\0\0\0\0\0\0");
    assert_eq!(
        crate::failures::sent(&mut tunnel)[0],
        22,
        "a handshake record"
    );
    // The limit of the TLS handshake begins with it.
    let starttls = tunnel.smtp().timeouts().starttls();
    assert_eq!(tunnel.poll_timeout(), Some(NOW + starttls));
}

#[test]
fn v45_a_session_whose_tunnel_fails_sends_nothing() {
    for is_implicit in [false, true] {
        let destination = Destination::new("localhost", 465).unwrap();
        let session = session(&Tls::new(), is_implicit);
        let mut tunnel = Tunnel::new(session, &Proxy::socks5(), destination);
        crate::failures::sent(&mut tunnel);
        tunnel.handle_input(NOW, &[5, 0xff]);
        let error: Error = crate::failures::failure(&mut tunnel);
        assert_eq!(error.stage(), Stage::Proxy);
        assert!(tunnel.poll_transmit(NOW).is_none());
        assert!(tunnel.into_inner().poll_transmit(NOW).is_none());
    }
}

/// Sends a message, in pieces, and quits.
fn send(mut tunnel: Tunnel<Session>, front: &mut Front, piece: usize) -> Result<(), Error> {
    let id = tunnel.smtp_mut().submit(mail());
    let mut is_sent = false;
    loop {
        if let std::task::Poll::Ready(outcome) = tunnel.smtp_mut().poll_outcome(id)
            && !is_sent
        {
            let outcome = outcome?;
            assert!(outcome.is_accepted(), "{outcome}");
            is_sent = true;
            tunnel.smtp_mut().quit();
        }
        let mut moved = false;
        while let Some(transmit) = transmit(&mut tunnel) {
            let bytes: Vec<u8> = transmit.iter().flatten().copied().take(piece).collect();
            tunnel.handle_sent(NOW, bytes.len());
            front.handle_input(&bytes);
            moved = true;
        }
        let input = front.output();
        for part in input.chunks(piece) {
            tunnel.handle_input(NOW, part);
            moved = true;
        }
        if !moved {
            assert!(is_sent && tunnel.smtp().is_closed(), "{tunnel:?}");
            return Ok(());
        }
    }
}

/// The output after all input has been read.
fn transmit(tunnel: &mut Tunnel<Session>) -> Option<Vec<Vec<u8>>> {
    if tunnel.poll_transmit(NOW).is_none() && tunnel.poll_timeout() == Some(NOW) {
        tunnel.handle_timeout(NOW);
    }
    let transmit = tunnel.poll_transmit(NOW)?;
    Some(transmit.iter().map(<[u8]>::to_vec).collect())
}

fn session(tls: &Tls, is_implicit: bool) -> Session {
    let builder = match is_implicit {
        false => Endpoint::starttls("localhost"),
        true => Endpoint::implicit("localhost"),
    };
    let trust = TlsConfig::builder().no_default_roots();
    let trust = trust.add_root_der(tls.authority_der().to_vec()).build();
    builder.tls(trust.unwrap()).build().unwrap().session()
}

fn server(tls: &Tls, is_implicit: bool, log: &Log) -> TlsPeer<Machine> {
    let config = Config::new().tls(tls.clone());
    let config = if is_implicit {
        config.implicit_tls()
    } else {
        config
    };
    TlsPeer::new(Machine::with_log(&config, log), tls.server_config())
}
