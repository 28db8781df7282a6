use std::{
    io::{self, ErrorKind, Read, Write},
    time::Duration,
};

use crate::{Output, Peer, TlsInfo};

/// Runs a peer over a blocking stream until the connection ends; call it on a thread of its own.
///
/// It also returns when the peer stops reading for good; the stream is then still open.
///
/// If a peer begins TLS without a [`TlsPeer`](crate::TlsPeer) around it, TLS is only pretended.
///
/// ```
/// use std::io::{Read, Write};
/// use smtp_test::{Config, Machine, pipe, serve};
///
/// # fn main() -> std::io::Result<()> {
/// let (mut client, mut stream) = pipe(1000);
/// let server = std::thread::spawn(move || serve(&mut Machine::new(&Config::new()), &mut stream));
/// client.write_all(b"QUIT\r\n")?;
/// let mut replies = String::new();
/// client.read_to_string(&mut replies)?;
/// assert!(replies.ends_with("221 2.0.0 bye\r\n"));
/// server.join().unwrap()
/// # }
/// ```
///
/// # Errors
/// If reading or writing fails, except when the other side closed or broke the stream.
pub fn serve(peer: &mut impl Peer, stream: &mut (impl Read + Write)) -> io::Result<()> {
    serve_with(
        peer,
        stream,
        |_, _| Ok(0),
        |pause| {
            std::thread::sleep(pause);
            true
        },
    )
}

/// The same with `more`, which reads further available bytes without a wait, and with `pause`,
/// which returns `false` when the server must end.
pub(crate) fn serve_with<S: Read + Write>(
    peer: &mut impl Peer,
    stream: &mut S,
    mut more: impl FnMut(&mut S, &mut [u8]) -> io::Result<usize>,
    mut pause: impl FnMut(Duration) -> bool,
) -> io::Result<()> {
    peer.handle_network();
    let mut buffer = vec![0; 256 << 10];
    loop {
        while let Some(output) = next_output(peer) {
            match output {
                Output::Write(bytes) => {
                    match stream.write_all(&bytes).and_then(|()| stream.flush()) {
                        Ok(()) => {}
                        Err(error) if is_gone(&error) => {
                            peer.handle_eof();
                            return Ok(());
                        }
                        Err(error) => return Err(error),
                    }
                }
                Output::Delay(time) => {
                    if !pause(time) {
                        return Ok(());
                    }
                }
                Output::Close | Output::Cut | Output::Reset => return Ok(()),
            }
        }
        if !peer.wants_input() {
            return Ok(());
        }
        match stream.read(&mut buffer) {
            Ok(0) => peer.handle_eof(),
            Ok(len) => {
                // Bytes that arrived in pieces count as one flight, and get their replies in one
                // write.
                let mut filled = len;
                while filled < buffer.len() {
                    match more(stream, &mut buffer[filled..])? {
                        0 => break,
                        len => filled += len,
                    }
                }
                peer.handle_input(&buffer[..filled]);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if is_gone(&error) => peer.handle_eof(),
            Err(error) => return Err(error),
        }
    }
}

/// The next output of a peer. TLS is pretended if no TLS layer performs a handshake.
pub(crate) fn next_output(peer: &mut impl Peer) -> Option<Output> {
    let output = peer.poll_output();
    pretend_tls(peer);
    if output.is_some() {
        output
    } else {
        peer.poll_output()
    }
}

/// Pretends TLS if the peer begins it and no TLS layer performs a handshake.
pub(crate) fn pretend_tls(peer: &mut impl Peer) {
    if peer.poll_upgrade() {
        peer.handle_tls(TlsInfo::pretended());
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::BrokenPipe
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::NotConnected
    )
}
