//! A relay between a client and a server that forwards single bytes, or breaks the connection.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use socket2::SockRef;

/// How bytes are forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passage {
    /// One at a time, each in a segment of its own.
    Bytes,
    /// As they come, until the connection breaks.
    Break {
        direction: Direction,
        /// After this number of bytes in this direction.
        after: u64,
        manner: Manner,
    },
}

/// The direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    ToServer,
    ToClient,
}

/// How a connection breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Both ends see the end of the stream.
    Close,
    /// Both ends see a connection reset.
    Reset,
    /// The client sees the end of the stream. The server reads all that was forwarded, and its
    /// replies are lost.
    Deaf,
}

/// Opens a relay for one connection to `target`, which ends with the connection.
///
/// If no connection is made, its thread waits until the program ends.
pub(crate) fn open(target: SocketAddr, passage: Passage) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    thread::Builder::new().spawn(move || {
        // The end of one side is visible to the other.
        let _ = carry(&listener, target, passage);
    })?;
    Ok(address)
}

fn carry(listener: &TcpListener, target: SocketAddr, passage: Passage) -> io::Result<()> {
    let (client, _) = listener.accept()?;
    let link = Link {
        client,
        server: TcpStream::connect(target)?,
        passage,
        broken: AtomicBool::new(false),
    };
    for end in [&link.client, &link.server] {
        end.set_nodelay(true)?;
        // How often a blocked writer checks whether the link is broken.
        end.set_write_timeout(Some(Duration::from_millis(50)))?;
    }
    thread::scope(|scope| {
        scope.spawn(|| link.pump(Direction::ToServer));
        link.pump(Direction::ToClient)
    })
}

struct Link {
    client: TcpStream,
    server: TcpStream,
    passage: Passage,
    broken: AtomicBool,
}

impl Link {
    /// Forwards one direction until its end.
    fn pump(&self, direction: Direction) -> io::Result<()> {
        let (mut from, to) = match direction {
            Direction::ToServer => (&self.client, &self.server),
            Direction::ToClient => (&self.server, &self.client),
        };
        let mut left = match self.passage {
            Passage::Break {
                direction: which,
                after,
                ..
            } if which == direction => after,
            _ => u64::MAX,
        };
        let mut buffer = [0; 16 * 1024];
        loop {
            let read = from.read(&mut buffer);
            if self.broken.load(Ordering::Acquire) {
                // The server's output is read to its end, even if the client no longer reads.
                match read {
                    Ok(1..) if direction == Direction::ToClient && self.is_deaf() => continue,
                    _ => return Ok(()),
                }
            }
            let read = match read {
                Ok(0) => return to.shutdown(Shutdown::Write),
                Ok(read) => read,
                Err(error) => {
                    let _ = to.shutdown(Shutdown::Write);
                    return Err(error);
                }
            };
            let now = usize::try_from(left).map_or(read, |left| left.min(read));
            self.write(to, &buffer[..now])?;
            left -= now as u64;
            if left == 0 {
                self.sever()?;
            }
        }
    }

    fn write(&self, mut to: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() && !self.broken.load(Ordering::Acquire) {
            let len = match self.passage {
                Passage::Bytes => 1,
                Passage::Break { .. } => bytes.len(),
            };
            match to.write(&bytes[..len]) {
                Ok(written) => bytes = &bytes[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn is_deaf(&self) -> bool {
        let passage = self.passage;
        matches!(passage, Passage::Break { manner, .. } if manner == Manner::Deaf)
    }

    fn sever(&self) -> io::Result<()> {
        let Passage::Break { manner, .. } = self.passage else {
            return Ok(());
        };
        self.broken.store(true, Ordering::Release);
        match manner {
            Manner::Close => {
                self.client.shutdown(Shutdown::Both)?;
                self.server.shutdown(Shutdown::Both)
            }
            Manner::Reset => {
                for end in [&self.client, &self.server] {
                    SockRef::from(end).set_linger(Some(Duration::ZERO))?;
                    // Wakes the reader, and sends nothing to the peer.
                    end.shutdown(Shutdown::Read)?;
                }
                Ok(())
            }
            Manner::Deaf => {
                self.client.shutdown(Shutdown::Both)?;
                self.server.shutdown(Shutdown::Write)
            }
        }
    }
}
