//! An adapter for compio, whose operations own their buffers until they complete.
//!
//! It drives a [`Wire`] by [`handle_submitted`](Wire::handle_submitted) and
//! [`handle_completed`](Wire::handle_completed), as its section
//! [Completion](Wire#completion) says. Operations are kept in the [`Client`], so a future that is
//! dropped takes none with it.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use compio::BufResult;
use compio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use compio::net::{TcpSocket, TcpStream, ToSocketAddrsAsync};
use compio::runtime::Runtime;
use compio::time::{sleep, timeout};
use smtp_proto::{Connection, Error, Mail, MailId, Outcome, Time, Window, Wire};
use smtp_rustls::{Endpoint, Session, Target};

/// An SMTP connection over a TCP stream of compio.
pub struct Client<W: Wire> {
    stream: TcpStream,
    wire: W,
    /// The zero of the connection's time.
    epoch: Instant,
    reading: Option<Operation<BufResult<usize, Vec<u8>>>>,
    writing: Option<Operation<io::Result<()>>>,
}

/// An operation in progress. It owns its buffer and a handle of the stream.
type Operation<T> = Pin<Box<dyn Future<Output = T>>>;

impl Client<Session> {
    /// Connects to a server, and waits until it is ready for messages.
    ///
    /// One address is tried after the other. An endpoint that is a Unix socket is an error.
    ///
    /// # Errors
    /// The failure at the last address, with the earlier ones as its
    /// [`attempts`](Error::attempts).
    pub async fn connect(endpoint: &Endpoint) -> Result<Self, Error> {
        let name = (endpoint.connect_host(), endpoint.connect_port());
        let addresses = name.to_socket_addrs_async().await;
        let failed = |error| Error::connect(error).with_peer(endpoint.peer());
        let mut attempts = endpoint.attempts(addresses.map_err(failed)?);
        let epoch = Instant::now();
        while let Some(target) = attempts.poll_connect(Time::from_origin(epoch.elapsed())) {
            let opened = open(endpoint, &target).await;
            let failed = |error| attempts.handle_connect_error(&target, error);
            let Ok(stream) = opened.map_err(failed) else {
                continue;
            };
            if let Some(session) = attempts.handle_connected(&target, stream.local_addr().ok()) {
                let mut client = Self::from_stream(stream, session);
                let Err(error) = client.drive(Connection::poll_ready).await else {
                    return Ok(client);
                };
                client.close().await;
                attempts.handle_failure(error);
            }
        }
        Err(attempts.into_error())
    }
}

impl<W: Wire> Client<W> {
    /// A client over a connected stream and a wire that has not begun.
    pub fn from_stream(stream: TcpStream, mut wire: W) -> Self {
        wire.smtp_mut().set_window(Window::FULL_DUPLEX);
        // Replies are awaited, so bytes that wait for more only delay them.
        _ = stream.set_nodelay(true);
        Self {
            stream,
            wire,
            epoch: Instant::now(),
            reading: None,
            writing: None,
        }
    }

    /// The connection, for everything that needs no waiting.
    pub fn smtp_mut(&mut self) -> &mut Connection {
        self.wire.smtp_mut()
    }

    /// Waits until `question` has an answer. It is asked again whenever bytes or time have passed.
    ///
    /// Cancel safe if `question` is.
    pub async fn drive<T>(&mut self, mut question: impl FnMut(&mut Connection) -> Poll<T>) -> T {
        loop {
            if let Poll::Ready(answer) = question(self.wire.smtp_mut()) {
                return answer;
            }
            self.step().await;
        }
    }

    /// Sends a message, and waits for its outcome.
    ///
    /// Not cancel safe: dropping the future [abandons](Connection::abandon) the message.
    ///
    /// # Errors
    /// If the message is streamed.
    pub async fn send(&mut self, mail: Mail) -> Result<Outcome, Error> {
        let id = self.smtp_mut().submit(mail);
        let sending = AbandonOnDrop { client: self, id };
        sending.client.drive(|smtp| smtp.poll_outcome(id)).await
    }

    /// Ends the connection by QUIT, and closes the stream.
    ///
    /// Not cancel safe: dropping the future drops the connection as it is.
    ///
    /// # Errors
    /// The connection's failure before QUIT was sent. A missing reply to QUIT is no error.
    pub async fn quit(mut self) -> Result<(), Error> {
        self.smtp_mut().quit();
        let closed = self.drive(Connection::poll_closed).await;
        self.close().await;
        closed
    }

    /// Waits until a connection that was ended or has failed is closed, sends the last output, such
    /// as an alert of TLS, and closes the stream.
    ///
    /// Not cancel safe: the stream may be partly closed.
    pub async fn close(&mut self) {
        let is_closed = |smtp: &mut Connection| smtp.is_closed().then_some(());
        self.drive(|smtp| is_closed(smtp).map_or(Poll::Pending, Poll::Ready))
            .await;
        let limit = self.wire.smtp().timeouts().quit().min(LONGEST);
        let last = poll_fn(|cx| {
            while self.poll_write(cx, self.now()) {}
            let writing = self.writing.as_ref();
            writing.map_or(Poll::Ready(()), |_| Poll::Pending)
        });
        _ = timeout(limit, last).await;
        _ = self.stream.shutdown().await;
    }

