//! Peers that cannot be hurried, after small buffers; for all three adapters.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::thread::{self, JoinHandle};

use smtp_proto::{Security, Timeouts};
use smtp_rustls::EndpointBuilder;
use smtp_test::{Action, Config, Log, Machine, Peer, Stage, Tls, TlsPeer, serve};
use socket2::SockRef;

/// Enough that neither all commands nor all replies fit in any buffer between the two.
pub const RECIPIENTS: usize = 10_000;

/// The same of chunks.
pub const CHUNKS: usize = 100;

/// Bytes that each buffer on the way holds; for sockets, what is asked of the system.
pub const BUFFER: usize = 4096;

/// A server that has much to say to each recipient, and reads nothing more until that is taken.
pub fn talkative() -> Config {
    let reply = format!("250 2.1.5 {}", "welcome ".repeat(240));
    Config::new()
        .on(Stage::AnyRcpt, Action::reply(reply))
        .discard_transcripts()
}

/// A server that says to each chunk as much as a line holds, and reads nothing more until that is taken.
pub fn talkative_of_chunks() -> Config {
    let reply = format!("250 2.0.0 {}", "x".repeat(500));
    (1..=CHUNKS).fold(Config::new().with("CHUNKING"), |config, number| {
        config.on(Stage::Bdat(number), Action::reply(&reply))
    })
}

/// A server that stops reading in the middle of a text and keeps the connection open.
pub fn deaf() -> Config {
    Config::new().on(Stage::Body(100_000), Action::normal().stop_reading())
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

/// The two ends of a connection whose buffers in the system are small.
///
/// Not of TCP: where its windows are this small, its timers take minutes for what there is to say.
pub fn sockets() -> (UnixStream, UnixStream) {
    let (client, server) = UnixStream::pair().unwrap();
    for socket in [&client, &server] {
        let socket = SockRef::from(socket);
        socket.set_recv_buffer_size(BUFFER).unwrap();
        socket.set_send_buffer_size(BUFFER).unwrap();
    }
    (client, server)
}

/// Patient with all but writing: for a server that stops reading. A loaded machine needs all the time there is for one that
/// goes on.
pub fn hurried() -> Timeouts {
    Timeouts::default().with_data_block(super::common::SOON)
}

/// What speaks in cleartext, or with TLS from the first byte.
pub fn wire(tls: Option<&Tls>, timeouts: Timeouts) -> smtp_rustls::Session {
    wire_with(tls, |builder| builder.timeouts(timeouts))
}

/// The same with a policy of its own.
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
