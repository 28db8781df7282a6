//! The extensions that a server advertises in its reply to EHLO.

mod keyword;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use crate::extension::{
    FutureRelease, ServerLimits, SizeLimit, deliver_by, future_release, limits, mt_priority, size,
};
use crate::parse::{self, EhloLine};
use crate::reply::{Escaped, Reply, ReplyRef};
use keyword::{Known, KnownSet};

/// The service extensions that a server advertises (RFC 5321, section 4.1.1.1).
///
/// Keywords are read in any case, with spaces and tabs anywhere, and AUTH in both of its forms. A
/// keyword with arguments that are not valid is ignored, and so is everything after 128 keywords.
/// The first line is the server's name and greeting, never a keyword.
///
/// An extension can be removed with [`without`](Self::without), but not added.
///
/// ```
/// use smtp_proto::{Capabilities, Reply, SizeLimit};
///
/// let ehlo = b"250-mx.example.com\r\n250-SIZE 35882577\r\n250-AUTH PLAIN LOGIN\r\n250 PIPELINING\r\n";
/// let (reply, _) = Reply::parse(ehlo)?.unwrap();
/// let capabilities = Capabilities::parse(&reply);
/// assert!(capabilities.pipelining());
/// assert_eq!(capabilities.size(), Some(SizeLimit::Bytes(35_882_577)));
/// assert!(capabilities.auth().eq(["PLAIN", "LOGIN"]));
/// # Ok::<(), smtp_proto::ReplyError>(())
/// ```
#[derive(Clone)]
pub struct Capabilities {
    /// The reply without the lines that were removed. Empty before EHLO.
    raw: Arc<[u8]>,
    known: KnownSet,
    size: Option<SizeLimit>,
    limits: ServerLimits,
    mechanisms: Mechanisms,
}

/// Queries for extensions without arguments.
impl Capabilities {
    /// PIPELINING (RFC 2920).
    pub fn pipelining(&self) -> bool {
        self.known.contains(Known::Pipelining)
    }

    /// 8BITMIME (RFC 6152). SMTPUTF8 includes it (RFC 6531, section 3.1).
    pub fn eight_bit_mime(&self) -> bool {
        self.known.contains(Known::EightBitMime)
    }

    /// SMTPUTF8 (RFC 6531). `false` if 8BITMIME, which it requires, was removed.
    pub fn smtp_utf8(&self) -> bool {
        self.known.contains(Known::SmtpUtf8) && self.eight_bit_mime()
    }

    /// STARTTLS (RFC 3207).
    pub fn start_tls(&self) -> bool {
        self.known.contains(Known::StartTls)
    }

    /// CHUNKING, the BDAT command (RFC 3030).
    pub fn chunking(&self) -> bool {
        self.known.contains(Known::Chunking)
    }

    /// BINARYMIME (RFC 3030). `false` without CHUNKING, which it requires.
    pub fn binary_mime(&self) -> bool {
        self.known.contains(Known::BinaryMime) && self.chunking()
    }

    /// DSN: NOTIFY, ORCPT, RET and ENVID (RFC 3461).
    pub fn dsn(&self) -> bool {
        self.known.contains(Known::Dsn)
    }

    /// ENHANCEDSTATUSCODES (RFC 2034).
    pub fn enhanced_status_codes(&self) -> bool {
        self.known.contains(Known::EnhancedStatusCodes)
    }

    /// REQUIRETLS (RFC 8689), valid only inside TLS.
    pub fn require_tls(&self) -> bool {
        self.known.contains(Known::RequireTls)
    }

    /// RRVS: the time since which a recipient must have been valid (RFC 7293).
    pub fn rrvs(&self) -> bool {
        self.known.contains(Known::Rrvs)
    }

    /// VRFY (RFC 5321, section 3.5).
    pub fn vrfy(&self) -> bool {
        self.known.contains(Known::Vrfy)
    }

    /// EXPN (RFC 5321, section 3.5.2).
    pub fn expn(&self) -> bool {
        self.known.contains(Known::Expn)
    }

