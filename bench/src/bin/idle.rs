//! The heap of an idle connection, in cleartext and in TLS, beside rustls alone.
//!
//! Needs the feature `counting`. Each figure is the memory that is freed when the connection is
//! dropped. It does not include what all connections share: the configuration, and that of TLS.

#[cfg(feature = "counting")]
fn main() {
    use std::io::{Read, Write};
    use std::sync::Arc;

    use bench::{Canned, ONE, OPENING, counting, text};
    use smtp_blocking::Client;
    use smtp_proto::{Config, Connection, Mail, Security, Seed};
    use smtp_rustls::{Endpoint, TlsConfig};
    use smtp_test::MemoryServer;

    let mail = || Mail::new("alice@example.org", ["bob@example.net"], text(1000)).unwrap();

    let config = Config::builder("client.example.org".parse().unwrap())
        .security(Security::Cleartext)
        .build()
        .unwrap();
    let config = Arc::new(config);
    let connection = Connection::new(Arc::clone(&config), Seed::from_bytes([0; 32]));
    let mut client = Client::from_stream(Canned::new(&OPENING, ONE), connection);
    client.ready().unwrap();
    assert!(client.send(mail()).unwrap().is_accepted());
    let (_stream, wire) = client.into_parts();
    println!("in cleartext: {} bytes", freed(wire));

    let tls = smtp_test::Tls::for_names(["mail.example.org"]);
    let server = smtp_test::Config::new().tls(tls.clone()).implicit_tls();
    let trust = TlsConfig::builder()
        .no_default_roots()
        .add_root_der(tls.authority_der().to_vec())
        .build()
        .unwrap();
    let shared = Arc::clone(trust.config());
    let endpoint = Endpoint::implicit("mail.example.org")
        .tls(trust)
        .build()
        .unwrap();
    let mut client = Client::from_stream(InMemory(MemoryServer::new(&server)), endpoint.session());
    client.ready().unwrap();
    assert!(client.send(mail()).unwrap().is_accepted());
    let (_stream, wire) = client.into_parts();
    let ours = freed(wire);

    let name = "mail.example.org".try_into().unwrap();
    let mut alone = Box::new(rustls::ClientConnection::new(shared, name).unwrap());
    let mut socket = MemoryServer::new(&server);
    let mut stream = rustls::Stream::new(&mut *alone, &mut socket);
    let mut heard = Vec::new();
    let mut buffer = [0; 1000];
    for say in ["EHLO client.example.org\r\n", "NOOP\r\n"] {
        let count = stream.read(&mut buffer).unwrap();
        heard.extend_from_slice(&buffer[..count]);
        stream.write_all(say.as_bytes()).unwrap();
    }
    let _ = stream.read(&mut buffer).unwrap();
    let bare = freed(alone);
    println!(
        "in TLS: {ours} bytes; rustls alone: {bare} bytes; difference {}",
        ours as i64 - bare as i64
    );

    /// The heap that is freed with a value.
    fn freed<T>(something: T) -> u64 {
        let before = counting::live();
        drop(something);
        before - counting::live()
    }

    /// The server in memory answers at once, so there is nothing to wait for.
    struct InMemory(MemoryServer);

    impl Read for InMemory {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.0.read(buffer)
        }
    }

    impl Write for InMemory {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            self.0.flush()
        }
    }

    impl smtp_blocking::Stream for InMemory {
        fn set_timeouts(&mut self, _limit: std::time::Duration) -> std::io::Result<()> {
            Ok(())
        }
    }
}

#[cfg(not(feature = "counting"))]
fn main() {
    println!("run with --features counting");
}
