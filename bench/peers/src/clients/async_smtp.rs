use async_smtp::authentication::{Credentials, Mechanism};
use async_smtp::extension::ClientId;
use async_smtp::{EmailAddress, Envelope, SendableEmail, SmtpClient, SmtpTransport};
use tokio::io::{AsyncBufRead, AsyncWrite, BufStream};
use tokio::net::TcpStream;

use crate::{FROM, HOST, Job, NAME, PASSWORD, Result, USER};

pub(super) async fn run(job: &Job) -> Result<()> {
    let client = || SmtpClient::new().hello_name(ClientId::new(NAME.into()));
    let stream = BufStream::new(TcpStream::connect(job.address).await?);
    let transport = SmtpTransport::new(client(), stream).await?;
    if job.trust.is_none() {
        return send(job, transport).await;
    }
    let stream = transport.starttls().await?.into_inner();
    let tls = super::mail_send::tls(job)?;
    let stream = BufStream::new(tls.connect(HOST.try_into()?, stream).await?);
    let mut transport = SmtpTransport::new(client().without_greeting(), stream).await?;
    let credentials = Credentials::new(USER.into(), PASSWORD.into());
    transport
        .try_login(&credentials, &[Mechanism::Plain])
        .await?;
    send(job, transport).await
}

async fn send<S: AsyncBufRead + AsyncWrite + Unpin>(
    job: &Job,
    mut transport: SmtpTransport<S>,
) -> Result<()> {
    let to = job.to().into_iter().map(EmailAddress::new);
    let to: Vec<_> = to.collect::<std::result::Result<_, _>>()?;
    let envelope = Envelope::new(Some(EmailAddress::new(FROM.into())?), to)?;
    let text = job.text();
    for _ in 0..job.mails {
        let mail = SendableEmail::new(envelope.clone(), text.clone());
        transport.send(mail).await?;
    }
    transport.quit().await?;
    Ok(())
}
