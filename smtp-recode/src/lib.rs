//! Makes a message with bytes above 127 into one of seven bits, for a server without 8BITMIME.
//!
//! [`seven_bit`] encodes the parts that need it as quoted-printable or base64 (RFC 2045, section 6), as RFC 6152, section 3,
//! asks of a client that will not give up. It is meant for
//! `MailBuilder::downgrade_with` of `smtp-proto`, by which a message is recoded only if the server it comes to
//! makes that necessary:
//!
//! ```
//! use smtp_blocking::proto::Mail;
//!
//! let text = "From: alice@example.org\r\n\
//!             MIME-Version: 1.0\r\n\
//!             Content-Type: text/plain; charset=utf-8\r\n\
//!             Content-Transfer-Encoding: 8bit\r\n\
//!             \r\n\
//!             Sch\u{f6}ne Gr\u{fc}\u{df}e\r\n";
//! let mail = Mail::builder()
//!     .sender("alice@example.org")
//!     .recipient("bob@example.net")
//!     .message(text)
//!     .downgrade_with(smtp_recode::seven_bit)
//!     .build()?;
//! # Ok::<(), smtp_blocking::proto::MailError>(())
//! ```
//!
//! # What is changed
//! The body of a part that is not seven-bit text, the field `Content-Transfer-Encoding` of that part
//! and of those around it, and fields that are not ASCII. Every other byte stays as it is: other
//! fields, their order and folding, the boundaries, parts that were fit.
//!
//! - A part of type `text` becomes quoted-printable, or base64 where that is shorter; any other becomes base64.
//! - Multiparts and enclosed messages may not be encoded themselves (RFC 2045, section 6.4); their parts are, at any depth.
//! - A message without `MIME-Version` gets one. If it has no `Content-Type` either, it gets that as well: in UTF-8 if it is
//!   that, else in `unknown-8bit` (RFC 1428, section 3).
//! - Fields in UTF-8 become encoded words (RFC 2047), in display names and comments of address
//!   fields and in fields of text, `Subject` and unknown ones among them. `name` and `filename`
//!   become extended parameters (RFC 2231). Fields that are not UTF-8 are taken to be in the
//!   `charset` of the same header section, if that is a well-known one of single bytes.
//! - No line of an encoded part begins with `--`, so that none becomes a boundary line.
//!
//! # What is rejected
//! A message that is signed or encrypted is never changed, nor one that is not sound MIME: see [`RecodeErrorKind`].
//! Comments, white space and blanks before a colon are read as the grammar has them (RFC 5322,
//! sections 3.2 and 4.5). Where readers may differ on what a field or a line means, it is an error.

mod edit;
mod encode;
mod error;
mod header;
mod parts;
mod structured;
mod walk;
mod words;

use bytes::Bytes;

pub use crate::error::{RecodeError, RecodeErrorKind};

/// The text with every part that is not fit for a server of seven bits encoded as quoted-printable or base64.
///
/// A text that is fit as it is, ASCII in lines of at most 998 bytes with CRLF line ends, is returned unchanged, whatever is in
/// it, and is not copied. Lines that are too long are mended on the way, and so are bare line ends and NULs, as a message for
/// BINARYMIME may have them. The work is linear in the text but for the depth of its parts, of which 100 are taken.
///
/// # Errors
/// Why the text cannot be changed, and where.
pub fn seven_bit(text: &Bytes) -> Result<Bytes, RecodeError> {
    if encode::first_unfit(text).is_none() {
        return Ok(text.clone());
    }
    let edits = walk::edits(text)?;
    let recoded = edits.apply(text);
    // Between parts, and where no part is, nothing can be encoded.
    match encode::first_unfit(&recoded) {
        None => Ok(recoded.into()),
        Some(_) => Err(RecodeError::new(
            edits.first_untouched(text, encode::first_unfit),
            RecodeErrorKind::OutsideParts,
        )),
    }
}

/// The example of the README, to be compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
