//! The parts of a mail, and what has to be changed in them.

use std::ops::Range;

use mailparse::{MailHeader, MailHeaderMap, ParsedMail, parse_mail};

use crate::edit::Edits;
use crate::encode::{Encoding, first_unfit};
use crate::error::{RecodeError, RecodeFault};

/// What has to be changed in a text to make it fit for seven bits, in the order of the text.
pub(crate) fn edits(text: &[u8]) -> Result<Edits, RecodeError> {
    let mut walk = Walk {
        text,
        edits: Edits::default(),
    };
    walk.message(0..text.len(), DEEPEST)?;
    Ok(walk.edits.sorted())
}

struct Walk<'t> {
    text: &'t [u8],
    edits: Edits,
}

impl<'t> Walk<'t> {
    /// The mail itself, or a message within it.
    fn message(&mut self, at: Range<usize>, deeper: usize) -> Result<(), RecodeError> {
        let (text, start) = (self.text, at.start);
        let message =
            parse_mail(&text[at]).map_err(|_| RecodeError::new(start, RecodeFault::Malformed))?;
        let before = self.edits.len();
        self.part(&message, deeper)?;
        if self.edits.len() == before || message.headers.get_first_header(VERSION).is_some() {
            return Ok(());
        }
        let mut fields = format!("{VERSION}: 1.0\r\n");
        if message.headers.get_first_header(TYPE).is_none() {
            let charset = match str::from_utf8(body(&message)) {
                Ok(_) => "utf-8",
                Err(_) => "unknown-8bit",
            };
            fields.push_str(&format!("{TYPE}: text/plain; charset={charset}\r\n"));
        }
        self.add_fields(&message, fields)
    }

    fn part(&mut self, part: &ParsedMail<'t>, deeper: usize) -> Result<(), RecodeError> {
        if first_unfit(part.raw_bytes).is_none() {
            return Ok(());
        }
        let start = self.offset(part.raw_bytes);
        let fault = |reason| RecodeError::new(start, reason);
        if let Some(seal) = seal(part) {
            return Err(fault(seal));
        }
        if let Some(at) = first_unfit(header(part)) {
            return Err(RecodeError::new(start + at, RecodeFault::Header));
        }
        let field = self.encoding_field(part)?;
        if field.as_ref().is_some_and(|field| !is_identity(field)) {
            return Err(fault(RecodeFault::Encoded));
        }
        let deeper = deeper
            .checked_sub(1)
            .ok_or_else(|| fault(RecodeFault::TooDeep))?;
        let encoding = match &*part.ctype.mimetype {
            kind if kind.starts_with("multipart/") => {
                if part.subparts.is_empty() {
                    return Err(fault(RecodeFault::Type));
                }
                for part in &part.subparts {
                    self.part(part, deeper)?;
                }
                None
            }
            "message/rfc822" | "message/global" => {
                self.message(self.place(body(part)), deeper)?;
                None
            }
            kind if kind.starts_with("message/") => return Err(fault(RecodeFault::Type)),
            kind => Some(self.encode(body(part), kind.starts_with("text/"))),
        };
        match (encoding, field) {
            (Some(encoding), Some(field)) => self.replace_value(field, encoding.name()),
            (Some(encoding), None) => {
                self.add_fields(part, format!("{ENCODING}: {}\r\n", encoding.name()))?;
            }
            (None, Some(field)) => self.replace_value(field, "7bit"),
            (None, None) => {}
        }
        Ok(())
    }

    fn encode(&mut self, body: &[u8], is_text: bool) -> Encoding {
        let encoding = Encoding::for_part(body, is_text);
        let mut encoded = encoding.encode(body);
        let place = self.place(body);
        // A line end in front of a boundary is no longer part of what is in front.
        if encoding == Encoding::Base64 && place.end == self.text.len() {
            encoded.extend_from_slice(b"\r\n");
        }
        self.edits.replace(place, encoded);
        encoding
    }

    /// The field that states how the part is encoded.
    fn encoding_field<'p>(
        &self,
        part: &'p ParsedMail<'_>,
    ) -> Result<Option<&'p MailHeader<'p>>, RecodeError> {
        match part.headers.get_all_headers(ENCODING)[..] {
            [] => Ok(None),
            [field] => Ok(Some(field)),
            [_, second, ..] => Err(RecodeError::new(
                self.offset(second.get_key_raw()),
                RecodeFault::Malformed,
            )),
        }
    }

    fn replace_value(&mut self, field: &MailHeader<'_>, value: &str) {
        self.edits.replace(self.place(field.get_value_raw()), value);
    }

    /// Adds fields at the end of the header.
    fn add_fields(&mut self, part: &ParsedMail<'t>, fields: String) -> Result<(), RecodeError> {
        let end = self.place(header(part)).end;
        match header(part).strip_suffix(b"\r\n") {
            Some(fields) if fields.is_empty() || fields.ends_with(b"\r\n") => {}
            _ => return Err(RecodeError::new(end, RecodeFault::Malformed)),
        }
        self.edits.insert(end - "\r\n".len(), fields);
        Ok(())
    }

    /// Where a slice of the text is in it.
    fn place(&self, slice: &[u8]) -> Range<usize> {
        let start = self.offset(slice);
        start..start + slice.len()
    }

    fn offset(&self, slice: &[u8]) -> usize {
        slice.as_ptr().addr() - self.text.as_ptr().addr()
    }
}

/// Why this part, and all that is within it, may not be changed.
fn seal(part: &ParsedMail<'_>) -> Option<RecodeFault> {
    let signed = |name| part.headers.get_first_header(name).is_some();
    match &*part.ctype.mimetype {
        "multipart/encrypted" => Some(RecodeFault::Encrypted),
        "multipart/signed" | "application/pkcs7-mime" | "application/x-pkcs7-mime" => {
            Some(RecodeFault::Signed)
        }
        _ if SIGNATURES.into_iter().any(signed) => Some(RecodeFault::Signed),
        _ => None,
    }
}

fn is_identity(field: &MailHeader<'_>) -> bool {
    let value = field.get_value();
    let word = value.split(['(', ';']).next().unwrap_or_default().trim();
    ["7bit", "8bit", "binary"]
        .iter()
        .any(|identity| word.eq_ignore_ascii_case(identity))
}

/// The fields of a part and the empty line behind them.
fn header<'t>(part: &ParsedMail<'t>) -> &'t [u8] {
    &part.raw_bytes[..header_len(part)]
}

fn body<'t>(part: &ParsedMail<'t>) -> &'t [u8] {
    &part.raw_bytes[header_len(part)..]
}

fn header_len(part: &ParsedMail<'_>) -> usize {
    part.get_headers().get_raw_bytes().len()
}

/// Fields that sign the body of a message: RFC 6376, RFC 8617, RFC 4870.
const SIGNATURES: [&str; 3] = [
    "DKIM-Signature",
    "ARC-Message-Signature",
    "DomainKey-Signature",
];

const VERSION: &str = "MIME-Version";
const TYPE: &str = "Content-Type";
const ENCODING: &str = "Content-Transfer-Encoding";

/// More than any mail that a person has forwarded.
const DEEPEST: usize = 100;
