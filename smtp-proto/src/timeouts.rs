//! Time limits of a connection.

use core::time::Duration;

/// Time limits of a connection.
///
/// Two sets have names: [`submission`](Self::submission) for a client that submits messages to its
/// provider, and [`rfc5321`](Self::rfc5321) for a relay. Each `with_…` method changes one limit;
/// the method without `with_` returns it.
///
/// | limit | for | `submission` | `rfc5321` |
/// | --- | --- | --- | --- |
/// | [`connect`](Self::with_connect) | a TCP connection to one address; then a tunnel through a proxy | 10 s | 30 s |
/// | [`greeting`](Self::with_greeting) | the greeting, also after XCLIENT | 30 s | 5 min |
/// | [`first_byte`](Self::with_first_byte) | the first byte of the greeting | as `greeting` | as `greeting` |
/// | [`ehlo`](Self::with_ehlo) | the reply to EHLO or HELO | 60 s | 5 min |
/// | [`starttls`](Self::with_starttls) | STARTTLS, handshake and second EHLO; or implicit TLS | 30 s | 5 min |
/// | [`token`](Self::with_token) | a token that the caller fetches | 30 s | 5 min |
/// | [`auth`](Self::with_auth) | each reply within AUTH | 60 s | 5 min |
/// | [`mail`](Self::with_mail), [`rcpt`](Self::with_rcpt) | the reply to MAIL, to each RCPT | 60 s | 5 min |
/// | [`data_init`](Self::with_data_init) | the reply to DATA | 60 s | 2 min |
/// | [`data_block`](Self::with_data_block) | writing 64 KiB; the reply to a chunk | 3 min | 3 min |
/// | [`data_end`](Self::with_data_end) | the final reply to a message | 10 min | 10 min |
/// | [`command`](Self::with_command) | the reply to any other command | 60 s | 5 min |
/// | [`quit`](Self::with_quit) | the reply to QUIT, and the end of the transport | 5 s | 5 s |
/// | [`drain`](Self::with_drain) | the server's reason after writing failed | 5 s | 5 s |
/// | [`session`](Self::with_session) | the whole connection | 2 h | 2 h |
/// | [`session_per_mail`](Self::with_session_per_mail) | added to `session` for each message | 1 h | 1 h |
///
/// The final reply has 10 minutes in both: giving up sooner leaves a message in doubt that the
/// server may have queued (RFC 5321, section 4.5.3.2.6).
///
/// Each limit is for a whole reply, however slowly its bytes arrive. None can be switched off.
///
/// ```
/// use std::time::Duration;
/// use smtp_proto::Timeouts;
///
/// let timeouts = Timeouts::submission()
///     .with_connect(Duration::from_secs(5))
///     .with_data_end(Duration::from_secs(20 * 60));
/// assert_eq!(timeouts.connect(), Duration::from_secs(5));
/// assert_eq!(timeouts.greeting(), Duration::from_secs(30));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    pub(crate) connect: Duration,
    pub(crate) greeting: Duration,
    pub(crate) first_byte: Option<Duration>,
    pub(crate) ehlo: Duration,
    pub(crate) starttls: Duration,
    pub(crate) token: Duration,
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
    /// The limits for submission: a user waits, and the provider is near.
    pub const fn submission() -> Self {
        let minute = Duration::from_secs(60);
        Self {
            connect: Duration::from_secs(10),
            greeting: Duration::from_secs(30),
            ehlo: minute,
            starttls: Duration::from_secs(30),
            token: Duration::from_secs(30),
            auth: minute,
            mail: minute,
            rcpt: minute,
            data_init: minute,
            command: minute,
            ..Self::rfc5321()
        }
    }

    /// The limits for a relay: those of RFC 5321, section 4.5.3.2, and as long for the rest.
    ///
    /// They are the default of a [`Config`](crate::Config).
    pub const fn rfc5321() -> Self {
        let five_minutes = Duration::from_secs(5 * 60);
        Self {
            connect: Duration::from_secs(30),
            greeting: five_minutes,
            first_byte: None,
            ehlo: five_minutes,
            starttls: five_minutes,
            token: five_minutes,
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

    /// Lowers every limit to at most `limit`, except `connect` and those of the session.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    /// use smtp_proto::Timeouts;
    ///
    /// let timeouts = Timeouts::rfc5321().at_most(Duration::from_secs(20));
    /// assert_eq!(timeouts.data_end(), Duration::from_secs(20));
    /// assert_eq!(timeouts.quit(), Duration::from_secs(5));
    /// ```
    #[must_use]
    pub fn at_most(mut self, limit: Duration) -> Self {
        for each in [
            &mut self.greeting,
            &mut self.ehlo,
            &mut self.starttls,
            &mut self.token,
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

    /// Sets the limit for the first byte of the greeting, if it is to be shorter than that for the
    /// whole greeting: a server that waits for TLS stays silent.
    #[must_use]
    pub const fn with_first_byte(mut self, limit: Duration) -> Self {
        self.first_byte = Some(limit);
        self
    }

    /// The limit for the first byte of the greeting; `None` if only the one for the whole
    /// [greeting](Self::greeting) holds.
    pub const fn first_byte(&self) -> Option<Duration> {
        self.first_byte
    }

    /// Sets the limit for the whole connection, however many messages are sent: `session_per_mail`
    /// becomes zero.
    #[must_use]
    pub const fn with_session(mut self, limit: Duration) -> Self {
        self.session = limit;
        self.session_per_mail = Duration::ZERO;
        self
    }

    /// The limit for the whole connection, without what each message adds.
    pub const fn session(&self) -> Duration {
        self.session
    }

    pub(crate) fn first_byte_limit(&self) -> Duration {
        self.first_byte
            .map_or(self.greeting, |limit| limit.min(self.greeting))
    }
}

/// Declares the setter and the getter of each limit.
macro_rules! limits {
    ($($name:ident $with:ident $what:literal;)+) => {
        impl Timeouts {$(
            #[doc = concat!("Sets the limit for ", $what, ".")]
            #[must_use]
            pub const fn $with(mut self, limit: Duration) -> Self {
                self.$name = limit;
                self
            }

            #[doc = concat!("The limit for ", $what, ".")]
            pub const fn $name(&self) -> Duration {
                self.$name
            }
        )+}
    };
}
limits! {
    connect with_connect "a TCP connection to one address, and then for a proxy to open a tunnel";
    greeting with_greeting "the greeting, and for the one that answers XCLIENT";
    ehlo with_ehlo "the reply to EHLO or HELO";
    starttls with_starttls "STARTTLS, the handshake and the reply to the EHLO after it, together; and for the handshake of implicit TLS";
    token with_token "the [token](crate::Credentials::fetched_token) that the caller fetches, counted from the moment it is wanted";
    auth with_auth "each reply within AUTH";
    mail with_mail "the reply to MAIL";
    rcpt with_rcpt "the reply to each RCPT";
    data_init with_data_init "the reply to DATA";
    data_block with_data_block "writing 64 KiB, and for the reply to a chunk that is not the last";
    data_end with_data_end "the final reply to a message";
    command with_command "the reply to any other command";
    quit with_quit "the reply to QUIT, and then for the transport to take the last bytes";
    drain with_drain "the server's reason, after writing to it failed";
    session_per_mail with_session_per_mail "the time that each message adds to that of the [session](Self::session)";
}

impl Default for Timeouts {
    /// [`Timeouts::rfc5321`].
    fn default() -> Self {
        Self::rfc5321()
    }
}
