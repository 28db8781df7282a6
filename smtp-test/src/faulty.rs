use std::{
    io::{self, ErrorKind, IoSlice, Read, Write},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

/// The faults of a [`Faulty`] stream: which operation fails, and how.
///
/// Reads and writes count together, from 1; one that would block does not count.
///
/// ```
/// use smtp_test::{Fault, Plan};
///
/// // Reads and writes move one byte, and the tenth of them fails.
/// let plan = Plan::new().at_most(1).fault(10, Fault::Reset);
/// # let _ = plan;
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use = "a plan does nothing until a stream is made with it"]
pub struct Plan {
    most: Option<usize>,
    pending: bool,
    faults: Vec<(usize, Fault)>,
}

impl Plan {
    /// A plan without faults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Moves at most this number of bytes in one read or write.
    ///
    /// # Panics
    /// If `bytes` is 0.
    pub fn at_most(mut self, bytes: usize) -> Self {
        assert!(bytes > 0, "a stream that moves no byte reports its end");
        self.most = Some(bytes);
        self
    }

    /// Makes each async operation pending once before it is done, with its waker woken at once;
    /// flush and close too. A blocking operation returns `Interrupted` once.
    pub fn pending_first(mut self) -> Self {
        self.pending = true;
        self
    }

    /// Makes the `k`-th operation fail.
    pub fn fault(mut self, k: usize, fault: Fault) -> Self {
        self.faults.push((k, fault));
        self
    }
}

/// A fault of one read or write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// `ConnectionReset`, now and for all operations to come.
    Reset,
    /// A read returns EOF and a write `BrokenPipe`, now and for all operations to come.
    Eof,
    /// At most this number of bytes move; zero would be EOF, or an empty write.
    Short(usize),
    /// `Interrupted` for a blocking operation; an async one is pending and wakes itself.
    Interrupted,
    /// `WouldBlock` for a blocking operation, like a socket after its timeout; an async one is
    /// pending and wakes itself.
    WouldBlock,
    /// Another error, once.
    Error(ErrorKind),
}

/// A stream whose operations fail by a [`Plan`]: around a [`MemoryServer`](crate::MemoryServer), a
/// [`Pipe`](crate::Pipe), a socket, or any other stream.
///
/// ```
/// use std::io::Read;
/// use smtp_test::{Config, Fault, Faulty, MemoryServer, Plan};
///
/// let plan = Plan::new().at_most(1).fault(3, Fault::Reset);
/// let mut stream = Faulty::new(MemoryServer::new(&Config::new()), plan);
/// let mut text = Vec::new();
/// let error = stream.read_to_end(&mut text).unwrap_err();
/// assert_eq!(text, b"22");
/// assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
/// ```
#[derive(Debug)]
pub struct Faulty<S> {
    stream: S,
    plan: Plan,
    operations: Operations,
    dead: Option<Fault>,
    read_due: bool,
    write_due: bool,
    other_due: bool,
}

impl<S> Faulty<S> {
    /// Wraps `stream`.
    pub fn new(stream: S, plan: Plan) -> Self {
        Self {
            stream,
            plan,
            operations: Operations::default(),
            dead: None,
            read_due: false,
            write_due: false,
            other_due: false,
        }
    }

    /// The stream inside.
    pub fn get_ref(&self) -> &S {
        &self.stream
    }

    /// The stream inside, for operations without faults.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    /// The stream inside.
    pub fn into_inner(self) -> S {
        self.stream
    }

    /// The count of operations, readable also after the stream was moved.
    ///
    /// A first run counts them; a loop then makes each of them fail in turn.
    ///
    /// ```
    /// use std::io::Read;
    /// use smtp_test::{Config, Fault, Faulty, MemoryServer, Plan};
    ///
    /// fn greeting(plan: Plan) -> (std::io::Result<usize>, usize) {
    ///     let mut stream = Faulty::new(MemoryServer::new(&Config::new()), plan);
    ///     let operations = stream.operations();
    ///     (stream.read(&mut [0; 100]), operations.count())
    /// }
    /// let (result, count) = greeting(Plan::new());
    /// assert!(result.is_ok());
    /// for k in 1..=count {
    ///     let (result, _) = greeting(Plan::new().fault(k, Fault::Reset));
    ///     assert!(result.is_err());
    /// }
    /// ```
    pub fn operations(&self) -> Operations {
        self.operations.clone()
    }

