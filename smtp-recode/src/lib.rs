//! Recodes an 8-bit message as 7-bit, for a server without 8BITMIME.
//!
//! [`seven_bit`] encodes the parts that need it as quoted-printable or base64 (RFC 2045, section
//! 6). That is the conversion that RFC 6152, section 3, requires of a client that does not give up.
//! It is meant for `MailBuilder::downgrade_with` of `smtp-proto`, which recodes a message only if
//! the server makes that necessary:
//!
//! ```
//! use smtp_blocking::proto::Mail;
//!
//! let message = "From: alice@example.org\r\n\
//!                MIME-Version: 1.0\r\n\
//!                Content-Type: text/plain; charset=utf-8\r\n\
//!                Content-Transfer-Encoding: 8bit\r\n\
//!                \r\n\
//!                Sch\u{f6}ne Gr\u{fc}\u{df}e\r\n";
//! let mail = Mail::builder()
//!     .sender("alice@example.org")
//!     .recipient("bob@example.net")
//!     .message(message)
//!     .downgrade_with(smtp_recode::seven_bit)
//!     .build()?;
//! # Ok::<(), smtp_blocking::proto::MailError>(())
//! ```
//!
//! # What is changed
//! The body of each part that is not 7-bit data, the field `Content-Transfer-Encoding` of that part
//! and of those around it, and header fields that are not ASCII. Every other byte stays as it is:
//! other fields, their order and folding, boundaries, 7-bit parts.
//!
//! A part of type `text` becomes quoted-printable, or base64 where that is shorter. Any other part
//! becomes base64. No line of an encoded part begins with `--`, so that none can be read as a
//! boundary line.
//!
//! ```
//! let message = "MIME-Version: 1.0\r\n\
//!                Content-Type: text/plain; charset=utf-8\r\n\
//!                Content-Transfer-Encoding: 8bit\r\n\
//!                \r\n\
//!                Gr\u{fc}\u{df}e aus dem Norden\r\n";
//! let expected = "MIME-Version: 1.0\r\n\
//!                 Content-Type: text/plain; charset=utf-8\r\n\
//!                 Content-Transfer-Encoding: quoted-printable\r\n\
//!                 \r\n\
//!                 Gr=C3=BC=C3=9Fe aus dem Norden\r\n";
//! assert_eq!(smtp_recode::seven_bit(&message.into())?, expected);
//! # Ok::<(), smtp_recode::RecodeError>(())
//! ```
//!
//! Multiparts and enclosed messages must not be encoded themselves (RFC 2045, section 6.4). Their
//! parts are encoded, at any depth.
//!
//! ```
//! let start = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n";
//! let ascii = "--b\r\n\r\nThis part is unchanged.\r\n";
//! let message = format!("{start}{ascii}--b\r\n\r\nGr\u{fc}\u{df}e aus dem Norden, B.\r\n--b--\r\n");
//! let expected = format!(
//!     "{start}{ascii}--b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
//!      Gr=C3=BC=C3=9Fe aus dem Norden, B.\r\n--b--\r\n"
//! );
//! assert_eq!(smtp_recode::seven_bit(&message.into())?, expected);
//! # Ok::<(), smtp_recode::RecodeError>(())
//! ```
//!
//! A message without `MIME-Version` gets one. Without `Content-Type`, it also gets that: the
//! charset is UTF-8 if the body is valid UTF-8, and `unknown-8bit` otherwise (RFC 1428, section 3).
//!
//! ```
//! let recoded = smtp_recode::seven_bit(&"\r\nGr\u{fc}\u{df}e aus dem Norden\r\n".into())?;
//! let expected = "Content-Transfer-Encoding: quoted-printable\r\n\
//!                 MIME-Version: 1.0\r\n\
//!                 Content-Type: text/plain; charset=utf-8\r\n\
//!                 \r\n\
//!                 Gr=C3=BC=C3=9Fe aus dem Norden\r\n";
//! assert_eq!(recoded, expected);
//! # Ok::<(), smtp_recode::RecodeError>(())
//! ```
//!
//! Header fields in UTF-8 become encoded words (RFC 2047): in display names and comments of address
//! fields, and in unstructured fields such as `Subject` and unknown ones. The parameters `name` and
//! `filename` become extended parameters (RFC 2231). Fields that are not UTF-8 are taken to be in
//! the `charset` of the same header section, if each byte is a character in it.
//!
//! ```
//! let message = "Subject: Gr\u{fc}\u{df}e\r\n\
//!                Content-Disposition: attachment; filename=\u{fc}bersicht.pdf\r\n\
//!                \r\n";
//! let expected = "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\
//!                 Content-Disposition: attachment; filename*=utf-8''%C3%BCbersicht.pdf\r\n\
//!                 \r\n";
//! assert_eq!(smtp_recode::seven_bit(&message.into())?, expected);
//! # Ok::<(), smtp_recode::RecodeError>(())
//! ```
//!
//! ```
//! let message = b"Subject: Gr\xfc\xdfe\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\r\n";
//! let recoded = smtp_recode::seven_bit(&message[..].into())?;
//! assert!(recoded.starts_with(b"Subject: =?iso-8859-1?q?Gr=FC=DFe?=\r\n"));
//! # Ok::<(), smtp_recode::RecodeError>(())
//! ```
//!
//! # What is rejected
//! A message that is signed or encrypted is never changed, nor one whose MIME structure is
//! malformed: see [`RecodeErrorKind`]. Comments, white space and blanks before a colon are read by
//! the grammar (RFC 5322, sections 3.2 and 4.5). Where readers may differ on what a field or a line
//! means, it is an error.
//!
//! ```
//! use smtp_recode::{RecodeErrorKind, seven_bit};
//!
//! let body = "--b\r\n\r\nGr\u{fc}\u{df}e\r\n--b--\r\n";
//! let message = format!("Content-Type: multipart/(comment) signed; boundary=b\r\n\r\n{body}");
//! assert_eq!(seven_bit(&message.into()).unwrap_err().kind(), RecodeErrorKind::Signed);
//! ```

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

/// The message as 7-bit data: every part that is not is encoded as quoted-printable or base64.
///
/// A message that is 7-bit data already (ASCII in lines of at most 998 bytes with CRLF) is returned
/// unchanged and without a copy, whatever it contains. Encoding also removes lines that are too
/// long, bare CR and LF, and NULs, which a message for BINARYMIME may have. The work is linear in
/// the length of the message times the depth of its parts, which is at most 100.
///
/// ```
/// use bytes::Bytes;
///
/// let message = Bytes::from("Subject: hello\r\n\r\nhello\r\n");
/// let same = smtp_recode::seven_bit(&message)?;
/// assert_eq!(same.as_ptr(), message.as_ptr());
/// # Ok::<(), smtp_recode::RecodeError>(())
/// ```
///
/// # Errors
/// If the message must not or cannot be changed, with the reason and its position.
pub fn seven_bit(message: &Bytes) -> Result<Bytes, RecodeError> {
    if encode::first_not_7bit(message).is_none() {
        return Ok(message.clone());
    }
    let edits = walk::edits(message)?;
    let recoded = edits.apply(message);
    // Data outside of parts cannot be encoded.
    match encode::first_not_7bit(&recoded) {
        None => Ok(recoded.into()),
        Some(_) => Err(RecodeError::new(
            edits.first_untouched(message, encode::first_not_7bit),
            RecodeErrorKind::OutsideParts,
        )),
    }
}

/// The example of the README, to be compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
