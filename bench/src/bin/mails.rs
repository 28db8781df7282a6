//! Sends messages through the blocking client to a server without cost.
//!
//! `mails COUNT [BYTES] [RECIPIENTS] [batch]`: to count instructions, take the difference between
//! two counts. A batch has messages for one recipient. With the feature `counting` it prints the
//! allocations for each message and the heap of an idle connection.

use bench::{Canned, NEXT, ONE, OPENING, TEN, text};
use bytes::Bytes;
use smtp_blocking::Client;
use smtp_proto::{Config, Connection, ForwardPath, Mail, Outcome, Security, Seed};

fn main() {
    let batch = std::env::args().any(|word| word == "batch");
    let mut arguments = std::env::args()
        .skip(1)
        .map_while(|word| word.parse::<usize>().ok());
    let count = arguments.next().unwrap_or(1000);
    let bytes = arguments.next().unwrap_or(1000);
    let recipients = arguments.next().unwrap_or(1);

    let config = Config::builder("client.example.org".parse().unwrap())
        .security(Security::Cleartext)
        .build()
        .unwrap();
    #[cfg(feature = "counting")]
    let before = bench::counting::live();
    let stream = if batch {
        Canned::new(&[&OPENING[..], &ONE[..1]].concat(), NEXT)
    } else {
        Canned::new(&OPENING, if recipients == 1 { ONE } else { TEN })
    };
    let mut client = Client::from_stream(
        stream,
        Connection::new(config.into(), Seed::from_bytes([0; 32])),
    );
    client.ready().unwrap();

    let text = Bytes::from(text(bytes));
    let sender: smtp_proto::ReversePath = "alice@example.org".parse().unwrap();
    let recipients: Vec<ForwardPath> = (0..recipients)
        .map(|index| format!("bob{index}@example.net").parse().unwrap())
        .collect();
    let mail = || Mail::new(sender.clone(), recipients.iter().cloned(), text.clone()).unwrap();
    let mut send = |count| {
        if batch {
            let sent = client.send_all((0..count).map(|_| mail()));
            assert_eq!(sent.filter(Outcome::is_accepted).count(), count);
            return;
        }
        for _ in 0..count {
            assert!(client.send(mail()).unwrap().is_accepted());
        }
    };
    #[cfg(feature = "counting")]
    {
        send(10);
        let allocations = bench::counting::count();
        send(count);
        let allocations = bench::counting::count() - allocations;
        println!(
            "allocations a message: {}",
            allocations as f64 / count as f64
        );
        // Memory of this program itself does not count.
        let own = text.len() + 64 * (recipients.len() + 1) + 4096;
        println!(
            "mail of {} bytes, {} recipients; own {own}",
            text.len(),
            recipients.len()
        );
        drop((text, sender, recipients));
        println!(
            "an idle connection keeps: {} bytes",
            bench::counting::live() - before
        );
    }
    #[cfg(not(feature = "counting"))]
    send(count);
    println!("operations: {}", client.get_ref().operations);
}
