use std::{
    collections::VecDeque,
    io::{self, ErrorKind, IoSlice, Read, Write},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

/// Two ends of a connection in memory; each direction holds at most `capacity` bytes, and a writer
/// waits while it is full.
///
/// ```
/// use std::io::{Read, Write};
///
/// # fn main() -> std::io::Result<()> {
/// let (mut client, mut server) = smtp_test::pipe(4);
/// assert_eq!(client.write(b"QUIT\r\n")?, 4, "the pipe is full");
/// let mut bytes = [0; 4];
/// server.read_exact(&mut bytes)?;
/// assert_eq!(&bytes, b"QUIT");
/// # Ok(())
/// # }
/// ```
///
/// # Panics
/// If `capacity` is 0.
pub fn pipe(capacity: usize) -> (Pipe, Pipe) {
    assert!(capacity > 0, "a pipe without room moves nothing");
    let one = Arc::new(Channel::new(capacity));
    let other = Arc::new(Channel::new(capacity));
    (
        Pipe::new(Arc::clone(&one), Arc::clone(&other)),
        Pipe::new(other, one),
    )
}

/// One end of a [`pipe`]: `Read` and `Write` that block, and with the features `tokio` and
/// `futures-io` the async traits of each. Dropping it closes both directions.
#[derive(Debug)]
pub struct Pipe {
    incoming: Arc<Channel>,
    outgoing: Arc<Channel>,
    read_timeout: Mutex<Option<Duration>>,
    write_timeout: Mutex<Option<Duration>>,
}

impl Pipe {
    /// Sets the limit of a blocking read; one that takes longer fails with `WouldBlock`, as on
    /// Unix.
    ///
    /// # Errors
    /// If `timeout` is zero, as with sockets.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        set(&self.read_timeout, timeout)
    }

    /// Sets the limit of a blocking write; one that takes longer fails with `WouldBlock`, as on
    /// Unix.
    ///
    /// # Errors
    /// If `timeout` is zero, as with sockets.
    pub fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        set(&self.write_timeout, timeout)
    }

    /// Closes the sending side: the other end reads EOF after the bytes in flight.
    pub fn shutdown(&self) {
        self.outgoing.close_writer();
    }

    fn new(incoming: Arc<Channel>, outgoing: Arc<Channel>) -> Self {
        Self {
            incoming,
            outgoing,
            read_timeout: Mutex::default(),
            write_timeout: Mutex::default(),
        }
    }

    #[cfg_attr(
        not(any(feature = "tokio", feature = "futures-io")),
        expect(dead_code, reason = "only the async traits need it")
    )]
    #[expect(
        clippy::needless_pass_by_ref_mut,
        reason = "the same shape as the other streams have"
    )]
    pub(crate) fn poll_read_bytes(
        &mut self,
        cx: &Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut flow = self.incoming.lock();
        let read = flow.read(buffer);
        self.incoming.poll(flow, cx, read, |flow| &mut flow.reader)
    }

    #[cfg_attr(
        not(any(feature = "tokio", feature = "futures-io")),
        expect(dead_code, reason = "only the async traits need it")
    )]
    #[expect(
        clippy::needless_pass_by_ref_mut,
        reason = "the same shape as the other streams have"
    )]
    pub(crate) fn poll_write_bytes(
        &mut self,
        cx: &Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut flow = self.outgoing.lock();
        let written = flow.write(slices);
        self.outgoing
            .poll(flow, cx, written, |flow| &mut flow.writer)
    }
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.incoming
            .block(get(&self.read_timeout), |flow| flow.read(buffer))
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.outgoing
            .block(get(&self.write_timeout), |flow| flow.write(slices))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.outgoing.close_writer();
        self.incoming.close_reader();
    }
}

/// One direction.
#[derive(Debug)]
struct Channel {
    flow: Mutex<Flow>,
    changed: Condvar,
}

#[derive(Debug)]
struct Flow {
    bytes: VecDeque<u8>,
    capacity: usize,
    writer_closed: bool,
    reader_closed: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Channel {
    fn new(capacity: usize) -> Self {
        Self {
            flow: Mutex::new(Flow {
                bytes: VecDeque::new(),
                capacity,
                writer_closed: false,
                reader_closed: false,
                reader: None,
                writer: None,
            }),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Flow> {
        self.flow.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close_writer(&self) {
        let mut flow = self.lock();
        flow.writer_closed = true;
        self.notify(&mut flow);
    }

    fn close_reader(&self) {
        let mut flow = self.lock();
        flow.reader_closed = true;
        self.notify(&mut flow);
    }

    fn notify(&self, flow: &mut Flow) {
        self.changed.notify_all();
        for waker in [flow.reader.take(), flow.writer.take()]
            .into_iter()
            .flatten()
        {
            waker.wake();
        }
    }

    /// Blocks until `attempt` returns a result, at most for `timeout`.
    fn block(
        &self,
        timeout: Option<Duration>,
        mut attempt: impl FnMut(&mut Flow) -> Option<io::Result<usize>>,
    ) -> io::Result<usize> {
        let end = timeout.map(|timeout| Instant::now() + timeout);
        let mut flow = self.lock();
        loop {
            if let Some(result) = attempt(&mut flow) {
                self.notify(&mut flow);
                return result;
            }
            flow = match end {
                None => self
                    .changed
                    .wait(flow)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(end) => {
                    let left = end.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Err(ErrorKind::WouldBlock.into());
                    }
                    self.changed
                        .wait_timeout(flow, left)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
            };
        }
    }

    fn poll(
        &self,
        mut flow: MutexGuard<'_, Flow>,
        cx: &Context<'_>,
        attempt: Option<io::Result<usize>>,
        waiting: impl FnOnce(&mut Flow) -> &mut Option<Waker>,
    ) -> Poll<io::Result<usize>> {
        match attempt {
            Some(result) => {
                self.notify(&mut flow);
                Poll::Ready(result)
            }
            None => {
                *waiting(&mut flow) = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Flow {
    /// Reads the available bytes; `None` if there are none.
    fn read(&mut self, buffer: &mut [u8]) -> Option<io::Result<usize>> {
        if self.bytes.is_empty() && !self.writer_closed && !buffer.is_empty() {
            return None;
        }
        Some(self.bytes.read(buffer))
    }

    /// Writes up to the free capacity; `None` if there is none.
    fn write(&mut self, slices: &[IoSlice<'_>]) -> Option<io::Result<usize>> {
        if self.writer_closed || self.reader_closed {
            return Some(Err(ErrorKind::BrokenPipe.into()));
        }
        let mut written = 0;
        let mut empty = true;
        for slice in slices.iter().filter(|slice| !slice.is_empty()) {
            empty = false;
            let len = slice.len().min(self.capacity - self.bytes.len());
            self.bytes.extend(&slice[..len]);
            written += len;
        }
        (written > 0 || empty).then_some(Ok(written))
    }
}

fn set(place: &Mutex<Option<Duration>>, timeout: Option<Duration>) -> io::Result<()> {
    if timeout == Some(Duration::ZERO) {
        return Err(io::Error::new(ErrorKind::InvalidInput, "a timeout of zero"));
    }
    *place.lock().unwrap_or_else(PoisonError::into_inner) = timeout;
    Ok(())
}

fn get(place: &Mutex<Option<Duration>>) -> Option<Duration> {
    *place.lock().unwrap_or_else(PoisonError::into_inner)
}
