//! Messages of 100 MB through the client, and how much memory they take.

#[doc(hidden)]
#[macro_export]
macro_rules! large_tests {
    () => {
        use super::kit::over_tcp;
        #[cfg(feature = "rustls")]
        use super::rt::Client;
        use super::rt::proto::{Mail, MailBuilder, Security, StreamedContent};
        use super::rt::{AsyncReadExt as _, repeat, runtime};
        use $crate::common::*;
        use $crate::smtp_test::{Config, Faulty, Plan, Server};

        #[test]
        fn content_from_a_reader_takes_the_memory_of_a_few_pieces() {
            let server = Server::start(config()).unwrap();
            let runtime = runtime();
            let heap = $crate::allocation_counter::measure(|| {
                runtime.block_on(async {
                    let mut client = over_tcp(&server, wire(Security::Cleartext)).await;
                    let text = repeat(b'x').take(LARGE);
                    let outcome = client.send_from(large(), text).await.unwrap();
                    assert!(outcome.is_accepted(), "{outcome:?}");
                    client.quit().await.unwrap();
                })
            });
            assert!(heap.bytes_max < 512 << 10, "{heap:?}");
            assert_eq!(server.mails()[0].body_len(), LARGE + 2);
        }

        #[test]
        fn content_in_short_pieces_from_a_reader_takes_little_more_memory() {
            let server = Server::start(config()).unwrap();
            let runtime = runtime();
            let heap = $crate::allocation_counter::measure(|| {
                runtime.block_on(async {
                    let mut client = over_tcp(&server, wire(Security::Cleartext)).await;
                    let short = Plan::new().at_most(1000);
                    let text = Faulty::new(repeat(b'x').take(400_000), short);
                    let outcome = client.send_from(large(), text).await.unwrap();
                    assert!(outcome.is_accepted(), "{outcome:?}");
                    client.quit().await.unwrap();
                })
            });
            assert!(heap.bytes_max < 300 << 10, "{heap:?}");
            assert_eq!(server.mails()[0].body_len(), 400_002);
        }

        #[test]
        fn content_from_a_reader_takes_the_memory_of_a_few_chunks() {
            let server = Server::start(config().with("CHUNKING")).unwrap();
            let runtime = runtime();
            let heap = $crate::allocation_counter::measure(|| {
                runtime.block_on(async {
                    let mut client = over_tcp(&server, wire(Security::Cleartext)).await;
                    let text = repeat(b'x').take(SMALLER);
                    let outcome = client.send_from(large(), text).await.unwrap();
                    assert!(outcome.is_accepted(), "{outcome:?}");
                    client.quit().await.unwrap();
                })
            });
            assert!(heap.bytes_max < 4 << 20, "{heap:?}");
            assert_eq!(server.mails()[0].body_len(), SMALLER + 2);
        }

        #[test]
        fn content_in_memory_is_not_copied() {
            for config in [config(), config().with("CHUNKING")] {
                let server = Server::start(config).unwrap();
                let text = vec![b'x'; usize::try_from(SMALLER).unwrap()];
                let mut mail = Some(builder().message(text).build().unwrap());
                let runtime = runtime();
                let heap = $crate::allocation_counter::measure(|| {
                    runtime.block_on(async {
                        let mut client = over_tcp(&server, wire(Security::Cleartext)).await;
                        let outcome = client.send(mail.take().unwrap()).await.unwrap();
                        assert!(outcome.is_accepted(), "{outcome:?}");
                        client.quit().await.unwrap();
                    })
                });
                assert!(heap.bytes_max < 64 << 10, "{heap:?}");
                assert_eq!(server.mails()[0].body_len(), SMALLER + 2);
            }
        }

        #[cfg(feature = "rustls")]
        #[test]
        fn tls_adds_the_memory_of_a_few_records() {
            let tls = $crate::smtp_test::Tls::new();
            let server = Server::start(config().tls(tls.clone())).unwrap();
            let runtime = runtime();
            let heap = $crate::allocation_counter::measure(|| {
                runtime.block_on(async {
                    let endpoint = secured::endpoint(&tls).port(server.port()).build().unwrap();
                    let mut client = Client::connect(&endpoint).await.unwrap();
                    let text = repeat(b'x').take(SMALLER);
                    let outcome = client.send_from(large(), text).await.unwrap();
                    assert!(outcome.is_accepted(), "{outcome:?}");
                    client.quit().await.unwrap();
                })
            });
            assert!(heap.bytes_max < 1 << 20, "{heap:?}");
            assert_eq!(server.mails()[0].body_len(), SMALLER + 2);
        }

        const LARGE: u64 = 100_000_000;

        /// For tests that would take long.
        const SMALLER: u64 = 20_000_000;

        fn config() -> Config {
            Config::new().size_limit(1 << 30).discard_bodies()
        }

        fn builder() -> MailBuilder {
            Mail::builder()
                .sender("alice@example.org")
                .recipient("bob@example.net")
                .max_line_len(None)
                .without_header_check()
        }

        fn large() -> Mail {
            builder().streamed(StreamedContent::new()).build().unwrap()
        }
    };
}
