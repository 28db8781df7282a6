//! No Bcc field of a message is sent and no other line is changed, every recipient is in a field for
//! recipients, and the sender in one for the sender.

use smtp_proto::content::BareLineEnds;
use smtp_proto::{MailBuilder, Pipelining};
use smtp_test::Machine;

use crate::choice;
use crate::common::pair::Pair;
use crate::common::session::Mode;

/// Bytes: whether bare line ends are converted, then a message.
pub fn from_message(mut input: &[u8]) {
    let line_ends = [BareLineEnds::Reject, BareLineEnds::Convert][choice(&mut input, 2)];
    let built = MailBuilder::from_message(input.to_vec())
        .bare_line_ends(line_ends)
        .max_line_len(None)
        .build();
    let mail = match built {
        Ok(mail) => mail,
        Err(error) => {
            assert!(format!("{error:#}").len() < 1000, "{error:#}");
            return;
        }
    };

    let (header, body) = parts(input);
    let recipients = squeezed(&header, &["to", "cc", "bcc"]);
    for path in mail.recipients() {
        let mailbox = path.mailbox().expect("a mailbox");
        let text = format!("{}@{}", mailbox.local_part(), mailbox.domain());
        assert!(recipients.contains(&squeeze(text.as_bytes())), "{path}");
    }
    let sender = mail.sender().mailbox().expect("a mailbox");
    let text = format!("{}@{}", sender.local_part(), sender.domain());
    assert!(squeezed(&header, &["from", "sender"]).contains(&squeeze(text.as_bytes())));

    let mode = Mode::new(Pipelining::Envelope);
    let mut pair = Pair::new(mode.config(), Machine::new(&mode.plain_server()));
    let id = pair.connection.submit(mail);
    let outcome = pair.drive(|connection| connection.poll_outcome(id));
    assert!(outcome.expect("an outcome").is_accepted());
    let stored = pair.peer.log().mails().pop().expect("a message");
    let kept = header.iter().filter(|field| name(field) != "bcc");
    let expected: Vec<u8> = (kept.flatten().chain(&body))
        .flat_map(|line| [*line, b"\r\n"].concat())
        .collect();
    let shown = |bytes: &[u8]| bytes.escape_ascii().to_string();
    assert_eq!(shown(stored.body()), shown(&expected));
}

/// The lines of a field.
type Field<'a> = Vec<&'a [u8]>;

/// The fields of the header section, and the lines after them. Each CR, LF and CRLF ends a line.
fn parts(message: &[u8]) -> (Vec<Field<'_>>, Vec<&[u8]>) {
    let mut lines = Vec::new();
    let mut rest = message;
    while let Some(end) = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')) {
        lines.push(&rest[..end]);
        rest = &rest[end..];
        rest = rest.strip_prefix(b"\r\n").unwrap_or(&rest[1..]);
    }
    if !rest.is_empty() {
        lines.push(rest);
    }
    let empty = lines.iter().position(|line| line.is_empty());
    let body = lines.split_off(empty.unwrap_or(lines.len()));
    let mut fields: Vec<Field<'_>> = Vec::new();
    for line in lines {
        match fields.last_mut() {
            Some(field) if line.starts_with(b" ") || line.starts_with(b"\t") => field.push(line),
            _ => fields.push(vec![line]),
        }
    }
    (fields, body)
}

/// The name of a field in lower case, without `Resent-`.
fn name(field: &[&[u8]]) -> String {
    let name = field[0].split(|byte| *byte == b':').next();
    let name = String::from_utf8_lossy(name.unwrap_or_default()).to_lowercase();
    let name = name.trim_end_matches([' ', '\t']);
    name.strip_prefix("resent-").unwrap_or(name).to_owned()
}

/// The values of all fields of these names, without comments, white space, quotes and backslashes.
fn squeezed(header: &[Field<'_>], names: &[&str]) -> String {
    let fields = header.iter().filter(|field| names.contains(&&*name(field)));
    fields
        .map(|field| squeeze(&without_comments(field.concat())))
        .collect()
}

fn squeeze(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    text.chars()
        .filter(|c| !matches!(c, ' ' | '\t' | '"' | '\\'))
        .collect()
}

fn without_comments(value: Vec<u8>) -> Vec<u8> {
    let (mut depth, mut in_quotes, mut escaped) = (0_u32, false, false);
    let outside = |byte: &u8| {
        let before = depth;
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = depth > 0 || in_quotes,
            b'"' if depth == 0 => in_quotes = !in_quotes,
            b'(' if !in_quotes => depth += 1,
            b')' if depth > 0 => depth -= 1,
            _ => {}
        }
        before == 0 && depth == 0
    };
    value.into_iter().filter(outside).collect()
}
