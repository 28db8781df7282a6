//! The client through proxies over sockets: SOCKS5, HTTP CONNECT, and the same inside TLS.

#[doc(hidden)]
#[macro_export]
macro_rules! proxy_tests {
    () => {
        use std::net::TcpListener;
        use std::time::Duration;

        use super::rt::proto::{Error, ErrorKind, Security, Stage, Timeout};
        use super::rt::tls::{Endpoint, ProxyServer, TlsConfig};
        use super::rt::{Client, block_on};
        use $crate::common::{SOON, closed_ports, mail};
        use $crate::smtp_test::{Config, Proxy, Script, Server, Split, Tls};

        /// A host that only a proxy can know.
        const HOST: &str = "mail.invalid";

        /// A proxy of this kind for the client, at this port, and one to be started.
        fn proxy(kind: &str, has_login: bool, port: u16) -> ProxyServer {
            let proxy = match kind {
                "socks5" => ProxyServer::socks5("localhost"),
                "http" => ProxyServer::http("localhost"),
                _ => ProxyServer::https("localhost"),
            };
            match has_login {
                true => proxy.port(port).credentials("alice", "correct horse"),
                false => proxy.port(port),
            }
        }

        fn mock(kind: &str, has_login: bool) -> Proxy {
            let mock = match kind {
                "socks5" => Proxy::socks5(),
                _ => Proxy::http(),
            };
            match has_login {
                true => mock.login("alice", "correct horse"),
                false => mock,
            }
        }

        fn trust(tls: &Tls) -> TlsConfig {
            TlsConfig::builder()
                .no_default_roots()
                .add_root_der(tls.authority_der().to_vec())
                .build()
                .unwrap()
        }

        #[test]
        fn v45_a_client_sends_through_each_kind_of_proxy_which_resolves_the_name() {
            let (tls, proxy_tls) = (Tls::for_names([HOST]), Tls::for_names(["localhost"]));
            block_on(async {
                for kind in ["socks5", "http", "https"] {
                    for (has_login, security) in [
                        (false, Security::StartTls),
                        (true, Security::Implicit),
                        (true, Security::Cleartext),
                    ] {
                        let config = Config::new().tls(tls.clone());
                        let config = match security {
                            Security::Implicit => config.implicit_tls(),
                            _ => config,
                        };
                        // Half of them send the greeting with the reply of the proxy.
                        let mock = match has_login {
                            true => mock(kind, has_login),
                            false => mock(kind, has_login).join_first_output(),
                        };
                        let below = (kind == "https").then_some(&proxy_tls);
                        let server = Server::behind_proxy(&mock, below, config).unwrap();
                        let endpoint = Endpoint::builder(HOST)
                            .tls(trust(&tls))
                            .security(security)
                            .proxy(proxy(kind, has_login, server.port()))
                            .proxy_tls(trust(&proxy_tls))
                            .build()
                            .unwrap();
                        let mut client = Client::connect(&endpoint).await.unwrap();
                        assert_eq!(client.tls().is_some(), security != Security::Cleartext);
                        assert!(client.send(mail()).await.unwrap().is_accepted());
                        client.quit().await.unwrap();
                        assert_eq!(mock.requests(), [format!("{HOST}:{}", endpoint.port())]);
                        let session = server.log().session();
                        assert_eq!(session.client_name(), Some("[127.0.0.1]"));
                        assert!(session.quit());
                        server.log().assert_clean();
                    }
                }
            });
        }

        /// Why connecting through this proxy fails.
        async fn failure(proxy: ProxyServer) -> Error {
            let endpoint = Endpoint::builder(HOST)
                .security(Security::Cleartext)
                .proxy(proxy);
            Client::connect(&endpoint.build().unwrap())
                .await
                .unwrap_err()
        }

        /// Asserts that the text of an error has these parts in order, after server and proxy.
        #[track_caller]
        fn assert_text(error: &Error, proxy: &str, parts: &[&str]) {
            let text = format!("{error:#}");
            let names = format!("{HOST}:25 through proxy {proxy}");
            let mut rest = text
                .strip_prefix(&names)
                .unwrap_or_else(|| panic!("{text}"));
            for part in parts {
                let at = rest
                    .find(part)
                    .unwrap_or_else(|| panic!("{part} in {text}"));
                rest = &rest[at + part.len()..];
            }
            assert!(error.hint().is_some(), "{text}");
            assert!(!text.contains("horse"), "{text}");
        }

        #[test]
        fn a_proxy_that_opens_no_tunnel_is_named_with_its_reply_and_the_cure() {
            block_on(async {
                for (kind, has_login, mock, parts, is_transient) in [
                    (
                        "socks5",
                        false,
                        mock("socks5", false).refuse_with_code(2),
                        &[
                            "at the proxy: ",
                            "2, connection not allowed by ruleset",
                            " (",
                        ][..],
                        false,
                    ),
                    (
                        "socks5",
                        false,
                        mock("socks5", false).refuse_with_code(4),
                        &["at the proxy: ", "4, host unreachable", " ("],
                        true,
                    ),
                    (
                        "socks5",
                        true,
                        mock("socks5", false).login("alice", "other"),
                        &["at the proxy: ", "rejected the login", "user name"],
                        false,
                    ),
                    (
                        "socks5",
                        false,
                        mock("socks5", true),
                        &[
                            "at the proxy: ",
                            "none of the client's methods",
                            "credentials",
                        ],
                        false,
                    ),
                    (
                        "http",
                        false,
                        mock("http", false).refuse_with_status("403 Filtered"),
                        &["at the proxy: ", "403 Filtered", " ("],
                        false,
                    ),
                    (
                        "http",
                        false,
                        mock("http", false).refuse_with_status("503 Down"),
                        &["at the proxy: ", "503 Down", " ("],
                        true,
                    ),
                    (
                        "http",
                        true,
                        mock("http", false).login("alice", "other"),
                        &["at the proxy: ", "407", "user name"],
                        false,
                    ),
                    (
                        "http",
                        false,
                        mock("http", true),
                        &["at the proxy: ", "407", "credentials"],
                        false,
                    ),
                    // The other protocol.
                    (
                        "http",
                        false,
                        mock("socks5", false),
                        &["at the proxy: ", " ("],
                        true,
                    ),
                    (
                        "socks5",
                        false,
                        mock("http", false),
                        &["at the proxy: ", " ("],
                        false,
                    ),
                ] {
                    let server = Server::behind_proxy(&mock, None, Config::new()).unwrap();
                    let error = failure(proxy(kind, has_login, server.port())).await;
                    assert_text(&error, &format!("localhost:{}", server.port()), parts);
                    assert_eq!(error.stage(), Stage::Proxy);
                    assert!(matches!(error.kind(), ErrorKind::Proxy(_)), "{error:#}");
                    assert_eq!(error.is_transient(), is_transient, "{error:#}");
                    assert!(server.mails().is_empty());
                }
            });
        }

        #[test]
        fn a_port_without_a_proxy_is_named_with_the_cure() {
            block_on(async {
                let [closed, ..] = closed_ports();
                let error = failure(proxy("socks5", false, closed.port())).await;
                let parts = ["connecting: ", "refused", "no proxy listens on this port"];
                assert_text(&error, &format!("localhost:{}", closed.port()), &parts);
                assert_eq!(error.stage(), Stage::Connect);

                let error = failure(ProxyServer::socks5("proxy.invalid")).await;
                let parts = ["connecting: ", "the name of the proxy cannot be resolved"];
                assert_text(&error, "proxy.invalid:1080", &parts);

                // A mail server, which speaks first.
                let server = Server::start(Config::new()).unwrap();
                for kind in ["socks5", "http"] {
                    let error = failure(proxy(kind, false, server.port())).await;
                    let parts = ["at the proxy: ", " ("];
                    assert_text(&error, &format!("localhost:{}", server.port()), &parts);
                }
                // A server that closes each connection.
                let script = Script::parse("S: <eof>").unwrap();
                let server =
                    Server::with_peers(move |_| Box::new(script.play(Split::Whole))).unwrap();
                for kind in ["socks5", "http"] {
                    let error = failure(proxy(kind, false, server.port())).await;
                    let parts = ["at the proxy: ", " ("];
                    assert_text(&error, &format!("localhost:{}", server.port()), &parts);
                    assert_eq!(error.stage(), Stage::Proxy);
                }
            });
        }

        #[test]
        fn a_proxy_that_stays_silent_is_given_up_at_its_time_limit() {
            block_on(async {
                // The system accepts the connections.
                let silent = TcpListener::bind("localhost:0").unwrap();
                let port = silent.local_addr().unwrap().port();
                for kind in ["socks5", "http", "https"] {
                    let error = failure(proxy(kind, true, port).timeout(SOON)).await;
                    let parts = ["at the proxy: timed out", " ("];
                    assert_text(&error, &format!("localhost:{port}"), &parts);
                    assert!(matches!(error.kind(), ErrorKind::Timeout(Timeout::Proxy)));
                }
            });
        }

        #[test]
        fn a_dead_address_of_a_proxy_is_passed_over_and_a_permanent_rejection_is_final() {
            block_on(async {
                let [dead, ..] = closed_ports();
                let mock = Proxy::socks5();
                let server = Server::behind_proxy(&mock, None, Config::new()).unwrap();
                let endpoint = Endpoint::builder(HOST)
                    .security(Security::Cleartext)
                    .proxy(ProxyServer::socks5("proxy.invalid"))
                    .build()
                    .unwrap();
                let addresses = [dead, server.addr()];
                let client = Client::connect_to(&endpoint, &addresses).await.unwrap();
                client.quit().await.unwrap();
                assert_eq!(mock.requests().len(), 1);

                for (code, asked) in [(2, 1), (1, 2)] {
                    let mock = Proxy::socks5().refuse_with_code(code);
                    let servers =
                        [(); 2].map(|()| Server::behind_proxy(&mock, None, Config::new()).unwrap());
                    let addresses = servers.each_ref().map(Server::addr);
                    let error = Client::connect_to(&endpoint, &addresses).await.unwrap_err();
                    assert_eq!(mock.requests().len(), asked, "{error:#}");
                    assert_eq!(error.address(), Some(addresses[asked - 1]));
                }
            });
        }
    };
}

