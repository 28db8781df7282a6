//! Sends a message over std sockets. Without arguments it runs a demo with its own server; see
//! `--help`.

use std::process::ExitCode;

use smtp::Client;
use smtp::proto::{Error, Mail, Outcome};
use smtp::tls::Endpoint;
use smtp_blocking as smtp;

#[path = "../../examples/shared/mod.rs"]
mod shared;

fn main() -> ExitCode {
    shared::main(send)
}

fn send(endpoint: &Endpoint, mail: Mail) -> Result<Outcome, Error> {
    let mut client = Client::connect(endpoint)?;
    let outcome = client.send(mail)?;
    // The outcome is known. How the connection ends does not change it.
    let _ = client.quit();
    Ok(outcome)
}
