//! Messages, configs and the check of outcomes, for the tests of all adapters.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use smtp_proto::{
    Config, Connection, Error, ErrorKind, Event, Mail, Outcome, RecipientStatus, Security, Seed,
    StreamedContent, Timeouts,
};
use smtp_test::{Log, StoredMail};

pub const TEXT: &str = "From: alice@example.org\r\nSubject: hi\r\n\r\nhello\r\n.\r\nbye\r\n";
pub const TO: [&str; 2] = ["bob@example.net", "carol@example.net"];

/// A connection without a TLS layer.
pub fn wire(security: Security) -> Connection {
    limited(security, Duration::from_secs(60))
}

pub fn limited(security: Security, limit: Duration) -> Connection {
    with_timeouts(security, Timeouts::default().at_most(limit))
}

/// A connection that hardly waits for a reply after writing failed.
pub fn hasty() -> Connection {
    with_timeouts(
        Security::Cleartext,
        Timeouts::default().with_drain(Duration::from_millis(5)),
    )
}

pub fn with_timeouts(security: Security, timeouts: Timeouts) -> Connection {
    let config = Config::builder("client.test".parse().unwrap())
        .security(security)
        .timeouts(timeouts)
        .build()
        .unwrap();
    Connection::new(Arc::new(config), Seed::from_bytes([7; 32]))
}

/// A time limit that is reached: only for what never comes, since anything else may take as long
/// on a busy machine.
pub const SOON: Duration = Duration::from_millis(300);

pub fn mail() -> Mail {
    Mail::new("alice@example.org", TO, TEXT).unwrap()
}

/// A message to `count` recipients.
pub fn mail_to(count: usize) -> Mail {
    let recipients = (0..count).map(|number| format!("recipient{number}@example.net"));
    Mail::new("alice@example.org", recipients, TEXT).unwrap()
}

pub fn streamed() -> Mail {
    Mail::builder()
        .sender("alice@example.org")
        .recipients(TO)
        .without_header_check()
        .streamed(StreamedContent::new())
        .build()
        .unwrap()
}

/// A message of more than this many bytes.
pub fn long_text(bytes: usize) -> String {
    let mut text = String::from("From: alice@example.org\r\nSubject: long\r\n\r\n");
    for number in 0.. {
        if text.len() > bytes {
            break;
        }
        text.push_str(&format!(
            ".line {number}, which has its share of the text and begins with a dot\r\n"
        ));
    }
    text
}

/// Three addresses without a listener.
pub fn closed_ports() -> [SocketAddr; 3] {
    let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap())
}

/// Asserts that an error of connecting names the endpoint, and the failure of each address.
#[track_caller]
pub fn assert_tried(error: &Error, endpoint: &str, addresses: &[SocketAddr]) {
    let text = format!("{error:#}");
    assert_eq!(error.endpoint(), Some(endpoint), "{text}");
    let tried = error.attempts().iter().chain([error]);
    let tried: Vec<SocketAddr> = tried.filter_map(Error::address).collect();
    assert_eq!(tried, addresses, "{text}");
    assert!(text.starts_with(endpoint), "{text}");
    for address in addresses {
        assert!(text.contains(&address.to_string()), "{text}");
    }
    let failures = text.matches("connecting: ").count();
    assert_eq!(failures, addresses.len().max(1), "{text}");
}

/// The status of a message, which is the same for all of its recipients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    NotSent,
    InDoubt,
    Accepted,
}

/// Checks an outcome against what the server has stored, and returns the status of the message.
#[track_caller]
pub fn status_of(outcome: &Outcome, log: &Log) -> Status {
    let stored = !log.mails().is_empty();
    let mut status = None;
    for delivery in outcome.recipients() {
        let each = match delivery.status() {
            RecipientStatus::Accepted(_) => Status::Accepted,
            RecipientStatus::NotSent(_) => Status::NotSent,
            RecipientStatus::InDoubt(_) => Status::InDoubt,
            RecipientStatus::Rejected { stage, reply, .. } => panic!("rejected {stage}: {reply}"),
        };
        assert!(
            status.is_none_or(|other| other == each),
            "one message, two statuses: {outcome:?}"
        );
        status = Some(each);
    }
    let status = status.expect("a message has a recipient");
    match status {
        Status::Accepted => assert!(stored, "accepted, and the server has nothing"),
        Status::NotSent => assert!(!stored, "not sent, and the server has it"),
        Status::InDoubt => {}
    }
    if let Some(mail) = log.mails().first() {
        assert_stored(mail, TEXT);
    }
    status
}

#[track_caller]
pub fn assert_stored(mail: &StoredMail, text: &str) {
    assert_eq!(mail.sender(), "alice@example.org");
    assert_eq!(mail.addresses(), TO);
    assert_eq!(mail.body(), text.as_bytes());
}

