//! The limits: a client whose output is prepared, which reads only the first digit of a reply, and
//! writes once for each turn.

use std::io::{IoSlice, Read, Write};
use std::net::TcpStream;

use crate::{FROM, Job, NAME, Result};

/// The output that is sent without a wait.
#[derive(Clone, Copy)]
pub(super) enum Level {
    /// A command.
    Turn,
    /// (b) The envelope and DATA.
    Envelope,
    /// (c) The end of the content and the next envelope.
    Transactions,
    /// A whole message, by BDAT.
    Chunk,
    /// (d) Messages by BDAT, up to the window.
    InFlight,
}

/// The window of (d): bytes sent while the replies to as many are pending.
const FLIGHT: usize = 64 << 10;

pub(super) fn run(job: &Job, level: Level) -> Result<()> {
    if job.trust.is_some() {
        return Err("is measured in cleartext only".into());
    }
    let stream = TcpStream::connect(job.address)?;
    stream.set_nodelay(true)?;
    let mut peer = Raw {
        stream,
        filled: 0,
        buffer: vec![0; 64 << 10],
    };
    peer.replies(1)?;
    peer.turn(&[format!("EHLO {NAME}\r\n").as_bytes()], 1)?;

    let text = job.text();
    let mail = format!("MAIL FROM:<{FROM}>\r\n");
    let rcpt: Vec<String> = (job.to().iter())
        .map(|to| format!("RCPT TO:<{to}>\r\n"))
        .collect();
    let answers = job.recipients + 2;
    let envelope = format!("{mail}{}DATA\r\n", rcpt.concat());
    let chunk = format!("{mail}{}BDAT {} LAST\r\n", rcpt.concat(), text.len());
    match level {
        Level::Turn => {
            for _ in 0..job.mails {
                peer.turn(&[mail.as_bytes()], 1)?;
                for rcpt in &rcpt {
                    peer.turn(&[rcpt.as_bytes()], 1)?;
                }
                peer.turn(&[b"DATA\r\n"], 1)?;
                peer.turn(&[&text, b".\r\n"], 1)?;
            }
        }
        Level::Envelope => {
            for _ in 0..job.mails {
                peer.turn(&[envelope.as_bytes()], answers)?;
                peer.turn(&[&text, b".\r\n"], 1)?;
            }
        }
        Level::Transactions => {
            peer.turn(&[envelope.as_bytes()], answers)?;
            for _ in 1..job.mails {
                peer.turn(&[&text, b".\r\n", envelope.as_bytes()], 1 + answers)?;
            }
            peer.turn(&[&text, b".\r\n"], 1)?;
        }
        Level::Chunk => {
            for _ in 0..job.mails {
                peer.turn(&[chunk.as_bytes(), &text], answers)?;
            }
        }
        Level::InFlight => {
            let size = chunk.len() + text.len();
            let group = (FLIGHT / size).clamp(1, 400 / answers.min(400)).max(1);
            let (mut left, mut unanswered) = (job.mails, 0);
            while left > 0 {
                let now = group.min(left);
                let parts = [chunk.as_bytes(), &text].repeat(now);
                peer.write(&parts)?;
                peer.replies(unanswered)?;
                unanswered = now * answers;
                left -= now;
            }
            peer.replies(unanswered)?;
        }
    }
    peer.turn(&[b"QUIT\r\n"], 1)
}

struct Raw {
    stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
}

impl Raw {
    fn turn(&mut self, parts: &[&[u8]], replies: usize) -> Result<()> {
        self.write(parts)?;
        self.replies(replies)
    }

    fn write(&mut self, parts: &[&[u8]]) -> Result<()> {
        let mut slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
        let mut slices = slices.as_mut_slice();
        while !slices.is_empty() {
            let count = self.stream.write_vectored(slices)?;
            IoSlice::advance_slices(&mut slices, count);
        }
        Ok(())
    }

    /// Waits for `count` positive replies.
    fn replies(&mut self, mut count: usize) -> Result<()> {
        loop {
            let mut begin = 0;
            while count > 0
                && let Some(len) = memchr::memchr(b'\n', &self.buffer[begin..self.filled])
            {
                match &self.buffer[begin..begin + len] {
                    [b'2' | b'3', _, _, b' ', ..] => count -= 1,
                    [b'2' | b'3', _, _, b'-', ..] => {}
                    line => return Err(String::from_utf8_lossy(line).into()),
                }
                begin += len + 1;
            }
            self.buffer.copy_within(begin..self.filled, 0);
            self.filled -= begin;
            if count == 0 {
                return Ok(());
            }
            match self.stream.read(&mut self.buffer[self.filled..])? {
                0 => return Err("the server closed the connection".into()),
                count => self.filled += count,
            }
        }
    }
}
