//! What tests of the machine share: a client that is typed by hand.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests, of which no file needs all"
)]

use smtp_test::{Config, Log, Machine, Output, Peer, Rule};

/// All that the server says at this moment; ends are shown as marks.
pub(crate) fn read(machine: &mut Machine) -> String {
    let mut text = String::new();
    while let Some(output) = machine.poll_output() {
        match output {
            Output::Write(bytes) => text.push_str(&String::from_utf8_lossy(&bytes)),
            other => text.push_str(&format!("<{other:?}>")),
        }
    }
    text
}

/// Sends, and gives the answer.
pub(crate) fn ask(machine: &mut Machine, bytes: impl AsRef<[u8]>) -> String {
    machine.handle_input(bytes.as_ref());
    read(machine)
}

/// Sends, and gives the codes of the answer.
pub(crate) fn codes(machine: &mut Machine, bytes: impl AsRef<[u8]>) -> Vec<u16> {
    ask(machine, bytes)
        .lines()
        .filter(|line| line.as_bytes()[3] == b' ')
        .map(|line| line[..3].parse().unwrap())
        .collect()
}

/// A server that has been greeted.
pub(crate) fn greeted(config: &Config) -> Machine {
    let mut machine = Machine::new(config);
    read(&mut machine);
    ask(&mut machine, "EHLO client.test\r\n");
    machine
}

/// The rules that were broken.
pub(crate) fn rules(log: &Log) -> Vec<Rule> {
    log.violations()
        .iter()
        .map(|violation| violation.rule())
        .collect()
}

/// The rules that a client breaks by one flight, after the greeting and EHLO.
pub(crate) fn broken(config: &Config, flight: impl AsRef<[u8]>) -> Vec<Rule> {
    let mut machine = greeted(config);
    ask(&mut machine, flight);
    rules(&machine.log())
}
