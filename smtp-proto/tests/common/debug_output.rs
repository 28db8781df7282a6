//! All text about a session that people may see, for a search for secrets.
#![allow(unreachable_pub, reason = "the tests of the adapters use this too")]

use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex, MutexGuard};

use smtp_proto::{Error, Outcome, TranscriptEntry};

/// The text so far; clones share it.
#[derive(Clone, Default)]
pub struct DebugOutput(Arc<Mutex<String>>);

impl DebugOutput {
    pub fn debug(&self, value: &dyn Debug) {
        writeln!(self.0.lock().unwrap(), "{value:?}\n{value:#?}").unwrap();
    }

    pub fn text(&self, value: impl ToString) {
        self.0.lock().unwrap().push_str(&value.to_string());
    }

    pub fn error(&self, error: &Error) {
        self.debug(error);
        self.text(error);
        self.debug(error.kind());
        self.text(error.kind());
        if let Some(fragment) = error.partial_reply() {
            self.text(String::from_utf8_lossy(fragment));
        }
        if let Some(reply) = error.reply() {
            self.debug(reply);
            self.text(reply);
        }
        let mut source = std::error::Error::source(error);
        while let Some(error) = source {
            self.debug(&error);
            self.text(error);
            source = error.source();
        }
    }

    /// Adds every text of an outcome.
    pub fn outcome(&self, outcome: &Outcome) {
        self.debug(outcome);
        for delivery in outcome.recipients() {
            self.text(delivery.status());
            self.text(delivery.recipient());
        }
        if let Err(undelivered) = outcome.clone().all_accepted() {
            self.text(&undelivered);
            self.debug(&undelivered);
        }
        if let Some(error) = outcome.error() {
            self.error(error);
        }
    }

    /// An observer that adds the transcript.
    pub fn observer(&self) -> impl Fn(&TranscriptEntry<'_>) + Send + Sync + 'static {
        let shown = self.clone();
        move |entry| {
            shown.debug(entry);
            shown.text(entry);
        }
    }

    pub fn all(&self) -> MutexGuard<'_, String> {
        self.0.lock().unwrap()
    }
}
