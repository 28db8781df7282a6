//! The attributes of XCLIENT and XFORWARD, and how they are divided into command lines.

use alloc::{borrow::Cow, format, vec::Vec};
use core::fmt;
use core::net::IpAddr;

use super::XFORWARD;
use super::error::{AttributeError, AttributeErrorKind};
use crate::extension::parameter::Value;

/// The attributes, in the order in which they are sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Attributes(Vec<Attribute>);

/// One attribute.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Attribute {
    key: Key,
    /// Encoded as xtext (RFC 3461, section 4).
    value: Cow<'static, str>,
}

/// The name of an attribute. They are in the order of sending: the server discards PROTO, HELO and
/// LOGIN at the next XCLIENT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Key {
    Name,
    Addr,
    Port,
    DestAddr,
    DestPort,
    Ident,
    Source,
    Proto,
    Helo,
    Login,
}

impl Attributes {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the attribute is set.
    pub(super) fn contains(&self, key: Key) -> bool {
        self.0.iter().any(|each| each.key == key)
    }

    /// The name of the first attribute that is not among the `sent` ones.
    pub(super) fn first_missing(&self, sent: &Self) -> Option<&'static str> {
        let missing = self.0.iter().find(|each| !sent.0.contains(each))?;
        Some(missing.key.as_str())
    }

    /// The attributes that the server advertises.
    pub(crate) fn advertised<'a>(
        &self,
        advertised: Option<impl Iterator<Item = &'a [u8]>>,
    ) -> Self {
        let advertised: Vec<_> = advertised.into_iter().flatten().collect();
        let heard = |each: &&Attribute| {
            let keyword = each.key.as_str().as_bytes();
            advertised
                .iter()
                .any(|word| word.eq_ignore_ascii_case(keyword))
        };
        Self(self.0.iter().filter(heard).cloned().collect())
    }

    /// Whether one line is not enough for them.
    pub(crate) fn has_more(&self) -> bool {
        self.line().len() < self.0.len()
    }

    /// The attributes of the next line.
    ///
    /// Lines are filled from the last, so that PROTO, HELO and LOGIN are in one.
    pub(crate) fn line(&self) -> &[Attribute] {
        let (mut count, mut room) = (0_usize, ROOM);
        for attribute in self.0.iter().rev() {
            let len = attribute.encoded_len();
            if len > room {
                (count, room) = (0, ROOM);
            }
            count = count.saturating_add(1);
            room = room.saturating_sub(len);
        }
        self.0.get(..count).unwrap_or_default()
    }

    /// Removes the attributes of the next line.
    pub(crate) fn advance(&mut self) {
        let count = self.line().len();
        self.0.drain(..count);
    }

    /// Sets an attribute; a second value replaces the first.
    pub(super) fn set(&mut self, key: Key, value: Cow<'static, str>) {
        let attribute = Attribute { key, value };
        match self.0.binary_search_by_key(&key, |each| each.key) {
            Ok(index) => {
                self.0.splice(index..=index, [attribute]);
            }
            Err(index) => self.0.insert(index, attribute),
        }
    }

    /// Whether each attribute fits in a line, and PROTO, HELO and LOGIN fit in one.
    pub(super) fn fit(&self) -> bool {
        let len = |key| {
            let found = self.0.iter().find(|each| each.key == key);
            found.map_or(0, Attribute::encoded_len)
        };
        // Bytes for PROTO are reserved, so that it can be set later.
        let last = len(Key::Proto)
            .max(PROTO_LEN)
            .saturating_add(len(Key::Helo));
        last.saturating_add(len(Key::Login)) <= ROOM
            && self.0.iter().all(|each| each.encoded_len() <= ROOM)
    }
}

impl fmt::Display for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = |each: &Attribute| write!(f, " {}={}", each.key.as_str(), each.value);
        self.0.iter().try_for_each(one)
    }
}

impl Attribute {
    /// Appends ` KEY=value`, with the space.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        for part in [" ", self.key.as_str(), "=", &self.value] {
            out.extend_from_slice(part.as_bytes());
        }
    }

    /// Bytes of ` KEY=value`.
    fn encoded_len(&self) -> usize {
        self.key
            .as_str()
            .len()
            .saturating_add(self.value.len())
            .saturating_add(2)
    }
}

impl Key {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Name => "NAME",
            Self::Addr => "ADDR",
            Self::Port => "PORT",
            Self::DestAddr => "DESTADDR",
            Self::DestPort => "DESTPORT",
            Self::Ident => "IDENT",
            Self::Source => "SOURCE",
            Self::Proto => "PROTO",
            Self::Helo => "HELO",
            Self::Login => "LOGIN",
        }
    }
}

/// The value of an attribute, encoded as xtext.
pub(super) fn encode(key: Key, text: &str) -> Result<Cow<'static, str>, AttributeError> {
    let fault = |reason| Err(AttributeError::new(key.as_str(), reason));
    let max = if key == Key::Proto { 64 } else { 255 };
    let allowed = |c: char| match key {
        Key::Login => !c.is_control(),
        _ => c.is_ascii_graphic(),
    };
    if text.is_empty() {
        return fault(AttributeErrorKind::Empty);
    }
    if text.len() > max {
        return fault(AttributeErrorKind::TooLong);
    }
    if !text.chars().all(allowed) {
        return fault(AttributeErrorKind::Character);
    }
    let says = |word: &str| text.eq_ignore_ascii_case(word);
    if says(UNAVAILABLE) || says(UNAVAILABLE_FOR_NOW) {
        return fault(AttributeErrorKind::Reserved);
    }
    match Value::xtext(text.as_bytes()) {
        Ok(value) => Ok(Cow::Owned(value.as_str().into())),
        Err(_) => fault(AttributeErrorKind::TooLong),
    }
}

/// The value of ADDR and DESTADDR.
pub(super) fn address(addr: IpAddr) -> Cow<'static, str> {
    Cow::Owned(match addr.to_canonical() {
        IpAddr::V4(addr) => format!("{addr}"),
        IpAddr::V6(addr) => format!("IPV6:{addr}"),
    })
}

/// The value of PORT and DESTPORT.
pub(super) fn number(port: u16) -> Cow<'static, str> {
    Cow::Owned(format!("{port}"))
}

/// The value of an attribute that is not known.
pub(super) const UNAVAILABLE: &str = "[UNAVAILABLE]";

/// The value of a name whose lookup failed for now.
pub(super) const UNAVAILABLE_FOR_NOW: &str = "[TEMPUNAVAIL]";

/// Bytes of a line after the longer of the two verbs, without the CRLF.
const ROOM: usize = 510 - XFORWARD.len();

/// Bytes of ` PROTO=ESMTP`.
const PROTO_LEN: usize = 12;
