//! Sends a message with smol. Without arguments it runs a demo with its own server; see `--help`.

use std::process::ExitCode;

use smtp::Client;
use smtp::proto::{Error, Mail, Outcome};
use smtp::tls::Endpoint;
use smtp_smol as smtp;

#[path = "../../examples/shared/mod.rs"]
mod shared;

fn main() -> ExitCode {
    shared::main(|endpoint, mail| smol::block_on(send(endpoint, mail)))
}

async fn send(endpoint: &Endpoint, mail: Mail) -> Result<Outcome, Error> {
    let mut client = Client::connect(endpoint).await?;
    let outcome = client.send(mail).await?;
    // The outcome is known. How the connection ends does not change it.
    let _ = client.quit().await;
    Ok(outcome)
}
