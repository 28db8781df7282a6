//! Key updates during a TLS 1.3 connection (RFC 8446, section 4.6.3).

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on ends"
)]

use std::io::{Read, Write};

use crate::common::{HELLO, Wiring, implicit, mail, session};
use smtp_rustls::rustls::ServerConnection;
use smtp_test::{Output, Peer, Tls};

/// A server that updates its keys, and requests an update of the client, before each reply.
struct Rekeying {
    connection: ServerConnection,
    received: Vec<u8>,
    replied: usize,
}

const REPLIES: [&str; 6] = [
    "220 ready\r\n",
    "250 hello\r\n",
    "250 sender ok\r\n",
    "250 recipient ok\r\n",
    "354 go on\r\n",
    "250 stored\r\n",
];

impl Peer for Rekeying {
    fn handle_input(&mut self, mut input: &[u8]) {
        while !input.is_empty() {
            self.connection.read_tls(&mut input).unwrap();
            self.connection.process_new_packets().unwrap();
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = self.connection.reader().read(&mut buffer) {
                self.received.extend(&buffer[..count]);
            }
        }
        // Each command is one line, and so is the end of data.
        let text = String::from_utf8_lossy(&self.received)
            .replace("\r\n\r\nhello", "")
            .replace("hello\r\n", "");
        let due = if self.connection.is_handshaking() {
            0
        } else {
            1 + text.matches("\r\n").count()
        };
        while self.replied < due.min(REPLIES.len()) {
            self.connection.refresh_traffic_keys().unwrap();
            self.connection
                .writer()
                .write_all(REPLIES[self.replied].as_bytes())
                .unwrap();
            self.replied += 1;
        }
    }

    fn handle_eof(&mut self) {}

    fn poll_output(&mut self) -> Option<Output> {
        let mut wire = Vec::new();
        while self.connection.wants_write() {
            self.connection.write_tls(&mut wire).unwrap();
        }
        (!wire.is_empty()).then_some(Output::Write(wire))
    }
}

#[test]
fn a_key_update_before_each_reply_changes_nothing() {
    for read in [1, usize::MAX] {
        let tls = Tls::new().only_tls13();
        let server = Rekeying {
            connection: ServerConnection::new(tls.server_config()).unwrap(),
            received: Vec::new(),
            replied: 0,
        };
        let mut wiring = Wiring::with_peer(session(implicit(&tls)), server);
        wiring.read = read;
        let outcome = wiring.send(mail(HELLO));
        assert!(
            outcome.is_accepted(),
            "{outcome:?}: {}",
            String::from_utf8_lossy(&wiring.server.received)
        );
        assert_eq!(wiring.server.replied, REPLIES.len());
    }
}
