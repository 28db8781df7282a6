//! Postfix: submission with the SASL of Dovecot and of Cyrus; delivery into a Maildir by its own
//! agent.

use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use super::{DeliveryLog, Server, count_files_if, dovecot, said};
use crate::certificates::Flaw;
use crate::environment::{
    CONNECTIONS, Environment, FAR, FEW, HOST, IDLE_SECONDS, InternalListener, LARGE, Listener,
    SMALL, STORE, keep_private,
};
use crate::message::{PASSWORD, RECIPIENTS, SENDERS, Step, USER};
use crate::process::Neighbour;

#[derive(Debug)]
pub(super) struct Postfix;

/// The name of its packages.
pub(super) const NAME: &str = "postfix";

/// The user that its processes run as.
const POSTFIX: u32 = 3001;

impl Server for Postfix {
    fn name(&self) -> &'static str {
        NAME
    }

    fn listeners(&self) -> &'static [Listener] {
        &Listener::ALL
    }

    fn logs(&self, environment: &Environment) -> Vec<PathBuf> {
        vec![log(environment)]
    }

    fn internal_listeners(&self) -> &'static [InternalListener] {
        &[InternalListener::Header]
    }

    fn beside(&self) -> &'static [&'static str] {
        &[
            dovecot::NAME,
            "microsocks",
            "dante",
            "tinyproxy",
            "squid",
            "haproxy",
        ]
    }

    fn neighbours(&self, environment: &Environment) -> io::Result<Vec<Neighbour>> {
        dovecot::beside(environment)
    }

    fn prepare(&self, environment: &Environment) -> io::Result<Command> {
        let mut listeners: Vec<_> = Listener::ALL
            .map(|listener| (environment.port(listener), options(environment, listener)))
            .into();
        let header = environment.internal_port(InternalListener::Header);
        listeners.push((header, "-o smtpd_upstream_proxy_protocol=haproxy".into()));
        command(environment, "virtual", &listeners)
    }

    fn is_read_back(&self, environment: &Environment) -> bool {
        environment.has(dovecot::NAME)
    }

    fn queued(&self, environment: &Environment) -> io::Result<usize> {
        queued(environment)
    }

    fn mechanisms(&self) -> &'static [&'static str] {
        &["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"]
    }

    fn greylists(&self) -> bool {
        true
    }

    fn reports(&self) -> bool {
        true
    }

    fn delivery_log(&self, environment: &Environment) -> Option<DeliveryLog> {
        Some(DeliveryLog::new(
            environment.path("spool"),
            log(environment),
        ))
    }
}

/// Starts it, if it exists, as the companion that another server relays to; it stores by LMTP.
pub(super) fn beside(environment: &Environment, lmtp: u16) -> io::Result<Vec<Neighbour>> {
    if !environment.has(NAME) {
        return Ok(Vec::new());
    }
    let port = environment.internal_port(InternalListener::Beside);
    let options = "-o smtpd_authorized_xclient_hosts=127.0.0.1".into();
    let transport = format!("lmtp:inet:127.0.0.1:{lmtp}");
    Ok(vec![Neighbour {
        name: NAME,
        command: command(environment, &transport, &[(port, options)])?,
        address: (Ipv4Addr::LOCALHOST, port).into(),
        logs: vec![log(environment)],
    }])
}

fn log(environment: &Environment) -> PathBuf {
    environment.path("log")
}

/// The number of messages that it has accepted and not yet stored.
pub(super) fn queued(environment: &Environment) -> io::Result<usize> {
    let mut count = 0;
    for queue in ["incoming", "active", "deferred", "maildrop"] {
        count += count_files_if(&environment.path("spool").join(queue), is_complete)?;
    }
    Ok(count)
}

