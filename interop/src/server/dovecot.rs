//! Dovecot: LMTP with quotas, submission that relays to Postfix, IMAP and POP3; and authentication
//! for other servers.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Command;
use std::{fs, io};

use smtp_proto::Protocol;

use super::{Server, Stored, postfix, take_files};
use crate::certificates::Flaw;
use crate::environment::{
    CONNECTIONS, Environment, HOST, InternalListener, LARGE, Listener, STORE,
};
use crate::message::{DELIVERIES, PASSWORD, USER, is_of};
use crate::process::Neighbour;
use crate::token;

#[derive(Debug)]
pub(super) struct Dovecot;

impl Server for Dovecot {
    fn name(&self) -> &'static str {
        NAME
    }

    fn listeners(&self) -> &'static [Listener] {
        &[
            Listener::Relay,
            Listener::Submission,
            Listener::Implicit,
            Listener::Strict,
        ]
    }

    fn logs(&self, environment: &Environment) -> Vec<PathBuf> {
        vec![log(environment)]
    }

    fn beside(&self) -> &'static [&'static str] {
        &[postfix::NAME]
    }

    fn neighbours(&self, environment: &Environment) -> io::Result<Vec<Neighbour>> {
        postfix::beside(environment, environment.port(Listener::Relay))
    }

    fn prepare(&self, environment: &Environment) -> io::Result<Command> {
        command(
            environment,
            environment.port(Listener::Relay),
            "store",
            &submission(environment),
        )
    }

    fn protocol(&self, listener: Listener) -> Protocol {
        match listener {
            Listener::Relay | Listener::Strict => Protocol::Lmtp,
            _ => Protocol::Smtp,
        }
    }

    fn socket(&self, environment: &Environment) -> Option<PathBuf> {
        Some(environment.path("lmtp"))
    }

    fn rejects(&self, kind: &str) -> bool {
        kind == "no" || is_of(&DELIVERIES, kind)
    }

    fn mechanisms(&self) -> &'static [&'static str] {
        &[
            "PLAIN",
            "LOGIN",
            "CRAM-MD5",
            "SCRAM-SHA-1",
            "SCRAM-SHA-256",
            "XOAUTH2",
            "OAUTHBEARER",
            "EXTERNAL",
        ]
    }

    fn mechanisms_in_clear(&self) -> &'static [&'static str] {
        // For a client on the same machine, which it considers secure.
        self.mechanisms()
    }

    fn resumes_tls(&self) -> bool {
        // The next connection may reach another process, which has other keys.
        false
    }

    /// Its limit for LMTP is five minutes.
    fn closes_idle(&self) -> bool {
        false
    }

    /// It accepts the connection, and closes it without a greeting.
    fn rejects_connections(&self) -> bool {
        false
    }

    fn knows_certificates(&self) -> bool {
        true
    }

    fn take(&self, environment: &Environment) -> io::Result<Vec<Stored>> {
        let mut stored = Vec::new();
        for user in fs::read_dir(environment.path("store"))? {
            let user = user?;
            for folder in fs::read_dir(user.path())? {
                let folder = folder?;
                let name = folder.file_name();
                let Some(detail) = name.to_str().and_then(|name| name.strip_prefix('.')) else {
                    continue;
                };
                let recipient = format!("{}-{detail}@{HOST}", user.file_name().display());
                for file in take_files(&folder.path().join("new"))? {
                    stored.push(Stored::parse(&file, Some(&recipient))?);
                }
                fs::remove_dir_all(folder.path())?;
            }
        }
        Ok(stored)
    }

    fn queued(&self, environment: &Environment) -> io::Result<usize> {
        postfix::queued(environment)
    }
}

/// The name of its packages.
pub(super) const NAME: &str = "dovecot";

/// Starts it, if it exists, for mail to [`FAR`](crate::environment::FAR), and to authenticate for
/// another server.
pub(super) fn beside(environment: &Environment) -> io::Result<Vec<Neighbour>> {
    if !environment.has(NAME) {
        return Ok(Vec::new());
    }
    let port = environment.internal_port(InternalListener::Beside);
    Ok(vec![Neighbour {
        name: NAME,
        command: command(environment, port, "mailbox", "")?,
        address: (Ipv4Addr::LOCALHOST, port).into(),
        logs: vec![log(environment)],
    }])
}

fn log(environment: &Environment) -> PathBuf {
    environment.path("dovecot/log")
}

/// The socket of its authentication service for other servers.
pub(super) fn auth(environment: &Environment) -> PathBuf {
    environment.path("auth")
}

