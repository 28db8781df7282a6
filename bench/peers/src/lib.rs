//! The clients side by side: each sends the same messages over one connection to the same server.

#![forbid(unsafe_code)]

pub mod clients;
pub mod results;

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;

pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The task of a client.
pub struct Job {
    pub address: SocketAddr,
    pub mails: usize,
    pub bytes: usize,
    pub recipients: usize,
    /// The certificate to trust, in DER and, beside it, in PEM. With it the client uses STARTTLS
    /// and logs in.
    pub trust: Option<PathBuf>,
}

impl Job {
    /// Reads `ADDRESS MESSAGES BYTES RECIPIENTS [TRUST]`.
    pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let mut word = || words.next().ok_or("ADDRESS COUNT BYTES RECIPIENTS [TRUST]");
        Ok(Self {
            address: word()?.parse()?,
            mails: word()?.parse()?,
            bytes: word()?.parse()?,
            recipients: word()?.parse()?,
            trust: words.next().map(PathBuf::from),
        })
    }

    /// The addresses of the recipients.
    pub fn to(&self) -> Vec<String> {
        (0..self.recipients)
            .map(|index| format!("user{index}@example.net"))
            .collect()
    }

    /// The content of each message, in lines of 78 bytes without a leading dot.
    pub fn text(&self) -> Vec<u8> {
        text(self.bytes)
    }

    /// The certificate to trust, in DER.
    pub fn root(&self) -> Result<Option<Vec<u8>>> {
        Ok(self.trust.as_ref().map(std::fs::read).transpose()?)
    }
}

/// A message of about this number of bytes, rounded down to whole lines.
pub fn text(bytes: usize) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes.max(HEADER.len()));
    parts(bytes).for_each(|part| text.extend_from_slice(part));
    text
}

/// The same in pieces, for clients that stream it.
pub fn parts(bytes: usize) -> impl Iterator<Item = &'static [u8]> {
    let lines = bytes.saturating_sub(HEADER.len()) / LINE.len();
    std::iter::once(HEADER).chain(std::iter::repeat_n(LINE, lines))
}

const HEADER: &[u8] =
    b"From: alice@example.org\r\nTo: bob@example.net\r\nSubject: a measurement\r\n\r\n";
const LINE: &[u8] =
    b"The quick brown fox jumps over the lazy dog, and no one knows why; 0123456789.\r\n";

pub const FROM: &str = "alice@example.org";
pub const NAME: &str = "client.example.org";
pub const USER: &str = "alice";
pub const PASSWORD: &str = "correct horse";
/// The name in the server's certificate.
pub const HOST: &str = "localhost";
