use alloc::{boxed::Box, vec::Vec};
use core::fmt;

use super::{
    ConnectionInfo, Exchange, ExchangeError, LINE_MAX, Mechanism, Name, base64_len,
    decode_challenge, initial_response_fits,
};
use crate::Secret;

/// Drives the exchange of one AUTH command: the part common to all mechanisms.
///
/// It decodes challenges, counts them and limits their length. After an error from
/// [`challenge`](Self::challenge) the caller cancels the exchange.
pub(crate) struct Driver {
    name: Name,
    exchange: Box<dyn Exchange>,
    /// An initial response that is not sent on the AUTH line: it answers the first challenge.
    deferred: Option<Secret>,
    /// The number of challenges that may still follow.
    steps: usize,
}

impl Driver {
    /// Begins an exchange. Returns the initial response if it is sent on the AUTH line.
    pub(crate) fn begin(
        mechanism: &dyn Mechanism,
        context: &ConnectionInfo<'_>,
    ) -> Result<(Self, Option<Secret>), ExchangeError> {
        let name = mechanism.name();
        let mut exchange = mechanism.start(context);
        let response = exchange.initial_response()?.map(bounded).transpose()?;
        let steps = exchange.max_challenges().min(STEPS_MAX);
        let (deferred, sent) = match response {
            Some(response)
                if context.defers_initial_response()
                    || !initial_response_fits(name, response.expose()) =>
            {
                (Some(response), None)
            }
            other => (None, other),
        };
        Ok((
            Self {
                name,
                exchange,
                deferred,
                steps,
            },
            sent,
        ))
    }

    /// The name of the mechanism.
    pub(crate) fn name(&self) -> Name {
        self.name
    }

    /// Responds to a 334 reply, given its text.
    pub(crate) fn challenge(&mut self, text: &[u8]) -> Result<Secret, ExchangeError> {
        // The text of such a challenge is irrelevant to a mechanism in which the client speaks
        // first.
        if let Some(response) = self.deferred.take() {
            return Ok(response);
        }
        let challenge = if self.exchange.reads_challenges() {
            decode_challenge(text)?
        } else {
            Vec::new()
        };
        self.steps = self
            .steps
            .checked_sub(1)
            .ok_or(ExchangeError::TooManyChallenges)?;
        bounded(self.exchange.respond(&challenge)?)
    }

    /// Checks that a 235 reply is allowed here.
    pub(crate) fn finish(&mut self) -> Result<(), ExchangeError> {
        match self.deferred {
            Some(_) => Err(ExchangeError::Premature),
            None => self.exchange.finish(),
        }
    }

    /// The server's reason for its rejection, if it sent one.
    pub(crate) fn server_error(&self) -> Option<&[u8]> {
        self.exchange.server_error()
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialogue")
            .field("name", &self.name)
            .field("steps", &self.steps)
            .finish_non_exhaustive()
    }
}

fn bounded(response: Secret) -> Result<Secret, ExchangeError> {
    if base64_len(response.expose()) > LINE_MAX.saturating_sub("\r\n".len()) {
        return Err(ExchangeError::TooLong);
    }
    Ok(response)
}

/// No mechanism in use needs more than three.
const STEPS_MAX: usize = 16;