    /// HELP (RFC 5321, section 4.1.1.8).
    pub fn help(&self) -> bool {
        self.known.contains(Known::Help)
    }

    /// ETRN (RFC 1985).
    pub fn etrn(&self) -> bool {
        self.known.contains(Known::Etrn)
    }

    /// Whether a keyword is advertised, in any case. Also finds keywords without a method here,
    /// such as `ATRN`.
    ///
    /// # Examples
    /// ```
    /// use smtp_proto::{Capabilities, Reply};
    ///
    /// let (reply, _) = Reply::parse(b"250-mx.example.com\r\n250 ATRN\r\n")?.unwrap();
    /// assert!(Capabilities::parse(&reply).has("atrn"));
    /// # Ok::<(), smtp_proto::ReplyError>(())
    /// ```
    pub fn has(&self, keyword: &str) -> bool {
        match Known::named(keyword) {
            Some(known) => self.known.contains(known),
            None => self.keyword(keyword).is_some(),
        }
    }
}

/// The arguments of extensions.
impl Capabilities {
    /// The maximum message size, if SIZE is advertised (RFC 1870). The first SIZE line counts.
    pub fn size(&self) -> Option<SizeLimit> {
        self.size
    }

    /// The SASL mechanisms of all AUTH lines (RFC 4954), upper-case, without duplicates, in the
    /// server's order.
    ///
    /// At most 512 bytes of names are kept.
    pub fn auth(&self) -> impl Iterator<Item = &str> + Clone {
        self.mechanisms.iter().map(parse::ascii)
    }

    /// The minimum time of DELIVERBY in seconds, 0 if there is none (RFC 2852).
    pub fn deliver_by(&self) -> Option<u64> {
        self.keyword("DELIVERBY").and_then(deliver_by::parse)
    }

    /// The priority assignment policy of MT-PRIORITY, `MIXER` if none is named (RFC 6710).
    pub fn mt_priority(&self) -> Option<&str> {
        self.keyword("MT-PRIORITY").and_then(mt_priority::parse)
    }

    /// The maximum delay of FUTURERELEASE (RFC 4865).
    pub fn future_release(&self) -> Option<FutureRelease<'_>> {
        self.keyword("FUTURERELEASE")
            .and_then(future_release::parse)
    }

    /// The limits of LIMITS (RFC 9422); without any if it is not advertised.
    ///
    /// # Examples
    /// ```
    /// use smtp_proto::{Capabilities, Reply};
    ///
    /// let ehlo = b"250-mx.example.com\r\n250 LIMITS RCPTMAX=20\r\n";
    /// let (reply, _) = Reply::parse(ehlo)?.unwrap();
    /// let limits = Capabilities::parse(&reply).limits();
    /// assert_eq!(limits.rcpt_max().unwrap().get(), 20);
    /// assert_eq!(limits.mail_max(), None);
    /// # Ok::<(), smtp_proto::ReplyError>(())
    /// ```
    pub fn limits(&self) -> ServerLimits {
        self.limits
    }

    /// The schemes and features of BURL (RFC 4468).
    pub fn burl(&self) -> Option<impl Iterator<Item = &[u8]>> {
        self.keyword("BURL").map(parse::ehlo_params)
    }

    /// The attributes of XCLIENT, as Postfix defines it.
    pub fn xclient(&self) -> Option<impl Iterator<Item = &[u8]>> {
        self.keyword("XCLIENT").map(parse::ehlo_params)
    }

    /// The attributes of XFORWARD, as Postfix defines it.
    pub fn xforward(&self) -> Option<impl Iterator<Item = &[u8]>> {
        self.keyword("XFORWARD").map(parse::ehlo_params)
    }

    /// The classes of solicitation that NO-SOLICITING rejects (RFC 3865).
    pub fn no_soliciting(&self) -> Option<&[u8]> {
        self.keyword("NO-SOLICITING")
    }

    /// The arguments of the first line with this keyword, in any case, separated by spaces or tabs.
    ///
    /// # Examples
    /// ```
    /// use smtp_proto::{Capabilities, Reply};
    ///
    /// let ehlo = b"250-mx.example.com\r\n250 DELIVERBY 240\r\n";
    /// let (reply, _) = Reply::parse(ehlo)?.unwrap();
    /// let capabilities = Capabilities::parse(&reply);
    /// assert_eq!(capabilities.keyword("DeliverBy"), Some(&b"240"[..]));
    /// assert_eq!(capabilities.deliver_by(), Some(240));
    /// # Ok::<(), smtp_proto::ReplyError>(())
    /// ```
    pub fn keyword(&self, keyword: &str) -> Option<&[u8]> {
        self.iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(keyword))
            .map(|(_, params)| params)
    }

    /// The keywords with their arguments, as the server spells them and in its order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        entries(&self.raw).map(|entry| (entry.keyword(), entry.line.params))
    }

    /// The name of the server in its reply, not verified. Empty before EHLO.
    pub fn server_name(&self) -> &[u8] {
        let greeting = parse::lines(&self.raw)
            .next()
            .map(parse::text)
            .unwrap_or_default();
        parse::ehlo_name(greeting)
            .map(|(_, name)| name)
            .unwrap_or_default()
    }
}

