//! Messages that are handed over to a crew.

use super::*;
use smtp_driver::pool::{CrewId, Sent};

impl World {
    fn hand_over(&self, crew: CrewId) -> Caller {
        let ticket = self.pool.hand_over(self.now, crew, Request::new(), mail());
        Caller::new(ticket.unwrap())
    }

    fn task(&self, crew: CrewId, waker: &Waker) -> Option<Task<Fake>> {
        match self.pool.poll_task(self.now, crew, waker) {
            Poll::Ready(task) => Some(task),
            Poll::Pending => None,
        }
    }

    /// Opens the connection that the crew is to open.
    fn open(&self, crew: CrewId, waker: &Waker) -> (ConnectionId, Ticket, Option<Fake>) {
        let Some(Task::Connect(id, ticket)) = self.task(crew, waker) else {
            panic!("there is a connection to open");
        };
        let mut fake = Fake::new(&self.parted);
        assert!(self.pool.connected(self.now, id, &mut fake));
        (id, ticket, Some(fake))
    }
}

impl Caller {
    fn result(&self, world: &World) -> Option<Result<bool, PoolError>> {
        match world.pool.poll_result(self.ticket, &self.waker) {
            Poll::Pending => None,
            Poll::Ready(result) => Some(match result.expect("it is asked for once") {
                Ok(outcome) => Ok(outcome.is_accepted()),
                Err(error) => Err(error.kind().clone()),
            }),
        }
    }
}

fn sent(fake: &mut Fake, ticket: Ticket, mail: Mail) -> Sent {
    Sent {
        ticket,
        outcome: fake.send(mail),
        before: None,
    }
}

#[test]
fn a_crew_sends_what_is_handed_over_and_tells_the_callers() {
    let world = World::single();
    let crew = world.pool.begin_crew(false, true);
    let worker = Caller::new(world.pool.request(world.now, Request::new()).unwrap());
    world.pool.cancel(world.now, worker.ticket);
    assert!(world.task(crew, &worker.waker).is_none());
    let first = world.hand_over(crew);
    assert!(worker.is_woken());
    let (id, ticket, mut fake) = world.open(crew, &worker.waker);
    assert_eq!(ticket, first.ticket);
    let mail = world.pool.begin(ticket).unwrap();
    assert!(world.pool.begin(ticket).is_none(), "it is taken once");
    let second = world.hand_over(crew);
    // The connection is new: it carries one message until that has ended.
    assert!(world.pool.next_mail(world.now, crew, id).is_none());
    assert_eq!(first.result(&world), None);
    let done = sent(fake.as_mut().unwrap(), ticket, mail);
    let place = (crew, id);
    let pool = &world.pool;
    let (ticket, mail) = pool
        .finish_in_crew(world.now, place, done, &mut fake, true)
        .unwrap();
    assert!(first.is_woken());
    assert_eq!(first.result(&world), Some(Ok(true)));
    assert_eq!(ticket, second.ticket);
    let third = world.hand_over(crew);
    let (ahead, next) = pool.next_mail(world.now, crew, id).unwrap();
    assert_eq!(ahead, third.ticket);
    for (ticket, mail, is_last) in [(ticket, mail, false), (ahead, next, true)] {
        let done = sent(fake.as_mut().unwrap(), ticket, mail);
        let next = pool.finish_in_crew(world.now, place, done, &mut fake, is_last);
        assert!(next.is_none());
    }
    assert!(fake.is_none(), "the pool has it");
    assert_eq!(second.result(&world), Some(Ok(true)));
    assert_eq!(third.result(&world), Some(Ok(true)));
    let gone = pool.poll_result(third.ticket, &third.waker);
    assert!(matches!(gone, Poll::Ready(None)));
    assert_eq!((pool.stats().sent, pool.stats().idle), (3, 1));
}

#[test]
fn a_crew_that_collects_is_told_of_results() {
    let world = World::single();
    let crew = world.pool.begin_crew(true, false);
    let message = world.hand_over(crew);
    let (id, ticket, mut fake) = world.open(crew, &message.waker);
    let mail = world.pool.begin(ticket).unwrap();
    let done = sent(fake.as_mut().unwrap(), ticket, mail);
    let place = (crew, id);
    assert!(!message.is_woken() && world.pool.take_finished(crew).is_none());
    let next = world
        .pool
        .finish_in_crew(world.now, place, done, &mut fake, true);
    assert!(next.is_none() && message.is_woken());
    let (ticket, result) = world.pool.take_finished(crew).unwrap();
    assert!(ticket == message.ticket && result.unwrap().is_accepted());
    assert!(world.pool.take_finished(crew).is_none());
}

#[test]
fn messages_of_a_crew_that_ends_are_returned_to_their_callers() {
    let world = World::single();
    let crew = world.pool.begin_crew(false, true);
    let [connects, waits] = [(); 2].map(|()| world.hand_over(crew));
    assert!(connects.result(&world).is_none() && waits.result(&world).is_none());
    let other = world.caller();
    assert!(other.poll(&world).is_pending());
    world.pool.end_crew(world.now, crew);
    for caller in [connects, waits] {
        assert!(caller.is_woken());
        assert_eq!(caller.result(&world), Some(Err(PoolError::NoDriver)));
    }
    // The connection that was not opened is for the next caller.
    assert!(other.is_woken());
    other.connect(&world);
    let error = world
        .pool
        .hand_over(world.now, crew, Request::new(), mail())
        .unwrap_err();
    assert_eq!(*error.kind(), PoolError::NoDriver);
}

#[test]
fn a_message_that_is_forgotten_is_withdrawn_or_its_result_dropped() {
    let world = World::single();
    let crew = world.pool.begin_crew(false, true);
    let [sent_one, waits] = [(); 2].map(|()| world.hand_over(crew));
    let (id, ticket, mut fake) = world.open(crew, &sent_one.waker);
    let mail = world.pool.begin(ticket).unwrap();
    world.pool.forget(world.now, waits.ticket);
    world.pool.forget(world.now, sent_one.ticket);
    assert_eq!(world.pool.stats().waiting, 0);
    let done = sent(fake.as_mut().unwrap(), ticket, mail);
    let next = world
        .pool
        .finish_in_crew(world.now, (crew, id), done, &mut fake, true);
    assert!(next.is_none() && fake.is_none());
    for caller in [sent_one, waits] {
        let result = world.pool.poll_result(caller.ticket, &caller.waker);
        assert!(matches!(result, Poll::Ready(None)));
    }
    assert_eq!(world.pool.stats().sent, 1);
}

#[test]
fn the_last_crew_that_can_do_so_ends_idle_connections() {
    let mut world = World::new(PoolConfig::new());
    let caller = world.caller();
    let connection = caller.connect(&world);
    caller.send(&world, connection);
    let [first, last] = [(); 2].map(|()| world.pool.begin_crew(false, true));
    let other = world.pool.begin_crew(true, false);
    let worker = Caller::new(caller.ticket);
    assert!(world.task(last, &worker.waker).is_none());
    world.now = world.pool.crew_alarm().unwrap();
    world.pool.handle_timeout(world.now);
    assert!(worker.is_woken());
    for idle in [first, other] {
        assert!(world.task(idle, &worker.waker).is_none());
    }
    // It ends before it does so.
    world.pool.end_crew(world.now, last);
    let Some(Task::Quit(id, fake)) = world.task(first, &worker.waker) else {
        panic!("there is a connection to end");
    };
    assert_eq!(world.parted(), 0);
    fake.part();
    world.pool.closed(world.now, id);
    assert_eq!(world.pool.stats().open, 0);
}
