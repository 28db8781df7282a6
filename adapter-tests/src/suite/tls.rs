//! The client with TLS by rustls: over sockets, and against a server in memory.

#[doc(hidden)]
#[macro_export]
macro_rules! tls_tests {
    () => {
        use std::fmt::Debug;
        use std::net::TcpListener;

        use super::kit::*;
        use super::rt::proto::{ErrorKind, Outcome, ProtocolError, Security, Stage, Wire};
        use super::rt::{Client, Stream, block_on};
        use $crate::common::secured::*;
        use $crate::common::*;
        use $crate::debug_output::DebugOutput;
        use $crate::invariants::check_secret;
        use $crate::smtp_test::{
            Action, Config, Defect, Fault, Faulty, Log, MemoryServer, Plan, Server, Tls,
        };

        /// The usual client has a short name.
        struct Holder {
            client: Client,
        }

        #[test]
        fn a_client_connects_with_tls_from_the_first_byte_and_by_starttls() {
            block_on(async {
                for (server, endpoint) in both_ways() {
                    let mut holder = Holder {
                        client: Client::connect(&endpoint).await.unwrap(),
                    };
                    assert!(holder.client.get_ref().as_tcp().unwrap().nodelay().unwrap());
                    assert_eq!(holder.client.tls().unwrap().version(), Some("TLSv1.3"));
                    assert!(!format!("{:?}", holder.client).contains("horse"));
                    let outcome = holder.client.send(mail()).await.unwrap();
                    assert_eq!(status_of(&outcome, &server.log()), Status::Accepted);
                    let text = long_text(1 << 20);
                    assert!(
                        holder
                            .client
                            .send_from(streamed(), text.as_bytes())
                            .await
                            .unwrap()
                            .is_accepted()
                    );
                    holder.client.quit().await.unwrap();
                    let mails = server.mails();
                    assert_stored(&mails[1], &text);
                    assert!(mails.iter().all(|mail| mail.over_tls()));
                    assert_eq!(mails[0].authenticated_as(), Some("alice"));
                    assert_eq!(server.sessions()[0].client_name(), Some("[127.0.0.1]"));
                    server.log().assert_clean();
                }
            });
        }

        #[test]
        fn every_address_is_tried_while_it_may_go_better_elsewhere() {
            block_on(async {
                let closed = TcpListener::bind("127.0.0.1:0")
                    .unwrap()
                    .local_addr()
                    .unwrap();
                let server = Server::start(Config::new()).unwrap();
                let endpoint = cleartext(server.port());
                let client = Client::connect_to(&endpoint, &[closed, server.addr()])
                    .await
                    .unwrap();
                client.quit().await.unwrap();

                let name = format!("localhost:{}", server.port());
                let addresses = closed_ports();
                let error = Client::connect_to(&endpoint, &addresses).await.unwrap_err();
                assert!(matches!(error.kind(), ErrorKind::Transport(_)), "{error:#}");
                assert_eq!(error.stage(), Stage::Connect);
                assert_tried(&error, &name, &addresses);
                let error = Client::connect_to(&endpoint, &[]).await.unwrap_err();
                assert_eq!(error.stage(), Stage::Connect);
                assert_tried(&error, &name, &[]);

                // A failure after connecting names the server, too.
                let cut = Action::cut();
                let server =
                    Server::start(Config::new().on($crate::smtp_test::Stage::EndOfData, cut))
                        .unwrap();
                let mut client = Client::connect(&cleartext(server.port())).await.unwrap();
                let outcome = client.send(mail()).await.unwrap();
                let error = outcome.error().unwrap();
                let name = format!("localhost:{}", server.port());
                assert_eq!(error.endpoint(), Some(&*name));
                assert_eq!(error.address(), Some(server.addr()));
            });
        }

        #[test]
        fn a_permanent_rejection_is_not_asked_for_twice() {
            block_on(async {
                let reject = Action::reply("554 5.7.1 not you").then_close();
                let config = Config::new().on($crate::smtp_test::Stage::Greeting, reject);
                let server = Server::start(config.clone()).unwrap();
                let other = Server::start(config).unwrap();
                let addresses = [server.addr(), other.addr()];
                let error = Client::connect_to(&cleartext(server.port()), &addresses)
                    .await
                    .unwrap_err();
                assert_eq!(error.reply().unwrap().code().as_u16(), 554);
                assert_eq!(error.address(), Some(server.addr()));
                assert_eq!(server.sessions().len(), 1);
                assert!(other.sessions().is_empty());
            });
        }

        #[test]
        fn a_name_that_does_not_resolve_is_an_error_of_connecting() {
            block_on(async {
                let endpoint = super::rt::tls::Endpoint::builder("nowhere.invalid")
                    .security(Security::Cleartext)
                    .build()
                    .unwrap();
                let error = Client::connect(&endpoint).await.unwrap_err();
                assert_eq!(error.stage(), Stage::Connect);
                assert_tried(&error, "nowhere.invalid:25", &[]);
            });
        }

        #[test]
        fn opportunistic_goes_on_in_tls_with_a_server_that_is_not_verified() {
            block_on(async {
                let tls = Tls::new();
                let config = Config::new().tls(tls.clone().defect(Defect::Expired));
                let server = Server::start(config).unwrap();
                let endpoint = opportunistic(&tls, &server);
                let mut client = Client::connect_to(&endpoint, &[server.addr()])
                    .await
                    .unwrap();
                assert!(!client.tls().unwrap().is_peer_verified());
                assert_eq!(
                    status_of(&client.send(mail()).await.unwrap(), &server.log()),
                    Status::Accepted
                );
                assert_eq!(server.sessions().len(), 1);
            });
        }

        #[test]
        fn opportunistic_connects_again_in_cleartext_after_a_handshake_that_broke() {
            block_on(async {
                let tls = Tls::new();
                let breaks = Action::normal().then_close();
                let config = Config::new().tls(tls.clone());
                let config = config.on($crate::smtp_test::Stage::StartTls, breaks);
                let server = Server::start(config).unwrap();
                let endpoint = opportunistic(&tls, &server);
                let mut client = Client::connect_to(&endpoint, &[server.addr()])
                    .await
                    .unwrap();
                assert!(client.tls().is_none());
                assert_eq!(
                    status_of(&client.send(mail()).await.unwrap(), &server.log()),
                    Status::Accepted
                );
                assert_eq!(server.sessions().len(), 2);
            });
        }

        #[test]
        fn bytes_injected_after_the_220_are_fatal_in_the_same_segment_and_in_a_later_one() {
            block_on(async {
                for action in [
                    Action::normal().append("250 injected\r\n"),
                    Action::normal().then("250 injected\r\n"),
                ] {
                    let same_segment = action == Action::normal().append("250 injected\r\n");
                    let tls = Tls::new();
                    let (mut client, log) = over_memory(
                        &Config::new()
                            .tls(tls.clone())
                            .on($crate::smtp_test::Stage::StartTls, action),
                        session(&tls),
                    );
                    let error = client.ready().await.unwrap_err();
                    let injected = matches!(
                        error.kind(),
                        ErrorKind::Protocol(ProtocolError::InjectedBeforeTls)
                    );
                    assert_eq!(injected, same_segment, "{error:#}");
                    assert_eq!(
                        error.stage(),
                        if same_segment {
                            Stage::StartTls
                        } else {
                            Stage::TlsHandshake
                        }
                    );
                    assert_eq!(
                        status_of(&client.send(mail()).await.unwrap(), &log),
                        Status::NotSent
                    );
                    assert!(log.session().tls().is_none());
                }
            });
        }

        #[test]
        fn every_operation_that_breaks_inside_tls_leads_to_a_status_that_is_true() {
            block_on(async {
                for fault in [Fault::Reset, Fault::Eof, Fault::Short(0)] {
                    let mut statuses = Vec::new();
                    for k in 1.. {
                        let (outcome, log, count) =
                            session_in_tls(Plan::new().fault(k, fault)).await;
                        statuses.push(status_of(&outcome, &log));
                        if count < k {
                            break;
                        }
                    }
                    assert_rising(&statuses);
                }
            });
        }

        #[test]
        fn v37_no_secret_shows_in_a_session_that_goes_well_or_breaks() {
            block_on(async {
                let tls = Tls::new();
                let shown = DebugOutput::default();
                let endpoint = observed(&tls, shown.observer());
                shown.debug(&endpoint);
                for (number, config) in jealous(&tls).iter().enumerate() {
                    let takes_it = number < 2;
                    for k in 0.. {
                        let plan = Plan::new().fault(k, Fault::Reset);
                        let stream = Faulty::new(MemoryServer::new(config), plan);
                        let (log, operations) = (stream.get_ref().log(), stream.operations());
                        let session = endpoint.session();
                        let client = Client::from_stream(stream, session);
                        let accepted = watched(&shown, client).await;
                        if k == 0 {
                            let user = log.session().authenticated_as().map(str::to_owned);
                            assert_eq!(user.as_deref(), takes_it.then_some("alice"));
                            assert_eq!(accepted, takes_it);
                        }
                        // The first session is whole, then each operation breaks in turn where it
                        // can go well.
                        if !takes_it || operations.count() < k {
                            break;
                        }
                    }
                }
                assert!(
                    shown.all().contains("AUTH LOGIN"),
                    "the transcript is there"
                );
                check_secret(CANARY, &shown.all());
            });
        }

        #[test]
        fn clients_with_tls_may_be_shared_by_threads() {
            fn assert_shared<T: Send + Sync>() {}
            assert_shared::<Client>();
        }

        /// Goes through a session, and shows all of it at every step. Returns whether the message
        /// was accepted.
        async fn watched<S: Stream, W: Wire + Debug>(
            shown: &DebugOutput,
            mut client: Client<S, W>,
        ) -> bool {
            shown.debug(&client);
            if let Err(error) = client.ready().await {
                shown.error(&error);
            }
            shown.debug(&client);
            let outcome = client.send(mail()).await.unwrap();
            shown.outcome(&outcome);
            shown.debug(&client);
            shown.debug(&client.tls());
            if let Err(error) = client.quit().await {
                shown.error(&error);
            }
            outcome.is_accepted()
        }

        /// Sends a message in TLS while the stream follows a plan. Returns the outcome, the
        /// server's log and the count of operations.
        async fn session_in_tls(plan: Plan) -> (Outcome, Log, usize) {
            let tls = Tls::new();
            session_with(&Config::new().tls(tls.clone()), plan, session(&tls)).await
        }
    };
}
