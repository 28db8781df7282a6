//! What a server offers: the reply to EHLO, typed.

mod keyword;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::num::NonZeroU32;

use crate::parse::{self, EhloLine};
use crate::reply::{Escaped, Reply, ReplyRef};
use keyword::{Known, KnownSet};

/// The service extensions that a server offers (RFC 5321, section 4.1.1.1).
///
/// Read as servers print it: keywords in any case, blanks and tabs anywhere, both forms of AUTH. A keyword
/// counts only as a whole word. One whose parameters make no sense is ignored, and so is what comes after
/// 128 keywords. The first line is the server's name and greeting, never a keyword.
///
/// An extension can be switched off, with [`without`](Self::without), but not on.
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
    /// The reply as it came; lines that were switched off are left out. Empty before EHLO.
    raw: Arc<[u8]>,
    known: KnownSet,
    size: Option<SizeLimit>,
    limits: ServerLimits,
    mechanisms: Mechanisms,
}

/// Whether an extension is offered.
impl Capabilities {
    /// PIPELINING (RFC 2920).
    pub fn pipelining(&self) -> bool {
        self.known.contains(Known::Pipelining)
    }

    /// 8BITMIME (RFC 6152); also when only SMTPUTF8 is offered, which includes it (RFC 6531, section 3.1).
    pub fn eight_bit_mime(&self) -> bool {
        self.known.contains(Known::EightBitMime)
    }

    /// SMTPUTF8 (RFC 6531); not when 8BITMIME was switched off, without which it cannot be used.
    pub fn smtp_utf8(&self) -> bool {
        self.known.contains(Known::SmtpUtf8) && self.eight_bit_mime()
    }

    /// STARTTLS (RFC 3207).
    pub fn start_tls(&self) -> bool {
        self.known.contains(Known::StartTls)
    }

    /// CHUNKING, which is BDAT (RFC 3030).
    pub fn chunking(&self) -> bool {
        self.known.contains(Known::Chunking)
    }

    /// BINARYMIME (RFC 3030); not without CHUNKING, without which it cannot be used.
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

    /// REQUIRETLS (RFC 8689), which counts only if the reply came inside TLS.
    pub fn require_tls(&self) -> bool {
        self.known.contains(Known::RequireTls)
    }

    /// RRVS: the time since which a recipient must have been valid (RFC 7293).
    pub fn rrvs(&self) -> bool {
        self.known.contains(Known::Rrvs)
    }

    /// VRFY, said of a command that RFC 5321 has anyway.
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

    /// ATRN (RFC 2645).
    pub fn atrn(&self) -> bool {
        self.known.contains(Known::Atrn)
    }

    /// MTRK: message tracking (RFC 3885).
    pub fn mtrk(&self) -> bool {
        self.known.contains(Known::Mtrk)
    }

    /// CONPERM: permission to convert content (RFC 4141).
    pub fn conperm(&self) -> bool {
        self.known.contains(Known::Conperm)
    }

    /// CONNEG: content negotiation (RFC 4141).
    pub fn conneg(&self) -> bool {
        self.known.contains(Known::Conneg)
    }

    /// CHECKPOINT: a transaction may be resumed (RFC 1845).
    pub fn checkpoint(&self) -> bool {
        self.known.contains(Known::Checkpoint)
    }

    /// SUBMITTER (RFC 4405).
    pub fn submitter(&self) -> bool {
        self.known.contains(Known::Submitter)
    }

    /// Whether `keyword` is offered; case does not matter.
    pub fn has(&self, keyword: &str) -> bool {
        match Known::named(keyword) {
            Some(known) => self.known.contains(known),
            None => self.keyword(keyword).is_some(),
        }
    }
}

/// What an extension says with its keyword.
impl Capabilities {
    /// The limit on a message's size, if SIZE is offered (RFC 1870); the first one counts.
    pub fn size(&self) -> Option<SizeLimit> {
        self.size
    }

    /// The SASL mechanisms of all AUTH lines, upper-case, each once, in the server's order (RFC 4954).
    ///
    /// Only what fits in 512 bytes is kept.
    pub fn auth(&self) -> impl Iterator<Item = &str> + Clone {
        self.mechanisms.iter().map(parse::ascii)
    }

    /// The shortest time in seconds that DELIVERBY takes, 0 if it names none (RFC 2852).
    pub fn deliver_by(&self) -> Option<u64> {
        self.keyword("DELIVERBY").and_then(deliver_by)
    }

    /// The priority assignment policy of MT-PRIORITY, `MIXER` if it names none (RFC 6710).
    pub fn mt_priority(&self) -> Option<&str> {
        self.keyword("MT-PRIORITY").and_then(mt_priority)
    }

