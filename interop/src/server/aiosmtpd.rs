//! The Python package aiosmtpd: SMTP and LMTP, one command at a time.

use std::io;
use std::process::Command;

use smtp_proto::Protocol;

use super::{Server, program};
use crate::environment::{Environment, Listener};

#[derive(Debug)]
pub(super) struct Aiosmtpd(pub(super) Protocol);

impl Server for Aiosmtpd {
    fn name(&self) -> &'static str {
        match self.0 {
            Protocol::Lmtp => "aiosmtpd-lmtp",
            _ => self.package(),
        }
    }

    fn package(&self) -> &'static str {
        "aiosmtpd"
    }

    fn protocol(&self, _: Listener) -> Protocol {
        self.0
    }

    fn writes_parameters(&self) -> bool {
        true
    }

    fn listeners(&self) -> &'static [Listener] {
        match self.0 {
            // Content that is too large has one reply there, not one for each recipient.
            Protocol::Lmtp => &WITHOUT_SMALL,
            _ => &LISTENERS,
        }
    }

    fn prepare(&self, environment: &Environment) -> io::Result<Command> {
        let settings = program::settings(environment, self.0, &LISTENERS)?;
        let settings = environment.write("settings.json", &settings)?;
        let server = environment.write("server.py", include_str!("../../programs/aiosmtpd.py"))?;
        let mut command =
            environment.plain_command(environment.package(self.package()).join("venv/bin/python"));
        command.arg(server).arg(settings);
        Ok(command)
    }

    /// A message is stored before it is accepted.
    fn queued(&self, _: &Environment) -> io::Result<usize> {
        Ok(0)
    }
}

const LISTENERS: [Listener; 11] = [
    Listener::Relay,
    Listener::Submission,
    Listener::Implicit,
    Listener::Bare,
    Listener::Small,
    Listener::Broken,
    Listener::WrongName,
    Listener::Expired,
    Listener::SelfSigned,
    Listener::Old,
    Listener::Few,
];

const WITHOUT_SMALL: [Listener; 10] = [
    Listener::Relay,
    Listener::Submission,
    Listener::Implicit,
    Listener::Bare,
    Listener::Broken,
    Listener::WrongName,
    Listener::Expired,
    Listener::SelfSigned,
    Listener::Old,
    Listener::Few,
];
