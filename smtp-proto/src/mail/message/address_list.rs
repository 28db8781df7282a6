//! The grammar of address lists (RFC 5322, section 3.4).
//!
//! Unlike a parser for display, it does not guess: of a malformed list no address is taken. Folding
//! and comments may be anywhere between words, also those of section 4.4, and display names may
//! have dots; routes are rejected. Work is linear, and nesting is counted without recursion.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::FieldErrorKind;
use crate::address::{AddressError, Mailbox};

/// The mailboxes of an address list, in order.
#[derive(Debug, Default)]
pub(super) struct AddressList {
    pub(super) mailboxes: Vec<Mailbox>,
    /// The offset of the first group without members.
    pub(super) empty_group: Option<usize>,
}

/// The first error of an address list.
#[derive(Debug)]
pub(super) struct ListError {
    /// The offset of the malformed address.
    pub(super) offset: usize,
    pub(super) kind: FieldErrorKind,
    /// The malformed address.
    pub(super) text: String,
}

/// `address-list = (address *("," address)) / obs-addr-list`, or nothing but white space.
pub(super) fn address_list(value: &[u8]) -> Result<AddressList, ListError> {
    let mut parser = Parser {
        tokens: Tokens { value, at: 0 },
        list: AddressList::default(),
        start: 0,
    };
    match parser.list() {
        Ok(()) => Ok(parser.list),
        Err(fault) => Err(parser.error(fault)),
    }
}

/// What is wrong with an address.
enum Fault {
    Syntax,
    Address(String, AddressError),
}

struct Parser<'a> {
    tokens: Tokens<'a>,
    list: AddressList,
    /// The offset of the address that is being parsed.
    start: usize,
}

/// What ends an address: `,` or `;`, or the end of the list.
type End = Option<u8>;

impl<'a> Parser<'a> {
    fn list(&mut self) -> Result<(), Fault> {
        // The offset of the group, and how many mailboxes there are before it.
        let mut group = None;
        loop {
            self.tokens.skip_white_space()?;
            self.start = self.tokens.at;
            let end = match self.address(group.is_some())? {
                Parsed::GroupBegins => {
                    group = Some((self.start, self.list.mailboxes.len()));
                    continue;
                }
                Parsed::Ends(end) => end,
            };
            let end = match (end, group.take()) {
                (Some(b';'), Some((offset, before))) => {
                    if self.list.mailboxes.len() == before {
                        self.list.empty_group.get_or_insert(offset);
                    }
                    self.start = offset;
                    self.tokens.end()?
                }
                (None, Some((offset, _))) => {
                    self.start = offset;
                    return Err(Fault::Syntax);
                }
                (end, within) => {
                    group = within;
                    end
                }
            };
            match end {
                None => return Ok(()),
                Some(b',') => {}
                Some(_) => return Err(Fault::Syntax),
            }
        }
    }

    /// `address = mailbox / group`, of a group what is before its members; or nothing
    /// (obs-addr-list).
    fn address(&mut self, in_group: bool) -> Result<Parsed, Fault> {
        let words = self.words()?;
        let mailbox = match words.then {
            Token::Special(b':') if !in_group && !words.is_empty() => {
                return Ok(Parsed::GroupBegins);
            }
            Token::Special(end @ (b',' | b';')) if words.is_empty() => {
                return Ok(Parsed::Ends(Some(end)));
            }
            Token::End if words.is_empty() => return Ok(Parsed::Ends(None)),
            Token::Special(b'@') => {
                let domain = self.domain()?;
                words.at(domain)?
            }
            Token::Special(b'<') => self.angle_addr()?,
            Token::Special(b',' | b';') | Token::End => return Err(words.without_domain()),
            _ => return Err(Fault::Syntax),
        };
        self.list.mailboxes.push(mailbox);
        self.tokens.end().map(Parsed::Ends)
    }

