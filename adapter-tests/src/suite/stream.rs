//! Messages that arrive one by one, through the client.

#[doc(hidden)]
#[macro_export]
macro_rules! stream_tests {
    () => {
        use std::task::Poll;

        use super::kit::{in_memory, over_pipe};
        use super::rt::block_on;
        use super::rt::proto::Mail;
        use $crate::channel;
        use $crate::common::*;
        use $crate::futures_lite::future::zip;
        use $crate::futures_lite::{StreamExt, stream};
        use $crate::smtp_test::{Action, Config, Stage};

        #[test]
        fn a_message_that_arrives_after_the_outcome_of_the_one_before_is_sent() {
            block_on(async {
                let (mut client, server, log) = over_pipe(&Config::new(), 64);
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
        fn messages_that_are_ready_take_one_round_trip_each() {
            block_on(async {
                let (mut client, log) = in_memory(&Config::new());
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
        fn a_connection_that_ends_while_no_message_is_ready_ends_the_batch_and_keeps_the_rest() {
            block_on(async {
                let going = Action::reply("250 2.0.0 kept, and that is all").then_close();
                let (mut client, server, log) =
                    over_pipe(&Config::new().on(Stage::EndOfData, going), 64);
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
        fn a_connection_that_has_failed_waits_for_no_message() {
            block_on(async {
                let (mut client, server, _) =
                    over_pipe(&Config::new().on(Stage::Greeting, Action::close()), 64);
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
                    let (mut client, server, log) = over_pipe(&Config::new(), 64);
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
    };
}
