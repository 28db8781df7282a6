//! A pool, real connections and a server that fails in every way, in memory, for a million
//! messages: none is lost, none is stored twice, and each doubt is reported.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::task::Poll;
use std::time::Duration;

use smtp_pool::proto::{Error, Mail, MailId, Pipelining, Protocol, Time};
use smtp_pool::{Action, ConnectionId, Pool, PoolConfig, Report, Request, Ticket, Verdict};

use crate::exhaustive::is_exhaustive;
use crate::history::dialogue::{Dialogue, refused};

#[test]
fn no_message_is_lost_and_none_is_stored_twice() {
    let count = if is_exhaustive() { 1_000_000 } else { 20_000 };
    let mut world = World {
        pool: Pool::new(PoolConfig::new().with_max_connections(4), 7),
        now: Time::ORIGIN,
        random: 1,
        waiting: BTreeMap::new(),
        links: Vec::new(),
        to_send: (0..count).collect(),
        stored: vec![0; count],
        endings: vec![Ending::Open; count],
    };
    world.run();
    let doubts = world
        .endings
        .iter()
        .filter(|ending| **ending == Ending::InDoubt);
    let doubts = u64::try_from(doubts.count()).unwrap();
    for (number, (ending, stored)) in world.endings.iter().zip(&world.stored).enumerate() {
        match ending {
            Ending::Accepted => assert_eq!(*stored, 1, "{number}"),
            Ending::InDoubt => assert!(*stored <= 1, "{number} was stored {stored} times"),
            Ending::Open => panic!("{number} has no end"),
        }
    }
    let stats = world.pool.stats();
    assert_eq!(stats.sent + doubts, u64::try_from(count).unwrap());
    assert_eq!(stats.in_doubt, doubts);
    // Everything has happened.
    assert!(doubts > 0 && stats.retried > 0 && stats.failed > 0 && stats.unserved > 0);
    assert!(stats.connect_failed > 0 && stats.reused > 0);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Open,
    Accepted,
    InDoubt,
}

struct World {
    pool: Pool,
    now: Time,
    random: u64,
    /// The messages of tickets that have no connection.
    waiting: BTreeMap<Ticket, (usize, Mail)>,
    links: Vec<Link>,
    to_send: VecDeque<usize>,
    /// How often the server has stored each message.
    stored: Vec<u8>,
    endings: Vec<Ending>,
}

struct Link {
    id: ConnectionId,
    /// The ticket that it is opened for, until it is open.
    opens_for: Option<Ticket>,
    dialogue: Dialogue,
    server: Server,
    users: Vec<User>,
}

struct User {
    ticket: Ticket,
    number: usize,
    mail: MailId,
    /// How many bytes had been sent before, if it was alone.
    before: u64,
}

impl World {
    fn run(&mut self) {
        loop {
            while self.waiting.len() < 8
                && let Some(number) = self.to_send.pop_front()
            {
                let ticket = self.pool.request(self.now, Request::new()).unwrap();
                self.waiting.insert(ticket, (number, mail(number)));
            }
            self.act();
            let busy: Vec<usize> = (0..self.links.len())
                .filter(|at| self.links[*at].is_busy())
                .collect();
            if let Some(at) = self.draw(busy.len()).map(|at| busy[at]) {
                self.now = self.now + Duration::from_millis(1);
                self.advance(at);
            } else if self.waiting.is_empty() {
                if self.to_send.is_empty() {
                    break;
                }
            } else {
                self.now = self.pool.poll_timeout().expect("time to wait for");
            }
            self.disturb();
        }
        self.pool.close(self.now, self.now + Duration::from_secs(1));
        self.act();
        assert!(self.pool.is_closed(), "{:?}", self.pool);
    }

    fn act(&mut self) {
        while let Some(action) = self.pool.poll_action(self.now) {
            match action {
                Action::Connect {
                    connection, ticket, ..
                } => {
                    let mut dialogue = Dialogue::new(Pipelining::Transactions, Protocol::Smtp);
                    dialogue.now = self.now;
                    let server =
                        Server::new(self.draw(12_000).unwrap_or(0), self.draw(8).unwrap_or(0));
                    self.links.push(Link {
                        id: connection,
                        opens_for: Some(ticket),
                        dialogue,
                        server,
                        users: Vec::new(),
                    });
                }
                Action::Use {
                    connection, ticket, ..
                } => {
                    let at = self.find(connection);
                    self.submit(at, ticket);
                }
                Action::Quit(connection) => {
                    let at = self.find(connection);
                    self.links.remove(at);
                    self.pool.handle_closed(self.now, connection);
                }
                Action::Fail { ticket, .. } => {
                    // The caller tries once more.
                    let (number, _) = self.waiting.remove(&ticket).unwrap();
                    self.to_send.push_back(number);
                }
                other => panic!("{other:?}"),
            }
        }
    }

