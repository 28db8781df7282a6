//! What a shared pool holds under its lock.

use std::collections::{BTreeMap, VecDeque};
use std::mem::replace;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, Waker};

use smtp_pool::{
    Action, ConnectionId, Pool, PoolConfig, PoolError, Report, Request, SendError, Ticket, Verdict,
};
use smtp_proto::{Mail, Outcome, Time};

use super::keepers::TimeKeepers;
use super::left::{Left, add_waker, set_waker, wake};
use super::{Finished, Pooled, retry};

/// The state of a shared pool.
pub(super) struct State<C> {
    pub(super) pool: Pool,
    /// The idle connections.
    idle: Vec<(ConnectionId, C)>,
    /// Idle connections to be ended, if no crew does it.
    quits: Vec<(ConnectionId, C)>,
    /// What is to be done outside of the lock.
    pub(super) left: VecDeque<Left<C>>,
    pub(super) tickets: BTreeMap<Ticket, Entry<C>>,
    pub(super) crews: BTreeMap<CrewId, Crew<C>>,
    last_crew: u64,
    pub(super) time: TimeKeepers,
    /// The crew that asks for more at present, and need not be woken.
    pub(super) acting: Option<CrewId>,
    is_dropping: Arc<AtomicBool>,
    /// Tickets of crews whose callers have gone before a connection was opened or used.
    pub(super) abandoned: Vec<Ticket>,
    waiters: Waiters,
}

/// Those who wait for more than the result of a message.
#[derive(Default)]
struct Waiters {
    /// For the pool to be closed, and whether they were told.
    closers: Vec<Waker>,
    is_closed: bool,
    /// For one more request that may wait.
    room: Vec<Waker>,
}

/// A ticket that is of use.
pub(super) struct Entry<C> {
    pub(super) deadline: Option<Time>,
    pub(super) waker: Option<Waker>,
    pub(super) work: Work<C>,
}

/// Who does the work for a ticket.
pub(super) enum Work<C> {
    /// The caller, once it has a grant.
    Caller(Option<Grant<C>>),
    /// A crew, to which the message is handed over.
    Crew(Box<HandedOver>),
}

/// A message that was handed over to a crew.
pub(super) struct HandedOver {
    pub(super) crew: CrewId,
    /// Until it is sent.
    pub(super) mail: Option<Mail>,
    pub(super) result: Option<Result<Outcome, SendError>>,
    /// Whether the result is not asked for.
    pub(super) is_forgotten: bool,
}

/// What a caller gets for its ticket.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "a caller has to do one of these")]
pub enum Grant<C> {
    /// A connection to open.
    Connect(ConnectionId),
    /// An idle connection to use.
    Use(ConnectionId, C),
    /// Nothing: the ticket is of no use any more.
    Failed(PoolError),
}

/// A crew: a future that sends the messages of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CrewId(u64);

/// What a crew has to do.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "a crew has to do all of these")]
pub enum Task<C> {
    /// Open a connection, for the message with this ticket.
    Connect(ConnectionId, Ticket),
    /// Send the message with this ticket over an idle connection.
    Send(ConnectionId, Ticket, C),
    /// End an idle connection by QUIT.
    Quit(ConnectionId, C),
}

pub(super) struct Crew<C> {
    pub(super) tasks: VecDeque<Task<C>>,
    /// Messages whose results are known, in this order; `None` if their callers ask for them.
    pub(super) finished: Option<VecDeque<Ticket>>,
    /// Whether it ends idle connections.
    pub(super) quits: bool,
    pub(super) waker: Option<Waker>,
}

impl<C: Pooled> State<C> {
    pub(super) fn new(config: PoolConfig, seed: u64, is_dropping: Arc<AtomicBool>) -> Self {
        Self {
            pool: Pool::new(config, seed),
            idle: Vec::new(),
            quits: Vec::new(),
            left: VecDeque::new(),
            tickets: BTreeMap::new(),
            crews: BTreeMap::new(),
            last_crew: 0,
            time: TimeKeepers::default(),
            acting: None,
            is_dropping,
            abandoned: Vec::new(),
            waiters: Waiters::default(),
        }
    }

    /// Adds a request, for a caller or for a crew.
    pub(super) fn request(
        &mut self,
        now: Time,
        request: Request,
        work: Work<C>,
    ) -> Result<Ticket, (PoolError, Work<C>)> {
        match self.pool.request(now, request) {
            Err(error) => Err((error, work)),
            Ok(ticket) => {
                let entry = Entry {
                    deadline: request.deadline(),
                    waker: None,
                    work,
                };
                self.tickets.insert(ticket, entry);
                Ok(ticket)
            }
        }
    }

