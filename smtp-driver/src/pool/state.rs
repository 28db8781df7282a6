//! What a shared pool holds under its lock.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, Waker};

use smtp_pool::{
    Action, ConnectionId, Pool, PoolConfig, PoolError, Report, Request, SendError, Ticket, Verdict,
};
use smtp_proto::{Mail, Outcome, Time};

use super::{Finished, Pooled, retry};

/// The state of a shared pool.
pub(super) struct State<C> {
    pub(super) pool: Pool,
    /// The idle connections.
    idle: Vec<(ConnectionId, C)>,
    /// Idle connections to be ended, if no crew does it.
    quits: Vec<(ConnectionId, C)>,
    pub(super) tickets: BTreeMap<Ticket, Entry<C>>,
    pub(super) crews: BTreeMap<CrewId, Crew<C>>,
    last_crew: u64,
    /// The request that waits longest, whose caller keeps the time of the pool, and the time for
    /// which it does.
    leader: Option<Ticket>,
    armed: Option<Time>,
    /// The time for which the crews do the same.
    crew_armed: Option<Time>,
    /// The crew that asks for more at present, and need not be woken.
    pub(super) acting: Option<CrewId>,
    is_dropping: Arc<AtomicBool>,
    /// Those who wait until the pool is closed.
    closers: Vec<Waker>,
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
            tickets: BTreeMap::new(),
            crews: BTreeMap::new(),
            last_crew: 0,
            leader: None,
            armed: None,
            crew_armed: None,
            acting: None,
            is_dropping,
            closers: Vec::new(),
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
        entry.set_waker(waker);
        let Work::Caller(grant) = &mut entry.work else {
            return Poll::Pending;
        };
        match grant.take() {
            None => Poll::Pending,
            Some(grant) => {
                if matches!(grant, Grant::Failed(_)) {
                    self.tickets.remove(&ticket);
                }
                Poll::Ready(grant)
            }
        }
    }

    /// The next task of a crew; otherwise its waker is kept.
    pub(super) fn take_task(&mut self, crew: CrewId, waker: &Waker) -> Poll<Task<C>> {
        let Some(crew) = self.crews.get_mut(&crew) else {
            return Poll::Pending;
        };
        crew.set_waker(waker);
        crew.tasks.pop_front().map_or(Poll::Pending, Poll::Ready)
    }

    /// When the caller with this ticket has to ask again.
    pub(super) fn alarm(&mut self, ticket: Ticket) -> Option<Time> {
        if self.pool.first_waiting() == Some(ticket) {
            self.leader = Some(ticket);
            self.armed = self.pool.poll_timeout();
            return self.armed;
        }
        let is_waiting = self.pool.is_waiting(ticket);
        self.tickets.get(&ticket)?.deadline.filter(|_| is_waiting)
    }

    /// When a crew has to act.
    pub(super) fn crew_alarm(&mut self) -> Option<Time> {
        self.crew_armed = self.pool.poll_timeout();
        self.crew_armed
    }

    /// Reports the outcome of a caller's message.
    pub(super) fn finish_caller(
        &mut self,
        now: Time,
        (id, ticket): (ConnectionId, Ticket),
        outcome: Outcome,
        report: Report,
    ) -> Finished {
        let finished = match self.pool.handle_outcome(now, id, ticket, report) {
            Verdict::Again => retry(outcome),
            Verdict::Final => Finished::Final(outcome),
        };
        if matches!(finished, Finished::Final(_)) {
            self.tickets.remove(&ticket);
        }
        finished
    }

    /// Keeps a connection that is idle, unless it is of no use.
    pub(super) fn keep(&mut self, id: ConnectionId, mut connection: C) {
        if self.pool.is_open(id) {
            connection.smtp_mut().set_cautious(false);
            self.idle.push((id, connection));
        }
    }

    /// Whether actions may have to be taken because of the time.
    pub(super) fn is_due(&self, now: Time) -> bool {
        let is_due = |armed: Option<Time>| armed.is_some_and(|at| at <= now);
        is_due(self.armed) || is_due(self.crew_armed)
    }

    /// Takes the actions of the pool.
    pub(super) fn act(&mut self, now: Time) {
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
            self.armed = None;
            self.crew_armed = None;
        }
        self.choose_leader();
        self.acting = None;
        if self.pool.is_closed() {
            self.closers.drain(..).for_each(Waker::wake);
            self.wake_crews();
        }
    }

    pub(super) fn poll_closed(&mut self, now: Time, waker: &Waker) -> Poll<()> {
        self.act(now);
        if self.pool.is_closed() {
            return Poll::Ready(());
        }
        if !self.closers.iter().any(|closer| closer.will_wake(waker)) {
            self.closers.push(waker.clone());
        }
        Poll::Pending
    }

    /// Has the last crew that can end an idle connection, which is most likely to be polled; or
    /// has it part.
    pub(super) fn quit(&mut self, id: ConnectionId, connection: C) {
        match self.crews.values_mut().rfind(|crew| crew.quits) {
            Some(crew) => crew.give(Task::Quit(id, connection)),
            None => self.quits.push((id, connection)),
        }
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
        if message.is_forgotten {
            self.tickets.remove(&ticket);
            return;
        }
        message.result = Some(result);
        match self.crews.get_mut(&message.crew) {
            Some(crew) if crew.finished.is_some() => {
                crew.finished.get_or_insert_default().push_back(ticket);
                crew.wake();
            }
            _ => entry.wake(),
        }
    }

    fn grant(&mut self, ticket: Ticket, granted: Grant<C>) {
        let Some(entry) = self.tickets.get_mut(&ticket) else {
            return;
        };
        let message = match &mut entry.work {
            Work::Caller(grant) => {
                *grant = Some(granted);
                entry.wake();
                return;
            }
            Work::Crew(message) => message,
        };
        let task = match granted {
            Grant::Connect(id) => Task::Connect(id, ticket),
            Grant::Use(id, connection) => Task::Send(id, ticket, connection),
            Grant::Failed(error) => {
                if let Some(mail) = message.mail.take() {
                    self.finish(ticket, Err(SendError::new(error, mail)));
                }
                return;
            }
        };
        if let Some(crew) = self.crews.get_mut(&message.crew) {
            crew.give(task);
        }
    }

    fn drop_late(&mut self, now: Time, id: ConnectionId) {
        if self.take_idle(id).is_some() {
            self.pool.handle_closed(now, id);
            return;
        }
        self.is_dropping.store(true, Ordering::Release);
        self.tickets.values_mut().for_each(Entry::wake);
        self.wake_crews();
    }

    /// Wakes those who keep the time of the pool, if it has to be looked at sooner than they know.
    fn choose_leader(&mut self) {
        let first = self.pool.first_waiting();
        if first != self.leader {
            self.leader = first;
            self.armed = self.welcome_leader();
        }
        let Some(timeout) = self.pool.poll_timeout() else {
            return;
        };
        if self.armed.is_none_or(|armed| timeout < armed) {
            self.armed = Some(timeout);
            if let Some(entry) = first.and_then(|ticket| self.tickets.get_mut(&ticket)) {
                entry.wake();
            }
        }
        if !self.crews.is_empty() && self.crew_armed.is_none_or(|armed| timeout < armed) {
            self.crew_armed = Some(timeout);
            self.wake_crews();
        }
    }

    /// Wakes the crew of the request that waits longest, whose connections may have room for it.
    /// Returns until when the caller of the request sleeps, if that is known.
    fn welcome_leader(&mut self) -> Option<Time> {
        let entry = self.tickets.get(&self.leader?)?;
        match &entry.work {
            Work::Caller(_) => entry.deadline.filter(|_| entry.waker.is_some()),
            Work::Crew(message) => {
                let id = message.crew;
                if self.acting != Some(id)
                    && let Some(crew) = self.crews.get_mut(&id)
                {
                    crew.wake();
                }
                None
            }
        }
    }

    pub(super) fn wake_crews(&mut self) {
        self.crews.values_mut().for_each(Crew::wake);
    }

    fn take_idle(&mut self, id: ConnectionId) -> Option<C> {
        let index = self.idle.iter().position(|(idle, _)| *idle == id)?;
        Some(self.idle.swap_remove(index).1)
    }
}

