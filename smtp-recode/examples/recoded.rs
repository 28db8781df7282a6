//! Sends an 8-bit message to a server with 8BITMIME, and recoded to one without.
//!
//! `cargo run --package smtp-recode --example recoded`

use std::error::Error;

use smtp_blocking::Client;
use smtp_blocking::proto::Mail;
use smtp_blocking::tls::Endpoint;
use smtp_test::{Config, Server, Tls};

fn main() -> Result<(), Box<dyn Error>> {
    let mail = Mail::builder()
        .sender("alice@example.org")
        .recipient("bob@example.net")
        .message(TEXT)
        .downgrade_with(smtp_recode::seven_bit)
        .build()?;

    for lacking in [&[][..], &["8BITMIME", "SMTPUTF8"]] {
        // An embedded test server.
        let tls = Tls::new();
        let config = (lacking.iter()).fold(Config::new().tls(tls.clone()), |config, keyword| {
            config.without(*keyword)
        });
        let server = Server::start(config)?;
        let endpoint = Endpoint::starttls("localhost")
            .port(server.port())
            .tls(tls.client_config())
            .build()?;

        let mut client = Client::connect(&endpoint)?;
        let outcome = client.send(mail.clone())?.all_accepted()?;
        client.quit()?;

        let bytes = outcome.stats().bytes_sent();
        println!("a server without {lacking:?} received {bytes} bytes and stored:");
        for mail in server.mails() {
            for line in String::from_utf8_lossy(mail.body()).lines() {
                println!("    {line}");
            }
        }
    }

    // The function can also be called directly, without sending.
    let signed = format!("DKIM-Signature: v=1; d=example.org\r\n{TEXT}");
    match smtp_recode::seven_bit(&signed.into()) {
        Ok(_) => println!("a signed message was recoded"),
        Err(error) => println!("a signed message is not recoded: {error}"),
    }
    Ok(())
}

const TEXT: &str = "From: alice@example.org\r\n\
    To: bob@example.net\r\n\
    Subject: greetings\r\n\
    MIME-Version: 1.0\r\n\
    Content-Type: multipart/mixed; boundary=next\r\n\
    \r\n\
    --next\r\n\
    Content-Type: text/plain; charset=utf-8\r\n\
    Content-Transfer-Encoding: 8bit\r\n\
    \r\n\
    Sch\u{f6}ne Gr\u{fc}\u{df}e aus dem Norden, wo es wieder einmal regnet!\r\n\
    --next\r\n\
    \r\n\
    No need to touch this part.\r\n\
    --next--\r\n";
