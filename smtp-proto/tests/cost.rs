//! Commands are linear in the recipients (I1). Unit tests count the steps of the state machine.

use crate::common;

use std::sync::Arc;

use common::pair::Pair;
use common::taker::Taker;
use smtp_proto::{Config, Mail, Pipelining, Security};

fn pair(server: Taker) -> Pair<Taker> {
    let config = Config::builder("client.test".parse().unwrap())
        .security(Security::Cleartext)
        .pipelining(Pipelining::Transactions)
        .build();
    Pair::new(Arc::new(config.unwrap()), server)
}

/// The number of commands for a message to this number of recipients.
fn commands(recipients: usize, server: Taker) -> usize {
    let mut pair = pair(server);
    let to = (0..recipients).map(|number| format!("r{number}@x.test"));
    let id = pair
        .connection
        .submit(Mail::new("a@x.test", to, TEXT).unwrap());
    let outcome = pair.drive(|connection| connection.poll_outcome(id));
    let outcome = outcome.unwrap();
    assert!(outcome.is_accepted(), "{:?}", outcome.recipients().first());
    assert_eq!(outcome.recipients().len(), recipients);
    pair.peer.commands
}

const TEXT: &str = "From: <a@x.test>\r\nDate: Mon, 30 Nov 2026 12:00:00 +0000\r\n\r\nhello\r\n";

#[test]
fn a_limit_that_the_server_advertises_costs_a_transaction_each_time_it_is_reached() {
    let keywords = "250-mx.test\r\n250-PIPELINING\r\n250 LIMITS RCPTMAX=100\r\n";
    let commands = commands(2000, Taker::new(keywords, 100));
    // EHLO; each recipient once; for each of 20 transactions MAIL, DATA and at most RSET.
    assert!(commands <= 1 + 2000 + 20 * 3, "{commands} commands");
}

#[test]
fn a_limit_that_only_a_reply_reveals_repeats_few_recipients() {
    let keywords = "250-mx.test\r\n250 PIPELINING\r\n";
    for recipients in [2000, 8000] {
        let commands = commands(recipients, Taker::new(keywords, 100));
        // EHLO; each recipient once, except those of the first flight; for each transaction MAIL,
        // DATA and at most RSET.
        let most = 1 + recipients + recipients / 20 + recipients / 100 * 3;
        assert!(commands <= most, "{commands} commands");
    }
}
