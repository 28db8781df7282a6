//! SOCKS5 from the other side: RFC 1928 and RFC 1929.

use std::net::{Ipv4Addr, Ipv6Addr};

use smtp_tunnel::{Destination, Proxy, ProxyErrorKind, Tunnel};

use super::{End, Run, Spy};

/// What the client must do if the proxy sends these turns.
pub(crate) fn expected(login: Option<(&str, &str)>, host: &str, port: u16, turns: &[&[u8]]) -> Run {
    let hello = match login {
        None => vec![5, 1, 0],
        Some(_) => vec![5, 2, 0, 2],
    };
    let mut model = Model {
        login: login.map(|(user, password)| {
            let length = |text: &str| [text.len() as u8];
            [
                &[1],
                &length(user)[..],
                user.as_bytes(),
                &length(password),
                password.as_bytes(),
            ]
            .concat()
        }),
        request: request(host, port),
        expects: Expects::Method,
        received: Vec::new(),
        unsent: None,
    };
    let mut sent = vec![hello];
    for (index, turn) in turns.iter().enumerate() {
        sent.extend(model.unsent.take());
        for (at, byte) in turn.iter().enumerate() {
            match model.take(*byte) {
                None => {}
                Some(Err(kind)) => {
                    let end = End::Failed(kind);
                    return Run { sent, end };
                }
                Some(Ok(())) => {
                    let rest = [&turn[at + 1..], &turns[index + 1..].concat()].concat();
                    let end = End::Open(rest);
                    return Run { sent, end };
                }
            }
        }
    }
    sent.extend(model.unsent);
    let end = End::Pending;
    Run { sent, end }
}

struct Model {
    login: Option<Vec<u8>>,
    request: Vec<u8>,
    expects: Expects,
    received: Vec<u8>,
    unsent: Option<Vec<u8>>,
}

#[derive(Clone, Copy)]
enum Expects {
    Method,
    Status,
    Reply,
}

impl Model {
    /// Takes a byte. `Some(Ok)` if the tunnel is open.
    fn take(&mut self, byte: u8) -> Option<Result<(), ProxyErrorKind>> {
        use ProxyErrorKind as Kind;
        self.received.push(byte);
        let received = &self.received[..];
        let (next, message) = match self.expects {
            Expects::Method if received[0] != 5 => return Some(Err(Kind::Malformed)),
            Expects::Method if received.len() < 2 => return None,
            Expects::Method => match (received[1], self.login.take()) {
                (0, _) => (Expects::Reply, self.request.clone()),
                (2, Some(login)) => (Expects::Status, login),
                (0xff, _) => return Some(Err(Kind::NoAcceptableMethod)),
                _ => return Some(Err(Kind::Malformed)),
            },
            Expects::Status if !matches!(received[0], 1 | 5) => return Some(Err(Kind::Malformed)),
            Expects::Status if received.len() < 2 => return None,
            Expects::Status if received[1] != 0 => {
                return Some(Err(Kind::LoginRejected(received[1])));
            }
            Expects::Status => (Expects::Reply, self.request.clone()),
            Expects::Reply => {
                if received[0] != 5 {
                    return Some(Err(Kind::Malformed));
                }
                match received.get(1) {
                    None => return None,
                    Some(0) => {}
                    Some(&code) => return Some(Err(Kind::Socks5(code))),
                }
                let address = match received.get(3) {
                    None => return None,
                    Some(1) => 4,
                    Some(4) => 16,
                    Some(3) => 1 + usize::from(*received.get(4)?),
                    Some(_) => return Some(Err(Kind::Malformed)),
                };
                if received.len() < 4 + address + 2 {
                    return None;
                }
                let early = self.unsent.is_some();
                return Some(if early { Err(Kind::Early) } else { Ok(()) });
            }
        };
        self.received.clear();
        self.expects = next;
        if self.unsent.replace(message).is_some() {
            return Some(Err(Kind::Early));
        }
        None
    }
}

/// The request for this destination, read back.
fn request(host: &str, port: u16) -> Vec<u8> {
    let mut request = vec![5, 1, 0];
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse::<Ipv4Addr>() {
        request.push(1);
        request.extend(address.octets());
    } else if let Ok(address) = bare.parse::<Ipv6Addr>() {
        request.push(4);
        request.extend(address.octets());
    } else {
        request.extend([3, host.len() as u8]);
        request.extend(host.as_bytes());
    }
    request.extend([(port >> 8) as u8, port as u8]);
    request
}

/// Any bytes of a proxy: the client does what the model does, however the bytes are cut.
pub(crate) fn check(login: Option<(&str, &str)>, host: &str, turns: &[&[u8]], pieces: &[usize]) {
    let port = 587;
    let Ok(destination) = Destination::new(host, port) else {
        return;
    };
    let proxy = match login {
        None => Proxy::socks5(),
        Some((user, password)) => match Proxy::socks5().credentials(user, password) {
            Ok(proxy) => proxy,
            Err(_) => return,
        },
    };
    let expected = expected(login, host, port, turns);
    let most = if login.is_some() { 3 } else { 2 };
    assert!(expected.sent.len() <= most, "at most {most} round trips");
    for &piece in pieces {
        let tunnel = Tunnel::new(Spy::new(), &proxy, destination.clone());
        let (run, shown) = super::run(tunnel, turns, piece);
        assert_eq!(run, expected, "in pieces of {piece}");
        // Any other password may be a word of the text by chance.
        let password = login.map(|(_, password)| password);
        let password = password.filter(|password| password.starts_with("Canary-"));
        for secret in password.into_iter().chain([super::SMTP_SECRET]) {
            super::check_secret(secret, &turns.concat(), &shown);
        }
    }
}
