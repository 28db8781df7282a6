//! Messages that were handed over to a crew, under the lock of a shared pool.

use std::mem::take;

use smtp_pool::{ConnectionId, PoolError, SendError, Ticket};
use smtp_proto::{Mail, Time};

use super::Pooled;
use super::left::Left;
use super::state::{CrewId, HandedOver, State, Task, Work};

impl<C: Pooled> State<C> {
    pub(super) fn handed_over(&mut self, ticket: Ticket) -> Option<&mut HandedOver> {
        match &mut self.tickets.get_mut(&ticket)?.work {
            Work::Crew(message) => Some(message),
            Work::Caller(_) => None,
        }
    }

    /// The caller of a message has gone.
    pub(super) fn forget(&mut self, ticket: Ticket) {
        let is_over = self.pool.withdraw(ticket);
        let Some(message) = self.handed_over(ticket) else {
            return;
        };
        if is_over || message.result.is_some() {
            self.remove(ticket);
            return;
        }
        message.is_forgotten = true;
        if let Some(mail) = message.mail.take() {
            self.left.push_back(Left::Mail(mail));
            self.abandoned.push(ticket);
        }
    }

    /// Withdraws messages whose callers have gone, and that wait again since no connection could be
    /// opened for them.
    pub(super) fn withdraw_abandoned(&mut self) {
        for ticket in take(&mut self.abandoned) {
            if self.pool.withdraw(ticket) {
                self.remove(ticket);
            } else if self.tickets.contains_key(&ticket) {
                self.abandoned.push(ticket);
            }
        }
    }

    pub(super) fn end_crew(&mut self, now: Time, id: CrewId) {
        let Some(crew) = self.crews.remove(&id) else {
            return;
        };
        self.left.extend(crew.waker.map(Left::Waker));
        for task in crew.tasks {
            match task {
                Task::Connect(_, ticket) => self.pool.cancel(now, ticket),
                Task::Send(_, ticket, connection) => {
                    self.pool.cancel(now, ticket);
                    self.left.push_back(Left::Connection(connection));
                }
                Task::Quit(id, connection) => self.quit(id, connection),
            }
        }
        let is_of_crew = |work: &Work<C>| matches!(work, Work::Crew(message) if message.crew == id);
        let tickets = self.tickets.iter();
        let of_crew = tickets.filter(|(_, entry)| is_of_crew(&entry.work));
        let of_crew: Vec<_> = of_crew.map(|(ticket, _)| *ticket).collect();
        for ticket in of_crew {
            self.pool.withdraw(ticket);
            let Some(message) = self.handed_over(ticket) else {
                continue;
            };
            if crew.finished.is_some() || message.is_forgotten {
                // The result is not asked for.
                self.remove(ticket);
            } else if let Some(mail) = message.mail.take() {
                self.finish(ticket, Err(SendError::new(PoolError::NoDriver, mail)));
            }
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
