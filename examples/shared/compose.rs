//! A typical message, composed by a MIME crate: non-ASCII words, HTML, an image, an attachment.

use std::io;

use mail_builder::MessageBuilder;
use mail_builder::headers::address::Address;
use mail_builder::mime::MimePart;

/// A whole message: header section with non-ASCII words, plain text and HTML with an image, an
/// attachment.
pub(crate) fn text(sender: &str, recipients: &[&str]) -> io::Result<Vec<u8>> {
    let recipients = recipients.iter().map(|address| Address::from(*address));
    let html = MimePart::new(
        "multipart/related",
        vec![
            MimePart::new("text/html", HTML),
            MimePart::new("image/png", IMAGE)
                .inline()
                .cid("dot@example.org"),
        ],
    );
    let alternatives = MimePart::new(
        "multipart/alternative",
        vec![MimePart::new("text/plain", PLAIN), html],
    );
    let attachment = MimePart::new("text/csv", FIGURES).attachment("zahlen-für-märz.csv");
    MessageBuilder::new()
        .from(("Zoë Ångström", sender))
        .to(Address::new_list(recipients.collect()))
        .subject("Grüße, χαιρετισμούς, 挨拶")
        .message_id("first@client.example.org")
        .body(MimePart::new(
            "multipart/mixed",
            vec![alternatives, attachment],
        ))
        .write_to_vec()
}

/// The line of a single dot would end the message without dot-stuffing.
const PLAIN: &str = "Good day,\r\n\r\nthe figures for March are attached.\r\n.\r\nZoë\r\n";

const HTML: &str = "<p>Good day,</p>\r\n<p><img src=\"cid:dot@example.org\" alt=\"•\"> the figures for <b>March</b> \
     are attached.</p>\r\n<p>Zoë</p>\r\n";

const IMAGE: &[u8] = include_bytes!("dot.png");

const FIGURES: &[u8] = b"month,messages\r\nMarch,31\r\n";
