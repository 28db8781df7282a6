//! Two independent MIME readers understand the same before and after recoding.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on ends"
)]

use bytes::Bytes;
use mail_parser::{HeaderValue, Message, MessageParser, MimeHeaders, PartType};
use mailparse::{ParsedMail, addrparse_header, parse_content_disposition, parse_mail};
use proptest::prelude::*;
use smtp_recode::seven_bit;

/// A field in its usual spelling, and in another that the grammar allows.
type Spelled = (&'static str, &'static str);

const ENCODINGS: [Spelled; 4] = [
    (
        "Content-Transfer-Encoding: 8bit",
        "Content-Transfer-Encoding : 8bit",
    ),
    (
        "Content-Transfer-Encoding: binary",
        "content-transfer-encoding\t:\r\n\t(comment) binary",
    ),
    (
        "Content-Transfer-Encoding: 8bit",
        "Content-Transfer-Encoding: 8BIT (a (nested) one)",
    ),
    ("X-None: a", "X-None: a"),
];

const TYPES: [Spelled; 5] = [
    (
        "Content-Type: text/plain; charset=utf-8",
        "Content-Type : text/plain; charset=utf-8",
    ),
    (
        "Content-Type: text/html; charset=\"utf-8\"",
        "Content-Type: text/(comment)html ; charset\r\n = \"utf-8\"",
    ),
    (
        "Content-Type: image/png; name=\"a;b.png\"",
        "Content-Type: image/png (multipart/signed); name=\"a;b.png\"",
    ),
    ("X-None: b", "X-None: b"),
    (
        "Content-Type: application/pdf",
        "Content-Type: (;) application / pdf",
    ),
];

const MULTIPARTS: [Spelled; 3] = [
    (
        "Content-Type: multipart/mixed; boundary=\"%\"",
        "Content-Type : multipart/mixed; boundary=\"%\"",
    ),
    (
        "Content-Type: multipart/alternative; boundary=\"%\"",
        "Content-Type: multipart/alternative (comment; boundary=\"none\"); boundary = \"%\"",
    ),
    (
        "Content-Type: multipart/related; boundary=\"%\"",
        "Content-Type: Multipart / related\r\n\t; BOUNDARY=\"%\"",
    ),
];

#[derive(Clone, Debug)]
enum Part {
    Leaf {
        kind: usize,
        encoding: usize,
        fields: Vec<String>,
        body: Vec<u8>,
    },
    Multipart {
        kind: usize,
        encoding: usize,
        parts: Vec<Self>,
    },
}

impl Part {
    fn write(&self, plain: bool, out: &mut Vec<u8>, boundaries: &mut usize) {
        let spelled = |(one, other): Spelled| if plain { one } else { other };
        let line = |out: &mut Vec<u8>, line: &str| {
            out.extend_from_slice(line.as_bytes());
            out.extend_from_slice(b"\r\n");
        };
        match self {
            Self::Leaf {
                kind,
                encoding,
                fields,
                body,
            } => {
                line(out, spelled(TYPES[*kind]));
                line(out, spelled(ENCODINGS[*encoding]));
                fields.iter().for_each(|field| line(out, field));
                line(out, "");
                out.extend_from_slice(body);
            }
            Self::Multipart {
                kind,
                encoding,
                parts,
            } => {
                *boundaries += 1;
                let boundary = format!("=_{boundaries}_");
                line(out, &spelled(MULTIPARTS[*kind]).replace('%', &boundary));
                line(out, spelled(ENCODINGS[*encoding]));
                for part in parts {
                    line(out, &format!("\r\n--{boundary}"));
                    part.write(plain, out, boundaries);
                }
                line(out, &format!("\r\n--{boundary}--"));
            }
        }
    }
}

#[derive(Clone, Debug)]
struct Mail {
    fields: Vec<String>,
    part: Part,
}

impl Mail {
    fn text(&self, plain: bool) -> Bytes {
        let mut out = self.fields.join("\r\n").into_bytes();
        out.extend_from_slice(b"\r\n");
        self.part.write(plain, &mut out, &mut 0);
        out.into()
    }
}

/// What a reader understands: the type, the fields and the decoded body of each part.
type Understood = Vec<(String, Vec<(String, String)>, Vec<u8>)>;