    pub(super) fn take_grant(&mut self, ticket: Ticket, waker: &Waker) -> Poll<Grant<C>> {
        let Some(entry) = self.tickets.get_mut(&ticket) else {
            return Poll::Ready(Grant::Failed(PoolError::Closed));
        };
        let granted = match &mut entry.work {
            Work::Caller(grant) => grant.take(),
            Work::Crew(_) => None,
        };
        match granted {
            Some(Grant::Failed(_)) => self.remove(ticket),
            _ => self.set_waker(ticket, waker),
        }
        granted.map_or(Poll::Pending, Poll::Ready)
    }

    /// Removes a ticket that is of no use any more.
    pub(super) fn remove(&mut self, ticket: Ticket) {
        let removed = self.tickets.remove(&ticket);
        self.left.extend(removed.map(Left::Ticket));
    }

    pub(super) fn set_waker(&mut self, ticket: Ticket, waker: &Waker) {
        if let Some(entry) = self.tickets.get_mut(&ticket) {
            set_waker(&mut entry.waker, waker, &mut self.left);
        }
    }

    /// The next task of a crew; otherwise its waker is kept.
    pub(super) fn take_task(&mut self, crew: CrewId, waker: &Waker) -> Poll<Task<C>> {
        let Some(crew) = self.crews.get_mut(&crew) else {
            return Poll::Pending;
        };
        set_waker(&mut crew.waker, waker, &mut self.left);
        crew.tasks.pop_front().map_or(Poll::Pending, Poll::Ready)
    }

    /// Reports the outcome of a caller's message.
    pub(super) fn finish_caller(
        &mut self,
        now: Time,
        (id, ticket): (ConnectionId, Ticket),
        outcome: Outcome,
        report: Report,
    ) -> Finished {
        let finished = self.judge(now, (id, ticket), outcome, report);
        if matches!(finished, Finished::Final(_)) {
            self.remove(ticket);
        }
        finished
    }

    /// Reports an outcome, and returns what becomes of its message.
    pub(super) fn judge(
        &mut self,
        now: Time,
        (id, ticket): (ConnectionId, Ticket),
        outcome: Outcome,
        report: Report,
    ) -> Finished {
        match self.pool.handle_outcome(now, id, ticket, report) {
            Verdict::Again => retry(outcome),
            Verdict::Final => Finished::Final(outcome),
        }
    }

    /// Keeps a connection that is idle, unless it is of no use.
    pub(super) fn keep(&mut self, id: ConnectionId, mut connection: C) {
        if self.pool.is_open(id) {
            connection.smtp_mut().set_cautious(false);
            self.idle.push((id, connection));
        } else {
            self.left.push_back(Left::Connection(connection));
        }
    }

    pub(super) fn has_quits(&self) -> bool {
        !self.quits.is_empty()
    }

    /// Takes the actions of the pool.
    pub(super) fn act(&mut self, now: Time) {
        self.withdraw_abandoned();
        while let Some(action) = self.pool.poll_action(now) {
            match action {
                Action::Connect {
                    connection, ticket, ..
                } => self.grant(ticket, Grant::Connect(connection)),
                Action::Use {
                    connection: id,
                    ticket,
                    is_cautious,
                    ..
                } => {
                    if let Some(mut connection) = self.take_idle(id) {
                        connection.smtp_mut().set_cautious(is_cautious);
                        self.grant(ticket, Grant::Use(id, connection));
                    }
                }
                Action::Quit(id) => {
                    let Some(connection) = self.take_idle(id) else {
                        self.pool.handle_closed(now, id);
                        continue;
                    };
                    self.quit(id, connection);
                }
                Action::Drop(id) => self.drop_late(now, id),
                Action::Fail { ticket, error, .. } => self.grant(ticket, Grant::Failed(error)),
                // The pool has no other action.
                _ => {}
            }
        }
        if self.is_due(now) {
            self.time.armed = None;
            self.time.crew_armed = None;
        }
        self.choose_leader();
        self.acting = None;
        self.tell_all();
    }

