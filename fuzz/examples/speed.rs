//! Prints the executions per second of a target over its seeds, without a fuzzer: `speed [target]
//! [seconds]`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a tool for people who work on the targets"
)]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let name = arguments
        .next()
        .unwrap_or_else(|| "session_whole".to_owned());
    let seconds = arguments
        .next()
        .map_or(5, |text| text.parse().expect("seconds"));
    let (_, target) = smtp_fuzz::TARGETS
        .iter()
        .find(|(each, _)| *each == name)
        .expect("the name of a target is the first argument");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("seeds")
        .join(&name);
    let seeds: Vec<Vec<u8>> = fs::read_dir(folder)
        .expect("seeds")
        .map(|entry| fs::read(entry.unwrap().path()).unwrap())
        .collect();
    let limit = Duration::from_secs(seconds);
    let (begin, mut count) = (Instant::now(), 0_u32);
    while begin.elapsed() < limit {
        for _ in 0..50 {
            seeds.iter().for_each(|seed| target(seed));
            count += u32::try_from(seeds.len()).unwrap();
        }
    }
    let each = begin.elapsed().as_secs_f64() / f64::from(count);
    println!(
        "{name}: {:.0} executions a second, {:.2} µs each",
        1.0 / each,
        each * 1e6
    );
}
