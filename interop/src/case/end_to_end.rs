//! A message end to end: composed, protected, submitted, relayed by LMTP, and read by IMAP and
//! POP3.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{fs, io};

use smtp_proto::{Credentials, Mail, Pipelining, Security};

use super::{Case, CaseContext, Done, Text, Verdict, Way};
use crate::adapter::Load;
use crate::environment::{Environment, FAR, HOST, InternalListener, Listener};
use crate::message::{PASSWORD, USER};
use crate::server;

mod composed;
mod smime_pgp;

use composed::composed;
use smime_pgp::{Keys, Protection};

pub(super) const CASES: &[Case] = &[Case {
    name: "end to end, to IMAP and POP3",
    run: whole_way,
}];

/// A message with its exact bytes.
struct Parcel {
    content: Content,
    mark: String,
    text: Vec<u8>,
}

/// The kind of a message.
#[derive(Clone, Copy, Debug)]
enum Content {
    /// Parts of all kinds.
    Composed,
    Protected(Protection),
}

fn whole_way(context: &CaseContext<'_>) -> Verdict {
    if !context.server.is_read_back(context.environment) {
        return Ok(Done::Unsupported);
    }
    let fault = |error: io::Error| error.to_string();
    let keys = Keys::new(&context.environment.path("keys")).map_err(fault)?;
    let mut contents = vec![(Content::Composed, composed().map_err(fault)?)];
    for protection in Protection::ALL {
        contents.push((
            Content::Protected(protection),
            keys.protect(protection).map_err(fault)?,
        ));
    }
    for level in [
        Pipelining::Off,
        Pipelining::Envelope,
        Pipelining::Transactions,
        Pipelining::Speculative,
    ] {
        for text in [Text::Data, Text::Chunk] {
            let way = Way { level, text };
            travel(context, way, &keys, &contents)
                .map_err(|fault| format!("{level:?}, {text:?}: {fault}"))?;
        }
    }
    Ok(Done::Passed)
}

/// Sends one message of each content, and reads them back.
fn travel(
    context: &CaseContext<'_>,
    way: Way,
    keys: &Keys,
    contents: &[(Content, Vec<u8>)],
) -> Result<(), String> {
    let parcels: Vec<_> = contents
        .iter()
        .map(|(content, text)| Parcel::new(*content, text))
        .collect();
    let mails: Result<_, _> = parcels.iter().map(Parcel::mail).collect();
    let mails = mails.map_err(|error| format!("{error:#}"))?;
    let user = format!("{USER}@{HOST}");
    let credentials =
        Credentials::password(&user, PASSWORD).map_err(|error| format!("{error:#}"))?;
    let listener = Listener::Submission;
    let endpoint = way
        .apply(context.endpoint(listener, Security::StartTls))
        .credentials(credentials);
    let session = context
        .converse(endpoint, listener, Load::Batch(mails))
        .map_err(|error| format!("{error:#}"))?;
    if session.outcomes.len() != parcels.len()
        || !session.outcomes.iter().all(|outcome| outcome.is_accepted())
    {
        return Err(format!("{:?}", session.outcomes));
    }
    session.quit.map_err(|error| format!("{error:#}"))?;
    // All messages are relayed by now, and no report came back.
    context.compare_nothing()?;
    let folder = context.environment.path("read");
    read_back(context.environment, &folder).map_err(|error| format!("{error:#}"))?;
    for protocol in ["imap", "pop3"] {
        compare(&folder, protocol, &parcels, keys)
            .map_err(|fault| format!("by {protocol}: {fault}"))?;
    }
    fs::remove_dir_all(&folder).map_err(|error| format!("{error:#}"))
}

/// Reads the mailbox with independent clients, and empties it.
fn read_back(environment: &Environment, folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let mut command = Command::new("python3");
    command
        .args(["-c", include_str!("../../programs/read_back.py")])
        .args(
            [InternalListener::Imap, InternalListener::Pop3]
                .map(|listener| environment.internal_port(listener).to_string()),
        )
        .arg(environment.certificates.authority())
        .args([HOST, USER, PASSWORD])
        .arg(folder);
    server::said(&mut command).map(drop)
}

/// Asserts that each message is there once, byte for byte, and has its meaning.
fn compare(folder: &Path, protocol: &str, parcels: &[Parcel], keys: &Keys) -> Result<(), String> {
    let mut files = BTreeMap::new();
    for number in 1..=parcels.len() {
        let path = folder.join(format!("{protocol}-{number}"));
        let text = fs::read(&path).map_err(|error| format!("mail {number}: {error:#}"))?;
        files.insert(path, text);
    }
    if folder
        .join(format!("{protocol}-{}", parcels.len() + 1))
        .exists()
    {
        return Err("more messages than were sent".into());
    }
    for parcel in parcels {
        let mark = parcel.mark.as_bytes();
        let begin = |text: &Vec<u8>| (text.windows(mark.len())).position(|window| window == mark);
        let mut found = files
            .iter()
            .filter_map(|(path, text)| Some((path, text.split_at(begin(text)?))));
        let (Some((path, (trace, text))), None) = (found.next(), found.next()) else {
            return Err(format!("{:?}: not there once", parcel.content));
        };
        if text != parcel.text {
            let same = text.iter().zip(&parcel.text).take_while(|(a, b)| a == b);
            return Err(format!(
                "{:?}: other bytes from {} on",
                parcel.content,
                same.count()
            ));
        }
        check_trace(trace)?;
        let means = match parcel.content {
            Content::Composed => composed::check(path),
            Content::Protected(protection) => keys.check(protection, path, text),
        };
        means.map_err(|error| format!("{:?}: {error:#}", parcel.content))?;
    }
    Ok(())
}

/// Asserts that servers added only trace fields at the top (RFC 5321, section 4.4).
fn check_trace(trace: &[u8]) -> Result<(), String> {
    for line in String::from_utf8_lossy(trace).lines() {
        let is_trace = ["Return-Path:", "Delivered-To:", "Received:", " ", "\t"]
            .iter()
            .any(|begin| line.starts_with(begin));
        if !is_trace {
            return Err(format!("added: {line}"));
        }
    }
    Ok(())
}

impl Parcel {
    fn new(content: Content, text: &[u8]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let mark = format!(
            "X-Parcel: {:08}\r\n",
            NUMBER.fetch_add(1, Ordering::Relaxed)
        );
        Self {
            content,
            text: [mark.as_bytes(), text].concat(),
            mark,
        }
    }

    fn mail(&self) -> Result<Mail, smtp_proto::MailError> {
        let recipient = format!("{USER}@{FAR}");
        Mail::new("sender@client.test", [recipient], self.text.clone())
    }
}
