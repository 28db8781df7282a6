//! Any split of the same bytes gives the same replies or the same error, and the limits cut what is
//! kept to the byte.

use std::sync::{Arc, LazyLock, Mutex};
use std::task::Poll;

use smtp_proto::{
    Config, Connection, ErrorKind, Mail, ProtocolError, Reply, ReplyError, ReplyLimits, Security,
    Seed, Time, TranscriptEntry, Window,
};

use crate::choice;
use crate::common::pair::transmit;

/// Bytes: three limits and the length of the pieces; then replies.
pub fn reply(mut input: &[u8]) {
    // None is too small for the reply to EHLO.
    let limits = Limits {
        line: [2048, 16, 40, 512][choice(&mut input, 4)],
        reply: [32 * 1024, 30, 64, 1000][choice(&mut input, 4)],
        lines: [256, 2, 3, 5][choice(&mut input, 4)],
    };
    let piece = choice(&mut input, 30) + 1;
    let expected = reference(input, limits);
    let whole = through_connection(input, input.len().max(1), limits);
    let pieces = through_connection(input, piece, limits);
    assert_eq!(whole, pieces, "pieces of {piece}");
    assert_eq!(whole, shortened(expected), "{limits:?}");
    check_parse(input);
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    line: usize,
    reply: usize,
    lines: usize,
}

/// A reply: its code, the lines that are kept, and whether they are all.
type Kept = (u16, Vec<Vec<u8>>, bool);

/// Replies, and the error that ended them.
type Read = (Vec<Kept>, Option<ReplyError>);

/// A reference that reads one byte at a time.
fn reference(input: &[u8], limits: Limits) -> Read {
    let mut replies = Vec::new();
    let (mut len, mut line) = (0, Vec::new());
    let (mut first, mut raw) = (None, Vec::<Vec<u8>>::new());
    for &byte in input {
        let fault = if len == 0 && matches!(byte, 0x15 | 0x16) {
            Some(ReplyError::TlsRecord)
        } else if byte == 0 {
            Some(ReplyError::Nul { offset: len })
        } else {
            None
        };
        if fault.is_some() {
            return (replies, fault);
        }
        len += 1;
        line.push(byte);
        if byte != b'\n' {
            continue;
        }
        let mut text = std::mem::take(&mut line);
        raw.push(text.clone());
        text.pop();
        text.pop_if(|last| *last == b'\r');
        let number = raw.len();
        let malformed = Some(ReplyError::Malformed { line: number });
        let Some((digits, rest)) = text.split_at_checked(3) else {
            return (replies, malformed);
        };
        if !digits.iter().all(u8::is_ascii_digit) || !matches!(rest, [] | [b' ' | b'-', ..]) {
            return (replies, malformed);
        }
        let digits = std::str::from_utf8(digits).unwrap();
        let code: u16 = digits.parse().unwrap();
        let Some(known) = smtp_proto::ReplyCode::new(code) else {
            return (replies, Some(ReplyError::BadCode { code }));
        };
        let before = *first.get_or_insert(known);
        if before != known {
            let (first, other) = (before, known);
            return (replies, Some(ReplyError::MixedCodes { first, other }));
        }
        if !rest.starts_with(b"-") {
            let (lines, truncated) = kept(&std::mem::take(&mut raw), limits);
            replies.push((code, lines, truncated));
            (first, len) = (None, 0);
        }
    }
    (replies, None)
}

/// The text of these lines within the limits, and whether it was shortened.
fn kept(raw: &[Vec<u8>], limits: Limits) -> (Vec<Vec<u8>>, bool) {
    let (mut lines, mut total, mut truncated) = (Vec::new(), 0, false);
    for line in raw {
        let most = (limits.reply - total).min(limits.line);
        if lines.len() == limits.lines || most < 16 {
            truncated = true;
            break;
        }
        let mut text = line.get(4..).unwrap_or_default().to_vec();
        text.pop_if(|last| *last == b'\n');
        text.pop_if(|last| *last == b'\r');
        if line.len() > most {
            // Code, separator, mark and line end take nine.
            text = line[4..most - 5].to_vec();
            text.extend("…".as_bytes());
            truncated = true;
        }
        total += line.len().min(most);
        lines.push(text);
    }
    (lines, truncated)
}

