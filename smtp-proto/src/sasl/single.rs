use super::{Exchange, ExchangeError};
use crate::Secret;

/// The exchange of a mechanism whose only message is the initial response.
pub(super) struct SingleMessage(Option<Secret>);

impl SingleMessage {
    pub(super) fn new(message: Secret) -> Self {
        Self(Some(message))
    }
}

impl Exchange for SingleMessage {
    fn initial_response(&mut self) -> Result<Option<Secret>, ExchangeError> {
        Ok(self.0.take())
    }

    fn respond(&mut self, _: &[u8]) -> Result<Secret, ExchangeError> {
        Err(ExchangeError::TooManyChallenges)
    }

    fn finish(&mut self) -> Result<(), ExchangeError> {
        if self.0.is_some() {
            Err(ExchangeError::Premature)
        } else {
            Ok(())
        }
    }

    fn max_challenges(&self) -> usize {
        0
    }
}
