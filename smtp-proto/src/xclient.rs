//! Who is after this client, for servers that trust it to say so: what XCLIENT and XFORWARD carry.
//!
//! Both are Postfix's, and defined by its XCLIENT_README and XFORWARD_README. Their attributes are encoded alike, and
//! divided into command lines alike.

use alloc::{borrow::Cow, format, vec::Vec};
use core::fmt;
use core::net::IpAddr;

use crate::parameter::Value;

/// The client on whose behalf this one speaks, as XCLIENT tells it: the server then treats the connection as that client's.
///
/// For proxies and filters before a server that lists them as trusted. Given to
/// [`ConfigBuilder::xclient`](crate::ConfigBuilder::xclient). What is not told stays as the server sees it of this client;
/// `None` tells that it is not known. Setting something twice keeps the second.
///
/// ```
/// use std::net::IpAddr;
/// use smtp_proto::Xclient;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let client = Xclient::new().name("mail.example.org")?.addr("192.0.2.1".parse::<IpAddr>()?).port(None);
/// assert_eq!(client.to_string(), "XCLIENT NAME=mail.example.org ADDR=192.0.2.1 PORT=[UNAVAILABLE]");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[must_use = "it is told only if it is given to a policy"]
pub struct Xclient {
    attributes: Attributes,
    if_offered: bool,
}

/// Where a message comes from, as XFORWARD tells it: the server writes it into its log, and treats the client as before.
///
/// For filters between two servers. Sent by [`Command::xforward`](crate::Command::xforward). What is not told is not known
/// to the server; `None` tells that it is not known, which of [`addr`](Self::addr) means a message that was submitted locally.
/// Setting something twice keeps the second.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[must_use = "it is told only if it is sent"]
pub struct Xforward {
    attributes: Attributes,
}

/// Whether a client that XCLIENT tells of spoke EHLO.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum XclientProto {
    /// It said HELO.
    Smtp,
    /// It said EHLO.
    Esmtp,
}

/// Where a message that XFORWARD tells of came from, seen from the server that it came to first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum XforwardSource {
    /// From that host itself, or one that it counts to itself.
    Local,
    /// From elsewhere.
    Remote,
}

macro_rules! shared {
    ($type:ident) => {
        impl $type {
            /// Nothing yet.
            pub fn new() -> Self {
                Self::default()
            }

            /// NAME: the client's host name.
            ///
            /// # Errors
            /// If it is empty, has more than 255 bytes or others than printable ASCII without spaces, or says
            /// `[UNAVAILABLE]` or `[TEMPUNAVAIL]` itself.
            pub fn name<'a>(
                self,
                name: impl Into<Option<&'a str>>,
            ) -> Result<Self, AttributeError> {
                self.text(Key::Name, name.into())
            }

            /// ADDR: the client's address. An IPv4 address that is mapped to IPv6 is told as what it is.
            pub fn addr(self, addr: impl Into<Option<IpAddr>>) -> Self {
                self.with(Key::Addr, addr.into().map(address))
            }

            /// PORT: the client's TCP port.
            pub fn port(self, port: impl Into<Option<u16>>) -> Self {
                self.with(Key::Port, port.into().map(number))
            }

            /// HELO: what the client said of itself in HELO or EHLO.
            ///
            /// # Errors
            /// As [`name`](Self::name), or if it does not fit in one line with its neighbours.
            pub fn helo<'a>(
                self,
                helo: impl Into<Option<&'a str>>,
            ) -> Result<Self, AttributeError> {
                self.text(Key::Helo, helo.into())
            }

            fn text(mut self, key: Key, text: Option<&str>) -> Result<Self, AttributeError> {
                let value = text.map(|text| encode(key, text)).transpose()?;
                self.attributes.set(key, value);
                if self.attributes.fit() {
                    Ok(self)
                } else {
                    Err(AttributeError::new(key, AttributeErrorKind::TooLong))
                }
            }

            fn with(mut self, key: Key, value: Option<Cow<'static, str>>) -> Self {
                self.attributes.set(key, value);
                self
            }
        }
    };
}
shared!(Xclient);
shared!(Xforward);

impl Xclient {
    /// NAME, where looking the name up failed for now: `[TEMPUNAVAIL]`.
    pub fn name_unknown_for_now(self) -> Self {
        self.with(Key::Name, Some(Cow::Borrowed(UNAVAILABLE_FOR_NOW)))
    }

