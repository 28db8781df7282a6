//! For any challenges of a server: a mechanism takes exactly its steps, each response decodes to
//! the given values, no secret is shown; and in SCRAM, a server without the password has no
//! success.

use std::sync::{Arc, Mutex};
use std::task::Poll;

use smtp_proto::sasl::{
    Anonymous, CredentialsError, External, Login, Mechanism, OAuthBearer, Plain, Scram, XOAuth2,
};
use smtp_proto::{Config, Connection, Credentials, Secret, Security, Seed, Time};

use crate::base64::decode;
use crate::choice;
use crate::common::invariants::{check_secret, disguises};
use crate::common::pair::transmit;

/// Bytes: the mechanism, the lengths of name and secret, how often each is repeated; then both,
/// then the server's output from the reply to AUTH.
pub fn sasl(mut input: &[u8]) {
    let kind = choice(&mut input, 8);
    let lengths = [choice(&mut input, 20), choice(&mut input, 20)];
    let times = [1, 1, 40, 400][choice(&mut input, 4)];
    let [user, secret] = lengths.map(|len| {
        let (text, rest) = input.split_at(len.min(input.len()));
        input = rest;
        String::from_utf8_lossy(text).repeat(times)
    });
    let secret = format!("{CANARY}{secret}");
    let (mechanism, messages) = match mechanism(kind, &user, &secret) {
        Ok(made) => made,
        Err(error) => return check_secret(CANARY, &format!("{error} {error:?}")),
    };
    let name = mechanism.name().as_str();
    let mut client = Client::new(mechanism);
    client.hear(b"220 x\r\n");
    client.hear(format!("250-x\r\n250 AUTH {name}\r\n").as_bytes());
    let expected = Dialogue::expected(name, &messages, input);
    let proves = name.starts_with("SCRAM-");
    for line in input.split_inclusive(|&byte| byte == b'\n') {
        client.hear(line);
    }
    if proves {
        client.check_unproven(&expected);
    } else {
        client.check(&expected);
    }
    // If the server sends the secret, it is shown; a byte that is escaped may add the first two
    // letters.
    let said = String::from_utf8_lossy(input);
    if !disguises(CANARY)
        .iter()
        .any(|form| said.contains(&form[2..]))
    {
        client.check_shown();
    }
}

/// A mechanism, and the messages that it must send.
type Made = (Arc<dyn Mechanism>, Vec<Vec<u8>>);

fn mechanism(kind: usize, user: &str, secret: &str) -> Result<Made, CredentialsError> {
    let text = |text: String| text.into_bytes();
    Ok(match kind {
        0 => (
            Arc::new(Plain::new(user, secret)?),
            vec![text(format!("\0{user}\0{secret}"))],
        ),
        1 => (
            Arc::new(Plain::new(user, secret)?.authorize_as(user)?),
            vec![text(format!("{user}\0{user}\0{secret}"))],
        ),
        2 => (
            Arc::new(Login::new(user, Secret::from(secret))?),
            vec![text(user.to_owned()), text(secret.to_owned())],
        ),
        3 => (
            Arc::new(XOAuth2::new(user, secret)?),
            // The second response is for an error that a server may send as a challenge.
            vec![
                text(format!("user={user}\x01auth=Bearer {secret}\x01\x01")),
                Vec::new(),
            ],
        ),
        4 => (
            Arc::new(OAuthBearer::new(user, secret)?),
            vec![
                text(format!(
                    "n,a={},\x01auth=Bearer {secret}\x01\x01",
                    saslname(user)
                )),
                vec![1],
            ],
        ),
        5 => (
            Arc::new(External::new().authorize_as(user)?),
            vec![text(user.to_owned())],
        ),
        6 => (
            Arc::new(Anonymous::new().with_trace(secret)?),
            vec![text(secret.to_owned())],
        ),
        _ => (
            // Few iterations, so that a campaign tests more than the hash.
            Arc::new(Scram::sha256(user, secret)?.iterations(1..=64)),
            // Later messages depend on the server's.
            vec![text(format!("n,,n={},r={NONCE}", saslname(user)))],
        ),
    })
}

