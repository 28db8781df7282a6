//! The answer of a question, where it is known.

use std::task::Poll;

/// A question that has its answer already.
pub(crate) trait Answered<T> {
    fn answer(self) -> T;
}

impl<T> Answered<T> for Poll<T> {
    #[track_caller]
    fn answer(self) -> T {
        match self {
            Self::Ready(answer) => answer,
            Self::Pending => panic!("the answer is not known yet"),
        }
    }
}
