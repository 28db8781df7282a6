//! The blocking client as the suite uses it: its methods are async, and ready at the first poll.

use std::fmt;
use std::io::{self, IoSlice, Read, Write};
use std::iter::Fuse;
use std::net::SocketAddr;
pub(crate) use std::net::TcpStream;
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

pub(crate) use std::io::{Read as AsyncReadExt, empty, repeat};

use proto::{
    Capabilities, Command, CommandId, Connection, ContentStatus, Error, Mail, MailId, Outcome,
    Reply, TlsInfo, Wire,
};
pub(crate) use smtp_blocking::{Socket, proto, tls};
use smtp_test::{Faulty, MemoryServer, Pipe};
use tls::{Endpoint, Session};

#[cfg(unix)]
pub(crate) const NAME: &str = "smtp-blocking";

/// It does not read while it writes, and needs the buffers that sockets have at least.
pub(crate) const SMALLEST_BUFFER: usize = 8 << 10;

pub(crate) struct Runtime;

impl Runtime {
    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        ready(future)
    }
}

pub(crate) fn runtime() -> Runtime {
    Runtime
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    ready(future)
}

/// The output of a future that never waits.
fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a blocking client has blocked before"),
    }
}

pub(crate) async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).unwrap()
}

pub(crate) fn buffered(server: MemoryServer) -> Buffered {
    Buffered(server, Vec::new())
}

/// A blocking client over the stream `S` of the suite.
pub(crate) struct Client<S: Stream = Socket, W = Session>(smtp_blocking::Client<S::Blocking, W>);

impl<S: Stream, W: Wire> Client<S, W> {
    pub(crate) fn from_stream(stream: S, wire: W) -> Self {
        Self(smtp_blocking::Client::from_stream(
            stream.into_blocking(),
            wire,
        ))
    }

    pub(crate) fn submit(&mut self, mail: Mail) -> MailId {
        self.0.submit(mail)
    }

    pub(crate) fn capabilities(&self) -> &Capabilities {
        self.0.capabilities()
    }

    pub(crate) fn tls(&self) -> Option<&TlsInfo> {
        self.0.tls()
    }

    pub(crate) fn connection(&self) -> &Connection {
        self.0.connection()
    }

    pub(crate) fn connection_mut(&mut self) -> &mut Connection {
        self.0.connection_mut()
    }

    pub(crate) fn into_parts(self) -> (S, W) {
        let (stream, wire) = self.0.into_parts();
        (S::from_blocking(stream), wire)
    }

    pub(crate) async fn ready(&mut self) -> Result<(), Error> {
        self.0.ready()
    }

    pub(crate) async fn send(&mut self, mail: Mail) -> Result<Outcome, Error> {
        self.0.send(mail)
    }

    pub(crate) async fn send_from(
        &mut self,
        mail: Mail,
        content: impl Read,
    ) -> Result<Outcome, Error> {
        self.0.send_from(mail, content)
    }

    pub(crate) async fn content_wanted(&mut self, id: MailId) -> Result<ContentStatus, Error> {
        self.0.content_wanted(id)
    }

    pub(crate) async fn wait_outcome(&mut self, id: MailId) -> Result<Outcome, Error> {
        self.0.wait_outcome(id)
    }

    pub(crate) async fn command(&mut self, command: Command) -> Result<Reply, Error> {
        self.0.command(command)
    }

    pub(crate) async fn wait_reply(&mut self, id: CommandId) -> Result<Reply, Error> {
        self.0.wait_reply(id)
    }

    pub(crate) async fn quit(self) -> Result<(), Error> {
        self.0.quit()
    }

    pub(crate) fn send_all<I>(&mut self, mails: I) -> Batch<'_, I::IntoIter, S, W>
    where
        I: IntoIterator<Item = Mail>,
    {
        Batch(self.0.send_all(mails))
    }
}

impl<S: Stream> Client<S, Connection> {
    pub(crate) async fn upgrade<T, F>(self, handshake: F) -> Result<Client<T, Connection>, Error>
    where
        T: Stream,
        F: AsyncFnOnce(S) -> io::Result<(T, TlsInfo)>,
    {
        let client = self.0.upgrade(|stream| {
            let (stream, info) = ready(handshake(S::from_blocking(stream)))?;
            Ok((stream.into_blocking(), info))
        })?;
        Ok(Client(client))
    }
}

