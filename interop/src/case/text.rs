//! Content of every shape, byte for byte.

use bytes::Bytes;
use smtp_proto::{Pipelining, Security};

use super::{Case, CaseContext, Done, Text, Verdict, Way};
use crate::adapter::Load;
use crate::environment::Listener;
use crate::message::Message;

macro_rules! cases {
    ($($name:literal: $make:expr,)*) => {
        pub(super) const CASES: &[Case] = &[$(
            Case {
                name: concat!("content: ", $name),
                run: |context| whole(context, $make),
            },
        )*
            Case {
                name: "content: 25 MB by DATA",
                run: |context| by(context, &large(), Text::Data),
            },
            Case {
                name: "content: 25 MB by BDAT, streamed",
                run: streamed,
            },
        ];
    };
}

cases! {
    "every 8-bit byte": (128..=255).flat_map(|byte| [byte, b'x', b'\r', b'\n']).collect::<Vec<_>>(),
    "lines of 998 bytes": [vec![b'l'; 998], b"\r\n".to_vec(), vec![b'.'; 998], b"\r\n".to_vec()].concat(),
    "dots at the beginning of lines": b".\r\n..\r\n.a\r\n...\r\n\r\n.\r\n",
    "a dot at the end": b"a\r\n.",
    "empty body": b"",
    "empty lines only": b"\r\n\r\n\r\n",
    "last line without line end": b"one\r\ntwo",
    "control characters": (1..=31).filter(|byte| ![10, 13].contains(byte)).chain(*b"\x7f\r\n").collect::<Vec<_>>(),
    "SMTP commands": b"QUIT\r\nRSET\r\nFrom me\r\nDATA\r\nBDAT 0 LAST\r\n",
}

fn whole(context: &CaseContext<'_>, body: impl AsRef<[u8]>) -> Verdict {
    for text in [Text::Data, Text::Chunk, Text::Chunks] {
        by(context, body.as_ref(), text)?;
    }
    Ok(Done::Passed)
}

fn by(context: &CaseContext<'_>, body: &[u8], text: Text) -> Verdict {
    let way = Way {
        level: Pipelining::Transactions,
        text,
    };
    let messages = [
        Message::new("ok", &["ok"]).body(body),
        Message::new("ok", &["ok"]),
    ];
    let endpoint = way.apply(context.endpoint(Listener::Relay, Security::StartTls));
    context.deliver(endpoint, Listener::Relay, &messages)?;
    Ok(Done::Passed)
}

fn large() -> Vec<u8> {
    let line = b".A line of sixty-four bytes; 390,625 of these make 25 million.\r\n";
    line.repeat(25_000_000 / line.len())
}

fn streamed(context: &CaseContext<'_>) -> Verdict {
    let message = Message::new("ok", &["ok"]).body(&large());
    let mail = message.streamed().map_err(|error| format!("{error:#}"))?;
    let load = Load::Streamed(mail, Bytes::clone(message.text()));
    let endpoint = context.endpoint(Listener::Relay, Security::StartTls);
    let session = context.converse(endpoint, Listener::Relay, load);
    let session = session.map_err(|error| format!("{error:#}"))?;
    context.check(std::slice::from_ref(&message), &session)?;
    Ok(Done::Passed)
}