    /// The fault of the next operation; an operation with a fault counts.
    fn meet(&mut self) -> Option<Fault> {
        if self.dead.is_some() {
            return self.dead;
        }
        let next = self.operations.count() + 1;
        let fault = self.plan.faults.iter().find(|(k, _)| *k == next)?.1;
        if matches!(fault, Fault::Reset | Fault::Eof) {
            self.dead = Some(fault);
        }
        if !matches!(fault, Fault::Short(_)) {
            self.operations.add();
        }
        Some(fault)
    }

    /// Performs a blocking operation that moves at most the given number of bytes.
    fn operate(
        &mut self,
        reading: bool,
        operation: impl FnOnce(&mut S, usize) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let due = if reading {
            &mut self.read_due
        } else {
            &mut self.write_due
        };
        if self.plan.pending && !std::mem::replace(due, true) {
            return Err(ErrorKind::Interrupted.into());
        }
        *due = false;
        let mut most = self.plan.most.unwrap_or(usize::MAX);
        match self.meet() {
            Some(Fault::Short(len)) => most = most.min(len),
            Some(fault) => return fault.result(reading),
            None => {}
        }
        let result = operation(&mut self.stream, most);
        if !matches!(&result, Err(error) if error.kind() == ErrorKind::WouldBlock) {
            self.operations.add();
        }
        result
    }

    /// Performs an async operation that moves at most the given number of bytes.
    #[cfg_attr(
        not(any(feature = "tokio", feature = "futures-io")),
        expect(dead_code, reason = "only the async traits need it")
    )]
    pub(crate) fn poll_operate(
        &mut self,
        cx: &mut Context<'_>,
        reading: bool,
        operation: impl FnOnce(&mut S, &mut Context<'_>, usize) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let due = if reading {
            &mut self.read_due
        } else {
            &mut self.write_due
        };
        if self.plan.pending && !*due {
            *due = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let mut most = self.plan.most.unwrap_or(usize::MAX);
        match self.meet() {
            Some(Fault::Short(len)) => most = most.min(len),
            Some(Fault::Interrupted | Fault::WouldBlock) => {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Some(fault) => return Poll::Ready(fault.result(reading)),
            None => {}
        }
        let result = operation(&mut self.stream, cx, most);
        if result.is_ready() {
            self.operations.add();
            *(if reading {
                &mut self.read_due
            } else {
                &mut self.write_due
            }) = false;
        }
        result
    }

    /// Performs an async operation that moves no bytes.
    #[cfg_attr(
        not(any(feature = "tokio", feature = "futures-io")),
        expect(dead_code, reason = "only the async traits need it")
    )]
    pub(crate) fn poll_other(
        &mut self,
        cx: &mut Context<'_>,
        operation: impl FnOnce(&mut S, &mut Context<'_>) -> Poll<io::Result<()>>,
    ) -> Poll<io::Result<()>> {
        if self.plan.pending && !self.other_due {
            self.other_due = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let result = operation(&mut self.stream, cx);
        if result.is_ready() {
            self.other_due = false;
        }
        result
    }
}

impl<S: Read> Read for Faulty<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.operate(true, |stream, most| {
            let len = buffer.len().min(most);
            stream.read(&mut buffer[..len])
        })
    }
}

impl<S: Write> Write for Faulty<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.operate(false, |stream, most| {
            stream.write_vectored(&limit(slices, most))
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.dead {
            Some(fault) => fault.result(false).map(drop),
            None => self.stream.flush(),
        }
    }
}

/// The count of reads and writes on a [`Faulty`] stream. A handle: clones show the same.
#[derive(Debug, Clone, Default)]
pub struct Operations(Arc<AtomicUsize>);

impl Operations {
    /// The number of operations so far.
    pub fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Fault {
    fn result(self, reading: bool) -> io::Result<usize> {
        match self {
            Self::Reset => Err(ErrorKind::ConnectionReset.into()),
            Self::Eof if reading => Ok(0),
            Self::Eof => Err(ErrorKind::BrokenPipe.into()),
            Self::Short(_) => Ok(0),
            Self::Interrupted => Err(ErrorKind::Interrupted.into()),
            Self::WouldBlock => Err(ErrorKind::WouldBlock.into()),
            Self::Error(kind) => Err(kind.into()),
        }
    }
}

/// The first `most` bytes of the slices.
pub(crate) fn limit<'a>(slices: &'a [IoSlice<'_>], mut most: usize) -> Vec<IoSlice<'a>> {
    let mut limited = Vec::new();
    for slice in slices {
        let len = slice.len().min(most);
        limited.push(IoSlice::new(&slice[..len]));
        most -= len;
        if most == 0 {
            break;
        }
    }
    limited
}
