//! Many callers over three connections: the mailers of ours and of lettre, beside three clients
//! that share the messages without a pool.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lettre::transport::smtp::PoolConfig;
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use smtp_proto::Security;
use smtp_rustls::Endpoint;
use smtp_tokio::{Client, Mailer};
use tokio::task::JoinSet;

use super::ours::{Mails, accepted};
use crate::{Job, NAME, Result};

/// How many tasks or threads send at a time.
const CALLERS: usize = 32;
/// How many connections there are.
const CONNECTIONS: usize = 3;

/// Three clients, each of which sends one message after the other.
pub(super) async fn three(job: &Job) -> Result<()> {
    let (mails, endpoint) = (Arc::new(Mails::new(job, false)?), endpoint(job)?);
    let next = Arc::new(AtomicUsize::new(0));
    let count = job.mails;
    let mut clients = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (mails, endpoint, next) = (mails.clone(), endpoint.clone(), next.clone());
        clients.spawn(async move {
            let mut client = Client::connect(&endpoint).await.map_err(text)?;
            while next.fetch_add(1, Ordering::Relaxed) < count {
                let outcome = client.send(mails.next().map_err(text)?).await;
                accepted(outcome.map_err(text)?).map_err(text)?;
            }
            client.quit().await.map_err(text)
        });
    }
    all(clients).await
}

/// Three clients, each of which sends a third of the messages as a batch.
pub(super) async fn three_batches(job: &Job) -> Result<()> {
    let (mails, endpoint) = (Arc::new(Mails::new(job, false)?), endpoint(job)?);
    let mut clients = JoinSet::new();
    for index in 0..CONNECTIONS {
        let (mails, endpoint) = (mails.clone(), endpoint.clone());
        let count = (job.mails + index) / CONNECTIONS;
        clients.spawn(async move {
            let mut client = Client::connect(&endpoint).await.map_err(text)?;
            let mut batch = client.send_all(mails.first(count));
            let mut sent = 0;
            while let Some(outcome) = batch.next().await {
                accepted(outcome).map_err(text)?;
                sent += 1;
            }
            (sent == count).then_some(()).ok_or("not all were sent")?;
            client.quit().await.map_err(text)
        });
    }
    all(clients).await
}

/// Tasks that share a mailer.
pub(super) async fn mailer(job: &Job, driven: bool) -> Result<()> {
    let mails = Arc::new(Mails::new(job, false)?);
    let config = smtp_tokio::PoolConfig::new().with_max_messages(u32::MAX);
    let mailer = Mailer::with_config(endpoint(job)?, config);
    if driven && let Some(driver) = mailer.driver() {
        tokio::spawn(driver);
    }
    let next = Arc::new(AtomicUsize::new(0));
    let count = job.mails;
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (mails, mailer, next) = (mails.clone(), mailer.clone(), next.clone());
        callers.spawn(async move {
            while next.fetch_add(1, Ordering::Relaxed) < count {
                let outcome = mailer.send(mails.next().map_err(text)?).await;
                accepted(outcome.map_err(text)?).map_err(text)?;
            }
            Ok(())
        });
    }
    all(callers).await?;
    let ended = mailer.close(Duration::from_secs(10)).await;
    ended.then_some(()).ok_or_else(|| "not closed".into())
}

/// The same by `send_all`, in one task.
pub(super) async fn send_all(job: &Job) -> Result<()> {
    let mails = Mails::new(job, false)?;
    let config = smtp_tokio::PoolConfig::new().with_max_messages(u32::MAX);
    let mailer = Mailer::with_config(endpoint(job)?, config);
    let mut sending = mailer.send_all(mails.first(job.mails));
    let mut sent = 0;
    while let Some((_, outcome)) = sending.next().await {
        accepted(outcome?)?;
        sent += 1;
    }
    drop(sending);
    if sent != job.mails || !mailer.close(Duration::from_secs(10)).await {
        return Err("not all were sent".into());
    }
    Ok(())
}

/// Tasks that share lettre's transport.
pub(super) async fn lettre(job: &Job) -> Result<()> {
    let host = job.address.ip().to_string();
    let transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
        .port(job.address.port())
        .hello_name(ClientId::Domain(NAME.into()))
        .pool_config(PoolConfig::new().max_size(CONNECTIONS as u32))
        .build();
    let (envelope, content) = (
        Arc::new(super::lettre::envelope(job)?),
        Arc::new(job.text()),
    );
    let next = Arc::new(AtomicUsize::new(0));
    let count = job.mails;
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (transport, next) = (transport.clone(), next.clone());
        let (envelope, content) = (envelope.clone(), content.clone());
        callers.spawn(async move {
            while next.fetch_add(1, Ordering::Relaxed) < count {
                transport
                    .send_raw(&envelope, &content)
                    .await
                    .map_err(text)?;
            }
            Ok(())
        });
    }
    all(callers).await
}

fn endpoint(job: &Job) -> Result<Endpoint> {
    Ok(Endpoint::builder(job.address.ip().to_string())
        .port(job.address.port())
        .security(Security::Cleartext)
        .client_name(NAME.parse()?)
        .build()?)
}

async fn all(mut tasks: JoinSet<std::result::Result<(), String>>) -> Result<()> {
    while let Some(result) = tasks.join_next().await {
        result??;
    }
    Ok(())
}

fn text(error: impl std::fmt::Display) -> String {
    format!("{error:#}")
}
