//! How long to wait for what.

use core::time::Duration;

/// How long to wait for what.
///
/// Two sets have names: [`submission`](Self::submission) for a client that hands its messages to a provider, and
/// [`rfc5321`](Self::rfc5321) for a relay. The methods change single limits of either.
///
/// | limit | `submission` | `rfc5321` |
/// | --- | --- | --- |
/// | an address to answer | 10 s | 30 s |
/// | the greeting | 30 s | 5 min |
/// | STARTTLS with its handshake, or implicit TLS | 30 s | 5 min |
/// | the reply to EHLO, AUTH, MAIL, RCPT, and any other command | 60 s | 5 min |
/// | the reply to DATA | 60 s | 2 min |
/// | 64 KiB to be taken, the reply to a chunk | 3 min | 3 min |
/// | the final reply to a message | 10 min | 10 min |
/// | the reply to QUIT | 5 s | 5 s |
///
/// The final reply has its 10 minutes in both: to give up sooner leaves a message in doubt that the server may have queued.
///
/// Each limit is for a whole reply, however slowly its bytes come. None of them may be switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    pub(crate) connect: Duration,
    pub(crate) greeting: Duration,
    /// For the first byte of the greeting, if that is another limit.
    pub(crate) first_byte: Option<Duration>,
    pub(crate) ehlo: Duration,
    pub(crate) starttls: Duration,
    pub(crate) auth: Duration,
    pub(crate) mail: Duration,
    pub(crate) rcpt: Duration,
    pub(crate) data_init: Duration,
    pub(crate) data_block: Duration,
    pub(crate) data_end: Duration,
    pub(crate) command: Duration,
    pub(crate) quit: Duration,
    pub(crate) drain: Duration,
    pub(crate) session: Duration,
    pub(crate) session_per_mail: Duration,
}

impl Timeouts {
    /// The limits for submission: a person waits, and a provider is near.
    pub const fn submission() -> Self {
        let minute = Duration::from_secs(60);
        Self {
            connect: Duration::from_secs(10),
            greeting: Duration::from_secs(30),
            ehlo: minute,
            starttls: Duration::from_secs(30),
            auth: minute,
            mail: minute,
            rcpt: minute,
            data_init: minute,
            command: minute,
            ..Self::rfc5321()
        }
    }

    /// The limits for a relay: those of RFC 5321, section 4.5.3.2, and as long for what it does not name.
    ///
    /// They are the default of a [`Config`].
    pub const fn rfc5321() -> Self {
        let five_minutes = Duration::from_secs(5 * 60);
        Self {
            connect: Duration::from_secs(30),
            greeting: five_minutes,
            first_byte: None,
            ehlo: five_minutes,
            starttls: five_minutes,
            auth: five_minutes,
            mail: five_minutes,
            rcpt: five_minutes,
            data_init: Duration::from_secs(2 * 60),
            data_block: Duration::from_secs(3 * 60),
            data_end: Duration::from_secs(10 * 60),
            command: five_minutes,
            quit: Duration::from_secs(5),
            drain: Duration::from_secs(5),
            session: Duration::from_secs(2 * 60 * 60),
            session_per_mail: Duration::from_secs(60 * 60),
        }
    }

    /// Every limit, but the one for connecting, brought down to at most `limit`; for programs that cannot wait.
    #[must_use]
    pub fn at_most(mut self, limit: Duration) -> Self {
        for each in [
            &mut self.greeting,
            &mut self.ehlo,
            &mut self.starttls,
            &mut self.auth,
            &mut self.mail,
            &mut self.rcpt,
            &mut self.data_init,
            &mut self.data_block,
            &mut self.data_end,
            &mut self.command,
            &mut self.quit,
            &mut self.drain,
        ] {
            *each = (*each).min(limit);
        }
        self
    }

    /// For an address to answer.
    #[must_use]
    pub fn connect(mut self, limit: Duration) -> Self {
        self.connect = limit;
        self
    }

    /// For the greeting, and for the one by which XCLIENT is answered.
    #[must_use]
    pub fn greeting(mut self, limit: Duration) -> Self {
        self.greeting = limit;
        self
    }

    /// For the greeting to begin, where that is to be sooner than all of it: a server that waits for TLS stays silent.
    #[must_use]
    pub fn first_byte(mut self, limit: Duration) -> Self {
        self.first_byte = Some(limit);
        self
    }

    /// For the reply to EHLO or HELO.
    #[must_use]
    pub fn ehlo(mut self, limit: Duration) -> Self {
        self.ehlo = limit;
        self
    }

    /// For STARTTLS, the handshake and the reply to the EHLO after it, together; and for the handshake of implicit TLS.
    #[must_use]
    pub fn starttls(mut self, limit: Duration) -> Self {
        self.starttls = limit;
        self
    }

    /// For each reply within AUTH.
    #[must_use]
    pub fn auth(mut self, limit: Duration) -> Self {
        self.auth = limit;
        self
    }

    /// For the reply to MAIL.
    #[must_use]
    pub fn mail(mut self, limit: Duration) -> Self {
        self.mail = limit;
        self
    }

    /// For the reply to each RCPT.
    #[must_use]
    pub fn rcpt(mut self, limit: Duration) -> Self {
        self.rcpt = limit;
        self
    }

    /// For the reply to DATA.
    #[must_use]
    pub fn data_init(mut self, limit: Duration) -> Self {
        self.data_init = limit;
        self
    }

    /// For the server to take 64 KiB of what is sent, and for the reply to a chunk that is not the last.
    #[must_use]
    pub fn data_block(mut self, limit: Duration) -> Self {
        self.data_block = limit;
        self
    }

    /// For the final reply to a message.
    #[must_use]
    pub fn data_end(mut self, limit: Duration) -> Self {
        self.data_end = limit;
        self
    }

    /// For the reply to any other command.
    #[must_use]
    pub fn command(mut self, limit: Duration) -> Self {
        self.command = limit;
        self
    }

    /// For the reply to QUIT.
    #[must_use]
    pub fn quit(mut self, limit: Duration) -> Self {
        self.quit = limit;
        self
    }

    /// For the server to say why, after it stopped taking what is sent.
    #[must_use]
    pub fn drain(mut self, limit: Duration) -> Self {
        self.drain = limit;
        self
    }

    /// For all that the connection ever does, however many messages that is; by default, 2 hours and 1 hour more for each
    /// message.
    #[must_use]
    pub fn session(mut self, limit: Duration) -> Self {
        self.session = limit;
        self.session_per_mail = Duration::ZERO;
        self
    }

    /// What each message adds to the limit for the [session](Self::session).
    #[must_use]
    pub fn session_per_mail(mut self, limit: Duration) -> Self {
        self.session_per_mail = limit;
        self
    }

    /// How long to wait for an address to answer.
    pub fn connect_limit(&self) -> Duration {
        self.connect
    }

    /// How long to wait for the greeting to begin.
    pub fn first_byte_limit(&self) -> Duration {
        self.first_byte
            .map_or(self.greeting, |limit| limit.min(self.greeting))
    }

    /// Whether [`first_byte`](Self::first_byte) has a limit of its own.
    pub fn has_first_byte_limit(&self) -> bool {
        self.first_byte.is_some()
    }

    /// How long to wait for the reply to QUIT, and then for the last bytes of the transport to be taken.
    pub fn quit_limit(&self) -> Duration {
        self.quit
    }
}

impl Default for Timeouts {
    /// [`Timeouts::rfc5321`].
    fn default() -> Self {
        Self::rfc5321()
    }
}
