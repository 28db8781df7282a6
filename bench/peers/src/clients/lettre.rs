use lettre::address::{Address, Envelope};
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, Certificate, CertificateStore, SmtpConnection, TlsParameters,
};
use lettre::transport::smtp::extension::ClientId;

use crate::{FROM, HOST, Job, NAME, PASSWORD, Result, USER};

pub(super) fn blocking(job: &Job) -> Result<()> {
    let hello = ClientId::Domain(NAME.into());
    let mut connection = SmtpConnection::connect(job.address, None, &hello, None, None)?;
    if let Some(tls) = tls(job)? {
        connection.starttls(&tls, &hello)?;
        connection.auth(&[Mechanism::Plain], &credentials())?;
    }
    let (envelope, text) = (envelope(job)?, job.text());
    for _ in 0..job.mails {
        connection.send(&envelope, &text)?;
    }
    connection.quit()?;
    Ok(())
}

pub(super) async fn tokio(job: &Job) -> Result<()> {
    let hello = ClientId::Domain(NAME.into());
    let mut connection =
        AsyncSmtpConnection::connect_tokio1(job.address, None, &hello, None, None).await?;
    if let Some(tls) = tls(job)? {
        connection.starttls(tls, &hello).await?;
        connection.auth(&[Mechanism::Plain], &credentials()).await?;
    }
    let (envelope, text) = (envelope(job)?, job.text());
    for _ in 0..job.mails {
        connection.send(&envelope, &text).await?;
    }
    connection.quit().await?;
    Ok(())
}

pub(super) fn envelope(job: &Job) -> Result<Envelope> {
    let to = job.to().into_iter().map(|to| to.parse::<Address>());
    let to = to.collect::<std::result::Result<_, _>>()?;
    Ok(Envelope::new(Some(FROM.parse()?), to)?)
}

fn tls(job: &Job) -> Result<Option<TlsParameters>> {
    let Some(root) = job.root()? else {
        return Ok(None);
    };
    let tls = TlsParameters::builder(HOST.into())
        .certificate_store(CertificateStore::None)
        .add_root_certificate(Certificate::from_der(root)?)
        .build_rustls()?;
    Ok(Some(tls))
}

fn credentials() -> Credentials {
    Credentials::new(USER.into(), PASSWORD.into())
}
