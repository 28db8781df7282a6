//! The demo: a message to an embedded server, with a check of the outcome and of what was stored.

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

use smtp_test::{Config, Server, StoredMail};

use super::{compose, report};
use crate::smtp::proto::{self, Credentials, Mail, Outcome, RecipientStatus, Stage};
use crate::smtp::tls::{Endpoint, TlsConfig};

/// Runs the demo and returns the exit status: whether all checks passed.
pub(crate) fn run(send: impl FnOnce(&Endpoint, Mail) -> Result<Outcome, proto::Error>) -> u8 {
    match show(send) {
        Ok(true) => report::ACCEPTED,
        Ok(false) => report::NOT_ACCEPTED,
        Err(error) => {
            report::complain(&error.to_string());
            report::NOT_ACCEPTED
        }
    }
}

/// Whether all checks passed.
fn show(
    send: impl FnOnce(&Endpoint, Mail) -> Result<Outcome, proto::Error>,
) -> Result<bool, Box<dyn Error>> {
    let certificate = smtp_test::Tls::new();
    let trust = TlsConfig::builder()
        .no_default_roots()
        .add_root_der(certificate.authority_der().to_vec())
        .build()?;
    let server = Server::start(
        Config::new()
            .tls(certificate)
            .require_tls()
            .user(USER, PASSWORD)
            .require_auth()
            .reject(GONE, "550 5.1.1 no such user"),
    )?;

    report::print("The transcript:");
    let transcript = Arc::new(Mutex::new(String::new()));
    let endpoint = Endpoint::starttls("localhost")
        .port(server.port())
        .tls(trust)
        .credentials(Credentials::password(USER, PASSWORD)?)
        .client_name("client.example.org".parse()?)
        .transcript({
            let transcript = Arc::clone(&transcript);
            move |entry| {
                let line = format!("  {entry}");
                report::print(&line);
                *transcript.lock().unwrap_or_else(PoisonError::into_inner) += &line;
            }
        })
        .build()?;

    let text = compose::text(SENDER, &[BOB, GONE])?;
    let mail = Mail::new(SENDER, [BOB, GONE], text.clone())?;
    let outcome = send(&endpoint, mail)?;

    report::print("\nThe outcome:");
    report::outcome(&outcome);

    // The connection is closed, but the server may not have noticed yet.
    let sessions = server.wait_for_sessions(1, PATIENCE);
    let mails = server.mails();
    for mail in &mails {
        print_stored(mail);
    }

    let lines = transcript
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    report::print("\nChecks:");
    let mut checks = Checks { passed: true };
    checks.outcome(&outcome);
    match &mails[..] {
        [mail] => checks.stored(mail, &text),
        _ => checks.note("the server stored one message", false),
    }
    checks.note(
        "the session ended with QUIT and without a violation",
        sessions
            .iter()
            .all(|session| session.quit() && session.violations().is_empty())
            && sessions.len() == 1,
    );
    checks.note(
        "the transcript does not contain the password",
        lines.contains("AUTH PLAIN")
            && ![PASSWORD, PASSWORD_ENCODED]
                .iter()
                .any(|secret| lines.contains(secret)),
    );
    Ok(checks.passed)
}

fn print_stored(mail: &StoredMail) {
    report::print("\nWhat the server stored:");
    report::print(&format!(
        "from {} to {}",
        mail.sender(),
        mail.addresses().join(", ")
    ));
    report::print(&format!(
        "{} bytes, over TLS: {}, from the user {}",
        mail.body_len(),
        if mail.over_tls() { "yes" } else { "no" },
        mail.authenticated_as().unwrap_or("nobody")
    ));
}

/// Whether all checks so far passed.
struct Checks {
    passed: bool,
}

impl Checks {
    fn outcome(&mut self, outcome: &Outcome) {
        let statuses: Vec<_> = outcome
            .recipients()
            .iter()
            .map(|each| (each.recipient().as_str(), each.status()))
            .collect();
        let right = match &statuses[..] {
            [
                (BOB, RecipientStatus::Accepted(_)),
                (GONE, RecipientStatus::Rejected { stage, reply, .. }),
            ] => *stage == Stage::Rcpt && reply.code().as_u16() == 550,
            _ => false,
        };
        self.note("one recipient was accepted, the other rejected", right);
        let tls = outcome.tls().and_then(|info| info.version());
        self.note("the message went over TLS 1.3", tls == Some("TLSv1.3"));
    }

    fn stored(&mut self, mail: &StoredMail, text: &[u8]) {
        self.note(
            "the server stored it for the accepted recipient",
            mail.sender() == SENDER && mail.addresses() == [BOB],
        );
        self.note(
            "the stored message equals the composed one, byte for byte",
            mail.body() == text,
        );
        self.note(
            "it arrived over TLS, from the authenticated user",
            mail.over_tls() && mail.authenticated_as() == Some(USER),
        );
    }

    fn note(&mut self, what: &str, holds: bool) {
        self.passed &= holds;
        report::print(&format!("{} {what}", if holds { "yes:" } else { "NO: " }));
    }
}

const SENDER: &str = "zoe@example.org";
const BOB: &str = "bob@example.net";
const GONE: &str = "gone@example.net";

const USER: &str = "zoe";
const PASSWORD: &str = "correct horse";
/// The password as the mechanism PLAIN sends it, after NUL, user and NUL: `\0zoe\0correct horse` in
/// base64.
const PASSWORD_ENCODED: &str = "AHpvZQBjb3JyZWN0IGhvcnNl";

const PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);
