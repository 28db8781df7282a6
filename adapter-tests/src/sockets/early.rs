//! A reply that arrives while content is still being sent.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use smtp_proto::{ErrorKind, Mail, Pipelining, ProtocolError, RecipientStatus, Security};
use smtp_rustls::Endpoint;

use super::Adapter;
use crate::common::long_text;
use crate::narrow::sockets;

/// What the server replies after a part of the content: each piece some time after the one before.
const SAID: [&[&str]; 6] = [
    &["5", "52 5.3.4 too big\r\n"],
    &["552-5.3.4 too", " big\r\n552 5.3.4 by far\r\n"],
    &["552 5.3.4 too big\r\n"],
    &["250 2.0.0 taken\r\n"],
    &["421 4.3.2 going down\r\n"],
    &["221 2.0.0 bye\r\n"],
];

pub fn a_reply_in_the_middle_of_a_text_ends_it<A: Adapter>() {
    let text = long_text(1 << 20);
    for level in [
        Pipelining::Off,
        Pipelining::Envelope,
        Pipelining::Speculative,
    ] {
        for chunking in [false, true] {
            for said in SAID {
                let case = format!("{said:?}, {level:?}, chunking {chunking}");
                let endpoint = Endpoint::builder("localhost")
                    .security(Security::Cleartext)
                    .pipelining(level)
                    .build()
                    .unwrap();
                let (ours, theirs) = sockets();
                let server = thread::spawn(move || serve(theirs, chunking, said).unwrap());
                let mail = Mail::new("alice@example.org", ["bob@example.net"], text.clone());
                let session = endpoint.session();
                let outcome = A::send_over(ours, session, mail.unwrap());
                let RecipientStatus::NotSent(error) = outcome.recipients()[0].status() else {
                    panic!("{case}: {outcome:?}");
                };
                let whole = said.concat();
                let reply = error.reply().expect("the server said why");
                assert_eq!(reply.code().as_u16().to_string(), whole[..3], "{case}");
                assert_eq!(reply.lines().count(), whole.lines().count(), "{case}");
                let right = match reply.code().as_u16() {
                    221 => matches!(error.kind(), ErrorKind::ConnectionLost),
                    _ => matches!(error.kind(), ErrorKind::Protocol(ProtocolError::EarlyReply)),
                };
                assert!(right, "{case}: {error:#}");
                let received = server.join().unwrap();
                assert!(received < 1 << 19, "{case}: {received} bytes");
            }
        }
    }
}

/// Reads a message up to a part of its content, replies, and reads the rest. Returns how much of
/// the content was read.
fn serve(stream: UnixStream, chunking: bool, said: &[&str]) -> io::Result<usize> {
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    writer.write_all(b"220 here\r\n")?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let verb = line.get(..4).unwrap_or(&line);
        let reply: &[u8] = match verb {
            "EHLO" if chunking => b"250-here\r\n250-PIPELINING\r\n250 CHUNKING\r\n",
            "EHLO" => b"250-here\r\n250 PIPELINING\r\n",
            "DATA" => b"354 go on\r\n",
            "BDAT" => b"",
            _ => b"250 2.0.0 well\r\n",
        };
        writer.write_all(reply)?;
        if matches!(verb, "DATA" | "BDAT") {
            break;
        }
    }
    let mut part = vec![0; PART];
    reader.read_exact(&mut part)?;
    for piece in said {
        writer.write_all(piece.as_bytes())?;
        thread::sleep(PAUSE);
    }
    let mut rest = Vec::new();
    match reader.read_to_end(&mut rest) {
        // The client closed without reading every reply.
        Err(error) if error.kind() != io::ErrorKind::ConnectionReset => Err(error),
        _ => Ok(PART + rest.len()),
    }
}

/// How many bytes of the content the server reads before it replies.
const PART: usize = 64 << 10;

/// How long the server pauses. A client that continues meanwhile is detected by what it sends.
const PAUSE: Duration = Duration::from_millis(10);
