//! Delivery to a mail store by LMTP (RFC 2033) through the client.

#[doc(hidden)]
#[macro_export]
macro_rules! lmtp_tests {
    () => {
        use std::path::{Path, PathBuf};
        use std::sync::Arc;

        use super::rt::block_on;
        use super::rt::proto::{Config, Outcome, Protocol, RecipientStatus, Security, Stage};
        use super::rt::{Client, NAME};
        use $crate::common::*;
        use $crate::smtp_test::{Action, Server};

        #[test]
        fn a_store_replies_for_each_recipient_over_a_unix_socket() {
            block_on(async {
                for config in [store(), store().with("CHUNKING")] {
                    let server = Server::start_unix(config, path("store")).unwrap();
                    let mut client = Client::connect_unix(server.path().unwrap(), client_config())
                        .await
                        .unwrap();
                    assert_partly_delivered(&client.send(mail_to(4)).await.unwrap());
                    assert_partly_delivered(&client.send(mail_to(4)).await.unwrap());
                    client.quit().await.unwrap();
                    assert_eq!(server.mails().len(), 2 * 2, "one for each delivery");
                    server.log().assert_clean();
                }
            })
        }

        #[test]
        fn a_store_replies_for_each_recipient_of_each_message_of_a_batch() {
            block_on(async {
                let server = Server::start_unix(store(), path("batch")).unwrap();
                let mut client = Client::connect_unix(server.path().unwrap(), client_config())
                    .await
                    .unwrap();
                let mut batch = client.send_all((0..20).map(|_| mail_to(4)));
                let mut count = 0;
                while let Some(outcome) = batch.next().await {
                    assert_partly_delivered(&outcome);
                    count += 1;
                }
                assert_eq!(count, 20);
                client.quit().await.unwrap();
                assert_eq!(server.mails().len(), 20 * 2);
                server.log().assert_clean();
            })
        }

        #[test]
        fn a_store_that_closes_leaves_only_recipients_without_a_reply_in_doubt() {
            block_on(async {
                let config = store().on($crate::smtp_test::Stage::Delivery(2), Action::cut());
                let server = Server::start_unix(config, path("gone")).unwrap();
                let mut client = Client::connect_unix(server.path().unwrap(), client_config())
                    .await
                    .unwrap();
                let outcome = client.send(mail_to(4)).await.unwrap();
                let statuses: Vec<&RecipientStatus> = outcome
                    .recipients()
                    .iter()
                    .map(|each| each.status())
                    .collect();
                assert!(matches!(statuses[0], RecipientStatus::Accepted(_)));
                assert!(matches!(
                    statuses[1],
                    RecipientStatus::Rejected {
                        stage: Stage::Rcpt,
                        ..
                    }
                ));
                assert!(
                    matches!(statuses[2], RecipientStatus::InDoubt(_))
                        && matches!(statuses[3], RecipientStatus::InDoubt(_))
                );
            })
        }

        #[cfg(feature = "rustls")]
        #[test]
        fn a_store_replies_for_each_recipient_over_tcp() {
            block_on(async {
                let server = Server::start(store()).unwrap();
                let endpoint = super::rt::tls::Endpoint::builder("localhost")
                    .port(server.port())
                    .protocol(Protocol::Lmtp)
                    .security(Security::Cleartext)
                    .build()
                    .unwrap();
                let mut client = Client::connect(&endpoint).await.unwrap();
                assert_partly_delivered(&client.send(mail_to(4)).await.unwrap());
                client.quit().await.unwrap();
                server.log().assert_clean();
            })
        }

        #[test]
        fn an_endpoint_may_be_a_unix_socket() {
            block_on(async {
                let server = Server::start_unix(store(), path("endpoint")).unwrap();
                let endpoint = unix(server.path().unwrap());
                let mut client: Client = Client::connect(&endpoint).await.unwrap();
                assert_partly_delivered(&client.send(mail_to(4)).await.unwrap());
                let ids: Vec<_> = (0..3).map(|_| client.submit(mail_to(4))).collect();
                for id in ids {
                    assert_partly_delivered(&client.wait_outcome(id).await.unwrap());
                }
                assert!(client.tls().is_none());
                client.quit().await.unwrap();
                // Its addresses do not count.
                let none = "127.0.0.1:1".parse().unwrap();
                let client = Client::connect_to(&endpoint, &[none]).await.unwrap();
                client.quit().await.unwrap();
                assert_eq!(server.mails().len(), 4 * 2);
                server.log().assert_clean();
            })
        }

        #[test]
        fn a_unix_endpoint_takes_large_messages() {
            block_on(async {
                let server = Server::start_unix(store(), path("large")).unwrap();
                let mut client = Client::connect(&unix(server.path().unwrap()))
                    .await
                    .unwrap();
                let text = long_text(1 << 20);
                let outcome = client.send_from(streamed(), text.as_bytes()).await.unwrap();
                assert!(outcome.is_accepted());
                client.quit().await.unwrap();
                assert_eq!(server.mails()[0].body(), text.as_bytes());
            })
        }

        #[test]
        fn a_socket_that_is_not_there_is_an_error_of_connecting() {
            block_on(async {
                let first = Client::connect_unix(path("none"), client_config())
                    .await
                    .unwrap_err();
                let second = Client::connect(&unix(&path("none"))).await.unwrap_err();
                for error in [first, second] {
                    assert_eq!(error.stage(), Stage::Connect);
                    let path = path("none").to_string_lossy().into_owned();
                    assert_eq!(error.endpoint(), Some(&*path));
                    assert!(format!("{error:#}").starts_with(&path), "{error:#}");
                }
            })
        }

        /// Rejects the second recipient at RCPT, and the message for the third.
        fn store() -> $crate::smtp_test::Config {
            $crate::smtp_test::Config::new()
                .lmtp()
                .reject("recipient1@example.net", "550 5.1.1 gone")
                .reject_delivery("recipient2@example.net", "452 4.2.2 full")
        }

        #[track_caller]
        fn assert_partly_delivered(outcome: &Outcome) {
            let statuses: Vec<&RecipientStatus> = outcome
                .recipients()
                .iter()
                .map(|each| each.status())
                .collect();
            let [first, second, third, fourth] = statuses[..] else {
                panic!("{statuses:?}");
            };
            assert!(
                matches!(first, RecipientStatus::Accepted(_))
                    && matches!(fourth, RecipientStatus::Accepted(_)),
                "{statuses:?}"
            );
            assert!(
                matches!(
                    second,
                    RecipientStatus::Rejected {
                        stage: Stage::Rcpt,
                        ..
                    }
                ),
                "{second}"
            );
            let RecipientStatus::Rejected {
                stage: Stage::EndOfData,
                reply,
                ..
            } = third
            else {
                panic!("{third}");
            };
            assert_eq!(reply.code().as_u16(), 452);
        }

        fn unix(path: &Path) -> super::rt::tls::Endpoint {
            super::rt::tls::Endpoint::unix(path).build().unwrap()
        }

        fn client_config() -> Arc<Config> {
            let config = Config::builder("client.test".parse().unwrap())
                .protocol(Protocol::Lmtp)
                .security(Security::Cleartext)
                .build();
            Arc::new(config.unwrap())
        }

        fn path(name: &str) -> PathBuf {
            let name = format!("{NAME}-{}-{name}", std::process::id());
            std::env::temp_dir().join(name)
        }
    };
}
