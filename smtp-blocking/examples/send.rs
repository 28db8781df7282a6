//! Sends a message over std sockets. Without arguments it runs a demo with its own server; see `--help`.

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
    // What became of the mail is known; how the connection ends changes nothing.
    let _ = client.quit();
    Ok(outcome)
}
