//! Haraka, with a plugin of this program that rejects, and stores accepted messages.

use std::fs;
use std::io;
use std::process::Command;

use smtp_proto::Protocol;

use super::{Server, each_by_itself, program};
use crate::certificates::Flaw;
use crate::environment::{Environment, HOST, IDLE_SECONDS, LARGE, Listener};
use crate::message::{PASSWORD, USER};
use crate::process::Neighbour;

#[derive(Debug)]
pub(super) struct Haraka;

impl Server for Haraka {
    fn name(&self) -> &'static str {
        "haraka"
    }

    fn listeners(&self) -> &'static [Listener] {
        &[
            Listener::Relay,
            Listener::Submission,
            Listener::Implicit,
            Listener::Bare,
            Listener::Small,
            Listener::Broken,
            Listener::WrongName,
            Listener::Expired,
            Listener::SelfSigned,
            Listener::Few,
            Listener::Strict,
        ]
    }

    fn prepare(&self, environment: &Environment) -> io::Result<Command> {
        let listeners = [
            Listener::Relay,
            Listener::Submission,
            Listener::Implicit,
            Listener::Bare,
            Listener::Broken,
            Listener::Few,
        ];
        self.start(environment, environment, Flaw::None, LARGE, &listeners)
    }

    /// A process has one certificate, one size limit and one idle time.
    fn neighbours(&self, environment: &Environment) -> io::Result<Vec<Neighbour>> {
        let listeners = [
            Listener::Small,
            Listener::WrongName,
            Listener::Expired,
            Listener::SelfSigned,
            Listener::Strict,
        ];
        each_by_itself(environment, &listeners, |part, flaw, size, listeners| {
            self.start(part, environment, flaw, size, listeners)
        })
    }

    fn mechanisms(&self) -> &'static [&'static str] {
        &["PLAIN", "LOGIN", "CRAM-MD5"]
    }

    /// Advertised to clients with a private address.
    fn mechanisms_in_clear(&self) -> &'static [&'static str] {
        self.mechanisms()
    }

    /// Only by a plugin that takes a Redis server.
    fn limits_connections(&self) -> bool {
        false
    }

    fn resumes_tls(&self) -> bool {
        false
    }

    fn code_for_too_large(&self) -> u16 {
        550
    }

    /// A message is stored before it is accepted.
    fn queued(&self, _: &Environment) -> io::Result<usize> {
        Ok(0)
    }
}

impl Haraka {
    /// A process with some of the listeners, which stores mail in the common store.
    fn start(
        &self,
        part: &Environment,
        whole: &Environment,
        flaw: Flaw,
        size: u64,
        listeners: &[Listener],
    ) -> io::Result<Command> {
        part.write(
            "settings.json",
            &program::settings(whole, Protocol::Smtp, listeners)?,
        )?;
        part.write(
            "plugins/interop.js",
            include_str!("../../programs/haraka.js"),
        )?;
        let listen = listeners
            .iter()
            .map(|&listener| format!("127.0.0.1:{}", part.port(listener)));
        let listen: Vec<_> = listen.collect();
        let idle = match listeners {
            [Listener::Strict] => IDLE_SECONDS,
            _ => 300,
        };
        for (name, text) in [
            ("me", HOST.to_owned()),
            ("host_list", HOST.to_owned()),
            ("loglevel", "warn".to_owned()),
            ("plugins", "tls\nauth/flat_file\ninterop\n".to_owned()),
            (
                "smtp.ini",
                format!(
                    "listen={}\nsmtps_port={}\nnodes=0\nforce_shutdown_timeout=1\n\
                    inactivity_timeout={idle}\n",
                    listen.join(","),
                    part.port(Listener::Implicit)
                ),
            ),
            ("connection.ini", connection(size)),
            ("tls.ini", "key=key.pem\ncert=chain.pem\n".to_owned()),
            (
                "auth_flat_file.ini",
                format!(
                    "[core]\nmethods={}\nconstrain_sender=false\n[users]\n{USER}@{HOST}={PASSWORD}\n",
                    self.mechanisms().join(",")
                ),
            ),
        ] {
            part.write(&format!("config/{name}"), &text)?;
        }
        fs::copy(part.certificates.key(flaw), part.path("config/key.pem"))?;
        fs::copy(part.certificates.chain(flaw), part.path("config/chain.pem"))?;
        fs::create_dir_all(part.path("queue"))?;
        let program = part
            .package(self.name())
            .join("node_modules/Haraka/bin/haraka");
        let mut command = part.plain_command("node");
        command.arg(program).arg("-c").arg(part.home());
        Ok(command)
    }
}

/// Replaces Haraka's own file: the first connection crashes if one of its sections is missing.
fn connection(size: u64) -> String {
    format!(
        "[main]
smtputf8=true
[haproxy]
hosts[] =
[headers]
max_lines=1000
max_received=100
[max]
bytes={size}
mime_parts=1000
line_length=512
; Longer lines it breaks in two.
data_line_length=1001
[message]
greeting[]=first line
greeting[]=second line
helo=hello
close=bye
[uuid]
banner_chars=0
deny_chars=0
"
    )
}
