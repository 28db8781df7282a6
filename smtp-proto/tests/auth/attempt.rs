//! An attempt to log in, with everything that a user could see of it.

use std::sync::{Arc, Mutex};
use std::task::Poll;

use smtp_proto::sasl::{ConnectionInfo, Exchange, ExchangeError, Login, Mechanism, Name, Plain};
use smtp_proto::{Config, Credentials, Error, Secret, Security, Stage};

use crate::common::harness::Harness;
use crate::common::invariants::check_secret;

pub(crate) const CANARY: &str = "tweety-and-sylvester";

/// A connection that has sent AUTH, and all its text for people.
pub(crate) struct Attempt {
    pub(crate) harness: Harness,
    pub(crate) shown: Arc<Mutex<String>>,
    /// The command after the reply to EHLO.
    pub(crate) said: String,
}

impl Attempt {
    pub(crate) fn begin(credentials: Credentials, offered: &str) -> Self {
        let shown = Arc::new(Mutex::new(String::new()));
        let observer = Arc::clone(&shown);
        let config = Config::builder("client.test".parse().unwrap())
            .security(Security::Implicit)
            .credentials(credentials)
            .transcript(move |entry| *observer.lock().unwrap() += &format!("{entry}\n{entry:?}\n"))
            .build()
            .unwrap();
        let mut harness = Harness::new(config);
        let said = harness.secure(offered);
        Self {
            harness,
            shown,
            said,
        }
    }

    /// Gives one line of input, and returns the line that comes back.
    pub(crate) fn ask(&mut self, reply: &str) -> String {
        self.harness.ask(format!("{reply}\r\n"))
    }

    pub(crate) fn is_ready(&mut self) -> bool {
        matches!(self.harness.connection.poll_ready(), Poll::Ready(Ok(())))
    }

    /// The error. Nothing is sent after it, and its text has no secret.
    pub(crate) fn failure(mut self) -> Error {
        let error = self.harness.failure();
        assert_eq!(self.harness.listen(), "", "said after {error:#}");
        assert_eq!(error.stage(), Stage::Auth);
        let auths = self
            .harness
            .sent
            .split(|byte| *byte == b'\n')
            .filter(|line| line.starts_with(b"AUTH "))
            .count();
        assert!(auths <= 1, "a second mechanism was tried");
        let shown = self.shown.lock().unwrap();
        check_secret(CANARY, &shown);
        check_secret(
            CANARY,
            &format!(
                "{error:#} {error:?} {error:#?} {:?}",
                self.harness.connection
            ),
        );
        error
    }
}

pub(crate) fn plain() -> Credentials {
    Credentials::from_mechanisms(vec![Arc::new(Plain::new("alice", CANARY).unwrap())])
}

pub(crate) fn login() -> Credentials {
    Credentials::from_mechanisms(vec![Arc::new(Login::new("alice", CANARY).unwrap())])
}

pub(crate) fn xoauth2() -> Credentials {
    Credentials::xoauth2("alice", CANARY).unwrap()
}

/// QUIT, to a server whose session is in order.
pub(crate) const QUIT: &str = "QUIT\r\n";
pub(crate) const PLAIN: &str = "AUTH PLAIN AGFsaWNlAHR3ZWV0eS1hbmQtc3lsdmVzdGVy\r\n";
pub(crate) const USER: &str = "YWxpY2U=\r\n";
pub(crate) const PASSWORD: &str = "dHdlZXR5LWFuZC1zeWx2ZXN0ZXI=\r\n";
pub(crate) const XOAUTH2: &str =
    "AUTH XOAUTH2 dXNlcj1hbGljZQFhdXRoPUJlYXJlciB0d2VldHktYW5kLXN5bHZlc3RlcgEB\r\n";

/// A mechanism outside the crate, with responses that the test chooses.
#[derive(Clone, Debug, Default)]
pub(crate) struct Own {
    pub(crate) initial: Option<&'static str>,
    /// How often it gives this response.
    pub(crate) steps: usize,
    pub(crate) response: &'static str,
    pub(crate) rejects: bool,
    pub(crate) believes_nothing: bool,
    pub(crate) detail: Option<&'static [u8]>,
    pub(crate) long: Option<usize>,
}

impl Mechanism for Own {
    fn name(&self) -> Name {
        Name::new("X-OWN").unwrap()
    }

    fn start(&self, context: &ConnectionInfo<'_>) -> Box<dyn Exchange> {
        assert!(context.secure());
        assert_eq!(context.nonce(), &[7; 32]);
        Box::new(self.clone())
    }
}

impl Exchange for Own {
    fn initial_response(&mut self) -> Result<Option<Secret>, ExchangeError> {
        Ok(self.initial.map(Secret::from))
    }

    fn respond(&mut self, _: &[u8]) -> Result<Secret, ExchangeError> {
        match self.long {
            _ if self.rejects => Err(ExchangeError::Mechanism("the server is not the one it was")),
            Some(bytes) => Ok(vec![b'r'; bytes].into()),
            None => Ok(self.response.into()),
        }
    }

    fn finish(&mut self) -> Result<(), ExchangeError> {
        if self.believes_nothing {
            return Err(ExchangeError::Mechanism("the server has not proved itself"));
        }
        Ok(())
    }

    fn max_challenges(&self) -> usize {
        self.steps
    }

    fn server_error(&self) -> Option<&[u8]> {
        self.detail
    }
}

pub(crate) fn own(own: Own) -> Credentials {
    Credentials::from_mechanisms(vec![Arc::new(own)])
}
