//! The byte interface between a driver and the machine.

use crate::connection::send_buffer::Transmit;
use crate::{Connection, Time, TransportError};

/// All that an adapter knows of what it drives: bytes in, bytes out, one timer.
///
/// [`Connection`] implements it in cleartext. A TLS layer wraps a `Connection`, implements it too, and sees what is offered
/// before the driver does. `handle_*` says what happened, `poll_*` asks what to do; a call too many changes nothing.
///
/// | call | when |
/// | --- | --- |
/// | [`poll_transmit`](Self::poll_transmit) | first, and after every other call: are there bytes to send? |
/// | [`handle_sent`](Self::handle_sent) | so many bytes of the last offer went out |
/// | [`handle_input`](Self::handle_input) | these bytes came in |
/// | [`handle_eof`](Self::handle_eof) | the peer closed its side |
/// | [`poll_timeout`](Self::poll_timeout) | until when to wait, at most |
/// | [`handle_timeout`](Self::handle_timeout) | that time has come, and a read that did not wait found nothing |
/// | [`handle_read_error`](Self::handle_read_error), [`handle_write_error`](Self::handle_write_error) | the transport failed |
///
/// A time that has come means: read once without waiting, and call `handle_timeout` only if nothing was there. So what has
/// arrived is never late, however long the driver was kept from running.
///
/// The machine asks for the same read before it speaks after a silence. While no reply is due and something is to be sent,
/// `poll_transmit` gives nothing and `poll_timeout` names the present: a reply that had come before would answer a command
/// that it does not belong to. After `handle_timeout`, `poll_transmit` gives what was held back, if it is called with the
/// same time or soon after.
///
/// All methods but two go to the [`Connection`] inside, unless a layer has something to do:
///
/// ```
/// use smtp_proto::{Connection, Time, Wire};
///
/// /// Counts the bytes that come in.
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
    /// Takes in bytes that the peer sent; all of them, however they are cut.
    fn handle_input(&mut self, now: Time, input: &[u8]) {
        self.smtp_mut().handle_input(now, input);
    }

    /// Records that the peer will send nothing more.
    fn handle_eof(&mut self, now: Time) {
        self.smtp_mut().handle_eof(now);
    }

    /// Records that the first `count` bytes of the last offer went out.
    fn handle_sent(&mut self, now: Time, count: usize) {
        self.smtp_mut().handle_sent(now, count);
    }

    /// Records that time has passed and nothing came; does nothing before the time that
    /// [`poll_timeout`](Self::poll_timeout) named.
    fn handle_timeout(&mut self, now: Time) {
        self.smtp_mut().handle_timeout(now);
    }

    /// Records that reading failed.
    fn handle_read_error(&mut self, now: Time, error: TransportError) {
        self.smtp_mut().handle_read_error(now, error);
    }

    /// Records that writing failed. Go on reading: the peer may have said why before it closed.
    fn handle_write_error(&mut self, now: Time, error: TransportError) {
        self.smtp_mut().handle_write_error(now, error);
    }

    /// What to send now: offered again until [`handle_sent`](Self::handle_sent) acknowledges it.
    fn poll_transmit(&mut self, now: Time) -> Option<Transmit<'_>> {
        self.smtp_mut().poll_transmit(now)
    }

    /// Until when the driver may wait for bytes: if that time has come, it reads what is there and does not wait.
    fn poll_timeout(&self) -> Option<Time> {
        self.smtp().poll_timeout()
    }

    /// The protocol machine inside, to be told and asked.
    fn smtp_mut(&mut self) -> &mut Connection;

    /// The protocol machine inside, to be looked at.
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
