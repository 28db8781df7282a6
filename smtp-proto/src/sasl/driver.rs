use alloc::{boxed::Box, vec::Vec};
use core::fmt;

use super::{
    ConnectionInfo, Exchange, ExchangeError, LINE_MAX, Mechanism, Name, base64_len,
    decode_challenge, initial_response_fits,
};
use crate::Secret;

/// One AUTH command's exchange: what every mechanism has in common.
///
/// It decodes, counts and bounds. After an error from [`challenge`](Self::challenge) the caller
/// cancels the exchange.
pub(crate) struct Driver {
    name: Name,
    exchange: Box<dyn Exchange>,
    /// The initial response that does not go on the AUTH line: it answers the first challenge.
    deferred: Option<Secret>,
    /// How many challenges may still come.
    steps: usize,
}

impl Driver {
    /// Begins; with the initial response that belongs on the AUTH line, if one does.
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

    /// The mechanism's name.
    pub(crate) fn name(&self) -> Name {
        self.name
    }

    /// Answers a 334 reply, given its text.
    pub(crate) fn challenge(&mut self, text: &[u8]) -> Result<Secret, ExchangeError> {
        // What such a challenge says is of no use to a mechanism in which the client speaks first.
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

    /// Judges a 235 reply.
    pub(crate) fn finish(&mut self) -> Result<(), ExchangeError> {
        match self.deferred {
            Some(_) => Err(ExchangeError::Premature),
            None => self.exchange.finish(),
        }
    }

    /// What the server told of the reason for its rejection.
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
