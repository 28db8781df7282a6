//! Many mails at a time through the client.

#[doc(hidden)]
#[macro_export]
macro_rules! batch_tests {
    () => {
        use std::thread;

        use super::rt::block_on;
        use super::rt::proto::{Connection, ErrorKind, Mail, Outcome, Security};
        use super::rt::{Batch, Client, Mails};
        use $crate::common::*;
        use $crate::smtp_test::{Action, Config, Log, Machine, MemoryServer, Stage, pipe, serve};

        #[test]
        fn outcomes_come_in_the_order_of_the_mails_one_round_trip_each() {
            block_on(async {
                for recipients in [1, 10, 100] {
                    let (mut client, log) = in_memory(&Config::new().with("CHUNKING"));
                    let mut batch = client.send_all((0..111).map(|_| mail_to(recipients)));
                    let first = batch.next().await.unwrap();
                    assert_eq!(first.recipients().len(), recipients);
                    let before = log.session().round_trips();
                    for _ in 0..100 {
                        assert!(batch.next().await.unwrap().is_accepted());
                    }
                    assert_eq!(log.session().round_trips() - before, 100);
                    while let Some(outcome) = batch.next().await {
                        assert!(outcome.is_accepted());
                    }
                    assert_eq!(log.mails().len(), 111);
                    log.assert_clean();
                }
            })
        }

        #[test]
        fn mails_that_are_rejected_do_not_hold_up_the_next() {
            block_on(async {
                let config = Config::new()
                    .on(Stage::Mail.nth(3), Action::reply("550 5.7.1 not from you"))
                    .on(Stage::EndOfData.nth(5), Action::reply("554 5.6.0 not this"))
                    .reject("bob7@example.net", "452 4.2.2 full");
                let (mut client, log) = in_memory(&config);
                let outcomes = all(&mut client.send_all(mails(0..12))).await;
                let rejected: Vec<usize> = (0..12)
                    .filter(|index| !outcomes[*index].is_accepted())
                    .collect();
                assert_eq!((outcomes.len(), rejected), (12, vec![2, 5, 7]));
                assert_eq!(log.mails().len(), 9);
                client.quit().await.unwrap();
                log.assert_clean();
            })
        }

        #[test]
        fn after_a_failure_nothing_more_is_taken_and_all_that_was_has_an_outcome() {
            block_on(async {
                let going = Action::reply("421 4.3.2 going down").then_close();
                let (mut client, log) = in_memory(&Config::new().on(Stage::Mail.nth(5), going));
                let mut batch = client.send_all(mails(0..50));
                let outcomes = all(&mut batch).await;
                let rest: Vec<Mail> = batch.into_rest().collect();
                assert_eq!(outcomes.len() + rest.len(), 50);
                assert!((5..=8).contains(&outcomes.len()), "{}", outcomes.len());
                let accepted = outcomes.iter().filter(|outcome| outcome.is_accepted());
                assert_eq!((accepted.count(), log.mails().len()), (4, 4));
                assert!(outcomes.last().unwrap().error().is_some());
            })
        }

        #[test]
        fn a_server_that_takes_so_many_mails_a_session_gets_no_more() {
            block_on(async {
                let (mut client, log) = in_memory(&Config::new().with("LIMITS MAILMAX=7"));
                let mut batch = client.send_all(mails(0..20));
                let outcomes = all(&mut batch).await;
                assert_eq!((outcomes.len(), batch.into_rest().count()), (8, 12));
                assert!(matches!(reason(&outcomes[7]), ErrorKind::TooManyMails));
                assert_eq!(log.mails().len(), 7);
                log.assert_clean();
            })
        }

        #[test]
        fn a_batch_whose_futures_are_dropped_at_every_pending_loses_nothing() {
            block_on(async {
                for times in [1, 2, 3] {
                    let (ours, mut theirs) = pipe(7);
                    let log = Log::new();
                    let mut machine = Machine::with_log(&Config::new(), &log);
                    let server = thread::spawn(move || serve(&mut machine, &mut theirs));
                    let mut client = Client::from_stream(ours, wire(Security::Cleartext));
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
                    server.join().unwrap().unwrap();
                    assert_eq!(log.mails().len(), 9);
                    log.assert_clean();
                }
            })
        }

        /// All that a batch has to tell.
        async fn all(
            batch: &mut Batch<'_, Mails<impl Iterator<Item = Mail>>, MemoryServer, Connection>,
        ) -> Vec<Outcome> {
            let mut outcomes = Vec::new();
            while let Some(outcome) = batch.next().await {
                outcomes.push(outcome);
            }
            outcomes
        }

        fn in_memory(config: &Config) -> (Client<MemoryServer, Connection>, Log) {
            let server = MemoryServer::new(config);
            let log = server.log();
            (Client::from_stream(server, wire(Security::Cleartext)), log)
        }

        /// Mails to `bob0`, `bob1` and so on.
        fn mails(numbers: std::ops::Range<usize>) -> impl Iterator<Item = Mail> {
            numbers.map(|number| {
                let recipient = format!("bob{number}@example.net");
                Mail::new("alice@example.org", [recipient], TEXT).unwrap()
            })
        }
    };
}
