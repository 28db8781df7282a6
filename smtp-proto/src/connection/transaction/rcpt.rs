//! The recipients of a transaction.

use crate::address::ForwardPath;
use crate::mail::Addressed;
use crate::outcome::{RecipientOutcome, RecipientStatus};
use crate::reply::Reply;
use crate::stage::Stage;

/// A recipient and its state.
#[derive(Debug)]
pub(super) struct Addressee {
    pub(super) path: ForwardPath,
    pub(super) answer: RcptState,
}

/// The list of an envelope becomes that of a transaction, and that the one of an outcome, without an
/// allocation.
const _: () = assert!(
    size_of::<Addressed>() == size_of::<Addressee>()
        && size_of::<Addressee>() == size_of::<RecipientOutcome>()
);

impl Addressee {
    pub(super) const fn new(path: ForwardPath) -> Self {
        Self {
            path,
            answer: RcptState::None,
        }
    }
}

/// The state of a recipient.
#[derive(Debug)]
pub(super) enum RcptState {
    /// RCPT was not sent in this transaction.
    None,
    /// RCPT was sent.
    Asked,
    /// RCPT was accepted.
    Accepted,
    /// RCPT was rejected.
    Rejected(Reply),
    /// One too many for this transaction; it is deferred to the next.
    Deferred(Reply),
    /// Its status is final.
    Known(RecipientStatus),
}

impl RcptState {
    /// The state for the next transaction: deferred recipients start over, the others keep their
    /// result.
    pub(super) fn into_next(self) -> Self {
        match self {
            Self::Deferred(_) => Self::None,
            Self::Rejected(reply) => Self::Known(RecipientStatus::Rejected {
                stage: Stage::Rcpt,
                reply,
            }),
            other => other,
        }
    }

    pub(super) fn take(&mut self) -> Self {
        core::mem::replace(self, Self::None)
    }
}
