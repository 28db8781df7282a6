//! Reads replies and encodes content with each crate whose functions for that are public; prints
//! `ROW \t CLIENT \t VALUE`, one line each.

use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use io_smtp::coroutine::{SmtpCoroutine, SmtpCoroutineState};
use io_smtp::rfc5321::SmtpResponse;
use io_smtp::rfc5321::data::SmtpData;
use smtp_proto::content::internals::{Encoder, LineRules, Room, scan};
use smtp_proto::{Capabilities, Reply};
use stalwart_smtp_proto::EhloResponse;
use stalwart_smtp_proto::response::parser::ResponseReceiver;

const ONE: &str = "250 2.1.0 Ok\r\n";
const EHLO: &str = "250-mx.example.org\r\n250-PIPELINING\r\n250-SIZE 10240000\r\n250-VRFY\r\n250-ETRN\r\n\
    250-STARTTLS\r\n250-AUTH PLAIN LOGIN\r\n250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-DSN\r\n250-SMTPUTF8\r\n\
    250 CHUNKING\r\n";

fn main() {
    let one = "reply of one line: ns";
    nanoseconds(one, "ours", || Reply::parse(black_box(ONE.as_bytes())));
    nanoseconds(one, "stalwart smtp-proto (mail-send)", || {
        ResponseReceiver::default().parse(&mut black_box(ONE.as_bytes()).iter())
    });
    nanoseconds(one, "lettre", || {
        black_box(ONE).parse::<lettre::transport::smtp::response::Response>()
    });
    nanoseconds(one, "async-smtp", || {
        black_box(ONE).parse::<async_smtp::response::Response>()
    });
    nanoseconds(one, "io-smtp", || {
        SmtpResponse::parse(black_box(ONE.as_bytes())).is_ok()
    });

    let ehlo = "reply to EHLO of 12 lines: ns";
    nanoseconds(ehlo, "ours", || {
        let (reply, _) = Reply::parse(black_box(EHLO.as_bytes())).ok()??;
        Some(Capabilities::parse(&reply))
    });
    nanoseconds(ehlo, "stalwart smtp-proto (mail-send)", || {
        EhloResponse::parse(&mut black_box(EHLO.as_bytes()).iter())
    });
    nanoseconds(ehlo, "lettre", || {
        let reply = black_box(EHLO)
            .parse::<lettre::transport::smtp::response::Response>()
            .ok()?;
        lettre::transport::smtp::extension::ServerInfo::from_response(&reply).ok()
    });
    nanoseconds(ehlo, "async-smtp", || {
        let reply = black_box(EHLO)
            .parse::<async_smtp::response::Response>()
            .ok()?;
        async_smtp::extension::ServerInfo::from_response(&reply).ok()
    });
    nanoseconds(ehlo, "io-smtp", || {
        SmtpResponse::parse(black_box(EHLO.as_bytes())).is_ok()
    });

    for (size, bytes) in [("100 MB", 100_000_000), ("1 MB", 1_000_000)] {
        let plain = Bytes::from(peers::text(bytes));
        let dotted = Bytes::from(b".a line with a dot in front\r\n".repeat(bytes / 29));
        let row = format!("text of {size}: GB/s");
        speed(&row, "ours", bytes, || encode(&plain));
        let dots = format!("nothing but dotted lines, {size}: GB/s");
        speed(&dots, "ours", bytes, || encode(&dotted));
        speed(&row, "mail-send", bytes, || mail_send(&plain));
        speed(&dots, "mail-send", bytes, || mail_send(&dotted));
        // With a copy of the content, which its function takes by value.
        speed(&row, "io-smtp", bytes, || io_smtp(&plain));
        speed(&row, "memchr", bytes, || {
            memchr::memchr(0, black_box(&plain))
        });
        let mut copy = vec![0; plain.len()];
        speed(&row, "memcpy", bytes, || {
            black_box(&mut copy).copy_from_slice(black_box(&plain));
        });
    }
}

fn encode(text: &Bytes) -> usize {
    let facts = scan(black_box(text), &LineRules::new()).expect("a text");
    let mut encoder = Encoder::verified(&facts);
    let mut rest = text.clone();
    let mut sum = 0;
    while !rest.is_empty() {
        let mut take = |part: Bytes| sum += black_box(&part).len();
        encoder
            .encode(&mut rest, Room::new(1 << 16, 64), &mut take)
            .expect("a text");
    }
    sum + encoder.finish().expect("a text").len()
}

fn mail_send(text: &[u8]) {
    let stream = tokio::io::join(tokio::io::empty(), tokio::io::sink());
    let mut client = mail_send::SmtpClient {
        stream,
        timeout: Duration::from_secs(60),
    };
    // The stream is always ready, so no waker is needed.
    let mut context = Context::from_waker(Waker::noop());
    let mut writing = pin!(client.write_message(black_box(text)));
    while writing.as_mut().poll(&mut context).is_pending() {}
}

fn io_smtp(text: &[u8]) -> bool {
    let mut data = SmtpData::new(black_box(text).to_vec());
    _ = data.resume(None);
    _ = data.resume(None);
    let written = data.resume(Some(b"354 go on\r\n"));
    matches!(black_box(written), SmtpCoroutineState::Yielded(_))
}

fn nanoseconds<T>(row: &str, name: &str, work: impl FnMut() -> T) {
    let (count, spent) = repeat(work);
    println!(
        "{row}\t{name}\t{:.2}",
        spent.as_nanos() as f64 / f64::from(count)
    );
}

fn speed<T>(row: &str, name: &str, bytes: usize, work: impl FnMut() -> T) {
    let (count, spent) = repeat(work);
    let all = bytes as f64 * f64::from(count);
    println!("{row}\t{name}\t{:.3}", all / spent.as_nanos() as f64);
}

/// Repeats it for a quarter of a second, after a first call to warm up.
fn repeat<T>(mut work: impl FnMut() -> T) -> (u32, Duration) {
    black_box(work());
    let begin = Instant::now();
    let (mut count, mut group) = (0, 1);
    loop {
        for _ in 0..group {
            black_box(work());
        }
        count += group;
        let spent = begin.elapsed();
        if spent > Duration::from_millis(250) {
            return (count, spent);
        }
        if spent < Duration::from_millis(20) {
            group = group.saturating_mul(2);
        }
    }
}
