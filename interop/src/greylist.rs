//! Greylisting: a server asks by the protocol of Postfix's policy delegation, and the first attempt
//! for a recipient gets a transient rejection.

use std::collections::HashSet;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// Starts to reply to requests, until the program ends; returns the port on loopback.
pub(crate) fn start() -> io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    let seen = Arc::new(Mutex::new(HashSet::new()));
    thread::Builder::new().spawn(move || {
        for stream in listener.incoming().flatten() {
            let seen = Arc::clone(&seen);
            // A server that is gone will ask again.
            thread::spawn(move || _ = answer(&stream, &seen));
        }
    })?;
    Ok(port)
}

/// A request is lines of a name and a value, and an empty line.
fn answer(mut stream: &TcpStream, seen: &Mutex<HashSet<String>>) -> io::Result<()> {
    let mut recipient = String::new();
    for line in BufReader::new(stream).lines() {
        let line = line?;
        if let Some(name) = line.strip_prefix("recipient=") {
            name.clone_into(&mut recipient);
        }
        if line.is_empty() {
            let mut seen = seen.lock().map_err(|_| io::ErrorKind::Other)?;
            let action = match seen.insert(recipient.clone()) {
                true => "451 4.7.1 Greylisted, come back later",
                false => "dunno",
            };
            drop(seen);
            write!(stream, "action={action}\n\n")?;
        }
    }
    Ok(())
}
