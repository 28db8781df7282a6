//! Mails that come when they come, through the client.

#[doc(hidden)]
#[macro_export]
macro_rules! stream_tests {
    () => {
        use std::task::Poll;
        use std::thread::{self, JoinHandle};

        use super::rt::Client;
        use super::rt::block_on;
        use super::rt::proto::{Connection, Mail, Security};
        use $crate::channel;
        use $crate::common::*;
        use $crate::futures_lite::future::zip;
        use $crate::futures_lite::{StreamExt, stream};
        use $crate::smtp_test::{
            Action, Config, Log, Machine, MemoryServer, Pipe, Stage, pipe, serve,
        };

        #[test]
        fn a_mail_that_comes_after_the_outcome_of_the_one_before_is_sent() {
            block_on(async {
                let (mut client, server, log) = connected(&Config::new());
                let (give, mails) = channel::bounded(1);
                let (tell, outcomes) = channel::bounded(1);
                let sending = async {
                    let mut batch = client.send_stream(Box::pin(mails));
                    while let Some(outcome) = batch.next().await {
                        tell.send(outcome).await.unwrap();
                    }
                };
                let giving = async {
                    for _ in 0..5 {
                        give.send(mail()).await.unwrap();
                        assert!(outcomes.recv().await.unwrap().is_accepted());
                    }
                    drop(give);
                };
                zip(sending, giving).await;
                client.quit().await.unwrap();
                server.join().unwrap();
                assert_eq!(log.mails().len(), 5);
                log.assert_clean();
            })
        }

        #[test]
        fn mails_that_are_there_go_out_a_round_trip_each() {
            block_on(async {
                let server = MemoryServer::new(&Config::new());
                let log = server.log();
                let mut client = Client::from_stream(server, wire(Security::Cleartext));
                let mut batch = client.send_stream(stream::repeat_with(mail).take(60));
                assert!(batch.next().await.unwrap().is_accepted());
                let before = log.session().round_trips();
                for _ in 0..50 {
                    assert!(batch.next().await.unwrap().is_accepted());
                }
                assert_eq!(log.session().round_trips() - before, 50);
            })
        }

        #[test]
        fn a_connection_that_ends_while_no_mail_is_there_ends_the_batch_and_keeps_the_rest() {
            block_on(async {
                let going = Action::reply("250 2.0.0 kept, and that is all").then_close();
                let (mut client, server, log) =
                    connected(&Config::new().on(Stage::EndOfData, going));
                let (give, mails) = channel::bounded(8);
                give.send(mail()).await.unwrap();
                let mut batch = client.send_stream(Box::pin(mails));
                assert!(batch.next().await.unwrap().is_accepted());
                assert!(batch.next().await.is_none());
                give.send(mail()).await.unwrap();
                assert!(batch.into_rest().try_recv().is_ok());
                assert!(client.ready().await.is_err());
                server.join().unwrap();
                assert_eq!(log.mails().len(), 1);
            })
        }

        #[test]
        fn a_connection_that_has_failed_waits_for_no_mail() {
            block_on(async {
                let (mut client, server, _) =
                    connected(&Config::new().on(Stage::Greeting, Action::close()));
                assert!(client.ready().await.is_err());
                let (_give, mails) = channel::bounded(1);
                assert!(client.send_stream(Box::pin(mails)).next().await.is_none());
                server.join().unwrap();
            })
        }

        #[test]
        fn a_stream_that_is_slow_and_futures_that_are_dropped_lose_nothing() {
            block_on(async {
                for times in [1, 2, 3] {
                    let (mut client, server, log) = connected(&Config::new());
                    let mut number = 0;
                    let mut late = true;
                    let mails = stream::poll_fn(|cx| {
                        late = !late;
                        if late {
                            cx.waker().wake_by_ref();
                            return Poll::Pending;
                        }
                        number += 1;
                        let recipient = format!("bob{number}@example.net");
                        let mail = Mail::new("alice@example.org", [recipient], TEXT).unwrap();
                        Poll::Ready((number <= 9).then_some(mail))
                    });
                    let mut batch = client.send_stream(mails);
                    let mut told = 0;
                    while let Some(outcome) = $crate::stubborn!(batch.next(), times) {
                        told += 1;
                        let recipient = outcome.recipients()[0].recipient();
                        assert_eq!(recipient.as_str(), format!("bob{told}@example.net"));
                        assert!(outcome.is_accepted());
                    }
                    assert_eq!(told, 9);
                    client.quit().await.unwrap();
                    server.join().unwrap();
                    assert_eq!(log.mails().len(), 9);
                    log.assert_clean();
                }
            })
        }

        /// A client, and its server on a thread.
        fn connected(config: &Config) -> (Client<Pipe, Connection>, JoinHandle<()>, Log) {
            let (ours, mut theirs) = pipe(64);
            let log = Log::new();
            let mut machine = Machine::with_log(config, &log);
            let server = thread::spawn(move || _ = serve(&mut machine, &mut theirs));
            (
                Client::from_stream(ours, wire(Security::Cleartext)),
                server,
                log,
            )
        }
    };
}