    /// An idle connection is closed by the server; the driver sees it, or only when it uses it.
    fn disturb(&mut self) {
        if self.draw(50) != Some(0) {
            return;
        }
        let pause = [0, 10, 1000, 1500, 31_000][self.draw(5).unwrap_or(0)];
        self.now = self.now + Duration::from_millis(pause);
        self.act();
        let idle: Vec<usize> = (0..self.links.len())
            .filter(|at| !self.links[*at].is_busy())
            .collect();
        let Some(at) = self.draw(idle.len()).map(|at| idle[at]) else {
            return;
        };
        let sees = self.draw(2) == Some(0);
        let link = &mut self.links[at];
        link.server
            .output
            .extend_from_slice(b"421 4.4.2 idle for too long\r\n");
        link.server.fault = Some(self.random as usize % 4);
        if sees {
            let id = link.id;
            self.links.remove(at);
            self.pool.handle_closed(self.now, id);
        }
    }

    /// Opens the connection, or sends its messages and reports their outcomes.
    fn advance(&mut self, at: usize) {
        if let Some(ticket) = self.links[at].opens_for {
            self.open(at, ticket);
            return;
        }
        let id = self.links[at].id;
        while self.links[at].users.len() < 3
            && let Some((ticket, _)) = self.pool.take(self.now, id)
        {
            self.submit(at, ticket);
        }
        let mut link = self.links.remove(at);
        link.dialogue.now = self.now;
        let is_alone = link.users.len() == 1;
        for user in std::mem::take(&mut link.users) {
            let outcome = loop {
                if let Poll::Ready(outcome) = link.dialogue.connection.poll_outcome(user.mail) {
                    break outcome.unwrap();
                }
                link.exchange(&mut self.stored);
            };
            self.now = self.now.max(link.dialogue.now);
            let is_untouched = is_alone && outcome.stats().bytes_sent() == user.before;
            let report = Report::new(&outcome, link.dialogue.is_open(), is_untouched);
            match self.pool.handle_outcome(self.now, id, user.ticket, report) {
                Verdict::Again => {
                    assert!(!outcome.is_in_doubt() && !outcome.is_accepted());
                    let again = outcome.retry().expect("a message to send again");
                    self.waiting.insert(user.ticket, (user.number, again));
                }
                Verdict::Final if outcome.is_in_doubt() => {
                    self.end(user.number, Ending::InDoubt);
                }
                Verdict::Final if outcome.is_accepted() => {
                    self.end(user.number, Ending::Accepted);
                }
                Verdict::Final => {
                    assert_eq!(self.stored[user.number], 0, "{outcome}");
                    self.to_send.push_back(user.number);
                }
            }
        }
        if self.pool.is_open(id) {
            self.links.push(link);
        }
    }

    fn open(&mut self, at: usize, ticket: Ticket) {
        let id = self.links[at].id;
        let choice = self.draw(40);
        let link = &mut self.links[at];
        link.opens_for = None;
        let result = match choice {
            Some(0) => Err(refused()),
            Some(1) => Err(Error::connect_timeout()),
            choice => {
                let greeting = if choice == Some(2) {
                    "421 4.7.0 too many\r\n"
                } else {
                    "220 mx.test\r\n"
                };
                link.server.output.extend_from_slice(greeting.as_bytes());
                link.dialogue.now = self.now;
                loop {
                    if let Poll::Ready(result) = link.dialogue.connection.poll_ready() {
                        break result;
                    }
                    link.exchange(&mut self.stored);
                }
            }
        };
        self.now = self.now.max(link.dialogue.now);
        match result {
            Ok(()) => {
                let expected = self.pool.handle_connected(self.now, id, None);
                assert_eq!(expected, Some(ticket));
                self.submit(at, ticket);
            }
            Err(error) => {
                self.links.remove(at);
                self.pool.handle_connect_failed(self.now, id, error);
            }
        }
    }

    fn submit(&mut self, at: usize, ticket: Ticket) {
        let (number, mail) = self.waiting.remove(&ticket).unwrap();
        let link = &mut self.links[at];
        let before = link.dialogue.connection.stats().bytes_sent();
        let mail = link.dialogue.connection.submit(mail);
        link.users.push(User {
            ticket,
            number,
            mail,
            before,
        });
    }

