//! Exim: its own authenticators and those of Dovecot, delivery into a Maildir by its own transport.

use std::io;
use std::path::PathBuf;
use std::process::Command;

use super::{Server, count_files_if, dovecot};
use crate::certificates::Flaw;
use crate::environment::{
    CONNECTIONS, Environment, FEW, HOST, IDLE_SECONDS, LARGE, Listener, SMALL, STORE, keep_private,
};
use crate::message::{Fault, PASSWORD, RECIPIENTS, SENDERS, Step, USER};
use crate::process::Neighbour;

#[derive(Debug)]
pub(super) struct Exim;

const LISTENERS: [Listener; 13] = {
    let mut listeners = [Listener::Brief; 13];
    let (most, _) = listeners.split_at_mut(Listener::ALL.len());
    most.copy_from_slice(&Listener::ALL);
    listeners
};

/// The maximum number of messages of a connection at [`Listener::Brief`].
const MESSAGES: u32 = 3;

/// The user that it runs as.
const EXIM: u32 = 3002;

impl Server for Exim {
    fn name(&self) -> &'static str {
        "exim"
    }

    fn listeners(&self) -> &'static [Listener] {
        &LISTENERS
    }

    fn prepare(&self, environment: &Environment) -> io::Result<Command> {
        for each in ["spool", "log"] {
            environment.folder(each, EXIM)?;
        }
        environment.folder("store", STORE)?;
        for flaw in Flaw::ALL {
            keep_private(&environment.certificates.key(flaw), EXIM)?;
        }
        // The default path, because it does not trust a file that is named on the command line.
        environment.write("etc/exim4/exim4.conf", &configuration(environment))?;
        let mut command = environment.command("exim4");
        command.args(["-bdf", "-q1m"]);
        Ok(command)
    }

    fn logs(&self, environment: &Environment) -> Vec<PathBuf> {
        ["log/main", "log/panic"]
            .map(|name| environment.path(name))
            .into()
    }

    fn beside(&self) -> &'static [&'static str] {
        &[dovecot::NAME]
    }

    fn neighbours(&self, environment: &Environment) -> io::Result<Vec<Neighbour>> {
        dovecot::beside(environment)
    }

    fn greylists(&self) -> bool {
        true
    }

    fn reports(&self) -> bool {
        true
    }

    fn reports_xtext(&self) -> bool {
        true
    }

    fn knows_certificates(&self) -> bool {
        true
    }

    fn mechanisms(&self) -> &'static [&'static str] {
        &["PLAIN", "LOGIN", "CRAM-MD5"]
    }

    fn rejects_before_chunks(&self) -> bool {
        false
    }

    fn loses_its_place(&self) -> bool {
        true
    }

    fn queued(&self, environment: &Environment) -> io::Result<usize> {
        // The header file is the last one of a message to be written.
        count_files_if(&environment.path("spool/input"), |path| {
            path.to_string_lossy().ends_with("-H")
        })
    }
}

/// The statements of an ACL that reject by the kind of an address.
fn statements(step: Option<Step>) -> String {
    let (faults, condition): (&[Fault], _) = match step {
        Some(_) => (&SENDERS, "senders"),
        None => (&RECIPIENTS, "local_parts"),
    };
    let mut text = String::new();
    for fault in faults
        .iter()
        .filter(|fault| step.is_none_or(|step| fault.step == step))
    {
        let verb = if fault.code < 500 { "defer" } else { "deny" };
        text += &format!(
            "  {verb} {condition} = ^{}-\n    message = {} {}\n",
            fault.kind, fault.code, fault.text
        );
    }
    text
}

/// The mechanisms that Dovecot performs.
fn authenticators(environment: &Environment) -> String {
    if !environment.has(dovecot::NAME) {
        return String::new();
    }
    let socket = dovecot::auth(environment);
    let mechanisms = ["SCRAM-SHA-1", "SCRAM-SHA-256", "XOAUTH2", "OAUTHBEARER"];
    mechanisms
        .map(|name| {
            format!(
                "{}:
  driver = dovecot
  public_name = {name}
  server_socket = {}
  server_set_id = $auth1
",
                name.replace('-', "_"),
                socket.display()
            )
        })
        .concat()
}

