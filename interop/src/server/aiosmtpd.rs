//! The Python package aiosmtpd: SMTP and LMTP, one command at a time.

use std::io;
use std::process::Command;

use super::{Server, program};
use crate::site::{Door, Site};

#[derive(Debug)]
pub(super) struct Aiosmtpd;

impl Server for Aiosmtpd {
    fn name(&self) -> &'static str {
        "aiosmtpd"
    }

    fn doors(&self) -> &'static [Door] {
        &Door::ALL
    }

    fn prepare(&self, site: &Site) -> io::Result<Command> {
        let settings = program::settings(site, &Door::ALL)?;
        let settings = site.write("settings.json", &settings)?;
        let server = site.write("server.py", include_str!("../../programs/aiosmtpd.py"))?;
        let mut command = site.plain_command(site.package(self.name()).join("venv/bin/python"));
        command.arg(server).arg(settings);
        Ok(command)
    }

    /// A mail is stored before it is accepted.
    fn queued(&self, _: &Site) -> io::Result<usize> {
        Ok(0)
    }
}
