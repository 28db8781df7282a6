//! A stream to a server in memory, with faults.

use std::io::{self, IoSlice, Read, Write};
use std::task::{Context, Poll, Waker};

use smtp_driver::Runtime;
use smtp_test::MemoryServer;

use super::{Moment, Seat, World, pend_once};

/// How a connection fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The server closes. What is written before the client reads is lost.
    Eof,
    /// The connection is reset.
    Reset,
    /// The server sends a surplus reply, and closes.
    Says(&'static str),
    /// What is written arrives, and the connection is reset behind it.
    ResetBehind,
    /// Nothing arrives from now on.
    Silence,
}

/// A stream to a server in memory.
pub(crate) struct Line {
    server: MemoryServer,
    seat: Seat,
    operations: usize,
    reading: Operation,
    writing: Operation,
    state: LineState,
    reader: Option<Waker>,
}

/// An operation is pending once.
#[derive(Default)]
struct Operation {
    has_pended: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum LineState {
    Open,
    Closed,
    Reset,
    Silent,
}

impl Line {
    pub(super) fn new(server: MemoryServer, seat: Seat) -> Self {
        Self {
            server,
            seat,
            operations: 0,
            reading: Operation::default(),
            writing: Operation::default(),
            state: LineState::Open,
            reader: None,
        }
    }

    fn fault(&mut self, is_write: bool) -> Option<Fault> {
        self.operations += 1;
        let world = &self.seat.world;
        let number = self.seat.number;
        let moment = Moment {
            connection: number,
            operation: self.operations,
            is_write,
        };
        let mut faults = std::mem::replace(&mut world.lock().faults, Box::new(|_| None));
        let fault = faults(moment);
        world.lock().faults = faults;
        fault
    }

    fn read(&mut self, cx: &Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.state == LineState::Open {
            match self.fault(false) {
                Some(Fault::Eof) => self.close(LineState::Closed),
                Some(Fault::Reset | Fault::ResetBehind) => self.close(LineState::Reset),
                Some(Fault::Silence) => self.close(LineState::Silent),
                Some(Fault::Says(text)) => return self.say(buffer, text),
                None => {}
            }
        }
        match self.state {
            LineState::Closed => return Poll::Ready(Ok(0)),
            LineState::Reset => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            LineState::Silent => return Poll::Pending,
            LineState::Open => {}
        }
        match self.server.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.reader = Some(cx.waker().clone());
                Poll::Pending
            }
            result => Poll::Ready(result),
        }
    }

    /// Says this after all that the server has to say, and closes.
    fn say(&mut self, buffer: &mut [u8], text: &str) -> Poll<io::Result<usize>> {
        match self.server.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let text = text.as_bytes();
                buffer[..text.len()].copy_from_slice(text);
                self.close(LineState::Closed);
                Poll::Ready(Ok(text.len()))
            }
            result => Poll::Ready(result),
        }
    }

    fn write(&mut self, output: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let length = output.iter().map(|slice| slice.len()).sum();
        if self.state == LineState::Open {
            match self.fault(true) {
                Some(Fault::Eof | Fault::Says(_)) => self.close(LineState::Closed),
                Some(Fault::Reset) => self.close(LineState::Reset),
                Some(Fault::Silence) => self.close(LineState::Silent),
                Some(Fault::ResetBehind) => {
                    let _ = self.server.write_vectored(output);
                    self.close(LineState::Reset);
                    return Poll::Ready(Ok(length));
                }
                None => {}
            }
        }
        match self.state {
            LineState::Closed | LineState::Silent => return Poll::Ready(Ok(length)),
            LineState::Reset => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            LineState::Open => {}
        }
        match self.server.write_vectored(output) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
            result => {
                if let Some(reader) = self.reader.take() {
                    reader.wake();
                }
                Poll::Ready(result)
            }
        }
    }

    fn close(&mut self, state: LineState) {
        self.state = state;
        if state != LineState::Silent {
            self.server.shutdown();
        }
    }
}

impl Runtime<Line> for World {
    fn poll_read(
        stream: &mut Line,
        cx: &mut Context<'_>,
        input: impl FnOnce(&[u8]),
    ) -> Poll<io::Result<()>> {
        if pend_once(&mut stream.reading.has_pended, cx).is_pending() {
            return Poll::Pending;
        }
        let mut buffer = [0; 2048];
        let result = stream.read(cx, &mut buffer);
        // An operation that waits is not pending for another reason when it is polled again.
        stream.reading.has_pended = result.is_pending();
        result.map_ok(|count| input(&buffer[..count]))
    }

    fn poll_write(
        stream: &mut Line,
        cx: &mut Context<'_>,
        output: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if pend_once(&mut stream.writing.has_pended, cx).is_pending() {
            return Poll::Pending;
        }
        let result = stream.write(output);
        stream.writing.has_pended = result.is_pending();
        result
    }

    fn poll_flush(_: &mut Line, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(stream: &mut Line, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        stream.server.shutdown();
        Poll::Ready(Ok(()))
    }
}
