//! A pool that callers and crews share, with connections whose server replies at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Poll, Wake, Waker};
use std::time::Duration;

use smtp_driver::smtp_pool::{ConnectionId, Limit, PoolConfig, PoolError, Request, Ticket};
use smtp_proto::{Config, Connection, Credentials, Error, Mail, Outcome, Security, Seed, Time};

use smtp_driver::pool::{Finished, Grant, Pooled, SharedPool, Task};

mod crews;
mod liveness;

/// A connection whose server replies at once.
struct Fake {
    connection: Connection,
    parted: Arc<AtomicU32>,
}

impl Pooled for Fake {
    fn smtp_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }

    fn part(self) {
        self.parted.fetch_add(1, Ordering::Relaxed);
    }
}

impl Fake {
    fn new(parted: &Arc<AtomicU32>) -> Self {
        let config = Config::builder("client.test".parse().unwrap())
            .security(Security::Cleartext)
            .build()
            .unwrap();
        let mut connection = Connection::new(Arc::new(config), Seed::from_bytes([7; 32]));
        for reply in ["220 ready\r\n", "250 hello\r\n"] {
            answer(&mut connection, reply);
        }
        Self {
            connection,
            parted: Arc::clone(parted),
        }
    }

    /// Sends a message, which is accepted.
    fn send(&mut self, mail: Mail) -> Outcome {
        let id = self.connection.submit(mail);
        for reply in ["250 ok\r\n", "250 ok\r\n", "354 go on\r\n", "250 ok\r\n"] {
            answer(&mut self.connection, reply);
        }
        match self.connection.poll_outcome(id) {
            Poll::Ready(outcome) => outcome.unwrap(),
            Poll::Pending => panic!("the server has replied"),
        }
    }

    /// Loses the connection before the message is sent.
    fn lose(&mut self, mail: Mail) -> Outcome {
        let id = self.connection.submit(mail);
        self.connection.handle_eof(Time::ORIGIN);
        match self.connection.poll_outcome(id) {
            Poll::Ready(outcome) => outcome.unwrap(),
            Poll::Pending => panic!("the connection is lost"),
        }
    }
}

fn answer(connection: &mut Connection, reply: &str) {
    let now = Time::ORIGIN;
    // What was sent before a read has found nothing, and what may be sent after that.
    for _ in 0..2 {
        connection.handle_timeout(now);
        let count = connection.poll_transmit(now).map_or(0, |each| each.len());
        connection.handle_sent(now, count);
    }
    connection.handle_input(now, reply.as_bytes());
}

/// Counts how often it is woken.
#[derive(Default)]
struct Count(AtomicU32);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A caller with a ticket.
struct Caller {
    ticket: Ticket,
    count: Arc<Count>,
    waker: Waker,
}

impl Caller {
    fn new(ticket: Ticket) -> Self {
        let count = Arc::<Count>::default();
        Self {
            ticket,
            waker: Arc::clone(&count).into(),
            count,
        }
    }

    fn poll(&self, world: &World) -> Poll<Grant<Fake>> {
        world.pool.poll_grant(world.now, self.ticket, &self.waker)
    }

    /// Whether it was woken since this was asked last.
    fn is_woken(&self) -> bool {
        self.count.0.swap(0, Ordering::Relaxed) > 0
    }

    fn connect(&self, world: &World) -> (ConnectionId, Fake) {
        match self.poll(world) {
            Poll::Ready(Grant::Connect(id)) => {
                let mut fake = Fake::new(&world.parted);
                assert!(world.pool.connected(world.now, id, &mut fake));
                (id, fake)
            }
            other => panic!("{}", name(&other)),
        }
    }

    fn reuse(&self, world: &World) -> (ConnectionId, Fake) {
        match self.poll(world) {
            Poll::Ready(Grant::Use(id, fake)) => (id, fake),
            other => panic!("{}", name(&other)),
        }
    }

    fn failure(&self, world: &World) -> PoolError {
        match self.poll(world) {
            Poll::Ready(Grant::Failed(error)) => error,
            other => panic!("{}", name(&other)),
        }
    }

