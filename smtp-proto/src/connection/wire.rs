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
/// # Completion
/// An operation that owns its bytes until it completes (io_uring, I/O completion ports) is reported
/// by two calls in place of `handle_sent`:
///
/// | call | when |
/// | --- | --- |
/// | [`handle_submitted`](Self::handle_submitted) | an operation got a copy of the first `count` bytes of the last [`Transmit`] |
/// | [`handle_completed`](Self::handle_completed) | that operation has sent all of them |
///
/// Submitted bytes count as sent, like bytes in the buffer of a socket. The reply to them is taken
/// at once, whether or not the completion has been seen, and is never an early reply. After the
/// submission, the driver must send all of them:
///
/// - There is one operation at a time. Until it has ended, do not call `poll_transmit`; go on
///   reading, and keep the time limits.
/// - A short completion is continued with the rest of the copy, without a call.
/// - A failed one is `handle_write_error`. If the connection fails for another reason, let the
///   operation end before the next output is taken, which is QUIT or an alert of TLS.
/// - Operations outlive the future that waits: keep them beside the wire. A future that is dropped
///   with an operation may have sent its bytes, or not.
///
/// The time limit of the write runs from the submission to the completion.
///
/// ```
/// use std::sync::Arc;
/// use smtp_proto::{Config, Connection, Security, Seed, Time, Wire};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let config = Config::builder("client.example.org".parse()?).security(Security::Cleartext).build()?;
/// # let mut connection = Connection::new(Arc::new(config), Seed::random());
/// let now = Time::ORIGIN;
/// connection.handle_input(now, b"220 ready\r\n");
/// let transmit = connection.poll_transmit(now).expect("EHLO");
/// let bytes: Vec<u8> = transmit.iter().flatten().copied().collect();
/// connection.handle_submitted(now, bytes.len());
/// // The operation sends `bytes`. The reply may be read before its completion.
/// connection.handle_input(now, b"250 hello\r\n");
/// connection.handle_completed(now);
/// assert!(connection.poll_ready().is_ready());
/// # Ok(())
/// # }
/// ```
///
/// # Layers
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

    /// Reports that an operation of the transport owns a copy of the first `count` bytes of the last
    /// [`Transmit`], and sends all of them or fails. They count as sent; see
    /// [Completion](Self#completion).
    ///
    /// The default calls [`handle_sent`](Self::handle_sent) and starts the time limit of the write.
    /// A layer keeps the default.
    fn handle_submitted(&mut self, now: Time, count: usize) {
        self.handle_sent(now, count);
        self.smtp_mut().begin_operation(now);
    }

    /// Reports that the operation has sent all bytes that were
    /// [submitted](Self::handle_submitted).
    fn handle_completed(&mut self, _now: Time) {
        self.smtp_mut().end_operation();
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
