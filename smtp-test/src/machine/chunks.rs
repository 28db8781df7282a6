//! The server's own reader of BDAT chunks (RFC 3030): no dot-stuffing, but the same checks.

use super::header::Header;
use crate::Rule;

/// A message that is being received in chunks.
#[derive(Debug)]
pub(super) struct Chunks {
    body: Option<Vec<u8>>,
    len: u64,
    /// Whether its bytes are lines of text, as they are without BINARYMIME (RFC 3030, section 2 and
    /// 3).
    text: bool,
    line: usize,
    after_cr: bool,
    eight_bit: bool,
    header: Header,
    faults: Vec<(Rule, u64)>,
}

impl Chunks {
    /// A reader; it keeps the message if `store`.
    pub(super) fn new(text: bool, store: bool) -> Self {
        Self {
            body: store.then(Vec::new),
            len: 0,
            text,
            line: 0,
            after_cr: false,
            eight_bit: false,
            header: Header::new(),
            faults: Vec::new(),
        }
    }

    /// Reads a piece, before which the client had sent `offset` bytes.
    pub(super) fn read(&mut self, piece: &[u8], offset: u64) {
        if self.text {
            self.judge(piece, offset);
        }
        self.header.read(piece);
        self.len += piece.len() as u64;
        if let Some(body) = &mut self.body {
            body.extend_from_slice(piece);
        }
    }

    /// Notes the end; `offset` as before.
    pub(super) fn finish(&mut self, offset: u64) {
        if std::mem::take(&mut self.after_cr) {
            self.fault(Rule::BareCr, offset);
        }
        // A piece is searched for one rule after the other.
        self.faults.sort_by_key(|&(_, at)| at);
    }

    /// Forgets the message, of which no more will be stored.
    pub(super) fn drop_body(&mut self) {
        self.body = None;
    }

    /// The bytes so far.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Whether an 8-bit byte occurred in 7-bit content.
    pub(super) fn eight_bit(&self) -> bool {
        self.eight_bit
    }

    /// Whether there was one in the header, be the rest text or not.
    pub(super) fn header_eight_bit(&self) -> bool {
        self.header.eight_bit()
    }

    /// Whether the header is UTF-8.
    pub(super) fn header_is_utf8(&self) -> bool {
        self.header.is_utf8()
    }

    /// The rules that the message broke, each once, with the first place on the connection.
    pub(super) fn faults(&self) -> &[(Rule, u64)] {
        &self.faults
    }

    /// The message.
    pub(super) fn into_body(self) -> Vec<u8> {
        self.body.unwrap_or_default()
    }

    fn judge(&mut self, piece: &[u8], offset: u64) {
        self.eight_bit |= !piece.is_ascii();
        if let Some(at) = memchr::memchr(0, piece) {
            self.fault(Rule::Nul, offset + at as u64);
        }
        let mut start = 0;
        while let Some(&first) = piece.get(start) {
            if std::mem::take(&mut self.after_cr) {
                if first == b'\n' {
                    self.end_line(offset + start as u64);
                    start += 1;
                    continue;
                }
                self.fault(Rule::BareCr, offset + start as u64);
            }
            let rest = &piece[start..];
            let Some(len) = memchr::memchr2(b'\r', b'\n', rest) else {
                self.line += rest.len();
                return;
            };
            self.line += len + 1;
            start += len + 1;
            if rest[len] == b'\r' {
                self.after_cr = true;
            } else {
                self.fault(Rule::BareLf, offset + start as u64 - 1);
            }
        }
    }

    /// Ends a line whose CR was counted and whose LF is not.
    fn end_line(&mut self, offset: u64) {
        if self.line + 1 > 1000 {
            self.fault(Rule::BodyLineTooLong, offset);
        }
        self.line = 0;
    }

    fn fault(&mut self, rule: Rule, offset: u64) {
        if self.faults.iter().all(|&(other, _)| other != rule) {
            self.faults.push((rule, offset));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(pieces: &[&[u8]]) -> (Vec<u8>, Vec<(Rule, u64)>) {
        let mut chunks = Chunks::new(true, true);
        for piece in pieces {
            chunks.read(piece, chunks.len());
        }
        chunks.finish(chunks.len());
        let faults = chunks.faults().to_vec();
        (chunks.into_body(), faults)
    }

    #[test]
    fn text_in_chunks_has_only_whole_line_ends_and_no_nul() {
        assert_eq!(judge(&[b"a\r\n.\r\n..\r\n", b""]).1, []);
        assert_eq!(judge(&[b"no line end"]).1, []);
        assert_eq!(judge(&[b"a\nb"]).1, [(Rule::BareLf, 1)]);
        assert_eq!(judge(&[b"a\rb"]).1, [(Rule::BareCr, 2)]);
        assert_eq!(judge(&[b"a\r"]).1, [(Rule::BareCr, 2)]);
        assert_eq!(judge(&[b"a\r\r\n"]).1, [(Rule::BareCr, 2)]);
        assert_eq!(judge(&[b"a\0"]).1, [(Rule::Nul, 1)]);
        let mut longest = vec![b'x'; 998];
        longest.extend_from_slice(b"\r\n");
        assert_eq!(judge(&[&longest, &longest]).1, []);
        longest.insert(0, b'x');
        assert_eq!(judge(&[&longest]).1, [(Rule::BodyLineTooLong, 1000)]);
    }

    #[test]
    fn the_judgement_does_not_depend_on_where_the_chunks_end() {
        let alphabet = [b'\r', b'\n', b'x', 0];
        for number in 0..4_usize.pow(6) {
            let wire: Vec<u8> = (0..6)
                .map(|at| alphabet[number / 4_usize.pow(at) % 4])
                .collect();
            let single: Vec<&[u8]> = wire.chunks(1).collect();
            assert_eq!(judge(&single), judge(&[&wire]), "{}", wire.escape_ascii());
        }
    }

    #[test]
    fn binary_bytes_are_not_judged() {
        let mut chunks = Chunks::new(false, true);
        chunks.read(b"\r\n\n\r\0\xff", 0);
        chunks.finish(6);
        assert_eq!(chunks.faults(), []);
        assert!(!chunks.eight_bit());
        assert_eq!(chunks.into_body(), b"\r\n\n\r\0\xff");
    }
}