/// Whether recoding may change or add this field.
fn is_about_encoding(name: &str) -> bool {
    ["MIME-Version", "Content-Transfer-Encoding"]
        .iter()
        .any(|each| name.trim().eq_ignore_ascii_case(each))
}

fn one_spaced(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn by_mailparse(text: &[u8]) -> Understood {
    fn visit(part: &ParsedMail<'_>, out: &mut Understood) {
        let mut fields = Vec::new();
        for field in &part.headers {
            let name = field.get_key();
            let value = match name.trim() {
                _ if is_about_encoding(&name) => continue,
                "From" | "To" | "Cc" => format!("{:?}", addrparse_header(field).unwrap()),
                "Content-Disposition" => {
                    let value = parse_content_disposition(&field.get_value());
                    format!("{:?} {:?}", value.disposition, value.params)
                }
                "Content-Type" => format!("{:?}", part.ctype.params),
                _ => one_spaced(&field.get_value()),
            };
            fields.push((name, value));
        }
        let body = match part.subparts.is_empty() {
            true => part.get_body_raw().unwrap(),
            false => Vec::new(),
        };
        out.push((part.ctype.mimetype.clone(), fields, body));
        part.subparts.iter().for_each(|part| visit(part, out));
    }
    let mut out = Vec::new();
    visit(&parse_mail(text).unwrap(), &mut out);
    out
}

fn by_mail_parser(text: &[u8]) -> Understood {
    fn visit(message: &Message<'_>, id: usize, out: &mut Understood) {
        let part = &message.parts[id];
        let mut fields = Vec::new();
        for field in &part.headers {
            if is_about_encoding(field.name()) {
                continue;
            }
            let value = match &field.value {
                HeaderValue::Text(text) => one_spaced(text),
                HeaderValue::ContentType(kind) => {
                    let attributes = kind.attributes.iter().flatten();
                    let mut all: Vec<_> = attributes
                        .map(|each| format!("{}={}", each.name, each.value))
                        .collect();
                    all.sort();
                    all.join(";")
                }
                other => format!("{other:?}"),
            };
            fields.push((field.name().to_owned(), value));
        }
        let kind = part.content_type().map_or_else(String::new, |kind| {
            format!("{}/{}", kind.ctype(), kind.subtype().unwrap_or_default())
        });
        match &part.body {
            PartType::Multipart(parts) => {
                out.push((kind, fields, Vec::new()));
                for &id in parts {
                    visit(message, usize::try_from(id).unwrap(), out);
                }
            }
            _ => out.push((kind, fields, part.contents().to_vec())),
        }
    }
    let message = MessageParser::new()
        .with_minimal_headers()
        .default_header_text()
        .parse(text)
        .expect("a readable message");
    let mut out = Vec::new();
    visit(&message, 0, &mut out);
    out
}

/// The same message with its fields in the usual spelling.
fn plainly_spelled(text: &[u8]) -> String {
    let mut text = String::from_utf8(text.to_vec()).unwrap();
    for (plain, other) in TYPES.into_iter().chain(MULTIPARTS) {
        for (plain, other) in plain.split('%').zip(other.split('%')) {
            if plain != "\"" {
                text = text.replace(other, plain);
            }
        }
    }
    text.replace(
        "content-transfer-encoding:\r\n\t",
        "Content-Transfer-Encoding: ",
    )
    // In a part that is unchanged.
    .replace(
        "Content-Transfer-Encoding : 8bit",
        "Content-Transfer-Encoding: 8bit",
    )
    .replace(
        "content-transfer-encoding\t:\r\n\t(comment) binary",
        "Content-Transfer-Encoding: binary",
    )
    .replace(
        "Content-Transfer-Encoding: 8BIT (a (nested) one)",
        "Content-Transfer-Encoding: 8bit",
    )
}

/// Words of text, some of which need encoding, with spaces or folds between them.
fn words() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        3 => "[a-zA-Z0-9.!?_=&#+*/-]{1,12}",
        3 => "[a-z]{0,5}[\u{e0}-\u{ff}][a-z]{0,5}",
        1 => "[\u{4e00}-\u{4e80}]{1,30}",
    ];
    let space = prop_oneof![5 => Just(" "), 1 => Just("\r\n ")];
    proptest::collection::vec((word, space), 1..12).prop_map(|words| {
        let text: String = words
            .into_iter()
            .map(|(word, space)| word + space)
            .collect();
        text.trim_end().to_owned()
    })
}

