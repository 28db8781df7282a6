//! Outcomes and errors of real connections, whose peer is a list of replies.

use std::io;
use std::sync::Arc;
use std::task::Poll;

use smtp_pool::proto::{
    Config, Connection, Error, Mail, MailId, Outcome, Pipelining, Protocol, Security, Seed, Time,
};

/// A connection in memory.
pub(crate) struct Dialogue {
    pub(crate) connection: Connection,
    pub(crate) now: Time,
    /// All that the connection sent.
    pub(crate) sent: Vec<u8>,
}

impl Dialogue {
    /// A connection at this level of pipelining that has not been greeted.
    pub(crate) fn new(level: Pipelining, protocol: Protocol) -> Self {
        let config = Config::builder("client.test".parse().unwrap())
            .security(Security::Cleartext)
            .pipelining(level)
            .protocol(protocol)
            .build()
            .unwrap();
        Self {
            connection: Connection::new(Arc::new(config), Seed::from_bytes([7; 32])),
            now: Time::ORIGIN,
            sent: Vec::new(),
        }
    }

    /// A connection that is ready for messages, without pipelining.
    pub(crate) fn ready() -> Self {
        Self::ready_with(Pipelining::Off, Protocol::Smtp)
    }

    pub(crate) fn ready_with(level: Pipelining, protocol: Protocol) -> Self {
        let mut dialogue = Self::new(level, protocol);
        dialogue.say("220 mx.test\r\n");
        dialogue.say("250-mx.test\r\n250 PIPELINING\r\n");
        assert!(matches!(
            dialogue.connection.poll_ready(),
            Poll::Ready(Ok(()))
        ));
        dialogue
    }

    /// A connection that has carried a message.
    pub(crate) fn used() -> Self {
        let mut dialogue = Self::ready();
        let id = dialogue.submit(&["first@x.test"]);
        dialogue.say_all(&["250 ok\r\n", "250 ok\r\n", "354 go\r\n", "250 taken\r\n"]);
        assert!(dialogue.outcome(id).is_accepted());
        dialogue
    }

    pub(crate) fn submit(&mut self, recipients: &[&str]) -> MailId {
        let message = "From: a@x.test\r\n\r\nhello\r\n";
        let mail = Mail::new("a@x.test", recipients.iter().copied(), message).unwrap();
        self.connection.submit(mail)
    }

    /// Sends all output.
    pub(crate) fn listen(&mut self) {
        loop {
            if self.connection.poll_transmit(self.now).is_none()
                && self.connection.poll_timeout() == Some(self.now)
            {
                // A read finds nothing.
                self.connection.handle_timeout(self.now);
            }
            let Some(transmit) = self.connection.poll_transmit(self.now) else {
                return;
            };
            self.sent.extend(transmit.iter().flatten());
            let count = transmit.len();
            self.connection.handle_sent(self.now, count);
        }
    }

    /// Sends all output, and then receives this.
    pub(crate) fn say(&mut self, bytes: &str) {
        self.listen();
        self.connection.handle_input(self.now, bytes.as_bytes());
    }

    pub(crate) fn say_all(&mut self, replies: &[&str]) {
        for reply in replies {
            self.say(reply);
        }
    }

    pub(crate) fn eof(&mut self) {
        self.listen();
        self.connection.handle_eof(self.now);
    }

    pub(crate) fn reset(&mut self) {
        self.listen();
        self.connection.handle_read_error(self.now, broken().into());
    }

    /// Lets time pass until a limit is exceeded.
    pub(crate) fn time_out(&mut self) {
        self.listen();
        self.now = self.connection.poll_timeout().unwrap();
        self.connection.handle_timeout(self.now);
    }

    pub(crate) fn outcome(&mut self, id: MailId) -> Outcome {
        match self.connection.poll_outcome(id) {
            Poll::Ready(Ok(outcome)) => outcome,
            other => panic!("no outcome but {other:?}"),
        }
    }

    /// Whether the connection takes another message.
    pub(crate) fn is_open(&mut self) -> bool {
        matches!(self.connection.poll_ready(), Poll::Ready(Ok(())))
    }
}

/// The error of an attempt to connect to a server with this greeting.
pub(crate) fn greeted_with(reply: &str) -> Error {
    let mut dialogue = Dialogue::new(Pipelining::Off, Protocol::Smtp);
    dialogue.say(reply);
    match dialogue.connection.poll_ready() {
        Poll::Ready(Err(error)) => error,
        other => panic!("no failure but {other:?}"),
    }
}

/// A port on which nothing listens.
pub(crate) fn refused() -> Error {
    Error::connect(io::Error::from(io::ErrorKind::ConnectionRefused))
}

fn broken() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}
