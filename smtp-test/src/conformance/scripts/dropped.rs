//! Futures that are dropped at an await and begun anew.

use super::{at_once, one_message, streaming, two_messages};
use crate::conformance::play::{Play, mail_of};
use crate::conformance::script::{Script, all, both, script};
use crate::conformance::server::Fault;

pub(super) fn scripts() -> Vec<Script> {
    let why = "a future that is dropped loses nothing";
    let mut scripts = Vec::new();
    scripts.extend(all(|| {
        script("a drop at every await", why, one_message).turns(1)
    }));
    scripts.extend(all(|| {
        script("a drop at every second await", why, one_message).turns(2)
    }));
    scripts.extend(both(|| {
        script("a drop at every third await", why, two_messages).turns(3)
    }));
    scripts.extend(all(|| {
        script("a drop at every await, a byte at a time", why, at_once)
            .turns(1)
            .fault(Fault::Drip)
    }));
    scripts.extend(both(|| {
        script(
            "a drop at every await of a streamed message",
            why,
            streaming,
        )
        .turns(1)
    }));
    scripts.extend(both(|| {
        script("a drop at every await of a large message", why, large)
            .turns(1)
            .buffers(64 << 10)
    }));
    scripts.extend(both(|| {
        script(
            "a drop at every second await of a large message",
            why,
            large,
        )
        .turns(2)
        .buffers(64 << 10)
    }));
    scripts
}

fn large(play: &mut Play<'_>) {
    let line = ".a line that begins with a dot\r\n";
    play.send(mail_of(format!(
        "From: alice@example.org\r\n\r\n{}",
        line.repeat(20_000)
    )));
}