fn configuration(environment: &Environment) -> String {
    let home = environment.home().display();
    let ports = LISTENERS
        .map(|listener| environment.port(listener).to_string())
        .join(" : ");
    let [
        submission,
        implicit,
        bare,
        small,
        broken,
        old,
        few,
        strict,
        brief,
    ] = [
        Listener::Submission,
        Listener::Implicit,
        Listener::Bare,
        Listener::Small,
        Listener::Broken,
        Listener::Old,
        Listener::Few,
        Listener::Strict,
        Listener::Brief,
    ]
    .map(|listener| environment.port(listener));
    let greylist = environment.greylist;
    let unless_bare = format!("${{if eq{{$received_port}}{{{bare}}}{{}}{{*}}}}");
    let by_port = |file: fn(&Environment, Flaw) -> String| {
        let flawed = [
            (Listener::WrongName, Flaw::WrongName),
            (Listener::Expired, Flaw::Expired),
            (Listener::SelfSigned, Flaw::SelfSigned),
        ];
        (flawed.into_iter()).fold(file(environment, Flaw::None), |others, (listener, flaw)| {
            format!(
                "${{if eq{{$received_port}}{{{}}}{{{}}}{{{others}}}}}",
                environment.port(listener),
                file(environment, flaw)
            )
        })
    };
    let chain =
        by_port(|environment, flaw| environment.certificates.chain(flaw).display().to_string());
    let key = by_port(|environment, flaw| environment.certificates.key(flaw).display().to_string());
    format!(
        "primary_hostname = {HOST}
spool_directory = {home}/spool
log_file_path = {home}/log/%s
pid_file_path = {home}/spool/pid
keep_environment =
daemon_smtp_ports = {ports}
# Where a port is taken it says so and ends, and does not wait for half a minute, nine times.
daemon_startup_retries = 0
tls_on_connect_ports = {implicit}
local_interfaces = 127.0.0.1
disable_ipv6
exim_user = Debian-exim
exim_group = Debian-exim
never_users = root
host_lookup =
rfc1413_hosts =
dns_again_means_nonexist = *
smtp_accept_queue_per_connection = 0
smtp_accept_max = 50
smtp_accept_max_nonmail = 1000000
smtp_accept_max_per_host = ${{if eq{{$received_port}}{{{strict}}}{{{CONNECTIONS}}}{{0}}}}
smtp_accept_max_per_connection = ${{if eq{{$received_port}}{{{brief}}}{{{MESSAGES}}}{{0}}}}
smtp_receive_timeout = ${{if eq{{$received_port}}{{{strict}}}{{{IDLE_SECONDS}s}}{{5m}}}}
smtp_max_synprot_errors = 1000
deliver_queue_load_max = 1000
queue_only_load = 1000
message_size_limit = ${{if eq{{$received_port}}{{{small}}}{{{SMALL}}}{{{LARGE}}}}}
recipients_max = 1000
tls_advertise_hosts = {unless_bare}
tls_certificate = ${{if eq{{$received_port}}{{{broken}}}{{/nonexistent}}{{{chain}}}}}
tls_privatekey = {key}
tls_require_ciphers = ${{if eq{{$received_port}}{{{old}}}{{LEGACY:-VERS-ALL:+VERS-TLS1.0:+VERS-TLS1.1}}{{NORMAL}}}}
tls_resumption_hosts = *
tls_try_verify_hosts = *
tls_verify_certificates = {authority}
auth_advertise_hosts = ${{if or{{{{eq{{$received_port}}{{{submission}}}}}{{eq{{$received_port}}{{{implicit}}}}}}}{{${{if eq{{$tls_in_cipher}}{{}}{{}}{{*}}}}}}{{}}}}
pipelining_advertise_hosts = {unless_bare}
chunking_advertise_hosts = {unless_bare}
dsn_advertise_hosts = {unless_bare}
smtputf8_advertise_hosts = {unless_bare}
accept_8bitmime
acl_smtp_mail = mail
acl_smtp_rcpt = rcpt
acl_smtp_predata = predata
acl_smtp_data = data
begin acl
mail:
{at_mail}  accept
rcpt:
{at_rcpt}  defer condition = ${{if and{{{{eq{{$received_port}}{{{few}}}}}{{>{{$rcpt_count}}{{{FEW}}}}}}}}}
    message = 452 4.5.3 Too many recipients
  defer local_parts = ^later-
    condition = ${{if match{{${{readsocket{{inet:127.0.0.1:{greylist}}}{{recipient=$local_part@$domain\\n\\n}}{{5s}}}}}}{{451}}}}
    message = 451 4.7.1 Greylisted, come back later
  accept domains = {HOST}
    local_parts = ^ok- : ^later- : ^bounce-
  accept authenticated = *
  deny message = 550 5.1.1 no such user
predata:
{at_data}  accept
data:
{at_end}  accept
begin routers
gone:
  driver = redirect
  local_parts = ^bounce-
  allow_fail
  data = :fail: gone
store:
  driver = accept
  domains = {HOST}
  transport = store
begin transports
store:
  driver = appendfile
  maildir_format
  directory = {home}/store
  user = store
  group = store
  envelope_to_add
  return_path_add
  batch_max = 1
begin retry
* * F,1h,1m
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${{if and{{{{eq{{$auth2}}{{{USER}@{HOST}}}}}{{eq{{$auth3}}{{{PASSWORD}}}}}}}}}
  server_set_id = $auth2
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = Username:: : Password::
  server_condition = ${{if and{{{{eq{{$auth1}}{{{USER}@{HOST}}}}}{{eq{{$auth2}}{{{PASSWORD}}}}}}}}}
  server_set_id = $auth1
cram:
  driver = cram_md5
  public_name = CRAM-MD5
  server_secret = ${{if eq{{$auth1}}{{{USER}@{HOST}}}{{{PASSWORD}}}fail}}
  server_set_id = $auth1
external:
  driver = external
  public_name = EXTERNAL
  server_advertise_condition = $tls_in_certificate_verified
  server_param2 = ${{certextract{{subject,CN}}{{$tls_in_peercert}}}}
  server_condition = ${{if or{{{{eq{{$auth1}}{{}}}}{{eq{{$auth1}}{{$auth2}}}}}}}}
  server_set_id = $auth2
{by_dovecot}",
        authority = environment.certificates.authority().display(),
        by_dovecot = authenticators(environment),
        at_mail = statements(Some(Step::Mail)),
        at_rcpt = statements(None),
        at_data = statements(Some(Step::Data)),
        at_end = statements(Some(Step::EndOfData)),
    )
}