/// RFC 5802, section 7.
fn saslname(name: &str) -> String {
    name.replace('=', "=3D").replace(',', "=2C")
}

/// The expected messages.
#[derive(Debug, PartialEq, Eq)]
struct Dialogue {
    /// The lines from AUTH on, as bytes; nothing for `*`.
    said: Vec<Option<Vec<u8>>>,
    ready: bool,
    /// Whether QUIT ends it: after a failure by which both sides still agree on the state.
    quit: bool,
}

impl Dialogue {
    fn expected(name: &str, messages: &[Vec<u8>], server: &[u8]) -> Self {
        let mut messages = messages.iter();
        let mut said = vec![Some(Vec::new())];
        let fits = |message: &Vec<u8>| {
            message.len().div_ceil(3) * 4 + name.len() + "AUTH  \r\n".len() <= 512
        };
        let speaks_first = name != "LOGIN";
        let mut deferred = false;
        if speaks_first && let Some(first) = messages.as_slice().first().filter(|first| fits(first))
        {
            said[0] = Some(first.clone());
            messages.next();
        } else {
            deferred = speaks_first;
        }
        let (mut ready, mut quit, mut lines, mut first) = (false, false, 0, None);
        for line in server.split_inclusive(|&byte| byte == b'\n') {
            let Some(text) = line.strip_suffix(b"\n").filter(|text| !text.contains(&0)) else {
                break;
            };
            let text = text.strip_suffix(b"\r").unwrap_or(text);
            let Some((code, rest)) = text.split_first_chunk::<3>() else {
                break;
            };
            lines += 1;
            if *first.get_or_insert(code) != code {
                break;
            }
            let challenge = match rest {
                [] => rest,
                [b' ', challenge @ ..] => challenge,
                [b'-', ..] => continue,
                _ => break,
            };
            // A reply of several lines is not a challenge.
            let alone = lines == 1;
            (lines, first) = (0, None);
            let cancelled = said.last() == Some(&None);
            match code {
                b"334" if !cancelled => {
                    // Not read, or base64; and not shortened.
                    let known = !speaks_first
                        || std::mem::take(&mut deferred)
                        || challenge == b"="
                        || decode(challenge).is_some();
                    let known = known && alone && line.len() <= 12_288;
                    said.push(messages.next().filter(|_| known).cloned());
                }
                // Codes of another meaning.
                b"211" | b"214" | b"220" | b"221" | b"421" => break,
                [b'2', b'0'..=b'9', b'0'..=b'9'] => {
                    let left = messages.as_slice().len();
                    ready = !cancelled
                        && left == usize::from(matches!(name, "XOAUTH2" | "OAUTHBEARER"));
                    quit = !ready;
                    break;
                }
                [b'4' | b'5', b'0'..=b'9', b'0'..=b'9'] => {
                    quit = true;
                    break;
                }
                _ => break,
            }
        }
        Self { said, ready, quit }
    }
}

struct Client {
    connection: Connection,
    wire: Vec<u8>,
    shown: Arc<Mutex<String>>,
    was_ready: bool,
}

impl Client {
    fn new(mechanism: Arc<dyn Mechanism>) -> Self {
        let shown = Arc::new(Mutex::new(format!("{mechanism:?}")));
        let config = Config::builder("client.test".parse().unwrap())
            .security(Security::Cleartext)
            .dangerous_credentials_in_cleartext()
            .credentials(Credentials::from_mechanisms(vec![mechanism]))
            .transcript({
                let shown = Arc::clone(&shown);
                move |entry| *shown.lock().unwrap() += &format!("{entry}\n{entry:?}\n")
            })
            .build()
            .unwrap();
        shown.lock().unwrap().push_str(&format!("{config:?}"));
        let mut client = Self {
            connection: Connection::new(Arc::new(config), Seed::from_bytes([7; 32])),
            wire: Vec::new(),
            shown,
            was_ready: false,
        };
        client.send();
        client
    }

