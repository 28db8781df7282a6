//! TCP connections that begin without waiting.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};

use socket2::{Domain, Protocol, Socket, Type};

/// Begins a TCP connection, without waiting for it; `local` is the local address, by default one
/// that the system chooses.
///
/// The stream does not block, and is writable when the connect has ended; then
/// [`finish_connect`] says how.
///
/// ```
/// use std::net::TcpListener;
///
/// use smtp_driver::{begin_connect, finish_connect};
///
/// # fn main() -> std::io::Result<()> {
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let stream = begin_connect(listener.local_addr()?, None)?;
/// let (_server, client) = listener.accept()?;
/// finish_connect(&stream)?;
/// assert_eq!(stream.local_addr()?, client);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// If the system rejects the local address, or the connect at once.
pub fn begin_connect(address: SocketAddr, local: Option<IpAddr>) -> io::Result<TcpStream> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    if let Some(local) = local {
        socket.bind(&SocketAddr::new(local, 0).into())?;
    }
    match socket.connect(&address.into()) {
        Err(error) if !is_in_progress(&error) => Err(error),
        _ => Ok(socket.into()),
    }
}

/// How a connect that was begun by [`begin_connect`] has ended.
///
/// # Errors
/// Why it has failed.
pub fn finish_connect(stream: &TcpStream) -> io::Result<()> {
    match stream.take_error()? {
        Some(error) => Err(error),
        // An error if there is no connection.
        None => stream.peer_addr().map(|_| ()),
    }
}

fn is_in_progress(error: &io::Error) -> bool {
    #[cfg(unix)]
    if error.raw_os_error() == Some(libc::EINPROGRESS) {
        return true;
    }
    error.kind() == io::ErrorKind::WouldBlock
}