/// Asserts that the later a fault is, the further its message came.
#[track_caller]
pub fn assert_rising(statuses: &[Status]) {
    assert!(statuses.is_sorted(), "{statuses:?}");
    for each in [Status::NotSent, Status::InDoubt, Status::Accepted] {
        let found = statuses.contains(&each);
        assert!(found, "no fault led to {each:?}: {statuses:?}");
    }
}

/// The outcome of a message whose caller did not wait for it.
pub fn left_over(connection: &mut Connection) -> Option<Outcome> {
    loop {
        match connection.poll_event()? {
            Ok(Event::Outcome(_, outcome)) => return Some(outcome),
            Ok(_) => {}
            Err(_) => return None,
        }
    }
}

/// Why a message was not sent, or may not have been.
#[track_caller]
pub fn reason(outcome: &Outcome) -> &ErrorKind {
    outcome.error().expect("the message failed").kind()
}

pub mod secured {
    use smtp_proto::{Credentials, Security, Timeouts, TranscriptEntry};
    use smtp_rustls::{Endpoint, EndpointBuilder, Session};
    use smtp_test::{Action, Config, Defect, Server, Stage, Tls};

    /// An endpoint that trusts this certificate.
    pub fn endpoint(tls: &Tls) -> EndpointBuilder {
        let trust = smtp_rustls::TlsConfig::builder()
            .no_default_roots()
            .add_root_der(tls.authority_der().to_vec())
            .build()
            .unwrap();
        Endpoint::builder("localhost").tls(trust)
    }

    /// A session with a server in memory that has this certificate, by STARTTLS.
    pub fn session(tls: &Tls) -> Session {
        let timeouts = Timeouts::default().with_drain(std::time::Duration::from_millis(5));
        let endpoint = endpoint(tls).timeouts(timeouts).build().unwrap();
        endpoint.session()
    }

    /// A server and an endpoint for each way to have TLS.
    pub fn both_ways() -> [(Server, Endpoint); 2] {
        let tls = Tls::new();
        let config = Config::new()
            .tls(tls.clone())
            .user("alice", "correct horse")
            .require_tls()
            .require_auth();
        let credentials = Credentials::password("alice", "correct horse").unwrap();
        [
            (config.clone(), Security::StartTls),
            (config.implicit_tls(), Security::Implicit),
        ]
        .map(|(config, security)| {
            let server = Server::start(config).unwrap();
            let endpoint = endpoint(&tls)
                .security(security)
                .port(server.port())
                .credentials(credentials.clone())
                .build()
                .unwrap();
            (server, endpoint)
        })
    }

    /// An endpoint in cleartext.
    pub fn cleartext(port: u16) -> Endpoint {
        Endpoint::builder("localhost")
            .security(Security::Cleartext)
            .port(port)
            .build()
            .unwrap()
    }

    /// An endpoint for a server with this certificate, by opportunistic TLS.
    pub fn opportunistic(tls: &Tls, server: &Server) -> Endpoint {
        endpoint(tls)
            .security(Security::Opportunistic)
            .port(server.port())
            .build()
            .unwrap()
    }

    /// A password that is recognized wherever it shows.
    pub const CANARY: &str = "Canary-pa55word=Zk3/+9x";

    /// An endpoint that logs in with the canary, and whose transcript is observed.
    pub fn observed(
        tls: &Tls,
        observer: impl Fn(&TranscriptEntry<'_>) + Send + Sync + 'static,
    ) -> Endpoint {
        endpoint(tls)
            .timeouts(Timeouts::default().with_drain(std::time::Duration::from_millis(5)))
            .credentials(Credentials::password("alice", CANARY).unwrap())
            .transcript(observer)
            .build()
            .unwrap()
    }

    /// Servers with a login: first two that accept the canary, then some where the login fails.
    pub fn jealous(tls: &Tls) -> Vec<Config> {
        let server = |mechanism: &str| {
            Config::new()
                .tls(tls.clone())
                .user("alice", CANARY)
                .require_auth()
                .capabilities(["STARTTLS".to_owned(), format!("AUTH {mechanism}")])
        };
        let mut servers = vec![server("PLAIN"), server("LOGIN")];
        for reply in ["535 5.7.8 no", "421 4.3.2 down", "334 eHh4", "what?"] {
            let answer = || Action::reply(reply);
            servers.push(server("PLAIN").on(Stage::Auth, answer()));
            servers.push(server("LOGIN").on(Stage::AnyAuthStep, answer()));
        }
        servers.push(server("CRAM-MD5"));
        servers.push(server("PLAIN").tls(tls.clone().defect(Defect::Expired)));
        servers
    }
}
