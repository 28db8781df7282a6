//! Header fields with 8-bit bytes as 7-bit data: encoded words in text, phrases and comments (RFC
//! 2047), and extended parameters (RFC 2231).

use std::ops::Range;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::header::is_blank;
use crate::structured::{Value, enclosed};

/// A charset: UTF-8, or one in which each byte is a character.
pub(crate) type Charset = &'static str;

/// The field with a 7-bit value, without the end of its last line.
///
/// A value that is not valid UTF-8 is taken to be in `charset`.
///
/// # Errors
/// The position in the value of the first byte that cannot be encoded, or whose charset is not
/// known.
pub(crate) fn seven_bit(
    name: &[u8],
    separator: &[u8],
    value: &[u8],
    charset: Option<Charset>,
) -> Result<Vec<u8>, usize> {
    let first = || value.iter().position(|byte| !byte.is_ascii()).unwrap_or(0);
    let charset = match str::from_utf8(value) {
        Ok(_) => "utf-8",
        Err(_) => charset.ok_or_else(first)?,
    };
    let mut writer = Writer {
        out: [name, separator].concat(),
        charset,
    };
    let name = str::from_utf8(name)
        .unwrap_or_default()
        .to_ascii_lowercase();
    match Syntax::of(&name) {
        Syntax::Text => writer.words(value, spans_of_text(value)),
        Syntax::Addresses => {
            let spans = spans_of_addresses(value)?;
            writer.words(value, spans);
        }
        Syntax::Type => {
            let parsed = Value::content_type(value).ok_or_else(first)?;
            writer.parameters(value, &parsed).ok_or_else(first)?;
        }
        Syntax::Disposition => {
            let parsed = Value::word(value).ok_or_else(first)?;
            writer.parameters(value, &parsed).ok_or_else(first)?;
        }
        Syntax::Other => {}
    }
    if writer.out.is_ascii() && writer.out.len() > name.len() + separator.len() {
        Ok(writer.out)
    } else {
        Err(first())
    }
}

/// The charset with this MIME name, if each byte is a character in it and ASCII is a subset.
pub(crate) fn single_byte_charset(name: &[u8]) -> Option<Charset> {
    (SINGLE_BYTE.into_iter()).find(|each| name.eq_ignore_ascii_case(each.as_bytes()))
}

/// The syntax of the value of a field.
enum Syntax {
    Text,
    Addresses,
    Type,
    Disposition,
    /// No place for encoded words is certain.
    Other,
}

impl Syntax {
    fn of(name: &str) -> Self {
        match name {
            "content-type" => Self::Type,
            "content-disposition" => Self::Disposition,
            "from"
            | "sender"
            | "to"
            | "cc"
            | "bcc"
            | "reply-to"
            | "resent-from"
            | "resent-sender"
            | "resent-to"
            | "resent-cc"
            | "resent-bcc"
            | "resent-reply-to"
            | "errors-to"
            | "mail-followup-to"
            | "mail-reply-to"
            | "return-receipt-to"
            | "disposition-notification-to"
            | "x-original-to"
            | "delivered-to"
            | "apparently-to" => Self::Addresses,
            "received"
            | "return-path"
            | "date"
            | "message-id"
            | "in-reply-to"
            | "references"
            | "resent-date"
            | "resent-message-id"
            | "mime-version"
            | "keywords"
            | "auto-submitted"
            | "precedence"
            | "authentication-results"
            | "received-spf"
            | "dkim-signature" => Self::Other,
            "content-description" => Self::Text,
            _ if ["content-", "list-", "arc-"]
                .iter()
                .any(|prefix| name.starts_with(prefix)) =>
            {
                Self::Other
            }
            _ => Self::Text,
        }
    }
}

/// A word of a value.
struct Word {
    at: Range<usize>,
    /// Without quotes, if it had any.
    text: Vec<u8>,
}

/// A span of a value to be encoded.
struct Span {
    at: Range<usize>,
    text: Vec<u8>,
}

