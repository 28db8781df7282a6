use std::{
    collections::VecDeque,
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
};

use base64::{Engine, prelude::BASE64_STANDARD};

use crate::{Output, Peer, TlsInfo};

/// A proxy before a peer: SOCKS5 (RFC 1928) or HTTP with the method CONNECT (RFC 9110, section
/// 9.3.6).
///
/// It opens no connection. [`peer`](Self::peer) puts it before a server, which every request
/// reaches, whatever host it names; [`requests`](Self::requests) returns the hosts. Clones share
/// that record.
///
/// ```
/// use smtp_test::{Config, Machine, Output, Peer, Proxy};
///
/// let proxy = Proxy::http();
/// let mut peer = proxy.peer(Machine::new(&Config::new()));
/// peer.handle_input(b"CONNECT mail.example.org:25 HTTP/1.1\r\nHost: mail.example.org:25\r\n\r\n");
/// let reply = Output::Write(b"HTTP/1.1 200 Connection established\r\n\r\n".to_vec());
/// assert_eq!(peer.poll_output(), Some(reply));
/// assert_eq!(peer.poll_output(), Some(Output::Write(b"220 mail.test ESMTP\r\n".to_vec())));
/// assert_eq!(proxy.requests(), ["mail.example.org:25"]);
/// ```
#[derive(Clone, Debug)]
#[must_use = "a proxy does nothing until `peer` or `Server::behind_proxy` uses it"]
pub struct Proxy {
    kind: Kind,
    login: Option<(String, String)>,
    refusal: Option<Refusal>,
    joined: bool,
    in_tls: bool,
    requests: Arc<Mutex<Vec<String>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Socks5,
    Http,
}

/// The reply to the request, in place of a tunnel.
#[derive(Clone, Debug)]
enum Refusal {
    Socks5(u8),
    Http(String),
}

/// A peer behind a [`Proxy`].
pub struct ProxyPeer<P> {
    proxy: Proxy,
    inner: P,
    state: State,
    input: Vec<u8>,
    out: VecDeque<Output>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// TLS to the proxy, which is requested once.
    ExpectTls {
        requested: bool,
    },
    /// SOCKS5: the methods of the client.
    ExpectMethods,
    /// SOCKS5: user name and password.
    ExpectLogin,
    ExpectRequest,
    Open,
    Closed,
}

impl Proxy {
    /// A SOCKS5 proxy that requires no login.
    pub fn socks5() -> Self {
        Self::new(Kind::Socks5)
    }

    /// An HTTP proxy that requires no login.
    pub fn http() -> Self {
        Self::new(Kind::Http)
    }

    fn new(kind: Kind) -> Self {
        Self {
            kind,
            login: None,
            refusal: None,
            joined: false,
            in_tls: false,
            requests: Arc::default(),
        }
    }

    /// Requires this login: by RFC 1929 or, over HTTP, by Basic (RFC 7617).
    pub fn login(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.login = Some((user.into(), password.into()));
        self
    }

    /// SOCKS5: answers each request with this reply code, and closes.
    pub fn refuse_with_code(mut self, code: u8) -> Self {
        self.refusal = Some(Refusal::Socks5(code));
        self
    }

    /// HTTP: answers each request with this status line, such as `403 Forbidden`, and closes.
    pub fn refuse_with_status(mut self, status: impl Into<String>) -> Self {
        self.refusal = Some(Refusal::Http(status.into()));
        self
    }

    /// Sends the server's first output in the same segment as the reply that opens the tunnel.
    pub fn join_first_output(mut self) -> Self {
        self.joined = true;
        self
    }

    /// Begins with TLS to the proxy; a [`TlsPeer`](crate::TlsPeer) around the peer performs it.
    pub fn in_tls(mut self) -> Self {
        self.in_tls = true;
        self
    }

