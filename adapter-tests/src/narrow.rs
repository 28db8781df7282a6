//! Servers behind small buffers that read on only when their replies are read, or not at all.

use std::io::{Read, Write};
use std::thread::{self, JoinHandle};

use smtp_proto::{Security, Timeouts};
use smtp_rustls::EndpointBuilder;
use smtp_test::{Action, Config, Log, Machine, Peer, Stage, Tls, TlsPeer, serve};

/// Enough that neither all commands nor all replies fit in any buffer between client and server.
pub const RECIPIENTS: usize = 10_000;

/// The number of chunks with the same property.
pub const CHUNKS: usize = 100;

/// The size of each buffer on the way, in bytes; for sockets, what is requested of the system.
pub const BUFFER: usize = 4096;

/// A server with a long reply to each RCPT, which reads nothing more until that reply is read.
pub fn talkative() -> Config {
    let reply = format!("250 2.1.5 {}", "welcome ".repeat(240));
    Config::new()
        .on(Stage::AnyRcpt, Action::reply(reply))
        .discard_transcripts()
}

/// A server with the longest reply line to each chunk, which reads nothing more until it is read.
pub fn talkative_of_chunks() -> Config {
    let reply = format!("250 2.0.0 {}", "x".repeat(500));
    (1..=CHUNKS).fold(Config::new().with("CHUNKING"), |config, number| {
        config.on(Stage::Bdat(number), Action::reply(&reply))
    })
}

/// A server at the other end of a stream, which stays open until this is joined.
pub fn serving<S: Read + Write + Send + 'static>(
    config: &Config,
    tls: Option<&Tls>,
    log: &Log,
    mut stream: S,
) -> JoinHandle<S> {
    let mut peer: Box<dyn Peer> = match tls {
        Some(tls) => {
            let config = config.clone().tls(tls.clone()).implicit_tls();
            let machine = Machine::with_log(&config, log);
            Box::new(TlsPeer::new(machine, tls.server_config()))
        }
        None => Box::new(Machine::with_log(config, log)),
    };
    thread::spawn(move || {
        serve(&mut peer, &mut stream).unwrap();
        stream
    })
}

/// A session in cleartext, or with TLS from the first byte.
pub fn wire(tls: Option<&Tls>, timeouts: Timeouts) -> smtp_rustls::Session {
    wire_with(tls, |builder| builder.timeouts(timeouts))
}

/// The same with further options.
pub fn wire_with(
    tls: Option<&Tls>,
    policy: impl FnOnce(EndpointBuilder) -> EndpointBuilder,
) -> smtp_rustls::Session {
    let (builder, security) = match tls {
        Some(tls) => (super::common::secured::endpoint(tls), Security::Implicit),
        None => (
            smtp_rustls::Endpoint::builder("localhost"),
            Security::Cleartext,
        ),
    };
    policy(builder.security(security))
        .build()
        .unwrap()
        .session()
}

/// In cleartext and in TLS.
pub fn both() -> [Option<Tls>; 2] {
    [None, Some(Tls::new())]
}
