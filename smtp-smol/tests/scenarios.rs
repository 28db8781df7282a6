//! The scenarios of the machine's tests through the smol client. Its clock is the real one: what waits in vain there waits
//! in a hurry here.

use std::time::Duration;

use crate::played::{Begun, Heard, Manner, Sent, Stage, every_scenario, wants_tls};
use crate::scenario::{Action, Piece, Scenario, source_error};
use futures_lite::future::block_on;
use smtp_smol::Client;
use smtp_smol::proto::ContentStatus;
use smtp_test::{Faulty, Plan, Split};

#[test]
fn every_scenario_goes_as_written_a_byte_at_a_time() {
    every_scenario(Some(SOON), |scenario, split, manner| {
        block_on(run(scenario, split, manner))
    });
}

async fn run(scenario: &Scenario, split: Split, manner: Manner) -> Result<Option<Sent>, String> {
    let (mut stage, server, wire) = Stage::set(scenario, split, manner);
    let stream = Faulty::new(server, Plan::new().at_most(1).pending_first());
    if manner == Manner::Attentive {
        let client = Client::from_stream(stream, stage.attentive(wire));
        let client = readied!(client, await);
        perform!(scenario, stage, client, await);
    } else {
        let client = Client::from_stream(stream, wire);
        let client = secured!(client, async |stream| stage.line.handshake(stream), await);
        perform!(scenario, stage, client, await);
    }
    stage.verdict(scenario)
}

/// How long a server is silent that falls silent: long enough that on a busy machine nothing else takes so long, and short
/// enough to wait for.
const SOON: Duration = Duration::from_millis(500);
