//! The spans of a session record the host that the user typed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on ends"
)]

use crate::span_collector::SpanCollector;
use smtp_rustls::Endpoint;
use smtp_rustls::proto::{Security, Time, Wire};
use tracing::Level;

#[test]
fn the_span_of_a_connection_records_the_host_in_each_kind_of_attempt() {
    let endpoint = Endpoint::builder("mx.example.org")
        .security(Security::Cleartext)
        .build()
        .unwrap();
    let collector = SpanCollector::new(Level::TRACE);
    collector.during(|| {
        let mut session = endpoint.session();
        session.handle_input(Time::ORIGIN, b"220 ready\r\n");
        let address = (std::net::Ipv4Addr::LOCALHOST, 25).into();
        let mut attempts = endpoint.attempts([address]);
        let target = attempts.poll_connect(Time::ORIGIN).unwrap();
        drop(attempts.handle_connected(&target, Some(address)));
    });
    assert_eq!(collector.open(), 0);
    let span = "/smtp.connection{host=\"mx.example.org\"}";
    assert_eq!(
        collector.lines(),
        [
            format!("+ {span}"),
            format!("TRACE {span}: S: 220 ready"),
            format!("TRACE {span}: C: EHLO [127.0.0.1]"),
            format!("+ {span}"),
            format!("- {span}"),
            format!("- {span}"),
        ]
    );
}
