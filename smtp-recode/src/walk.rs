//! The walk through the parts of a message, and the changes that each part needs.

use std::ops::Range;

use crate::edit::Edits;
use crate::encode::{Encoding, first_not_7bit, first_not_8bit};
use crate::error::{RecodeError, RecodeErrorKind};
use crate::header::{Field, Header};
use crate::parts::parts;
use crate::structured::{Value, only_word};
use crate::words::{Charset, seven_bit, single_byte_charset};

/// The changes that make a message 7-bit, sorted by position.
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

/// The type of a part without a `Content-Type`.
#[derive(Clone, Copy)]
enum Unlabeled {
    Text,
    Message,
}

impl Walk<'_> {
    /// The message, or an enclosed one.
    fn message(&mut self, at: Range<usize>, deeper: usize) -> Result<(), RecodeError> {
        let header = Header::read(self.text, at.clone())?;
        if !self.part(&header, at, Unlabeled::Text, deeper)? || header.has(VERSION) {
            return Ok(());
        }
        let mut fields = format!("{VERSION}: 1.0\r\n");
        if !header.has(TYPE) {
            let charset = match str::from_utf8(&self.text[header.body()]) {
                Ok(_) => "utf-8",
                Err(_) => "unknown-8bit",
            };
            fields.push_str(&format!("{TYPE}: text/plain; charset={charset}\r\n"));
        }
        self.add_fields(&header, fields)
    }

    /// A part, or a whole message. Returns whether its body was changed.
    fn part(
        &mut self,
        header: &Header<'_>,
        at: Range<usize>,
        default: Unlabeled,
        deeper: usize,
    ) -> Result<bool, RecodeError> {
        let (text, start) = (self.text, at.start);
        if first_not_7bit(&text[at]).is_none() {
            return Ok(false);
        }
        let fault = |reason| RecodeError::new(start, reason);
        if SIGNATURES.into_iter().any(|name| header.has(name)) {
            return Err(fault(RecodeErrorKind::Signed));
        }
        let kind = match header.only(TYPE)? {
            Some(field) => Value::content_type(field.value(text)).ok_or_else(|| {
                RecodeError::new(field.position().start, RecodeErrorKind::Malformed)
            })?,
            None => default.kind(),
        };
        let body = header.body();
        let body_is_8bit = first_not_7bit(&text[body.clone()]).is_some();
        if body_is_8bit {
            match &*kind.kind {
                "multipart/encrypted" => return Err(fault(RecodeErrorKind::Encrypted)),
                "multipart/signed" | "application/pkcs7-mime" | "application/x-pkcs7-mime" => {
                    return Err(fault(RecodeErrorKind::Signed));
                }
                _ => {}
            }
        }
        self.fields(header, start, &kind)?;
        if !body_is_8bit {
            return Ok(false);
        }
        let field = header.only(ENCODING)?;
        if field.is_some_and(|field| !is_identity(field.value(text))) {
            return Err(fault(RecodeErrorKind::Encoded));
        }
        let deeper = deeper
            .checked_sub(1)
            .ok_or_else(|| fault(RecodeErrorKind::TooDeep))?;
        let encoding = self
            .body(&kind, body, deeper)
            .map_err(|error| error.unwrap_or_else(|| fault(RecodeErrorKind::Type)))?;
        match (encoding, field) {
            (Some(encoding), Some(field)) => self.replace_value(field, encoding.name()),
            (Some(encoding), None) => {
                self.add_fields(header, format!("{ENCODING}: {}\r\n", encoding.name()))?;
            }
            (None, Some(field)) => self.replace_value(field, "7bit"),
            (None, None) => {}
        }
        Ok(true)
    }

    /// Recodes the body of a part. Returns its encoding, or `None` if its parts are encoded instead.
    /// The error is `None` if a body of this type must not be encoded.
    fn body(
        &mut self,
        kind: &Value,
        at: Range<usize>,
        deeper: usize,
    ) -> Result<Option<Encoding>, Option<RecodeError>> {
        match &*kind.kind {
            "multipart/digest" => self.multipart(kind, at, Unlabeled::Message, deeper)?,
            name if name.starts_with("multipart/") => {
                self.multipart(kind, at, Unlabeled::Text, deeper)?;
            }
            "message/rfc822" | "message/global" => self.message(at, deeper)?,
            name if name.starts_with("message/") => return Err(None),
            name => return Ok(Some(self.encode(at, name.starts_with("text/")))),
        }
        Ok(None)
    }

    /// Encodes the fields that are not ASCII.
    fn fields(
        &mut self,
        header: &Header<'_>,
        start: usize,
        kind: &Value,
    ) -> Result<(), RecodeError> {
        let text = self.text;
        let section = &text[start..header.body().start];
        if let Some(at) = first_not_8bit(section) {
            return Err(RecodeError::new(start + at, RecodeErrorKind::Header));
        }
        let charset: Option<Charset> = kind.parameter("charset").and_then(single_byte_charset);
        for field in header.fields() {
            let value = field.value(text);
            if value.is_ascii() {
                continue;
            }
            let separator = field.separator(text);
            let value_start = separator.end;
            let value = &text[value_start..field.position().end];
            let fault = |at| RecodeError::new(value_start + at, RecodeErrorKind::Header);
            let words =
                seven_bit(field.name(text), &text[separator], value, charset).map_err(fault)?;
            if first_not_7bit(&words).is_some() {
                return Err(fault(0));
            }
            self.edits.replace(field.position(), words);
        }
        Ok(())
    }

    /// The parts of a multipart. The error is `None` if it has no boundary or no part.
    fn multipart(
        &mut self,
        kind: &Value,
        body: Range<usize>,
        default: Unlabeled,
        deeper: usize,
    ) -> Result<(), Option<RecodeError>> {
        let start = body.start;
        let boundary = kind.parameter("boundary").ok_or(None)?;
        let sound = !boundary.is_empty() && boundary.is_ascii() && !boundary.ends_with(b" ");
        let malformed = || RecodeError::new(start, RecodeErrorKind::Malformed);
        let parts = sound
            .then(|| parts(self.text, body, boundary))
            .flatten()
            .ok_or_else(malformed)?;
        if parts.is_empty() {
            return Err(None);
        }
        for part in parts {
            if first_not_7bit(&self.text[part.clone()]).is_some() {
                let header = Header::read(self.text, part.clone())?;
                self.part(&header, part, default, deeper)?;
            }
        }
        Ok(())
    }

    fn encode(&mut self, body: Range<usize>, is_text: bool) -> Encoding {
        let bytes = &self.text[body.clone()];
        let encoding = Encoding::for_part(bytes, is_text);
        let mut encoded = encoding.encode(bytes);
        // The line end before a boundary line belongs to that line, so only the last part needs its
        // own.
        if encoding == Encoding::Base64 && body.end == self.text.len() {
            encoded.extend_from_slice(b"\r\n");
        }
        self.edits.replace(body, encoded);
        encoding
    }

    /// Replaces the value of a field. Blanks before the colon are removed, for readers that do not
    /// recognize the field with them.
    fn replace_value(&mut self, field: &Field, value: &str) {
        let separator = field.separator(self.text);
        let colon = field.value_start() - 1;
        self.edits.replace(separator.start..colon, "");
        self.edits
            .replace(separator.end..field.position().end, value);
    }

    /// Adds fields at the end of the header section.
    fn add_fields(&mut self, header: &Header<'_>, fields: String) -> Result<(), RecodeError> {
        let end = header
            .end()
            .ok_or_else(|| RecodeError::new(header.body().start, RecodeErrorKind::Malformed))?;
        self.edits.insert(end, fields);
        Ok(())
    }
}

impl Unlabeled {
    fn kind(self) -> Value {
        let kind = match self {
            Self::Text => "text/plain",
            Self::Message => "message/rfc822",
        };
        Value {
            kind: kind.to_owned(),
            parameters: None,
        }
    }
}

fn is_identity(value: &[u8]) -> bool {
    only_word(value).is_some_and(|word| matches!(&*word, "7bit" | "8bit" | "binary"))
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

/// The deepest nesting of parts: more than forwarded messages have.
const DEEPEST: usize = 100;