/// Receives mail by LMTP at a port and stores it in a Maildir, with further settings.
fn command(environment: &Environment, lmtp: u16, store: &str, more: &str) -> io::Result<Command> {
    environment.write("dovecot/users", &users(environment))?;
    // By the name of its file: the default key for this algorithm.
    environment.write("dovecot/keys/default/HS256/default", &token::key())?;
    let home = environment.home().display();
    environment.write(
        "dovecot/oauth2",
        &format!(
            "introspection_mode = local
local_validation_key_dict = fs:posix:prefix={home}/dovecot/keys/
username_attribute = sub
"
        ),
    )?;
    let text = configuration(environment, lmtp, store) + more;
    let path = environment.write("dovecot/conf", &text)?;
    environment.folder(store, STORE)?;
    let mut command = environment.command("dovecot");
    command.arg("-F").arg("-c").arg(path);
    Ok(command)
}

/// Submission, with all mail relayed to the companion server.
fn submission(environment: &Environment) -> String {
    format!(
        "protocols = imap pop3 lmtp submission
submission_relay_host = 127.0.0.1
submission_relay_port = {}
submission_relay_trusted = yes
submission_max_mail_size = {LARGE}
service submission-login {{
  inet_listener submission {{
    port = {}
  }}
  inet_listener submissions {{
    port = {}
    ssl = yes
  }}
}}
service strict {{
  executable = lmtp
  protocol = lmtp
  client_limit = 1
  process_limit = {CONNECTIONS}
  inet_listener strict {{
    address = 127.0.0.1
    port = {}
  }}
}}
",
        environment.internal_port(InternalListener::Beside),
        environment.port(Listener::Submission),
        environment.port(Listener::Implicit),
        environment.port(Listener::Strict),
    )
}

/// The users with a mailbox.
fn users(environment: &Environment) -> String {
    let home = environment.home().display();
    [
        (USER, ""),
        ("ok", ""),
        ("quota", "userdb_quota_rule=*:bytes=1"),
        ("stuck", "userdb_mail=maildir:/proc/nowhere"),
    ]
    .map(|(name, more)| format!("{name}:{{PLAIN}}{PASSWORD}:{STORE}:{STORE}::{home}::{more}\n"))
    .concat()
}

fn configuration(environment: &Environment, lmtp: u16, store: &str) -> String {
    let home = environment.home().display();
    let [imap, pop3] = [InternalListener::Imap, InternalListener::Pop3]
        .map(|listener| environment.internal_port(listener));
    let mechanisms = Dovecot.mechanisms().join(" ").to_lowercase();
    format!(
        "protocols = imap pop3 lmtp
listen = 127.0.0.1
base_dir = {home}/dovecot/run
state_dir = {home}/dovecot/state
log_path = {log}
auth_verbose = yes
hostname = {HOST}
default_internal_user = dovecot
default_login_user = dovenull
first_valid_uid = {STORE}
mail_location = maildir:{home}/{store}/%n:INDEX=MEMORY
mail_plugins = $mail_plugins quota
plugin {{
  quota = count:User quota
  quota_vsizes = yes
}}
# What an address begins with says what is to become of the mail, and the rest where it is to be found.
recipient_delimiter = -
lmtp_save_to_detail_mailbox = yes
lda_mailbox_autocreate = yes
mail_fsync = never
ssl = yes
ssl_cert = <{chain}
ssl_key = <{key}
ssl_ca = <{authority}
ssl_verify_client_cert = yes
ssl_require_crl = no
auth_ssl_username_from_cert = yes
ssl_cert_username_field = commonName
disable_plaintext_auth = yes
auth_mechanisms = {mechanisms}
auth_username_format = %n
auth_failure_delay = 0
passdb {{
  driver = static
  mechanisms = external
  args = nopassword=y
}}
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {home}/dovecot/oauth2
}}
passdb {{
  driver = passwd-file
  mechanisms = plain login cram-md5 scram-sha-1 scram-sha-256
  args = scheme=PLAIN username_format=%n {home}/dovecot/users
}}
userdb {{
  driver = passwd-file
  args = username_format=%n {home}/dovecot/users
}}
service auth {{
  unix_listener {auth} {{
    mode = 0666
  }}
}}
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {lmtp}
  }}
  unix_listener {home}/lmtp {{
    mode = 0666
  }}
}}
# Else every failed login makes the next one slower.
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
",
        log = log(environment).display(),
        auth = auth(environment).display(),
        chain = environment.certificates.chain(Flaw::None).display(),
        key = environment.certificates.key(Flaw::None).display(),
        authority = environment.certificates.authority().display(),
    )
}
