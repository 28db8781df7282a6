//! The package `smtp-server` of Nodemailer: SMTP and LMTP, with replies from the settings.

use std::io;
use std::process::Command;

use smtp_proto::Protocol;

use super::{Server, program};
use crate::environment::{Environment, Listener};

#[derive(Debug)]
pub(super) struct Nodemailer(pub(super) Protocol);

impl Server for Nodemailer {
    fn name(&self) -> &'static str {
        match self.0 {
            Protocol::Lmtp => "nodemailer-lmtp",
            _ => self.package(),
        }
    }

    fn package(&self) -> &'static str {
        "nodemailer"
    }

    fn protocol(&self, _: Listener) -> Protocol {
        self.0
    }

    fn writes_parameters(&self) -> bool {
        true
    }

    fn listeners(&self) -> &'static [Listener] {
        &Listener::ALL
    }

    fn prepare(&self, environment: &Environment) -> io::Result<Command> {
        let settings = program::settings(environment, self.0, &Listener::ALL)?;
        let settings = environment.write("settings.json", &settings)?;
        let server =
            environment.write("server.cjs", include_str!("../../programs/nodemailer.cjs"))?;
        let mut command = environment.plain_command("node");
        command
            .arg(server)
            .arg(settings)
            .arg(environment.package(self.package()));
        Ok(command)
    }

    fn mechanisms(&self) -> &'static [&'static str] {
        &["PLAIN", "LOGIN", "CRAM-MD5", "XOAUTH2"]
    }

    /// Advertised, and rejected by 538.
    fn mechanisms_in_clear(&self) -> &'static [&'static str] {
        self.mechanisms()
    }

    fn answers_logins(&self) -> bool {
        true
    }

    /// A message is stored before it is accepted.
    fn queued(&self, _: &Environment) -> io::Result<usize> {
        Ok(0)
    }
}
