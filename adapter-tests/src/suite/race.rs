//! Addresses that race, over real sockets.

#[doc(hidden)]
#[macro_export]
macro_rules! race_tests {
    () => {
        use std::net::SocketAddr;
        use std::time::Duration;

        use super::rt::proto::{Security, Timeouts};
        use super::rt::tls::Endpoint;
        use super::rt::{Client, block_on};
        use $crate::common::*;
        use $crate::silent::Silent;
        use $crate::smtp_test::{Action, Config, Server, Stage};

        /// Without a race, a silent address would be waited for as long as a test takes.
        #[test]
        fn a_silent_address_does_not_delay_the_next_by_the_limit_for_it() {
            block_on(async {
                let silent = Silent::start();
                let server = Server::start(Config::new()).unwrap();
                let mut client = connect(&[silent.address(), server.addr()]).await.unwrap();
                assert!(client.send(mail()).await.unwrap().is_accepted());
                client.quit().await.unwrap();
                server.log().assert_clean();
            });
        }

        #[test]
        fn the_next_address_is_taken_if_the_session_of_the_winner_fails() {
            block_on(async {
                let silent = Silent::start();
                let busy = Action::reply("421 4.3.2 not now").then_close();
                let busy = Server::start(Config::new().on(Stage::Greeting, busy)).unwrap();
                let server = Server::start(Config::new()).unwrap();
                for addresses in [
                    vec![busy.addr(), server.addr()],
                    vec![silent.address(), busy.addr(), server.addr()],
                ] {
                    let client = connect(&addresses).await.unwrap();
                    client.quit().await.unwrap();
                }
                assert_eq!(busy.wait_for_sessions(2, PATIENCE).len(), 2);
                assert_eq!(server.wait_for_sessions(2, PATIENCE).len(), 2);
            });
        }

        #[test]
        fn only_the_winner_has_a_session() {
            block_on(async {
                let servers = [(); 3].map(|()| Server::start(Config::new()).unwrap());
                let addresses = [0, 1, 2].map(|index: usize| servers[index].addr());
                let client = connect(&addresses).await.unwrap();
                client.quit().await.unwrap();
                let sessions = servers.map(|server| {
                    let log = server.log();
                    drop(server);
                    log.sessions()
                        .iter()
                        .map(|each| each.commands().len())
                        .sum()
                });
                let [first, second, third]: [usize; 3] = sessions;
                assert_eq!(first + second + third, 2, "EHLO and QUIT");
            });
        }

        #[cfg(target_os = "linux")]
        #[test]
        fn a_client_connects_from_its_local_address_and_names_it() {
            block_on(async {
                let server = Server::start(Config::new()).unwrap();
                let endpoint = |local: &str| {
                    let builder = Endpoint::builder("localhost").port(server.port());
                    let builder = builder.security(Security::Cleartext);
                    builder
                        .local_address(local.parse().unwrap())
                        .build()
                        .unwrap()
                };
                let client = Client::connect(&endpoint("127.0.0.2")).await.unwrap();
                let local = client.get_ref().as_tcp().unwrap().local_addr().unwrap();
                assert_eq!(local.ip().to_string(), "127.0.0.2");
                client.quit().await.unwrap();
                assert_eq!(server.sessions()[0].client_name(), Some("[127.0.0.2]"));
                // Another family, and an address of another machine.
                let error = Client::connect_to(&endpoint("::1"), &[server.addr()])
                    .await
                    .unwrap_err();
                assert!(
                    format!("{error:#}").contains("no IPv6 address"),
                    "{error:#}"
                );
                let error = Client::connect_to(&endpoint("192.0.2.7"), &[server.addr()])
                    .await
                    .unwrap_err();
                assert_eq!(error.stage(), super::rt::proto::Stage::Connect);
                assert_eq!(error.address(), Some(server.addr()));
                assert_eq!(server.sessions().len(), 1);
            });
        }

        /// Connects to the first of these addresses that takes messages.
        async fn connect(addresses: &[SocketAddr]) -> Result<Client, super::rt::proto::Error> {
            Client::connect_to(&patient(), addresses).await
        }

        /// An endpoint with a limit for connecting that no test reaches.
        fn patient() -> Endpoint {
            Endpoint::builder("localhost")
                .security(Security::Cleartext)
                .timeouts(Timeouts::default().with_connect(Duration::from_secs(3600)))
                .build()
                .unwrap()
        }

        const PATIENCE: Duration = Duration::from_secs(60);
    };
}

/// What only futures have.
#[doc(hidden)]
#[macro_export]
macro_rules! race_cancel_tests {
    () => {
        use std::io::Read;
        use std::net::{SocketAddr, TcpListener};

        use super::rt::proto::Security;
        use super::rt::tls::Endpoint;
        use super::rt::{Client, block_on};
        use $crate::silent::Silent;
        use $crate::smtp_test::{Config, Server};

        #[test]
        fn dropping_the_future_at_any_poll_closes_every_socket() {
            block_on(async {
                let endpoint = Endpoint::builder("localhost")
                    .security(Security::Cleartext)
                    .build()
                    .unwrap();
                let silent = Silent::start();
                let server = Server::start(Config::new()).unwrap();
                // Its connections are accepted by the system, and get no greeting.
                let mute = TcpListener::bind("127.0.0.1:0").unwrap();
                mute.set_nonblocking(true).unwrap();
                for polls in 1..=3 {
                    let addresses = [silent.address(), mute.local_addr().unwrap()];
                    let connecting = Client::connect_to(&endpoint, &addresses);
                    assert!($crate::polled!(connecting, polls).is_none());
                    while let Ok((mut client, _)) = mute.accept() {
                        client.set_nonblocking(false).unwrap();
                        // The end, or a reset: not the limit of a socket that is open.
                        let mut input = Vec::new();
                        _ = client.read_to_end(&mut input);
                    }
                }
                for polls in 1.. {
                    let addresses = [$crate::common::closed_ports()[0], server.addr()];
                    let connecting = Client::connect_to(&endpoint, &addresses);
                    if let Some(client) = $crate::polled!(connecting, polls) {
                        client.unwrap().quit().await.unwrap();
                        break;
                    }
                }
                // Waits for the end of every connection.
                let log = server.log();
                let limit = std::time::Duration::from_secs(60);
                let sessions = log.sessions().len();
                assert!(log.wait_for_sessions(sessions, limit).len() >= sessions);
            });
        }

        fn assert_send<T: Send>(value: T) -> T {
            value
        }

        #[test]
        fn connecting_is_send() {
            let endpoint = Endpoint::unix("/nowhere").build().unwrap();
            drop(assert_send(Client::connect(&endpoint)));
            let none: [SocketAddr; 0] = [];
            drop(assert_send(Client::connect_to(&endpoint, &none)));
        }
    };
}
