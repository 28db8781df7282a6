//! Sendmail: its rulesets reject, a program of this project stores its deliveries; logins by Cyrus
//! SASL, and by a certificate.

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
pub(super) struct Sendmail;

impl Server for Sendmail {
    fn name(&self) -> &'static str {
        "sendmail"
    }

    /// STARTTLS is not advertised where it is not available.
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
        for each in ["store", "store/tmp", "store/new"] {
            environment.folder(each, STORE)?;
        }
        let listeners = [
            Listener::Relay,
            Listener::Submission,
            Listener::Implicit,
            Listener::Bare,
        ];
        start(environment, environment, Flaw::None, LARGE, &listeners)
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
            start(part, environment, flaw, size, listeners)
        })
    }

    fn reports(&self) -> bool {
        true
    }

    fn knows_certificates(&self) -> bool {
        true
    }

    fn mechanisms(&self) -> &'static [&'static str] {
        &["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"]
    }

    /// Mechanisms that do not send the password.
    fn mechanisms_in_clear(&self) -> &'static [&'static str] {
        &["SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5"]
    }

    fn queued(&self, environment: &Environment) -> io::Result<usize> {
        let parts = [
            "",
            "small/",
            "wrong-name/",
            "expired/",
            "self-signed/",
            "few/",
        ];
        let queues = parts.map(|part| environment.path(&format!("{part}var/spool/mqueue")));
        queues.iter().map(|queue| count_files(queue)).sum()
    }
}

/// A process with some of the listeners, which delivers into the common store.
fn start(
    part: &Environment,
    whole: &Environment,
    flaw: Flaw,
    size: u64,
    listeners: &[Listener],
) -> io::Result<Command> {
    // A full name, because otherwise it waits a minute for one; and not the name of the domain,
    // because its users would be local ones.
    part.write("etc/hosts", "127.0.0.1 mx.mail.test localhost\n")?;
    for each in [
        "etc",
        "etc/mail",
        "etc/sasl2",
        "var/spool",
        "var/spool/mqueue",
    ] {
        fs::create_dir_all(part.path(each))?;
        fs::set_permissions(part.path(each), fs::Permissions::from_mode(0o755))?;
    }
    // It uses no file that another user could have replaced, as in the common folder.
    fs::set_permissions(
        part.path("var/spool/mqueue"),
        fs::Permissions::from_mode(0o700),
    )?;
    let certificates = &part.certificates;
    for (from, to) in [
        (certificates.key(flaw), "etc/mail/key.pem"),
        (certificates.chain(flaw), "etc/mail/chain.pem"),
        (certificates.authority(), "etc/mail/authority.pem"),
    ] {
        fs::copy(from, part.path(to))?;
        keep_private(&part.path(to), 0)?;
    }
    part.write("etc/mail/aliases", "")?;
    part.write("etc/mail/service.switch", "hosts files\naliases files\n")?;
    part.write(
        "etc/sasl2/Sendmail.conf",
        "pwcheck_method: auxprop
auxprop_plugin: sasldb
sasldb_path: /etc/mail/sasldb
mech_list: PLAIN LOGIN CRAM-MD5 SCRAM-SHA-1 SCRAM-SHA-256 EXTERNAL
",
    )?;
    let script = format!("printf {PASSWORD} | saslpasswd2 -p -c -f \"$1\" -u {HOST} {USER}");
    let database = part.path("etc/mail/sasldb");
    let mut add_user = part.command("bash");
    said(add_user.args(["-c", &script, "bash"]).arg(&database))?;
    keep_private(&database, 0)?;
    let store = whole.write("store-program", include_str!("../../programs/store"))?;
    let source = part.write(
        "sendmail.mc",
        &configuration(part, whole, &store.to_string_lossy(), size, listeners),
    )?;
    let configuration = said(part.command("m4").arg(source))?;
    part.write("etc/mail/sendmail.cf", &configuration)?;
    let mut command = part.command("/usr/libexec/sendmail/sendmail");
    // Messages in the queue are delivered after a restart.
    command.args(["-bD", "-q1s", "-C", "/etc/mail/sendmail.cf"]);
    Ok(command)
}

