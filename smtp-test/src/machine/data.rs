//! The server's own reader of DATA (RFC 5321 section 4.5.2): finds the end and undoes the dot
//! stuffing.

use super::header::Header;
use crate::Rule;

/// A message that is being received.
#[derive(Debug)]
pub(crate) struct Data {
    expect: Expect,
    body: Option<Vec<u8>>,
    len: u64,
    raw: u64,
    line: usize,
    eight_bit: bool,
    header: Header,
    faults: Vec<(Rule, u64)>,
}

/// What can come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expect {
    LineStart,
    /// After a dot at the start of a line.
    AfterDot,
    /// After such a dot and a CR.
    AfterDotCr,
    Text,
    /// After a CR in the text.
    LineFeed,
}

impl Data {
    /// A reader; it keeps the message if `store`.
    pub(crate) fn new(store: bool) -> Self {
        Self {
            expect: Expect::LineStart,
            body: store.then(Vec::new),
            len: 0,
            raw: 0,
            line: 0,
            eight_bit: false,
            header: Header::new(),
            faults: Vec::new(),
        }
    }

    /// Reads from the front of `input` to the end of the message or of the input. Gives how much it
    /// took, and whether that was the end.
    pub(crate) fn read(&mut self, input: &[u8]) -> (usize, bool) {
        let mut at = 0;
        while let Some(&byte) = input.get(at) {
            self.raw += 1;
            match (self.expect, byte) {
                (Expect::LineStart, b'.') => {
                    self.expect = Expect::AfterDot;
                    at += 1;
                    continue;
                }
                (Expect::AfterDot, b'\r') => {
                    self.expect = Expect::AfterDotCr;
                    at += 1;
                    continue;
                }
                (Expect::AfterDotCr, b'\n') => return (at + 1, true),
                (Expect::AfterDot, b'.') => self.expect = Expect::Text,
                (Expect::AfterDot, _) => self.fault(Rule::SingleDot),
                (Expect::AfterDotCr, _) => {
                    self.fault(Rule::SingleDot);
                    self.fault(Rule::BareCr);
                    self.keep(b"\r");
                }
                (Expect::LineFeed, b'\n') => {
                    self.end_line();
                    at += 1;
                    continue;
                }
                (Expect::LineFeed, _) => {
                    self.fault(Rule::BareCr);
                    self.keep(b"\r");
                }
                (Expect::LineStart | Expect::Text, _) => {}
            }
            at += 1;
            self.expect = Expect::Text;
            match byte {
                b'\r' => self.expect = Expect::LineFeed,
                b'\n' => {
                    self.fault(Rule::BareLf);
                    self.keep(b"\n");
                }
                0 => {
                    self.fault(Rule::Nul);
                    self.keep(b"\0");
                }
                _ => {
                    let rest = &input[at..];
                    let run = memchr::memchr3(b'\r', b'\n', 0, rest).unwrap_or(rest.len());
                    self.keep(&input[at - 1..at + run]);
                    self.raw += run as u64;
                    at += run;
                }
            }
        }
        (at, false)
    }

    fn end_line(&mut self) {
        self.keep(b"\r\n");
        if self.line > 1000 {
            self.fault(Rule::BodyLineTooLong);
        }
        self.line = 0;
        self.expect = Expect::LineStart;
    }

    /// The bytes read so far, as they were on the wire.
    pub(crate) fn raw_len(&self) -> u64 {
        self.raw
    }

    /// The bytes of the message so far.
    pub(crate) fn body_len(&self) -> u64 {
        self.len
    }

    /// Whether an 8-bit byte occurred.
    pub(crate) fn eight_bit(&self) -> bool {
        self.eight_bit
    }

    /// Whether one of them was in the header.
    pub(crate) fn header_eight_bit(&self) -> bool {
        self.header.eight_bit()
    }

    /// Whether the header is UTF-8.
    pub(crate) fn header_is_utf8(&self) -> bool {
        self.header.is_utf8()
    }

    /// The rules that the message broke, each once, with the first place on the wire.
    pub(crate) fn faults(&self) -> &[(Rule, u64)] {
        &self.faults
    }

    /// The message.
    pub(crate) fn into_body(self) -> Vec<u8> {
        self.body.unwrap_or_default()
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.len += bytes.len() as u64;
        self.line += bytes.len();
        self.eight_bit |= !bytes.is_ascii();
        self.header.read(bytes);
        if let Some(body) = &mut self.body {
            body.extend_from_slice(bytes);
        }
    }

    fn fault(&mut self, rule: Rule) {
        if self.faults.iter().all(|&(other, _)| other != rule) {
            self.faults.push((rule, self.raw - 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(wire: &[u8]) -> (Vec<u8>, Vec<Rule>, Option<usize>) {
        let mut data = Data::new(true);
        let (taken, end) = data.read(wire);
        let rules = data.faults().iter().map(|&(rule, _)| rule).collect();
        (data.into_body(), rules, end.then_some(taken))
    }

    #[test]
    fn dots_are_unstuffed_and_the_end_is_found() {
        assert_eq!(read(b".\r\n"), (Vec::new(), vec![], Some(3)));
        assert_eq!(
            read(b"..\r\n...a\r\nx.\r\n.\r\nNOOP\r\n"),
            (b".\r\n..a\r\nx.\r\n".to_vec(), vec![], Some(17))
        );
        assert_eq!(read(b"a\r\n").2, None);
    }

    #[test]
    fn no_smuggled_end_is_taken_for_the_end() {
        for wire in [
            b"a\n.\nb\r\n.\r\n".as_slice(),
            b"a\n.\rb\r\n.\r\n",
            b"a\r.\nb\r\n.\r\n",
            b"a\r.\rb\r\n.\r\n",
            b"a\n.\r\nb\r\n.\r\n",
            b"a\r.\r\nb\r\n.\r\n",
            b"a\r\n.\nb\r\n.\r\n",
            b"a\r\n.\rb\r\n.\r\n",
            b"a\r\n.\r\r\nb\r\n.\r\n",
            b"a\r\r\n.b\r\n.\r\n",
            b"a\r\n\0.\r\nb\r\n.\r\n",
        ] {
            let (_, rules, end) = read(wire);
            assert_eq!(end, Some(wire.len()), "{}", wire.escape_ascii());
            assert!(!rules.is_empty(), "{}", wire.escape_ascii());
        }
    }

    #[test]
    fn any_split_gives_the_same_message() {
        let alphabet = [b'\r', b'\n', b'.', b'x', 0];
        for number in 0..5_usize.pow(6) {
            let mut rest = number;
            let wire: Vec<u8> = std::iter::repeat_with(|| {
                let byte = alphabet[rest % 5];
                rest /= 5;
                byte
            })
            .take(6)
            .collect();
            let whole = read(&wire);
            let mut data = Data::new(true);
            let mut end = None;
            for (at, byte) in wire.iter().enumerate() {
                if data.read(std::slice::from_ref(byte)).1 {
                    end = Some(at + 1);
                    break;
                }
            }
            let rules: Vec<Rule> = data.faults().iter().map(|&(rule, _)| rule).collect();
            assert_eq!(
                (data.into_body(), rules, end),
                whole,
                "{}",
                wire.escape_ascii()
            );
        }
    }
}
