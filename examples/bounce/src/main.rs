//! Reads a bounce: the report that a server sends to the envelope sender about a message that it
//! accepted and could not deliver (RFC 3461, RFC 3464).
//!
//! A server that rejects a recipient in the session sends no report; that is in the `Outcome`.
//! `Parameter::envelope_id` and `Recipient::original_recipient` set what the report repeats, so
//! that it can be matched with the message.

use mail_parser::{Message, MessageParser, MessagePart, MimeHeaders};

fn main() {
    let report = MessageParser::new().parse(BOUNCE).expect("a message");
    let report = Report::of(&report).expect("a delivery report");
    println!("about message {:?}", report.envelope_id);
    for each in &report.recipients {
        println!(
            "{}: {} {} ({:?})",
            each.recipient, each.action, each.status, each.diagnostic
        );
    }

    assert_eq!(report.envelope_id.as_deref(), Some("QQ314159"));
    let [bob, carol] = &*report.recipients else {
        panic!("two recipients");
    };
    assert_eq!(
        (&*bob.recipient, bob.is_permanent()),
        ("bob@example.net", true)
    );
    assert_eq!(
        (&*carol.recipient, carol.is_permanent()),
        ("carol@example.net", false)
    );
    assert_eq!(
        bob.diagnostic.as_deref(),
        Some("smtp; 550 5.1.1 no such user")
    );
}

/// What became of a message.
struct Report {
    /// The ENVID of the message.
    envelope_id: Option<String>,
    recipients: Vec<RecipientReport>,
}

/// What became of the message for a recipient (RFC 3464, section 2.3).
struct RecipientReport {
    /// The recipient as the sender specified it, or else as the server knows it.
    recipient: String,
    /// `failed`, `delayed`, `delivered`, `relayed` or `expanded`.
    action: String,
    /// The enhanced status code, such as `5.1.1`.
    status: String,
    diagnostic: Option<String>,
}

impl Report {
    /// The report in a message; `None` if there is none.
    fn of(message: &Message<'_>) -> Option<Self> {
        if !message.is_content_type("multipart", "report") {
            return None;
        }
        let is_status = |part: &&MessagePart<'_>| {
            part.is_content_type("message", "delivery-status")
                // With non-ASCII addresses (RFC 6533).
                || part.is_content_type("message", "global-delivery-status")
        };
        let part = message.parts.iter().find(is_status)?;
        let text = String::from_utf8_lossy(part.contents());
        // Groups of fields: of the message, then of each recipient.
        let text = text.replace("\r\n", "\n");
        let mut groups = text.split("\n\n").filter(|group| !group.trim().is_empty());
        let envelope_id = field(groups.next()?, "Original-Envelope-Id");
        let recipients = groups.filter_map(RecipientReport::of).collect();
        Some(Self {
            envelope_id,
            recipients,
        })
    }
}

impl RecipientReport {
    fn of(group: &str) -> Option<Self> {
        let recipient =
            field(group, "Original-Recipient").or_else(|| field(group, "Final-Recipient"))?;
        // After the type of the address, such as `rfc822`.
        let (_, recipient) = recipient.split_once(';')?;
        Some(Self {
            recipient: recipient.trim().to_owned(),
            action: field(group, "Action")?.to_lowercase(),
            status: field(group, "Status")?,
            diagnostic: field(group, "Diagnostic-Code"),
        })
    }

    /// Whether the address is to be removed from a list, or the user to be asked.
    fn is_permanent(&self) -> bool {
        self.action == "failed" && self.status.starts_with('5')
    }
}

/// The value of a field, unfolded.
fn field(group: &str, name: &str) -> Option<String> {
    let fields = MessageParser::new().parse_headers(group)?;
    let words = fields.header_raw(name)?.split_whitespace();
    Some(words.collect::<Vec<_>>().join(" "))
}

const BOUNCE: &str = "\
From: MAILER-DAEMON@mx.example.net (Mail Delivery System)\r
To: alice@example.org\r
Subject: Delivery failed\r
Auto-Submitted: auto-replied\r
MIME-Version: 1.0\r
Content-Type: multipart/report; report-type=delivery-status; boundary=\"b\"\r
\r
--b\r
Content-Type: text/plain\r
\r
Your message could not be delivered to two recipients.\r
--b\r
Content-Type: message/delivery-status\r
\r
Reporting-MTA: dns; mx.example.net\r
Original-Envelope-Id: QQ314159\r
\r
Original-Recipient: rfc822;bob@example.net\r
Final-Recipient: rfc822; bob@store.example.net\r
Action: failed\r
Status: 5.1.1\r
Diagnostic-Code: smtp;\r
 550 5.1.1 no such user\r
\r
Final-Recipient: rfc822; carol@example.net\r
Action: delayed\r
Status: 4.2.2\r
\r
--b\r
Content-Type: text/rfc822-headers\r
\r
From: alice@example.org\r
Subject: hello\r
--b--\r
";
