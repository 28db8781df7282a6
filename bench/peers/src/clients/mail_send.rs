use std::sync::Arc;

use mail_send::smtp::message::Message;
use mail_send::{Credentials, SmtpClient, SmtpClientBuilder};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

use crate::{FROM, HOST, Job, NAME, PASSWORD, Result, USER};

pub(super) async fn run(job: &Job) -> Result<()> {
    let builder = SmtpClientBuilder::new_with_tls_connector(HOST, job.address.port(), tls(job)?)
        .helo_host(NAME)
        .implicit_tls(false);
    if job.trust.is_none() {
        return send(job, builder.connect_plain().await?).await;
    }
    let builder = builder.credentials(Credentials::Plain {
        username: USER,
        secret: PASSWORD,
    });
    send(job, builder.connect().await?).await
}

async fn send<T: AsyncRead + AsyncWrite + Unpin>(
    job: &Job,
    mut client: SmtpClient<T>,
) -> Result<()> {
    let (text, to) = (job.text(), job.to());
    for _ in 0..job.mails {
        let to = to.iter().map(String::as_str);
        client.send(Message::new(FROM, to, text.as_slice())).await?;
    }
    client.quit().await?;
    Ok(())
}

/// Trusts the server's certificate.
pub(super) fn tls(job: &Job) -> Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    if let Some(root) = job.root()? {
        roots.add(root.into())?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
