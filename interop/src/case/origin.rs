//! Speaking for another client.

use std::net::Ipv4Addr;

use smtp_proto::{ErrorKind, Need, Security, Xclient, XclientProto};

use super::{Bench, Case, Done, Verdict, mails};
use crate::adapter::Load;
use crate::letter::Letter;
use crate::site::Door;

pub(super) const CASES: &[Case] = &[
    Case {
        name: "XCLIENT in one line",
        run: |bench| speaks_for(bench, "mail.example.org"),
    },
    Case {
        name: "XCLIENT in two lines",
        run: |bench| speaks_for(bench, &["name"; 49].join(".")),
    },
];

/// The server writes down the other client, by its name and address.
fn speaks_for(bench: &Bench<'_>, name: &str) -> Verdict {
    let addr = Ipv4Addr::new(192, 0, 2, 1);
    let client = Xclient::new()
        .name(name)
        .and_then(|client| client.helo(name))
        .map_err(|error| error.to_string())?
        .addr(std::net::IpAddr::from(addr))
        .port(4711)
        .proto(XclientProto::Esmtp);
    let door = Door::Relay;
    let endpoint = bench.endpoint(door, Security::StartTls).xclient(client);
    let letters = [Letter::new("ok", &["ok"])];
    let session = match bench.converse(endpoint, door, Load::Batch(mails(&letters)?)) {
        Ok(session) => session,
        Err(error) if is_not_offered(error.kind()) => return Ok(Done::Unsupported),
        Err(error) => return Err(error.to_string()),
    };
    if !session
        .outcomes
        .iter()
        .all(smtp_proto::Outcome::is_accepted)
    {
        return Err(format!("{:?}", session.outcomes));
    }
    let stored = bench.collect(1)?;
    let [mail] = stored.as_slice() else {
        return Err(format!("{} mails stored", stored.len()));
    };
    let text = String::from_utf8_lossy(&mail.text);
    let from = format!("({name} [{addr}])");
    if text.contains(&from) {
        Ok(Done::Passed)
    } else {
        Err(format!("not {from}: {}", text.escape_debug()))
    }
}

fn is_not_offered(kind: &ErrorKind) -> bool {
    matches!(kind, ErrorKind::Unsupported(Need::Xclient { .. }))
}