/// Stores mail by a transport, and listens at ports with options.
fn command(
    environment: &Environment,
    transport: &str,
    listeners: &[(u16, String)],
) -> io::Result<Command> {
    environment.write("conf/main.cf", &main(environment, transport))?;
    environment.write("conf/master.cf", &master(listeners))?;
    for step in [Step::Mail, Step::Data, Step::EndOfData] {
        let lines = SENDERS.iter().filter(|fault| fault.step == step);
        let mut table: String = lines
            .map(|fault| format!("/^{}-/ {} {}\n", fault.kind, fault.code, fault.text))
            .collect();
        if step == Step::Mail {
            table += "/^hold-/ HOLD\n";
        }
        environment.write(&format!("conf/{step:?}"), &table)?;
    }
    let table: String = (RECIPIENTS.iter())
        .map(|fault| format!("/^{}-/ {} {}\n", fault.kind, fault.code, fault.text))
        .collect();
    environment.write("conf/recipients", &(table + "/^later-/ greylist\n"))?;
    let mailboxes = format!("/^(ok|later)-.*@{HOST}$/ store/\n");
    environment.write("conf/mailboxes", &mailboxes)?;
    // The target of an alias is not checked before the message is accepted.
    let aliases = format!("/^bounce-(.*)@{HOST}$/ gone-$1@gone.test\n");
    environment.write("conf/aliases", &aliases)?;
    environment.write("conf/transports", "/@gone.test$/ error:5.1.1 Gone\n")?;
    environment.write(
            "conf/sasl/smtpd.conf",
            &format!(
                "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: {}\nmech_list: PLAIN LOGIN CRAM-MD5 SCRAM-SHA-1 SCRAM-SHA-256\n",
                environment.path("sasldb").display()
            ),
        )?;
    environment.folder("data", POSTFIX)?;
    environment.folder("store", STORE)?;
    fs::create_dir_all(environment.path("spool"))?;
    add_user(environment)?;
    // Creates the folders of the queue. It warns that the packages are not installed.
    let conf = environment.path("conf");
    said(
        environment
            .command("postfix")
            .arg("-c")
            .arg(&conf)
            .arg("check"),
    )?;
    let mut command = environment.command("/usr/lib/postfix/sbin/master");
    command
        .arg("-c")
        .arg(&conf)
        .arg("-s")
        .env("MAIL_CONFIG", &conf);
    Ok(command)
}

/// Whether a file of the queue holds a complete message.
fn is_complete(path: &Path) -> bool {
    let mode = path.metadata().map(|file| file.permissions().mode());
    // A file that is gone by now was complete.
    mode.map_or(true, |mode| mode & 0o100 != 0)
}

fn add_user(environment: &Environment) -> io::Result<()> {
    let mut command = environment.command("bash");
    let script = format!("printf {PASSWORD} | saslpasswd2 -p -c -f \"$1\" -u {HOST} {USER}");
    let database = environment.path("sasldb");
    said(command.args(["-c", &script, "bash"]).arg(&database))?;
    keep_private(&database, POSTFIX)
}

fn main(environment: &Environment, transport: &str) -> String {
    let home = environment.home().display();
    let beside = environment.internal_port(InternalListener::Beside);
    let greylist = environment.greylist;
    let key = environment.certificates.key(Flaw::None);
    let chain = environment.certificates.chain(Flaw::None);
    format!(
        "compatibility_level = 3.6
queue_directory = {home}/spool
enable_long_queue_ids = yes
data_directory = {home}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = {log}
maillog_file_prefixes = {home}
myhostname = {HOST}
mydestination =
mynetworks =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
smtp_dns_support_level = disabled
smtpd_peername_lookup = no
alias_maps =
alias_database =
local_transport = error:nobody
local_header_rewrite_clients =
virtual_alias_maps = regexp:{home}/conf/aliases
virtual_mailbox_domains = {HOST}
virtual_transport = {transport}
virtual_mailbox_base = {home}
virtual_mailbox_maps = regexp:{home}/conf/mailboxes
virtual_uid_maps = static:{STORE}
virtual_gid_maps = static:{STORE}
virtual_minimum_uid = 100
message_size_limit = {LARGE}
mailbox_size_limit = 0
virtual_mailbox_limit = 0
in_flow_delay = 0
smtpd_recipient_limit = 1000
smtpd_error_sleep_time = 0
smtpd_soft_error_limit = 10000
smtpd_hard_error_limit = 10001
smtpd_client_connection_count_limit = 0
smtpd_delay_reject = no
smtpd_authorized_xclient_hosts = 127.0.0.1
smtpd_authorized_xforward_hosts = 127.0.0.1
smtpd_relay_restrictions = permit_sasl_authenticated, permit_auth_destination, reject
smtpd_restriction_classes = greylist
greylist = check_policy_service inet:127.0.0.1:{greylist}
smtpd_sender_restrictions = check_sender_access regexp:{home}/conf/Mail
smtpd_recipient_restrictions = check_recipient_access regexp:{home}/conf/recipients, reject_unlisted_recipient
smtpd_data_restrictions = check_sender_access regexp:{home}/conf/Data
smtpd_end_of_data_restrictions = check_sender_access regexp:{home}/conf/EndOfData
smtpd_tls_security_level = may
smtpd_tls_chain_files = {key}, {chain}
smtpd_tls_auth_only = yes
smtpd_sasl_type = cyrus
smtpd_sasl_path = smtpd
cyrus_sasl_config_path = {home}/conf/sasl
smtpd_sasl_local_domain = {HOST}
smtpd_sasl_security_options = noanonymous
relay_domains = {FAR}
transport_maps = regexp:{home}/conf/transports, inline:{{{FAR}=lmtp:inet:127.0.0.1:{beside}}}
lmtp_host_lookup = native
lmtp_tls_security_level = verify
lmtp_tls_verify_cert_match = {HOST}
lmtp_tls_CAfile = {authority}
",
        log = log(environment).display(),
        key = key.display(),
        chain = chain.display(),
        authority = environment.certificates.authority().display(),
    )
}

