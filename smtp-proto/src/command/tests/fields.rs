use alloc::{
    borrow::ToOwned,
    format,
    string::{String, ToString},
};

use super::{server, text as wire_text, *};
use crate::address::Domain;

/// A field that accepts text from the user.
pub(super) struct Field {
    pub(super) name: &'static str,
    /// Texts into which the first test inserts each byte.
    pub(super) samples: &'static [&'static str],
    /// The text before and after each scalar of the second test.
    pub(super) around: (&'static str, &'static str),
    /// Whether the text is accepted. Fails if the server then reads anything but the intended
    /// value.
    pub(super) check: fn(&str) -> bool,
}

pub(super) const FIELDS: &[Field] = &[
    Field {
        name: "reverse path",
        samples: &["a.b@c.de", r#""a \b"@[192.0.2.1]"#, "<a@b>", "a@[IPv6:::1]"],
        around: ("a", "b@c"),
        check: |text| {
            let Ok(path) = text.parse::<ReversePath>() else {
                return false;
            };
            let sent = wire_text(Line::Mail {
                path: &path,
                content: Content::default(),
                parameters: &[],
            });
            let read = server::path(&sent, "MAIL FROM:");
            assert_eq!(read.mailbox, path.mailbox().map(parts), "{text:?}");
            true
        },
    },
    Field {
        name: "quoted local part",
        samples: &[r#""a"@b"#],
        around: ("\"", "\"@c"),
        check: |text| {
            let Ok(path) = text.parse::<ForwardPath>() else {
                return false;
            };
            let sent = wire_text(Line::Rcpt {
                path: &path,
                parameters: &[],
            });
            assert_eq!(
                server::path(&sent, "RCPT TO:").mailbox,
                path.mailbox().map(parts),
                "{text:?}"
            );
            true
        },
    },
    Field {
        name: "domain",
        samples: &["a@b-c.de"],
        around: ("a@b", "c"),
        check: |text| {
            let Ok(path) = text.parse::<ForwardPath>() else {
                return false;
            };
            let sent = wire_text(Line::Rcpt {
                path: &path,
                parameters: &[],
            });
            assert_eq!(
                server::path(&sent, "RCPT TO:").mailbox,
                path.mailbox().map(parts),
                "{text:?}"
            );
            if let Ok(path) = path.to_ascii() {
                let sent = wire_text(Line::Rcpt {
                    path: &path,
                    parameters: &[],
                });
                let read = server::path(&sent, "RCPT TO:").mailbox;
                assert!(sent.is_ascii(), "{text:?}");
                assert_eq!(read, path.mailbox().map(parts), "{text:?}");
            }
            true
        },
    },
    Field {
        name: "plain words of a local part",
        samples: &["a.b", "a b", ""],
        around: ("a", "b"),
        check: |text| {
            let Ok(mailbox) = Mailbox::new(text, "c") else {
                return false;
            };
            let sent = wire_text(Line::Rcpt {
                path: &mailbox.into(),
                parameters: &[],
            });
            let meant = Some((text.to_owned(), "c".to_owned()));
            assert_eq!(server::path(&sent, "RCPT TO:").mailbox, meant, "{text:?}");
            true
        },
    },
    Field {
        name: "recipient without a domain",
        samples: &["a.b", "a b"],
        around: ("a", "b"),
        check: |text| {
            let Ok(path) = ForwardPath::local(text) else {
                return false;
            };
            let sent = wire_text(Line::Rcpt {
                path: &path,
                parameters: &[],
            });
            let meant = Some((text.to_owned(), String::new()));
            assert_eq!(server::path(&sent, "RCPT TO:").mailbox, meant, "{text:?}");
            true
        },
    },
    Field {
        name: "client name",
        samples: &["a-b.c", "[192.0.2.1]", "[IPv6:::1]"],
        around: ("a", "b"),
        check: |text| {
            let Ok(name) = text.parse() else { return false };
            let meant = match text.parse::<Domain>() {
                Ok(domain) => domain.to_ascii().unwrap().to_string(),
                Err(_) => text.to_owned(),
            };
            assert!(meant.is_ascii(), "{text:?}");
            assert_eq!(
                server::line(&wire_text(Line::Ehlo(&name))),
                format!("EHLO {meant}")
            );
            true
        },
    },
    Field {
        name: "keyword",
        samples: &["A-B"],
        around: ("A", "B"),
        check: |text| {
            let Ok(parameter) = Parameter::new(text, None) else {
                return false;
            };
            let sent = wire_text(Line::Rcpt {
                path: &ForwardPath::postmaster(),
                parameters: &[parameter],
            });
            let read = server::path(&sent, "RCPT TO:").parameters;
            assert_eq!(read, [(text.to_ascii_uppercase(), None)]);
            true
        },
    },
    Field {
        name: "value",
        samples: &["ab", "rfc822;a@b"],
        around: ("a", "b"),
        check: |text| {
            let Ok(parameter) = Parameter::new("X", Some(text)) else {
                return false;
            };
            let sent = wire_text(Line::Rcpt {
                path: &ForwardPath::postmaster(),
                parameters: &[parameter],
            });
            let read = server::path(&sent, "RCPT TO:").parameters;
            assert_eq!(read, [("X".to_owned(), Some(text.to_owned()))]);
            true
        },
    },
    Field {
        name: "verb",
        samples: &["X-AB"],
        around: ("X", "Y"),
        check: |text| {
            let Ok(command) = Command::custom(text, Some("a")) else {
                return false;
            };
            assert_eq!(
                server::line(&wire_text(Line::User(&command))),
                format!("{text} a")
            );
            true
        },
    },
    Field {
        name: "arguments",
        samples: &["a b"],
        around: ("a", "b"),
        check: |text| {
            let Ok(command) = Command::custom("X", Some(text)) else {
                return false;
            };
            assert_eq!(
                server::line(&wire_text(Line::User(&command))),
                format!("X {text}")
            );
            true
        },
    },
    Field {
        name: "user to verify",
        samples: &["a b"],
        around: ("a", "b"),
        check: |text| {
            let Ok(command) = Command::vrfy(text) else {
                return false;
            };
            let parameter = if text.is_ascii() { "" } else { " SMTPUTF8" };
            assert_eq!(
                server::line(&wire_text(Line::User(&command))),
                format!("VRFY {text}{parameter}")
            );
            true
        },
    },
];

fn parts(mailbox: &Mailbox) -> (String, String) {
    (
        mailbox.local_part().into_owned(),
        mailbox.domain().to_owned(),
    )
}
