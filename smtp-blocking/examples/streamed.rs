//! Sends a message whose content comes from a reader, here a file, with at most 64 KiB of it in
//! memory.
//!
//! `cargo run --package smtp-blocking --example streamed -- FILE`; without a file it
//! generates long content.

use std::error::Error;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};

use smtp_blocking::proto::StreamedContent;
use smtp_blocking::proto::content::BareLineEnds;
use smtp_blocking::{Client, Endpoint, Mail};

fn main() -> Result<(), Box<dyn Error>> {
    // A server for the demo.
    let tls = smtp_test::Tls::new();
    let server = smtp_test::Server::start(smtp_test::Config::new().tls(tls.clone()))?;
    let endpoint = Endpoint::starttls("localhost")
        .port(server.port())
        .tls(tls.client_config())
        .build()?;

    let (content, size): (Box<dyn BufRead>, u64) = match std::env::args_os().nth(1) {
        Some(path) => {
            let file = File::open(path)?;
            let size = file.metadata()?.len();
            (Box::new(BufReader::new(file)), size)
        }
        None => (Box::new(long_content()), LENGTH),
    };

    // The server has to know these properties before the content is read, so they are declared.
    let declared = StreamedContent::new().eight_bit().size(size);
    let mail = Mail::builder()
        .sender("alice@example.org")
        .recipient("bob@example.net")
        .streamed(declared)
        .bare_line_ends(BareLineEnds::Convert)
        .build()?;

    let mut client = Client::connect(&endpoint)?;
    // Treat anything short of full acceptance as an error.
    let outcome = client.send_from(mail, content)?.all_accepted()?;
    println!("accepted; {} bytes sent", outcome.stats().bytes_sent());
    client.quit()?;

    for mail in server.mails() {
        println!("the server stored {} bytes", mail.body_len());
    }
    Ok(())
}

/// 10 MB of content that are never in memory as a whole.
fn long_content() -> impl BufRead {
    let lines = io::repeat(b'\n').take(LENGTH - HEADER.len() as u64);
    BufReader::new(HEADER.chain(lines))
}

const HEADER: &[u8] = b"From: alice@example.org\nSubject: ten million empty lines\n\n";
const LENGTH: u64 = 10_000_000;
