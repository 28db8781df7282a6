//! `client NAME ADDRESS COUNT BYTES RECIPIENTS [TRUST]`: sends messages and prints the time from
//! connect to quit.

use std::time::Instant;

use peers::{Job, Result, clients};

fn main() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let name = words.next().ok_or("the name of a client is missing")?;
    let job = Job::parse(words)?;
    let begin = Instant::now();
    clients::run(&name, &job)?;
    println!("seconds {:.6}", begin.elapsed().as_secs_f64());
    Ok(())
}
