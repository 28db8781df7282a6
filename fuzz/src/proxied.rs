//! A destination and a login for a proxy, from the front of an input.

use core::str;

use crate::choice;

/// What is asked of a proxy, and how its bytes are cut.
pub(crate) struct Proxied<'a> {
    pub(crate) pieces: [usize; 3],
    pub(crate) host: &'a str,
    pub(crate) login: Option<(&'a str, &'a str)>,
    pub(crate) rest: &'a [u8],
}

impl<'a> Proxied<'a> {
    /// Bytes: the length of pieces, a line with the host, a line with the login as `user:password`
    /// or nothing. `None` if there are no such lines in UTF-8.
    pub(crate) fn read(mut input: &'a [u8]) -> Option<Self> {
        let piece = choice(&mut input, 40) + 1;
        let host = line(&mut input)?;
        let login = line(&mut input)?;
        Some(Self {
            pieces: [usize::MAX, 1, piece],
            host,
            login: login.split_once(':'),
            rest: input,
        })
    }
}

fn line<'a>(input: &mut &'a [u8]) -> Option<&'a str> {
    let end = input.iter().position(|byte| *byte == b'\n')?;
    let (line, rest) = input.split_at(end);
    *input = &rest[1..];
    str::from_utf8(line).ok()
}
