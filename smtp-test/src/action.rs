use std::time::Duration;

/// A point of the session at which an [`Action`] applies.
///
/// All numbers count from 1. A stage stands for every time that it is reached; [`nth`](Self::nth)
/// and [`connection`](Self::connection) narrow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// The greeting.
    Greeting,
    /// The reply to EHLO in cleartext; in LMTP to LHLO.
    Ehlo,
    /// The reply to EHLO inside TLS; in LMTP to LHLO.
    EhloInTls,
    /// The reply to HELO.
    Helo,
    /// The reply to STARTTLS.
    StartTls,
    /// The first reply to AUTH.
    Auth,
    /// The reply to the nth SASL response, the line after a 334.
    AuthStep(usize),
    /// The reply to any SASL response.
    AnyAuthStep,
    /// The reply to MAIL.
    Mail,
    /// The reply to the nth RCPT of a transaction.
    Rcpt(usize),
    /// The reply to any RCPT.
    AnyRcpt,
    /// The reply to DATA itself.
    Data,
    /// After this number of bytes of the content, as on the wire, and before its end; counted over
    /// all chunks.
    ///
    /// There is no ordinary reply here. Unless the action closes the connection, the content
    /// continues.
    Body(u64),
    /// The reply to the end of the data: after DATA, or after the last chunk. In LMTP each of the
    /// final replies.
    EndOfData,
    /// The reply to the nth BDAT of a transaction, also if it is the last.
    Bdat(usize),
    /// The reply to BDAT with `LAST`. In LMTP each of the final replies.
    BdatLast,
    /// In LMTP the final reply for the nth accepted recipient.
    Delivery(usize),
    /// The reply to RSET.
    Rset,
    /// The reply to NOOP.
    Noop,
    /// The reply to VRFY.
    Vrfy,
    /// The reply to EXPN.
    Expn,
    /// The reply to HELP.
    Help,
    /// The reply to XCLIENT.
    Xclient,
    /// The reply to XFORWARD.
    Xforward,
    /// The reply to QUIT.
    Quit,
    /// The reply to a command that the server does not know.
    Unknown,
    /// The reply to the nth command line of a connection, whatever it is.
    Command(usize),
    /// The reply to every command line.
    AnyCommand,
}

impl Stage {
    /// Only the `n`-th time that the stage is reached on a connection.
    ///
    /// ```
    /// use smtp_test::{Action, Config, Stage};
    ///
    /// // Only the second message of a connection is rejected.
    /// let config = Config::new().on(Stage::Mail.nth(2), Action::reply("550 5.7.1 not you"));
    /// # let _ = config;
    /// ```
    pub fn nth(self, n: usize) -> Moment {
        Moment::from(self).nth(n)
    }

    /// Only on the `n`-th connection of the server.
    ///
    /// ```
    /// use smtp_test::{Action, Config, Stage};
    ///
    /// // The first connection gets no service, and a retry on another one does.
    /// let config = Config::new().on(Stage::Greeting.connection(1), Action::reply("421 4.3.2 busy").then_close());
    /// # let _ = config;
    /// ```
    pub fn connection(self, n: usize) -> Moment {
        Moment::from(self).connection(n)
    }
}

/// A [`Stage`], optionally only the nth time that it is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    stage: Stage,
    nth: Option<usize>,
    connection: Option<usize>,
}

impl Moment {
    /// Only the `n`-th time that the stage is reached on a connection.
    pub fn nth(mut self, n: usize) -> Self {
        self.nth = Some(n);
        self
    }

    /// Only on the `n`-th connection of the server.
    pub fn connection(mut self, n: usize) -> Self {
        self.connection = Some(n);
        self
    }

    /// The stage.
    pub(crate) fn stage(&self) -> Stage {
        self.stage
    }

    /// Whether it matches `stage`, reached for the `count`-th time, on connection number
    /// `connection`.
    pub(crate) fn matches(&self, stage: Stage, count: usize, connection: usize) -> bool {
        self.stage == stage
            && self.nth.is_none_or(|nth| nth == count)
            && self.connection.is_none_or(|wanted| wanted == connection)
    }
}

