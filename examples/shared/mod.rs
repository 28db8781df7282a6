//! What the examples `send`, `send_tokio` and `send_smol` have in common: everything but input and output.
//!
//! Each of them includes this folder, and names its adapter `smtp`.

mod compose;
mod demo;
mod options;
mod report;

use std::process::ExitCode;

use crate::smtp::proto::{Error, Mail, Outcome};
use crate::smtp::tls::Endpoint;

use self::options::{HELP, Options, Task, Unusable};

/// Does what the command line asks for; `send` connects, sends the message, and ends the connection.
pub(crate) fn main(send: impl FnOnce(&Endpoint, Mail) -> Result<Outcome, Error>) -> ExitCode {
    let status = Task::parse().and_then(|task| match task {
        Task::Help => {
            report::print(HELP);
            Ok(report::ACCEPTED)
        }
        Task::Demo => Ok(demo::run(send)),
        Task::Send(options) => deliver(&options, send),
    });
    let status = status.unwrap_or_else(|reason| {
        report::complain(&format!("{reason}\n`--help` tells what can be said"));
        report::UNUSABLE
    });
    ExitCode::from(status)
}

/// Sends a message through the server that the options name.
fn deliver(
    options: &Options,
    send: impl FnOnce(&Endpoint, Mail) -> Result<Outcome, Error>,
) -> Result<u8, Unusable> {
    let endpoint = options.endpoint()?;
    let mail = options.mail()?;
    Ok(match send(&endpoint, mail) {
        Ok(outcome) => {
            report::outcome(&outcome);
            report::status(&outcome)
        }
        Err(error) => {
            report::failure(&error);
            report::NOT_ACCEPTED
        }
    })
}