    fn hear(&mut self, input: &[u8]) {
        self.connection.handle_input(Time::ORIGIN, input);
        self.was_ready |= matches!(self.connection.poll_ready(), Poll::Ready(Ok(())));
        *self.shown.lock().unwrap() += &format!("{:?}\n", self.connection);
        self.send();
    }

    fn send(&mut self) {
        while let Some(transmit) = transmit(&mut self.connection, Time::ORIGIN) {
            transmit
                .iter()
                .for_each(|slice| self.wire.extend_from_slice(slice));
            let len = transmit.len();
            self.connection.handle_sent(Time::ORIGIN, len);
        }
    }

    fn check(&self, expected: &Dialogue) {
        let (said, rest) = match self.wire.strip_suffix(QUIT).filter(|_| expected.quit) {
            Some(said) => (said, QUIT),
            None => (&*self.wire, &b""[..]),
        };
        assert_eq!(!rest.is_empty(), expected.quit, "QUIT");
        assert_eq!(said_in(said), expected.said);
        assert_eq!(self.was_ready, expected.ready, "{:?}", expected.said);
    }

    /// The messages to a server without the password: the first one, then at most one proof, or
    /// `*`.
    fn check_unproven(&self, expected: &Dialogue) {
        assert!(!self.was_ready, "the server has proved nothing");
        let said = said_in(self.wire.strip_suffix(QUIT).unwrap_or(&self.wire));
        let mut messages = said.iter().flatten();
        // The longest wait for a challenge.
        let first = expected.said.iter().flatten().find(|said| !said.is_empty());
        let heard = messages.find(|said| !said.is_empty());
        assert_eq!(heard, first);
        if let Some(proof) = messages.next().filter(|said| !said.is_empty()) {
            let proof = str::from_utf8(proof).unwrap();
            // `c=` is the base64 of `n,,`.
            let rest = proof.strip_prefix("c=biws,r=").unwrap();
            assert!(rest.starts_with(NONCE) && rest.contains(",p="), "{proof}");
        }
        // The response to an error of the server, and then nothing more.
        assert!(messages.all(Vec::is_empty), "{said:?}");
        assert!(said.len() <= 5, "{said:?}");
    }

    /// I9.
    fn check_shown(&mut self) {
        let mut shown = self.shown.lock().unwrap().clone();
        let mut errors = Vec::from_iter(self.connection.poll_event().and_then(Result::err));
        for answer in [self.connection.poll_closed(), self.connection.poll_ready()] {
            if let Poll::Ready(Err(error)) = answer {
                errors.push(error);
            }
        }
        for error in errors {
            shown += &format!("{error} {error:?} {:?}\n", error.kind());
        }
        check_secret(CANARY, &shown);
    }
}

/// The lines from AUTH on, as bytes; nothing for `*`.
fn said_in(wire: &[u8]) -> Vec<Option<Vec<u8>>> {
    let wire = str::from_utf8(wire).unwrap();
    let mut said = Vec::new();
    for line in wire.split_terminator("\r\n").skip(1) {
        let response = match line.strip_prefix("AUTH ") {
            Some(line) => line.split_once(' ').map_or("", |(_, initial)| initial),
            None => line,
        };
        said.push((response != "*").then(|| decode(response.as_bytes()).expect("base64")));
    }
    assert!(
        wire.split_terminator("\r\n")
            .all(|line| line.len() <= 12_286)
    );
    assert!(
        wire.split_terminator("\r\n")
            .nth(1)
            .is_some_and(|auth| auth.len() <= 510)
    );
    said
}

const QUIT: &[u8] = b"QUIT\r\n";

/// The beginning of every secret.
const CANARY: &str = "Canary-in-the-mine-7Q";

/// The nonce that SCRAM makes of the seed of a connection.
const NONCE: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc";