impl From<Stage> for Moment {
    fn from(stage: Stage) -> Self {
        Self {
            stage,
            nth: None,
            connection: None,
        }
    }
}

/// The behavior of a server at a [`Stage`]: its ordinary reply, changed or replaced.
///
/// A replaced reply also decides the effect of the command: one with the first digit of success
/// takes effect as usual, any other has none. A reply that is cut off or withheld does not change
/// the effect: a message whose final reply is lost is stored.
///
/// ```
/// use std::time::Duration;
/// use smtp_test::Action;
///
/// let injected = Action::normal().append("250 injected\r\n");
/// let torn = Action::reply("250-first\n250 second").split_at([3, 14]);
/// let late = Action::normal().delay(Duration::from_secs(2));
/// let lost = Action::normal().cut_at(2);
/// # let _ = (injected, torn, late, lost);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[must_use = "an action does nothing until it is given to `Config::on`"]
pub struct Action {
    pub(crate) reply: Option<Vec<u8>>,
    pub(crate) silent: bool,
    pub(crate) delay: Option<Duration>,
    pub(crate) append: Vec<u8>,
    pub(crate) then: Vec<Vec<u8>>,
    pub(crate) split_at: Vec<usize>,
    pub(crate) drip: Option<Duration>,
    pub(crate) cut_at: Option<usize>,
    pub(crate) end: Option<End>,
    pub(crate) stop_reading: bool,
}

impl Action {
    /// The ordinary reply, for the other methods to change.
    pub fn normal() -> Self {
        Self::default()
    }

    /// Another reply: lines with their codes; each gets a CRLF if it has none.
    ///
    /// ```
    /// use std::io::{Read, Write};
    /// use smtp_test::{Action, Config, MemoryServer, Stage};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let mut stream = MemoryServer::new(&Config::new().on(Stage::Noop, Action::reply("250-first\n250 second")));
    /// stream.write_all(b"NOOP\r\nQUIT\r\n")?;
    /// let mut replies = String::new();
    /// stream.read_to_string(&mut replies)?;
    /// assert!(replies.contains("250-first\r\n250 second\r\n"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn reply(lines: impl AsRef<str>) -> Self {
        let mut bytes = Vec::new();
        for line in lines.as_ref().lines() {
            bytes.extend_from_slice(line.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
        Self::raw(bytes)
    }

    /// Exactly these bytes instead of the reply.
    ///
    /// ```
    /// use std::io::{Read, Write};
    /// use smtp_test::{Action, Config, MemoryServer, Stage};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let mut stream = MemoryServer::new(&Config::new().on(Stage::Noop, Action::raw("250 no line end")));
    /// stream.write_all(b"NOOP\r\nQUIT\r\n")?;
    /// let mut replies = String::new();
    /// stream.read_to_string(&mut replies)?;
    /// assert!(replies.contains("250 no line end221 2.0.0 bye\r\n"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn raw(bytes: impl AsRef<[u8]>) -> Self {
        Self {
            reply: Some(bytes.as_ref().to_vec()),
            ..Self::default()
        }
    }

    /// No reply; the server continues to read.
    ///
    /// ```
    /// use smtp_test::{Action, Config, Machine, Peer, Stage};
    ///
    /// let mut server = Machine::new(&Config::new().on(Stage::Noop, Action::silent()));
    /// let _greeting = server.poll_output();
    /// server.handle_input(b"NOOP\r\n");
    /// assert_eq!(server.poll_output(), None);
    /// ```
    pub fn silent() -> Self {
        Self {
            silent: true,
            ..Self::default()
        }
    }

    /// No reply, and an orderly close of the connection.
    ///
    /// ```
    /// use std::io::{Read, Write};
    /// use smtp_test::{Action, Config, MemoryServer, Stage};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let mut stream = MemoryServer::new(&Config::new().on(Stage::Noop, Action::close()));
    /// stream.write_all(b"NOOP\r\n")?;
    /// let mut replies = String::new();
    /// stream.read_to_string(&mut replies)?;
    /// assert_eq!(replies, "220 mail.test ESMTP\r\n");
    /// # Ok(())
    /// # }
    /// ```
    pub fn close() -> Self {
        Self::silent().then_close()
    }

