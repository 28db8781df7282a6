//! Sessions through proxies, and with the header of the PROXY protocol.

use std::task::Poll;

use smtp_rustls::proto::{Connection, ErrorKind, Mail, Outcome, Security, Stage, Timeout, Wire};
use smtp_rustls::tunnel::{ProxyError, ProxyErrorKind, ProxyHeader};
use smtp_rustls::{
    Endpoint, EndpointBuilder, EndpointError, ProxyServer, ProxyServerError, Target,
};
use smtp_test::{Config, Defect, Log, Machine, Output, Peer, Proxy, ProxyPeer, Tls, TlsPeer};

use crate::common::{HELLO, NOW, Wiring, mail, steady, transmit, trust};

/// The ways to reach a proxy: by name, by the login that it requires, by TLS.
const WAYS: [(&str, bool); 6] = [
    ("socks5", false),
    ("socks5", true),
    ("http", false),
    ("http", true),
    ("https", false),
    ("https", true),
];

fn client(way: (&str, bool)) -> ProxyServer {
    let proxy = match way.0 {
        "socks5" => ProxyServer::socks5("localhost"),
        "http" => ProxyServer::http("localhost"),
        _ => ProxyServer::https("localhost"),
    };
    match way.1 {
        true => proxy.credentials("alice", "canary"),
        false => proxy,
    }
}

fn server(way: (&str, bool)) -> Proxy {
    let proxy = match way.0 {
        "socks5" => Proxy::socks5(),
        "http" => Proxy::http(),
        _ => Proxy::http().in_tls(),
    };
    match way.1 {
        true => proxy.login("alice", "canary"),
        false => proxy,
    }
}

fn endpoint(security: Security, tls: &Tls) -> EndpointBuilder {
    Endpoint::builder("localhost")
        .security(security)
        .tls(trust(tls))
        .proxy_tls(trust(tls))
}

/// The server, behind the proxy if it is one in cleartext.
fn behind(proxy: &Proxy, security: Security, tls: &Tls, log: &Log) -> ProxyPeer<TlsPeer<Machine>> {
    let config = Config::new().tls(tls.clone());
    let config = match security {
        Security::Implicit => config.implicit_tls(),
        _ => config,
    };
    let machine = Machine::with_log(&config, log);
    proxy.peer(TlsPeer::new(machine, tls.server_config()))
}

/// The same, with TLS around it if the proxy is reached by TLS.
fn peer(
    way: (&str, bool),
    proxy: &Proxy,
    security: Security,
    tls: &Tls,
    log: &Log,
) -> Box<dyn Peer> {
    let peer = behind(proxy, security, tls, log);
    match way.0 {
        "https" => Box::new(TlsPeer::new(peer, tls.server_config())),
        _ => Box::new(peer),
    }
}

fn send<P: Peer>(wiring: &mut Wiring<P>, text: &str) -> Outcome {
    wiring.send(mail(text))
}

#[test]
fn a_message_goes_through_every_kind_of_proxy_however_its_bytes_are_cut() {
    let tls = Tls::new();
    for way in WAYS {
        for security in [Security::StartTls, Security::Implicit, Security::Cleartext] {
            for (joined, write, read) in [
                (false, usize::MAX, usize::MAX),
                (true, usize::MAX, usize::MAX),
                (false, 1, 1),
                (true, 7, 3),
            ] {
                let case = format!("{way:?} {security:?} {joined} {write}");
                let log = Log::new();
                let mut proxy = server(way);
                if joined {
                    proxy = proxy.join_first_output();
                }
                let endpoint = endpoint(security, &tls).proxy(client(way)).build().unwrap();
                let peer = peer(way, &proxy, security, &tls, &log);
                let mut wiring = Wiring::with_peer(endpoint.session(), peer);
                (wiring.write, wiring.read) = (write, read);
                wiring
                    .ready()
                    .unwrap_or_else(|error| panic!("{case}: {error:#}"));
                assert!(send(&mut wiring, HELLO).is_accepted(), "{case}");
                assert_eq!(proxy.requests(), [format!("localhost:{}", endpoint.port())]);
                assert_eq!(log.mails()[0].over_tls(), security != Security::Cleartext);
                let shown = format!("{:?}", wiring.session);
                assert!(!shown.contains("canary"), "{case}");
                assert_eq!(shown.contains("TlsTunnel"), way.0 == "https", "{shown}");
                assert!(shown.contains("Session"), "{shown}");
                log.assert_clean();
            }
        }
    }
}

