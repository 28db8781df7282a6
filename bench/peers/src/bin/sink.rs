//! `sink [TRUST]`: a server that accepts every message and stores none, until its standard input
//! ends or asks.
//!
//! It prints its address. A line on its standard input asks for the counts since the last one:
//! messages, and changes of direction. With TRUST it also supports STARTTLS and a login, and writes
//! its certificate to that file.

use std::io::{Write, stdin, stdout};
use std::time::{Duration, Instant};

use peers::{HOST, PASSWORD, Result, USER};
use smtp_test::{Config, Server, Tls};

fn main() -> Result<()> {
    let mut config = Config::new()
        .with("CHUNKING")
        .with("BINARYMIME")
        .discard_mails()
        .discard_transcripts();
    if let Some(trust) = std::env::args_os().nth(1) {
        let tls = Tls::for_names([HOST]);
        std::fs::write(&trust, tls.authority_der())?;
        let pem = std::path::Path::new(&trust).with_extension("pem");
        std::fs::write(pem, tls.authority_pem())?;
        config = config.tls(tls).advertise_starttls().user(USER, PASSWORD);
    }
    let server = Server::start(config)?;
    println!("{}", server.addr());
    let mut seen = 0;
    let mut counted = 0;
    for line in stdin().lines() {
        line?;
        let until = Instant::now() + Duration::from_secs(2);
        let mut sessions = server.sessions();
        // The client ends as soon as it has the reply to QUIT; the server notices a little later.
        while sessions.iter().any(|session| !session.is_closed()) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
            sessions = server.sessions();
        }
        let new = sessions.get(seen..).unwrap_or_default();
        let trips: usize = new.iter().map(smtp_test::Session::round_trips).sum();
        let mails: usize = new.iter().map(smtp_test::Session::mails).sum();
        let faults: usize = new.iter().map(|session| session.violations().len()).sum();
        println!("{mails} {trips} {faults}");
        stdout().flush()?;
        counted += mails;
        seen = sessions.len();
    }
    eprintln!("{counted} messages in {seen} sessions");
    Ok(())
}
