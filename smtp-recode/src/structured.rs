//! The values of structured fields: comments, white space, tokens, quoted strings and parameters
//! (RFC 2045, section 5.1).

use std::ops::Range;

/// The value of a `Content-Type` or a `Content-Disposition`.
#[derive(Debug)]
pub(crate) struct Value {
    /// The type and subtype, or the disposition type, in lower case.
    pub(crate) kind: String,
    /// `None` if their syntax is invalid.
    pub(crate) parameters: Option<Vec<Parameter>>,
}

/// A parameter, by its positions in the value of its field.
#[derive(Debug)]
pub(crate) struct Parameter {
    /// From the semicolon before it.
    pub(crate) with_semicolon: Range<usize>,
    pub(crate) at: Range<usize>,
    /// In lower case.
    pub(crate) name: String,
    /// Without quotes.
    pub(crate) value: Vec<u8>,
}

impl Value {
    /// The value of a `Content-Type`.
    pub(crate) fn content_type(value: &[u8]) -> Option<Self> {
        let mut lexer = Lexer::new(value);
        let main = lexer.word()?;
        lexer.special(b'/')?;
        let sub = lexer.word()?;
        let kind = format!("{main}/{sub}");
        Some(Self {
            kind,
            parameters: lexer.parameters(),
        })
    }

    /// A token and its parameters: the value of a `Content-Disposition`.
    pub(crate) fn word(value: &[u8]) -> Option<Self> {
        let mut lexer = Lexer::new(value);
        let kind = lexer.word()?;
        Some(Self {
            kind,
            parameters: lexer.parameters(),
        })
    }

    /// The value of the parameter of this name; `None` if there is none, or more than one.
    pub(crate) fn parameter(&self, name: &str) -> Option<&[u8]> {
        let mut all = (self.parameters.as_deref()?.iter()).filter(|each| each.name == name);
        let first = all.next()?;
        all.next().is_none().then_some(&first.value)
    }
}

/// The token that is the whole value except for comments: that of `Content-Transfer-Encoding`.
pub(crate) fn only_word(value: &[u8]) -> Option<String> {
    let mut lexer = Lexer::new(value);
    let word = lexer.word()?;
    lexer.skip()?;
    // Some programs end every value with a semicolon.
    (lexer.rest().is_empty() || lexer.rest() == b";").then_some(word)
}

/// The end of the comment or quoted string that begins at `start`, and its content.
pub(crate) fn enclosed(value: &[u8], start: usize) -> Option<(usize, Vec<u8>)> {
    let (open, close) = match value.get(start)? {
        b'(' => (Some(b'('), b')'),
        _ => (None, b'"'),
    };
    let mut content = Vec::new();
    let mut depth = 1_usize;
    let mut at = start + 1;
    loop {
        let mut byte = *value.get(at)?;
        match byte {
            b'\\' => {
                at += 1;
                byte = *value.get(at)?;
            }
            _ if byte == close => {
                depth -= 1;
                if depth == 0 {
                    return Some((at + 1, content));
                }
            }
            _ if Some(byte) == open => depth += 1,
            // The line end of a fold.
            b'\r' | b'\n' => {
                at += 1;
                continue;
            }
            _ => {}
        }
        content.push(byte);
        at += 1;
    }
}

struct Lexer<'v> {
    value: &'v [u8],
    at: usize,
}

impl<'v> Lexer<'v> {
    const fn new(value: &'v [u8]) -> Self {
        Self { value, at: 0 }
    }

    fn rest(&self) -> &'v [u8] {
        &self.value[self.at..]
    }

    /// Skips comments and white space; `None` if a comment does not end.
    fn skip(&mut self) -> Option<()> {
        loop {
            let rest = self.rest();
            self.at += rest.len() - rest.trim_ascii_start().len();
            if self.rest().first() != Some(&b'(') {
                return Some(());
            }
            (self.at, _) = enclosed(self.value, self.at)?;
        }
    }

    /// A token, in lower case.
    fn word(&mut self) -> Option<String> {
        self.skip()?;
        let rest = self.rest();
        let len = rest.iter().position(|&byte| !is_token(byte));
        let token = &rest[..len.unwrap_or(rest.len())];
        self.at += token.len();
        let token = str::from_utf8(token).ok()?.to_ascii_lowercase();
        (!token.is_empty()).then_some(token)
    }

    fn special(&mut self, special: u8) -> Option<()> {
        self.skip()?;
        self.rest().strip_prefix(&[special])?;
        self.at += 1;
        Some(())
    }

    /// The rest of the value, as parameters.
    fn parameters(mut self) -> Option<Vec<Parameter>> {
        let mut found = Vec::new();
        loop {
            self.skip()?;
            if self.rest().is_empty() {
                return Some(found);
            }
            let semicolon = self.at;
            self.special(b';')?;
            self.skip()?;
            // A semicolon after the last parameter, or two in a row.
            if matches!(self.rest().first(), None | Some(b';')) {
                continue;
            }
            let start = self.at;
            let name = self.word()?;
            self.special(b'=')?;
            self.skip()?;
            let value = if self.rest().starts_with(b"\"") {
                let (end, value) = enclosed(self.value, self.at)?;
                self.at = end;
                value
            } else {
                // Many programs do not quote values that need it.
                let rest = self.rest();
                let len = rest.iter().position(|&byte| !is_bare(byte));
                let value = &rest[..len.unwrap_or(rest.len())];
                self.at += value.len();
                value.to_vec()
            };
            if value.is_empty() && self.value[self.at - 1] != b'"' {
                return None;
            }
            found.push(Parameter {
                with_semicolon: semicolon..self.at,
                at: start..self.at,
                name,
                value,
            });
        }
    }
}

/// Whether a token may contain this byte (RFC 2045, section 5.1).
const fn is_token(byte: u8) -> bool {
    byte.is_ascii_graphic()
        && !matches!(
            byte,
            b'(' | b')'
                | b'<'
                | b'>'
                | b'@'
                | b','
                | b';'
                | b':'
                | b'\\'
                | b'"'
                | b'/'
                | b'['
                | b']'
                | b'?'
                | b'='
        )
}

/// Whether an unquoted value may contain this byte; more lenient than a token.
const fn is_bare(byte: u8) -> bool {
    (byte.is_ascii_graphic() || !byte.is_ascii())
        && !matches!(byte, b'(' | b')' | b';' | b'"' | b'\\')
}