#[test]
fn a_long_message_goes_through_two_layers_of_tls() {
    let tls = Tls::new();
    let log = Log::new();
    let way = ("https", true);
    let proxy = server(way);
    let endpoint = endpoint(Security::StartTls, &tls)
        .proxy(client(way))
        .build()
        .unwrap();
    let peer = peer(way, &proxy, Security::StartTls, &tls, &log);
    let mut wiring = Wiring::with_peer(endpoint.session(), peer);
    wiring.ready().unwrap();
    let text = HELLO.to_owned() + &"a line of text\r\n".repeat(50_000);
    for _ in 0..3 {
        assert!(send(&mut wiring, &text).is_accepted());
    }
    assert_eq!(log.mails()[2].body().len(), text.len());
    log.assert_clean();
}

#[test]
fn the_proxy_costs_two_round_trips_by_socks5_and_one_by_http_and_a_login_one_by_socks5() {
    let tls = Tls::new();
    for (way, expected) in [
        (("socks5", false), 2),
        (("socks5", true), 3),
        (("http", false), 1),
        (("http", true), 1),
        // The handshake of TLS 1.3 is another.
        (("https", true), 2),
    ] {
        let log = Log::new();
        let proxy = server(way);
        let endpoint = endpoint(Security::Cleartext, &tls)
            .proxy(client(way))
            .build()
            .unwrap();
        let peer = peer(way, &proxy, Security::Cleartext, &tls, &log);
        let mut wiring = Wiring::with_peer(endpoint.session(), peer);
        let mut round_trips = 0;
        let is_greeted = |wiring: &Wiring<_>| wiring.session.smtp().stats().bytes_received() > 0;
        while !is_greeted(&wiring) {
            round_trips += usize::from(wiring.write());
            let mut moved = false;
            while !is_greeted(&wiring) && wiring.read() {
                moved = true;
            }
            assert!(moved, "{way:?}");
        }
        assert_eq!(round_trips, expected, "{way:?}");
    }
}

/// Drives a session with this peer until it fails.
fn failure(endpoint: &Endpoint, peer: impl Peer) -> smtp_rustls::proto::Error {
    let mut wiring = Wiring::with_peer(endpoint.session(), peer);
    let failed = wiring
        .drive(Connection::poll_ready)
        .expect("an answer comes");
    // The rest, such as an alert.
    wiring.settle();
    failed.unwrap_err()
}

#[test]
fn a_rejection_names_server_proxy_stage_reply_and_cure() {
    let tls = Tls::new();
    let socks5 = ("socks5", true);
    let http = ("http", true);
    let https = ("https", true);
    let wrong = |way| server(way).login("bob", "other");
    let cases = [
        (
            socks5,
            wrong(socks5),
            "localhost:587 through proxy localhost:1080: at the proxy: the proxy rejected the login with status 1",
            false,
        ),
        (
            http,
            wrong(http),
            "localhost:587 through proxy localhost:80: at the proxy: HTTP status 407 Proxy Authentication Required",
            false,
        ),
        (
            https,
            wrong(https),
            "localhost:587 through proxy localhost:443: at the proxy: HTTP status 407 Proxy Authentication Required",
            false,
        ),
        (
            socks5,
            server(socks5).refuse_with_code(2),
            "SOCKS5 reply 2, connection not allowed by ruleset",
            false,
        ),
        (
            socks5,
            server(socks5).refuse_with_code(5),
            "SOCKS5 reply 5, connection refused",
            true,
        ),
        (
            http,
            server(http).refuse_with_status("403 Forbidden"),
            "HTTP status 403 Forbidden",
            false,
        ),
        (
            https,
            server(https).refuse_with_status("503 Service Unavailable"),
            "HTTP status 503 Service Unavailable",
            true,
        ),
    ];
    for (way, proxy, text, is_transient) in cases {
        let endpoint = endpoint(Security::StartTls, &tls)
            .proxy(client(way))
            .build()
            .unwrap();
        let peer = peer(way, &proxy, Security::StartTls, &tls, &Log::new());
        let error = failure(&endpoint, peer);
        let shown = format!("{error:#}");
        assert!(shown.contains(text), "{shown}");
        assert_eq!(error.stage(), Stage::Proxy, "{shown}");
        assert!(matches!(error.kind(), ErrorKind::Proxy(_)), "{shown}");
        assert!(error.hint().is_some(), "{shown}");
        assert_eq!(error.is_transient(), is_transient, "{shown}");
    }
}

