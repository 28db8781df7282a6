//! A session and a server in memory, and the wiring that carries bytes between them.

#![allow(dead_code, reason = "each test file uses a part")]
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on ends"
)]

use std::io;
use std::sync::Arc;
use std::task::Poll;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, PKCS_ED25519};
use smtp_rustls::proto::{Connection, Error, Mail, Outcome, Time, Transmit, TransportError, Wire};
use smtp_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use smtp_rustls::rustls::server::ServerConfig;
use smtp_rustls::rustls::sign::{CertifiedKey, Signer, SigningKey, SingleCertAndKey};
use smtp_rustls::rustls::{self, SignatureAlgorithm, SignatureScheme};
use smtp_rustls::{Endpoint, EndpointBuilder, Session, TlsConfig};
use smtp_test::{Config, Log, Machine, Output, Peer, TlsPeer};

pub(crate) type Server = TlsPeer<Machine>;

/// Carries bytes between a session and a server, split as the test wants.
pub(crate) struct Wiring<P = Server> {
    pub(crate) session: Session,
    pub(crate) server: P,
    /// The most bytes in one write of the client.
    pub(crate) write: usize,
    /// Whether the client reads after each write, and not only when it has nothing to write.
    pub(crate) full_duplex: bool,
    /// Whether operations own the bytes that are sent. A completion is seen after the reply.
    pub(crate) by_completion: bool,
    /// The most bytes in one read of the client.
    pub(crate) read: usize,
    /// The number of bytes from the server that pass before the stream is cut.
    pub(crate) pass: usize,
    /// The input in place of what is cut off.
    pub(crate) then: Vec<u8>,
    /// What the client sent, write by write.
    pub(crate) sent: Vec<Vec<u8>>,
    /// The number of bytes that the server sent.
    pub(crate) received: usize,
    /// The length of the longest transmit.
    pub(crate) longest: usize,
    over: bool,
}

impl Wiring {
    pub(crate) fn new(session: Session, config: &Config, tls: &smtp_test::Tls, log: &Log) -> Self {
        let machine = Machine::with_log(config, log);
        Self::with_peer(session, TlsPeer::new(machine, tls.server_config()))
    }
}

impl<P: Peer> Wiring<P> {
    pub(crate) fn with_peer(session: Session, server: P) -> Self {
        Self {
            session,
            server,
            write: usize::MAX,
            full_duplex: false,
            by_completion: false,
            read: usize::MAX,
            pass: usize::MAX,
            then: Vec::new(),
            sent: Vec::new(),
            received: 0,
            longest: 0,
            over: false,
        }
    }

    /// Moves bytes until the question is answered; `None` if no bytes are left before that.
    pub(crate) fn drive<T>(
        &mut self,
        mut question: impl FnMut(&mut Connection) -> Poll<Result<T, Error>>,
    ) -> Option<Result<T, Error>> {
        loop {
            if let Poll::Ready(answer) = question(self.session.smtp_mut()) {
                return Some(answer);
            }
            let wrote = self.write();
            let read = self.read();
            if !wrote && !read {
                return match question(self.session.smtp_mut()) {
                    Poll::Ready(answer) => Some(answer),
                    Poll::Pending => None,
                };
            }
        }
    }

    /// Moves bytes until neither side has output.
    pub(crate) fn settle(&mut self) {
        while self.write() | self.read() {}
    }

    /// Sends a message, and returns its outcome.
    pub(crate) fn send(&mut self, mail: Mail) -> Outcome {
        let id = self.session.smtp_mut().submit(mail);
        let outcome = self
            .drive(|smtp| smtp.poll_outcome(id))
            .expect("an outcome comes");
        outcome.expect("the outcome is taken once")
    }

    /// Drives the session until it is ready to send messages.
    pub(crate) fn ready(&mut self) -> Result<(), Error> {
        self.drive(Connection::poll_ready).expect("an answer comes")
    }

    /// Moves all output of the client to the server.
    pub(crate) fn write(&mut self) -> bool {
        let mut wrote = false;
        while let Some(transmit) = transmit(&mut self.session) {
            assert!(!transmit.is_empty(), "an empty transmit");
            self.longest = self.longest.max(transmit.len());
            let mut bytes: Vec<u8> = transmit.iter().collect::<Vec<_>>().concat();
            bytes.truncate(self.write);
            if self.by_completion {
                self.session.handle_submitted(NOW, bytes.len());
            } else {
                self.session.handle_sent(NOW, bytes.len());
            }
            self.server.handle_input(&bytes);
            self.sent.push(bytes);
            wrote = true;
            if self.by_completion {
                while self.read() {}
                self.session.handle_completed(NOW);
            }
            while self.full_duplex && self.read() {}
        }
        wrote
    }

