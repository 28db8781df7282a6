//! A composed message: non-ASCII header fields, alternatives, an inline image, attachments.

use std::path::Path;
use std::{fs, io};

use mail_builder::MessageBuilder;
use sha2::{Digest, Sha256};

use crate::environment::FAR;
use crate::message::USER;

const SUBJECT: &str =
    "Grüße aus Århus: Žluťoučký kůň, 件名, и ещё чуть-чуть текста, чтобы строка была длинной 🐎";
const SENDER: &str = "José Ærlig-Łukasz";
const TEXT: &str = "Liebe Leute,\n.\n..\n.hier steht es: ½ € — 日本語\nFrom now on\n\n-- \nJosé\n";
const HTML: &str =
    "<p>Liebe Leute, <img src=\"cid:picture@client.test\" alt=\"Ein Bild\">: ½ €</p>\n";
const LONG_NAME: &str = "Übersicht über alles, was im vergangenen Jahr gewesen ist (endgültig).csv";

/// Every byte, in two orders.
fn all_bytes() -> Vec<u8> {
    (0..=255)
        .chain((0..=255).rev())
        .cycle()
        .take(5000)
        .collect()
}

/// The smallest picture.
const PICTURE: &[u8] = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\xff\xff\xff\x00\x00\x00!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;";

/// The message.
pub(super) fn composed() -> io::Result<Vec<u8>> {
    MessageBuilder::new()
        .from((SENDER, "sender@client.test"))
        .to(("Älice", &*format!("{USER}@{FAR}")))
        .date(1_788_264_000_i64)
        .message_id("composed@client.test")
        .subject(SUBJECT)
        .text_body(TEXT)
        .html_body(HTML)
        .inline("image/gif", "picture@client.test", PICTURE)
        .attachment("application/octet-stream", "all bytes.bin", all_bytes())
        .attachment("text/csv; charset=utf-8", LONG_NAME, "a,b\r\nä,ß\r\n")
        .write_to_vec()
}

/// Asserts that an independent parser finds all parts in the file.
pub(super) fn check(mail: &Path) -> io::Result<()> {
    let found = fs::read_to_string(mail.with_extension("parts"))?;
    let digest = |bytes: &[u8]| -> String {
        let digest = Sha256::digest(bytes);
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    };
    let expected = [
        format!("subject: {SUBJECT}"),
        format!("from: {SENDER} <sender@client.test>"),
        format!("to: Älice <{USER}@{FAR}>"),
        format!("text/plain None None {}", digest(TEXT.as_bytes())),
        format!("text/html None None {}", digest(HTML.as_bytes())),
        format!("image/gif None <picture@client.test> {}", digest(PICTURE)),
        format!(
            "application/octet-stream all bytes.bin None {}",
            digest(&all_bytes())
        ),
        format!(
            "text/csv {LONG_NAME} None {}",
            digest("a,b\nä,ß\n".as_bytes())
        ),
    ];
    let parts: Vec<_> = found
        .lines()
        .filter(|line| !line.starts_with("multipart/"))
        .collect();
    if parts == expected {
        return Ok(());
    }
    Err(io::Error::other(format!("its parts are: {found}")))
}
