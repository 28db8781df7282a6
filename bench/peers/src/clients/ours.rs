//! Our clients, blocking and over tokio: single messages, and batches at each level.

use std::net::TcpStream;
use std::sync::Arc;

use bytes::Bytes;
use smtp_proto::{
    Config, Connection, Credentials, ForwardPath, Mail, Outcome, Pipelining, ReversePath, Security,
    Seed,
};
use smtp_rustls::{Endpoint, TlsConfig};

use crate::{FROM, HOST, Job, NAME, PASSWORD, Result, USER};

/// How a batch is sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    /// The default, with DATA.
    Data,
    /// The default, with BDAT.
    Chunks,
    /// The same for content that was declared binary, which needs no checks.
    Binary,
    Speculative,
}

pub(super) fn one_by_one(job: &Job) -> Result<()> {
    let mails = Mails::new(job, false)?;
    if job.trust.is_some() {
        let mut client =
            smtp_blocking::Client::connect_to(&endpoint(job)?, std::slice::from_ref(&job.address))?;
        for _ in 0..job.mails {
            accepted(client.send(mails.next()?)?)?;
        }
        return Ok(client.quit()?);
    }
    let stream = TcpStream::connect(job.address)?;
    stream.set_nodelay(true)?;
    let mut client = smtp_blocking::Client::from_stream(stream, connection(None, true)?);
    client.ready()?;
    for _ in 0..job.mails {
        accepted(client.send(mails.next()?)?)?;
    }
    Ok(client.quit()?)
}

pub(super) fn batch(job: &Job, level: Level) -> Result<()> {
    let mails = Mails::new(job, level == Level::Binary)?;
    let stream = TcpStream::connect(job.address)?;
    stream.set_nodelay(true)?;
    let connection = connection(level.pipelining(), level == Level::Data)?;
    let mut client = smtp_blocking::Client::from_stream(stream, connection);
    client.ready()?;
    let mut sent = 0;
    for outcome in client.send_all(mails.first(job.mails)) {
        accepted(outcome)?;
        sent += 1;
    }
    all(sent, job)?;
    Ok(client.quit()?)
}

pub(super) async fn one_by_one_async(job: &Job) -> Result<()> {
    let mails = Mails::new(job, false)?;
    if job.trust.is_some() {
        let endpoint = endpoint(job)?;
        let mut client = smtp_tokio::Client::connect_to(&endpoint, &[job.address]).await?;
        for _ in 0..job.mails {
            accepted(client.send(mails.next()?).await?)?;
        }
        return Ok(client.quit().await?);
    }
    let stream = tokio::net::TcpStream::connect(job.address).await?;
    stream.set_nodelay(true)?;
    let mut client = smtp_tokio::Client::from_stream(stream, connection(None, true)?);
    client.ready().await?;
    for _ in 0..job.mails {
        accepted(client.send(mails.next()?).await?)?;
    }
    Ok(client.quit().await?)
}

pub(super) async fn batch_async(job: &Job, level: Level) -> Result<()> {
    let mails = Mails::new(job, level == Level::Binary)?;
    let stream = tokio::net::TcpStream::connect(job.address).await?;
    stream.set_nodelay(true)?;
    let connection = connection(level.pipelining(), level == Level::Data)?;
    let mut client = smtp_tokio::Client::from_stream(stream, connection);
    client.ready().await?;
    let mut sent = 0;
    let mut batch = client.send_all(mails.first(job.mails));
    while let Some(outcome) = batch.next().await {
        accepted(outcome)?;
        sent += 1;
    }
    all(sent, job)?;
    Ok(client.quit().await?)
}

impl Level {
    /// `None`: the default for batches.
    fn pipelining(self) -> Option<Pipelining> {
        (self == Self::Speculative).then_some(Pipelining::Speculative)
    }
}

/// Builds one [`Mail`] after the other, each with its checks.
pub(super) struct Mails {
    sender: ReversePath,
    recipients: Vec<ForwardPath>,
    text: Bytes,
    binary: bool,
}

impl Mails {
    pub(super) fn new(job: &Job, binary: bool) -> Result<Self> {
        let recipients = job.to().into_iter().map(|to| to.parse());
        Ok(Self {
            sender: FROM.parse()?,
            recipients: recipients.collect::<std::result::Result<_, _>>()?,
            text: job.text().into(),
            binary,
        })
    }

    /// `count` of [`Mail`], built on demand.
    pub(super) fn first(&self, count: usize) -> impl Iterator<Item = Mail> {
        (0..count).map_while(|_| self.next().ok())
    }

    pub(super) fn next(&self) -> Result<Mail> {
        let recipients = self.recipients.iter().cloned();
        if !self.binary {
            return Ok(Mail::new(
                self.sender.clone(),
                recipients,
                self.text.clone(),
            )?);
        }
        let mail = Mail::builder().sender(self.sender.clone());
        let mail = recipients.fold(mail, |mail, to| mail.recipient(to));
        Ok(mail.binary_message(self.text.clone()).build()?)
    }
}

fn connection(level: Option<Pipelining>, data: bool) -> Result<Connection> {
    let mut config = Config::builder(NAME.parse()?).security(Security::Cleartext);
    if let Some(level) = level {
        config = config.pipelining(level);
    }
    if data {
        config = config.ignore_extension("CHUNKING");
    }
    Ok(Connection::new(
        Arc::new(config.build()?),
        Seed::from_bytes([0; 32]),
    ))
}

fn endpoint(job: &Job) -> Result<Endpoint> {
    let root = job.root()?.ok_or("no certificate")?;
    let tls = TlsConfig::builder()
        .no_default_roots()
        .add_root_der(root)
        .build()?;
    let endpoint = Endpoint::starttls(HOST)
        .credentials(Credentials::password(USER, PASSWORD)?)
        .tls(tls)
        .port(job.address.port())
        .build()?;
    Ok(endpoint)
}

fn all(sent: usize, job: &Job) -> Result<()> {
    (sent == job.mails)
        .then_some(())
        .ok_or_else(|| "not all were sent".into())
}

pub(super) fn accepted(outcome: Outcome) -> Result<()> {
    outcome
        .is_accepted()
        .then_some(())
        .ok_or_else(|| "rejected".into())
}