/// The replies that a connection with many pending ones reads before it fails.
fn through_connection(input: &[u8], piece: usize, limits: Limits) -> Read {
    let limits = ReplyLimits::default()
        .line(limits.line)
        .reply(limits.reply)
        .lines(limits.lines);
    let heard = Arc::new(Mutex::new(Vec::new()));
    let config = Config::builder("client.test".parse().unwrap())
        .security(Security::Cleartext)
        .window(Window::FULL_DUPLEX)
        .reply_limits(limits)
        .transcript({
            let heard = Arc::clone(&heard);
            move |entry| {
                if let TranscriptEntry::Reply(reply) = entry {
                    let lines = reply.lines().map(<[u8]>::to_vec).collect();
                    let kept = (reply.code().as_u16(), lines, reply.is_truncated());
                    heard.lock().unwrap().push(kept);
                }
            }
        });
    let mut connection =
        Connection::new(Arc::new(config.build().unwrap()), Seed::from_bytes([0; 32]));
    let _ = connection.submit(MAIL.clone());
    for setup in ["220 x\r\n", "250-x\r\n", "250 PIPELINING\r\n"] {
        send(&mut connection);
        connection.handle_input(Time::ORIGIN, setup.as_bytes());
    }
    send(&mut connection);
    let prepared = heard.lock().unwrap().len();
    for part in input.chunks(piece) {
        connection.handle_input(Time::ORIGIN, part);
    }
    let error = match connection.poll_closed() {
        Poll::Ready(Err(error)) => match error.kind() {
            ErrorKind::Protocol(ProtocolError::Reply(error)) => Some(*error),
            _ => None,
        },
        _ => None,
    };
    let replies = heard.lock().unwrap().split_off(prepared);
    (replies, error)
}

fn send(connection: &mut Connection) {
    while let Some(transmit) = transmit(connection, Time::ORIGIN) {
        let len = transmit.len();
        connection.handle_sent(Time::ORIGIN, len);
    }
}

/// The replies up to the one at which a connection with this message fails, or has all that are
/// pending.
fn shortened((mut replies, error): Read) -> Read {
    let last = replies.iter().enumerate().position(|(at, (code, ..))| {
        let is_data = at == RECIPIENTS + 1;
        // Codes with a meaning of their own are no success, and DATA has only its usual ones.
        let is_own = matches!(code, 211 | 214 | 220 | 221 | 235);
        *code == 421
            || (!is_data && (code / 100 == 3 || is_own))
            || (is_data && code / 100 < 4 && !(350..=359).contains(code))
            || at > RECIPIENTS + 1
    });
    match last {
        Some(last) => {
            replies.truncate(last + 1);
            (replies, None)
        }
        None => (replies, error),
    }
}

/// [`Reply::parse`] returns for each prefix the result for the whole, or that it is incomplete.
fn check_parse(input: &[u8]) {
    let verdict = Reply::parse(input);
    let limits = Limits {
        line: 2048,
        reply: 32 * 1024,
        lines: 256,
    };
    let expected = reference(input, limits);
    match &verdict {
        Ok(None) => assert_eq!(expected, (Vec::new(), None)),
        Ok(Some((reply, len))) => {
            assert!(reply.lines().count() <= limits.lines);
            assert!(reply.is_truncated() || *len <= limits.reply);
            let (code, lines, truncated) = &expected.0[0];
            assert_eq!(reply.is_truncated(), *truncated);
            assert_eq!(reply.code(), *code);
            assert!(reply.lines().eq(lines.iter().map(Vec::as_slice)));
            assert!(reply.to_string().len() <= 1024);
            assert!(!reply.to_string().contains(|c: char| c.is_control()));
            if let Some(enhanced) = reply.enhanced() {
                assert_eq!(u16::from(enhanced.class()), code / 100);
                assert!(lines[0].starts_with(enhanced.to_string().as_bytes()));
            }
        }
        Err(error) => assert_eq!(expected, (Vec::new(), Some(*error))),
    }
    let mut decided = false;
    for end in 0..input.len().min(600) {
        match (Reply::parse(&input[..end]), &verdict) {
            (Ok(None), _) => assert!(!decided, "a result was withdrawn"),
            (Ok(Some(early)), Ok(Some(late))) => {
                decided = true;
                assert_eq!(early, *late);
            }
            (Err(early), Err(late)) => {
                decided = true;
                assert_eq!(early, *late);
            }
            (early, late) => panic!("{early:?} of {end} bytes, {late:?} of all"),
        }
    }
}

const RECIPIENTS: usize = 30;

static MAIL: LazyLock<Mail> = LazyLock::new(|| {
    crate::common::raw_mail("a@x.test", vec!["b@x.test"; RECIPIENTS], "Subject: r\r\n").unwrap()
});
