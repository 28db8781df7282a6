//! One module for each client.

mod async_smtp;
mod io_smtp;
mod lettre;
mod mail_send;
mod ours;
mod pool;
mod raw;

use std::future::Future;

use crate::{Job, Result};

/// Runs the client of that name.
pub fn run(name: &str, job: &Job) -> Result<()> {
    match name {
        "ours" => ours::one_by_one(job),
        "ours-batch" => ours::batch(job, ours::Level::Data),
        "ours-bdat" => ours::batch(job, ours::Level::Chunks),
        "ours-binary" => ours::batch(job, ours::Level::Binary),
        "ours-speculative" => ours::batch(job, ours::Level::Speculative),
        "ours-tokio" => block_on(ours::one_by_one_async(job)),
        "ours-tokio-batch" => block_on(ours::batch_async(job, ours::Level::Data)),
        "ours-tokio-bdat" => block_on(ours::batch_async(job, ours::Level::Chunks)),
        "ours-tokio-speculative" => block_on(ours::batch_async(job, ours::Level::Speculative)),
        "three" => block_on(pool::three(job)),
        "three-batches" => block_on(pool::three_batches(job)),
        "mailer" => block_on(pool::mailer(job, false)),
        "mailer-driver" => block_on(pool::mailer(job, true)),
        "mailer-send_all" => block_on(pool::send_all(job)),
        "lettre-pool" => block_on(pool::lettre(job)),
        "lettre" => lettre::blocking(job),
        "lettre-tokio" => block_on(lettre::tokio(job)),
        "mail-send" => block_on(mail_send::run(job)),
        "async-smtp" => block_on(async_smtp::run(job)),
        "io-smtp" => io_smtp::run(job),
        "limit-turn" => raw::run(job, raw::Level::Turn),
        "limit-b" => raw::run(job, raw::Level::Envelope),
        "limit-c" => raw::run(job, raw::Level::Transactions),
        "limit-bdat" => raw::run(job, raw::Level::Chunk),
        "limit-d" => raw::run(job, raw::Level::InFlight),
        _ => Err(format!("no client {name}").into()),
    }
}

fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(future)
}