fn configuration(
    part: &Environment,
    whole: &Environment,
    store: &str,
    size: u64,
    listeners: &[Listener],
) -> String {
    let daemons: String = listeners
        .iter()
        .map(|&listener| {
            let modifiers = match listener {
                Listener::Submission => "Ea",
                Listener::Implicit => "Es",
                _ => "E",
            };
            let port = part.port(listener);
            format!(
                "DAEMON_OPTIONS(`Family=inet, Name={listener:?}, Port={port}, Addr=127.0.0.1, M={modifiers}')dnl\n"
            )
        })
        .collect();
    let bare = part.port(Listener::Bare);
    let most = if listeners == [Listener::Few] {
        FEW
    } else {
        1000
    };
    let folder = whole.path("store");
    let folder = folder.display();
    let at = |step, whose: &str| rules(step, whose);
    format!(
        "define(`_USE_ETC_MAIL_')dnl
include(`/usr/share/sendmail/cf/m4/cf.m4')dnl
OSTYPE(`linux')dnl
define(`confDOMAIN_NAME', `mx.mail.test')dnl
define(`confPID_FILE', `/run/sendmail.pid')dnl
define(`STATUS_FILE', `/run/statistics')dnl
define(`QUEUE_DIR', `/var/spool/mqueue')dnl
define(`ALIAS_FILE', `/etc/mail/aliases')dnl
define(`confSERVICE_SWITCH_FILE', `/etc/mail/service.switch')dnl
define(`confTO_IDENT', `0')dnl
define(`confCACERT_PATH', `/etc/mail')dnl
define(`confCACERT', `/etc/mail/authority.pem')dnl
define(`confSERVER_CERT', `/etc/mail/chain.pem')dnl
define(`confSERVER_KEY', `/etc/mail/key.pem')dnl
define(`confAUTH_MECHANISMS', `EXTERNAL SCRAM-SHA-256 SCRAM-SHA-1 CRAM-MD5 LOGIN PLAIN')dnl
define(`confAUTH_OPTIONS', `A p y')dnl
define(`confAUTH_REALM', `{HOST}')dnl
define(`confDELIVER_BY_MIN', `60')dnl
define(`confMAX_MESSAGE_SIZE', `{size}')dnl
define(`confMAX_RCPTS_PER_MESSAGE', `{most}')dnl
define(`confDELIVERY_MODE', `interactive')dnl
define(`confREFUSE_LA', `1000')dnl
define(`confQUEUE_LA', `1000')dnl
FEATURE(`no_default_msa')dnl
FEATURE(`nouucp', `reject')dnl
FEATURE(`nocanonify')dnl
FEATURE(`accept_unresolvable_domains')dnl
{daemons}MAILER_DEFINITIONS
MAILER(`smtp')dnl
Mstore,\tP=/bin/sh, F=lnuh8, S=EnvFromSMTP/HdrFromSMTP, R=EnvToSMTP, E=\\n, L=0, U={STORE}:{STORE}, T=DNS/RFC822/SMTP,
\tA=sh {store} {folder} $g $u
LOCAL_CONFIG
Kkind regex -s1 ^<?([a-z]+)-
LOCAL_RULE_0
R$* <@ {HOST} . > $*\t$#store $@ {HOST} $: $1 <@ {HOST} .> $2
LOCAL_RULESETS
SLocal_check_mail
{at_mail}SLocal_check_rcpt
{at_rcpt}Rok\t$#OK
Rbounce\t$#OK
R$*\t$#error $@ 5.1.1 $: \"550 No such user\"
Scheck_data
{at_data}Scheck_eom
{at_end}LOCAL_SRV_FEATURES
R$*\t$: $&{{daemon_port}}
R{bare}\t$# A B D E P S X
",
        at_mail = at(Step::Mail, "$1"),
        at_rcpt = at(Step::Rcpt, "$1"),
        at_data = at(Step::Data, "$&f"),
        at_end = at(Step::EndOfData, "$&f"),
    )
}

/// Rules that reject at a step by the kind of an address.
fn rules(step: Step, whose: &str) -> String {
    let faults: Vec<&Fault> = SENDERS.iter().chain(&RECIPIENTS).collect();
    let mut text = format!("R$*\t$: $(kind {whose} $: none $)\n");
    for fault in faults.iter().filter(|fault| fault.step == step) {
        let (status, words) = fault.text.split_once(' ').unwrap_or_default();
        text += &format!(
            "R{}\t$#error $@ {status} $: \"{} {words}\"\n",
            fault.kind, fault.code
        );
    }
    text
}