    fn end(&mut self, number: usize, ending: Ending) {
        assert_eq!(self.endings[number], Ending::Open, "two ends");
        self.endings[number] = ending;
    }

    fn find(&self, id: ConnectionId) -> usize {
        self.links.iter().position(|link| link.id == id).unwrap()
    }

    /// A number below `count`, the same in each run.
    fn draw(&mut self, count: usize) -> Option<usize> {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        usize::try_from(self.random >> 20)
            .unwrap()
            .checked_rem(count)
    }
}

impl Link {
    fn is_busy(&self) -> bool {
        self.opens_for.is_some() || !self.users.is_empty()
    }

    /// Moves bytes once in each direction, or time if there are none.
    fn exchange(&mut self, stored: &mut [u8]) {
        let (connection, now) = (&mut self.dialogue.connection, self.dialogue.now);
        let mut moved = false;
        if !self.server.output.is_empty() {
            let bytes = std::mem::take(&mut self.server.output);
            connection.handle_input(now, &bytes);
            moved = true;
        }
        if let Some(fault) = self.server.fault {
            match fault {
                // Silence.
                0 => {}
                1 => connection.handle_read_error(now, reset().into()),
                _ => connection.handle_eof(now),
            }
            moved |= fault > 0;
        }
        if self.server.fault.is_some_and(|fault| fault > 0) {
            return;
        }
        if connection.poll_timeout() == Some(now) {
            connection.handle_timeout(now);
            moved = true;
        }
        if let Some(transmit) = connection.poll_transmit(now) {
            let bytes: Vec<u8> = transmit.iter().flatten().copied().collect();
            connection.handle_sent(now, bytes.len());
            self.server.receive(&bytes, stored);
            moved = true;
        }
        if !moved {
            let until = connection.poll_timeout().expect("a time limit");
            self.dialogue.now = until;
            connection.handle_timeout(until);
        }
    }
}

/// A server that accepts everything, until it fails.
struct Server {
    /// How many bytes it will read.
    left: usize,
    /// How it fails: a quarter of the kinds each for silence, a reset, the end, and 421.
    kind: usize,
    line: Vec<u8>,
    message: Option<usize>,
    in_content: bool,
    output: Vec<u8>,
    fault: Option<usize>,
}

impl Server {
    fn new(left: usize, kind: usize) -> Self {
        Self {
            left,
            kind,
            line: Vec::new(),
            message: None,
            in_content: false,
            output: Vec::new(),
            fault: None,
        }
    }

    fn receive(&mut self, bytes: &[u8], stored: &mut [u8]) {
        if self.fault.is_some() {
            return;
        }
        let is_last = bytes.len() > self.left;
        let read = &bytes[..bytes.len().min(self.left)];
        self.left -= read.len();
        for byte in read {
            self.line.push(*byte);
            if *byte == b'\n' {
                let line = std::mem::take(&mut self.line);
                self.line(&String::from_utf8_lossy(&line), stored);
            }
        }
        if is_last {
            // The replies of the last moment get through or not.
            if self.kind >= 4 {
                self.output.clear();
            } else if self.kind == 3 {
                self.output.extend_from_slice(b"421 4.3.2 closing\r\n");
            }
            self.fault = Some(self.kind % 4);
        }
    }

    fn line(&mut self, line: &str, stored: &mut [u8]) {
        let reply = if self.in_content {
            if line != ".\r\n" {
                return;
            }
            self.in_content = false;
            let number = self.message.take().expect("a recipient");
            stored[number] += 1;
            "250 taken\r\n"
        } else if let Some(rest) = line.strip_prefix("RCPT TO:<m") {
            let (number, _) = rest.split_once('@').unwrap();
            self.message = Some(number.parse().unwrap());
            "250 ok\r\n"
        } else if line == "DATA\r\n" {
            self.in_content = true;
            "354 go\r\n"
        } else if line.starts_with("EHLO") {
            "250-mx.test\r\n250 PIPELINING\r\n"
        } else {
            "250 ok\r\n"
        };
        self.output.extend_from_slice(reply.as_bytes());
    }
}

fn mail(number: usize) -> Mail {
    let recipient = format!("m{number}@x.test");
    Mail::new(
        "a@x.test",
        [recipient.as_str()],
        "From: a@x.test\r\n\r\nhi\r\n",
    )
    .unwrap()
}

fn reset() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}
