//! The client and peers that could block it forever, over the smallest buffers.

#[doc(hidden)]
#[macro_export]
macro_rules! deadlock_tests {
    () => {
        use super::rt::proto::{Mail, Timeouts};
        use super::rt::{Client, Stream, block_on};
        use $crate::common::*;
        use $crate::narrow::{
            BUFFER, CHUNKS, RECIPIENTS, both, serving, talkative, talkative_of_chunks, wire,
            wire_with,
        };
        use $crate::smtp_test::{Log, Tls, pipe};

        #[test]
        fn v25_a_server_that_reads_on_only_when_its_replies_are_read_blocks_no_client_over_pipes() {
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
        fn v25_chunks_go_on_only_as_their_replies_are_read() {
            block_on(async {
                for tls in both() {
                    let (ours, theirs) = pipe(BUFFER);
                    let log = Log::new();
                    let server = serving(&talkative_of_chunks(), tls.as_ref(), &log, theirs);
                    let wire = wire_with(tls.as_ref(), |builder| builder.chunk_size(1000));
                    let mut client = Client::from_stream(ours, wire);
                    let content = long_text(CHUNKS * 1000);
                    let mail = Mail::new("alice@example.org", TO, content).unwrap();
                    let outcome = client.send(mail).await.unwrap();
                    assert!(outcome.is_accepted(), "{:?}", outcome.error());
                    client.quit().await.unwrap();
                    drop(server.join().unwrap());
                    log.assert_clean();
                }
            })
        }

        /// Sends a message whose envelope and whose replies are each larger than all buffers.
        async fn deliver(stream: impl Stream, tls: Option<&Tls>, log: &Log) {
            let mut client = Client::from_stream(stream, wire(tls, Timeouts::default()));
            let outcome = client.send(mail_to(RECIPIENTS)).await.unwrap();
            assert!(outcome.is_accepted(), "{:?}", outcome.error());
            client.quit().await.unwrap();
            assert_eq!(log.mails()[0].addresses().len(), RECIPIENTS);
            log.assert_clean();
        }
    };
}