    /// PROTO: what the client spoke.
    pub fn proto(self, proto: XclientProto) -> Self {
        let value = match proto {
            XclientProto::Smtp => "SMTP",
            XclientProto::Esmtp => "ESMTP",
        };
        self.with(Key::Proto, Some(Cow::Borrowed(value)))
    }

    /// LOGIN: as whom the client logged in. It takes the place of [`credentials`](crate::ConfigBuilder::credentials).
    ///
    /// # Errors
    /// As [`name`](Self::name), but spaces and characters beyond ASCII may be in it; or if it does not fit in one line with
    /// HELO.
    pub fn login<'a>(self, login: impl Into<Option<&'a str>>) -> Result<Self, AttributeError> {
        self.text(Key::Login, login.into())
    }

    /// DESTADDR: the address at which the client was answered.
    pub fn dest_addr(self, addr: impl Into<Option<IpAddr>>) -> Self {
        self.with(Key::DestAddr, addr.into().map(address))
    }

    /// DESTPORT: the port at which the client was answered.
    pub fn dest_port(self, port: impl Into<Option<u16>>) -> Self {
        self.with(Key::DestPort, port.into().map(number))
    }

    /// Tells what the server offers to hear, which may be nothing; otherwise, a server that does not offer to hear all of it
    /// is an error.
    ///
    /// A server that is told nothing takes this client itself for the origin, with all that it may do.
    pub fn optional(mut self) -> Self {
        self.if_offered = true;
        self
    }

    /// Whether it tells as whom the client logged in.
    pub(crate) fn logs_in(&self) -> bool {
        self.attributes.0.iter().any(|each| each.key == Key::Login)
    }

    /// What to tell a server that offers to hear these; or the first that it ought to hear and does not offer to.
    pub(crate) fn offered<'a>(
        &self,
        offered: Option<impl Iterator<Item = &'a [u8]>>,
    ) -> Result<Attributes, &'static str> {
        let told = self.attributes.offered(offered);
        match self.attributes.0.iter().find(|each| !told.0.contains(each)) {
            Some(missing) if !self.if_offered => Err(missing.key.as_str()),
            _ => Ok(told),
        }
    }
}

impl Xforward {
    /// PROTO: the protocol by which the message came, such as `ESMTP` or `HTTP`.
    ///
    /// # Errors
    /// As [`name`](Self::name), but for at most 64 bytes.
    pub fn proto<'a>(self, proto: impl Into<Option<&'a str>>) -> Result<Self, AttributeError> {
        self.text(Key::Proto, proto.into())
    }

    /// IDENT: how the message is called in the log of the server that it came to.
    ///
    /// # Errors
    /// As [`name`](Self::name).
    pub fn ident<'a>(self, ident: impl Into<Option<&'a str>>) -> Result<Self, AttributeError> {
        self.text(Key::Ident, ident.into())
    }

    /// SOURCE: whether the message is local to the server that it came to.
    pub fn source(self, source: impl Into<Option<XforwardSource>>) -> Self {
        let value = source.into().map(|source| match source {
            XforwardSource::Local => Cow::Borrowed("LOCAL"),
            XforwardSource::Remote => Cow::Borrowed("REMOTE"),
        });
        self.with(Key::Source, value)
    }

    pub(crate) fn into_attributes(self) -> Attributes {
        self.attributes
    }
}

impl fmt::Display for Xclient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{XCLIENT}{}", self.attributes)
    }
}

impl fmt::Display for Xforward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{XFORWARD}{}", self.attributes)
    }
}

/// Why a text cannot be an attribute of XCLIENT or XFORWARD.
///
/// It never repeats the text, so it can be logged.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AttributeError {
    key: Key,
    reason: AttributeErrorKind,
}

impl AttributeError {
    const fn new(key: Key, reason: AttributeErrorKind) -> Self {
        Self { key, reason }
    }

    /// The attribute, such as `HELO`.
    #[must_use]
    pub const fn attribute(&self) -> &'static str {
        self.key.as_str()
    }

    /// What is wrong.
    #[must_use]
    pub const fn kind(&self) -> AttributeErrorKind {
        self.reason
    }
}