impl Client {
    pub(crate) async fn connect(endpoint: &Endpoint) -> Result<Self, Error> {
        smtp_blocking::Client::connect(endpoint).map(Self)
    }

    pub(crate) async fn connect_to(
        endpoint: &Endpoint,
        addresses: &[SocketAddr],
    ) -> Result<Self, Error> {
        smtp_blocking::Client::connect_to(endpoint, addresses).map(Self)
    }

    pub(crate) fn get_ref(&self) -> &Socket {
        self.0.get_ref()
    }
}

#[cfg(unix)]
impl Client<UnixStream, Connection> {
    pub(crate) async fn connect_unix(
        path: impl AsRef<std::path::Path>,
        config: std::sync::Arc<proto::Config>,
    ) -> Result<Self, Error> {
        smtp_blocking::Client::connect_unix(path, config).map(Self)
    }
}

impl<S: Stream, W: fmt::Debug> fmt::Debug for Client<S, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

pub(crate) struct Batch<'a, I: Iterator<Item = Mail>, S: Stream, W: Wire>(
    smtp_blocking::Batch<'a, I, S::Blocking, W>,
);

impl<I: Iterator<Item = Mail>, S: Stream, W: Wire> Batch<'_, I, S, W> {
    pub(crate) async fn next(&mut self) -> Option<Outcome> {
        self.0.next()
    }

    pub(crate) fn into_rest(self) -> Fuse<I> {
        self.0.into_rest()
    }
}

/// A stream of the suite, and the stream that the client blocks on.
pub(crate) trait Stream {
    type Blocking: smtp_blocking::Stream;

    fn into_blocking(self) -> Self::Blocking;

    fn from_blocking(stream: Self::Blocking) -> Self;
}

/// Streams that have timeouts of their own.
macro_rules! blocking {
    ($($stream:ty)*) => {
        $(
            impl Stream for $stream {
                type Blocking = Self;

                fn into_blocking(self) -> Self {
                    self
                }

                fn from_blocking(stream: Self) -> Self {
                    stream
                }
            }
        )*
    };
}

blocking!(Socket TcpStream);
#[cfg(unix)]
blocking!(UnixStream);

/// Streams that need a wrapper.
macro_rules! wrapped {
    ($($stream:ty $(: $parameter:ident)?, $wrapper:ident;)*) => {
        $(
            impl$(<$parameter: Read + Write>)? Stream for $stream {
                type Blocking = $wrapper<Self>;

                fn into_blocking(self) -> $wrapper<Self> {
                    $wrapper(self)
                }

                fn from_blocking(stream: $wrapper<Self>) -> Self {
                    stream.0
                }
            }
        )*
    };
}

wrapped! {
    MemoryServer, Untimed;
    Faulty<S>: S, Untimed;
    Box<S>: S, Untimed;
    Pipe, Timed;
}

/// A stream that never blocks.
pub(crate) struct Untimed<S>(pub(crate) S);

impl<S: Read + Write> smtp_blocking::Stream for Untimed<S> {
    fn set_timeouts(&mut self, _: Duration) -> io::Result<()> {
        Ok(())
    }

    fn try_read(&mut self, buffer: &mut [u8]) -> Option<io::Result<usize>> {
        Some(self.0.read(buffer))
    }
}

/// One end of a pipe.
pub(crate) struct Timed<S>(S);

impl smtp_blocking::Stream for Timed<Pipe> {
    fn set_timeouts(&mut self, limit: Duration) -> io::Result<()> {
        self.0.set_read_timeout(Some(limit))?;
        self.0.set_write_timeout(Some(limit))
    }
}

/// A stream that keeps what is written until it is flushed.
pub(crate) struct Buffered(MemoryServer, Vec<u8>);

impl Read for Buffered {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Buffered {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.1.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.write_all(&std::mem::take(&mut self.1))
    }
}

impl<S: Read> Read for Untimed<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl<S: Read> Read for Timed<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

/// Writing goes to the stream inside.
macro_rules! write_to {
    ($($stream:ty $(: $parameter:ident)?, $inner:tt;)*) => {
        $(
            impl$(<$parameter: Write>)? Write for $stream {
                fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                    self.$inner.write(bytes)
                }

                fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
                    self.$inner.write_vectored(slices)
                }

                fn flush(&mut self) -> io::Result<()> {
                    self.$inner.flush()
                }
            }
        )*
    };
}

write_to! {
    Untimed<S>: S, 0;
    Timed<S>: S, 0;
}