#[test]
fn a_permanent_rejection_is_final_and_another_one_is_not() {
    let tls = Tls::new();
    let addresses = [
        "192.0.2.1:1080".parse().unwrap(),
        "192.0.2.2:1080".parse().unwrap(),
    ];
    for (code, tried) in [(2, 1), (4, 2)] {
        let proxy = Proxy::socks5().refuse_with_code(code);
        let endpoint = endpoint(Security::StartTls, &tls)
            .proxy(ProxyServer::socks5("localhost"))
            .build()
            .unwrap();
        let mut attempts = endpoint.attempts(addresses);
        let mut sessions = 0;
        while let Some(target) = attempts.poll_connect(NOW) {
            let session = attempts.handle_connected(&target, None).unwrap();
            let peer = behind(&proxy, Security::StartTls, &tls, &Log::new());
            let mut wiring = Wiring::with_peer(session, peer);
            attempts.handle_failure(wiring.ready().unwrap_err());
            sessions += 1;
        }
        assert!(attempts.is_over());
        assert_eq!(sessions, tried, "{code}");
        let error = attempts.into_error();
        let ErrorKind::Proxy(reply) = error.kind() else {
            panic!("{error:#}");
        };
        let reply: &ProxyError = reply.get_ref().downcast_ref().unwrap();
        assert_eq!(reply.kind(), ProxyErrorKind::Socks5(code));
        assert_eq!(error.address(), Some(addresses[tried - 1]));
        let named = format!(
            "localhost:587 through proxy localhost:1080 ({}): at the proxy: SOCKS5 reply {code}",
            addresses[tried - 1].ip()
        );
        assert!(error.to_string().starts_with(&named), "{error}");
    }
}

#[test]
fn v45_the_local_address_is_not_told_to_a_server_behind_a_proxy() {
    let tls = Tls::new();
    let local = "198.51.100.7:40000".parse().unwrap();
    for (proxy, expected) in [(false, "[198.51.100.7]"), (true, "[127.0.0.1]")] {
        let log = Log::new();
        let builder = endpoint(Security::StartTls, &tls);
        let builder = match proxy {
            true => builder.proxy(ProxyServer::socks5("localhost")),
            false => builder,
        };
        let mut attempts = builder
            .build()
            .unwrap()
            .attempts(["192.0.2.1:1080".parse().unwrap()]);
        let target = attempts.poll_connect(NOW).unwrap();
        let session = attempts.handle_connected(&target, Some(local)).unwrap();
        let machine = TlsPeer::new(
            Machine::with_log(&Config::new().tls(tls.clone()), &log),
            tls.server_config(),
        );
        let peer: Box<dyn Peer> = match proxy {
            true => Box::new(Proxy::socks5().peer(machine)),
            false => Box::new(machine),
        };
        let mut wiring = Wiring::with_peer(session, peer);
        wiring.ready().unwrap();
        assert_eq!(log.session().client_name(), Some(expected));
    }
}

#[test]
fn v45_the_certificate_of_the_proxy_must_be_valid_for_the_proxy_and_trusted_on_its_own() {
    let (tls, proxy_tls) = (Tls::new(), Tls::new());
    let log = Log::new();
    let proxy = Proxy::http().in_tls();
    let served = |tls: &Tls, proxy_tls: &Tls| {
        TlsPeer::new(
            behind(&proxy, Security::StartTls, tls, &log),
            proxy_tls.server_config(),
        )
    };
    let right = Endpoint::starttls("localhost").tls(trust(&tls));
    let https = || ProxyServer::https("localhost");

    // Each is trusted for its own side only.
    let endpoint = right.clone().proxy(https()).proxy_tls(trust(&proxy_tls));
    let mut wiring = Wiring::with_peer(
        endpoint.build().unwrap().session(),
        served(&tls, &proxy_tls),
    );
    wiring.ready().unwrap();
    let endpoint = right.clone().proxy(https()).proxy_tls(trust(&tls)).build();
    let error = failure(&endpoint.unwrap(), served(&tls, &proxy_tls));
    assert_eq!(error.stage(), Stage::Proxy);
    let shown = format!("{error:#}");
    assert!(
        shown.contains("at the proxy: invalid peer certificate"),
        "{shown}"
    );
    assert!(shown.contains("`EndpointBuilder::proxy_tls`"), "{shown}");

    let wrong_name = proxy_tls.clone().defect(Defect::WrongName);
    let endpoint = right.proxy(https()).proxy_tls(trust(&proxy_tls)).build();
    let error = failure(&endpoint.unwrap(), served(&tls, &wrong_name));
    let shown = format!("{error:#}");
    assert!(
        shown.contains("name the proxy by one in its certificate"),
        "{shown}"
    );
    assert!(
        proxy.requests().len() == 1,
        "the request is only sent inside TLS"
    );
}

