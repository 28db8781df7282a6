//! The choices of an input: the configuration, the acts of the caller, and so the messages.

use std::sync::{Arc, LazyLock};

use smtp_proto::content::BareLineEnds;
use smtp_proto::{
    Command, Config, ConfigBuilder, Credentials, Mail, Pipelining, Protocol, Security,
    SpeculationLimits, StreamedContent, Window,
};

use crate::ledger::Rules;
use crate::reference;

/// A configuration, and the rules by which a client with it is checked.
pub(crate) struct Policy {
    pub(crate) config: Arc<Config>,
    pub(crate) rules: Rules,
    /// Whether it sets the level of pipelining.
    pub(crate) names_level: bool,
}

/// A configuration that is built step by step.
struct Draft {
    config: ConfigBuilder,
    rules: Rules,
    names_level: bool,
}

/// A message that the caller may submit.
pub(super) struct Prepared {
    pub(super) mail: Mail,
    /// The content that a server must receive.
    pub(super) text: &'static [u8],
}

/// The acts of a caller, in this order, before anything else.
#[derive(Clone, Copy)]
pub(super) enum Act {
    Mail(usize),
    Command(usize),
    /// Submits the messages of [`BATCH`] as they are wanted, and then quits.
    Batch,
    Quit,
    /// Abandons the first message when its content is wanted for the second time.
    GiveUp,
}

impl Draft {
    fn new(security: Security) -> Self {
        Self {
            config: Config::builder("client.test".parse().unwrap()).security(security),
            rules: Rules {
                security,
                protocol: Protocol::Smtp,
                level: Pipelining::Envelope,
                // The default of the core.
                speculation: (1 << 16, 1 << 20),
            },
            names_level: false,
        }
    }

    fn change(mut self, change: impl FnOnce(ConfigBuilder) -> ConfigBuilder) -> Self {
        self.config = change(self.config);
        self
    }

    fn level(mut self, level: Pipelining) -> Self {
        self.rules.level = level;
        self.names_level = true;
        self.change(|config| config.pipelining(level))
    }

    /// Limits of speculation, for one message and for all, and the size of a chunk, in bytes.
    fn speculative(mut self, mail: u16, in_flight: u16, chunk: u16) -> Self {
        self.rules.speculation = (mail.min(chunk).into(), in_flight.into());
        let bounds = SpeculationLimits::default()
            .with_message_bytes(mail.into())
            .with_bytes_in_flight(in_flight.into());
        self.level(Pipelining::Speculative)
            .change(|config| config.speculation(bounds).chunk_size(chunk.max(1).into()))
    }

    fn lmtp(mut self) -> Self {
        self.rules.protocol = Protocol::Lmtp;
        self.change(|config| config.protocol(Protocol::Lmtp))
    }

    fn build(self) -> Policy {
        Policy {
            config: Arc::new(self.config.build().unwrap()),
            rules: self.rules,
            names_level: self.names_level,
        }
    }
}

/// The configurations that an input can choose.
pub(crate) static POLICIES: LazyLock<Vec<Policy>> = LazyLock::new(|| {
    let password = || Credentials::password("alice", "correct horse").unwrap();
    let token = || Credentials::xoauth2("alice", "a.token").unwrap();
    let fetched = || Credentials::fetched_token("alice").unwrap();
    let clear = || Draft::new(Security::Cleartext);
    let starttls = || Draft::new(Security::StartTls);
    let implicit = || Draft::new(Security::Implicit);
    let exposed = |config: ConfigBuilder| config.dangerous_credentials_in_cleartext();
    [
        clear(),
        starttls(),
        starttls().change(|config| config.credentials(password())),
        implicit(),
        implicit().change(|config| config.credentials(token())),
        Draft::new(Security::Opportunistic),
        clear().level(Pipelining::Off),
        clear().change(|config| exposed(config.credentials(password()))),
        clear().change(|config| exposed(config.credentials(token()))),
        clear().level(Pipelining::Transactions),
        clear().speculative(1000, 4000, 1000),
        clear().speculative(30, 60, 25),
        clear().lmtp(),
        clear()
            .lmtp()
            .level(Pipelining::Transactions)
            .change(|config| config.chunk_size(16)),
        implicit().speculative(1000, 100, 1000),
        clear().level(Pipelining::Transactions).change(|config| {
            config
                .window(Window::FULL_DUPLEX.with_bytes(100).with_replies(4))
                .chunk_size(10)
        }),
        starttls()
            .level(Pipelining::Transactions)
            .change(|config| config.credentials(password())),
        clear().lmtp().speculative(1000, 1000, 1000),
        clear().speculative(22, 1000, 1000),
        clear().change(|config| exposed(config.credentials(fetched()))),
        implicit().change(|config| config.credentials(fetched())),
    ]
    .into_iter()
    .map(Draft::build)
    .collect()
});

