//! What a crew asks of a shared pool.

use std::task::{Poll, Waker};

use smtp_pool::{ConnectionId, PoolError, Report, Request, SendError, Ticket};
use smtp_proto::{Mail, Outcome, Time};

use super::keepers::Follow;
use super::state::{CrewId, HandedOver, Task, Work};
use super::{Finished, Pooled, SharedPool, report};

/// The message of a crew whose outcome is known.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "an argument with names")]
pub struct Sent {
    /// The ticket of the message.
    pub ticket: Ticket,
    /// Its outcome.
    pub outcome: Outcome,
    /// How many bytes the connection had sent when the message was submitted, if no other message
    /// was on it.
    pub before: Option<u64>,
}

impl<C: Pooled> SharedPool<C> {
    /// Begins a crew, for which messages are handed over. If it collects results, it asks for them
    /// by [`take_finished`](Self::take_finished); otherwise the callers do, by
    /// [`poll_result`](Self::poll_result).
    ///
    /// If it `quits`, it ends idle connections, unless a later crew does. Without such a crew they
    /// [part](Pooled::part).
    pub fn begin_crew(&self, collects: bool, quits: bool) -> CrewId {
        self.lock().begin_crew(collects, quits)
    }

    /// Hands a message over to a crew.
    ///
    /// # Errors
    /// If the pool is closed, too many requests wait, the crew has ended, or the content is
    /// streamed.
    pub fn hand_over(
        &self,
        now: Time,
        crew: CrewId,
        request: Request,
        mail: Mail,
    ) -> Result<Ticket, SendError> {
        if mail.size().is_none() {
            return Err(SendError::new(PoolError::Streamed, mail));
        }
        self.with_if(now, |state| {
            if !state.crews.contains_key(&crew) {
                return (
                    Err(SendError::new(PoolError::NoDriver, mail)),
                    Follow::Nothing,
                );
            }
            let message = HandedOver {
                crew,
                mail: Some(mail),
                result: None,
                is_forgotten: false,
            };
            let requested = state.request(now, request, Work::Crew(Box::new(message)));
            let follow = state.after_request(requested.as_ref().ok());
            let requested = requested.map_err(|(error, work)| match work {
                Work::Crew(message) => match message.mail {
                    Some(mail) => SendError::new(error, mail),
                    None => unreachable!("a request that fails takes no message"),
                },
                Work::Caller(_) => unreachable!("the work is returned as it was"),
            });
            (requested, follow)
        })
    }

    /// The next task of a crew. If there is none, the waker is kept.
    pub fn poll_task(&self, now: Time, crew: CrewId, waker: &Waker) -> Poll<Task<C>> {
        self.poll(now, |state| state.take_task(crew, waker))
    }

    /// When a crew has to act, if nothing wakes it before.
    pub fn crew_alarm(&self) -> Option<Time> {
        self.lock().crew_alarm()
    }

    /// Takes the message of a ticket that has a connection. `None` means that the caller has gone;
    /// the connection is to be [returned](Self::release).
    pub fn begin(&self, ticket: Ticket) -> Option<Mail> {
        self.lock().handed_over(ticket)?.mail.take()
    }

    /// Takes the oldest message of a crew for a connection that has room for it.
    pub fn next_mail(&self, now: Time, crew: CrewId, id: ConnectionId) -> Option<(Ticket, Mail)> {
        self.change(|state| {
            let next = state.next_mail(now, crew, id);
            if next.is_some() {
                // An idle connection would have taken the message, so nothing else follows.
                state.acting = Some(crew);
                state.follow(now, Follow::Time);
            }
            next
        })
    }

    /// Reports the outcome of a message of a crew. Returns another message for the same connection;
    /// if there is none and `is_last`, the connection is taken back.
    pub fn finish_in_crew(
        &self,
        now: Time,
        (crew, id): (CrewId, ConnectionId),
        sent: Sent,
        connection: &mut Option<C>,
        is_last: bool,
    ) -> Option<(Ticket, Mail)> {
        let Sent {
            ticket,
            outcome,
            before,
        } = sent;
        let report = match connection {
            // A connection that sent other messages meanwhile has sent more than this.
            Some(connection) => report(&outcome, connection.smtp_mut(), before.unwrap_or(u64::MAX)),
            None => Report::lost(),
        };
        self.with_if(now, |state| {
            state.acting = Some(crew);
            let finished = state.judge(now, (id, ticket), outcome, report);
            let is_final = matches!(finished, Finished::Final(_));
            match finished {
                Finished::Final(outcome) => state.finish(ticket, Ok(outcome)),
                Finished::Again(again) => {
                    if let Some(message) = state.handed_over(ticket) {
                        message.mail = Some(again);
                    }
                }
            }
            if !is_last {
                // A connection that goes on makes no room for others.
                let follow = match is_final && report.is_open() {
                    true => Follow::Nothing,
                    false => Follow::Actions,
                };
                return (None, follow);
            }
            // The next message, before the connection counts as idle for others.
            if let Some(connection) = connection {
                connection.smtp_mut().set_cautious(false);
            }
            let next = state.next_mail(now, crew, id);
            if next.is_none()
                && let Some(connection) = connection.take()
            {
                state.keep(id, connection);
            }
            (next, Follow::Actions)
        })
    }

    /// Asks for the result of a message that was handed over. The answer comes once.
    pub fn poll_result(
        &self,
        ticket: Ticket,
        waker: &Waker,
    ) -> Poll<Option<Result<Outcome, SendError>>> {
        self.change(|state| {
            let Some(message) = state.handed_over(ticket) else {
                return Poll::Ready(None);
            };
            match message.result.take() {
                None => {
                    state.set_waker(ticket, waker);
                    Poll::Pending
                }
                result => {
                    state.remove(ticket);
                    Poll::Ready(result)
                }
            }
        })
    }

    /// The next result that a crew has collected.
    pub fn take_finished(&self, crew: CrewId) -> Option<(Ticket, Result<Outcome, SendError>)> {
        self.change(|state| {
            let ticket = state.crews.get_mut(&crew)?.finished.as_mut()?.pop_front()?;
            let result = state.handed_over(ticket)?.result.take()?;
            state.remove(ticket);
            Some((ticket, result))
        })
    }

    /// The caller does not ask for the result of this message any more. It is withdrawn if it has
    /// not begun.
    pub fn forget(&self, now: Time, ticket: Ticket) {
        self.with(now, |state| state.forget(ticket));
    }

    /// A message of a crew got no connection after all.
    pub fn fail(&self, now: Time, ticket: Ticket, error: PoolError, mail: Mail) {
        self.with(now, |state| {
            state.pool.cancel(now, ticket);
            state.finish(ticket, Err(SendError::new(error, mail)));
        });
    }

    /// Ends a crew, which has no connection any more. Its messages that still wait fail.
    pub fn end_crew(&self, now: Time, id: CrewId) {
        self.with(now, |state| state.end_crew(now, id));
    }
}