impl Word {
    /// Whether it is not ASCII, or could be read as the beginning of an encoded word.
    fn needs_encoding(&self) -> bool {
        !self.text.is_ascii() || memchr::memmem::find(&self.text, b"=?").is_some()
    }

    fn is_encoded(&self) -> bool {
        self.text.len() > 4 && self.text.starts_with(b"=?") && self.text.ends_with(b"?=")
    }
}

/// The spans of unstructured text that need to be encoded.
fn spans_of_text(value: &[u8]) -> Vec<Span> {
    let mut words = Vec::new();
    let mut at = 0;
    while at < value.len() {
        let rest = &value[at..];
        let len = rest.iter().position(u8::is_ascii_whitespace);
        let len = len.unwrap_or(rest.len());
        if len > 0 {
            words.push(Word {
                at: at..at + len,
                text: rest[..len].to_vec(),
            });
        }
        at += len.max(1);
    }
    let mut spans = Vec::new();
    group(value, &words, &mut spans);
    spans
}

/// Adds a span from the first to the last word that needs encoding, for each run of words without
/// an encoded word.
///
/// White space between two encoded words is ignored (RFC 2047, section 6.2). Next to an encoded
/// word it is therefore encoded as well.
fn group(value: &[u8], words: &[Word], spans: &mut Vec<Span>) {
    let mut start = 0;
    while start < words.len() {
        let run = &words[start..];
        let len = run.iter().position(Word::is_encoded).unwrap_or(run.len());
        let run = &run[..len];
        let first = run.iter().position(Word::needs_encoding);
        let last = run.iter().rposition(Word::needs_encoding);
        if let (Some(first), Some(last)) = (first, last) {
            let mut text = Vec::new();
            if first == 0 && start > 0 {
                text.push(b' ');
            }
            for (index, word) in run[first..=last].iter().enumerate() {
                if index > 0 {
                    let before = run[first + index - 1].at.end;
                    text.extend(unfolded(&value[before..word.at.start]));
                }
                text.extend_from_slice(&word.text);
            }
            if last + 1 == len && start + len < words.len() {
                text.push(b' ');
            }
            spans.push(Span {
                at: run[first].at.start..run[last].at.end,
                text,
            });
        }
        start += len + 1;
    }
}

/// White space as it is displayed: a fold is one space.
fn unfolded(space: &[u8]) -> &[u8] {
    if space.contains(&b'\n') { b" " } else { space }
}

/// The display names and comments that need to be encoded (RFC 5322, section 3.4).
fn spans_of_addresses(value: &[u8]) -> Result<Vec<Span>, usize> {
    let mut spans = Vec::new();
    // The words of a possible display name, in runs that comments separate.
    let mut runs: Vec<Vec<Word>> = vec![Vec::new()];
    let mut at = 0;
    while let Some(&byte) = value.get(at) {
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => at += 1,
            b'(' => {
                let (end, text) = enclosed(value, at).ok_or(at)?;
                if !text.is_ascii() {
                    spans.push(Span {
                        at: at + 1..end - 1,
                        text,
                    });
                }
                runs.push(Vec::new());
                at = end;
            }
            b'<' | b':' => {
                for run in runs.drain(..) {
                    group(value, &run, &mut spans);
                }
                runs.push(Vec::new());
                at += 1;
                if byte == b'<' {
                    let len = memchr::memchr(b'>', &value[at..]).ok_or(at)?;
                    only_ascii(value, at..at + len)?;
                    at += len + 1;
                }
            }
            b',' | b';' => {
                no_words(value, &runs)?;
                runs = vec![Vec::new()];
                at += 1;
            }
            _ => {
                let (end, text) = if byte == b'"' {
                    enclosed(value, at).ok_or(at)?
                } else {
                    let rest = &value[at..];
                    let len = rest
                        .iter()
                        .position(|byte| b" \t\r\n(<:,;\"".contains(byte));
                    let word = &rest[..len.unwrap_or(rest.len())];
                    (at + word.len(), word.to_vec())
                };
                if let Some(run) = runs.last_mut() {
                    run.push(Word { at: at..end, text });
                }
                at = end;
            }
        }
    }
    no_words(value, &runs)?;
    spans.sort_by_key(|span| span.at.start);
    Ok(spans)
}

