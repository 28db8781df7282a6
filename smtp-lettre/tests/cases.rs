//! Messages that arrive.

use lettre::Message;
use lettre::address::Envelope;
use lettre::message::header::ContentType;
use lettre::message::{Attachment, MultiPart, SinglePart};
use smtp_lettre::Credentials;
use smtp_lettre::proto::MailBuilder;
use smtp_lettre::proto::dsn::Return;
use smtp_test::{Config, Server, Tls};

use crate::programs::Program;

pub(crate) fn a_message_with_an_attachment_arrives_as_formatted<P: Program>() {
    let (server, transport) = login::<P>("correct horse");
    let message = invoice();
    let delivered = P::send(&transport, &message).unwrap();
    assert_eq!(delivered.recipients().len(), 3);
    assert_eq!(delivered.to_string().lines().count(), 3);
    let mails = server.mails();
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].body(), message.formatted());
    assert_eq!(mails[0].sender(), "alice@example.org");
    assert_eq!(mails[0].addresses(), RECIPIENTS);
    assert_eq!(mails[0].authenticated_as(), Some("alice"));
    assert!(mails[0].over_tls());
    // lettre has removed it.
    assert!(!String::from_utf8_lossy(mails[0].body()).contains("archive"));
}

pub(crate) fn a_message_arrives_as_formatted_without_chunking<P: Program>() {
    let server = start(Config::new().without("CHUNKING").without("PIPELINING"));
    let message = invoice();
    P::send(&cleartext::<P>(&server), &message).unwrap();
    assert_eq!(server.mails()[0].body(), message.formatted());
}

pub(crate) fn a_bcc_field_that_is_kept_is_sent<P: Program>() {
    let server = start(Config::new());
    let message = Message::builder()
        .from("alice@example.org".parse().unwrap())
        .to("bob@example.net".parse().unwrap())
        .bcc("archive@example.org".parse().unwrap())
        .keep_bcc()
        .body("Hello.\r\n".to_owned())
        .unwrap();
    P::send(&cleartext::<P>(&server), &message).unwrap();
    let mails = server.mails();
    assert_eq!(mails[0].body(), message.formatted());
    assert!(String::from_utf8_lossy(mails[0].body()).contains("Bcc: archive@example.org\r\n"));
    assert_eq!(
        mails[0].addresses(),
        ["bob@example.net", "archive@example.org"]
    );
}

pub(crate) fn a_raw_message_with_bare_line_feeds_and_no_date_is_sent<P: Program>() {
    let server = start(Config::new());
    let email = b"From: alice@example.org\nSubject: hello\n\nHello\n.\nBob\n";
    P::send_raw(&cleartext::<P>(&server), &envelope(), email).unwrap();
    assert_eq!(
        server.mails()[0].body(),
        b"From: alice@example.org\r\nSubject: hello\r\n\r\nHello\r\n.\r\nBob\r\n"
    );
}

pub(crate) fn content_that_is_no_message_is_sent_on_request<P: Program>() {
    let server = start(Config::new());
    let transport = P::with(cleartext::<P>(&server), MailBuilder::without_header_check);
    P::send_raw(&transport, &envelope(), b"Hello\r\n").unwrap();
    assert_eq!(server.mails()[0].body(), b"Hello\r\n");
}

pub(crate) fn mail_options_add_parameters<P: Program>() {
    let server = start(Config::new());
    let transport = P::with(cleartext::<P>(&server), |mail| {
        mail.parameter(smtp_lettre::proto::Parameter::ret(Return::Headers))
    });
    P::send(&transport, &invoice()).unwrap();
    assert_eq!(server.mails()[0].parameter("RET"), Some("HDRS"));
}

pub(crate) fn messages_share_a_connection<P: Program>() {
    let server = start(Config::new());
    let transport = cleartext::<P>(&server);
    for _ in 0..3 {
        P::send(&transport.clone(), &invoice()).unwrap();
    }
    P::shutdown(&transport);
    assert_eq!(server.mails().len(), 3);
    assert_eq!(server.sessions().len(), 1);
}

