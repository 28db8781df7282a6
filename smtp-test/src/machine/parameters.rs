//! The parameters of MAIL and RCPT: where each may stand, what it may say, and how much longer it
//! makes the line.

use super::{Machine, capabilities::Capabilities, syntax::Path};
use crate::{Parameter, Rule, xtext};

impl Machine {
    /// Checks that each parameter is advertised, allowed here and well formed; returns the
    /// rejection otherwise.
    pub(super) fn check_parameters(&self, path: &Path<'_>, forward: bool) -> Option<&'static str> {
        let mut rejection = None;
        for parameter in &path.parameters {
            rejection = self.check_parameter(parameter, forward).or(rejection);
        }
        let wide = (path.parameters.iter()).find(|parameter| !parameter.to_string().is_ascii());
        if let Some(parameter) = wide
            && !(path.has("SMTPUTF8") || self.mail_has("SMTPUTF8"))
        {
            self.violation(Rule::EightBit, parameter.to_string());
            rejection = Some("501 5.6.7 non-ASCII parameter without SMTPUTF8");
        }
        if path.has("HOLDFOR") && path.has("HOLDUNTIL") {
            self.violation(Rule::Syntax, "HOLDFOR together with HOLDUNTIL");
            rejection = Some("501 5.5.4 only one of HOLDFOR and HOLDUNTIL");
        }
        rejection
    }

    fn check_parameter(&self, parameter: &Parameter, forward: bool) -> Option<&'static str> {
        let keyword = parameter.keyword();
        let known = KNOWN
            .iter()
            .find(|known| known.keyword.eq_ignore_ascii_case(keyword));
        let value = parameter.value();
        let advertised = match known {
            // RFC 6531, section 3.1: SMTPUTF8 implies 8BITMIME.
            Some(known) if known.keyword == "BODY" => match value {
                Some(value) if value.eq_ignore_ascii_case("BINARYMIME") => {
                    // RFC 3030, section 3: only together with CHUNKING.
                    self.client.capabilities.has("BINARYMIME")
                        && self.client.capabilities.has("CHUNKING")
                }
                _ => {
                    self.client.capabilities.has("8BITMIME")
                        || self.client.capabilities.has("SMTPUTF8")
                }
            },
            Some(known) => self.client.capabilities.has(known.extension),
            None => self.client.capabilities.has(&keyword.to_ascii_uppercase()),
        };
        if !advertised {
            self.violation(Rule::NotAdvertised, parameter.to_string());
            return Some("555 5.5.4 parameter not advertised");
        }
        let known = known?;
        if known.forward != forward {
            self.violation(Rule::Syntax, format!("in the wrong command: {parameter}"));
            return Some("555 5.5.4 parameter in the wrong command");
        }
        if !(known.fits)(value) {
            self.violation(Rule::Syntax, format!("wrong value: {parameter}"));
            return Some("501 5.5.4 wrong value of a parameter");
        }
        match known.keyword {
            // RFC 8689, section 4.
            "REQUIRETLS" if !self.client.is_in_tls() => {
                self.violation(Rule::OutOfSequence, "REQUIRETLS outside TLS");
                Some("530 5.7.0 REQUIRETLS needs TLS")
            }
            // RFC 2852, section 4.
            "BY" if self.is_too_soon(value) => Some("555 5.5.4 sooner than advertised"),
            // RFC 4865, section 4.
            "HOLDFOR" | "HOLDUNTIL" if self.is_too_late(known.keyword, value) => {
                Some("501 5.7.0 later than advertised")
            }
            _ => None,
        }
    }

    /// Whether the requested time is below the minimum of DELIVERBY.
    fn is_too_soon(&self, value: Option<&str>) -> bool {
        let by: Option<u64> = value
            .and_then(|value| value.split_once(';'))
            .filter(|(_, mode)| mode.starts_with(['R', 'r']))
            .and_then(|(seconds, _)| seconds.parse().ok());
        let least: Option<u64> = self
            .client
            .capabilities
            .arguments("DELIVERBY")
            .and_then(|mut words| words.next()?.parse().ok());
        by.zip(least).is_some_and(|(by, least)| by < least)
    }

    /// Whether a message shall be held for longer than FUTURERELEASE offers.
    fn is_too_late(&self, keyword: &str, value: Option<&str>) -> bool {
        let mut advertised = self
            .client
            .capabilities
            .arguments("FUTURERELEASE")
            .into_iter()
            .flatten();
        let (most, latest) = (advertised.next(), advertised.next());
        if keyword == "HOLDUNTIL" {
            return (value.and_then(seconds).zip(latest.and_then(seconds)))
                .is_some_and(|(wanted, latest)| wanted > latest);
        }
        let number = |text: Option<&str>| text.and_then(|text| text.parse::<u64>().ok());
        number(value)
            .zip(number(most))
            .is_some_and(|(wanted, most)| wanted > most)
    }
}

