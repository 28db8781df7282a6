//! A program for lettre, with one line changed, and what the error says that lettre's does not.
//!
//! `cargo run --package smtp-lettre --example send_lettre`

use std::error::Error;

use lettre::message::header::ContentType;
use lettre::message::{Attachment, MultiPart, SinglePart};
use lettre::{Message, Transport};
use smtp_lettre::{Credentials, SmtpTransport};

fn main() -> Result<(), Box<dyn Error>> {
    // A server for the demo, which does not know Carol, and is too busy for Dave.
    let tls = smtp_test::Tls::new();
    let server = smtp_test::Server::start(
        smtp_test::Config::new()
            .tls(tls.clone())
            .user("alice", "correct horse")
            .reject("carol@example.net", "550 5.1.1 no such user")
            .on(
                smtp_test::Stage::Rcpt(3).nth(1),
                smtp_test::Action::reply("450 4.2.1 mailbox busy"),
            ),
    )?;

    // The line that differs. With lettre's own transport it begins with the same two words.
    let mailer = SmtpTransport::starttls_relay("localhost")?
        .credentials(Credentials::password("alice", "correct horse")?)
        .port(server.port()) // for the demo
        .tls(tls.client_config()) // for the demo
        .build()?;

    let message = Message::builder()
        .from("Alice <alice@example.org>".parse()?)
        .to("Bob <bob@example.net>".parse()?)
        .cc("Carol <carol@example.net>".parse()?)
        .bcc("dave@example.net".parse()?)
        .subject("Your invoice")
        .multipart(
            MultiPart::mixed()
                .singlepart(SinglePart::plain("The invoice is attached.\r\n".to_owned()))
                .singlepart(
                    Attachment::new("invoice.txt".to_owned())
                        .body("5 €".to_owned(), ContentType::TEXT_PLAIN),
                ),
        )?;

    let retry = match mailer.send(&message) {
        Ok(delivered) => {
            println!("{delivered}");
            None
        }
        Err(error) => {
            println!("{error}");
            let failed: Vec<_> = error.not_accepted().collect();
            println!("not accepted for: {}", failed.join(", "));
            if let Some(outcome) = error.outcome() {
                println!("{outcome}");
            }
            error.retry()
        }
    };

    // Later: the same message, for Dave only.
    if let Some(mail) = retry {
        println!("again: {}", mailer.send_mail(mail)?);
    }
    mailer.shutdown();
    println!("the server stored {} messages", server.mails().len());
    Ok(())
}
