//! The grammar of server replies: one function for each production, over bytes.
//!
//! [`line`] is the streaming part: an incomplete line is [`nom::Err::Incomplete`], a value and not
//! an error. The other productions read complete lines, because the reply reader counts and cuts
//! lines before it checks them. Results therefore do not depend on how the bytes arrived. Where
//! every reply passes, a slice pattern replaces a combinator: it is as readable and cheaper.
//!
//! Nothing here allocates, and each production reads a byte at most a fixed number of times.

use nom::bytes::complete::{tag, take_while, take_while1};
use nom::character::complete::space0;
use nom::combinator::{all_consuming, map, opt};
use nom::error::{Error, ErrorKind, ParseError};
use nom::sequence::preceded;
use nom::{Err, IResult, Needed, Parser};

use crate::byte_search::find;

/// One line of the reply to EHLO, after the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EhloLine<'a> {
    /// As received.
    pub(crate) keyword: &'a [u8],
    /// Without the blanks around it.
    pub(crate) params: &'a [u8],
}

/// One line with its line end, CRLF or a bare LF. `Incomplete` without a line end; an error at a
/// NUL before it.
///
/// RFC 5321, section 2.3.8, allows only CRLF; some servers send a bare LF.
#[inline]
pub(crate) fn line(input: &[u8]) -> IResult<&[u8], &[u8]> {
    let mut rest = input;
    while let Some(at) = find::<14, true>(rest) {
        let here = rest.get(at..).unwrap_or_default();
        rest = match here {
            [b'\n', rest @ ..] | [b'\r', b'\n', rest @ ..] => {
                let len = input.len().saturating_sub(rest.len());
                return Ok((rest, input.get(..len).unwrap_or_default()));
            }
            [b'\0', ..] => return reject(here, ErrorKind::Char),
            [_, rest @ ..] => rest,
            [] => break,
        };
    }
    Err(Err::Incomplete(Needed::Unknown))
}

/// One line of a reply (RFC 5321, section 4.2).
///
/// ```abnf
/// Reply-line = *( Reply-code "-" [ textstring ] CRLF )
///              Reply-code [ SP textstring ] CRLF
/// ```
///
/// Only the part before the text is read, so the text may be cut off. [`text`] has its rules.
#[inline]
pub(crate) fn reply_line(line: &[u8]) -> IResult<&[u8], (u16, bool)> {
    let (rest, code) = reply_code(line)?;
    let (rest, last) = separator(rest)?;
    Ok((rest, (code, last)))
}

/// The separator after the code in a complete line, and whether it makes the line the last one. A
/// line end is left in the rest.
#[inline]
pub(crate) fn separator(rest: &[u8]) -> IResult<&[u8], bool> {
    match rest {
        [b'-', rest @ ..] => Ok((rest, false)),
        [b' ', rest @ ..] => Ok((rest, true)),
        [b'\n'] | [b'\r', b'\n'] => Ok((rest, true)),
        _ => reject(rest, ErrorKind::Space),
    }
}

/// RFC 5321, section 4.2.
///
/// ```abnf
/// Reply-code = %x32-35 %x30-35 %x30-39
/// ```
///
/// Any three digits are accepted. Servers send second digits above 5 (571), and an error can name
/// an invalid first digit.
fn reply_code(input: &[u8]) -> IResult<&[u8], u16> {
    match input.split_first_chunk() {
        Some((digits @ [b'0'..=b'9', b'0'..=b'9', b'0'..=b'9'], rest)) => {
            Ok((rest, number(digits)))
        }
        _ => reject(input, ErrorKind::Digit),
    }
}

/// The lines of a reply that [`reply_line`] has accepted, each with its line end.
pub(crate) fn lines(reply: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    let mut rest = reply;
    core::iter::from_fn(move || {
        let (after, line) = line(rest).ok()?;
        rest = after;
        Some(line)
    })
}

/// The text of a line that [`reply_line`] accepted (RFC 5321, section 4.2). The rest of the line is
/// not read again.
///
/// ```abnf
/// textstring = 1*(%d09 / %d32-126)
/// ```
///
/// Empty text and all bytes except the line end are accepted: servers send UTF-8 and other bytes.
#[inline]
pub(crate) fn text(line: &[u8]) -> &[u8] {
    match line {
        [_, _, _, _, text @ .., b'\r', b'\n'] | [_, _, _, _, text @ .., b'\n'] => text,
        _ => b"",
    }
}

/// RFC 2034, section 4, and RFC 3463, section 2; a blank or the end of the text must follow.
///
/// ```abnf
/// status-code = class "." subject "." detail
/// class       = "2" / "4" / "5"
/// ```
pub(crate) fn status_code(text: &[u8]) -> IResult<&[u8], (u8, u16, u16)> {
    let [class @ (b'2' | b'4' | b'5'), b'.', rest @ ..] = text else {
        return reject(text, ErrorKind::OneOf);
    };
    let (rest, subject) = sub_code(rest)?;
    let (rest, _) = tag(".")(rest)?;
    let (rest, detail) = sub_code(rest)?;
    match rest {
        [] | [b' ' | b'\t', ..] => Ok((rest, (class & 0x0f, subject, detail))),
        _ => reject(rest, ErrorKind::Space),
    }
}

/// RFC 3463, section 2: without leading zeros.
///
/// ```abnf
/// subject = 1*3digit
/// detail  = 1*3digit
/// ```
fn sub_code(input: &[u8]) -> IResult<&[u8], u16> {
    let length = input
        .iter()
        .take(3)
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    match input.split_at_checked(length) {
        Some(([b'0', _, ..] | [], _)) | None => reject(input, ErrorKind::Digit),
        Some((digits, rest)) => Ok((rest, number(digits))),
    }
}

