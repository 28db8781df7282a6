use mail_send::SmtpClientBuilder;
use mail_send::smtp::message::Message;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let host = std::env::args()
        .nth(1)
        .unwrap_or_else(|| String::from("localhost"));
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_| "a provider is set")?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut client = SmtpClientBuilder::new(host.as_str(), 587)?
            .implicit_tls(false)
            .credentials(("alice", "secret"))
            .connect()
            .await?;
        let text = b"From: alice@example.org\r\nSubject: hello\r\n\r\nHello.\r\n".as_slice();
        client
            .send(Message::new("alice@example.org", ["bob@example.net"], text))
            .await?;
        client.quit().await?;
        Ok(())
    })
}
