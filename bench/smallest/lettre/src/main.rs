use lettre::address::Envelope;
use lettre::transport::smtp::authentication::Credentials;
use lettre::{SmtpTransport, Transport};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let host = std::env::args()
        .nth(1)
        .unwrap_or_else(|| String::from("localhost"));
    let to = vec!["bob@example.net".parse()?];
    let envelope = Envelope::new(Some("alice@example.org".parse()?), to)?;
    let transport = SmtpTransport::starttls_relay(&host)?
        .credentials(Credentials::new("alice".into(), "secret".into()))
        .build();
    let reply = transport.send_raw(
        &envelope,
        b"From: alice@example.org\r\nSubject: hello\r\n\r\nHello.\r\n",
    )?;
    println!("{}", reply.code());
    Ok(())
}
