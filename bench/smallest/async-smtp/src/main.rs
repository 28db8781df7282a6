use std::sync::Arc;

use async_smtp::authentication::{Credentials, Mechanism};
use async_smtp::{Envelope, SendableEmail, SmtpClient, SmtpTransport};
use tokio::io::BufStream;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let host = std::env::args()
        .nth(1)
        .unwrap_or_else(|| String::from("localhost"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let roots = rustls::RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    runtime.block_on(async {
        let stream = BufStream::new(TcpStream::connect((host.as_str(), 587)).await?);
        let transport = SmtpTransport::new(SmtpClient::new(), stream).await?;
        let stream = transport.starttls().await?.into_inner();
        let tls = TlsConnector::from(Arc::new(config))
            .connect(host.clone().try_into()?, stream)
            .await?;
        let client = SmtpClient::new().without_greeting();
        let mut transport = SmtpTransport::new(client, BufStream::new(tls)).await?;
        let credentials = Credentials::new("alice".into(), "secret".into());
        transport
            .try_login(&credentials, &[Mechanism::Plain])
            .await?;
        let to = vec!["bob@example.net".parse()?];
        let envelope = Envelope::new(Some("alice@example.org".parse()?), to)?;
        let reply = transport
            .send(SendableEmail::new(
                envelope,
                "From: alice@example.org\r\nSubject: hello\r\n\r\nHello.\r\n",
            ))
            .await?;
        println!("{:?}", reply.code);
        transport.quit().await?;
        Ok(())
    })
}
