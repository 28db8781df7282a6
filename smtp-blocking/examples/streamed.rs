//! Sends a mail whose text comes from a reader, here a file, without ever holding more than 64 KiB of it.
//!
//! `cargo run --package smtp-blocking --example streamed -- FILE`; without a file it makes up a long text.

use std::error::Error;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};

use smtp_blocking::Client;
use smtp_blocking::proto::content::BareLineEnds;
use smtp_blocking::proto::{Mail, StreamedContent};
use smtp_blocking::tls::Endpoint;

fn main() -> Result<(), Box<dyn Error>> {
    // A server to send to; any other would do.
    let tls = smtp_test::Tls::new();
    let server = smtp_test::Server::start(smtp_test::Config::new().tls(tls.clone()))?;
    let endpoint = Endpoint::starttls("localhost")
        .port(server.port())
        .tls(tls.client_config())
        .build()?;

    let (text, size): (Box<dyn BufRead>, u64) = match std::env::args_os().nth(1) {
        Some(path) => {
            let file = File::open(path)?;
            let size = file.metadata()?.len();
            (Box::new(BufReader::new(file)), size)
        }
        None => (Box::new(long_text()), LENGTH),
    };

    // What the server has to know beforehand cannot be looked up in a text that is still to come, so it is declared.
    let declared = StreamedContent::new().eight_bit().size(size);
    let mail = Mail::builder()
        .sender("alice@example.org")
        .recipient("bob@example.net")
        .streamed(declared)
        .bare_line_ends(BareLineEnds::Convert)
        .build()?;

    let mut client = Client::connect(&endpoint)?;
    // To whom all or nothing is what counts, anything but "accepted for all" is an error.
    let outcome = client.send_from(mail, text)?.all_accepted()?;
    println!("accepted; {} bytes sent", outcome.stats().bytes_sent());
    client.quit()?;

    for mail in server.mails() {
        println!("the server stored {} bytes", mail.body_len());
    }
    Ok(())
}

/// A text of 10 MB that is nowhere as a whole.
fn long_text() -> impl BufRead {
    let lines = io::repeat(b'\n').take(LENGTH - HEADER.len() as u64);
    BufReader::new(HEADER.chain(lines))
}

const HEADER: &[u8] = b"From: alice@example.org\nSubject: ten million empty lines\n\n";
const LENGTH: u64 = 10_000_000;
