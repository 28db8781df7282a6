//! Tokens that are fetched, over real sockets. The rules are tested in memory, with `smtp-driver`.

#[doc(hidden)]
#[macro_export]
macro_rules! token_tests {
    () => {
        use std::io;
        use std::sync::atomic::{AtomicUsize, Ordering};
        use std::sync::{Arc, Mutex};
        use std::time::Duration;

        use super::rt::pool::{PoolConfig, PoolError};
        use super::rt::proto::sasl::TokenRequest::{self, Cached, Refreshed};
        use super::rt::proto::{AuthenticationError, Credentials, Error, ErrorKind, Mail};
        use super::rt::{
            Client, Endpoint, Mailer, TokenError, TokenSource, block_on, send_with_tokens,
        };
        use $crate::common::secured::endpoint;
        use $crate::mailer::join_all;
        use $crate::smtp_test::{Config, Log, Server, Tls};
        use $crate::token::{logins, until, waiting};

        const LIMIT: Duration = Duration::from_secs(60);

        /// What a program may rely on.
        const _: () = {
            const fn shared<T: Send + Sync + Clone>() {}
            const fn sent<T: Send>(_: &T) {}
            shared::<TokenSource>();
            #[expect(dead_code, reason = "it is compiled")]
            fn futures(endpoint: &Endpoint, tokens: &TokenSource, mail: Mail) {
                sent(&Client::connect_with_tokens(endpoint, tokens));
                sent(&send_with_tokens(endpoint, mail, tokens));
            }
        };

        type Requests = Arc<Mutex<Vec<TokenRequest>>>;

        /// A server that accepts the token `good` of alice, and its endpoint.
        fn server() -> (Server, Endpoint) {
            let tls = Tls::new();
            let config = Config::new().tls(tls.clone()).token("alice", "good");
            let server = Server::start(config).unwrap();
            let credentials = Credentials::fetched_token("alice").unwrap();
            let endpoint = endpoint(&tls).port(server.port()).credentials(credentials);
            let endpoint = endpoint.build().unwrap();
            (server, endpoint)
        }

        /// A source that returns this token first, and that one after a rejection.
        fn source(first: &'static str, refreshed: &'static str) -> (TokenSource, Requests) {
            let requests = Requests::default();
            let kept = Arc::clone(&requests);
            let source = TokenSource::new(move |request| {
                kept.lock().unwrap().push(request);
                async move {
                    io::Result::Ok(if request == Refreshed {
                        refreshed
                    } else {
                        first
                    })
                }
            });
            (source, requests)
        }

        fn requested(requests: &Requests) -> Vec<TokenRequest> {
            requests.lock().unwrap().clone()
        }

        fn mail() -> Mail {
            let text = "From: alice@example.org\r\nSubject: hi\r\n\r\nhello\r\n";
            Mail::new("alice@example.org", ["bob@example.net"], text).unwrap()
        }

        fn source_error(error: &Error) -> Option<&TokenError> {
            match error.kind() {
                ErrorKind::Authentication(AuthenticationError::TokenSource(error)) => {
                    error.get_ref().downcast_ref()
                }
                _ => None,
            }
        }

        #[test]
        fn a_client_and_a_message_get_the_token_of_a_source() {
            block_on(async {
                let (server, endpoint) = server();
                let (tokens, requests) = source("good", "good");
                let client = Client::connect_with_tokens(&endpoint, &tokens)
                    .await
                    .unwrap();
                client.quit().await.unwrap();
                let outcome = send_with_tokens(&endpoint, mail(), &tokens).await.unwrap();
                assert!(outcome.is_accepted());
                assert_eq!(requested(&requests), [Cached]);
                assert_eq!(logins(&server.log()), 2);
                server.log().assert_clean();
            });
        }

        #[test]
        fn a_hundred_connections_of_a_mailer_want_a_token_and_one_is_fetched() {
            block_on(async {
                const COUNT: usize = 100;
                let (server, endpoint) = server();
                let fetches = Arc::new(AtomicUsize::new(0));
                let (log, count) = (server.log(), Arc::clone(&fetches));
                // It answers when all of them wait.
                let tokens = TokenSource::new(move |_| {
                    count.fetch_add(1, Ordering::SeqCst);
                    let log: Log = log.clone();
                    async move {
                        until(|| waiting(&log) == COUNT).await;
                        io::Result::Ok("good")
                    }
                });
                let config = PoolConfig::new().with_max_connections(100);
                let mailer = Mailer::with_tokens(endpoint, config, tokens);
                let sent = join_all((0..COUNT).map(|_| mailer.send(mail()))).await;
                assert!(
                    sent.into_iter()
                        .all(|outcome| outcome.unwrap().is_accepted())
                );
                assert_eq!(fetches.load(Ordering::SeqCst), 1);
                assert_eq!(logins(&server.log()), COUNT);
                assert!(mailer.close(LIMIT).await);
            });
        }

        #[test]
        fn ten_connections_whose_token_is_rejected_refresh_it_once() {
            block_on(async {
                let (server, endpoint) = server();
                let (tokens, requests) = source("ended", "good");
                let clients = (0..10).map(|_| Client::connect_with_tokens(&endpoint, &tokens));
                let clients = join_all(clients).await;
                assert!(clients.into_iter().all(|client| client.is_ok()));
                assert_eq!(requested(&requests), [Cached, Refreshed]);
                // The later ones may have begun with the second token.
                assert!((11..=20).contains(&logins(&server.log())));
            });
        }

        #[test]
        fn the_rejected_token_is_not_tried_again() {
            block_on(async {
                let (server, endpoint) = server();
                let (tokens, requests) = source("ended", "ended");
                let error = Client::connect_with_tokens(&endpoint, &tokens)
                    .await
                    .unwrap_err();
                assert_eq!(
                    source_error(&error),
                    Some(&TokenError::SameToken),
                    "{error:#}"
                );
                assert!(!error.is_transient());
                assert_eq!(error.attempts().len(), 1);
                assert_eq!(requested(&requests), [Cached, Refreshed]);
                assert_eq!(logins(&server.log()), 1);
                server.log().assert_clean();
            });
        }

        #[test]
        fn a_second_rejection_is_final_and_leaves_the_source_alone() {
            block_on(async {
                let (server, endpoint) = server();
                let (tokens, requests) = source("ended", "ended-too");
                let error = Client::connect_with_tokens(&endpoint, &tokens)
                    .await
                    .unwrap_err();
                let kind = error.kind();
                assert!(
                    matches!(
                        kind,
                        ErrorKind::Authentication(AuthenticationError::Rejected { .. })
                    ),
                    "{error:#}"
                );
                let error = Client::connect_with_tokens(&endpoint, &tokens)
                    .await
                    .unwrap_err();
                assert_eq!(
                    source_error(&error),
                    Some(&TokenError::Rejected),
                    "{error:#}"
                );
                assert_eq!(requested(&requests), [Cached, Refreshed]);
                assert_eq!(logins(&server.log()), 2);
            });
        }

        #[test]
        fn all_messages_get_the_error_of_a_source_that_fails() {
            block_on(async {
                let (server, endpoint) = server();
                let tokens = TokenSource::new(|_| async {
                    Err::<&str, _>(io::Error::other("the token server is down"))
                });
                let mailer = Mailer::with_tokens(endpoint, PoolConfig::new(), tokens);
                for result in join_all((0..5).map(|_| mailer.send(mail()))).await {
                    let error = result.unwrap_err();
                    let PoolError::Connect(error) = error.kind() else {
                        panic!("{error}");
                    };
                    let text = format!("{error:#}");
                    assert!(
                        text.contains("token failed: the token server is down"),
                        "{text}"
                    );
                    assert!(error.is_transient());
                }
                assert_eq!(logins(&server.log()), 0);
            });
        }

        #[test]
        fn no_text_shows_the_token() {
            block_on(async {
                let (_server, endpoint) = server();
                let (tokens, _) = source("Canary-one", "Canary-two");
                let error = Client::connect_with_tokens(&endpoint, &tokens)
                    .await
                    .unwrap_err();
                let mailer = Mailer::with_tokens(endpoint, PoolConfig::new(), tokens.clone());
                let other = mailer.send(mail()).await.unwrap_err();
                let text = format!("{error:#?}{error:#}{tokens:?}{mailer:?}{other:#?}{other}");
                assert!(!text.contains("Canary"), "{text}");
            });
        }
    };
}
