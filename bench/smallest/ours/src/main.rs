//! The smallest program that sends a message with STARTTLS and AUTH.

use smtp_blocking::Client;
use smtp_blocking::proto::{Credentials, Mail};
use smtp_blocking::tls::Endpoint;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let host = std::env::args()
        .nth(1)
        .unwrap_or_else(|| String::from("localhost"));
    let endpoint = Endpoint::builder(&host)
        .credentials(Credentials::password("alice", "secret")?)
        .build()?;
    let mail = Mail::new(
        "alice@example.org",
        ["bob@example.net"],
        "From: alice@example.org\r\nSubject: hello\r\n\r\nHello.\r\n",
    )?;
    let mut client = Client::connect(&endpoint)?;
    let outcome = client.send(mail)?.all_accepted()?;
    println!("{}", outcome.recipients()[0].status());
    client.quit()?;
    Ok(())
}
