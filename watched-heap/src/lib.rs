//! An allocator for tests that finds secrets in freed memory.
//!
//! A test program makes [`WatchedHeap`] its global allocator and runs code by [`watch`], with a
//! [`Canary`] as the secret. Each block that the code frees, also by growing or shrinking a buffer,
//! is searched for the canary in cleartext and in base64.
//!
//! ```
//! use watched_heap::{CANARY, Canary, WatchedHeap, watch};
//!
//! #[global_allocator]
//! static HEAP: WatchedHeap = WatchedHeap;
//!
//! let ((), finds) = watch(&CANARY, || drop(CANARY.text().to_owned()));
//! assert_eq!(finds.count(), 1);
//! ```

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fmt;

/// The system's allocator, with a search of each block that is freed within [`watch`].
///
/// Blocks are zeroed when allocated, so that all of a block can be read when it is freed. A block
/// that changes its size moves, so that the old block is searched.
#[derive(Clone, Copy, Debug, Default)]
pub struct WatchedHeap;

// SAFETY: both functions call the system's allocator with the layout that they receive. The other
// functions are those of the trait, which call these two.
unsafe impl GlobalAlloc for WatchedHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller guarantees what `GlobalAlloc::alloc` requires.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // The thread-local is gone while a thread ends; nothing is watched then.
        if let Ok(Some(canary)) = WATCHED.try_with(Cell::get) {
            // SAFETY: the caller frees a block of this layout, to which no other reference exists.
            // `alloc` has zeroed it, so all of it is initialized.
            let freed = unsafe { std::slice::from_raw_parts(block, layout.size()) };
            search(&canary, freed);
        }
        // SAFETY: the caller guarantees what `GlobalAlloc::dealloc` requires.
        unsafe { System.dealloc(block, layout) };
    }
}

/// A secret that is recognized by any 11 of its bytes, also in base64 at every alignment.
///
/// It repeats one unit of three bytes, so in base64 it repeats one unit of four characters.
///
/// ```
/// use watched_heap::CANARY;
///
/// assert!(CANARY.is_in(b"AUTH PLAIN AGFsaWNlAFpxOVpxOVpxOVpxOVpxOQ=="));
/// assert!(!CANARY.is_in(b"AUTH PLAIN AGFsaWNlAHNlY3JldA=="));
/// ```
#[derive(Clone, Copy)]
pub struct Canary {
    text: &'static str,
    /// Three units: in cleartext, and in base64 beginning at each byte of the unit.
    signs: [&'static [u8]; 4],
}

/// A secret of 30 bytes: long enough for a password.
pub const CANARY: Canary = Canary {
    text: "Zq9Zq9Zq9Zq9Zq9Zq9Zq9Zq9Zq9Zq9",
    signs: SIGNS,
};

/// A secret of 900 bytes: too long for an SMTP command line.
pub const LONG_CANARY: Canary = Canary {
    text: match std::str::from_utf8(&LONG) {
        Ok(text) => text,
        Err(_) => "",
    },
    signs: SIGNS,
};

impl Canary {
    /// The secret.
    pub const fn text(&self) -> &'static str {
        self.text
    }

    /// Whether `bytes` contain a part of the secret, in cleartext or in base64.
    pub fn is_in(&self, bytes: &[u8]) -> bool {
        let begins = |byte: &u8| self.signs.iter().any(|sign| sign.starts_with(&[*byte]));
        let starts = bytes.iter().enumerate().filter(|(_, byte)| begins(byte));
        starts
            .map(|(start, _)| &bytes[start..])
            .any(|rest| self.signs.iter().any(|sign| rest.starts_with(sign)))
    }
}

impl fmt::Debug for Canary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Canary").field(&self.text.len()).finish()
    }
}

/// How many freed blocks contained the secret.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use = "finding a secret fails no test by itself"]
pub struct Finds(usize);

impl Finds {
    /// The number of freed blocks that contained the secret.
    pub const fn count(self) -> usize {
        self.0
    }
}

/// Runs `run`, and searches each block that this thread frees meanwhile.
///
/// The first find is printed with a backtrace.
pub fn watch<T>(canary: &Canary, run: impl FnOnce() -> T) -> (T, Finds) {
    clear_stack();
    let outer = (WATCHED.replace(Some(*canary)), FINDS.take());
    let result = run();
    WATCHED.set(outer.0);
    (result, Finds(FINDS.replace(outer.1)))
}

