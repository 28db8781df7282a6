mod player;

use std::{fmt, str::FromStr, sync::Arc};

pub use player::{Mismatch, Player, Report};

use crate::{Output, Split};

/// A dialogue in text: the server's side is played, and the client's side is checked.
///
/// Each line is a step. Leading blanks, empty lines and lines that begin with `#` do not count.
///
/// | line | meaning |
/// | --- | --- |
/// | `C: text` | the client sends exactly this line; `\*` stands for any text |
/// | `C- text` | the client sends exactly these bytes, without CRLF |
/// | `C: <body>` | the client sends valid content of any text, with the dot that ends it |
/// | `C: <chunk 12>` | the client sends exactly 12 bytes of any value, which a BDAT line announced |
/// | `C: <eof>` | the client closes its side |
/// | `S: text` | the server sends this line |
/// | `S- text` | the server sends these bytes, without CRLF |
/// | `S: <eof>` | the server closes |
/// | `S: <cut>` | the server closes, in TLS without a close_notify |
/// | `S: <reset>` | the connection is reset |
/// | `S: <timeout>` | the server is silent until the client gives up waiting |
/// | `<tls>` | the TLS handshake |
///
/// The escapes `\r`, `\n`, `\t`, `\0`, `\\`, `\<` and `\xNN` have their usual meaning; `\|` in the
/// server's text ends a segment. A blank at the end of a line counts; where editors remove it,
/// write `\x20`.
///
/// The order of the lines is the order of turns. The client must send all of a group of `C:` lines
/// before the server replies, and none of them before it has read the server's output before them:
/// the script defines what is pipelined. This holds in memory. Over a socket it is unknown what the
/// client has read, and only the order is checked. After the end of the script, any input except
/// EOF is an error.
///
/// ```
/// use std::io::{Read, Write};
/// use smtp_test::{MemoryServer, Script, Split};
///
/// let script: Script = r"
///     S: 220 mail.test
///     C: EHLO \*
///     S: 250-mail.test
///     S: 250 PIPELINING
///     C: MAIL FROM:<a@x.test>
///     C: RCPT TO:<b@x.test>
///     S: 250 ok
///     S: 550 no\|
///     S- 4
///     S: <cut>
/// "
/// .parse()
/// .unwrap();
/// for split in Split::ALL {
///     let player = script.play(split);
///     let report = player.report();
///     let mut stream = MemoryServer::script(player);
///     let mut buffer = [0; 100];
///     let mut read = |stream: &mut MemoryServer, mut len| {
///         while len > 0 {
///             len -= stream.read(&mut buffer).unwrap();
///         }
///     };
///     read(&mut stream, 15);
///     stream.write_all(b"EHLO client.test\r\n").unwrap();
///     read(&mut stream, 31);
///     stream.write_all(b"MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\n").unwrap();
///     read(&mut stream, 17);
///     drop(stream);
///     report.assert_done();
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Script {
    steps: Arc<[Step]>,
}

impl Script {
    /// Reads a script.
    ///
    /// # Errors
    /// If a line is not a step.
    pub fn parse(text: &str) -> Result<Self, ScriptError> {
        let mut steps = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim_start();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let kind = kind(line).map_err(|reason| ScriptError {
                line: number,
                reason,
            })?;
            steps.push(Step {
                line: number,
                text: line.to_owned(),
                kind,
            });
        }
        Ok(Self {
            steps: steps.into(),
        })
    }

    /// The server's side of the dialogue, from its beginning, with its output cut by `split`.
    pub fn play(&self, split: Split) -> Player {
        Player::new(Arc::clone(&self.steps), split)
    }
}

impl FromStr for Script {
    type Err = ScriptError;

    fn from_str(text: &str) -> Result<Self, ScriptError> {
        Self::parse(text)
    }
}

/// The reason why a text is not a script.
#[derive(Clone, PartialEq, Eq)]
pub struct ScriptError {
    line: usize,
    reason: &'static str,
}

impl ScriptError {
    /// The number of the line, from 1.
    ///
    /// ```
    /// use smtp_test::Script;
    ///
    /// let error = Script::parse("S: 220 mx.test\nQUIT").unwrap_err();
    /// assert_eq!(error.line(), 2);
    /// ```
    pub fn line(&self) -> usize {
        self.line
    }
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "script line {}: {}", self.line, self.reason)
    }
}

/// The same as `Display`, because `main` prints it.
impl fmt::Debug for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for ScriptError {}

#[derive(Debug)]
struct Step {
    line: usize,
    /// The line as written, for messages.
    text: String,
    kind: Kind,
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    /// A line of the client: its parts, with any text between them.
    Line(Vec<Vec<u8>>),
    /// Bytes of the client.
    Bytes(Vec<u8>),
    Body,
    /// This number of bytes of the client.
    Chunk(usize),
    ClientEof,
    /// Bytes of the server, cut in segments. The next step continues the last one.
    Send(Vec<Vec<u8>>),
    End(Output),
    Timeout,
    Tls,
}

