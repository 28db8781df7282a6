//! Reads replies, or scans and encodes content, a given number of times: to count instructions, or
//! nanoseconds.
//!
//! `replies one|ehlo|text|dotted|sparse|memchr|memcpy COUNT`

use std::hint::black_box;
use std::time::Instant;

use bytes::Bytes;
use smtp_proto::content::internals::{Encoder, LineRules, Room, scan};
use smtp_proto::{Capabilities, Reply};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().unwrap_or_default();
    let count: u32 = arguments
        .next()
        .and_then(|word| word.parse().ok())
        .unwrap_or(1000);
    let text = match what.as_str() {
        "dotted" => Bytes::from(b".a line with a dot in front\r\n".repeat((1 << 20) / 29)),
        "sparse" => Bytes::from(bench::one_dotted_line_in(97, 1 << 20)),
        _ => Bytes::from(bench::text(1 << 20)),
    };
    let rules = LineRules::new();
    let mut copy = vec![0; text.len()];
    let begin = Instant::now();
    for _ in 0..count {
        match what.as_str() {
            "one" => drop(black_box(Reply::parse(black_box(b"250 2.1.0 Ok\r\n")))),
            "ehlo" => {
                let (reply, _) = Reply::parse(black_box(bench::EHLO)).unwrap().unwrap();
                drop(black_box(Capabilities::parse(&reply)));
            }
            "text" | "dotted" | "sparse" => {
                let facts = scan(black_box(&text), &rules).unwrap();
                let mut encoder = Encoder::verified(&facts);
                let mut rest = text.clone();
                while !rest.is_empty() {
                    encoder
                        .encode(&mut rest, Room::new(1 << 16, 60), &mut |part| {
                            drop(black_box(part))
                        })
                        .unwrap();
                }
                black_box(encoder.finish().unwrap());
            }
            "memchr" => drop(black_box(memchr::memchr(0, black_box(&text)))),
            "memcpy" => black_box(&mut copy).copy_from_slice(black_box(&text)),
            _ => panic!("one, ehlo, text, dotted, sparse, memchr or memcpy"),
        }
    }
    let spent = begin.elapsed() / count.max(1);
    println!("{what}: {} ns each", spent.as_nanos());
}