    /// Sends a message over the connection, and returns it.
    fn send(&self, world: &World, (id, mut fake): (ConnectionId, Fake)) {
        let sent = fake.connection.stats().bytes_sent();
        let outcome = fake.send(mail());
        let finished = world
            .pool
            .finish(world.now, (id, self.ticket), outcome, sent, fake);
        assert!(matches!(finished, Finished::Final(outcome) if outcome.is_accepted()));
    }
}

fn name(grant: &Poll<Grant<Fake>>) -> String {
    match grant {
        Poll::Pending => "nothing yet".into(),
        Poll::Ready(Grant::Connect(_)) => "a connection to open".into(),
        Poll::Ready(Grant::Use(..)) => "an idle connection".into(),
        Poll::Ready(Grant::Failed(error)) => error.to_string(),
    }
}

/// A pool, and its time.
struct World {
    pool: SharedPool<Fake>,
    now: Time,
    parted: Arc<AtomicU32>,
}

impl World {
    fn new(config: PoolConfig) -> Self {
        Self {
            pool: SharedPool::new(config, 7),
            now: Time::ORIGIN + seconds(1),
            parted: Arc::default(),
        }
    }

    /// With one connection at most.
    fn single() -> Self {
        Self::new(PoolConfig::new().with_max_connections(1))
    }

    fn request(&self, request: Request) -> Caller {
        Caller::new(self.pool.request(self.now, request).unwrap())
    }

    fn caller(&self) -> Caller {
        self.request(Request::new())
    }

    /// A caller that waits for at most this time.
    fn patient(&self, limit: Duration) -> Caller {
        self.request(Request::new().with_deadline(self.now + limit))
    }