/// Runs code within [`watch`] that may free the secret: the server, or the test itself.
///
/// ```
/// use watched_heap::{CANARY, WatchedHeap, unwatched, watch};
///
/// #[global_allocator]
/// static HEAP: WatchedHeap = WatchedHeap;
///
/// let ((), finds) = watch(&CANARY, || unwatched(|| drop(CANARY.text().to_owned())));
/// assert_eq!(finds.count(), 0);
/// ```
pub fn unwatched<T>(run: impl FnOnce() -> T) -> T {
    let outer = WATCHED.take();
    let result = run();
    clear_stack();
    WATCHED.set(outer);
    result
}

/// Overwrites what calls have left on the stack, because the padding of a value moved to the heap
/// can contain it.
#[inline(never)]
fn clear_stack() {
    std::hint::black_box([0_u8; 1 << 16]);
}

#[cold]
fn search(canary: &Canary, freed: &[u8]) {
    if !canary.is_in(freed) {
        return;
    }
    let before = FINDS.get();
    FINDS.set(before.saturating_add(1));
    if before == 0 {
        // Printing allocates and frees as well.
        unwatched(|| {
            let trace = std::backtrace::Backtrace::force_capture();
            eprintln!(
                "the secret is in a freed block of {} bytes:\n{trace}",
                freed.len()
            );
        });
    }
}

/// Three units: in cleartext, and in base64 beginning at each byte of the unit.
const SIGNS: [&[u8]; 4] = [
    b"Zq9Zq9Zq9",
    b"WnE5WnE5WnE5",
    b"cTlacTlacTla",
    b"OVpxOVpxOVpx",
];

const UNIT: &[u8; 3] = b"Zq9";

const LONG: [u8; 900] = {
    let mut long = [0; 900];
    let mut at = 0;
    while at < long.len() {
        long[at] = UNIT[at % UNIT.len()];
        at += 1;
    }
    long
};

thread_local! {
    // Neither allocates nor needs dropping, so the allocator may use them.
    static WATCHED: Cell<Option<Canary>> = const { Cell::new(None) };
    static FINDS: Cell<usize> = const { Cell::new(0) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[global_allocator]
    static HEAP: WatchedHeap = WatchedHeap;

    #[test]
    fn only_watched_frees_are_searched() {
        let kept = CANARY.text().to_owned();
        let ((), finds) = watch(&CANARY, || {
            drop("no secret here".repeat(100));
            unwatched(|| drop(CANARY.text().to_owned()));
        });
        assert_eq!(finds.count(), 0);
        drop(kept);
        let ((), finds) = watch(&CANARY, || drop(CANARY.text().to_owned()));
        assert_eq!(finds.count(), 1);
    }

    #[test]
    fn a_buffer_that_grows_or_shrinks_frees_its_old_block() {
        let (kept, finds) = watch(&CANARY, || {
            let mut buffer = CANARY.text().to_owned();
            buffer.reserve(1000);
            buffer.shrink_to_fit();
            buffer
        });
        assert_eq!((finds.count(), kept.as_str()), (2, CANARY.text()));
    }

    #[test]
    fn the_spare_capacity_of_a_vector_is_searched() {
        let ((), finds) = watch(&CANARY, || {
            let mut buffer = CANARY.text().to_owned();
            buffer.clear();
        });
        assert_eq!(finds.count(), 1);
    }

    #[test]
    fn eleven_bytes_of_the_secret_are_enough() {
        for canary in [CANARY, LONG_CANARY] {
            let text = canary.text().as_bytes();
            assert!(text.windows(11).all(|part| canary.is_in(part)));
            assert!(!text.windows(8).any(|part| canary.is_in(part)));
        }
    }

    #[test]
    fn base64_is_recognized_at_each_alignment() {
        // "Zq9" four times, after zero, one and two other bytes.
        for encoded in [
            "WnE5WnE5WnE5WnE5",
            "AFpxOVpxOVpxOVpxOQ==",
            "AABacTlacTlacTlacTk=",
        ] {
            assert!(CANARY.is_in(encoded.as_bytes()), "{encoded}");
        }
    }
}
