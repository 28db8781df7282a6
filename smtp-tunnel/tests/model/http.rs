//! HTTP CONNECT from the other side: RFC 9110, RFC 9112, RFC 7617.

use smtp_tunnel::{Destination, Proxy, ProxyErrorKind, Tunnel};

use super::{End, Run, Spy};

/// A request as a server reads it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) authority: String,
    pub(crate) login: Option<(String, String)>,
}

/// Reads a request, which must have no fields except `Host` and `Proxy-Authorization`.
pub(crate) fn read_request(bytes: &[u8]) -> Request {
    let text = std::str::from_utf8(bytes).expect("the request is UTF-8");
    let head = text.strip_suffix("\r\n\r\n").expect("the request is whole");
    let mut lines = head.split("\r\n");
    let line = lines.next().unwrap();
    let target = line.strip_prefix("CONNECT ").unwrap();
    let authority = target.strip_suffix(" HTTP/1.1").unwrap();
    let is_allowed = |byte: u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'[' | b']')
    };
    assert!(authority.bytes().all(is_allowed), "{authority}");
    assert_eq!(
        lines.next().unwrap().strip_prefix("Host: "),
        Some(authority)
    );
    let login = lines.next().map(|line| {
        let encoded = line.strip_prefix("Proxy-Authorization: Basic ").unwrap();
        let decoded = String::from_utf8(decode(encoded)).unwrap();
        let (user, password) = decoded.split_once(':').unwrap();
        (user.to_owned(), password.to_owned())
    });
    assert_eq!(lines.next(), None, "no more fields");
    Request {
        authority: authority.to_owned(),
        login,
    }
}

/// RFC 4648, section 4.
fn decode(text: &str) -> Vec<u8> {
    assert_eq!(text.len() % 4, 0, "{text}");
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for byte in text.trim_end_matches('=').bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => panic!("not base64: {text}"),
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    bytes
}

/// How the handshake ends if the proxy sends these bytes after the request.
pub(crate) fn expected(received: &[u8]) -> End {
    for end in 1..=received.len() {
        let is_decisive = end == 1 || end > LIMIT || received[end - 1] == b'\n';
        match is_decisive.then(|| check_all(&received[..end])).flatten() {
            None => {}
            Some(Err(kind)) => return End::Failed(kind),
            Some(Ok(())) => return End::Open(received[end..].to_vec()),
        }
    }
    End::Pending
}

/// Checks all bytes so far. `Some(Ok)` if the tunnel is open after the last of them.
fn check_all(received: &[u8]) -> Option<Result<(), ProxyErrorKind>> {
    use ProxyErrorKind as Kind;
    if received[0] != b'H' {
        return Some(Err(Kind::Malformed));
    }
    let kept = &received[..received.len().min(LIMIT)];
    let whole = kept.iter().rposition(|byte| *byte == b'\n');
    let mut status = None;
    // A login that is required is the reason, whatever follows.
    let fault = |status: Option<u16>, kind| {
        Some(Err(if status == Some(407) {
            Kind::Http(407)
        } else {
            kind
        }))
    };
    for line in kept[..whole.map_or(0, |at| at + 1)].split_inclusive(|byte| *byte == b'\n') {
        let line = &line[..line.len() - 1];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.contains(&b'\r') || line.contains(&0) {
            return fault(status, Kind::Malformed);
        }
        match status {
            None => match status_of(line) {
                None => return Some(Err(Kind::Malformed)),
                Some(known @ (100 | 102..=299 | 407)) => status = Some(known),
                Some(known) => return Some(Err(Kind::Http(known))),
            },
            Some(known) if line.is_empty() => match known {
                100..=199 => status = None,
                407 => return Some(Err(Kind::Http(407))),
                _ => return Some(Ok(())),
            },
            Some(_) => {
                let continues = matches!(line[0], b' ' | b'\t');
                if !continues && !line.contains(&b':') {
                    return fault(status, Kind::Malformed);
                }
            }
        }
    }
    if received.len() > LIMIT {
        return fault(status, Kind::TooLong);
    }
    None
}

/// `HTTP/1.DIGIT SP 3DIGIT [ SP reason ]`
fn status_of(line: &[u8]) -> Option<u16> {
    let rest = line.strip_prefix(b"HTTP/1.")?;
    let (&[minor, b' ', one, two, three], reason) = rest.split_first_chunk()? else {
        return None;
    };
    let digits = [minor, one, two, three];
    let is_status = digits.iter().all(u8::is_ascii_digit)
        && matches!(one, b'1'..=b'5')
        && matches!(reason.first(), None | Some(b' '));
    let value = |digit: u8| u16::from(digit - b'0');
    is_status.then(|| value(one) * 100 + value(two) * 10 + value(three))
}

/// Any bytes of a proxy: the client does what the model does, however the bytes are cut; and the
/// request reads back as the destination and the login.
pub(crate) fn check(login: Option<(&str, &str)>, host: &str, received: &[u8], pieces: &[usize]) {
    let Ok(destination) = Destination::new(host, 25) else {
        return;
    };
    let proxy = match login {
        None => Proxy::http(),
        Some((user, password)) => match Proxy::http().credentials(user, password) {
            Ok(proxy) => proxy,
            Err(_) => return,
        },
    };
    let end = expected(received);
    let mut requests = Vec::new();
    for &piece in pieces {
        let tunnel = Tunnel::new(Spy::new(), &proxy, destination.clone());
        let (run, shown) = super::run(tunnel, &[received], piece);
        assert_eq!(run.end, end, "in pieces of {piece}");
        requests.push(run.sent);
        // Any other password may be a word of the text by chance.
        let password = login.map(|(_, password)| password);
        let password = password.filter(|password| password.starts_with("Canary-"));
        for secret in password.into_iter().chain([super::SMTP_SECRET]) {
            super::check_secret(secret, received, &shown);
        }
    }
    let Run { sent, .. } = Run {
        sent: requests.swap_remove(0),
        end,
    };
    assert!(requests.iter().all(|other| *other == sent), "I2");
    let [request] = &sent[..] else {
        panic!("one round trip: {sent:?}");
    };
    let request = read_request(request);
    assert_eq!(request.authority, destination.to_string());
    let login = login.map(|(user, password)| (user.to_owned(), password.to_owned()));
    assert_eq!(request.login, login);
}

const LIMIT: usize = 8 * 1024;