/// The messages that callers submit, each at most once.
pub(super) static MAILS: LazyLock<Vec<Prepared>> = LazyLock::new(|| {
    let two = &["y@x.test", "z@x.test"];
    vec![
        whole("a@x.test", &["x@x.test"], b"Subject: a\r\n\r\nhello\r\n"),
        whole(
            "b@x.test",
            &["x@x.test", "y@x.test", "z@x.test"],
            b".\r\n..\nno end",
        ),
        whole("c@x.test", &["gr\u{fc}n@x.test"], BEYOND_ASCII.as_bytes()),
        streamed("d@x.test", two, StreamedContent::new().size(40)),
        whole("e@x.test", &["x@x.test"], b""),
        binary("f@x.test", &["x@x.test", "x@y.test"]),
        streamed("g@x.test", two, StreamedContent::new()),
        whole(
            "h@x.test",
            &["x@x.test", "x@y.test", "y@x.test", "x@z.test", "y@Y.test"],
            b"to many\r\n",
        ),
        streamed("i@x.test", two, StreamedContent::new().binary()),
    ]
});

/// The messages of a batch.
pub(super) static BATCH: LazyLock<Vec<Prepared>> = LazyLock::new(|| {
    vec![
        whole("0@x.test", &["x@x.test"], b"Subject: 0\r\n\r\nhello\r\n"),
        whole("1@x.test", &["x@x.test", "y@y.test"], b"..\r\n.\r\n"),
        whole("2@x.test", &["x@x.test"], BEYOND_ASCII.as_bytes()),
        // A batch accepts no streamed content.
        streamed("3@x.test", &["x@x.test"], StreamedContent::new()),
        whole("4@x.test", &["x@x.test", "y@x.test", "x@y.test"], b""),
        binary("5@x.test", &["x@x.test"]),
        whole(
            "6@x.test",
            &["x@x.test"],
            b"Subject: not so small\r\n\r\nfor some bounds that others keep to\r\n",
        ),
    ]
});

pub(super) static COMMANDS: LazyLock<Vec<Command>> = LazyLock::new(|| {
    vec![
        Command::noop(),
        Command::rset(),
        Command::vrfy("root").unwrap(),
        Command::custom("XYZZY", Some("plugh")).unwrap(),
    ]
});

fn whole(sender: &str, recipients: &[&str], text: &'static [u8]) -> Prepared {
    let mail = Mail::builder()
        .sender(sender)
        .recipients(recipients.iter().copied())
        .without_header_check()
        .bare_line_ends(BareLineEnds::Convert)
        .message(text);
    let policy = reference::Policy {
        eight_bit: true,
        ..reference::Policy::CONVERT
    };
    Prepared {
        mail: mail.build().unwrap(),
        text: reference::canonical(text, policy).unwrap().leak(),
    }
}

fn binary(sender: &str, recipients: &[&str]) -> Prepared {
    let mail = Mail::builder()
        .sender(sender)
        .recipients(recipients.iter().copied())
        .without_header_check()
        .binary_message(BINARY);
    Prepared {
        mail: mail.build().unwrap(),
        text: BINARY,
    }
}

fn streamed(sender: &str, recipients: &[&str], declared: StreamedContent) -> Prepared {
    let mail = Mail::builder()
        .sender(sender)
        .recipients(recipients.iter().copied())
        .without_header_check()
        .streamed(declared);
    Prepared {
        mail: mail.build().unwrap(),
        text: PIECES.concat().into_bytes().leak(),
    }
}

/// The callers that an input can choose.
pub(super) static CALLERS: &[&[Act]] = &[
    &[Act::Mail(0), Act::Quit],
    &[Act::Mail(1), Act::Mail(0), Act::Quit],
    &[Act::Mail(3), Act::Mail(0), Act::Quit],
    &[Act::Command(0), Act::Mail(1), Act::Command(2), Act::Mail(4)],
    &[Act::Mail(2), Act::Mail(0), Act::Quit],
    &[Act::GiveUp, Act::Mail(3), Act::Mail(0), Act::Quit],
    &[
        Act::Mail(0),
        Act::Command(1),
        Act::Command(3),
        Act::Mail(1),
        Act::Quit,
        Act::Mail(4),
    ],
    &[],
    &[Act::Mail(0), Act::Mail(1), Act::Mail(4), Act::Quit],
    &[Act::Batch],
    &[Act::Mail(5), Act::Mail(0), Act::Quit],
    &[Act::Mail(6), Act::Mail(0), Act::Quit],
    &[Act::Mail(7), Act::Mail(0), Act::Quit],
    &[Act::Mail(8), Act::Mail(0), Act::Quit],
];

/// The pieces of a message with streamed content.
pub(super) const PIECES: &[&str] = &["Subject: d\r", "\n\r\n.", "dot\r\n", ".\r\n"];

const BEYOND_ASCII: &str = "Subject: \u{e9}\r\n\r\n\u{e9}\r\n";

const BINARY: &[u8] = b"a\0\n.\r\n.\r\nQUIT\r\n\r";
