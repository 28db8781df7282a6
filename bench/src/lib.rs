//! Shared by the measurements: a server without cost, and messages.

use std::io::{self, Read, Write};
use std::time::Duration;

use smtp_blocking::Stream;

/// A stream whose other end replies to each write at once, from a list, over and over.
///
/// It does not read the output: only the client is measured.
pub struct Canned {
    opening: Vec<&'static [u8]>,
    round: &'static [&'static [u8]],
    turn: usize,
    /// Whether a write has come since the last reply.
    asked: bool,
    /// Writes and reads so far.
    pub operations: u64,
}

impl Canned {
    /// Replies with `opening`, one reply for each turn, and then with `round` again and again.
    pub fn new(opening: &[&'static [u8]], round: &'static [&'static [u8]]) -> Self {
        let opening = opening.iter().rev().copied().collect();
        Self {
            opening,
            round,
            turn: 0,
            asked: true,
            operations: 0,
        }
    }
}

impl Read for Canned {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.operations += 1;
        if !std::mem::take(&mut self.asked) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let answer = self.opening.pop().unwrap_or_else(|| {
            self.turn += 1;
            self.round[(self.turn - 1) % self.round.len()]
        });
        buffer[..answer.len()].copy_from_slice(answer);
        Ok(answer.len())
    }
}

impl Write for Canned {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.operations += 1;
        self.asked = true;
        Ok(bytes.len())
    }

    fn write_vectored(&mut self, slices: &[io::IoSlice<'_>]) -> io::Result<usize> {
        self.operations += 1;
        self.asked = true;
        Ok(slices.iter().map(|slice| slice.len()).sum())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Canned {
    fn set_timeouts(&mut self, _limit: Duration) -> io::Result<()> {
        Ok(())
    }

    fn is_buffered(&self) -> bool {
        false
    }
}

/// A greeting, and the reply of a usual server to EHLO.
pub const OPENING: [&[u8]; 2] = [b"220 mx.example.org ESMTP\r\n", EHLO];

/// A reply of twelve lines to EHLO. The replies below are to DATA, so CHUNKING is not among them.
pub const EHLO: &[u8] = b"250-mx.example.org\r\n250-PIPELINING\r\n250-SIZE 10240000\r\n250-VRFY\r\n250-ETRN\r\n\
    250-STARTTLS\r\n250-AUTH PLAIN LOGIN\r\n250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-DSN\r\n250-SMTPUTF8\r\n\
    250 HELP\r\n";

/// The replies to one message for one recipient.
pub const ONE: &[&[u8]] = &[
    b"250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 End data with <CR><LF>.<CR><LF>\r\n",
    b"250 2.0.0 Ok: queued as 4C9D2A1B2C\r\n",
];

/// The replies to the end of one message and to the envelope of the next, with RSET between them.
pub const NEXT: &[&[u8]] = &[
    b"250 2.0.0 Ok: queued as 4C9D2A1B2C\r\n250 2.0.0 Ok\r\n250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n\
    354 End data with <CR><LF>.<CR><LF>\r\n",
];

/// The replies to one message for ten recipients.
pub const TEN: &[&[u8]] = &[
    b"250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n250 2.1.5 Ok\r\n250 2.1.5 Ok\r\n250 2.1.5 Ok\r\n250 2.1.5 Ok\r\n250 2.1.5 Ok\r\n\
    250 2.1.5 Ok\r\n250 2.1.5 Ok\r\n250 2.1.5 Ok\r\n250 2.1.5 Ok\r\n354 End data with <CR><LF>.<CR><LF>\r\n",
    b"250 2.0.0 Ok: queued as 4C9D2A1B2C\r\n",
];

/// A message of about this number of bytes, in lines of 78.
pub fn text(len: usize) -> Vec<u8> {
    let mut text =
        b"From: alice@example.org\r\nTo: bob@example.net\r\nSubject: a measurement\r\n\r\n"
            .to_vec();
    let line = [
        b"The quick brown fox jumps over the lazy dog, and no one knows why; 0123456789."
            .as_slice(),
        b"\r\n",
    ]
    .concat();
    while text.len() + line.len() <= len {
        text.extend_from_slice(&line);
    }
    text
}

/// The same, with a dot at the start of one line in `every`.
pub fn one_dotted_line_in(every: usize, len: usize) -> Vec<u8> {
    let mut text = text(len);
    let lines = text.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    // The first lines are the header section.
    let starts: Vec<usize> = lines
        .map(|(at, _)| at + 1)
        .skip(every)
        .step_by(every)
        .collect();
    for start in starts {
        if let Some(first) = text.get_mut(start) {
            *first = b'.';
        }
    }
    text
}

/// A counter of the program's allocations.
#[cfg(feature = "counting")]
pub mod counting {
    use std::alloc::{GlobalAlloc, Layout, System};
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    struct Counting;

    static COUNT: AtomicU64 = AtomicU64::new(0);
    static LIVE: AtomicU64 = AtomicU64::new(0);

    #[global_allocator]
    static ALLOCATOR: Counting = Counting;

    // SAFETY: the system's allocator does everything; only numbers are kept.
    unsafe impl GlobalAlloc for Counting {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            COUNT.fetch_add(1, Relaxed);
            LIVE.fetch_add(layout.size() as u64, Relaxed);
            // SAFETY: as the caller of this promises.
            unsafe { System.alloc(layout) }
        }

        unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
            LIVE.fetch_sub(layout.size() as u64, Relaxed);
            // SAFETY: as the caller of this promises.
            unsafe { System.dealloc(pointer, layout) }
        }

        unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
            COUNT.fetch_add(1, Relaxed);
            LIVE.fetch_add(size as u64, Relaxed);
            LIVE.fetch_sub(layout.size() as u64, Relaxed);
            // SAFETY: as the caller of this promises.
            unsafe { System.realloc(pointer, layout, size) }
        }
    }

    /// Allocations so far, reallocations included.
    pub fn count() -> u64 {
        COUNT.load(Relaxed)
    }

    /// Bytes allocated and not freed.
    pub fn live() -> u64 {
        LIVE.load(Relaxed)
    }
}
