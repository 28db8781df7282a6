//! The common part of the examples `send`, `send_tokio` and `send_smol`: everything except I/O.
//!
//! Each example includes this folder and imports its adapter as `smtp`.

mod compose;
mod demo;
mod options;
mod report;

use std::process::ExitCode;

use crate::smtp::proto::{Error, Mail, Outcome};
use crate::smtp::tls::Endpoint;

use self::options::{HELP, Options, Task, Unusable};

/// Runs the command line; `send` connects, sends the message, and ends the connection.
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
        report::complain(&format!("{reason}\nsee `--help`"));
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
