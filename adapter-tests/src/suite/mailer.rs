//! The mailer over real sockets. Its rules are tested in memory, with `smtp-driver`.

#[doc(hidden)]
#[macro_export]
macro_rules! mailer_tests {
    () => {
        use std::time::Duration;

        use super::rt::pool::{PoolConfig, PoolError};
        use super::rt::proto::{Credentials, Mail, Outcome, RecipientStatus};
        use super::rt::{Client, Endpoint, Mailer, NAME, block_on, runtime};
        use $crate::common::secured::{cleartext, endpoint};
        use $crate::mailer::{Hostile, join_all, soak_count};
        use $crate::smtp_test::{Action, Config, Server, Stage, Tls};

        const LIMIT: Duration = Duration::from_secs(60);

        /// What a program may rely on.
        const _: () = {
            const fn shared<T: Send + Sync + Clone>() {}
            const fn sent<T: Send>(_: &T) {}
            shared::<Mailer>();
            #[expect(dead_code, reason = "it is compiled")]
            fn futures(mailer: &Mailer, mail: Mail) {
                sent(&mailer.send(mail));
                sent(&mailer.check());
                sent(&mailer.close(LIMIT));
                sent(&mailer.driver());
                let mut all = mailer.send_all([]);
                sent(&all.next());
            }
        };

        fn mail(number: usize) -> Mail {
            let text = "From: alice@example.org\r\nSubject: hi\r\n\r\nhello\r\n";
            let recipient = format!("bob{number}@example.net");
            Mail::new("alice@example.org", [recipient], text).unwrap()
        }

        async fn accepted(mailer: &Mailer, number: usize) {
            let outcome = mailer.send(mail(number)).await.unwrap();
            assert!(outcome.is_accepted(), "{outcome:?}");
        }

        #[test]
        fn many_senders_share_three_connections() {
            block_on(async {
                let tls = Tls::new();
                let server = Server::start(Config::new().tls(tls.clone())).unwrap();
                let endpoint = endpoint(&tls).port(server.port()).build().unwrap();
                let mailer = Mailer::new(endpoint);
                join_all((0..32).map(|number| accepted(&mailer, number))).await;
                assert_eq!(server.mails().len(), 32);
                assert!(server.sessions().len() <= 3);
                assert!(mailer.close(LIMIT).await);
                let sessions = server.wait_for_sessions(server.sessions().len(), LIMIT);
                assert!(sessions.iter().all(|each| each.quit()));
                server.log().assert_clean();
            });
        }

        #[test]
        fn a_connection_that_was_closed_while_it_was_idle_is_replaced() {
            for end in [
                Action::normal().then_close(),
                Action::normal().then_reset(),
                Action::normal()
                    .then("421 4.4.2 idle for too long\r\n")
                    .then_close(),
            ] {
                block_on(async {
                    let config = Config::new().on(Stage::EndOfData.connection(1), end);
                    let server = Server::start(config).unwrap();
                    let mailer = Mailer::new(cleartext(server.port()));
                    // The end may come with the outcome, or while the connection is idle.
                    for number in 0..3 {
                        accepted(&mailer, number).await;
                    }
                    assert_eq!(server.mails().len(), 3);
                });
            }
        }

        #[test]
        fn a_wrong_password_is_told_to_all_at_once_and_by_a_check() {
            block_on(async {
                let tls = Tls::new();
                let config = Config::new().tls(tls.clone()).user("alice", "right");
                let server = Server::start(config).unwrap();
                let endpoint = endpoint(&tls)
                    .port(server.port())
                    .credentials(Credentials::password("alice", "wrong").unwrap())
                    .build()
                    .unwrap();
                let mailer =
                    Mailer::with_config(endpoint, PoolConfig::new().with_max_connections(1));
                let senders = (0..10).map(|number| mailer.send(mail(number)));
                for result in join_all(senders).await {
                    let error = result.unwrap_err();
                    let PoolError::Connect(cause) = error.kind() else {
                        panic!("{error:?}");
                    };
                    assert_eq!(cause.reply().unwrap().code().as_u16(), 535, "{cause:#}");
                }
                assert_eq!(server.sessions().len(), 1);
                let mailer = mailer.with_max_wait(Duration::from_millis(1));
                let error = mailer.check().await.unwrap_err();
                assert!(error.to_string().contains("the last attempt"), "{error}");
            });
        }

        #[test]
        fn a_server_that_cannot_be_reached_is_told() {
            block_on(async {
                let port = $crate::common::closed_ports()[0].port();
                let mailer = Mailer::new(cleartext(port));
                let error = mailer.send(mail(0)).await.unwrap_err();
                assert!(matches!(error.kind(), PoolError::Connect(_)), "{error:?}");
            });
        }

        #[test]
        fn a_check_keeps_its_connection_even_if_all_are_idle() {
            block_on(async {
                let server = Server::start(Config::new()).unwrap();
                let config = PoolConfig::new().with_max_connections(1);
                let mailer = Mailer::with_config(cleartext(server.port()), config);
                accepted(&mailer, 0).await;
                mailer.check().await.unwrap();
                accepted(&mailer, 1).await;
                assert_eq!(server.sessions().len(), 2);
                assert_eq!(mailer.stats().failed, 0);
            });
        }

        #[test]
        fn a_driver_sends_what_is_submitted_and_ends_with_the_mailer() {
            block_on(async {
                let server = Server::start(Config::new()).unwrap();
                let mailer = Mailer::new(cleartext(server.port()));
                let driver = mailer.driver().unwrap();
                let program = async {
                    let tickets: Vec<_> = (0..50)
                        .map(|number| mailer.submit(mail(number)).unwrap())
                        .collect();
                    for ticket in tickets {
                        assert!(mailer.outcome(ticket).await.unwrap().unwrap().is_accepted());
                    }
                    assert!(mailer.close(LIMIT).await);
                };
                $crate::futures_lite::future::zip(driver, program).await;
                assert_eq!(server.mails().len(), 50);
            });
        }

        #[test]
        fn closing_gives_up_a_server_that_never_replies() {
            for with_driver in [false, true] {
                block_on(async {
                    let config = Config::new().on(Stage::EndOfData, Action::silent());
                    let server = Server::start(config).unwrap();
                    let mailer = Mailer::new(cleartext(server.port()));
                    let driver = with_driver.then(|| mailer.driver().unwrap());
                    let driver = async {
                        if let Some(driver) = driver {
                            driver.await;
                        }
                    };
                    let sending = async {
                        let outcome = mailer.send(mail(0)).await.unwrap();
                        assert!(outcome.is_in_doubt(), "{outcome:?}");
                    };
                    let closing = async {
                        while server.mails().is_empty() {
                            $crate::futures_lite::future::yield_now().await;
                        }
                        assert!(!mailer.close($crate::common::SOON).await);
                    };
                    let both = $crate::futures_lite::future::zip(sending, closing);
                    $crate::futures_lite::future::zip(driver, both).await;
                });
            }
        }

        #[test]
        fn an_idle_connection_costs_no_more_allocations_than_a_client() {
            let server = Server::start(Config::new().discard_mails()).unwrap();
            let endpoint = cleartext(server.port());
            let runtime = runtime();
            let mut client = runtime.block_on(Client::connect(&endpoint)).unwrap();
            let mailer = Mailer::new(endpoint);
            let mut count = |by_mailer: bool| {
                let mail = mail(0);
                let info = $crate::allocation_counter::measure(|| {
                    runtime.block_on(async {
                        let outcome = match by_mailer {
                            true => mailer.send(mail).await.unwrap(),
                            false => client.send(mail).await.unwrap(),
                        };
                        assert!(outcome.is_accepted());
                    });
                });
                info.count_total
            };
            // The least, since a buffer may grow.
            let mut least = [u64::MAX; 2];
            for _ in 0..20 {
                for (least, by_mailer) in least.iter_mut().zip([false, true]) {
                    *least = count(by_mailer).min(*least);
                }
            }
            let [by_client, by_mailer] = least;
            assert!(
                by_mailer <= by_client,
                "{by_mailer}, and {by_client} by a client"
            );
            let size = size_of_val(&mailer.send(mail(0)));
            assert!(size <= 2048, "a message that waits takes {size} bytes");
        }

        #[test]
        fn a_store_is_reached_by_its_unix_socket() {
            block_on(async {
                let path =
                    std::env::temp_dir().join(format!("{NAME}-mailer-{}", std::process::id()));
                let _ = std::fs::remove_file(&path);
                let server = Server::start_unix(Config::new().lmtp(), &path).unwrap();
                let mailer = Mailer::new(Endpoint::unix(&path).build().unwrap());
                join_all((0..10).map(|number| accepted(&mailer, number))).await;
                assert_eq!(server.mails().len(), 10);
                assert!(mailer.close(LIMIT).await);
            });
        }

        /// With a driver for the second half.
        #[test]
        fn soak_no_message_is_lost_or_doubled_by_a_server_that_fails_in_every_way() {
            for with_driver in [false, true] {
                block_on(async {
                    let count = soak_count() / 2;
                    let hostile = Hostile::start();
                    let mailer = Mailer::new(cleartext(hostile.port()));
                    let driver = with_driver.then(|| mailer.driver().unwrap());
                    let driver = async {
                        if let Some(driver) = driver {
                            driver.await;
                        }
                    };
                    let program = async {
                        let numbers = std::cell::RefCell::new(0..count);
                        let senders = (0..32).map(|_| async {
                            let mut doubts = Vec::new();
                            loop {
                                let number = numbers.borrow_mut().next();
                                let Some(number) = number else {
                                    return doubts;
                                };
                                if until_known(&mailer, number).await {
                                    doubts.push(number);
                                }
                            }
                        });
                        let doubts: Vec<_> = join_all(senders).await.concat();
                        mailer.close(LIMIT).await;
                        doubts
                    };
                    let ((), doubts) = $crate::futures_lite::future::zip(driver, program).await;
                    hostile.check(count, &doubts, mailer.stats().retried);
                });
            }
        }

        /// Sends a message until it is accepted or in doubt. Returns whether it is in doubt.
        async fn until_known(mailer: &Mailer, number: usize) -> bool {
            loop {
                // Nothing was stored after an error.
                let Ok(outcome): Result<Outcome, _> = mailer.send(mail(number)).await else {
                    continue;
                };
                match outcome.recipients()[0].status() {
                    RecipientStatus::Accepted(_) => return false,
                    RecipientStatus::InDoubt(_) => return true,
                    _ => {}
                }
            }
        }
    };
}
