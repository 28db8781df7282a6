//! The rules for content once more, one byte at a time, and a server's side of DATA.

use smtp_proto::content::internals::LineRules;
use smtp_proto::content::{BareLineEnds, ContentErrorKind};

/// The rules under test, with fields that the reference can read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    pub(crate) convert: bool,
    pub(crate) eight_bit: bool,
    pub(crate) max_line: Option<usize>,
}

impl Policy {
    pub(crate) const REJECT: Self = Self {
        convert: false,
        eight_bit: false,
        max_line: Some(998),
    };
    pub(crate) const CONVERT: Self = Self {
        convert: true,
        ..Self::REJECT
    };

    pub(crate) fn rules(self) -> LineRules {
        let line_ends = if self.convert {
            BareLineEnds::Convert
        } else {
            BareLineEnds::Reject
        };
        LineRules::new()
            .line_ends(line_ends)
            .eight_bit(self.eight_bit)
            .max_line_len(self.max_line)
    }
}

/// The message that a server should receive for `body`, or the error.
pub(crate) fn canonical(body: &[u8], policy: Policy) -> Result<Vec<u8>, (u64, ContentErrorKind)> {
    let mut text = Vec::with_capacity(body.len() + 2);
    let mut line = 0;
    for (at, &byte) in body.iter().enumerate() {
        let fault = |reason| Err((at as u64, reason));
        let after_cr = at > 0 && body[at - 1] == b'\r';
        let before_lf = body.get(at + 1) == Some(&b'\n');
        match byte {
            0 => return fault(ContentErrorKind::Nul),
            b'\r' if before_lf => {}
            b'\r' if !policy.convert => return fault(ContentErrorKind::BareCr),
            b'\n' if !after_cr && !policy.convert => return fault(ContentErrorKind::BareLf),
            b'\r' | b'\n' => {
                text.extend(b"\r\n");
                line = 0;
            }
            128.. if !policy.eight_bit => return fault(ContentErrorKind::EightBit),
            _ if policy.max_line.is_some_and(|max| line == max) => {
                return fault(ContentErrorKind::LineTooLong);
            }
            _ => {
                text.push(byte);
                line += 1;
            }
        }
    }
    if !text.is_empty() && !text.ends_with(b"\r\n") {
        text.extend(b"\r\n");
    }
    Ok(text)
}

/// The message in `wire` as a strict server reads it (RFC 5321, section 4.5.2).
///
/// `None` if it ends before the end of `wire`, or if it has a bare CR or LF, which another server
/// might take for an end.
pub(crate) fn receive(wire: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::with_capacity(wire.len());
    let mut rest = wire;
    loop {
        let end = rest
            .iter()
            .position(|byte| matches!(byte, b'\r' | b'\n' | 0))?;
        let (line, after) = (&rest[..end], rest[end..].strip_prefix(b"\r\n")?);
        rest = after;
        match line {
            b"." => return rest.is_empty().then_some(text),
            [b'.', line @ ..] => text.extend(line),
            line => text.extend(line),
        }
        text.extend(b"\r\n");
    }
}
