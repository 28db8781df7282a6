//! Sends so many mails through the blocking client to a server that costs nothing.
//!
//! `mails COUNT [OCTETS] [RECIPIENTS]`: to count instructions, take the difference between two counts of mails. With the
//! feature `counting` it prints the allocations a mail and what an idle connection keeps.

use bench::{Canned, ONE, OPENING, TEN, text};
use bytes::Bytes;
use smtp_blocking::Client;
use smtp_proto::{Config, Connection, ForwardPath, Mail, Security};

fn main() {
    let mut arguments = std::env::args()
        .skip(1)
        .map(|word| word.parse::<usize>().expect("a number"));
    let count = arguments.next().unwrap_or(1000);
    let octets = arguments.next().unwrap_or(1000);
    let recipients = arguments.next().unwrap_or(1);

    let config = Config::builder("client.example.org".parse().unwrap())
        .security(Security::Cleartext)
        .build()
        .unwrap();
    #[cfg(feature = "counting")]
    let before = bench::counting::live();
    let stream = Canned::new(&OPENING, if recipients == 1 { ONE } else { TEN });
    let mut client = Client::from_stream(stream, Connection::new(config.into(), [0; 32]));
    client.ready().unwrap();

    let text = Bytes::from(text(octets));
    let sender: smtp_proto::ReversePath = "alice@example.org".parse().unwrap();
    let recipients: Vec<ForwardPath> = (0..recipients)
        .map(|index| format!("bob{index}@example.net").parse().unwrap())
        .collect();
    let mut send = |count| {
        for _ in 0..count {
            let mail = Mail::new(sender.clone(), recipients.iter().cloned(), text.clone()).unwrap();
            assert!(client.send(mail).unwrap().is_accepted());
        }
    };
    #[cfg(feature = "counting")]
    {
        send(10);
        let allocations = bench::counting::count();
        send(count);
        let allocations = bench::counting::count() - allocations;
        println!("allocations a mail: {}", allocations as f64 / count as f64);
        // What this program itself holds is not the connection's.
        let own = text.len() + 64 * (recipients.len() + 1) + 4096;
        println!(
            "mail of {} octets, {} recipients; own {own}",
            text.len(),
            recipients.len()
        );
        drop((text, sender, recipients));
        println!(
            "an idle connection keeps: {} octets",
            bench::counting::live() - before
        );
    }
    #[cfg(not(feature = "counting"))]
    send(count);
    println!("operations: {}", client.get_ref().operations);
}
