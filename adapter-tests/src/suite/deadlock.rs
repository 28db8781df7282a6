//! The client and peers that could lock it up, or keep it waiting, over the smallest buffers.

#[doc(hidden)]
#[macro_export]
macro_rules! deadlock_tests {
    () => {
        use super::rt::proto::{ErrorKind, Timeout, Timeouts};
        use super::rt::{AsyncRead, AsyncWrite, Client, block_on, unix_stream};
        use $crate::common::*;
        use $crate::narrow::{
            BUFFER, RECIPIENTS, both, deaf, hurried, serving, sockets, talkative, wire,
        };
        use $crate::smtp_test::{Log, Tls, pipe};

        #[test]
        fn v25_a_server_that_reads_on_only_when_its_replies_are_taken_is_no_lock_over_pipes() {
            block_on(async {
                for tls in both() {
                    let (ours, theirs) = pipe(BUFFER);
                    let log = Log::new();
                    let server = serving(&talkative(), tls.as_ref(), &log, theirs);
                    deliver(ours, tls.as_ref(), &log).await;
                    drop(server.join().unwrap());
                }
            })
        }

        #[test]
        fn v25_a_server_that_reads_on_only_when_its_replies_are_taken_is_no_lock_over_sockets() {
            block_on(async {
                for tls in both() {
                    let (ours, theirs) = sockets();
                    let log = Log::new();
                    let server = serving(&talkative(), tls.as_ref(), &log, theirs);
                    deliver(unix_stream(ours), tls.as_ref(), &log).await;
                    drop(server.join().unwrap());
                }
            })
        }

        #[test]
        fn v25_a_server_that_stops_reading_in_a_text_runs_into_the_deadline_over_pipes() {
            block_on(async {
                for tls in both() {
                    let (ours, theirs) = pipe(BUFFER);
                    let log = Log::new();
                    let server = serving(&deaf(), tls.as_ref(), &log, theirs);
                    give_up(ours, tls.as_ref(), &log).await;
                    drop(server.join().unwrap());
                }
            })
        }

        #[test]
        fn v25_a_server_that_stops_reading_in_a_text_runs_into_the_deadline_over_sockets() {
            block_on(async {
                for tls in both() {
                    let (ours, theirs) = sockets();
                    let log = Log::new();
                    let server = serving(&deaf(), tls.as_ref(), &log, theirs);
                    give_up(unix_stream(ours), tls.as_ref(), &log).await;
                    drop(server.join().unwrap());
                }
            })
        }

        /// Sends a mail whose envelope and whose replies are each larger than all the buffers.
        async fn deliver(
            stream: impl AsyncRead + AsyncWrite + Unpin,
            tls: Option<&Tls>,
            log: &Log,
        ) {
            let mut client = Client::from_stream(stream, wire(tls, Timeouts::default()));
            let outcome = client.send(mail_to(RECIPIENTS)).await.unwrap();
            assert!(outcome.is_accepted(), "{:?}", outcome.error());
            client.quit().await.unwrap();
            assert_eq!(log.mails()[0].addresses().len(), RECIPIENTS);
            log.assert_clean();
        }

        /// Sends a mail that is not taken.
        async fn give_up(
            stream: impl AsyncRead + AsyncWrite + Unpin,
            tls: Option<&Tls>,
            log: &Log,
        ) {
            let mut client = Client::from_stream(stream, wire(tls, hurried()));
            let text = long_text(8 << 20);
            let outcome = client.send_from(streamed(), text.as_bytes()).await.unwrap();
            assert_eq!(judge(&outcome, log), Came::NotSent);
            let late = ErrorKind::Timeout(Timeout::Write);
            assert_eq!(format!("{:?}", reason(&outcome)), format!("{late:?}"));
        }
    };
}
