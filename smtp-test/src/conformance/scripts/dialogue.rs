//! The dialogue without faults, and rejections.

use smtp_proto::Command;

use crate::conformance::play::{Play, TEXT, mail, streamed};
use crate::conformance::script::{Script, all, script};

pub(super) fn scripts() -> Vec<Script> {
    [
        all(|| script("greeting to QUIT", "RFC 5321, section 3.1", one_message)),
        all(|| script("two messages", "RFC 5321, section 3.3", two_messages)),
        all(|| script("a streamed message", "RFC 5321, section 3.3", streaming)),
        all(|| script("a command", "RFC 5321, section 3.5", command)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn one_message(play: &mut Play<'_>) {
    if play.ready() {
        play.send(mail());
    }
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

fn command(play: &mut Play<'_>) {
    play.command(Command::noop());
}