pub(crate) fn a_url_begins_a_transport<P: Program>() {
    let tls = Tls::new();
    let server = start(
        Config::new()
            .tls(tls.clone())
            .user("alice", "correct horse"),
    );
    let url = format!("smtp://alice:correct%20horse@localhost:{}", server.port());
    let builder = P::from_url(&url).unwrap().tls(tls.client_config());
    assert!(!format!("{builder:?}").contains("horse"));
    P::send(&builder.build().unwrap(), &invoice()).unwrap();
    assert_eq!(server.mails()[0].authenticated_as(), Some("alice"));
}

pub(crate) fn implicit_tls_is_the_relay<P: Program>() {
    let tls = Tls::new();
    let server = start(Config::new().tls(tls.clone()).implicit_tls());
    let transport = P::relay("localhost")
        .unwrap()
        .port(server.port())
        .hello_name("client.example.org".parse().unwrap())
        .tls(tls.client_config())
        .build()
        .unwrap();
    P::send(&transport, &invoice()).unwrap();
    assert!(server.mails()[0].over_tls());
    assert_eq!(
        server.sessions()[0].client_name(),
        Some("client.example.org")
    );
}

pub(crate) fn the_connection_is_tested<P: Program>() {
    let server = start(Config::new());
    let transport = cleartext::<P>(&server);
    assert!(P::test_connection(&transport).unwrap());
    P::send(&transport, &invoice()).unwrap();
    assert_eq!(server.sessions().len(), 1);

    let none = P::builder_dangerous("localhost").port(closed_port());
    let error = P::test_connection(&none.build().unwrap()).unwrap_err();
    assert!(error.is_transient());
    assert_eq!(error.not_accepted().count(), 0);
}

pub(crate) fn start(config: Config) -> Server {
    Server::start(config).expect("a server")
}

/// A server at which alice logs in inside TLS, and a transport that does so by this password.
pub(crate) fn login<P: Program>(password: &str) -> (Server, P::Transport) {
    let tls = Tls::new();
    let server = start(
        Config::new()
            .tls(tls.clone())
            .user("alice", "correct horse"),
    );
    let transport = P::starttls_relay("localhost")
        .unwrap()
        .port(server.port())
        .credentials(Credentials::password("alice", password).unwrap())
        .tls(tls.client_config())
        .build()
        .unwrap();
    (server, transport)
}

/// A transport to a server without TLS.
pub(crate) fn cleartext<P: Program>(server: &Server) -> P::Transport {
    P::builder_dangerous("localhost")
        .port(server.port())
        .build()
        .expect("a transport")
}

/// A port on which no server listens.
pub(crate) fn closed_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

pub(crate) fn envelope() -> Envelope {
    let alice = "alice@example.org".parse().expect("an address");
    let bob = "bob@example.net".parse().expect("an address");
    Envelope::new(Some(alice), vec![bob]).expect("an envelope")
}

/// A message with text, HTML and an attachment, for the [`RECIPIENTS`].
pub(crate) fn invoice() -> Message {
    let pdf = ContentType::parse("application/pdf").expect("a type");
    let bytes: Vec<u8> = (0..5000_u32).map(|n| (n * n % 251) as u8).collect();
    let text = MultiPart::alternative_plain_html(
        "Der Betrag ist 5\u{a0}€.\r\n.\r\n".to_owned(),
        "<p>Der Betrag ist 5&nbsp;€.</p>\r\n".to_owned(),
    );
    Message::builder()
        .from("Alice <alice@example.org>".parse().expect("a mailbox"))
        .to("Bob <bob@example.net>".parse().expect("a mailbox"))
        .cc("carol@example.net".parse().expect("a mailbox"))
        .bcc("archive@example.org".parse().expect("a mailbox"))
        .subject("Rechnung für Bob")
        .multipart(
            MultiPart::mixed()
                .multipart(text)
                .singlepart(Attachment::new("Rechnung.pdf".to_owned()).body(bytes, pdf))
                .singlepart(SinglePart::plain("Grüße\r\n".to_owned())),
        )
        .expect("a message")
}

pub(crate) const RECIPIENTS: [&str; 3] = [
    "bob@example.net",
    "carol@example.net",
    "archive@example.org",
];
