//! Dovecot: LMTP with quotas, submission that hands on to Postfix, IMAP and POP3; and logging in for other servers.

use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Command;

use crate::certificates::Flaw;
use crate::letter::{PASSWORD, USER};
use crate::site::{BackDoor, HOST, Neighbour, STORE, Site};
use crate::token;

/// What its packages are called.
pub(super) const NAME: &str = "dovecot";

/// Starts it, if it is there, for the mail of [`FAR`](crate::site::FAR), and to log in at another server.
pub(super) fn beside(site: &Site) -> io::Result<Vec<Neighbour>> {
    if !site.has(NAME) {
        return Ok(Vec::new());
    }
    let port = site.back_port(BackDoor::Beside);
    Ok(vec![Neighbour {
        name: NAME,
        command: command(site, port, "mailbox")?,
        address: (Ipv4Addr::LOCALHOST, port).into(),
    }])
}

/// The socket at which other servers ask it about those who log in.
pub(super) fn auth(site: &Site) -> PathBuf {
    site.path("auth")
}

/// Takes mail by LMTP at a port, and stores it in a Maildir.
fn command(site: &Site, lmtp: u16, store: &str) -> io::Result<Command> {
    site.write("dovecot/users", &users(site))?;
    // By the names of its file: anybody's default key for this algorithm.
    site.write("dovecot/keys/default/HS256/default", &token::key())?;
    let home = site.home().display();
    site.write(
        "dovecot/oauth2",
        &format!(
            "introspection_mode = local
local_validation_key_dict = fs:posix:prefix={home}/dovecot/keys/
username_attribute = sub
"
        ),
    )?;
    let path = site.write("dovecot/conf", &configuration(site, lmtp, store))?;
    site.folder(store, STORE)?;
    let mut command = site.command("dovecot");
    command.arg("-F").arg("-c").arg(path);
    Ok(command)
}

/// Who has a mailbox.
fn users(site: &Site) -> String {
    [USER, "ok"]
        .map(|name| {
            format!(
                "{name}:{{PLAIN}}{PASSWORD}:{STORE}:{STORE}::{}::\n",
                site.home().display()
            )
        })
        .concat()
}

fn configuration(site: &Site, lmtp: u16, store: &str) -> String {
    let home = site.home().display();
    let [imap, pop3] = [BackDoor::Imap, BackDoor::Pop3].map(|door| site.back_port(door));
    format!(
        "protocols = imap pop3 lmtp
listen = 127.0.0.1
base_dir = {home}/dovecot/run
state_dir = {home}/dovecot/state
log_path = {home}/dovecot/log
auth_verbose = yes
hostname = {HOST}
default_internal_user = dovecot
default_login_user = dovenull
first_valid_uid = {STORE}
mail_location = maildir:{home}/{store}
mail_plugins = $mail_plugins quota
plugin {{
  quota = count:User quota
  quota_vsizes = yes
}}
# An address says what is to become of the mail by what it begins with.
recipient_delimiter = -
lmtp_hdr_delivery_address = original
ssl = yes
ssl_cert = <{chain}
ssl_key = <{key}
ssl_ca = <{authority}
ssl_verify_client_cert = yes
ssl_require_crl = no
auth_ssl_username_from_cert = yes
ssl_cert_username_field = commonName
disable_plaintext_auth = yes
auth_mechanisms = plain login cram-md5 scram-sha-1 scram-sha-256 xoauth2 oauthbearer external
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
        auth = auth(site).display(),
        chain = site.certificates.chain(Flaw::None).display(),
        key = site.certificates.key(Flaw::None).display(),
        authority = site.certificates.authority().display(),
    )
}
