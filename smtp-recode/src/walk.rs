//! The parts of a message, and what has to be changed in them.

use std::ops::Range;

use crate::edit::Edits;
use crate::encode::{Encoding, first_unfit, first_unfit_but_for_high};
use crate::error::{RecodeError, RecodeErrorKind};
use crate::header::{Field, Header};
use crate::parts::parts;
use crate::structured::{Value, only_word};
use crate::words::{Charset, seven_bit, single_byte_charset};

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

/// What a part is if no field says so.
#[derive(Clone, Copy)]
enum Unlabeled {
    Text,
    Message,
}

impl Walk<'_> {
    /// The message itself, or one within it.
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

    /// A part, or all of a message. Returns whether its body is another now.
    fn part(
        &mut self,
        header: &Header<'_>,
        at: Range<usize>,
        default: Unlabeled,
        deeper: usize,
    ) -> Result<bool, RecodeError> {
        let (text, start) = (self.text, at.start);
        if first_unfit(&text[at]).is_none() {
            return Ok(false);
        }
        let fault = |reason| RecodeError::new(start, reason);
        if SIGNATURES.into_iter().any(|name| header.has(name)) {
            return Err(fault(RecodeErrorKind::Signed));
        }
        let kind = match header.only(TYPE)? {
            Some(field) => Value::content_type(field.value(text))
                .ok_or_else(|| RecodeError::new(field.place().start, RecodeErrorKind::Malformed))?,
            None => default.kind(),
        };
        let body = header.body();
        let body_is_unfit = first_unfit(&text[body.clone()]).is_some();
        if body_is_unfit {
            match &*kind.kind {
                "multipart/encrypted" => return Err(fault(RecodeErrorKind::Encrypted)),
                "multipart/signed" | "application/pkcs7-mime" | "application/x-pkcs7-mime" => {
                    return Err(fault(RecodeErrorKind::Signed));
                }
                _ => {}
            }
        }
        self.fields(header, start, &kind)?;
        if !body_is_unfit {
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

    /// Recodes the body of a part. Returns its encoding, unless that is of the parts within it; no error if bodies of this
    /// type cannot be recoded.
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

    /// Makes those fields fit that are not.
    fn fields(
        &mut self,
        header: &Header<'_>,
        start: usize,
        kind: &Value,
    ) -> Result<(), RecodeError> {
        let text = self.text;
        let section = &text[start..header.body().start];
        if let Some(at) = first_unfit_but_for_high(section) {
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
            let value = &text[value_start..field.place().end];
            let fault = |at| RecodeError::new(value_start + at, RecodeErrorKind::Header);
            let words =
                seven_bit(field.name(text), &text[separator], value, charset).map_err(fault)?;
            if first_unfit(&words).is_some() {
                return Err(fault(0));
            }
            self.edits.replace(field.place(), words);
        }
        Ok(())
    }

    /// The parts of a multipart; `None` is the error that there are none to be found.
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
            if first_unfit(&self.text[part.clone()]).is_some() {
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
        // A line end before a boundary is no longer part of what is in front.
        if encoding == Encoding::Base64 && body.end == self.text.len() {
            encoded.extend_from_slice(b"\r\n");
        }
        self.edits.replace(body, encoded);
        encoding
    }

    /// Gives a field another value. Blanks before the colon go, for the readers that do not know the field with them.
    fn replace_value(&mut self, field: &Field, value: &str) {
        let separator = field.separator(self.text);
        let colon = field.value_start() - 1;
        self.edits.replace(separator.start..colon, "");
        self.edits.replace(separator.end..field.place().end, value);
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

/// More than any message that a person has forwarded.
const DEEPEST: usize = 100;