    /// A peer that is reached through this proxy.
    pub fn peer<P: Peer>(&self, inner: P) -> ProxyPeer<P> {
        ProxyPeer {
            proxy: self.clone(),
            inner,
            state: match self.in_tls {
                true => State::ExpectTls { requested: false },
                false => self.first_state(),
            },
            input: Vec::new(),
            out: VecDeque::new(),
        }
    }

    /// The destinations that clients requested, as `host:port`, in order.
    pub fn requests(&self) -> Vec<String> {
        let requests = self.requests.lock();
        requests.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn first_state(&self) -> State {
        match self.kind {
            Kind::Socks5 => State::ExpectMethods,
            Kind::Http => State::ExpectRequest,
        }
    }

    fn record(&self, request: String) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.push(request);
    }
}

impl<P: Peer> ProxyPeer<P> {
    /// The peer behind the proxy.
    pub fn inner(&self) -> &P {
        &self.inner
    }

    /// Takes the next message of the client, if it is there whole.
    fn advance(&mut self) -> bool {
        let taken = match (self.state, self.proxy.kind) {
            (State::ExpectMethods, _) => self.take_methods(),
            (State::ExpectLogin, _) => self.take_login(),
            (State::ExpectRequest, Kind::Socks5) => self.take_socks5_request(),
            (State::ExpectRequest, Kind::Http) => self.take_http_request(),
            (State::ExpectTls { .. } | State::Open | State::Closed, _) => None,
        };
        if let Some(len) = taken {
            self.input.drain(..len);
        }
        taken.is_some()
    }

    /// `VER NMETHODS METHODS`
    fn take_methods(&mut self) -> Option<usize> {
        if *self.input.first()? != 5 {
            self.close();
            return Some(0);
        }
        let count = usize::from(*self.input.get(1)?);
        let methods = self.input.get(2..2 + count)?;
        let wanted = if self.proxy.login.is_some() { 2 } else { 0 };
        if methods.contains(&wanted) {
            self.write(&[5, wanted]);
            self.state = match wanted {
                0 => State::ExpectRequest,
                _ => State::ExpectLogin,
            };
        } else {
            self.write(&[5, 0xff]);
            self.close();
        }
        Some(2 + count)
    }

    /// `VER ULEN UNAME PLEN PASSWD`
    fn take_login(&mut self) -> Option<usize> {
        let user_end = 2 + usize::from(*self.input.get(1)?);
        let user = self.input.get(2..user_end)?.to_vec();
        let end = user_end + 1 + usize::from(*self.input.get(user_end)?);
        let password = self.input.get(user_end + 1..end)?.to_vec();
        let is_right =
            self.proxy.login.as_ref().is_some_and(|login| {
                (login.0.as_bytes(), login.1.as_bytes()) == (&*user, &*password)
            });
        self.write(&[1, u8::from(!is_right)]);
        match is_right {
            true => self.state = State::ExpectRequest,
            false => self.close(),
        }
        Some(end)
    }

    /// `VER CMD RSV ATYP DST.ADDR DST.PORT`
    fn take_socks5_request(&mut self) -> Option<usize> {
        let (host, end) = match *self.input.get(3)? {
            1 => {
                let address: [u8; 4] = self.input.get(4..8)?.try_into().ok()?;
                (Ipv4Addr::from(address).to_string(), 8)
            }
            4 => {
                let address: [u8; 16] = self.input.get(4..20)?.try_into().ok()?;
                (format!("[{}]", Ipv6Addr::from(address)), 20)
            }
            _ => {
                let end = 5 + usize::from(*self.input.get(4)?);
                let name = self.input.get(5..end)?;
                (String::from_utf8_lossy(name).into_owned(), end)
            }
        };
        let port = self.input.get(end..end + 2)?;
        let port = u16::from_be_bytes(port.try_into().ok()?);
        self.proxy.record(format!("{host}:{port}"));
        let code = match self.proxy.refusal {
            Some(Refusal::Socks5(code)) => code,
            _ => 0,
        };
        self.answer(&[5, code, 0, 1, 0, 0, 0, 0, 0, 0], code == 0);
        Some(end + 2)
    }