/// RFC 5321, section 4.1.1.1, including the line end.
///
/// ```abnf
/// ehlo-line = ehlo-keyword *( SP ehlo-param )
/// ```
///
/// Also accepted: blanks and tabs before, between and after; a second CR; and `AUTH=` before the
/// first mechanism, which servers once sent for clients of a draft of RFC 2554.
///
/// A word that `known` recognizes is not checked further; nearly all words are.
#[inline]
pub(crate) fn ehlo_line<K>(
    input: &[u8],
    known: impl Fn(&[u8]) -> Option<K>,
) -> IResult<&[u8], (Option<K>, EhloLine<'_>)> {
    // A hyphen is the lowest byte of a keyword.
    let len = find::<b'-', true>(input).unwrap_or(input.len());
    let (word, behind) = input.split_at_checked(len).unwrap_or_default();
    let (known, keyword, rest) = match known(word) {
        Some(found) => (Some(found), word, behind),
        None => {
            let (rest, keyword) = preceded(space0, ehlo_keyword).parse(input)?;
            (known(keyword), keyword, rest)
        }
    };
    let (rest, params) = match rest {
        [b'\n', rest @ ..] | [b'\r', b'\n', rest @ ..] | [b'\r', b'\r', b'\n', rest @ ..] => {
            (rest, &b""[..])
        }
        [b' ' | b'\t', params @ ..] => line(params)?,
        [b'=', params @ ..] if keyword.eq_ignore_ascii_case(b"AUTH") => line(params)?,
        _ => return reject(rest, ErrorKind::Space),
    };
    let params = params.trim_ascii();
    Ok((rest, (known, EhloLine { keyword, params })))
}

/// RFC 5321, section 4.1.1.1.
///
/// ```abnf
/// ehlo-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-")
/// ```
fn ehlo_keyword(input: &[u8]) -> IResult<&[u8], &[u8]> {
    let is_keyword_byte = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    match input {
        [b'-', ..] => reject(input, ErrorKind::AlphaNumeric),
        _ => take_while1(is_keyword_byte)(input),
    }
}

/// The parameters after a keyword, in order (RFC 5321, section 4.1.1.1).
///
/// ```abnf
/// ehlo-param = 1*(%d33-126)
/// ```
///
/// Everything except a blank is accepted; the keyword decides what a parameter may contain.
pub(crate) fn ehlo_params(params: &[u8]) -> impl Iterator<Item = &[u8]> {
    params.split(is_blank).filter(|param| !param.is_empty())
}

fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// RFC 4422, section 3.1, case-insensitive.
///
/// ```abnf
/// sasl-mech = 1*20mech-char
/// mech-char = UPPER-ALPHA / DIGIT / HYPHEN / UNDERSCORE
/// ```
pub(crate) fn sasl_mech(param: &[u8]) -> IResult<&[u8], &[u8]> {
    let is_mech_char =
        |byte: &u8| byte.is_ascii_alphabetic() || matches!(byte, b'0'..=b'9' | b'-' | b'_');
    match param.len() {
        1..=20 if param.iter().all(is_mech_char) => Ok((&[], param)),
        _ => reject(param, ErrorKind::Verify),
    }
}

/// RFC 1870, section 3, and other keywords that take a number. `None` if the number is too large.
///
/// ```abnf
/// size-param = 1*DIGIT
/// ```
pub(crate) fn size_param(param: &[u8]) -> IResult<&[u8], Option<u64>> {
    if param.is_empty() || !param.iter().all(u8::is_ascii_digit) {
        return reject(param, ErrorKind::Digit);
    }
    let value = param.iter().try_fold(0, |value: u64, digit| {
        value.checked_mul(10)?.checked_add(u64::from(digit & 0x0f))
    });
    Ok((&[], value))
}

/// RFC 9422, section 3.
///
/// ```abnf
/// limit-name-value = limit-name ["=" limit-value]
/// limit-name       = 1*(ALPHA / DIGIT / "-" / "_")
/// limit-value      = 1*(%x21-3A / %x3C-7E)
/// ```
pub(crate) fn limit_name_value(param: &[u8]) -> IResult<&[u8], (&str, Option<&[u8]>)> {
    let name = take_while1(|byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    let limit_value = take_while1(|byte: u8| byte.is_ascii_graphic() && byte != b';');
    all_consuming((map(name, ascii), opt(preceded(tag("="), limit_value)))).parse(param)
}

/// The name in the first line of the reply to EHLO (RFC 5321, section 4.1.1.1).
///
/// ```abnf
/// ehlo-ok-rsp = ( "250" SP Domain [ SP ehlo-greet ] CRLF ) / …
/// ```
///
/// Any word is accepted as a domain: nothing depends on it.
pub(crate) fn ehlo_name(text: &[u8]) -> IResult<&[u8], &[u8]> {
    preceded(space0, take_while(|byte| !is_blank(&byte))).parse(text)
}

/// The value of at most three digits, which cannot overflow.
#[inline]
fn number(digits: &[u8]) -> u16 {
    digits.iter().fold(0, |value, digit| {
        value.wrapping_mul(10).wrapping_add(u16::from(digit & 0x0f))
    })
}

fn reject<T>(input: &[u8], kind: ErrorKind) -> IResult<&[u8], T> {
    Err(Err::Error(Error::from_error_kind(input, kind)))
}

/// Converts bytes that a production has found to be ASCII.
pub(crate) fn ascii(bytes: &[u8]) -> &str {
    core::str::from_utf8(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests;