impl Capabilities {
    /// Parses the reply to EHLO. A code other than 250 advertises no extension.
    pub fn parse(ehlo: &Reply) -> Self {
        if ehlo.code() == 250 {
            Self::read(Arc::clone(ehlo.raw()))
        } else {
            Self::default()
        }
    }

    /// Like [`parse`](Self::parse), for a borrowed reply.
    pub(crate) fn from_ehlo(ehlo: ReplyRef<'_>) -> Self {
        if ehlo.code() == 250 {
            Self::read(Arc::from(ehlo.raw()))
        } else {
            Self::default()
        }
    }

    /// Removes an extension, in any case, and those that require it. `AUTH` removes all mechanisms.
    ///
    /// # Examples
    /// ```
    /// use smtp_proto::{Capabilities, Reply};
    ///
    /// let ehlo = b"250-mx.example.com\r\n250-CHUNKING\r\n250 BINARYMIME\r\n";
    /// let (reply, _) = Reply::parse(ehlo)?.unwrap();
    /// let capabilities = Capabilities::parse(&reply).without("CHUNKING");
    /// assert!(!capabilities.chunking() && !capabilities.binary_mime());
    /// # Ok::<(), smtp_proto::ReplyError>(())
    /// ```
    #[must_use = "the extension is removed from the returned value"]
    pub fn without(mut self, keyword: &str) -> Self {
        if let Some(known) = Known::named(keyword) {
            self.known.remove(known);
        }
        if keyword.eq_ignore_ascii_case("SIZE") {
            self.size = None;
        }
        if keyword.eq_ignore_ascii_case("LIMITS") {
            self.limits = ServerLimits::default();
        }
        if keyword.eq_ignore_ascii_case("AUTH") {
            self.mechanisms = Mechanisms::default();
        }
        let mut kept = Vec::with_capacity(self.raw.len());
        kept.extend_from_slice(parse::lines(&self.raw).next().unwrap_or_default());
        // Add none: a keyword after the 128th must not take the place of the removed one.
        for entry in entries(&self.raw) {
            if !entry.keyword().eq_ignore_ascii_case(keyword) {
                kept.extend_from_slice(entry.raw);
            }
        }
        self.raw = Arc::from(kept);
        self
    }

    fn read(raw: Arc<[u8]>) -> Self {
        let mut advertised = KnownSet::default();
        let mut mechanisms = Mechanisms::default();
        let (mut size_limit, mut limited) = (None, ServerLimits::default());
        for Entry {
            known, line, size, ..
        } in entries(&raw)
        {
            let Some(known) = known else {
                continue;
            };
            let first = !advertised.contains(known);
            advertised.insert(known);
            match known {
                Known::Limits if first => limited = limits::parse(line.params),
                Known::Size => size_limit = size_limit.or(size),
                Known::Auth => mechanisms.add(line.params),
                Known::SmtpUtf8 => advertised.insert(Known::EightBitMime),
                _ => {}
            }
        }
        Self {
            raw,
            known: advertised,
            size: size_limit,
            limits: limited,
            mechanisms,
        }
    }
}

