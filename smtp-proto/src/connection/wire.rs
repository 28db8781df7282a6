//! The byte interface between a driver and a connection.

use crate::connection::send_buffer::Transmit;
use crate::{Connection, Time, TransportError};

/// The interface of an adapter to what it drives: bytes in, bytes out, one timer.
///
/// [`Connection`] implements it in cleartext. A TLS layer wraps a `Connection` and implements it
/// too, encrypting the output before the driver gets it. `handle_*` reports what happened, `poll_*`
/// asks what to do; an extra call changes nothing.
///
/// | call | when |
/// | --- | --- |
/// | [`poll_transmit`](Self::poll_transmit) | first, and after every other call: are there bytes to send? |
/// | [`handle_sent`](Self::handle_sent) | the first `count` bytes of the last [`Transmit`] were sent |
/// | [`handle_input`](Self::handle_input) | bytes were received |
/// | [`handle_eof`](Self::handle_eof) | the peer closed its side |
/// | [`poll_timeout`](Self::poll_timeout) | how long may the driver wait? |
/// | [`handle_timeout`](Self::handle_timeout) | that time has come, and a read without waiting found nothing |
/// | [`handle_read_error`](Self::handle_read_error), [`handle_write_error`](Self::handle_write_error) | the transport failed |
///
/// When the time has come, read once without waiting, and call `handle_timeout` only if there was
/// no input. Input that has arrived is then never late, however long the driver was delayed.
///
/// The connection requires the same read before it sends after a pause. While no reply is pending
/// and something is to be sent, `poll_transmit` returns `None` and `poll_timeout` returns the
/// present: a reply that had already arrived would be taken as the reply to the next command. After
/// `handle_timeout`, `poll_transmit` returns the held-back bytes if it is called with the same time
/// or soon after.
///
/// All methods except two default to those of the [`Connection`] inside. A layer overrides those
/// that concern it:
///
/// ```
/// use smtp_proto::{Connection, Time, Wire};
///
/// /// Counts the bytes received.
/// struct Counted {
///     connection: Connection,
///     received: usize,
/// }
///
/// impl Wire for Counted {
///     fn handle_input(&mut self, now: Time, input: &[u8]) {
///         self.received += input.len();
///         self.connection.handle_input(now, input);
///     }
///
///     fn smtp_mut(&mut self) -> &mut Connection {
///         &mut self.connection
///     }
///
///     fn smtp(&self) -> &Connection {
///         &self.connection
///     }
/// }
/// ```
pub trait Wire {
    /// Reports bytes from the peer. All of them are taken, however they are cut.
    fn handle_input(&mut self, now: Time, input: &[u8]) {
        self.smtp_mut().handle_input(now, input);
    }

    /// Reports that the peer has closed its side.
    fn handle_eof(&mut self, now: Time) {
        self.smtp_mut().handle_eof(now);
    }

    /// Acknowledges that the first `count` bytes of the last [`Transmit`] were sent.
    fn handle_sent(&mut self, now: Time, count: usize) {
        self.smtp_mut().handle_sent(now, count);
    }

    /// Reports that the time of [`poll_timeout`](Self::poll_timeout) has come. Does nothing before
    /// that time.
    fn handle_timeout(&mut self, now: Time) {
        self.smtp_mut().handle_timeout(now);
    }

    /// Reports that reading failed.
    fn handle_read_error(&mut self, now: Time, error: TransportError) {
        self.smtp_mut().handle_read_error(now, error);
    }

    /// Reports that writing failed. Continue reading: the peer may have sent its reason before it
    /// closed.
    fn handle_write_error(&mut self, now: Time, error: TransportError) {
        self.smtp_mut().handle_write_error(now, error);
    }

    /// The bytes to send now, repeated until [`handle_sent`](Self::handle_sent) acknowledges them.
    fn poll_transmit(&mut self, now: Time) -> Option<Transmit<'_>> {
        self.smtp_mut().poll_transmit(now)
    }

    /// The time until which the driver may wait for input. When it has come, read once without
    /// waiting.
    fn poll_timeout(&self) -> Option<Time> {
        self.smtp().poll_timeout()
    }

    /// The connection inside, for requests and questions.
    fn smtp_mut(&mut self) -> &mut Connection;

    /// The connection inside, for its facts.
    fn smtp(&self) -> &Connection;
}

impl Wire for Connection {
    fn smtp_mut(&mut self) -> &mut Connection {
        self
    }

    fn smtp(&self) -> &Connection {
        self
    }
}