    /// How long FUTURERELEASE holds a message (RFC 4865).
    pub fn future_release(&self) -> Option<FutureRelease<'_>> {
        self.keyword("FUTURERELEASE").and_then(future_release)
    }

    /// The limits that LIMITS names, none if it is not offered (RFC 9422).
    pub fn limits(&self) -> ServerLimits {
        self.limits
    }

    /// The schemes and features of BURL (RFC 4468).
    pub fn burl(&self) -> Option<impl Iterator<Item = &[u8]>> {
        self.keyword("BURL").map(parse::ehlo_params)
    }

    /// The attributes that XCLIENT takes, as Postfix defines it.
    pub fn xclient(&self) -> Option<impl Iterator<Item = &[u8]>> {
        self.keyword("XCLIENT").map(parse::ehlo_params)
    }

    /// The attributes that XFORWARD takes, as Postfix defines it.
    pub fn xforward(&self) -> Option<impl Iterator<Item = &[u8]>> {
        self.keyword("XFORWARD").map(parse::ehlo_params)
    }

    /// The classes of solicitation that NO-SOLICITING rejects (RFC 3865).
    pub fn no_soliciting(&self) -> Option<&[u8]> {
        self.keyword("NO-SOLICITING")
    }

    /// The parameters of `keyword` where it first stands, with one blank or more between them; case does not matter.
    pub fn keyword(&self, keyword: &str) -> Option<&[u8]> {
        self.iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(keyword))
            .map(|(_, params)| params)
    }

    /// The keywords as the server spelt them, in its order, with their parameters.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        entries(&self.raw).map(|entry| (entry.keyword(), entry.line.params))
    }

    /// The name by which the server greets; empty before EHLO. Nothing says that it is true.
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
    /// Reads the reply to EHLO. A reply other than 250 offers nothing.
    pub fn parse(ehlo: &Reply) -> Self {
        if ehlo.code() == 250 {
            Self::read(Arc::clone(ehlo.raw()))
        } else {
            Self::default()
        }
    }

    /// As [`parse`](Self::parse), of a reply in the input.
    pub(crate) fn from_ehlo(ehlo: ReplyRef<'_>) -> Self {
        if ehlo.code() == 250 {
            Self::read(Arc::from(ehlo.raw()))
        } else {
            Self::default()
        }
    }

    /// Switches an extension off, as if the server did not offer it; case does not matter.
    ///
    /// `AUTH` switches off all mechanisms. What cannot be used without the extension goes with it.
    #[must_use = "the extension is off in the returned value"]
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
        // Only what was kept before: a keyword beyond the 128th must not come up in another's place.
        for entry in entries(&self.raw) {
            if !entry.keyword().eq_ignore_ascii_case(keyword) {
                kept.extend_from_slice(entry.raw);
            }
        }
        self.raw = Arc::from(kept);
        self
    }

    fn read(raw: Arc<[u8]>) -> Self {
        let mut offered = KnownSet::default();
        let mut mechanisms = Mechanisms::default();
        let (mut size_limit, mut limited) = (None, ServerLimits::default());
        for Entry {
            known, line, size, ..
        } in entries(&raw)
        {
            let Some(known) = known else {
                continue;
            };
            let first = !offered.contains(known);
            offered.insert(known);
            match known {
                Known::Limits if first => limited = limits(line.params),
                Known::Size => size_limit = size_limit.or(size),
                Known::Auth => mechanisms.add(line.params),
                Known::SmtpUtf8 => offered.insert(Known::EightBitMime),
                _ => {}
            }
        }
        Self {
            raw,
            known: offered,
            size: size_limit,
            limits: limited,
            mechanisms,
        }
    }
}

impl Default for Capabilities {
    /// Nothing offered: what holds before EHLO and after HELO.
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

/// What SIZE says of the largest message that the server takes (RFC 1870, section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SizeLimit {
    /// There may be a limit; the server did not name one, or one too large to be true.
    Unknown,
    /// There is no fixed limit.
    Unlimited,
    /// The most bytes of a message, with its CRLFs but without dot-stuffing.
    Bytes(u64),
}

/// How long a server holds a message for future release (RFC 4865).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FutureRelease<'a> {
    max_interval: u64,
    max_date_time: &'a str,
}

impl<'a> FutureRelease<'a> {
    /// The longest HOLDFOR in seconds.
    pub fn max_interval(&self) -> u64 {
        self.max_interval
    }

    /// The latest HOLDUNTIL as the server wrote it: a date and time of RFC 3339.
    pub fn max_date_time(&self) -> &'a str {
        self.max_date_time
    }
}

