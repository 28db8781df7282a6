//! Mails of 100 MB through the smol client, and how much memory they take.

use futures_lite::AsyncReadExt;
use futures_lite::future::block_on;

use crate::common::*;
use smtp_smol::Client;
use smtp_smol::proto::{Mail, MailBuilder, Security, StreamedContent};
use smtp_test::{Config, Server};

#[test]
fn a_text_from_a_reader_takes_the_memory_of_a_few_pieces() {
    let server = Server::start(config()).unwrap();
    let heap = allocation_counter::measure(|| {
        block_on(async {
            let stream = async_net::TcpStream::connect(server.addr()).await.unwrap();
            let mut client = Client::from_stream(stream, wire(Security::Cleartext));
            let text = futures_lite::io::repeat(b'x').take(LARGE);
            let outcome = client.send_from(large(), text).await.unwrap();
            assert!(outcome.is_accepted(), "{outcome:?}");
            client.quit().await.unwrap();
        })
    });
    assert!(heap.bytes_max < 512 << 10, "{heap:?}");
    assert_eq!(server.mails()[0].body_len(), LARGE + 2);
}

#[test]
fn a_text_from_a_reader_takes_the_memory_of_a_few_chunks() {
    let server = Server::start(config().with("CHUNKING")).unwrap();
    let heap = allocation_counter::measure(|| {
        block_on(async {
            let stream = async_net::TcpStream::connect(server.addr()).await.unwrap();
            let mut client = Client::from_stream(stream, wire(Security::Cleartext));
            let text = futures_lite::io::repeat(b'x').take(SMALLER);
            let outcome = client.send_from(large(), text).await.unwrap();
            assert!(outcome.is_accepted(), "{outcome:?}");
            client.quit().await.unwrap();
        })
    });
    assert!(heap.bytes_max < 4 << 20, "{heap:?}");
    assert_eq!(server.mails()[0].body_len(), SMALLER + 2);
}

#[test]
fn a_text_that_is_at_hand_is_not_copied() {
    for config in [config(), config().with("CHUNKING")] {
        let server = Server::start(config).unwrap();
        let text = vec![b'x'; usize::try_from(SMALLER).unwrap()];
        let mut mail = Some(builder().message(text).build().unwrap());
        let heap = allocation_counter::measure(|| {
            block_on(async {
                let stream = async_net::TcpStream::connect(server.addr()).await.unwrap();
                let mut client = Client::from_stream(stream, wire(Security::Cleartext));
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
    let tls = smtp_test::Tls::new();
    let server = Server::start(config().tls(tls.clone())).unwrap();
    let heap = allocation_counter::measure(|| {
        block_on(async {
            let endpoint = secured::endpoint(&tls).port(server.port()).build().unwrap();
            let mut client = Client::connect(&endpoint).await.unwrap();
            let text = futures_lite::io::repeat(b'x').take(SMALLER);
            let outcome = client.send_from(large(), text).await.unwrap();
            assert!(outcome.is_accepted(), "{outcome:?}");
            client.quit().await.unwrap();
        })
    });
    assert!(heap.bytes_max < 1 << 20, "{heap:?}");
    assert_eq!(server.mails()[0].body_len(), SMALLER + 2);
}

const LARGE: u64 = 100_000_000;

/// For what would take its time in a test.
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