/// The longest that a line may be, in bytes with its CRLF: RFC 5321 section 4.5.3.1.4, and what the
/// extensions in force add to it.
pub(super) fn line_limit(line: &str, capabilities: &Capabilities) -> usize {
    let verb = line.split(' ').next().unwrap_or_default();
    let allowances = if verb.eq_ignore_ascii_case("MAIL") {
        MAIL_ALLOWANCES
    } else if verb.eq_ignore_ascii_case("RCPT") {
        RCPT_ALLOWANCES
    } else {
        &[]
    };
    let advertised = allowances
        .iter()
        .filter(|(keyword, _)| capabilities.has(keyword));
    SHORTEST_LIMIT + advertised.map(|(_, bytes)| bytes).sum::<usize>()
}

/// A parameter that a standard defines.
struct Known {
    keyword: &'static str,
    extension: &'static str,
    /// Whether it belongs to RCPT.
    forward: bool,
    fits: fn(Option<&str>) -> bool,
}

const fn of_mail(
    keyword: &'static str,
    extension: &'static str,
    fits: fn(Option<&str>) -> bool,
) -> Known {
    Known {
        keyword,
        extension,
        forward: false,
        fits,
    }
}

const fn of_rcpt(
    keyword: &'static str,
    extension: &'static str,
    fits: fn(Option<&str>) -> bool,
) -> Known {
    Known {
        forward: true,
        ..of_mail(keyword, extension, fits)
    }
}

const KNOWN: &[Known] = &[
    of_mail("SIZE", "SIZE", |value| {
        value.is_some_and(|value| digits(value, 20))
    }),
    of_mail("BODY", "8BITMIME", |value| {
        one_of(value, &["7BIT", "8BITMIME", "BINARYMIME"])
    }),
    of_mail("SMTPUTF8", "SMTPUTF8", |value| value.is_none()),
    of_mail("RET", "DSN", |value| one_of(value, &["FULL", "HDRS"])),
    of_mail("ENVID", "DSN", |value| value.is_some_and(envelope_id)),
    of_mail("AUTH", "AUTH", |value| value.is_some_and(submitter)),
    of_mail("REQUIRETLS", "REQUIRETLS", |value| value.is_none()),
    of_mail("BY", "DELIVERBY", |value| value.is_some_and(by)),
    of_mail("MT-PRIORITY", "MT-PRIORITY", |value| {
        value.is_some_and(priority)
    }),
    of_mail("HOLDFOR", "FUTURERELEASE", |value| {
        // RFC 4865, section 3: no 0 in front.
        value.is_some_and(|value| digits(value, 9) && !value.starts_with('0'))
    }),
    of_mail("HOLDUNTIL", "FUTURERELEASE", |value| {
        value.is_some_and(date_time)
    }),
    of_rcpt("NOTIFY", "DSN", |value| value.is_some_and(notify)),
    of_rcpt("ORCPT", "DSN", |value| {
        value.is_some_and(original_recipient)
    }),
    of_rcpt("RRVS", "RRVS", |value| value.is_some_and(valid_since)),
];

fn one_of(value: Option<&str>, words: &[&str]) -> bool {
    value.is_some_and(|value| words.iter().any(|word| word.eq_ignore_ascii_case(value)))
}

