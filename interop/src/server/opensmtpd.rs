//! OpenSMTPD: one command at a time, because it closes the connection of a client that does not
//! wait; delivery into a Maildir by its own agent.
//!
//! It accepts DSN parameters, but its reports have no machine-readable part (RFC 3464).

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use super::{Server, count_files, each_by_itself, said};
use crate::certificates::Flaw;
use crate::environment::{Environment, FEW, HOST, LARGE, Listener, STORE, keep_private};
use crate::message::{Fault, PASSWORD, RECIPIENTS, SENDERS, Step, USER};
use crate::process::Neighbour;

#[derive(Debug)]
pub(super) struct OpenSmtpd;

impl Server for OpenSmtpd {
    fn name(&self) -> &'static str {
        "opensmtpd"
    }

    /// It has no setting for a reply of 454 to STARTTLS.
    fn listeners(&self) -> &'static [Listener] {
        &[
            Listener::Relay,
            Listener::Submission,
            Listener::Implicit,
            Listener::Bare,
            Listener::Small,
            Listener::WrongName,
            Listener::Expired,
            Listener::SelfSigned,
            Listener::Few,
        ]
    }

    fn prepare(&self, environment: &Environment) -> io::Result<Command> {
        // Its key is of this kind.
        let mut key = Command::new("openssl");
        key.args(["genpkey", "-quiet", "-algorithm", "RSA"]);
        environment.certificates.certify(&said(&mut key)?)?;
        for flaw in Flaw::ALL {
            keep_private(&environment.certificates.key(flaw), 0)?;
        }
        environment.folder("store", STORE)?;
        let listeners = [
            Listener::Relay,
            Listener::Submission,
            Listener::Implicit,
            Listener::Bare,
        ];
        self.start(environment, environment, Flaw::None, LARGE, &listeners)
    }

    /// A process has one certificate and one size limit.
    fn neighbours(&self, environment: &Environment) -> io::Result<Vec<Neighbour>> {
        let listeners = [
            Listener::Small,
            Listener::WrongName,
            Listener::Expired,
            Listener::SelfSigned,
            Listener::Few,
        ];
        each_by_itself(environment, &listeners, |part, flaw, size, listeners| {
            self.start(part, environment, flaw, size, listeners)
        })
    }

    /// It serves one client after the other.
    fn greets_many(&self) -> bool {
        false
    }

    fn resumes_tls(&self) -> bool {
        false
    }

    fn code_for_too_large(&self) -> u16 {
        554
    }

    fn queued(&self, environment: &Environment) -> io::Result<usize> {
        let mut count = 0;
        for part in [
            "",
            "small/",
            "wrong-name/",
            "expired/",
            "self-signed/",
            "few/",
        ] {
            for queue in ["incoming", "queue", "temporary"] {
                count += count_files(&environment.path(&format!("{part}var/spool/smtpd/{queue}")))?;
            }
        }
        Ok(count)
    }
}

impl OpenSmtpd {
    /// A process with some of the listeners, which delivers into the common store.
    fn start(
        &self,
        part: &Environment,
        whole: &Environment,
        flaw: Flaw,
        size: u64,
        listeners: &[Listener],
    ) -> io::Result<Command> {
        fs::create_dir_all(part.path("var/lib/opensmtpd/empty"))?;
        let spool = part.path("var/spool/smtpd");
        fs::create_dir_all(&spool)?;
        fs::set_permissions(&spool, fs::Permissions::from_mode(0o711))?;
        let hash = said(Command::new("openssl").args(["passwd", "-6", PASSWORD]))?;
        part.write("conf/users", &format!("{USER}@{HOST} {hash}"))?;
        part.write("conf/known", "^ok-\n")?;
        // Otherwise it looks up the client's name before it greets.
        part.write("etc/resolv.conf", "lookup file\n")?;
        part.write("conf/store", "@ store\n")?;
        let home = part.home().display();
        let store = whole.path("store");
        let mut text = format!(
            "pki mail cert \"{}\"
pki mail key \"{}\"
table users file:{home}/conf/users
table known file:{home}/conf/known
table store file:{home}/conf/store
smtp max-message-size \"{size}\"
smtp limit max-mails 1000000
mda limit max-session 50
",
            part.certificates.chain(flaw).display(),
            part.certificates.key(flaw).display(),
        );
        if listeners == [Listener::Few] {
            text += &format!("smtp limit max-rcpt {FEW}\n");
        }
        let mut chain = Vec::new();
        for fault in SENDERS.iter().chain(&RECIPIENTS) {
            part.write(
                &format!("conf/{}", fault.kind),
                &format!("^{}-\n", fault.kind),
            )?;
            text += &filter(part, fault);
            chain.push(fault.kind);
        }
        text += &format!("filter faults chain {{ {} }}\n", chain.join(", "));
        for &listener in listeners {
            let options = match listener {
                Listener::Submission => "tls-require pki mail auth <users>",
                Listener::Implicit => "smtps pki mail auth-optional <users>",
                Listener::Bare => "no-dsn",
                _ => "tls pki mail",
            };
            text += &format!(
                "listen on 127.0.0.1 port {} {options} hostname {HOST} filter faults\n",
                part.port(listener)
            );
        }
        text += &format!(
            "action \"store\" maildir \"{}\" user store virtual <store>
match from any for domain \"{HOST}\" rcpt-to regex <known> action \"store\"
match from any for any reject
",
            store.display()
        );
        let conf = part.write("conf/smtpd.conf", &text)?;
        let shim = part.package(self.name()).join("shim.so");
        let mut command = part.command("env");
        command
            .arg(format!("LD_PRELOAD={}", shim.display()))
            .args(["smtpd", "-d", "-v", "-f"])
            .arg(conf);
        Ok(command)
    }
}

fn filter(part: &Environment, fault: &Fault) -> String {
    let phase = match fault.step {
        Step::Mail => "mail-from",
        Step::Rcpt => "rcpt-to",
        Step::Data => "data",
        Step::EndOfData => "commit",
    };
    let whose = match fault.step {
        Step::Rcpt => "rcpt-to",
        _ => "mail-from",
    };
    let verb = match fault.code {
        421 => "disconnect",
        _ => "reject",
    };
    let kind = fault.kind;
    format!(
        "table {kind} file:{}/conf/{kind}
filter {kind} phase {phase} match {whose} regex <{kind}> {verb} \"{} {}\"
",
        part.home().display(),
        fault.code,
        fault.text
    )
}