    /// No reply, and the connection is closed, in TLS without a close_notify.
    pub fn cut() -> Self {
        Self::silent().then_cut()
    }

    /// No reply, and the connection is reset: see [`Output::Reset`](crate::Output::Reset).
    pub fn reset() -> Self {
        Self::silent().then_reset()
    }

    /// Appends bytes to the reply, in the same segment.
    ///
    /// ```
    /// use std::io::{Read, Write};
    /// use smtp_test::{Action, Config, MemoryServer, Stage};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let mut stream = MemoryServer::new(&Config::new().on(Stage::Noop, Action::normal().append("250 injected\r\n")));
    /// stream.write_all(b"NOOP\r\nQUIT\r\n")?;
    /// let mut replies = String::new();
    /// stream.read_to_string(&mut replies)?;
    /// assert!(replies.contains("250 injected\r\n221 2.0.0 bye\r\n"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn append(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.append.extend_from_slice(bytes.as_ref());
        self
    }

    /// Sends bytes after the reply, in a segment of their own; repeatable.
    pub fn then(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.then.push(bytes.as_ref().to_vec());
        self
    }

    /// Waits before the reply; ignored in memory, where there is no clock.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = Some(delay);
        self
    }

    /// Starts new segments at these offsets of the reply and the appended bytes.
    ///
    /// ```
    /// use smtp_test::{Action, Config, Machine, Output, Peer, Stage};
    ///
    /// let torn = Action::normal().split_at([3]);
    /// let mut server = Machine::new(&Config::new().on(Stage::Greeting, torn));
    /// assert_eq!(server.poll_output(), Some(Output::Write(b"220".to_vec())));
    /// assert_eq!(server.poll_output(), Some(Output::Write(b" mail.test ESMTP\r\n".to_vec())));
    /// ```
    pub fn split_at(mut self, offsets: impl IntoIterator<Item = usize>) -> Self {
        self.split_at.extend(offsets);
        self.split_at.sort_unstable();
        self
    }

    /// Sends the reply byte by byte, with this pause before each.
    pub fn drip(mut self, pause: Duration) -> Self {
        self.drip = Some(pause);
        self
    }

    /// Sends only the first `len` bytes of the reply, then closes without a close_notify.
    ///
    /// ```
    /// use std::io::{Read, Write};
    /// use smtp_test::{Action, Config, MemoryServer, Stage};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let mut stream = MemoryServer::new(&Config::new().on(Stage::Greeting, Action::normal().cut_at(2)));
    /// stream.write_all(b"")?;
    /// let mut replies = String::new();
    /// stream.read_to_string(&mut replies)?;
    /// assert_eq!(replies, "22");
    /// # Ok(())
    /// # }
    /// ```
    pub fn cut_at(mut self, len: usize) -> Self {
        self.cut_at = Some(len);
        self.then_cut()
    }

    /// Closes the connection in good order after the reply.
    ///
    /// ```
    /// use std::io::{Read, Write};
    /// use smtp_test::{Action, Config, MemoryServer, Stage};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let mut stream = MemoryServer::new(&Config::new().on(Stage::Greeting, Action::reply("554 no service").then_close()));
    /// stream.write_all(b"")?;
    /// let mut replies = String::new();
    /// stream.read_to_string(&mut replies)?;
    /// assert_eq!(replies, "554 no service\r\n");
    /// # Ok(())
    /// # }
    /// ```
    pub fn then_close(mut self) -> Self {
        self.end = Some(End::Close);
        self
    }

    /// Closes after the reply, in TLS without a close_notify.
    pub fn then_cut(mut self) -> Self {
        self.end = Some(End::Cut);
        self
    }

    /// Resets the connection after the reply.
    pub fn then_reset(mut self) -> Self {
        self.end = Some(End::Reset);
        self
    }

    /// Reads nothing more after the reply, and keeps the connection open.
    pub fn stop_reading(mut self) -> Self {
        self.stop_reading = true;
        self
    }
}

/// How an action ends the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Close,
    Cut,
    Reset,
}
