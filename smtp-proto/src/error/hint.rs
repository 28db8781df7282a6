//! The likely cure, where the cause is a usual mistake.

use super::{AuthenticationError, Error, ErrorKind, Misuse, Need, ProtocolError, Stage, Wait};
use crate::body::{Fault, FaultReason};
use crate::inbox::ReplyError;
use crate::place::{Field, Place};
use crate::reply::Reply;

impl Error {
    /// The likely cure, where the cause is a usual mistake.
    pub fn hint(&self) -> Option<&'static str> {
        match self.kind() {
            ErrorKind::Protocol(ProtocolError::Reply(ReplyError::TlsRecord)) => Some(
                "the server speaks TLS from the first byte on this port: use implicit TLS (port 465), \
                 or another port for STARTTLS (587)",
            ),
            ErrorKind::Timeout(Wait::Greeting) => {
                Some("a server that waits for TLS stays silent: on port 465 use implicit TLS")
            }
            ErrorKind::Timeout(Wait::Chunk | Wait::LastChunk) => {
                Some("if the server never answers BDAT, switch CHUNKING off for it")
            }
            ErrorKind::Closed if self.stage() == Stage::Greeting => Some(
                "the server may not serve this client's address, or wait for TLS: on port 465 use implicit TLS",
            ),
            ErrorKind::Protocol(ProtocolError::InjectedBeforeTls) => Some(match self.stage() {
                Stage::TlsHandshake => {
                    "the server does not begin with TLS on this port: use STARTTLS, or port 465"
                }
                _ => {
                    "somebody on the path may be tampering with the connection, or the server is broken"
                }
            }),
            ErrorKind::TlsUnavailable => Some(match self.stage() {
                Stage::StartTls => {
                    "the policy asks for TLS, and the server offered it: try again later, or ask who runs the server"
                }
                _ => {
                    "the policy asks for TLS: check the port (587 offers STARTTLS, 465 is TLS from the first byte); \
                     somebody on the path may be hiding STARTTLS"
                }
            }),
            ErrorKind::Authentication(AuthenticationError::NotOffered) => Some(
                "submission with a password is usually on port 587 or 465; port 25 offers none",
            ),
            ErrorKind::Authentication(AuthenticationError::Rejected { .. }) => {
                of_login(self.reply()?)
            }
            ErrorKind::Authentication(AuthenticationError::Expired { .. }) => {
                Some("the token may have expired: try again with a new one")
            }
            ErrorKind::Refused => of_refusal(self.stage(), self.reply()?),
            ErrorKind::Transport(error) => error.hint,
            ErrorKind::Misuse(Misuse::UpgradePending) => {
                Some("call `upgrade`, or use a client that has a TLS layer")
            }
            ErrorKind::Unsupported(need) => of_need(self.stage(), need, self.place()),
            ErrorKind::Body(fault) => of_fault(*fault),
            _ => None,
        }
    }
}

/// The likely cure of a refusal at this stage.
pub(crate) fn of_refusal(stage: Stage, reply: &Reply) -> Option<&'static str> {
    match (stage, reply.code().as_u16()) {
        (Stage::Mail | Stage::Rcpt, 530) => {
            Some("the server wants a login, or TLS, before it takes mail")
        }
        (Stage::Rcpt, 550 | 554 | 553) if says(reply, b"relay") => {
            Some("the server relays only for users who logged in")
        }
        (Stage::Greeting, 554 | 521) => Some("this host takes no mail"),
        _ => None,
    }
}

/// The likely cure of a text that is not fit to be sent.
pub(crate) fn of_fault(fault: Fault) -> Option<&'static str> {
    match fault.reason() {
        FaultReason::BareCr | FaultReason::BareLf => {
            Some("send the text with CRLF line ends, or ask for line ends to be converted")
        }
        FaultReason::LineTooLong => {
            Some("encode the text as quoted-printable or base64, or raise the limit")
        }
        FaultReason::EightBit => Some("declare beforehand that the text has octets above 127"),
        FaultReason::HeaderEightBit => {
            Some("declare beforehand that the headers have characters beyond ASCII")
        }
        FaultReason::Nul | FaultReason::NotAsScanned => None,
    }
}

/// RFC 4954, section 6, and RFC 5321, section 4.2.4.
fn of_login(reply: &Reply) -> Option<&'static str> {
    match reply.code().as_u16() {
        432 => Some("the password has to be changed once before this mechanism works"),
        454 => Some("the server cannot check passwords right now: try again later"),
        504 => Some("the server does not do this mechanism, whatever it offered"),
        530 => Some("the server wants TLS first"),
        534 => Some("the account may need an application password, or a login by the browser"),
        535 => {
            Some("user name or password is wrong, or the account does not allow this way to log in")
        }
        538 => Some("the server wants encryption for this mechanism"),
        _ => None,
    }
}

fn of_need(stage: Stage, need: &Need, place: Option<&Place>) -> Option<&'static str> {
    match (stage, need) {
        (_, Need::EightBitMime | Need::BinaryMime) => {
            Some("encode the text as quoted-printable or base64, or have it recoded on its way")
        }
        (Stage::Mail, Need::SmtpUtf8) => match place?.field() {
            Field::Text => Some("encode words in headers as RFC 2047 says"),
            Field::Sender | Field::Recipient(_) => {
                Some("a local part has no other form: only a server with SMTPUTF8 takes it")
            }
            _ => None,
        },
        (_, Need::ALabels) => Some("or write it as A-labels, such as xn--bcher-kva.example"),
        _ => None,
    }
}

fn says(reply: &Reply, word: &[u8]) -> bool {
    let has = |line: &[u8]| {
        line.windows(word.len())
            .any(|part| part.eq_ignore_ascii_case(word))
    };
    reply.lines().any(has)
}