    /// `angle-addr = [CFWS] "<" addr-spec ">" [CFWS]`, after its `<`.
    fn angle_addr(&mut self) -> Result<Mailbox, Fault> {
        let words = self.words()?;
        match words.then {
            Token::Special(b'@') => {
                let domain = self.domain()?;
                let mailbox = words.at(domain)?;
                match self.tokens.next()? {
                    Token::Special(b'>') => Ok(mailbox),
                    _ => Err(Fault::Syntax),
                }
            }
            Token::Special(b'>') => Err(words.without_domain()),
            _ => Err(Fault::Syntax),
        }
    }

    /// `phrase`, `local-part`, or the beginning of either: words, dots, and the token after them.
    fn words(&mut self) -> Result<Words<'a>, Fault> {
        let mut words = Words::default();
        loop {
            match self.tokens.next()? {
                Token::Atom(atom) => words.push(atom.iter().copied()),
                Token::Quoted(inner) => {
                    words.quoted = true;
                    words.push(unquoted(inner));
                }
                Token::Special(b'.') => words.dot(),
                then => return Ok(Words { then, ..words }),
            }
        }
    }

    /// `domain = dot-atom / domain-literal / obs-domain`.
    fn domain(&mut self) -> Result<String, Fault> {
        let mut domain = Vec::new();
        let mut after_atom = false;
        loop {
            let before = self.tokens;
            match self.tokens.next()? {
                Token::Atom(atom) if !after_atom => domain.extend(atom),
                Token::Special(b'.') => domain.push(b'.'),
                Token::Literal(literal) if domain.is_empty() => {
                    domain.extend(literal.iter().filter(|byte| !is_white_space(**byte)));
                    break;
                }
                _ => {
                    self.tokens = before;
                    break;
                }
            }
            after_atom = domain.last() != Some(&b'.');
        }
        String::from_utf8(domain).map_err(|_| Fault::Syntax)
    }

    /// The error, with the text of the address up to the next comma.
    fn error(&self, fault: Fault) -> ListError {
        let (kind, text) = match fault {
            Fault::Address(text, error) => (FieldErrorKind::Address(error), text),
            Fault::Syntax => {
                // The offending token may be the comma itself.
                let at = self.tokens.at.saturating_sub(1).max(self.start);
                let rest = self.tokens.value.get(at..).unwrap_or_default();
                let len = memchr::memchr(b',', rest).unwrap_or(rest.len());
                let text = self.tokens.value.get(self.start..at.saturating_add(len));
                let text = String::from_utf8_lossy(text.unwrap_or_default());
                (FieldErrorKind::Syntax, text.trim().to_string())
            }
        };
        ListError {
            offset: self.start,
            kind,
            text,
        }
    }
}

enum Parsed {
    GroupBegins,
    Ends(End),
}

/// Words that may be a local part.
#[derive(Default)]
struct Words<'a> {
    /// The words and dots, without quotes.
    text: Vec<u8>,
    quoted: bool,
    /// Whether a word came last.
    after_word: bool,
    /// Whether dots are where they may not be.
    dots: bool,
    /// Whether there are words without a dot between them, as in a display name.
    phrase: bool,
    then: Token<'a>,
}

impl Words<'_> {
    fn push(&mut self, word: impl Iterator<Item = u8>) {
        self.phrase |= self.after_word;
        self.after_word = true;
        self.text.extend(word);
    }

    fn dot(&mut self) {
        self.dots |= !self.after_word;
        self.after_word = false;
        self.text.push(b'.');
    }

    fn is_empty(&self) -> bool {
        self.text.is_empty() && !self.quoted
    }

    /// The mailbox with these words as its local part.
    fn at(self, domain: String) -> Result<Mailbox, Fault> {
        if self.phrase {
            return Err(Fault::Syntax);
        }
        let local = String::from_utf8(self.text).map_err(|_| Fault::Syntax)?;
        let parsed = if self.quoted {
            if self.dots || !self.after_word {
                return Err(Fault::Syntax);
            }
            Mailbox::new(&local, &domain)
        } else {
            [&*local, &*domain].join("@").parse()
        };
        parsed.map_err(|error| Fault::Address([local, domain].join("@"), error))
    }

    /// The error for words without `@`.
    fn without_domain(self) -> Fault {
        let text = String::from_utf8_lossy(&self.text).into_owned();
        match text.parse::<Mailbox>() {
            Err(error) if !self.quoted && !self.phrase => Fault::Address(text, error),
            _ => Fault::Syntax,
        }
    }
}