    /// Moves the next output of the server to the client.
    pub(crate) fn read(&mut self) -> bool {
        if self.over {
            return false;
        }
        match self.server.poll_output() {
            None => return false,
            Some(Output::Write(bytes)) => self.pass(&bytes),
            Some(Output::Close | Output::Cut) => self.end(),
            Some(Output::Reset) => {
                self.over = true;
                let reset = io::Error::from(io::ErrorKind::ConnectionReset);
                self.session
                    .handle_read_error(NOW, TransportError::from(reset));
            }
            Some(_) => {}
        }
        true
    }

    fn pass(&mut self, bytes: &[u8]) {
        let passes = bytes.len().min(self.pass - self.received);
        for segment in bytes[..passes].chunks(self.read) {
            self.session.handle_input(NOW, segment);
        }
        self.received += passes;
        if passes < bytes.len() {
            let then = std::mem::take(&mut self.then);
            self.session.handle_input(NOW, &then);
            self.end();
        }
    }

    fn end(&mut self) {
        self.over = true;
        self.session.handle_eof(NOW);
    }
}

#[path = "../../../smtp-proto/tests/common/answered.rs"]
pub(crate) mod answered;

/// Trusts only the authority of the test server's certificates.
pub(crate) fn trust(tls: &smtp_test::Tls) -> TlsConfig {
    let builder = TlsConfig::builder().no_default_roots();
    builder
        .add_root_der(tls.authority_der().to_vec())
        .build()
        .unwrap()
}

pub(crate) fn starttls(tls: &smtp_test::Tls) -> EndpointBuilder {
    Endpoint::starttls("localhost").tls(trust(tls))
}

pub(crate) fn implicit(tls: &smtp_test::Tls) -> EndpointBuilder {
    Endpoint::implicit("localhost").tls(trust(tls))
}

pub(crate) fn session(builder: EndpointBuilder) -> Session {
    let endpoint = builder.build().unwrap();
    endpoint.session()
}

/// A server whose handshake always has the same length, since Ed25519 signatures do.
pub(crate) fn steady() -> (smtp_test::Tls, TlsConfig) {
    let authority = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = params.self_signed(&authority).unwrap().der().to_vec();
    let trusted = TlsConfig::builder()
        .no_default_roots()
        .add_root_der(root)
        .build()
        .unwrap();
    let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let leaf = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let leaf = leaf
        .signed_by(&key, &Issuer::new(params, authority))
        .unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let tls = smtp_test::Tls::new().certificate(vec![leaf.der().clone()], key);
    (tls.without_resumption(), trusted)
}

/// A server with this certificate, but without its private key: its signatures are invalid.
pub(crate) fn without_key(
    tls: &smtp_test::Tls,
    certificate: &[u8],
    scheme: SignatureScheme,
) -> Arc<ServerConfig> {
    let chain = vec![CertificateDer::from(certificate.to_vec())];
    let certified = CertifiedKey::new(chain, Arc::new(NoKey(scheme)));
    let mut config = (*tls.server_config()).clone();
    config.cert_resolver = Arc::new(SingleCertAndKey::from(certified));
    Arc::new(config)
}

#[derive(Debug)]
struct NoKey(SignatureScheme);

impl SigningKey for NoKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let signer: Box<dyn Signer> = Box::new(Self(self.0));
        offered.contains(&self.0).then_some(signer)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        match self.0 {
            SignatureScheme::RSA_PSS_SHA256 => SignatureAlgorithm::RSA,
            _ => SignatureAlgorithm::ECDSA,
        }
    }
}

impl Signer for NoKey {
    fn sign(&self, _: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        Ok(vec![0x30; 70])
    }

    fn scheme(&self) -> SignatureScheme {
        self.0
    }
}

/// Client and server for STARTTLS or implicit TLS.
pub(crate) fn wiring(is_implicit: bool, tls: &smtp_test::Tls, log: &Log) -> Wiring {
    if is_implicit {
        let config = Config::new().tls(tls.clone()).implicit_tls();
        Wiring::new(session(implicit(tls)), &config, tls, log)
    } else {
        let config = Config::new().tls(tls.clone());
        Wiring::new(session(starttls(tls)), &config, tls, log)
    }
}

pub(crate) fn mail(text: impl Into<Vec<u8>>) -> Mail {
    Mail::new("a@example.org", ["b@example.net"], text.into()).unwrap()
}

pub(crate) const HELLO: &str = "From: a@example.org\r\nSubject: hello\r\n\r\nhello\r\n";

pub(crate) const NOW: Time = Time::ORIGIN;

/// The output of a session after it has read all input.
pub(crate) fn transmit(session: &mut Session) -> Option<Transmit<'_>> {
    if session.poll_transmit(NOW).is_none() && session.poll_timeout() == Some(NOW) {
        session.handle_timeout(NOW);
    }
    session.poll_transmit(NOW)
}