    fn parted(&self) -> u32 {
        self.parted.load(Ordering::Relaxed)
    }
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn mail() -> Mail {
    let message = "From: alice@example.org\r\n\r\nhello\r\n";
    Mail::new("alice@example.org", ["bob@example.net"], message).unwrap()
}

#[test]
fn the_caller_whose_turn_has_come_is_woken_and_no_other() {
    let world = World::single();
    let [first, second, third] = [(); 3].map(|()| world.caller());
    let connection = first.connect(&world);
    assert!(second.poll(&world).is_pending() && third.poll(&world).is_pending());
    assert!(!second.is_woken());
    first.send(&world, connection);
    assert!(second.is_woken() && !first.is_woken());
    let connection = second.reuse(&world);
    assert!(third.poll(&world).is_pending());
    third.is_woken();
    second.send(&world, connection);
    assert!(third.is_woken() && !second.is_woken());
    let connection = third.reuse(&world);
    third.send(&world, connection);
    assert_eq!((world.pool.stats().sent, world.pool.stats().idle), (3, 1));
}

#[test]
fn the_caller_that_waits_longest_keeps_the_time_of_all() {
    let mut world = World::single();
    let first = world.caller();
    let connection = first.connect(&world);
    let second = world.patient(seconds(60));
    let third = world.patient(seconds(10));
    assert!(second.poll(&world).is_pending() && third.poll(&world).is_pending());
    assert_eq!(
        world.pool.alarm(second.ticket),
        Some(world.now + seconds(10))
    );
    assert_eq!(
        world.pool.alarm(third.ticket),
        Some(world.now + seconds(10))
    );
    // It is told if it has to look sooner than it knows.
    let fourth = world.patient(seconds(5));
    assert!(second.is_woken());
    assert_eq!(
        world.pool.alarm(second.ticket),
        Some(world.now + seconds(5))
    );
    assert!(fourth.poll(&world).is_pending());
    let fifth = world.patient(seconds(50));
    assert!(!second.is_woken());
    // It tells the others that their time is over.
    world.now = world.now + seconds(10);
    assert!(second.poll(&world).is_pending());
    assert!(third.is_woken() && fourth.is_woken());
    for late in [&third, &fourth] {
        let PoolError::Deadline(Limit::Connections { .. }) = late.failure(&world) else {
            panic!("its time is over");
        };
    }
    // When its turn has come, the next one keeps the time, and is told if that is sooner than its
    // own.
    assert!(fifth.poll(&world).is_pending());
    let sixth = world.patient(seconds(5));
    assert!(sixth.poll(&world).is_pending());
    fifth.is_woken();
    first.send(&world, connection);
    assert!(second.is_woken() && fifth.is_woken());
    assert!(fifth.poll(&world).is_pending());
    assert!(world.pool.alarm(fifth.ticket).is_some());
    // A caller that has its grant does not wait.
    assert_eq!(world.pool.alarm(second.ticket), None);
    second.reuse(&world);
}

#[test]
fn a_caller_that_gives_up_makes_room_at_each_state() {
    let world = World::single();
    let [first, second, third, fourth, fifth, sixth] = [(); 6].map(|()| world.caller());
    let callers = [&second, &third, &fourth, &fifth, &sixth];
    assert!(
        callers
            .iter()
            .all(|caller| caller.poll(&world).is_pending())
    );
    // While it has a grant that it has not taken.
    world.pool.cancel(world.now, first.ticket);
    assert!(second.is_woken());
    // While it opens a connection.
    assert!(matches!(
        second.poll(&world),
        Poll::Ready(Grant::Connect(_))
    ));
    world.pool.cancel(world.now, second.ticket);
    assert!(third.is_woken());
    // While it sends.
    let (_, fake) = third.connect(&world);
    drop(fake);
    world.pool.cancel(world.now, third.ticket);
    assert!(fourth.is_woken());
    // While it waits.
    let connection = fourth.connect(&world);
    world.pool.cancel(world.now, fifth.ticket);
    assert!(sixth.poll(&world).is_pending());
    fourth.send(&world, connection);
    assert!(sixth.is_woken());
    // While it has an idle connection that it has not taken.
    let last = world.caller();
    assert!(last.poll(&world).is_pending());
    world.pool.cancel(world.now, sixth.ticket);
    assert!(last.is_woken());
    let connection = last.connect(&world);
    last.send(&world, connection);
    let stats = world.pool.stats();
    assert_eq!(
        (stats.open, stats.idle, stats.waiting, stats.connecting),
        (1, 1, 0, 0)
    );
}

#[test]
fn a_failed_attempt_is_told_to_all_that_wait() {
    let world = World::single();
    let [first, second] = [(); 2].map(|()| world.caller());
    let Poll::Ready(Grant::Connect(id)) = first.poll(&world) else {
        panic!("it opens a connection");
    };
    assert!(second.poll(&world).is_pending());
    let error = Error::connect_timeout();
    world.pool.connect_failed(world.now, id, error.clone());
    assert!(second.is_woken());
    for caller in [first, second] {
        assert_eq!(caller.failure(&world), PoolError::Connect(error.clone()));
        // The ticket is of no use any more.
        assert_eq!(caller.failure(&world), PoolError::Closed);
    }
}

#[test]
fn a_message_that_is_lost_on_a_used_connection_waits_again_with_its_ticket() {
    let world = World::single();
    let first = world.caller();
    let connection = first.connect(&world);
    first.send(&world, connection);
    let second = world.caller();
    let (id, mut fake) = second.reuse(&world);
    let sent = fake.connection.stats().bytes_sent();
    let outcome = fake.lose(mail());
    let place = (id, second.ticket);
    let finished = world.pool.finish(world.now, place, outcome, sent, fake);
    assert!(matches!(finished, Finished::Again(_)));
    let connection = second.connect(&world);
    second.send(&world, connection);
    let stats = world.pool.stats();
    assert_eq!((stats.sent, stats.retried, stats.connected), (2, 0, 2));
}

#[test]
fn a_caller_with_a_connection_gets_it_for_further_messages_unless_others_wait() {
    let world = World::single();
    let first = world.caller();
    let connection = first.connect(&world);
    let id = connection.0;
    let request = Request::new();
    // It has not carried a message yet.
    assert_eq!(world.pool.request_same(world.now, id, request), None);
    first.send(&world, connection);
    let second = world.caller();
    let (id, mut fake) = second.reuse(&world);
    let third = world.pool.request_same(world.now, id, request).unwrap();
    let other = world.caller();
    assert!(other.poll(&world).is_pending());
    assert_eq!(world.pool.request_same(world.now, id, request), None);
    assert_eq!(world.pool.stats().waiting, 1);
    let place = (id, second.ticket);
    let outcome = fake.send(mail());
    let finished = world.pool.finish_one(world.now, place, outcome, &mut fake);
    assert!(matches!(finished, Finished::Final(_)));
    assert!(other.poll(&world).is_pending());
    Caller::new(third).send(&world, (id, fake));
    other.reuse(&world);
}

#[test]
fn idle_connections_part_when_their_time_is_over_and_when_the_pool_closes() {
    let mut world = World::new(PoolConfig::new());
    for closes in [false, true] {
        let caller = world.caller();
        let connection = caller.connect(&world);
        caller.send(&world, connection);
        match closes {
            false => {
                world.now = world.pool.poll_timeout().unwrap();
                world.pool.handle_timeout(world.now);
            }
            true => world.pool.close(world.now, world.now + seconds(1)),
        }
        assert_eq!(world.parted(), 1 + u32::from(closes));
        assert_eq!(world.pool.stats().open, 0);
    }
    assert!(world.pool.is_closed());
}

#[test]
fn at_the_deadline_of_closing_those_that_wait_fail_and_the_others_are_told() {
    let mut world = World::new(PoolConfig::new().with_max_connections(2));
    let [sends, connects, waits] = [(); 3].map(|()| world.caller());
    let (id, mut fake) = sends.connect(&world);
    let Poll::Ready(Grant::Connect(opened)) = connects.poll(&world) else {
        panic!("it opens a connection");
    };
    assert!(waits.poll(&world).is_pending());
    for caller in [&sends, &connects] {
        world.pool.set_waker(caller.ticket, &caller.waker);
    }
    let until = world.now + seconds(5);
    world.pool.close(world.now, until);
    assert_eq!(
        world.pool.request(world.now, Request::new()),
        Err(PoolError::Closed)
    );
    let closer = Caller::new(sends.ticket);
    assert!(
        world
            .pool
            .poll_closed(world.now, &closer.waker)
            .is_pending()
    );
    assert!(!world.pool.is_dropping());
    assert_eq!(world.pool.alarm(waits.ticket), Some(until));
    world.now = until;
    assert!(
        world
            .pool
            .poll_closed(world.now, &closer.waker)
            .is_pending()
    );
    assert!(world.pool.is_dropping());
    assert!(sends.is_woken() && connects.is_woken() && waits.is_woken());
    assert_eq!(waits.failure(&world), PoolError::Closed);
    world.pool.closed(world.now, opened);
    assert_eq!(connects.failure(&world), PoolError::Closed);
    let outcome = fake.lose(mail());
    let place = (id, sends.ticket);
    assert!(!closer.is_woken());
    let finished = world.pool.finish(world.now, place, outcome, 0, fake);
    assert!(matches!(finished, Finished::Final(_)));
    assert!(closer.is_woken() && world.pool.is_closed());
    assert!(world.pool.poll_closed(world.now, &closer.waker).is_ready());
}

#[test]
fn a_refreshed_token_ends_the_connections_with_the_one_before() {
    let world = World::new(PoolConfig::new());
    let first = world.caller();
    let connection = first.connect(&world);
    first.send(&world, connection);
    // A test opens another connection, with a refreshed token.
    let test = world.request(Request::new().fresh());
    let Poll::Ready(Grant::Connect(id)) = test.poll(&world) else {
        panic!("it opens a connection");
    };
    let tokens = Credentials::token_provider("alice", |_| Some("t0k3n".into())).unwrap();
    let config = Config::builder("client.test".parse().unwrap())
        .credentials(tokens)
        .build()
        .unwrap();
    let config = config.with_refreshed_token().unwrap();
    let mut fake = Fake::new(&world.parted);
    fake.connection = Connection::new(Arc::new(config), Seed::from_bytes([7; 32]));
    assert!(world.pool.connected(world.now, id, &mut fake));
    assert_eq!((world.parted(), world.pool.stats().open), (1, 1));
    world.pool.release(world.now, id, test.ticket, fake);
    assert_eq!(world.caller().reuse(&world).0, id);
}
