//! Acting for another client.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};

use smtp_proto::xclient::{Xclient, XclientProto, Xforward, XforwardSource};
use smtp_proto::{Command, ErrorKind, MissingExtension, Outcome, Security};

use super::{Case, CaseContext, Done, Verdict, mails};
use crate::adapter::Load;
use crate::environment::Listener;
use crate::message::Message;

pub(super) const CASES: &[Case] = &[
    Case {
        name: "XCLIENT in one line",
        run: |context| speaks_for(context, "mail.example.org"),
    },
    Case {
        name: "XCLIENT in two lines",
        run: |context| speaks_for(context, &["name"; 49].join(".")),
    },
    Case {
        name: "XFORWARD in one line",
        run: |context| forwards(context, "mail.example.org"),
    },
    Case {
        name: "XFORWARD in two lines",
        run: |context| forwards(context, &["name"; 49].join(".")),
    },
];

/// The server records the other client by its name and address.
fn speaks_for(context: &CaseContext<'_>, name: &str) -> Verdict {
    let client = Xclient::new()
        .name(name)
        .and_then(|client| client.helo(name))
        .map_err(|error| format!("{error:#}"))?
        .addr(ADDR)
        .port(4711)
        .proto(XclientProto::Esmtp);
    let listener = Listener::Relay;
    let endpoint = context
        .endpoint(listener, Security::StartTls)
        .xclient(client);
    let messages = [Message::new("ok", &["ok"])];
    let session = match context.converse(endpoint, listener, Load::Batch(mails(&messages)?)) {
        Ok(session) => session,
        Err(error) if is_not_advertised(error.kind()) => return Ok(Done::Unsupported),
        Err(error) => return Err(format!("{error:#}")),
    };
    if !session.outcomes.iter().all(Outcome::is_accepted) {
        return Err(format!("{:?}", session.outcomes));
    }
    let stored = context.collect(1)?;
    let [mail] = stored.as_slice() else {
        return Err(format!("{} messages stored", stored.len()));
    };
    let text = String::from_utf8_lossy(&mail.text);
    let from = format!("({name} [{ADDR}])");
    if text.contains(&from) {
        Ok(Done::Passed)
    } else {
        Err(format!("not {from}: {}", text.escape_debug()))
    }
}

/// The server logs the source of the message.
fn forwards(context: &CaseContext<'_>, name: &str) -> Verdict {
    let origin = Xforward::new()
        .name(name)
        .and_then(|origin| origin.helo(name))
        .and_then(|origin| origin.proto("ESMTP"))
        .and_then(|origin| origin.ident("4Xyz"))
        .map_err(|error| format!("{error:#}"))?
        .addr(ADDR)
        .port(4711)
        .source(XforwardSource::Remote);
    let listener = Listener::Relay;
    let messages = [Message::new("ok", &["ok"])];
    let mail = messages[0].mail().map_err(|error| format!("{error:#}"))?;
    let load = Load::Behind(Command::xforward(origin), mail);
    let endpoint = context.endpoint(listener, Security::StartTls);
    let session = match context.converse(endpoint, listener, load) {
        Ok(session) => session,
        Err(error) if is_not_advertised(error.kind()) => return Ok(Done::Unsupported),
        Err(error) => return Err(format!("{error:#}")),
    };
    context.check(&messages, &session)?;
    // In Postfix's form, as only Postfix advertises it.
    let log = fs::read(context.environment.path("log")).map_err(|error| format!("{error:#}"))?;
    let from = format!("orig_queue_id=4Xyz, orig_client={name}[{ADDR}]");
    match String::from_utf8_lossy(&log).contains(&from) {
        true => Ok(Done::Passed),
        false => Err(format!("no {from} in the log")),
    }
}

fn is_not_advertised(kind: &ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Unsupported(MissingExtension::Xclient { .. } | MissingExtension::Xforward)
    )
}

const ADDR: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