fn addresses() -> impl Strategy<Value = String> {
    let one = prop_oneof![
        Just("a@x.test".to_owned()),
        "[A-Za-z\u{e0}-\u{ff}]{1,8}( [A-Za-z\u{e0}-\u{ff}]{1,8}){0,5} ?"
            .prop_map(|name| format!("{name}<b@x.test>")),
        "[A-Za-z\u{e0}-\u{ff}][A-Za-z,;:.()<>@ \u{e0}-\u{ff}]{0,30}[a-z\u{e0}-\u{ff}]"
            .prop_map(|name| format!("\"{}\" <c@x.test>", one_spaced(&name))),
    ];
    proptest::collection::vec(one, 1..5).prop_map(|all| all.join(",\r\n "))
}

fn fields() -> impl Strategy<Value = Vec<String>> {
    let field = prop_oneof![
        words().prop_map(|words| format!("Subject: {words}")),
        words().prop_map(|words| format!("X-Own: {words}")),
        addresses().prop_map(|all| format!("To: {all}")),
    ];
    proptest::collection::vec(field, 0..4).prop_map(|mut fields| {
        fields.insert(0, "From: a@x.test".to_owned());
        fields
    })
}

fn part_fields() -> impl Strategy<Value = Vec<String>> {
    let field = prop_oneof![
        words().prop_map(|words| format!("Content-Description: {words}")),
        "[a-z\u{e0}-\u{ff}][a-z;=%\' \u{e0}-\u{ff}]{0,20}[a-z]"
            .prop_map(|name| format!("Content-Disposition: attachment; filename=\"{name}\"")),
    ];
    proptest::collection::vec(field, 0..2)
}

fn leaf() -> impl Strategy<Value = Part> {
    let text = proptest::collection::vec(
        prop_oneof![
            3 => "[ -~]{0,100}",
            3 => "[ -~]{10,60}[\u{e0}-\u{ff}][ -~]{10,60}",
            1 => "[a-z]{60,80}--[\u{e0}-\u{ff}]?",
            1 => "--[a-z]{0,3}",
        ],
        0..8,
    )
    .prop_map(|lines| lines.join("\r\n").into_bytes());
    let bytes = proptest::collection::vec(any::<u8>(), 0..200);
    let body = prop_oneof![(0..2_usize, text), (2..5_usize, bytes)];
    (body, 0..ENCODINGS.len(), part_fields()).prop_map(|((kind, body), encoding, fields)| {
        Part::Leaf {
            kind,
            encoding,
            fields,
            body,
        }
    })
}

fn mail() -> impl Strategy<Value = Mail> {
    let part = leaf().prop_recursive(3, 12, 4, |part| {
        let parts = proptest::collection::vec(part, 1..4);
        (0..MULTIPARTS.len(), 0..ENCODINGS.len(), parts).prop_map(|(kind, encoding, parts)| {
            Part::Multipart {
                kind,
                encoding,
                parts,
            }
        })
    });
    (fields(), part).prop_map(|(fields, part)| Mail { fields, part })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn two_readers_understand_the_same_before_and_after(mail in mail()) {
        let text = mail.text(true);
        let recoded = seven_bit(&text).unwrap();
        prop_assert!(recoded.is_ascii());
        let added_type = !by_mailparse(&text)[0].1.iter().any(|(name, _)| name == "Content-Type");
        let without_added = |mut understood: Understood| {
            if added_type {
                understood[0].0.clear();
                understood[0].1.retain(|(name, _)| name != "Content-Type");
            }
            understood
        };
        prop_assert_eq!(without_added(by_mailparse(&recoded)), without_added(by_mailparse(&text)));
        prop_assert_eq!(without_added(by_mail_parser(&recoded)), without_added(by_mail_parser(&text)));
    }

    #[test]
    fn the_spelling_of_fields_makes_no_difference(mail in mail()) {
        let plain = seven_bit(&mail.text(true)).unwrap();
        let other = seven_bit(&mail.text(false)).unwrap();
        let other = plainly_spelled(&other);
        prop_assert_eq!(other, String::from_utf8(plain.to_vec()).unwrap());
    }
}
