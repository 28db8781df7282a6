//! The grammar of what a server says: one function a production, over bytes alone.
//!
//! [`line`] is the streaming half: an unfinished line is [`nom::Err::Incomplete`], a value and no fault.
//! The other productions read lines that are all there, since the reply_reader counts and cuts lines before
//! it judges them; that keeps a verdict free of how the bytes arrived. Where every reply passes, a
//! slice pattern stands in the place of a combinator; it reads as well and costs less.
//!
//! Nothing here allocates, and no production looks at a byte more than a fixed number of times.

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
    /// As the server spelt it.
    pub(crate) keyword: &'a [u8],
    /// Without the blanks around it.
    pub(crate) params: &'a [u8],
}

/// One line with its line end, CRLF or a bare LF: `Incomplete` without one, an error at a NUL before it.
///
/// RFC 5321, section 2.3.8, knows only CRLF; a bare LF is what some servers send.
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

/// RFC 5321, section 4.2; one line of it.
///
/// ```abnf
/// Reply-line = *( Reply-code "-" [ textstring ] CRLF )
///              Reply-code [ SP textstring ] CRLF
/// ```
///
/// Only what comes before the text is read, so the text may be cut off; what it may hold is said at [`text`].
#[inline]
pub(crate) fn reply_line(line: &[u8]) -> IResult<&[u8], (u16, bool)> {
    let (rest, code) = reply_code(line)?;
    let (rest, last) = separator(rest)?;
    Ok((rest, (code, last)))
}

/// What stands after the code in a line that is all there, and whether it makes that the last; a line end it leaves.
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
/// Any three digits are taken: a second digit above 5 is met in the wild (571), and a first digit that
/// is no class can then be named in the error.
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

/// RFC 5321, section 4.2; of a line that [`reply_line`] has accepted, without looking at the rest again.
///
/// ```abnf
/// textstring = 1*(%d09 / %d32-126)
/// ```
///
/// Empty text is taken, and every byte but those of the line end, which goes with it: servers send
/// UTF-8 and worse.
#[inline]
pub(crate) fn text(line: &[u8]) -> &[u8] {
    match line {
        [_, _, _, _, text @ .., b'\r', b'\n'] | [_, _, _, _, text @ .., b'\n'] => text,
        _ => b"",
    }
}

/// RFC 2034, section 4, and RFC 3463, section 2; a blank or the end of the text follows.
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

/// RFC 5321, section 4.1.1.1.
///
/// ```abnf
/// ehlo-line = ehlo-keyword *( SP ehlo-param )
/// ```
///
/// With its line end. Blanks and tabs before, between and after are taken, a second CR, and `AUTH=`
/// before the first mechanism, which servers once printed for clients of a draft of RFC 2554.
///
/// What `known` finds to be a keyword is not looked at any closer, and nearly every one is.
#[inline]
pub(crate) fn ehlo_line<K>(
    input: &[u8],
    known: impl Fn(&[u8]) -> Option<K>,
) -> IResult<&[u8], (Option<K>, EhloLine<'_>)> {
    // No byte of a keyword is below a hyphen.
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

/// RFC 5321, section 4.1.1.1; the parameters after a keyword, one after the other.
///
/// ```abnf
/// ehlo-param = 1*(%d33-126)
/// ```
///
/// Everything but a blank is taken; what a parameter may hold depends on its keyword.
pub(crate) fn ehlo_params(params: &[u8]) -> impl Iterator<Item = &[u8]> {
    params.split(is_blank).filter(|param| !param.is_empty())
}

fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// RFC 4422, section 3.1, in any case.
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

/// RFC 1870, section 3, and other keywords that take a number; `None` when it is too large to hold.
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

/// The name in the first line of the reply to EHLO; RFC 5321, section 4.1.1.1.
///
/// ```abnf
/// ehlo-ok-rsp = ( "250" SP Domain [ SP ehlo-greet ] CRLF ) / …
/// ```
///
/// Any word is taken for a domain: nothing is decided by it.
pub(crate) fn ehlo_name(text: &[u8]) -> IResult<&[u8], &[u8]> {
    preceded(space0, take_while(|byte| !is_blank(&byte))).parse(text)
}

/// The value of at most three digits: it cannot overflow.
#[inline]
fn number(digits: &[u8]) -> u16 {
    digits.iter().fold(0, |value, digit| {
        value.wrapping_mul(10).wrapping_add(u16::from(digit & 0x0f))
    })
}

fn reject<T>(input: &[u8], kind: ErrorKind) -> IResult<&[u8], T> {
    Err(Err::Error(Error::from_error_kind(input, kind)))
}

/// Bytes that a production has just shown to be ASCII.
pub(crate) fn ascii(bytes: &[u8]) -> &str {
    core::str::from_utf8(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests;