/// What a server takes in one session or transaction (RFC 9422). `None`: it did not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerLimits {
    mail_max: Option<NonZeroU32>,
    rcpt_max: Option<NonZeroU32>,
    rcpt_domain_max: Option<NonZeroU32>,
}

impl ServerLimits {
    /// MAILMAX: transactions in a session.
    pub fn mail_max(&self) -> Option<NonZeroU32> {
        self.mail_max
    }

    /// RCPTMAX: recipients in a transaction.
    pub fn rcpt_max(&self) -> Option<NonZeroU32> {
        self.rcpt_max
    }

    /// RCPTDOMAINMAX: different recipient domains in a session.
    pub fn rcpt_domain_max(&self) -> Option<NonZeroU32> {
        self.rcpt_domain_max
    }
}

/// The union of all AUTH lines: ASCII in upper case, a space after each mechanism.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Mechanisms(Vec<u8>);

impl Mechanisms {
    fn iter(&self) -> impl Iterator<Item = &[u8]> + Clone {
        let mechanisms = self.0.split(|byte| *byte == b' ');
        mechanisms.filter(|mechanism| !mechanism.is_empty())
    }

    /// Adds those of a line that are not there yet.
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

/// One keyword of a reply to EHLO.
struct Entry<'a> {
    /// With its line end.
    raw: &'a [u8],
    line: EhloLine<'a>,
    known: Option<Known>,
    size: Option<SizeLimit>,
}

impl<'a> Entry<'a> {
    /// Takes the next keyword from the front of the lines in `rest`.
    ///
    /// Passes over lines outside the grammar, and over keywords whose parameters do not fit them.
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
                    size_limit = size(line.params);
                    size_limit.is_some()
                }
                Some(Known::DeliverBy) => deliver_by(line.params).is_some(),
                Some(Known::FutureRelease) => future_release(line.params).is_some(),
                Some(Known::MtPriority) => mt_priority(line.params).is_some(),
                _ => true,
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
        // The grammar lets only ASCII through.
        core::str::from_utf8(self.line.keyword).unwrap_or_default()
    }
}

fn entries(reply: &[u8]) -> impl Iterator<Item = Entry<'_>> {
    // The first line is the greeting.
    let mut rest = parse::line(reply).map(|(rest, _)| rest).unwrap_or_default();
    core::iter::from_fn(move || Entry::take(&mut rest)).take(KEYWORDS)
}

fn size(params: &[u8]) -> Option<SizeLimit> {
    let Some(param) = parse::ehlo_params(params).next() else {
        return Some(SizeLimit::Unknown);
    };
    match parse::size_param(param).ok()? {
        (_, None) => Some(SizeLimit::Unknown),
        (_, Some(0)) => Some(SizeLimit::Unlimited),
        (_, Some(bytes)) => Some(SizeLimit::Bytes(bytes)),
    }
}

fn deliver_by(params: &[u8]) -> Option<u64> {
    let Some(param) = parse::ehlo_params(params).next() else {
        return Some(0);
    };
    parse::size_param(param).ok()?.1
}

fn mt_priority(params: &[u8]) -> Option<&str> {
    let policy = parse::ehlo_params(params).next().unwrap_or(b"MIXER");
    core::str::from_utf8(policy).ok()
}

fn future_release(params: &[u8]) -> Option<FutureRelease<'_>> {
    let mut params = parse::ehlo_params(params);
    let (_, max_interval) = parse::size_param(params.next()?).ok()?;
    let max_date_time = core::str::from_utf8(params.next()?).ok()?;
    Some(FutureRelease {
        max_interval: max_interval?,
        max_date_time,
    })
}

fn limits(params: &[u8]) -> ServerLimits {
    let mut limits = ServerLimits::default();
    for (name, value) in
        parse::ehlo_params(params).filter_map(|param| Some(parse::limit_name_value(param).ok()?.1))
    {
        let known = [
            ("MAILMAX", &mut limits.mail_max),
            ("RCPTMAX", &mut limits.rcpt_max),
            ("RCPTDOMAINMAX", &mut limits.rcpt_domain_max),
        ];
        if let Some((_, limit)) = known
            .into_iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
        {
            *limit = limit.or_else(|| limit_value(value?));
        }
    }
    limits
}

/// RFC 9422, section 4: a number, not 0. It has six digits at most there; more do no harm.
fn limit_value(value: &[u8]) -> Option<NonZeroU32> {
    let (_, number) = parse::size_param(value).ok()?;
    NonZeroU32::new(u32::try_from(number?).ok()?)
}

/// Keywords kept; servers offer a dozen or two.
const KEYWORDS: usize = 128;

/// Bytes kept of the names of SASL mechanisms and of a space after each; servers fill a tenth of it.
const MECHANISMS: usize = 512;

#[cfg(test)]
mod tests;