fn kind(line: &str) -> Result<Kind, &'static str> {
    if line.trim_end() == "<tls>" {
        return Ok(Kind::Tls);
    }
    let (side, rest) = line
        .split_at_checked(2)
        .ok_or("neither C: nor S: nor <tls>")?;
    let text = rest.strip_prefix(' ').unwrap_or(rest);
    if text.starts_with('<') {
        if let Some(len) = text.strip_prefix("<chunk ") {
            return match len.trim_end().strip_suffix('>').map(str::parse) {
                Some(Ok(len @ 1..)) if side == "C:" => Ok(Kind::Chunk(len)),
                _ => Err("a chunk needs C: and at least one byte"),
            };
        }
        return match (side, text.trim_end()) {
            ("C:", "<body>") => Ok(Kind::Body),
            ("C:", "<eof>") => Ok(Kind::ClientEof),
            ("S:", "<eof>") => Ok(Kind::End(Output::Close)),
            ("S:", "<cut>") => Ok(Kind::End(Output::Cut)),
            ("S:", "<reset>") => Ok(Kind::End(Output::Reset)),
            ("S:", "<timeout>") => Ok(Kind::Timeout),
            _ => Err("an unknown mark; text that begins with < is written \\<"),
        };
    }
    match side {
        "C:" => unescape(text, '*', b"\r\n").map(Kind::Line),
        "S:" => unescape(text, '|', b"\r\n").map(|mut segments| {
            // `\|` at the end of a line stands after its CRLF: a segment of CRLF alone makes no
            // sense.
            if segments.last().is_some_and(|last| last == b"\r\n") && segments.len() > 1 {
                segments.pop();
                segments
                    .last_mut()
                    .expect("there was more than one")
                    .extend_from_slice(b"\r\n");
                segments.push(Vec::new());
            }
            Kind::Send(segments)
        }),
        "S-" => unescape(text, '|', b"").map(Kind::Send),
        "C-" => match unescape(text, '*', b"")?.as_slice() {
            [bytes] if !bytes.is_empty() => Ok(Kind::Bytes(bytes.clone())),
            [_] => Err("no bytes"),
            _ => Err("\\* is allowed in C: lines only"),
        },
        _ => Err("neither C: nor S: nor <tls>"),
    }
}

/// Resolves the escapes; `\` and `mark` begin a new part.
fn unescape(text: &str, mark: char, end: &[u8]) -> Result<Vec<Vec<u8>>, &'static str> {
    let mut parts = Vec::new();
    let mut part = Vec::new();
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        if char != '\\' {
            part.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        match chars.next() {
            Some('r') => part.push(b'\r'),
            Some('n') => part.push(b'\n'),
            Some('t') => part.push(b'\t'),
            Some('0') => part.push(0),
            Some('\\') => part.push(b'\\'),
            Some('<') => part.push(b'<'),
            Some('x') => {
                let byte = chars
                    .as_str()
                    .get(..2)
                    .and_then(|digits| u8::from_str_radix(digits, 16).ok());
                part.push(byte.ok_or("\\x needs two digits")?);
                chars.nth(1);
            }
            Some(char) if char == mark => parts.push(std::mem::take(&mut part)),
            _ => return Err("an unknown escape"),
        }
    }
    part.extend_from_slice(end);
    parts.push(part);
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_documented() {
        for (line, expected) in [
            ("<tls>", Kind::Tls),
            ("C: NOOP", Kind::Line(vec![b"NOOP\r\n".to_vec()])),
            ("C:", Kind::Line(vec![b"\r\n".to_vec()])),
            (
                "C: EHLO \\*",
                Kind::Line(vec![b"EHLO ".to_vec(), b"\r\n".to_vec()]),
            ),
            ("C: \\<body>", Kind::Line(vec![b"<body>\r\n".to_vec()])),
            ("C- \\x00\\0\\n", Kind::Bytes(vec![0, 0, b'\n'])),
            ("C: <chunk 12>", Kind::Chunk(12)),
            ("S: 334 ", Kind::Send(vec![b"334 \r\n".to_vec()])),
            (
                "S: 2\\|50 ok",
                Kind::Send(vec![b"2".to_vec(), b"50 ok\r\n".to_vec()]),
            ),
            (
                "S: 250 ok\\|",
                Kind::Send(vec![b"250 ok\r\n".to_vec(), Vec::new()]),
            ),
            ("S- 25", Kind::Send(vec![b"25".to_vec()])),
            ("S: <eof>", Kind::End(Output::Close)),
            ("S: <timeout>", Kind::Timeout),
        ] {
            assert_eq!(kind(line), Ok(expected), "{line}");
        }
    }

    #[test]
    fn what_is_no_step_is_an_error_with_its_line() {
        for line in [
            "",
            "X: a",
            "C",
            "C: <nobody>",
            "C: <chunk 0>",
            "C: <chunk>",
            "S: <chunk 1>",
            "S: <body>",
            "S: \\q",
            "S: \\x4",
            "C: \\|",
            "C- a\\*",
            "C-",
        ] {
            assert!(kind(line).is_err(), "{line}");
        }
        let error = Script::parse("C: a\n\n# b\nS; c").unwrap_err();
        assert_eq!(
            error.to_string(),
            "script line 4: neither C: nor S: nor <tls>"
        );
    }
}