    /// Moves bytes one way or both, or waits until it can or a time limit is reached.
    async fn step(&mut self) {
        let mut alarm: Option<Operation<()>> = None;
        poll_fn(|cx| {
            let now = self.now();
            if self.poll_write(cx, now) | self.poll_read(cx, now) {
                return Poll::Ready(());
            }
            let until = self.wire.poll_timeout();
            let left = until.map(|until| until.saturating_since(now));
            if left == Some(Duration::ZERO) {
                // What has arrived or completed counts before a limit that is reached.
                collect_completions(cx);
                if !(self.poll_write(cx, now) | self.poll_read(cx, now)) {
                    self.wire.handle_timeout(now);
                }
                return Poll::Ready(());
            }
            let wait = left.map_or(LONGEST, |left| left.min(LONGEST));
            let ringing = alarm.get_or_insert_with(|| Box::pin(sleep(wait)));
            ringing.as_mut().poll(cx)
        })
        .await;
    }

    /// Continues the operation that writes, or submits one for the next output. Returns whether
    /// something happened.
    fn poll_write(&mut self, cx: &mut Context<'_>, now: Time) -> bool {
        let is_new = self.writing.is_none();
        if is_new {
            // A limit that was reached is not extended by writing.
            if self.wire.poll_timeout().is_some_and(|until| until <= now) {
                return false;
            }
            let Some(transmit) = self.wire.poll_transmit(now) else {
                return false;
            };
            let bytes = transmit.iter().collect::<Vec<_>>().concat();
            self.wire.handle_submitted(now, bytes.len());
            let mut stream = self.stream.clone();
            // A short write is continued.
            self.writing = Some(Box::pin(async move { stream.write_all(bytes).await.0 }));
        }
        let writing = self.writing.as_mut();
        match writing.map(|writing| writing.as_mut().poll(cx)) {
            Some(Poll::Ready(Ok(()))) => self.wire.handle_completed(now),
            Some(Poll::Ready(Err(error))) => self.wire.handle_write_error(now, error.into()),
            // Submitting may answer the question. It may then be long until the runtime is driven
            // again.
            _ => {
                if is_new {
                    collect_completions(cx);
                }
                return is_new;
            }
        }
        self.writing = None;
        true
    }

    /// Continues the operation that reads, or submits one. Returns whether something happened.
    fn poll_read(&mut self, cx: &mut Context<'_>, now: Time) -> bool {
        let reading = self.reading.get_or_insert_with(|| {
            let mut stream = self.stream.clone();
            Box::pin(async move { stream.read(Vec::with_capacity(READ)).await })
        });
        let Poll::Ready(BufResult(result, input)) = reading.as_mut().poll(cx) else {
            return false;
        };
        self.reading = None;
        match result {
            Ok(0) => self.wire.handle_eof(now),
            Ok(_) => self.wire.handle_input(now, &input),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => self.wire.handle_read_error(now, error.into()),
        }
        true
    }

    fn now(&self) -> Time {
        Time::from_origin(self.epoch.elapsed())
    }
}

/// Abandons a message when the future that sends it is dropped. A message whose outcome is known
/// keeps it.
struct AbandonOnDrop<'a, W: Wire> {
    client: &'a mut Client<W>,
    id: MailId,
}

impl<W: Wire> Drop for AbandonOnDrop<'_, W> {
    fn drop(&mut self) {
        self.client.smtp_mut().abandon(self.id);
    }
}

/// Submits what is to be submitted, and collects what has completed, without waiting.
fn collect_completions(cx: &mut Context<'_>) {
    // One turn may only collect the results of threads.
    for _ in 0..2 {
        Runtime::with_current(|runtime| runtime.poll_with(Some(Duration::ZERO)));
    }
    // These turns may have taken the notification of others.
    cx.waker().wake_by_ref();
}

/// Opens a TCP connection to a target.
async fn open(endpoint: &Endpoint, target: &Target) -> io::Result<TcpStream> {
    let Target::Tcp(address) = *target else {
        return Err(io::ErrorKind::Unsupported.into());
    };
    let connecting = async {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4().await?,
            SocketAddr::V6(_) => TcpSocket::new_v6().await?,
        };
        if let Some(local) = endpoint.local_address() {
            socket.bind(SocketAddr::new(local, 0)).await?;
        }
        socket.connect(address).await
    };
    let limit = endpoint.timeouts().connect().min(LONGEST);
    let connected = timeout(limit, connecting).await;
    connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// How many bytes are read at a time: more than nearly every reply.
const READ: usize = 4 * 1024;

/// The longest wait. The clock of the runtime does not reach much further.
const LONGEST: Duration = Duration::from_secs(60 * 60);