fn digits(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// RFC 3461, sections 4.4 and 5.4: xtext, which stands for printable US-ASCII; the parameter has at
/// most 100 bytes.
fn envelope_id(value: &str) -> bool {
    "ENVID=".len() + value.len() <= 100
        && !value.is_empty()
        && xtext::decode(value).is_some_and(|id| id.iter().all(|byte| matches!(byte, b' '..=b'~')))
}

/// RFC 4954, section 5: xtext of a mailbox, or `<>`.
fn submitter(value: &str) -> bool {
    value == "<>"
        || xtext::decode(value)
            .and_then(|mailbox| String::from_utf8(mailbox).ok())
            .is_some_and(|mailbox| super::syntax::mailbox(&mailbox, false))
}

/// RFC 2852, section 4: `by-time ";" by-mode [by-trace]`; to return a message that is late already
/// makes no sense.
fn by(value: &str) -> bool {
    let Some((time, mode)) = value.split_once(';') else {
        return false;
    };
    let (past, seconds) = match time.strip_prefix('-') {
        Some(seconds) => (true, seconds),
        None => (false, time.strip_prefix('+').unwrap_or(time)),
    };
    let none = past || seconds.bytes().all(|byte| byte == b'0');
    let mode = mode.to_ascii_uppercase();
    digits(seconds, 9)
        && matches!(mode.as_str(), "N" | "NT" | "R" | "RT")
        && !(none && mode.starts_with('R'))
}

/// RFC 6710, section 6: from -9 to 9.
fn priority(value: &str) -> bool {
    let digit = value.strip_prefix('-').unwrap_or(value);
    digits(digit, 1) && value != "-0"
}

/// RFC 3461, section 4.1: `NEVER`, or a list of the others.
fn notify(value: &str) -> bool {
    let words: Vec<String> = value.split(',').map(str::to_ascii_uppercase).collect();
    words == ["NEVER"]
        || words.iter().enumerate().all(|(at, word)| {
            matches!(word.as_str(), "SUCCESS" | "FAILURE" | "DELAY") && !words[..at].contains(word)
        })
}

/// RFC 3461, sections 4.2 and 5.4, and RFC 6533, section 3, for the type `utf-8`: `addr-type ";"
/// xtext`; the parameter has at most 500 bytes.
fn original_recipient(value: &str) -> bool {
    let Some((kind, address)) = value.split_once(';') else {
        return false;
    };
    let atom = !kind.is_empty()
        && kind
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*-/?^_`{|}~.".contains(&byte));
    let printable = |byte: &u8| matches!(byte, b' '..=b'~');
    let fits = if kind.eq_ignore_ascii_case("utf-8") {
        xtext::decode_address(address).is_some()
    } else {
        xtext::decode(address)
            .is_some_and(|address| !address.is_empty() && address.iter().all(printable))
    };
    atom && fits && "ORCPT=".len() + value.len() <= 500
}

/// RFC 7293, section 3: a time, and perhaps what to do where it cannot be told.
fn valid_since(value: &str) -> bool {
    let (time, action) = value
        .split_once(';')
        .map_or((value, None), |(time, action)| (time, Some(action)));
    date_time(time) && action.is_none_or(|action| one_of(Some(action), &["C", "R"]))
}

/// RFC 3339: `1996-12-19T16:39:57Z`, perhaps with a fraction and a numeric offset.
fn date_time(text: &str) -> bool {
    seconds(text).is_some()
}

/// The same as seconds since the year 0, without leap seconds.
fn seconds(text: &str) -> Option<i64> {
    let (date, time) = text.split_once(['T', 't'])?;
    let numbers = |text: &str, between: char, parts: &[(usize, i64, i64)]| {
        let found: Vec<&str> = text.split(between).collect();
        if found.len() != parts.len() {
            return None;
        }
        let mut numbers = [0; 3];
        for ((number, found), &(len, least, most)) in numbers.iter_mut().zip(found).zip(parts) {
            *number = Some(found)
                .filter(|found| found.len() == len && digits(found, len))?
                .parse()
                .ok()
                .filter(|number| (least..=most).contains(number))?;
        }
        Some(numbers)
    };
    let zone_at = time.find(['Z', 'z', '+', '-']).unwrap_or(time.len());
    let (clock, zone) = time.split_at(zone_at);
    let (clock, fraction) = clock
        .split_once('.')
        .map_or((clock, "0"), |(clock, fraction)| (clock, fraction));
    let east = match zone.split_at_checked(1)? {
        ("Z" | "z", "") => 0,
        (sign @ ("+" | "-"), offset) => {
            let [hours, minutes, _] = numbers(offset, ':', &[(2, 0, 23), (2, 0, 59)])?;
            (hours * 60 + minutes) * if sign == "+" { 60 } else { -60 }
        }
        _ => return None,
    };
    let [year, month, day] = numbers(date, '-', &[(4, 0, 9999), (2, 1, 12), (2, 1, 31)])?;
    let [hour, minute, second] = numbers(clock, ':', &[(2, 0, 23), (2, 0, 59), (2, 0, 60)])?;
    let is_leap = |year: i64| (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let of_month = |month: i64| match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 31,
    };
    if day > of_month(month) || !digits(fraction, 20) {
        return None;
    }
    let of_years: i64 = (0..year)
        .map(|year| if is_leap(year) { 366 } else { 365 })
        .sum();
    let days = of_years + (1..month).map(of_month).sum::<i64>() + day - 1;
    let utc = days * 86_400 + (hour * 60 + minute) * 60 + second - east;
    // In UTC, too, it is of a year that can be written.
    (0..10_000 * 365 * 86_400 + 2425 * 86_400)
        .contains(&utc)
        .then_some(utc)
}

/// What any line may have.
pub(super) const SHORTEST_LIMIT: usize = 512;

/// How much longer MAIL may be: RFC 1870, 6531, 4954, 8689, 3030, 6152, 3461 section 5.4 (ENVID and
/// RET), 6710.
const MAIL_ALLOWANCES: &[(&str, usize)] = &[
    ("SIZE", 26),
    ("SMTPUTF8", 10),
    ("AUTH", 500),
    ("REQUIRETLS", 11),
    ("BINARYMIME", 16),
    ("8BITMIME", 17),
    ("DSN", 110),
    ("MT-PRIORITY", 15),
    ("DELIVERBY", 17),
    ("FUTURERELEASE", 34),
];

/// How much longer RCPT may be: RFC 3461 section 5.4, RFC 7293.
const RCPT_ALLOWANCES: &[(&str, usize)] = &[("DSN", 530), ("RRVS", 500)];

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(parameter: &str) -> bool {
        let (keyword, value) = parameter
            .split_once('=')
            .map_or((parameter, None), |(keyword, value)| (keyword, Some(value)));
        let known = KNOWN.iter().find(|known| known.keyword == keyword);
        (known.unwrap().fits)(value)
    }

    #[test]
    fn values_that_follow_the_grammar_fit() {
        for parameter in [
            "SIZE=0",
            "SIZE=12345678901234567890",
            "BODY=8bitmime",
            "SMTPUTF8",
            "RET=full",
            "ENVID=QQ314159",
            "ENVID=a+2Bb+3D",
            "AUTH=<>",
            "AUTH=e+3Dmc2@example.com",
            "REQUIRETLS",
            "BY=120;R",
            "BY=-10;N",
            "BY=+5;nt",
            "MT-PRIORITY=-9",
            "MT-PRIORITY=0",
            "HOLDFOR=86400",
            "HOLDUNTIL=2024-02-29T23:59:60-23:59",
            "HOLDUNTIL=2026-12-19T16:39:57Z",
            "NOTIFY=NEVER",
            "NOTIFY=SUCCESS,DELAY",
            "ORCPT=rfc822;Dana@Ivory.example",
            "ORCPT=rfc822;a+2Bb@c.example",
            "ORCPT=utf-8;\u{e4}@c.example",
            "ORCPT=utf-8;\\x{E4}\\x{2B}@c.example",
            "RRVS=2014-04-03T23:01:00Z",
            "RRVS=1996-12-19T16:39:57.25-08:00;C",
        ] {
            assert!(fits(parameter), "{parameter}");
        }
    }

    #[test]
    fn values_that_break_the_grammar_do_not_fit() {
        for parameter in [
            "SIZE",
            "SIZE=-1",
            "SIZE=123456789012345678901",
            "BODY=9BIT",
            "SMTPUTF8=1",
            "RET=BOTH",
            "ENVID=a+2bb",
            "ENVID=a+2",
            "ENVID=a+0Ab",
            "AUTH=a+20b@c",
            "AUTH=a",
            "AUTH=",
            "REQUIRETLS=1",
            "BY=120",
            "BY=0;R",
            "BY=-1;R",
            "BY=1;X",
            "BY=1234567890;N",
            "MT-PRIORITY=10",
            "MT-PRIORITY=-0",
            "MT-PRIORITY=+1",
            "HOLDFOR=1234567890",
            "HOLDFOR=0",
            "HOLDFOR=01",
            "HOLDUNTIL=2026-02-29T16:39:57Z",
            "HOLDUNTIL=9999-12-31T23:59:59-00:01",
            "HOLDUNTIL=0000-01-01T00:00:00+00:01",
            "HOLDUNTIL=2026-12-19",
            "HOLDUNTIL=2026-13-19T16:39:57Z",
            "NOTIFY=NEVER,DELAY",
            "NOTIFY=DELAY,DELAY",
            "NOTIFY=",
            "ORCPT=a@c",
            "ORCPT=rfc822;",
            "ORCPT=rfc822;a+b@c",
            "ORCPT=utf-8;",
            "ORCPT=utf-8;a+2Bb@c",
            "ORCPT=utf-8;\\x{e4}@c",
            "RRVS=1",
            "RRVS=2014-04-03T23:01:00Z;X",
            "RRVS=2014-04-03T23:01:00",
        ] {
            assert!(!fits(parameter), "{parameter}");
        }
    }
}
