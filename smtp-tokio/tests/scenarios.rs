//! The scenarios of the machine's tests through the tokio client, under a clock that jumps where all wait.

use crate::played::{Begun, Heard, Manner, Sent, Stage, every_scenario, wants_tls};
use crate::scenario::{Action, Piece, Scenario, source_error};
use smtp_test::{Faulty, Plan, Split};
use smtp_tokio::Client;
use smtp_tokio::proto::ContentStatus;
use tokio::runtime;

#[test]
fn every_scenario_goes_as_written_a_byte_at_a_time() {
    every_scenario(None, |scenario, split, manner| {
        runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap()
            .block_on(run(scenario, split, manner))
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
