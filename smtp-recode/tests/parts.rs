//! Messages of any structure, recoded and read back by another MIME reader: each part has the same
//! content as before.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on ends"
)]

use bytes::Bytes;
use mail_parser::{Message, MessageParser, PartType};
use proptest::prelude::*;
use smtp_blocking::proto::content::internals::{LineRules, scan};
use smtp_recode::seven_bit;

/// A part of a message.
#[derive(Clone, Debug)]
enum Part {
    Leaf {
        header: &'static str,
        body: Vec<u8>,
    },
    Multipart {
        subtype: &'static str,
        encoding: &'static str,
        parts: Vec<Self>,
    },
    Message {
        version: bool,
        inner: Box<Self>,
    },
}

impl Part {
    /// Appends the fields, the empty line and the body; `boundaries` counts the boundaries in use.
    fn write(&self, out: &mut Vec<u8>, boundaries: &mut usize) {
        match self {
            Self::Leaf { header, body } => {
                out.extend_from_slice(header.as_bytes());
                out.extend_from_slice(b"\r\n");
                out.extend_from_slice(body);
            }
            Self::Multipart {
                subtype,
                encoding,
                parts,
            } => {
                *boundaries += 1;
                let boundary = format!("=_{boundaries}_");
                let header = format!(
                    "Content-Type: multipart/{subtype};\r\n\tboundary=\"{boundary}\"\r\n{encoding}\r\npreamble"
                );
                out.extend_from_slice(header.as_bytes());
                for part in parts {
                    out.extend_from_slice(format!("\r\n--{boundary}\r\n").as_bytes());
                    part.write(out, boundaries);
                }
                out.extend_from_slice(format!("\r\n--{boundary}--\r\nepilogue").as_bytes());
            }
            Self::Message { version, inner } => {
                out.extend_from_slice(b"Content-Type: message/rfc822\r\n\r\nSubject: within\r\n");
                if *version {
                    out.extend_from_slice(b"Mime-version: 1.0\r\n");
                }
                inner.write(out, boundaries);
            }
        }
    }

    /// The bodies of the parts without parts, in order.
    fn leaves<'p>(&'p self, out: &mut Vec<&'p [u8]>) {
        match self {
            Self::Leaf { body, .. } => out.push(body),
            Self::Multipart { parts, .. } => parts.iter().for_each(|part| part.leaves(out)),
            Self::Message { inner, .. } => inner.leaves(out),
        }
    }

    fn mail(&self) -> Bytes {
        let mut text =
            b"From: a@x.test\r\nSubject: =?utf-8?q?=C3=A9?= and a\r\n folded line\r\n".to_vec();
        self.write(&mut text, &mut 0);
        text.into()
    }
}

/// The decoded bodies of the parts without parts, in order, as the other reader finds them.
fn read(text: &[u8]) -> Vec<Vec<u8>> {
    fn visit(message: &Message<'_>, id: usize, out: &mut Vec<Vec<u8>>) {
        let part = &message.parts[id];
        assert!(!part.is_encoding_problem, "part {id}");
        match &part.body {
            PartType::Multipart(parts) => {
                parts
                    .iter()
                    .for_each(|&id| visit(message, usize::try_from(id).unwrap(), out));
            }
            PartType::Message(inner) => visit(inner, 0, out),
            _ => out.push(part.contents().to_vec()),
        }
    }

    let message = MessageParser::new()
        .with_mime_headers()
        .parse(text)
        .expect("a readable message");
    let mut found = Vec::new();
    visit(&message, 0, &mut found);
    found
}

const LEAF_HEADERS: [&str; 6] = [
    "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n",
    "content-transfer-encoding:  BINARY (bytes)\r\nContent-Type: text/html;\r\n charset=\"utf-8\"\r\nContent-ID: <a@b>\r\n",
    "Content-Type: text/x-log; charset=utf-8\r\n",
    "Content-Type: image/png; name=\"a.png\"\r\nContent-Transfer-Encoding:\r\n 8bit\r\nContent-Disposition: attachment\r\n",
    "Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: 7bit\r\n",
    "X-Other: field\r\nContent-Type: application/octet-stream\r\n",
];