#[test]
fn tls_to_a_proxy_that_speaks_cleartext_names_the_cure() {
    let tls = Tls::new();
    let endpoint = endpoint(Security::StartTls, &tls)
        .proxy(ProxyServer::https("localhost"))
        .build()
        .unwrap();
    // An HTTP server answers a ClientHello in cleartext, a SOCKS5 server closes.
    for (reply, cure) in [
        (
            Some("HTTP/1.1 400 Bad Request\r\n\r\n"),
            "speaks cleartext on this port",
        ),
        (None, "may speak cleartext on this port"),
    ] {
        let error = failure(&endpoint, Fixed(reply));
        let shown = format!("{error:#}");
        assert_eq!(error.stage(), Stage::Proxy, "{shown}");
        assert!(shown.contains(cure), "{shown}");
        assert!(shown.contains("http://"), "{shown}");
        assert!(!shown.contains("STARTTLS"), "{shown}");
    }
}

/// A peer with one reply, which then closes.
struct Fixed(Option<&'static str>);

impl Peer for Fixed {
    fn handle_input(&mut self, _: &[u8]) {}

    fn handle_eof(&mut self) {}

    fn poll_output(&mut self) -> Option<Output> {
        Some(match self.0.take() {
            Some(reply) => Output::Write(reply.as_bytes().to_vec()),
            None => Output::Close,
        })
    }
}

#[test]
fn the_time_limit_of_the_tunnel_includes_tls_to_the_proxy() {
    let tls = Tls::new();
    let limit = std::time::Duration::from_secs(7);
    for way in WAYS {
        for security in [Security::StartTls, Security::Implicit] {
            let endpoint = endpoint(security, &tls).proxy(client(way).timeout(limit));
            let mut session = endpoint.build().unwrap().session();
            let count = transmit(&mut session).map_or(0, |transmit| transmit.len());
            session.handle_sent(NOW, count);
            assert_eq!(session.poll_timeout(), Some(NOW + limit), "{way:?}");
            session.handle_timeout(NOW + limit / 2);
            assert!(session.smtp_mut().poll_ready().is_pending(), "{way:?}");
            session.handle_timeout(NOW + limit);
            let Poll::Ready(Err(error)) = session.smtp_mut().poll_ready() else {
                panic!("{way:?}: no failure");
            };
            assert!(
                matches!(error.kind(), ErrorKind::Timeout(Timeout::Proxy)),
                "{error:#}"
            );
            assert_eq!(error.stage(), Stage::Proxy);
        }
    }
}

#[test]
fn both_layers_of_tls_are_closed_in_order() {
    let tls = Tls::new();
    let proxy = Proxy::http().in_tls();
    let endpoint = endpoint(Security::Implicit, &tls)
        .proxy(ProxyServer::https("localhost"))
        .build()
        .unwrap();
    let peer = behind(&proxy, Security::Implicit, &tls, &Log::new());
    let peer = TlsPeer::new(peer, tls.server_config());
    let mut wiring = Wiring::with_peer(endpoint.session(), peer);
    wiring.ready().unwrap();
    wiring.session.smtp_mut().quit();
    wiring.drive(Connection::poll_closed).unwrap().unwrap();
    while wiring.write() {}
    let shown = format!("{:?}", wiring.server);
    assert_eq!(shown.matches("half closed").count(), 2, "{shown}");
}

/// Records what it receives.
#[derive(Default)]
struct Recorder(Vec<u8>);

impl Peer for Recorder {
    fn handle_input(&mut self, input: &[u8]) {
        self.0.extend_from_slice(input);
    }

    fn handle_eof(&mut self) {}

    fn poll_output(&mut self) -> Option<Output> {
        None
    }
}

#[test]
fn the_header_of_the_proxy_protocol_comes_first_and_inside_the_tunnel() {
    let header = ProxyHeader::v1(
        "192.0.2.7:40000".parse().unwrap(),
        "192.0.2.1:25".parse().unwrap(),
    );
    let text = "PROXY TCP4 192.0.2.7 192.0.2.1 40000 25\r\n";
    let tls = Tls::new();
    let direct = endpoint(Security::StartTls, &tls).proxy_header(header);
    let mut wiring = Wiring::with_peer(
        direct.clone().build().unwrap().session(),
        Recorder::default(),
    );
    wiring.settle();
    assert_eq!(wiring.server.0, text.as_bytes());

    let proxied = direct
        .proxy(ProxyServer::http("localhost"))
        .build()
        .unwrap();
    let proxy = Proxy::http();
    let mut wiring = Wiring::with_peer(proxied.session(), proxy.peer(Recorder::default()));
    wiring.settle();
    assert_eq!(wiring.server.inner().0, text.as_bytes());
    assert_eq!(proxy.requests(), ["localhost:587"]);

    let mut session = Endpoint::unix("/run/lmtp")
        .proxy_header(header)
        .build()
        .unwrap()
        .session();
    assert_eq!(transmit(&mut session).unwrap().len(), text.len());
}

#[test]
fn what_cannot_be_is_an_error_of_building() {
    let build = |proxy: ProxyServer| {
        let builder = Endpoint::starttls("mail.example.org").proxy(proxy);
        match builder.build() {
            Err(EndpointError::Proxy(error)) => error,
            other => panic!("{other:?}"),
        }
    };
    let cases = [
        (ProxyServer::socks5(""), "empty"),
        (ProxyServer::socks5("a b"), "white space"),
        (
            ProxyServer::socks5("proxy.example.net:1080"),
            "`ProxyServer::port`",
        ),
        (
            ProxyServer::http("http://alice:canary@proxy.example.net"),
            "`ProxyServer::from_url`",
        ),
        (
            ProxyServer::http("alice@proxy.example.net"),
            "`credentials`",
        ),
        (ProxyServer::socks5("proxy.example.net").port(0), "port 0"),
        (
            ProxyServer::socks5("proxy.example.net").credentials("", "canary"),
            "1 to 255 bytes",
        ),
        (
            ProxyServer::http("proxy.example.net").credentials("a:b", "canary"),
            "colon",
        ),
    ];
    for (proxy, cure) in cases {
        assert!(!format!("{proxy:?}").contains("canary"));
        let error = build(proxy);
        let shown = format!("{:#}", EndpointError::Proxy(error));
        assert!(shown.starts_with("proxy: "), "{shown}");
        assert!(shown.contains(cure), "{shown}");
        assert!(!shown.contains("canary"), "{shown}");
    }
    let unix = Endpoint::unix("/run/lmtp").proxy(ProxyServer::socks5("proxy.example.net"));
    let error = unix.build().unwrap_err();
    assert!(matches!(
        error,
        EndpointError::Proxy(ProxyServerError::UnixSocket)
    ));
    // Only a proxy that is reached by TLS needs a TLS configuration.
    let relay = Endpoint::builder("mail.example.org").security(Security::Cleartext);
    relay
        .proxy(ProxyServer::http("proxy.example.net"))
        .build()
        .unwrap();
}

#[test]
fn the_addresses_of_a_proxy_race_and_its_failures_name_both() {
    let endpoint = Endpoint::starttls("mail.example.org")
        .proxy(ProxyServer::socks5("proxy.example.net"))
        .build()
        .unwrap();
    let address = "192.0.2.9:1080".parse().unwrap();
    let mut attempts = endpoint.attempts([address]);
    let target = attempts.poll_connect(NOW).unwrap();
    assert_eq!(target, Target::Tcp(address));
    let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
    attempts.handle_connect_error(&target, refused);
    assert_eq!(
        format!("{:#}", attempts.into_error()),
        "mail.example.org:587 through proxy proxy.example.net:1080 (192.0.2.9): connecting: connection refused \
         (no proxy listens on this port: SOCKS5 is usually on 1080, HTTP on 3128 or 8080)"
    );
    assert_eq!(
        format!("{:#}", endpoint.attempts([]).into_error()),
        "mail.example.org:587 through proxy proxy.example.net:1080: connecting: the host has no address \
         (the name of the proxy cannot be resolved: check its spelling, and the network)"
    );
}

#[test]
fn a_mail_whose_tls_is_optional_goes_through_the_same_proxy() {
    let endpoint = Endpoint::starttls("mail.example.org")
        .proxy(ProxyServer::socks5("proxy.example.net"))
        .build()
        .unwrap();
    let mail = Mail::builder()
        .sender("a@example.org")
        .recipient("b@example.net")
        .message("From: a@example.org\r\nTLS-Required: No\r\n\r\nhello\r\n")
        .honor_tls_required()
        .build()
        .unwrap();
    let relaxed = endpoint.relaxed_for(&mail);
    assert_eq!(relaxed.security(), Security::Opportunistic);
    assert_eq!(relaxed.connect_host(), "proxy.example.net");
}

/// The stream from the proxy is cut after any number of bytes, and ends or goes on in cleartext.
#[test]
fn v45_tls_to_a_proxy_that_breaks_anywhere_ends_the_session_and_nothing_goes_in_cleartext() {
    let (tls, trusted) = steady();
    for (then, ends) in [
        (&b""[..], true),
        (b"HTTP/1.1 200 OK\r\n\r\n220 x\r\n", false),
    ] {
        let mut pass = 0;
        loop {
            let proxy = Proxy::http().in_tls().login("bob", "canary");
            let endpoint = Endpoint::implicit("localhost")
                .tls(trusted.clone())
                .proxy(ProxyServer::https("localhost").credentials("bob", "canary"))
                .proxy_tls(trusted.clone())
                .build()
                .unwrap();
            let peer = behind(&proxy, Security::Implicit, &tls, &Log::new());
            let peer = TlsPeer::new(peer, tls.server_config());
            let mut wiring = Wiring::with_peer(endpoint.session(), peer);
            (wiring.pass, wiring.then) = (pass, then.to_vec());
            let result = wiring.ready();
            wiring.settle();
            let sent = wiring.sent.concat();
            assert!(are_records(&sent), "{pass}: not only TLS was sent");
            for text in ["CONNECT", "canary", "EHLO", "Y2FuYXJ5"] {
                let has = sent.windows(text.len()).any(|part| part == text.as_bytes());
                assert!(!has, "{pass}: {text} in cleartext");
            }
            match result {
                Ok(()) => break,
                Err(error) => {
                    let shown = format!("{error:#}");
                    assert!(error.is_transient(), "{pass}: {shown}");
                    assert!(ends || !shown.contains("220 x"), "{pass}: {shown}");
                }
            }
            pass += 29;
        }
        assert!(pass > 1000, "{pass}");
    }
}

/// Whether bytes are a sequence of whole TLS records.
fn are_records(mut bytes: &[u8]) -> bool {
    while let [20..=23, 3, _, high, low, rest @ ..] = bytes {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let Some(next) = rest.get(length..) else {
            return false;
        };
        bytes = next;
    }
    bytes.is_empty()
}

#[test]
fn a_transport_that_fails_fails_the_session_in_the_tunnel_and_before_it() {
    let tls = Tls::new();
    for way in WAYS {
        for is_open in [false, true] {
            for is_write in [false, true] {
                let case = format!("{way:?} {is_open} {is_write}");
                let proxy = server(way);
                let endpoint = endpoint(Security::Implicit, &tls).proxy(client(way));
                let peer = peer(way, &proxy, Security::Implicit, &tls, &Log::new());
                let mut wiring = Wiring::with_peer(endpoint.build().unwrap().session(), peer);
                if is_open {
                    wiring.ready().unwrap();
                } else {
                    wiring.write();
                }
                let broken = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
                if is_write {
                    wiring.session.handle_write_error(NOW, broken.into());
                    // The peer had time to explain.
                    let until = wiring.session.poll_timeout().expect("a limit");
                    wiring.session.handle_timeout(until);
                } else {
                    wiring.session.handle_read_error(NOW, broken.into());
                }
                let Poll::Ready(Err(error)) = wiring.session.smtp_mut().poll_ready() else {
                    panic!("{case}: no failure");
                };
                assert_eq!(error.stage() == Stage::Proxy, !is_open, "{case}: {error:#}");
                assert!(
                    format!("{error:#}").contains("broken pipe"),
                    "{case}: {error:#}"
                );
                assert!(error.is_transient(), "{case}");
                assert!(transmit(&mut wiring.session).is_none(), "{case}");
            }
        }
    }
}
