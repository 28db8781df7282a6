//! Cyrus IMAP: LMTP with a login, and a channel binding that TLS 1.3 does not have.

use std::process::Command;
use std::{fs, io};

use smtp_proto::Protocol;

use super::{Server, Stored, said};
use crate::certificates::Flaw;
use crate::environment::{Environment, HOST, Listener, STORE, keep_private};
use crate::message::{PASSWORD, USER};

#[derive(Debug)]
pub(super) struct Cyrus;

impl Server for Cyrus {
    fn name(&self) -> &'static str {
        "cyrus"
    }

    fn listeners(&self) -> &'static [Listener] {
        &[Listener::Submission]
    }

    fn prepare(&self, environment: &Environment) -> io::Result<Command> {
        let home = environment.home().display();
        let port = environment.port(Listener::Submission);
        for each in ["lib", "spool"] {
            environment.folder(each, STORE)?;
        }
        keep_private(&environment.certificates.key(Flaw::None), STORE)?;
        let database = environment.path("sasldb");
        let script = format!("printf {PASSWORD} | saslpasswd2 -p -c -f \"$1\" -u {HOST} {USER}");
        let mut command = environment.command("bash");
        said(command.args(["-c", &script, "bash"]).arg(&database))?;
        keep_private(&database, STORE)?;
        let configuration = environment.write("imapd.conf", &configuration(environment))?;
        let services = environment.write(
            "cyrus.conf",
            &format!(
                "START {{
  recover cmd=\"/usr/lib/cyrus/bin/ctl_cyrusdb -C {home}/imapd.conf -r\"
}}
SERVICES {{
  lmtp cmd=\"/usr/lib/cyrus/bin/lmtpd -C {home}/imapd.conf\" listen=\"127.0.0.1:{port}\" proto=tcp4 prefork=0
}}
"
            ),
        )?;
        let mut command = environment.command("/usr/lib/cyrus/bin/master");
        command
            .args(["-D", "-C"])
            .arg(configuration)
            .arg("-M")
            .arg(services)
            .arg("-p")
            .arg(environment.path("lib/master.pid"));
        Ok(command)
    }

    fn protocol(&self, listener: Listener) -> Protocol {
        match listener {
            Listener::Submission => Protocol::Lmtp,
            _ => Protocol::Smtp,
        }
    }

    fn rejects(&self, _kind: &str) -> bool {
        false
    }

    fn mechanisms(&self) -> &'static [&'static str] {
        &[
            "PLAIN",
            "LOGIN",
            "CRAM-MD5",
            "SCRAM-SHA-1",
            "SCRAM-SHA-1-PLUS",
            "SCRAM-SHA-256",
            "SCRAM-SHA-256-PLUS",
        ]
    }

    fn mechanisms_in_clear(&self) -> &'static [&'static str] {
        &["CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"]
    }

    fn binds_by_unique(&self) -> bool {
        true
    }

    fn code_for_wrong_password(&self) -> u16 {
        501
    }

    fn take(&self, environment: &Environment) -> io::Result<Vec<Stored>> {
        let mut stored = Vec::new();
        let users = environment.path("spool/user");
        if !users.exists() {
            return Ok(stored);
        }
        for user in fs::read_dir(users)? {
            let user = user?;
            let recipient = format!("{}@{HOST}", user.file_name().display());
            for file in fs::read_dir(user.path())? {
                let path = file?.path();
                // The index and cache are beside the messages.
                if path.extension().is_some_and(|rest| rest.is_empty()) {
                    stored.push(Stored::parse(&fs::read(&path)?, Some(&recipient))?);
                    fs::remove_file(path)?;
                }
            }
        }
        Ok(stored)
    }

    fn queued(&self, _environment: &Environment) -> io::Result<usize> {
        // It replies after it has stored the message.
        Ok(0)
    }
}

fn configuration(environment: &Environment) -> String {
    let home = environment.home().display();
    format!(
        "configdirectory: {home}/lib
defaultpartition: default
partition-default: {home}/spool
cyrus_user: store
cyrus_group: store
servername: {HOST}
defaultdomain: {HOST}
virtdomains: off
loginrealms: {HOST}
admins: cyrus
lmtp_admins: {USER} {USER}@{HOST}
allowplaintext: no
autocreate_quota: 0
autocreate_post: yes
mailbox_legacy_dirs: yes
sievedir: {home}/sieve
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: {home}/sasldb
sasl_mech_list: PLAIN LOGIN CRAM-MD5 SCRAM-SHA-1 SCRAM-SHA-256
tls_server_cert: {chain}
tls_server_key: {key}
tls_versions: tls1_2 tls1_3
lmtpsocket: {home}/lib/lmtp
idlesocket: {home}/lib/idle
notifysocket: {home}/lib/notify
",
        chain = environment.certificates.chain(Flaw::None).display(),
        key = environment.certificates.key(Flaw::None).display(),
    )
}