/// Words that are an address and not a display name must be ASCII: they cannot be encoded.
fn no_words(value: &[u8], runs: &[Vec<Word>]) -> Result<(), usize> {
    (runs.iter().flatten()).try_for_each(|word| only_ascii(value, word.at.clone()))
}

fn only_ascii(value: &[u8], at: Range<usize>) -> Result<(), usize> {
    let start = at.start;
    let found = value[at].iter().position(|byte| !byte.is_ascii());
    found.map_or(Ok(()), |found| Err(start + found))
}

/// A field that is being written.
struct Writer {
    out: Vec<u8>,
    charset: Charset,
}

impl Writer {
    /// Writes a value with these spans of it encoded.
    fn words(&mut self, value: &[u8], spans: Vec<Span>) {
        let mut done = 0;
        for span in spans {
            self.copy(&value[done..span.at.start]);
            self.encode(&span.text);
            done = span.at.end;
            // RFC 2047, section 5: white space or parentheses must surround an encoded word.
            if (value.get(done)).is_some_and(|next| !next.is_ascii_whitespace() && *next != b')') {
                self.out.push(b' ');
            }
        }
        self.copy(&value[done..]);
    }

    /// Copies a part unchanged, on a line of its own if it does not fit after an encoded word.
    fn copy(&mut self, part: &[u8]) {
        let line = memchr::memchr(b'\r', part).map_or(part, |end| &part[..end]);
        let after_word = self.out.ends_with(b"?=");
        if after_word
            && self.column() + line.len() > LONGEST_LINE
            && part.first().is_some_and(|&first| is_blank(first))
            && !line.trim_ascii().is_empty()
        {
            self.out.extend_from_slice(b"\r\n");
        }
        self.out.extend_from_slice(part);
    }

    /// Writes text as encoded words, each with whole characters (RFC 2047, sections 2 and 5).
    fn encode(&mut self, text: &[u8]) {
        let overhead = "=??q??=".len() + self.charset.len();
        let separated = |last: &u8| last.is_ascii_whitespace() || *last == b'(';
        if !self.out.last().is_some_and(separated) {
            self.out.push(b' ');
        }
        let escaped = text.iter().filter(|byte| !is_legible(**byte)).count();
        // Q keeps ASCII letters legible. With many other characters, B is shorter.
        let q = escaped * 3 <= text.len() * 2;
        let mut rest = text;
        while !rest.is_empty() {
            let room = LONGEST_LINE.saturating_sub(self.column() + overhead);
            let fitting = self.fitting(rest, q, room);
            let fitting = if fitting == 0 || (fitting < rest.len() && room < LEAST) {
                self.fold();
                let room = LONGEST_LINE.saturating_sub(self.column() + overhead);
                self.fitting(rest, q, room)
            } else {
                fitting
            };
            let (now, later) = rest.split_at(fitting.max(1));
            let letter = if q { 'q' } else { 'b' };
            let start = format!("=?{}?{letter}?", self.charset);
            self.out.extend_from_slice(start.as_bytes());
            if q {
                for &byte in now {
                    match byte {
                        b' ' => self.out.push(b'_'),
                        _ if is_legible(byte) => self.out.push(byte),
                        _ => self
                            .out
                            .extend_from_slice(format!("={byte:02X}").as_bytes()),
                    }
                }
            } else {
                self.out
                    .extend_from_slice(BASE64_STANDARD.encode(now).as_bytes());
            }
            self.out.extend_from_slice(b"?=");
            if !later.is_empty() {
                self.out.push(b' ');
            }
            rest = later;
        }
    }

