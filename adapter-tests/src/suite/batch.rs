//! Batches through the client.

#[doc(hidden)]
#[macro_export]
macro_rules! batch_tests {
    () => {
        use super::kit::*;
        use super::rt::block_on;
        use super::rt::proto::{
            Config as ClientConfig, ConfigBuilder, Connection, Error, ErrorKind, Mail, Pipelining,
            RecipientStatus, Security, Seed, SpeculationLimits,
        };
        use $crate::common::*;
        use $crate::invariants::cause;
        use $crate::smtp_test::{Action, Config, Server, Stage};

        #[test]
        fn outcomes_come_in_the_order_of_the_messages() {
            block_on(async {
                for config in both(Config::new().reject("bob1@example.net", "550 5.1.1 gone")) {
                    let (mut client, log) = in_memory(&config);
                    let outcomes = $crate::outcomes!(client.send_all(mails(0..20)));
                    assert_eq!(outcomes.len(), 20);
                    for (number, outcome) in outcomes.iter().enumerate() {
                        let recipient = outcome.recipients()[0].recipient();
                        assert_eq!(recipient.as_str(), format!("bob{number}@example.net"));
                        assert_eq!(outcome.is_accepted(), number != 1, "{outcome:?}");
                    }
                    let stored: Vec<_> = log
                        .mails()
                        .iter()
                        .map(|mail| mail.addresses()[0].to_owned())
                        .collect();
                    let expected = (0..20)
                        .filter(|number| *number != 1)
                        .map(|number| format!("bob{number}@example.net"));
                    assert!(stored.into_iter().eq(expected));
                    client.quit().await.unwrap();
                    log.assert_clean();
                }
            })
        }

        #[test]
        fn a_message_takes_one_round_trip_however_many_recipients_it_has() {
            block_on(async {
                for config in both(Config::new()) {
                    for recipients in [1, 10, 100] {
                        let (mut client, log) = in_memory(&config);
                        let mut batch = client.send_all((0..111).map(|_| mail_to(recipients)));
                        let first = batch.next().await.unwrap();
                        assert_eq!(first.recipients().len(), recipients);
                        let before = log.session().round_trips();
                        for _ in 0..100 {
                            assert!(batch.next().await.unwrap().is_accepted());
                        }
                        assert_eq!(log.session().round_trips() - before, 100);
                        let rest = $crate::outcomes!(batch);
                        assert!(rest.iter().all(|outcome| outcome.is_accepted()));
                        assert_eq!(log.mails().len(), 111);
                        log.assert_clean();
                    }
                }
            })
        }

        #[test]
        fn no_more_messages_are_taken_than_are_about_to_be_sent() {
            block_on(async {
                let (mut client, _) = in_memory(&Config::new());
                let mut batch = client.send_all(mails(0..100));
                for _ in 0..50 {
                    assert!(batch.next().await.unwrap().is_accepted());
                }
                // Four are queued, and one more may have an outcome already.
                let rest = batch.into_rest().count();
                assert!(rest >= 100 - 50 - 5, "{rest} are left");
            })
        }

        #[test]
        fn the_level_is_raised_for_the_batch_only_and_never_above_the_configured_one() {
            block_on(async {
                let (mut client, log) = in_memory(&Config::new());
                assert_eq!($crate::outcomes!(client.send_all(mails(0..2))).len(), 2);
                let before = log.session().round_trips();
                for id in [client.submit(mail()), client.submit(mail())] {
                    assert!(client.wait_outcome(id).await.unwrap().is_accepted());
                }
                assert_eq!(log.session().round_trips() - before, 2 * 2);

                let off = configured(|builder| builder.pipelining(Pipelining::Off));
                let (mut client, log) = over_memory(&Config::new(), off);
                let outcomes = $crate::outcomes!(client.send_all(mails(0..3)));
                assert!(outcomes.iter().all(|outcome| outcome.is_accepted()));
                assert_eq!(outcomes.len(), 3);
                let trips = log.session().round_trips();
                assert!(trips >= 3 * 4, "one command at a time");
            })
        }

        #[test]
        fn messages_that_were_queued_before_go_first() {
            block_on(async {
                let (mut client, log) = in_memory(&Config::new());
                let before: Vec<_> = mails(0..10).map(|mail| client.submit(mail)).collect();
                let outcomes = $crate::outcomes!(client.send_all(mails(10..15)));
                assert!(outcomes.iter().all(|outcome| outcome.is_accepted()));
                for id in before {
                    assert!(client.wait_outcome(id).await.unwrap().is_accepted());
                }
                assert_eq!(log.mails()[0].addresses()[0], "bob0@example.net");
                assert_eq!(log.mails().len(), 15);
            })
        }

        #[test]
        fn messages_that_are_rejected_do_not_delay_the_next() {
            block_on(async {
                let config = Config::new()
                    .on(Stage::Mail.nth(3), Action::reply("550 5.7.1 not from you"))
                    .on(Stage::EndOfData.nth(5), Action::reply("554 5.6.0 not this"))
                    .reject("bob7@example.net", "452 4.2.2 full");
                for config in both(config) {
                    let (mut client, log) = in_memory(&config);
                    let outcomes = $crate::outcomes!(client.send_all(mails(0..12)));
                    assert_eq!(outcomes.len(), 12);
                    for (number, outcome) in outcomes.iter().enumerate() {
                        let status = outcome.recipients()[0].status();
                        let rejected = matches!(status, RecipientStatus::Rejected { .. });
                        assert_eq!(rejected, [2, 5, 7].contains(&number), "{outcome:?}");
                    }
                    assert_eq!(log.mails().len(), 9);
                    client.quit().await.unwrap();
                    log.assert_clean();
                }
            })
        }

        #[test]
        fn after_a_failure_no_message_is_taken_and_each_that_was_has_an_outcome() {
            block_on(async {
                let closing = Action::reply("421 4.3.2 going down").then_close();
                for config in both(Config::new().on(Stage::Mail.nth(5), closing)) {
                    let (mut client, log) = in_memory(&config);
                    let mut batch = client.send_all(mails(0..50));
                    let outcomes = $crate::outcomes!(batch);
                    let rest: Vec<Mail> = batch.into_rest().collect();
                    assert_eq!(outcomes.len() + rest.len(), 50);
                    assert!((5..=8).contains(&outcomes.len()), "{}", outcomes.len());
                    let accepted = outcomes.iter().filter(|outcome| outcome.is_accepted());
                    assert_eq!((accepted.count(), log.mails().len()), (4, 4));
                    let last = outcomes.last().unwrap().error().map(cause);
                    let reply = last.and_then(Error::reply).unwrap();
                    assert_eq!(reply.code().as_u16(), 421);
                    let first = rest[0].recipients().next().unwrap().to_string();
                    assert_eq!(first, format!("<bob{}@example.net>", outcomes.len()));
                }
            })
        }

        #[test]
        fn a_connection_that_had_failed_before_takes_one_message_to_say_why() {
            block_on(async {
                let (mut client, _) =
                    in_memory(&Config::new().on(Stage::Greeting, Action::close()));
                for _ in 0..2 {
                    let mut batch = client.send_all(mails(0..5));
                    let outcome = batch.next().await.unwrap();
                    let lost = matches!(reason(&outcome), ErrorKind::ConnectionLost);
                    assert!(lost, "{outcome:?}");
                    assert!(batch.next().await.is_none());
                    assert_eq!(batch.into_rest().count(), 4);
                }
            })
        }

        #[test]
        fn a_server_gets_no_more_messages_than_it_takes_in_a_session() {
            block_on(async {
                let (mut client, log) = in_memory(&Config::new().with("LIMITS MAILMAX=7"));
                let mut batch = client.send_all(mails(0..20));
                let outcomes = $crate::outcomes!(batch);
                assert_eq!((outcomes.len(), batch.into_rest().count()), (8, 12));
                let (last, others) = outcomes.split_last().unwrap();
                assert!(others.iter().all(|outcome| outcome.is_accepted()));
                assert!(matches!(reason(last), ErrorKind::TooManyMails));
                assert_eq!(log.mails().len(), 7);
                client.quit().await.unwrap();
                assert!(log.session().quit());
                log.assert_clean();
            })
        }

        #[test]
        fn a_streamed_message_is_left_out() {
            block_on(async {
                let (mut client, log) = in_memory(&Config::new());
                let outcomes = $crate::outcomes!(client.send_all([mail(), streamed(), mail()]));
                let accepted: Vec<bool> = outcomes.iter().map(|each| each.is_accepted()).collect();
                assert_eq!(accepted, [true, false, true]);
                assert!(matches!(reason(&outcomes[1]), ErrorKind::Misuse(_)));
                assert_eq!(log.mails().len(), 2);
                log.assert_clean();
            })
        }

        #[test]
        fn a_batch_ends_where_tls_is_wanted_and_there_is_none() {
            block_on(async {
                let config = Config::new().advertise_starttls();
                let (mut client, _) = over_memory(&config, wire(Security::StartTls));
                let mut batch = client.send_all(mails(0..5));
                let outcomes = $crate::outcomes!(batch);
                assert_eq!((outcomes.len(), batch.into_rest().count()), (1, 4));
                assert!(matches!(reason(&outcomes[0]), ErrorKind::Misuse(_)));
            })
        }

        #[test]
        fn with_a_server_known_to_be_sound_many_messages_share_a_round_trip() {
            block_on(async {
                let limits = SpeculationLimits::default()
                    .with_message_bytes(1000)
                    .with_bytes_in_flight(100_000);
                let speculative = configured(|builder| {
                    builder
                        .pipelining(Pipelining::Speculative)
                        .speculation(limits)
                });
                let (mut client, log) = over_memory(&Config::new().with("CHUNKING"), speculative);
                client.ready().await.unwrap();
                let before = log.session().round_trips();
                let outcomes = $crate::outcomes!(client.send_all(mails(0..500)));
                assert!(outcomes.iter().all(|outcome| outcome.is_accepted()));
                assert_eq!(outcomes.len(), 500);
                let each = (log.session().round_trips() - before) as f64 / 500.0;
                assert!(each < 0.1, "{each} round trips for each message");
                log.assert_clean();
            })
        }

        #[cfg(feature = "rustls")]
        #[test]
        fn an_endpoint_sets_the_size_of_chunks() {
            block_on(async {
                let server = Server::start(Config::new().with("CHUNKING")).unwrap();
                let endpoint = super::rt::tls::Endpoint::builder("localhost")
                    .port(server.port())
                    .security(Security::Cleartext)
                    .chunk_size(20)
                    .build()
                    .unwrap();
                let mut client = super::rt::Client::connect(&endpoint).await.unwrap();
                assert!(client.send(mail()).await.unwrap().is_accepted());
                client.quit().await.unwrap();
                let session = server.log().session();
                let commands = session.commands().iter();
                let chunks = commands.filter(|line| line.starts_with("BDAT"));
                let expected = ["BDAT 20", "BDAT 20", "BDAT 15 LAST"];
                assert!(chunks.eq(expected), "{}", session.transcript());
            })
        }

        /// The server with this config, by DATA and by BDAT.
        fn both(config: Config) -> [Config; 2] {
            [config.clone(), config.with("CHUNKING")]
        }

        /// A connection in cleartext with further options.
        fn configured(options: impl FnOnce(ConfigBuilder) -> ConfigBuilder) -> Connection {
            let builder = ClientConfig::builder("client.test".parse().unwrap());
            let config = options(builder.security(Security::Cleartext)).build();
            Connection::new(config.unwrap().into(), Seed::from_bytes([7; 32]))
        }
    };
}