impl fmt::Display for AttributeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = match self.reason {
            AttributeErrorKind::Empty => "without a value",
            AttributeErrorKind::Character => "with a character that is not allowed",
            AttributeErrorKind::TooLong => "too long",
            AttributeErrorKind::Reserved => "with a word that says that there is none",
        };
        write!(f, "attribute {} {reason}", self.attribute())
    }
}

debug_as_display!(AttributeError);

impl core::error::Error for AttributeError {}

/// What can be wrong with an attribute of XCLIENT or XFORWARD.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AttributeErrorKind {
    /// An empty text.
    Empty,
    /// A character that the attribute must not have.
    Character,
    /// More bytes than the attribute may have, or, encoded, than fit in a line with its neighbours.
    TooLong,
    /// `[UNAVAILABLE]` or `[TEMPUNAVAIL]` as a text.
    Reserved,
}

/// What is told, in the order in which it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Attributes(Vec<Attribute>);

/// One attribute.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Attribute {
    key: Key,
    /// As it goes on the wire, in xtext (RFC 3461, section 4).
    value: Cow<'static, str>,
}

/// In this order they are told: PROTO, HELO and LOGIN hold only for as long as there is no other XCLIENT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Key {
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

    /// Leaves only those that the server offers to hear.
    pub(crate) fn offered<'a>(&self, offered: Option<impl Iterator<Item = &'a [u8]>>) -> Self {
        let offered: Vec<_> = offered.into_iter().flatten().collect();
        let heard = |each: &&Attribute| {
            let keyword = each.key.as_str().as_bytes();
            offered
                .iter()
                .any(|word| word.eq_ignore_ascii_case(keyword))
        };
        Self(self.0.iter().filter(heard).cloned().collect())
    }

    /// Whether the next line is not the last.
    pub(crate) fn has_more(&self) -> bool {
        self.line().len() < self.0.len()
    }

    /// Those that the next line has room for.
    ///
    /// The lines are filled from the last one, so that what has to be told by the last is.
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

    /// Takes those of the next line away.
    pub(crate) fn advance(&mut self) {
        let count = self.line().len();
        self.0.drain(..count);
    }

    fn set(&mut self, key: Key, value: Option<Cow<'static, str>>) {
        let value = value.unwrap_or(Cow::Borrowed(UNAVAILABLE));
        let attribute = Attribute { key, value };
        match self.0.binary_search_by_key(&key, |each| each.key) {
            Ok(index) => {
                self.0.splice(index..=index, [attribute]);
            }
            Err(index) => self.0.insert(index, attribute),
        }
    }

    /// Whether each fits in a line, and those that must be in the same do.
    fn fit(&self) -> bool {
        let len = |key| {
            let found = self.0.iter().find(|each| each.key == key);
            found.map_or(0, Attribute::encoded_len)
        };
        // Room for PROTO is kept, so that it never comes too late.
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
    /// Appends ` KEY=value`, with the space in front.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        for part in [" ", self.key.as_str(), "=", &self.value] {
            out.extend_from_slice(part.as_bytes());
        }
    }

    fn encoded_len(&self) -> usize {
        self.key
            .as_str()
            .len()
            .saturating_add(self.value.len())
            .saturating_add(2)
    }
}

impl Key {
    const fn as_str(self) -> &'static str {
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

fn encode(key: Key, text: &str) -> Result<Cow<'static, str>, AttributeError> {
    let fault = |reason| Err(AttributeError::new(key, reason));
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

fn address(addr: IpAddr) -> Cow<'static, str> {
    Cow::Owned(match addr.to_canonical() {
        IpAddr::V4(addr) => format!("{addr}"),
        IpAddr::V6(addr) => format!("IPV6:{addr}"),
    })
}

fn number(port: u16) -> Cow<'static, str> {
    Cow::Owned(format!("{port}"))
}

pub(crate) const XCLIENT: &str = "XCLIENT";
pub(crate) const XFORWARD: &str = "XFORWARD";

const UNAVAILABLE: &str = "[UNAVAILABLE]";
const UNAVAILABLE_FOR_NOW: &str = "[TEMPUNAVAIL]";

/// Bytes of a line after the longer of the two verbs, without the CRLF.
const ROOM: usize = 510 - XFORWARD.len();

/// Bytes of ` PROTO=ESMTP`.
const PROTO_LEN: usize = 12;

#[cfg(test)]
mod tests;