/// The mailer of an async adapter through a proxy.
#[doc(hidden)]
#[macro_export]
macro_rules! proxy_mailer_tests {
    () => {
        use std::time::Duration;

        use super::rt::proto::{Credentials, ErrorKind};
        use super::rt::tls::ProxyServer;
        use super::rt::{Mailer, block_on};
        use $crate::common::mail;
        use $crate::common::secured::endpoint;
        use $crate::mailer::join_all;
        use $crate::smtp_test::{Config, Proxy, Server, Tls};

        #[test]
        fn a_mailer_opens_its_connections_through_the_proxy() {
            block_on(async {
                let tls = Tls::new();
                let mock = Proxy::http().login("bob", "secret");
                let config = Config::new()
                    .tls(tls.clone())
                    .user("alice", "correct horse");
                let server = Server::behind_proxy(&mock, None, config).unwrap();
                let proxy = ProxyServer::http("localhost").port(server.port());
                let endpoint = endpoint(&tls)
                    .credentials(Credentials::password("alice", "correct horse").unwrap())
                    .proxy(proxy.credentials("bob", "secret"))
                    .build()
                    .unwrap();
                let mailer = Mailer::new(endpoint);
                let sends = (0..8).map(|_| async {
                    assert!(mailer.send(mail()).await.unwrap().is_accepted());
                });
                join_all(sends).await;
                assert_eq!(server.mails().len(), 8);
                assert!(mailer.close(Duration::from_secs(60)).await);
                assert_eq!(mock.requests().len(), server.sessions().len());
                assert!(
                    mock.requests()
                        .iter()
                        .all(|request| request == "localhost:587")
                );
            });
        }

        #[test]
        fn a_message_whose_proxy_rejects_the_login_fails_at_once() {
            block_on(async {
                let mock = Proxy::socks5().login("bob", "secret");
                let server = Server::behind_proxy(&mock, None, Config::new()).unwrap();
                let proxy = ProxyServer::socks5("localhost").port(server.port());
                let proxy = proxy.credentials("bob", "other");
                let endpoint = endpoint(&Tls::new()).proxy(proxy).build().unwrap();
                let mailer = Mailer::new(endpoint);
                let error = mailer.send(mail()).await.unwrap_err();
                let shown = format!("{error:#}");
                assert!(shown.contains("rejected the login"), "{shown}");
                assert!(mock.requests().is_empty());
            });
        }
    };
}