/// A token (RFC 5322, section 3.2), without comments and white space before it.
#[derive(Clone, Copy, Default)]
enum Token<'a> {
    Atom(&'a [u8]),
    /// What is between the quotes.
    Quoted(&'a [u8]),
    /// A domain literal with its brackets.
    Literal(&'a [u8]),
    Special(u8),
    #[default]
    End,
}

#[derive(Clone, Copy)]
struct Tokens<'a> {
    value: &'a [u8],
    at: usize,
}

impl<'a> Tokens<'a> {
    fn next(&mut self) -> Result<Token<'a>, Fault> {
        self.skip_white_space()?;
        let rest = self.value.get(self.at..).unwrap_or_default();
        let Some(&first) = rest.first() else {
            return Ok(Token::End);
        };
        let (token, len) = match first {
            b'"' => {
                let inner = rest.get(1..).unwrap_or_default();
                let len = closed_by(b'"', inner).ok_or(Fault::Syntax)?;
                let inner = inner.get(..len).unwrap_or_default();
                (Token::Quoted(inner), len.saturating_add(2))
            }
            b'[' => {
                let len = closed_by(b']', rest)
                    .ok_or(Fault::Syntax)?
                    .saturating_add(1);
                (Token::Literal(rest.get(..len).unwrap_or_default()), len)
            }
            _ if is_atext(first) => {
                let len = rest.iter().position(|byte| !is_atext(*byte));
                let (atom, _) = rest.split_at(len.unwrap_or(rest.len()));
                (Token::Atom(atom), atom.len())
            }
            _ => (Token::Special(first), 1),
        };
        self.at = self.at.saturating_add(len);
        Ok(token)
    }

    /// The end of an address.
    fn end(&mut self) -> Result<End, Fault> {
        match self.next()? {
            Token::End => Ok(None),
            Token::Special(end @ (b',' | b';')) => Ok(Some(end)),
            _ => Err(Fault::Syntax),
        }
    }

    /// `CFWS`: white space, line ends of folding, and comments, which nest.
    fn skip_white_space(&mut self) -> Result<(), Fault> {
        let (mut depth, mut escaped) = (0_usize, false);
        while let Some(&byte) = self.value.get(self.at) {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if depth > 0 => escaped = true,
                b'(' => depth = depth.saturating_add(1),
                b')' if depth > 0 => depth = depth.saturating_sub(1),
                _ if depth > 0 || is_white_space(byte) => {}
                _ => break,
            }
            self.at = self.at.saturating_add(1);
        }
        if depth == 0 {
            Ok(())
        } else {
            Err(Fault::Syntax)
        }
    }
}

/// The number of bytes before the closing one, which may not be the second of a quoted pair.
fn closed_by(closing: u8, bytes: &[u8]) -> Option<usize> {
    let mut escaped = false;
    bytes.iter().position(|&byte| {
        let found = byte == closing && !escaped;
        escaped = byte == b'\\' && !escaped;
        found
    })
}

/// The value of a quoted string: without backslashes, and without the line ends of folding.
fn unquoted(inner: &[u8]) -> impl Iterator<Item = u8> + '_ {
    let mut escaped = false;
    inner.iter().copied().filter(move |&byte| {
        let quotes = byte == b'\\' && !escaped;
        let folds = matches!(byte, b'\r' | b'\n') && !escaped;
        escaped = quotes;
        !quotes && !folds
    })
}

/// `atext`, with the non-ASCII characters of RFC 6532.
const fn is_atext(byte: u8) -> bool {
    match byte {
        b'(' | b')' | b'<' | b'>' | b'[' | b']' | b':' | b';' | b'@' | b'\\' | b',' | b'.'
        | b'"' => false,
        _ => byte.is_ascii_graphic() || !byte.is_ascii(),
    }
}

const fn is_white_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}
