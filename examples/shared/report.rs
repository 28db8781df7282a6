//! The output of the program.

use std::error::Error as _;
use std::io::{self, Write};

use crate::smtp::proto::{Error, Outcome, RecipientStatus};
use crate::smtp::tls::rustls::{self, CertificateError};

/// Exit status: accepted for all recipients.
pub(crate) const ACCEPTED: u8 = 0;
/// Exit status: rejected or not sent for some recipient, in doubt for none.
pub(crate) const NOT_ACCEPTED: u8 = 1;
/// Exit status: nothing was tried.
pub(crate) const UNUSABLE: u8 = 2;
/// Exit status: in doubt for some recipient.
pub(crate) const IN_DOUBT: u8 = 3;

/// The exit status for an outcome.
pub(crate) fn status(outcome: &Outcome) -> u8 {
    if outcome.is_in_doubt() {
        IN_DOUBT
    } else if outcome.is_accepted() {
        ACCEPTED
    } else {
        NOT_ACCEPTED
    }
}

/// Prints the outcome of a message and the statistics of the connection.
pub(crate) fn outcome(outcome: &Outcome) {
    for each in outcome.recipients() {
        let (recipient, status) = (each.recipient(), each.status());
        let later = match status {
            RecipientStatus::Rejected { .. } | RecipientStatus::NotSent(_)
                if status.is_transient() =>
            {
                "; it can be retried later"
            }
            RecipientStatus::InDoubt(_) => "; a retry may deliver it twice",
            _ => "",
        };
        print(&format!("{recipient}: {status:#}{later}"));
    }
    if let Some(error) = outcome.error() {
        reasons(error);
    }
    match outcome.tls() {
        Some(info) => print(&format!("TLS: {info}")),
        None => print("TLS: none"),
    }
    let stats = outcome.stats();
    print(&format!(
        "{} round trips, {} bytes sent, {} received",
        stats.round_trips(),
        stats.bytes_sent(),
        stats.bytes_received()
    ));
}

/// Prints the failure to connect.
pub(crate) fn failure(error: &Error) {
    complain(&format!("not sent: {error:#}"));
    reasons(error);
    if is_unknown_authority(error) {
        note("  to trust a private authority: --ca with its certificate");
    }
}

/// Prints to standard output. A closed pipe must not end the program during a transaction.
pub(crate) fn print(text: &str) {
    let _ = writeln!(io::stdout(), "{}", text.trim_end());
}

/// Prints to standard error.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Prints an error to standard error.
pub(crate) fn complain(text: &str) {
    note(&format!("error: {text}"));
}

/// Prints the sources of an error that its own text does not contain.
fn reasons(error: &Error) {
    let shown = format!("{error:#}");
    let mut next = error.source();
    while let Some(reason) = next {
        let text = reason.to_string();
        if !shown.contains(&text) {
            note(&format!("  because: {text}"));
        }
        next = reason.source();
    }
}

fn is_unknown_authority(error: &Error) -> bool {
    let reason = error.source().and_then(|reason| reason.downcast_ref());
    matches!(
        reason,
        Some(rustls::Error::InvalidCertificate(
            CertificateError::UnknownIssuer
        ))
    )
}