    /// The length of the text that fits an encoded word with `room` bytes of encoded text.
    fn fitting(&self, text: &[u8], q: bool, room: usize) -> usize {
        let is_start = |at: usize| {
            self.charset != "utf-8" || text.get(at).is_none_or(|byte| byte & 0xc0 != 0x80)
        };
        let (mut len, mut fits) = (0, 0);
        for (index, &byte) in text.iter().enumerate() {
            len += match byte {
                _ if !q => 0,
                b' ' => 1,
                _ if is_legible(byte) => 1,
                _ => 3,
            };
            if !q {
                len = (index + 1).div_ceil(3) * 4;
            }
            if len > room {
                break;
            }
            if is_start(index + 1) {
                fits = index + 1;
            }
        }
        fits
    }

    /// Begins a new line, unless the current one is empty.
    fn fold(&mut self) {
        while self.out.last().is_some_and(|&last| is_blank(last)) {
            self.out.pop();
        }
        if !self.out.ends_with(b"\r\n") {
            self.out.extend_from_slice(b"\r\n");
        }
        self.out.push(b' ');
    }

    fn column(&self) -> usize {
        let start = memchr::memrchr(b'\n', &self.out).map_or(0, |at| at + 1);
        self.out.len() - start
    }

    /// Writes a value with its parameters encoded (RFC 2231, section 4).
    fn parameters(&mut self, value: &[u8], parsed: &Value) -> Option<()> {
        let all = parsed.parameters.as_deref()?;
        let mut done = 0;
        for parameter in all {
            if parameter.value.is_ascii() {
                continue;
            }
            let name = &parameter.name;
            if !matches!(&**name, "name" | "filename") {
                return None;
            }
            let other = format!("{name}*");
            if all.iter().any(|each| each.name.starts_with(&other)) {
                // The field already has the extended parameter.
                self.out
                    .extend_from_slice(&value[done..parameter.with_semicolon.start]);
            } else {
                self.out.extend_from_slice(&value[done..parameter.at.start]);
                let start = format!("{other}={}''", self.charset);
                if self.column() + start.len() + parameter.value.len() > LONGEST_LINE {
                    self.fold();
                }
                self.out.extend_from_slice(start.as_bytes());
                for &byte in &parameter.value {
                    if byte.is_ascii_alphanumeric() || b"-._".contains(&byte) {
                        self.out.push(byte);
                    } else {
                        self.out
                            .extend_from_slice(format!("%{byte:02X}").as_bytes());
                    }
                }
            }
            done = parameter.at.end;
        }
        self.out.extend_from_slice(&value[done..]);
        Some(())
    }
}

/// Whether Q leaves this byte legible: allowed in a phrase (RFC 2047, section 5, rule 3), or a
/// space, which is `_`.
const fn is_legible(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b'!' | b'*' | b'+' | b'-' | b'/')
}

/// The longest line with an encoded word in bytes (RFC 2047, section 2).
const LONGEST_LINE: usize = 76;

/// With less room than this, an encoded word begins on a new line.
const LEAST: usize = 16;

/// Charsets in which each byte is a character, and ASCII is a subset.
const SINGLE_BYTE: [Charset; 26] = [
    "iso-8859-1",
    "iso-8859-2",
    "iso-8859-3",
    "iso-8859-4",
    "iso-8859-5",
    "iso-8859-6",
    "iso-8859-7",
    "iso-8859-8",
    "iso-8859-9",
    "iso-8859-10",
    "iso-8859-11",
    "iso-8859-13",
    "iso-8859-14",
    "iso-8859-15",
    "iso-8859-16",
    "windows-1250",
    "windows-1251",
    "windows-1252",
    "windows-1253",
    "windows-1254",
    "windows-1255",
    "windows-1256",
    "windows-1257",
    "windows-1258",
    "koi8-r",
    "koi8-u",
];