// Messages that were handed over.

impl<C: Pooled> State<C> {
    pub(super) fn handed_over(&mut self, ticket: Ticket) -> Option<&mut HandedOver> {
        match &mut self.tickets.get_mut(&ticket)?.work {
            Work::Crew(message) => Some(message),
            Work::Caller(_) => None,
        }
    }

    /// Takes the oldest message for a connection of a crew that has room for it, if it is the
    /// crew's.
    pub(super) fn next_mail(
        &mut self,
        now: Time,
        crew: CrewId,
        id: ConnectionId,
    ) -> Option<(Ticket, Mail)> {
        let first = self.pool.first_waiting()?;
        let message = self.handed_over(first)?;
        if message.crew != crew || message.mail.is_none() {
            return None;
        }
        self.pool.take(now, id)?;
        let mail = self.handed_over(first)?.mail.take()?;
        Some((first, mail))
    }
}

impl<C> Entry<C> {
    pub(super) fn set_waker(&mut self, waker: &Waker) {
        set_waker(&mut self.waker, waker);
    }

    fn wake(&mut self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }
}

impl<C> Crew<C> {
    pub(super) fn set_waker(&mut self, waker: &Waker) {
        set_waker(&mut self.waker, waker);
    }

    pub(super) fn give(&mut self, task: Task<C>) {
        self.tasks.push_back(task);
        self.wake();
    }

    pub(super) fn wake(&mut self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }
}

fn set_waker(kept: &mut Option<Waker>, waker: &Waker) {
    match kept {
        Some(kept) => kept.clone_from(waker),
        None => *kept = Some(waker.clone()),
    }
}