/// Mostly legible text, so that both encodings occur.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        4 => "[ -~]{0,100}",
        4 => "[ -~]{10,60}[\u{e0}-\u{ff}][ -~]{10,60}",
        1 => "[ -~\u{e0}-\u{ff}]{0,80}",
        1 => "[\u{4e00}-\u{4e80}]{1,30}",
        1 => "[a-z= \t]{1000,1200}",
        1 => "[.=\t -]{1,4}",
    ];
    let lines = |end: &'static [&'static str]| {
        let end = prop::sample::select(end);
        proptest::collection::vec((line.clone(), end), 0..8)
    };
    let lines = prop_oneof![
        5 => lines(&["\r\n"]),
        1 => lines(&["\r\n", "\n", "\r"]),
    ];
    (lines, any::<bool>()).prop_map(|(lines, ended)| {
        let lines: Vec<_> = lines.into_iter().map(|(line, end)| line + end).collect();
        let text = lines.concat();
        let text = if ended {
            &text
        } else {
            text.trim_end_matches(['\r', '\n'])
        };
        text.as_bytes().to_vec()
    })
}

fn leaf() -> impl Strategy<Value = Part> {
    let legible = (0..3_usize, text());
    let bytes = (3..6_usize, proptest::collection::vec(any::<u8>(), 0..400));
    prop_oneof![legible, bytes].prop_map(|(header, body)| Part::Leaf {
        header: LEAF_HEADERS[header],
        body,
    })
}

fn part() -> impl Strategy<Value = Part> {
    leaf().prop_recursive(3, 12, 4, |part| {
        let encoding = prop_oneof![
            Just(""),
            Just("Content-Transfer-Encoding: 8bit\r\n"),
            Just("Content-Transfer-Encoding: binary\r\n"),
        ];
        let subtype = prop_oneof![Just("mixed"), Just("alternative"), Just("related")];
        let parts = proptest::collection::vec(part.clone(), 1..4);
        prop_oneof![
            (subtype, encoding, parts).prop_map(|(subtype, encoding, parts)| Part::Multipart {
                subtype,
                encoding,
                parts
            }),
            (any::<bool>(), part).prop_map(|(version, inner)| Part::Message {
                version,
                // The other reader does not support a message directly within another.
                inner: Box::new(match inner {
                    Part::Message { .. } => Part::Multipart {
                        subtype: "mixed",
                        encoding: "",
                        parts: vec![inner],
                    },
                    inner => inner,
                }),
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn each_part_of_a_recoded_message_has_the_same_content(part in part()) {
        let mail = part.mail();
        let recoded = seven_bit(&mail).unwrap();
        let mut expected = Vec::new();
        part.leaves(&mut expected);
        prop_assert_eq!(read(&recoded), expected);
        // The core sends it without 8BITMIME.
        prop_assert!(scan(&recoded, &LineRules::new()).is_ok());
        let again = seven_bit(&recoded).unwrap();
        prop_assert_eq!(again, recoded);
    }

    #[test]
    fn only_fields_about_the_encoding_are_changed(part in part()) {
        let mail = part.mail();
        let recoded = seven_bit(&mail).unwrap();
        let fields = |text: &[u8]| -> Vec<String> {
            let text = String::from_utf8_lossy(text).replace("\r\n ", " ").replace("\r\n\t", " ");
            let kept = |line: &&str| ["From:", "Subject:", "Content-Type:", "Content-ID:", "X-Other:", "Content-Disposition:", "--=_", "preamble", "epilogue"]
                .iter()
                .any(|start| line.starts_with(start));
            text.lines().filter(kept).map(str::to_owned).collect()
        };
        prop_assert_eq!(fields(&recoded), fields(&mail));
    }

    #[test]
    fn a_damaged_message_is_recoded_or_rejected(
        part in part(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<bool>()), 1..8)
    ) {
        let mut mail = part.mail().to_vec();
        for (at, byte, instead) in damage {
            let at = at.index(mail.len());
            if instead {
                mail[at] = byte;
            } else {
                mail.splice(at..at, [byte; 3]);
            }
        }
        match seven_bit(&mail.clone().into()) {
            Ok(recoded) => prop_assert!(scan(&recoded, &LineRules::new()).is_ok()),
            Err(error) => prop_assert!(error.offset() <= mail.len(), "{}", error),
        }
    }
}
