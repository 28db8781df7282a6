//! Runs the measurements, and prints a line for each figure: `SECTION \t ROW \t CLIENT \t VALUE`.
//!
//! `rounds [--quick] SECTION…`; `bench/run` prepares what it needs.

mod clients;
mod counted;
mod sink;
mod timed;
mod usage;

use std::io::Write;
use std::path::PathBuf;

use peers::Result;

use clients::Client;

struct Bench {
    /// The folder of this package's programs.
    programs: PathBuf,
    /// The folders of the shims and of temporary files.
    scratch: PathBuf,
    quick: bool,
    out: std::io::Stdout,
}

const KB: usize = 1000;
const MB: usize = 1_000_000;

fn main() -> Result<()> {
    let programs = std::env::current_exe()?;
    let programs = programs.parent().ok_or("no folder")?.to_owned();
    let scratch = PathBuf::from(std::env::var_os("BENCH_SCRATCH").ok_or("call bench/run")?);
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let quick = words.iter().any(|word| word == "--quick");
    words.retain(|word| word != "--quick");
    let out = std::io::stdout();
    let bench = Bench {
        programs,
        scratch,
        quick,
        out,
    };
    for section in words {
        eprintln!("# {section}");
        match section.as_str() {
            "trips" => bench.trips()?,
            "calls" => bench.calls()?,
            "allocations" => bench.allocations()?,
            "instructions" => bench.instructions()?,
            "idle" => bench.idle()?,
            "loopback" => bench.loopback()?,
            "sink" => bench.smtp_sink()?,
            "callers" => bench.callers()?,
            "line" => bench.line()?,
            "parts" => bench.parts()?,
            other => return Err(format!("no section {other}").into()),
        }
    }
    Ok(())
}

impl Bench {
    /// Reports a failure of a client, and leaves the client out.
    fn try_or_skip<T>(&self, client: &Client, result: Result<T>) -> Option<T> {
        result
            .inspect_err(|error| eprintln!("skipped: {}: {error}", client.name))
            .ok()
    }

    fn say(&self, section: &str, row: &str, client: &Client, value: f64) -> Result<()> {
        let mut out = self.out.lock();
        writeln!(out, "{section}\t{row}\t{}\t{value:.6}", client.name)?;
        Ok(out.flush()?)
    }
}

fn skipped(what: &str) -> Result<()> {
    eprintln!("skipped: {what} is not there");
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() % 2 {
        0 => (values[middle - 1] + values[middle]) / 2.0,
        _ => values[middle],
    }
}