/// The options of a listener.
fn options(environment: &Environment, listener: Listener) -> String {
    let chain = |flaw| {
        let key = environment.certificates.key(flaw);
        let chain = environment.certificates.chain(flaw);
        format!(
            "-o smtpd_tls_chain_files={},{}",
            key.display(),
            chain.display()
        )
    };
    match listener {
        // It has no limit of messages, and does not listen there.
        Listener::Relay | Listener::Brief => String::new(),
        Listener::Submission => {
            let sasl = match environment.has(dovecot::NAME) {
                true => format!(
                    "-o smtpd_sasl_type=dovecot -o smtpd_sasl_path=unix:{}",
                    dovecot::auth(environment).display()
                ),
                false => String::new(),
            };
            format!("-o smtpd_tls_security_level=encrypt -o smtpd_sasl_auth_enable=yes {sasl}")
        }
        Listener::Implicit => "-o smtpd_tls_wrappermode=yes -o smtpd_sasl_auth_enable=yes".into(),
        Listener::Bare => "-o smtpd_tls_security_level=none -o smtpd_discard_ehlo_keywords=\
                pipelining,chunking,8bitmime,smtputf8,dsn,size,etrn,vrfy,enhancedstatuscodes"
            .into(),
        Listener::Small => format!("-o message_size_limit={SMALL}"),
        Listener::Broken => "-o smtpd_tls_chain_files= -o smtpd_tls_cert_file=/nonexistent \
                -o smtpd_tls_key_file=/nonexistent"
            .into(),
        Listener::WrongName => chain(Flaw::WrongName),
        Listener::Expired => chain(Flaw::Expired),
        Listener::SelfSigned => chain(Flaw::SelfSigned),
        Listener::Old => "-o smtpd_tls_protocols=TLSv1,TLSv1.1 \
            -o smtpd_tls_mandatory_protocols=TLSv1,TLSv1.1 \
            -o { tls_medium_cipherlist = ALL:@SECLEVEL=0 }"
            .into(),
        Listener::Few => format!("-o smtpd_recipient_limit={FEW}"),
        // It excepts clients of the own network from the limit, and those that may send XCLIENT.
        Listener::Strict => format!(
            "-o smtpd_timeout={IDLE_SECONDS}s -o smtpd_client_connection_count_limit={CONNECTIONS} \
                -o smtpd_client_event_limit_exceptions= -o smtpd_authorized_xclient_hosts= \
                -o smtpd_authorized_xforward_hosts="
        ),
    }
}

fn master(listeners: &[(u16, String)]) -> String {
    let mut text = String::from("postlog unix-dgram n - n - 1 postlogd\n");
    for (port, options) in listeners {
        text += &format!("127.0.0.1:{port} inet n - n - - smtpd\n  {options}\n");
    }
    text + "\
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
lmtp unix - - n - - lmtp
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
"
}
