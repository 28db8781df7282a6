//! The scripts, by topic.

mod broken;
mod dialogue;
mod dropped;
mod early;
mod large;
mod rejections;
mod timers;

use super::play::{Play, TEXT, mail, streamed};
use super::script::Script;

/// All scripts.
pub(super) fn all() -> Vec<Script> {
    [
        dialogue::scripts(),
        rejections::scripts(),
        broken::scripts(),
        early::scripts(),
        large::scripts(),
        timers::scripts(),
        dropped::scripts(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Waits until the connection is ready, and sends a message.
fn one_message(play: &mut Play<'_>) {
    if play.ready() {
        play.send(mail());
    }
}

/// Sends a message without waiting for the connection to be ready.
fn at_once(play: &mut Play<'_>) {
    play.send(mail());
}

fn two_messages(play: &mut Play<'_>) {
    let ids = [mail(), mail()].map(|mail| play.submit(mail));
    for id in ids {
        play.outcome(id);
    }
}

fn streaming(play: &mut Play<'_>) {
    play.stream(streamed(), TEXT.split_inclusive('\n').map(str::as_bytes));
}

/// Waits until the connection is ready, and quits.
fn ready(play: &mut Play<'_>) {
    play.ready();
}

const DELIVERED: &str = "outcome: accepted: 250 2.0.0 queued";
