//! `idlers ADDRESS COUNT`: the heap of an idle cleartext connection of each client, after one
//! message.
//!
//! Uses the counts of glibc's allocator; prints `NAME \t BYTES`, one line each. They include the
//! runtime's memory for a socket, but no memory of the kernel.

use std::net::{SocketAddr, TcpStream};

use lettre::transport::smtp::client::{AsyncSmtpConnection, SmtpConnection};
use lettre::transport::smtp::extension::ClientId;
use peers::{FROM, NAME, Result};

const TO: &str = "bob@example.net";
const TEXT: &[u8] = b"From: alice@example.org\r\nSubject: hello\r\n\r\nHello.\r\n";

fn main() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let address: SocketAddr = words.next().ok_or("ADDRESS COUNT")?.parse()?;
    let count = words.next().ok_or("ADDRESS COUNT")?.parse()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let hello = ClientId::Domain(NAME.into());
    let envelope = lettre::address::Envelope::new(Some(FROM.parse()?), vec![TO.parse()?])?;

    let config = smtp_proto::Config::builder(NAME.parse()?)
        .security(smtp_proto::Security::Cleartext)
        .build()?;
    let config = std::sync::Arc::new(config);
    let connection =
        || smtp_proto::Connection::new(config.clone(), smtp_proto::Seed::from_bytes([0; 32]));
    keep("ours", count, || {
        let stream = TcpStream::connect(address)?;
        let mut client = smtp_blocking::Client::from_stream(stream, connection());
        drop(
            client
                .send(smtp_proto::Mail::new(FROM, [TO], TEXT)?)?
                .all_accepted()?,
        );
        Ok(client)
    })?;
    keep("ours-tokio", count, || {
        runtime.block_on(async {
            let stream = tokio::net::TcpStream::connect(address).await?;
            let mut client = smtp_tokio::Client::from_stream(stream, connection());
            drop(
                client
                    .send(smtp_proto::Mail::new(FROM, [TO], TEXT)?)
                    .await?
                    .all_accepted()?,
            );
            Ok(client)
        })
    })?;
    keep("lettre", count, || {
        let mut client = SmtpConnection::connect(address, None, &hello, None, None)?;
        client.send(&envelope, TEXT)?;
        Ok(client)
    })?;
    keep("lettre-tokio", count, || {
        runtime.block_on(async {
            let connecting = AsyncSmtpConnection::connect_tokio1(address, None, &hello, None, None);
            let mut client = connecting.await?;
            client.send(&envelope, TEXT).await?;
            Ok(client)
        })
    })?;
    keep("mail-send", count, || {
        runtime.block_on(async {
            let timeout = std::time::Duration::from_secs(60);
            let mut client = mail_send::SmtpClient::connect(address, timeout).await?;
            client.read().await?;
            client.ehlo(NAME).await?;
            let mail = mail_send::smtp::message::Message::new(FROM, [TO], TEXT);
            client.send(mail).await?;
            Ok(client)
        })
    })?;
    keep("async-smtp (BufStream)", count, || {
        runtime.block_on(async {
            let stream = tokio::net::TcpStream::connect(address).await?;
            let stream = tokio::io::BufStream::new(stream);
            let client = async_smtp::SmtpClient::new();
            let mut client = async_smtp::SmtpTransport::new(client, stream).await?;
            let envelope = async_smtp::Envelope::new(Some(FROM.parse()?), vec![TO.parse()?])?;
            client
                .send(async_smtp::SendableEmail::new(envelope, TEXT))
                .await?;
            Ok(client)
        })
    })
}

/// Opens `count` connections and returns the heap of one more.
fn keep<T>(name: &str, count: usize, mut open: impl FnMut() -> Result<T>) -> Result<()> {
    drop(open()?);
    let mut all = Vec::with_capacity(count);
    let before = heap();
    for _ in 0..count {
        // On the heap, so that the client itself counts as well.
        all.push(Box::new(open()?));
    }
    println!("{name}\t{}", (heap() - before) / count);
    Ok(())
}

/// Bytes in use.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn heap() -> usize {
    // SAFETY: it only reads the allocator's own counts.
    let info = unsafe { libc::mallinfo2() };
    info.uordblks + info.hblkhd
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn heap() -> usize {
    0
}
