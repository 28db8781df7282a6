//! No freed memory holds the password of a proxy, wherever the handshake ends.
//!
//! A test program of its own, because its allocator searches every block that is freed.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::sync::Arc;

use smtp_proto::{Config, Connection, Secret, Security, Seed, Time, TransportError, Wire as _};
use smtp_tunnel::{Destination, Proxy, Tunnel};
use watched_heap::{CANARY, LONG_CANARY, WatchedHeap, unwatched, watch};

#[global_allocator]
static HEAP: WatchedHeap = WatchedHeap;

type End = fn(&mut Tunnel<Connection>);

const ENDS: [End; 6] = [
    |_| {},
    |tunnel| tunnel.handle_eof(NOW),
    |tunnel| tunnel.handle_timeout(Time::from_origin(std::time::Duration::MAX)),
    |tunnel| {
        tunnel.handle_write_error(NOW, TransportError::new(std::fmt::Error));
        tunnel.handle_read_error(NOW, TransportError::new(std::fmt::Error));
    },
    |tunnel| tunnel.handle_input(NOW, b"nonsense\r\n"),
    |tunnel| tunnel.handle_sent(NOW, usize::MAX),
];

#[test]
fn v37_no_freed_memory_holds_the_password_of_a_proxy() {
    let socks: &[&[u8]] = &[
        &[5, 2],
        &[1, 0],
        b"\x05\x00\x00\x01\0\0\0\0\0\x00220 ready\r\n",
    ];
    let http: &[&[u8]] = &[b"HTTP/1.1 200 OK\r\n", b"\r\n220 ready\r\n"];
    for (proxy, turns) in [(Proxy::socks5(), socks), (Proxy::http(), http)] {
        for canary in [CANARY, LONG_CANARY] {
            let mut sent_secret = false;
            for steps in 0..=turns.len() {
                for end in ENDS {
                    let ((), finds) = watch(&canary, || {
                        // The SOCKS5 password has at most 255 bytes.
                        let Ok(proxy) = proxy.clone().credentials("alice", canary.text()) else {
                            return;
                        };
                        let mut tunnel = tunnel(&proxy);
                        for turn in &turns[..steps] {
                            sent_secret |= send(&mut tunnel, |bytes| canary.is_in(bytes));
                            tunnel.handle_input(NOW, turn);
                        }
                        end(&mut tunnel);
                    });
                    assert_eq!(finds.count(), 0, "{proxy:?} after {steps} steps");
                }
            }
            // Otherwise nothing would have been searched for.
            let is_taken = proxy.clone().credentials("alice", canary.text()).is_ok();
            assert_eq!(sent_secret, is_taken, "{proxy:?}");
        }
    }
}

#[test]
fn v37_a_rejected_password_of_a_proxy_leaves_nothing_behind() {
    let ((), finds) = watch(&CANARY, || {
        let mut secret = String::with_capacity(400);
        secret.push_str(CANARY.text());
        secret.push('\0');
        let short = Secret::from(secret.clone());
        assert!(Proxy::http().credentials("alice", short).is_err());
        while secret.len() < 256 {
            secret.push('x');
        }
        assert!(
            Proxy::socks5()
                .credentials("alice", Secret::from(secret))
                .is_err()
        );
    });
    assert_eq!(finds.count(), 0);
}

fn tunnel(proxy: &Proxy) -> Tunnel<Connection> {
    let config = Config::builder("client.test".parse().unwrap())
        .security(Security::Cleartext)
        .build()
        .unwrap();
    let connection = Connection::new(Arc::new(config), Seed::from_bytes([7; 32]));
    let destination = Destination::new("mail.example.org", 587).unwrap();
    Tunnel::new(connection, proxy, destination)
}

/// Sends all output, in two parts; returns whether it has what is looked for.
fn send(tunnel: &mut Tunnel<Connection>, has: impl Fn(&[u8]) -> bool) -> bool {
    let mut found = false;
    while let Some(transmit) = tunnel.poll_transmit(NOW) {
        let len = transmit.len();
        for slice in transmit.iter() {
            found |= unwatched(|| has(slice));
        }
        tunnel.handle_sent(NOW, len.div_ceil(2));
    }
    found
}

const NOW: Time = Time::ORIGIN;