    /// `CONNECT host:port HTTP/1.1`, fields, and an empty line.
    fn take_http_request(&mut self) -> Option<usize> {
        if !self.input.first()?.is_ascii_alphabetic() {
            self.answer(b"HTTP/1.1 400 Bad Request\r\n\r\n", false);
            return Some(0);
        }
        let end = 4 + self.input.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&self.input[..end]).into_owned();
        let mut lines = head.lines();
        let mut words = lines.next().unwrap_or_default().split(' ');
        let is_connect = words.next() == Some("CONNECT");
        self.proxy
            .record(words.next().unwrap_or_default().to_owned());
        let logs_in = self.proxy.login.as_ref().is_none_or(|(user, password)| {
            let login = BASE64_STANDARD.encode(format!("{user}:{password}"));
            let field = format!("Proxy-Authorization: Basic {login}");
            lines.any(|line| line == field)
        });
        let status = match &self.proxy.refusal {
            _ if !is_connect => "405 Method Not Allowed".to_owned(),
            _ if !logs_in => "407 Proxy Authentication Required".to_owned(),
            Some(Refusal::Http(status)) => status.clone(),
            _ => "200 Connection established".to_owned(),
        };
        self.answer(
            format!("HTTP/1.1 {status}\r\n\r\n").as_bytes(),
            status.starts_with('2'),
        );
        Some(end)
    }

    fn answer(&mut self, reply: &[u8], opens: bool) {
        let mut reply = reply.to_vec();
        if !opens {
            self.write(&reply);
            return self.close();
        }
        self.state = State::Open;
        let first = match self.proxy.joined {
            true => self.inner.poll_output(),
            false => None,
        };
        match first {
            Some(Output::Write(bytes)) => {
                reply.extend(bytes);
                self.write(&reply);
            }
            other => {
                self.write(&reply);
                self.out.extend(other);
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        self.out.push_back(Output::Write(bytes.to_vec()));
    }

    fn close(&mut self) {
        self.out.push_back(Output::Close);
        self.state = State::Closed;
    }
}

impl<P: Peer> Peer for ProxyPeer<P> {
    fn handle_input(&mut self, input: &[u8]) {
        if self.state == State::Open {
            return self.inner.handle_input(input);
        }
        self.input.extend_from_slice(input);
        while self.advance() {}
        if self.state == State::Open && !self.input.is_empty() {
            let rest = std::mem::take(&mut self.input);
            self.inner.handle_input(&rest);
        }
    }

    fn handle_eof(&mut self) {
        match self.state {
            State::Open => self.inner.handle_eof(),
            State::Closed => {}
            _ => self.close(),
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        match (self.out.pop_front(), self.state) {
            (Some(output), _) => Some(output),
            (None, State::Open) => self.inner.poll_output(),
            (None, _) => None,
        }
    }

    fn poll_upgrade(&mut self) -> bool {
        match self.state {
            State::ExpectTls { requested: false } => {
                self.state = State::ExpectTls { requested: true };
                true
            }
            State::Open => self.inner.poll_upgrade(),
            _ => false,
        }
    }

    fn handle_tls(&mut self, facts: TlsInfo) {
        match self.state {
            State::ExpectTls { .. } => self.state = self.proxy.first_state(),
            _ => self.inner.handle_tls(facts),
        }
    }

    fn handle_tls_error(&mut self, reason: &str) {
        match self.state {
            State::ExpectTls { .. } => self.state = State::Closed,
            _ => self.inner.handle_tls_error(reason),
        }
    }

    fn handle_network(&mut self) {
        self.inner.handle_network();
    }

    fn wants_input(&self) -> bool {
        match self.state {
            State::Open => self.inner.wants_input(),
            _ => true,
        }
    }

    fn is_closed(&self) -> bool {
        match self.state {
            State::Open => self.inner.is_closed(),
            state => state == State::Closed,
        }
    }
}

impl<P: fmt::Debug> fmt::Debug for ProxyPeer<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyPeer")
            .field("inner", &self.inner)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
