//! The time to send messages over a 50 ms network, in every way.

use std::fmt::Write;
use std::time::Instant;

use smtp_proto::{Outcome, Security};

use crate::adapter::Load;
use crate::case::{CaseContext, Way, mails};
use crate::environment::Listener;
use crate::message::Message;
use crate::server;
use crate::slow_link::{SlowLink, Traits};

/// Sends `count` messages of 1 kB in each way, one connection after the other. Returns the seconds
/// from connecting to the reply to QUIT.
///
/// # Errors
/// If any message is not accepted, or not stored.
pub(crate) fn run(context: &CaseContext<'_>, count: usize) -> Result<String, String> {
    let text =
        b"A line of the message, as long as lines of messages are wont to be: not all too long.\r\n";
    let messages = vec![Message::new("ok", &["ok"]).body(&text.repeat(12)); count];
    let link = SlowLink::new(Traits::SLOW).map_err(|error| format!("{error:#}"))?;
    let mut table = String::new();
    for way in Way::ALL {
        let endpoint = way.apply(context.endpoint(Listener::Relay, Security::Cleartext));
        let begin = Instant::now();
        let session = context.converse(endpoint, Listener::Relay, Load::Batch(mails(&messages)?));
        let took = begin.elapsed();
        let session = session.map_err(|error| format!("{way:?}: {error:#}"))?;
        let accepted = session.outcomes.iter().filter(|each| each.is_accepted());
        if accepted.count() != count {
            return Err(format!("{way:?}: {:?}", session.outcomes));
        }
        let trips = session.outcomes.last().map(Outcome::stats);
        let trips = trips.map_or(0, |traffic| traffic.round_trips());
        let seconds = took.as_secs_f64();
        writeln!(table, "{way:?}: {seconds:.2} s, {trips} round trips")
            .map_err(|e| e.to_string())?;
    }
    link.end().map_err(|error| format!("{error:#}"))?;
    let stored = server::collect(context.server, context.environment)
        .map_err(|error| format!("{error:#}"))?;
    match stored.len() == count * Way::ALL.len() {
        true => Ok(table),
        false => Err(format!("{} stored", stored.len())),
    }
}
