//! Ours, blocking and over tokio: a mail at a time, and batches at each level.

use std::collections::VecDeque;
use std::net::TcpStream;
use std::sync::Arc;

use bytes::Bytes;
use smtp_proto::{
    Config, Connection, Credentials, ForwardPath, Mail, Outcome, Pipelining, ReversePath, Security,
};
use smtp_rustls::{Endpoint, Tls};

use crate::{FROM, HOST, Job, NAME, PASSWORD, Result, USER};

/// How a batch is sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    /// The default, with DATA.
    Data,
    /// The default, with BDAT.
    Chunks,
    /// The same for a text that was declared binary, which needs no checks.
    Binary,
    Speculative,
}

/// As many mails wait in line, so that memory does not grow with the batch.
const IN_LINE: usize = 256;

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
    let connection = connection(Some(level.pipelining()), level == Level::Data)?;
    let mut client = smtp_blocking::Client::from_stream(stream, connection);
    client.ready()?;
    let mut line = VecDeque::new();
    for _ in 0..job.mails {
        if line.len() == IN_LINE {
            let first = line.pop_front().ok_or("no mail in line")?;
            accepted(client.outcome(first)?)?;
        }
        line.push_back(client.submit(mails.next()?));
    }
    for id in line {
        accepted(client.outcome(id)?)?;
    }
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
    let connection = connection(Some(level.pipelining()), level == Level::Data)?;
    let mut client = smtp_tokio::Client::from_stream(stream, connection);
    client.ready().await?;
    let mut line = VecDeque::new();
    for _ in 0..job.mails {
        if line.len() == IN_LINE {
            let first = line.pop_front().ok_or("no mail in line")?;
            accepted(client.outcome(first).await?)?;
        }
        line.push_back(client.submit(mails.next()?));
    }
    for id in line {
        accepted(client.outcome(id).await?)?;
    }
    Ok(client.quit().await?)
}

impl Level {
    fn pipelining(self) -> Pipelining {
        match self {
            Self::Speculative => Pipelining::Speculative,
            _ => Pipelining::Transactions,
        }
    }
}

/// Makes one mail after the other, each checked anew.
struct Mails {
    sender: ReversePath,
    recipients: Vec<ForwardPath>,
    text: Bytes,
    binary: bool,
}

impl Mails {
    fn new(job: &Job, binary: bool) -> Result<Self> {
        let recipients = job.to().into_iter().map(|to| to.parse());
        Ok(Self {
            sender: FROM.parse()?,
            recipients: recipients.collect::<std::result::Result<_, _>>()?,
            text: job.text().into(),
            binary,
        })
    }

    fn next(&self) -> Result<Mail> {
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
        Ok(mail.binary(self.text.clone()).build()?)
    }
}

fn connection(level: Option<Pipelining>, data: bool) -> Result<Connection> {
    let mut config = Config::builder(NAME.parse()?).security(Security::Cleartext);
    if let Some(level) = level {
        config = config.pipelining(level);
    }
    if data {
        config = config.without("CHUNKING");
    }
    Ok(Connection::new(Arc::new(config.build()?), [0; 32]))
}

fn endpoint(job: &Job) -> Result<Endpoint> {
    let root = job.root()?.ok_or("no certificate")?;
    let tls = Tls::builder()
        .only_added_roots()
        .add_root_der(root)
        .build()?;
    let endpoint = Endpoint::starttls(HOST)
        .credentials(Credentials::password(USER, PASSWORD)?)
        .tls(tls)
        .port(job.address.port())
        .build()?;
    Ok(endpoint)
}

fn accepted(outcome: Outcome) -> Result<()> {
    outcome
        .is_accepted()
        .then_some(())
        .ok_or_else(|| "refused".into())
}
