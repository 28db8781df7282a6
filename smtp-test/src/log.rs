use std::{
    fmt,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::{Session, StoredMail, Violation};

/// The messages and connections of a server. A handle: clones share the same log.
///
/// It is readable while the server runs and afterwards, also when the stream was moved to a client.
///
/// ```
/// use std::io::Write;
/// use smtp_test::{Config, MemoryServer};
///
/// # fn main() -> std::io::Result<()> {
/// let mut stream = MemoryServer::new(&Config::new());
/// let log = stream.log();
/// stream.write_all(b"QUIT\r\n")?;
/// drop(stream);
/// assert_eq!(log.session().commands(), ["QUIT"]);
/// assert!(log.mails().is_empty());
/// # Ok(())
/// # }
/// ```
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

    /// The number of messages stored so far, including those that
    /// [`Config::discard_mails`](crate::Config::discard_mails) dropped.
    pub fn mail_count(&self) -> usize {
        self.lock().count
    }

    /// The records of all connections so far, in the order of their start; those of open ones up to
    /// now.
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

    /// All violations so far, on all connections.
    ///
    /// ```
    /// use smtp_test::{Config, Machine, Peer, Rule};
    ///
    /// let mut server = Machine::new(&Config::new());
    /// let _greeting = server.poll_output();
    /// server.handle_input(b"NOOP\n");
    /// assert_eq!(server.log().violations()[0].rule(), Rule::BareLf);
    /// ```
    pub fn violations(&self) -> Vec<Violation> {
        let book = self.lock();
        book.sessions
            .iter()
            .flat_map(Session::violations)
            .cloned()
            .collect()
    }

    /// The number of TLS handshakes so far that resumed a session.
    pub fn resumptions(&self) -> usize {
        self.lock()
            .sessions
            .iter()
            .filter(|session| session.resumed())
            .count()
    }

    /// Waits until at least `count` messages are stored, and returns all; after `timeout` there may
    /// be fewer.
    ///
    /// ```
    /// use std::time::Duration;
    /// use smtp_test::{Config, Server};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let server = Server::start(Config::new())?;
    /// // The program under test, which would send a message on another thread.
    /// let mails = server.log().wait_for_mails(1, Duration::from_millis(1));
    /// assert!(mails.is_empty(), "nothing was sent before the timeout");
    /// # Ok(())
    /// # }
    /// ```
    pub fn wait_for_mails(&self, count: usize, timeout: Duration) -> Vec<StoredMail> {
        self.wait(timeout, |book| book.count >= count).mails.clone()
    }

    /// Waits until at least `count` connections have ended, for at most `timeout`, and returns the
    /// records of all.
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

    /// Asserts that there are no violations.
    ///
    /// ```
    /// use smtp_test::{Config, Machine, Peer};
    ///
    /// let mut server = Machine::new(&Config::new());
    /// let _greeting = server.poll_output();
    /// server.handle_input(b"EHLO a.test\r\n");
    /// server.log().assert_clean();
    /// ```
    ///
    /// # Panics
    /// If there is a violation; the message has each of them and the transcripts.
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

    /// Counts a message of one connection, and keeps it if there is one.
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
