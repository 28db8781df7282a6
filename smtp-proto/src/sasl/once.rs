use super::{Exchange, Failure};
use crate::Secret;

/// The exchange of a mechanism that says all in its initial response: one message, then the verdict.
pub(super) struct Once(Option<Secret>);

impl Once {
    pub(super) fn new(message: Secret) -> Self {
        Self(Some(message))
    }
}

impl Exchange for Once {
    fn initial_response(&mut self) -> Result<Option<Secret>, Failure> {
        Ok(self.0.take())
    }

    fn respond(&mut self, _: &[u8]) -> Result<Secret, Failure> {
        Err(Failure::TooManyChallenges)
    }

    fn finish(&mut self) -> Result<(), Failure> {
        if self.0.is_some() {
            Err(Failure::Premature)
        } else {
            Ok(())
        }
    }

    fn steps(&self) -> usize {
        0
    }
}
