//! Futures that are dropped, and what only futures have.

#[doc(hidden)]
#[macro_export]
macro_rules! cancel_tests {
    () => {
        use std::io;

        use super::kit::*;
        use super::rt::proto::{
            Command, Connection, ErrorKind, Security, Timeout, Timeouts, TlsInfo,
        };
        use super::rt::{Client, TcpStream, block_on};
        use $crate::common::*;
        use $crate::smtp_test::{Config, Faulty, Log, MemoryServer, Operations, Plan};

        #[test]
        fn v41_dropping_send_abandons_the_message_and_its_outcome_is_true() {
            block_on(async {
                let mut statuses = Vec::new();
                let mut continued = 0;
                for polls in 1.. {
                    let (mut client, log, _) = cleartext_over(Plan::new().pending_first());
                    client.ready().await.unwrap();
                    let before = client.connection().stats().bytes_sent();
                    let done = $crate::polled!(client.send(mail()), polls);
                    let outcome = match done {
                        Some(outcome) => outcome.unwrap(),
                        None => left_over(client.connection_mut()).expect("it stays readable"),
                    };
                    statuses.push(status_of(&outcome, &log));
                    if outcome.is_accepted() {
                        break;
                    }
                    assert!(
                        matches!(reason(&outcome), ErrorKind::Abandoned),
                        "{outcome:?}"
                    );
                    // If no byte of it was transmitted, the connection continues.
                    let over = client.connection().is_closed();
                    let sent = client.connection().stats().bytes_sent() > before;
                    assert!(over || !sent, "{outcome:?}");
                    continued += usize::from(!over);
                    let next = client.send(mail()).await.unwrap();
                    assert_eq!(next.error().is_some(), over, "{next:?}");
                }
                assert_rising(&statuses);
                assert!(continued > 0, "no message was withdrawn");
            });
        }

        #[test]
        fn v41_dropping_send_before_its_message_has_begun_withdraws_it() {
            block_on(async {
                let (mut client, log, _) = cleartext_over(Plan::new().pending_first());
                client.ready().await.unwrap();
                drop(client.send(mail()));
                let first = client.submit(mail());
                assert!($crate::polled!(client.send(mail()), 1).is_none());
                assert!(client.wait_outcome(first).await.unwrap().is_accepted());
                let outcome = left_over(client.connection_mut()).expect("the second is withdrawn");
                assert!(matches!(reason(&outcome), ErrorKind::Abandoned));
                assert_eq!(log.mails().len(), 1);
                assert!(
                    client.send(mail()).await.unwrap().is_accepted(),
                    "the connection continues"
                );
                log.assert_clean();
            });
        }

        #[test]
        fn a_handshake_that_never_ends_runs_into_the_deadline_for_it() {
            block_on(async {
                let timeouts = Timeouts::default().with_starttls(SOON);
                let wire = with_timeouts(Security::StartTls, timeouts);
                let (client, _) = over_memory(&Config::new().advertise_starttls(), wire);
                let error = client
                    .upgrade(async |_| {
                        std::future::pending::<io::Result<(TcpStream, TlsInfo)>>().await
                    })
                    .await
                    .unwrap_err();
                assert!(
                    matches!(error.kind(), ErrorKind::Timeout(Timeout::StartTls)),
                    "{error:#}"
                );
            });
        }

        #[test]
        fn a_batch_whose_futures_are_dropped_at_every_pending_loses_nothing() {
            block_on(async {
                for times in [1, 2, 3] {
                    let (mut client, server, log) = over_pipe(&Config::new(), 7);
                    let mut batch = client.send_all(mails(0..9));
                    let mut number = 0;
                    while let Some(outcome) = $crate::stubborn!(batch.next(), times) {
                        let recipient = outcome.recipients()[0].recipient();
                        assert_eq!(recipient.as_str(), format!("bob{number}@example.net"));
                        assert!(outcome.is_accepted());
                        number += 1;
                    }
                    assert_eq!(number, 9);
                    client.quit().await.unwrap();
                    server.join().unwrap();
                    assert_eq!(log.mails().len(), 9);
                    log.assert_clean();
                }
            })
        }

        #[test]
        fn futures_are_send() {
            block_on(async {
                let config = Config::new().advertise_starttls();
                let (mut client, _) = over_memory(&config, wire(Security::StartTls));
                let id = client.submit(mail());
                drop(assert_send(client.ready()));
                drop(assert_send(client.send(mail())));
                drop(assert_send(client.send_from(streamed(), TEXT.as_bytes())));
                drop(assert_send(client.content_wanted(id)));
                drop(assert_send(client.wait_outcome(id)));
                drop(assert_send(client.command(Command::noop())));
                let command = client.connection_mut().command(Command::noop());
                drop(assert_send(client.wait_reply(command)));
                let upgrade = client.upgrade(async |stream| Ok((stream, TlsInfo::asserted())));
                let client = assert_send(upgrade).await.unwrap();
                assert_send(client.quit()).await.unwrap();
            });
        }

        #[test]
        fn a_future_holds_the_handshake_once_and_the_client_few_times() {
            const LARGE: usize = 1 << 16;
            block_on(async {
                let client = || over_memory(&Config::new(), wire(Security::StartTls)).0;
                let small = client().upgrade(async |stream| Ok((stream, TlsInfo::asserted())));
                let large = client().upgrade(async |stream| {
                    let held = [0_u8; LARGE];
                    $crate::futures_lite::future::yield_now().await;
                    std::hint::black_box(&held);
                    Ok((stream, TlsInfo::asserted()))
                });
                let more = size_of_val(&large) - size_of_val(&small);
                assert!(more <= LARGE, "{more}");
                let client = client();
                let own = size_of_val(&client);
                let quitting = size_of_val(&client.quit());
                assert!(quitting < 3 * own, "{quitting} of {own}");
            });
        }

        /// A client of a server in memory in cleartext, over a stream with this plan.
        fn cleartext_over(
            plan: Plan,
        ) -> (Client<Faulty<MemoryServer>, Connection>, Log, Operations) {
            over_faulty(&Config::new(), plan, wire(Security::Cleartext))
        }

        fn assert_send<T: Send>(value: T) -> T {
            value
        }

        #[cfg(feature = "rustls")]
        mod in_tls {
            use super::super::rt::{Client, block_on};
            use super::assert_send;
            use $crate::common::mail;
            use $crate::common::secured::both_ways;

            #[test]
            fn futures_in_tls_are_send() {
                block_on(async {
                    let (_server, endpoint) = &both_ways()[0];
                    let mut client =
                        assert_send(assert_send(Client::connect(endpoint)).await.unwrap());
                    assert!(
                        assert_send(client.send(mail()))
                            .await
                            .unwrap()
                            .is_accepted()
                    );
                    assert_send(client.quit()).await.unwrap();
                });
            }
        }
    };
}