    /// Wakes those who wait for more than the result of a message.
    fn tell_all(&mut self) {
        if self.pool.is_dropping() && !self.is_dropping.swap(true, Ordering::AcqRel) {
            for entry in self.tickets.values() {
                wake(&entry.waker, &mut self.left);
            }
            self.wake_crews();
        }
        if self.pool.has_room() {
            self.left
                .extend(self.waiters.room.drain(..).map(Left::Wake));
        }
        if self.pool.is_closed() && !replace(&mut self.waiters.is_closed, true) {
            self.left
                .extend(self.waiters.closers.drain(..).map(Left::Wake));
            self.wake_crews();
        }
    }

    pub(super) fn poll_closed(&mut self, now: Time, waker: &Waker) -> Poll<()> {
        self.act(now);
        if self.pool.is_closed() {
            return Poll::Ready(());
        }
        add_waker(&mut self.waiters.closers, waker);
        Poll::Pending
    }

    pub(super) fn poll_room(&mut self, waker: &Waker) -> Poll<()> {
        if self.pool.has_room() {
            return Poll::Ready(());
        }
        add_waker(&mut self.waiters.room, waker);
        Poll::Pending
    }

    /// Has the last crew that can end an idle connection, which is most likely to be polled; or
    /// has it part.
    pub(super) fn quit(&mut self, id: ConnectionId, connection: C) {
        match self.crews.values_mut().rfind(|crew| crew.quits) {
            Some(crew) => crew.give(Task::Quit(id, connection), &mut self.left),
            None => self.quits.push((id, connection)),
        }
    }

    /// Something to be done outside of the lock.
    pub(super) fn take_left(&mut self) -> Option<Left<C>> {
        self.left.pop_front()
    }

    /// An idle connection to be ended outside of the lock.
    pub(super) fn take_quit(&mut self) -> Option<(ConnectionId, C)> {
        self.quits.pop()
    }

    pub(super) fn begin_crew(&mut self, collects: bool, quits: bool) -> CrewId {
        self.last_crew = self.last_crew.saturating_add(1);
        let crew = Crew {
            tasks: VecDeque::new(),
            finished: collects.then(VecDeque::new),
            quits,
            waker: None,
        };
        self.crews.insert(CrewId(self.last_crew), crew);
        CrewId(self.last_crew)
    }

    /// Keeps the result of a message of a crew, and wakes who wants it.
    pub(super) fn finish(&mut self, ticket: Ticket, result: Result<Outcome, SendError>) {
        let Some(entry) = self.tickets.get_mut(&ticket) else {
            return;
        };
        let Work::Crew(message) = &mut entry.work else {
            return;
        };
        message.result = Some(result);
        if message.is_forgotten {
            self.remove(ticket);
            return;
        }
        let id = message.crew;
        match self.crews.get_mut(&id) {
            Some(crew) if crew.finished.is_some() => {
                crew.finished.get_or_insert_default().push_back(ticket);
                if self.acting != Some(id) {
                    wake(&crew.waker, &mut self.left);
                }
            }
            _ => wake(&entry.waker, &mut self.left),
        }
    }

    fn grant(&mut self, ticket: Ticket, granted: Grant<C>) {
        let Some(entry) = self.tickets.get_mut(&ticket) else {
            return;
        };
        let message = match &mut entry.work {
            Work::Caller(grant) => {
                *grant = Some(granted);
                wake(&entry.waker, &mut self.left);
                return;
            }
            Work::Crew(message) => message,
        };
        let task = match granted {
            Grant::Connect(id) => Task::Connect(id, ticket),
            Grant::Use(id, connection) => Task::Send(id, ticket, connection),
            Grant::Failed(error) => {
                match message.mail.take() {
                    Some(mail) => self.finish(ticket, Err(SendError::new(error, mail))),
                    // Its caller has gone.
                    None => self.remove(ticket),
                }
                return;
            }
        };
        if let Some(crew) = self.crews.get_mut(&message.crew) {
            crew.give(task, &mut self.left);
        }
    }

    fn drop_late(&mut self, now: Time, id: ConnectionId) {
        if let Some(connection) = self.take_idle(id) {
            self.left.push_back(Left::Connection(connection));
            self.pool.handle_closed(now, id);
        }
    }

    pub(super) fn wake_crews(&mut self) {
        for crew in self.crews.values() {
            wake(&crew.waker, &mut self.left);
        }
    }

    fn take_idle(&mut self, id: ConnectionId) -> Option<C> {
        let index = self.idle.iter().position(|(idle, _)| *idle == id)?;
        Some(self.idle.swap_remove(index).1)
    }
}

impl<C> Crew<C> {
    fn give(&mut self, task: Task<C>, left: &mut VecDeque<Left<C>>) {
        self.tasks.push_back(task);
        wake(&self.waker, left);
    }
}