impl Default for Capabilities {
    /// No extensions, as before EHLO and after HELO.
    fn default() -> Self {
        Self {
            raw: Arc::default(),
            known: KnownSet::default(),
            size: None,
            limits: ServerLimits::default(),
            mechanisms: Mechanisms::default(),
        }
    }
}

impl fmt::Debug for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (keyword, params) in self.iter() {
            map.entry(&format_args!("{keyword}"), &Escaped::new(params, 256));
        }
        map.finish()
    }
}

/// The mechanisms of all AUTH lines: upper-case ASCII, each followed by a space.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Mechanisms(Vec<u8>);

impl Mechanisms {
    fn iter(&self) -> impl Iterator<Item = &[u8]> + Clone {
        let mechanisms = self.0.split(|byte| *byte == b' ');
        mechanisms.filter(|mechanism| !mechanism.is_empty())
    }

    /// Adds the mechanisms of a line that are new.
    fn add(&mut self, params: &[u8]) {
        self.0
            .reserve(MECHANISMS.min(params.len().saturating_add(1)));
        for param in parse::ehlo_params(params) {
            let Ok((_, mechanism)) = parse::sasl_mech(param) else {
                continue;
            };
            let room = MECHANISMS.saturating_sub(self.0.len());
            let is_new = || {
                !self
                    .iter()
                    .any(|known| known.eq_ignore_ascii_case(mechanism))
            };
            if mechanism.len() < room && is_new() {
                self.0.extend_from_slice(mechanism);
                self.0.push(b' ');
            }
        }
        self.0.make_ascii_uppercase();
    }
}

/// One keyword in a reply to EHLO.
struct Entry<'a> {
    /// The line with its CRLF.
    raw: &'a [u8],
    line: EhloLine<'a>,
    known: Option<Known>,
    size: Option<SizeLimit>,
}

impl<'a> Entry<'a> {
    /// Takes the next keyword from the lines in `rest`.
    ///
    /// Skips lines outside the grammar, and keywords with invalid arguments.
    fn take(rest: &mut &'a [u8]) -> Option<Self> {
        loop {
            let input = *rest;
            let after_code = input.get(4..)?;
            let Ok((after, (known, line))) = parse::ehlo_line(after_code, Known::find) else {
                *rest = parse::line(input).ok()?.0;
                continue;
            };
            *rest = after;
            let mut size_limit = None;
            let sound = match known {
                Some(Known::Size) => {
                    size_limit = size::parse(line.params);
                    size_limit.is_some()
                }
                Some(known) => known.accepts(line.params),
                None => true,
            };
            if sound {
                let raw = input
                    .get(..input.len().saturating_sub(after.len()))
                    .unwrap_or_default();
                return Some(Self {
                    raw,
                    line,
                    known,
                    size: size_limit,
                });
            }
        }
    }

    fn keyword(&self) -> &'a str {
        // The grammar allows ASCII only.
        core::str::from_utf8(self.line.keyword).unwrap_or_default()
    }
}

fn entries(reply: &[u8]) -> impl Iterator<Item = Entry<'_>> {
    // The first line is the greeting.
    let mut rest = parse::line(reply).map(|(rest, _)| rest).unwrap_or_default();
    core::iter::from_fn(move || Entry::take(&mut rest)).take(KEYWORDS)
}

/// The maximum number of keywords kept; servers advertise one or two dozen.
const KEYWORDS: usize = 128;

/// The maximum length of the names of SASL mechanisms, each with a space. Servers use a tenth of
/// it.
const MECHANISMS: usize = 512;

#[cfg(test)]
mod tests;
