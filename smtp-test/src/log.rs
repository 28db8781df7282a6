use std::{
    fmt,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::{Session, StoredMail, Violation};

/// What a server saw: its messages and its connections. A handle: clones show the same.
///
/// It stays readable while the server runs and after its end, also when the stream was given away to a client.
#[derive(Clone, Default)]
pub struct Log {
    shared: Arc<Shared>,
}

impl Log {
    /// An empty log.
    pub fn new() -> Self {
        Self::default()
    }

    /// The messages stored so far, in order of their final replies.
    pub fn mails(&self) -> Vec<StoredMail> {
        self.lock().mails.clone()
    }

    /// How many messages were stored so far, also those that [`Config::discard_mails`](crate::Config::discard_mails) let go.
    pub fn mail_count(&self) -> usize {
        self.lock().count
    }

    /// One record for each connection so far, in order of their beginnings; of those that live, as far as they got.
    pub fn sessions(&self) -> Vec<Session> {
        self.lock().sessions.clone()
    }

    /// The record of the first connection, which in memory is the only one.
    ///
    /// # Panics
    /// If there was no connection.
    #[track_caller]
    pub fn session(&self) -> Session {
        self.lock()
            .sessions
            .first()
            .expect("a connection was made")
            .clone()
    }

    /// All that clients did wrong so far, on all connections.
    pub fn violations(&self) -> Vec<Violation> {
        let book = self.lock();
        book.sessions
            .iter()
            .flat_map(Session::violations)
            .cloned()
            .collect()
    }

    /// How many TLS handshakes so far resumed an earlier session.
    pub fn resumptions(&self) -> usize {
        self.lock()
            .sessions
            .iter()
            .filter(|session| session.resumed())
            .count()
    }

    /// Waits until at least `count` messages are stored, and gives them; fewer if `timeout` passes before.
    pub fn wait_for_mails(&self, count: usize, timeout: Duration) -> Vec<StoredMail> {
        self.wait(timeout, |book| book.count >= count).mails.clone()
    }

    /// Waits until at least `count` connections have ended, and gives the records of all; `timeout` bounds the wait.
    pub fn wait_for_sessions(&self, count: usize, timeout: Duration) -> Vec<Session> {
        self.wait(timeout, |book| {
            book.sessions
                .iter()
                .filter(|session| session.is_closed())
                .count()
                >= count
        })
        .sessions
        .clone()
    }

    /// Asserts that no client did anything wrong.
    ///
    /// # Panics
    /// With each violation and the transcripts, if there was one.
    #[track_caller]
    pub fn assert_clean(&self) {
        let violations = self.violations();
        if violations.is_empty() {
            return;
        }
        let list: Vec<String> = violations
            .iter()
            .map(|violation| format!("  {violation}"))
            .collect();
        let transcripts: Vec<String> = self.sessions().iter().map(Session::transcript).collect();
        panic!(
            "the client broke the protocol:\n{}\ntranscript:\n{}",
            list.join("\n"),
            transcripts.join("\n")
        );
    }

    /// Begins a record and gives its number.
    pub(crate) fn open(&self, session: Session) -> usize {
        let mut book = self.lock();
        book.sessions.push(session);
        book.sessions.len() - 1
    }

    /// Changes the record of one connection.
    pub(crate) fn update(&self, number: usize, change: impl FnOnce(&mut Session)) {
        let mut book = self.lock();
        change(&mut book.sessions[number]);
        if book.waiting > 0 && book.sessions[number].is_closed() {
            self.shared.changed.notify_all();
        }
    }

    /// Counts a message of one connection, and keeps it unless there is none to keep.
    pub(crate) fn store(&self, number: usize, mail: Option<StoredMail>) {
        let mut book = self.lock();
        book.sessions[number].mails += 1;
        book.count += 1;
        book.mails.extend(mail);
        if book.waiting > 0 {
            self.shared.changed.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.shared
            .book
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(
        &self,
        timeout: Duration,
        mut enough: impl FnMut(&Book) -> bool,
    ) -> MutexGuard<'_, Book> {
        let end = Instant::now() + timeout;
        let mut book = self.lock();
        book.waiting += 1;
        while !enough(&book) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            book = self
                .shared
                .changed
                .wait_timeout(book, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        book.waiting -= 1;
        book
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let book = self.lock();
        f.debug_struct("Log")
            .field("messages", &book.mails.len())
            .field("sessions", &book.sessions.len())
            .finish()
    }
}

#[derive(Default)]
struct Shared {
    book: Mutex<Book>,
    changed: Condvar,
}

#[derive(Default)]
struct Book {
    mails: Vec<StoredMail>,
    /// Messages ever stored.
    count: usize,
    sessions: Vec<Session>,
    /// Threads that wait for a change.
    waiting: usize,
}
