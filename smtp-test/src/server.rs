mod stream;

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use crate::{
    Config, Log, Machine, Peer, Proxy, Session, StoredMail, Tls, TlsPeer, serve::serve_with,
};
use stream::{Address, Listener, Stream};

/// A server in this process, with threads and real sockets on the loopback interface or in the file
/// system.
///
/// It serves any number of connections at once. Dropping it ends them and the server.
///
/// ```
/// use std::{io::{BufRead, BufReader}, net::TcpStream};
/// use smtp_test::{Config, Server};
///
/// # fn main() -> std::io::Result<()> {
/// let server = Server::start(Config::new())?;
/// let mut greeting = String::new();
/// BufReader::new(TcpStream::connect(server.addr())?).read_line(&mut greeting)?;
/// assert_eq!(greeting, "220 mail.test ESMTP\r\n");
/// # Ok(())
/// # }
/// ```
#[must_use = "the server ends when it is dropped"]
pub struct Server {
    address: Address,
    log: Log,
    control: Arc<Control>,
    listener: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts a server on a free port of `127.0.0.1`, or of `[::1]` by [`Config::ipv6`].
    ///
    /// # Errors
    /// If no port can be bound.
    pub fn start(config: Config) -> io::Result<Self> {
        let ip = if config.ipv6 {
            IpAddr::from(Ipv6Addr::LOCALHOST)
        } else {
            Ipv4Addr::LOCALHOST.into()
        };
        Self::run_config(Listener::tcp(ip)?, config)
    }

    /// Starts a server on a new Unix socket at `path`, which is removed when the server ends.
    ///
    /// LMTP servers often listen on such a socket, and it costs less than TCP.
    ///
    /// ```
    /// use smtp_test::{Config, Server};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let path = std::env::temp_dir().join(format!("smtp-test-{}", std::process::id()));
    /// let server = Server::start_unix(Config::new().lmtp(), &path)?;
    /// assert_eq!(server.path(), Some(path.as_path()));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If the socket cannot be created, for example because `path` exists.
    #[cfg(unix)]
    pub fn start_unix(config: Config, path: impl AsRef<Path>) -> io::Result<Self> {
        Self::run_config(Listener::unix(path.as_ref())?, config)
    }

    /// Starts a server that is reached through a proxy: [`addr`](Self::addr) is that of the proxy.
    ///
    /// `tls` is for the connection to the proxy. TLS to the server is an option of `config`.
    ///
    /// ```
    /// use smtp_test::{Config, Proxy, Server};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let proxy = Proxy::socks5().login("alice", "secret");
    /// let server = Server::behind_proxy(&proxy, None, Config::new())?;
    /// // The program under test connects to `server.addr()` as to its proxy, and asks for any host.
    /// # let _ = server;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If no port can be bound.
    pub fn behind_proxy(proxy: &Proxy, tls: Option<&Tls>, config: Config) -> io::Result<Self> {
        let log = Log::new();
        let idle_limit = config.idle_limit;
        let config = Arc::new(config);
        let peers = {
            let (log, tls) = (log.clone(), tls.map(Tls::server_config));
            let proxy = match tls {
                Some(_) => proxy.clone().in_tls(),
                None => proxy.clone(),
            };
            move |_| -> Box<dyn Peer> {
                let peer = proxy.peer(peer(Arc::clone(&config), &log));
                match &tls {
                    Some(tls) => Box::new(TlsPeer::new(peer, Arc::clone(tls))),
                    None => Box::new(peer),
                }
            }
        };
        let socket = Listener::tcp(Ipv4Addr::LOCALHOST.into())?;
        Self::run(socket, idle_limit, log, peers)
    }

    /// Starts a server whose connections, counted from 1, are served by the peers that `make`
    /// returns, for example scripts. The server's log stays empty.
    ///
    /// ```
    /// use smtp_test::{Script, Server, Split};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let script = Script::parse("S: 554 no service\nS: <eof>")?;
    /// let server = Server::with_peers(move |_| Box::new(script.play(Split::Whole)))?;
    /// // The program under test connects to `server.addr()`.
    /// # let _ = server;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If no port can be bound.
    pub fn with_peers(
        make: impl FnMut(usize) -> Box<dyn Peer> + Send + 'static,
    ) -> io::Result<Self> {
        let socket = Listener::tcp(Ipv4Addr::LOCALHOST.into())?;
        Self::run(socket, Duration::from_secs(60), Log::new(), make)
    }

    /// The same on a Unix socket; see [`start_unix`](Self::start_unix).
    ///
    /// # Errors
    /// If the socket cannot be created.
    #[cfg(unix)]
    pub fn with_peers_unix(
        path: impl AsRef<Path>,
        make: impl FnMut(usize) -> Box<dyn Peer> + Send + 'static,
    ) -> io::Result<Self> {
        let socket = Listener::unix(path.as_ref())?;
        Self::run(socket, Duration::from_secs(60), Log::new(), make)
    }

    /// The address to connect to.
    ///
    /// # Panics
    /// If the server listens on a Unix socket.
    #[track_caller]
    pub fn addr(&self) -> SocketAddr {
        self.address.tcp().expect("the server listens on TCP")
    }

    /// The port of [`addr`](Self::addr).
    ///
    /// # Panics
    /// If the server listens on a Unix socket.
    #[track_caller]
    pub fn port(&self) -> u16 {
        self.addr().port()
    }

    /// The path of the Unix socket; `None` for TCP.
    pub fn path(&self) -> Option<&Path> {
        self.address.path()
    }

    /// The log, which stays readable after the server's end.
    pub fn log(&self) -> Log {
        self.log.clone()
    }

    /// The messages stored so far; see [`Log::mails`].
    pub fn mails(&self) -> Vec<StoredMail> {
        self.log.mails()
    }

    /// The records of all connections; see [`Log::sessions`].
    pub fn sessions(&self) -> Vec<Session> {
        self.log.sessions()
    }

    /// Waits until at least `count` messages are stored; see [`Log::wait_for_mails`].
    pub fn wait_for_mails(&self, count: usize, timeout: Duration) -> Vec<StoredMail> {
        self.log.wait_for_mails(count, timeout)
    }

    /// Waits until at least `count` connections have ended; see [`Log::wait_for_sessions`].
    pub fn wait_for_sessions(&self, count: usize, timeout: Duration) -> Vec<Session> {
        self.log.wait_for_sessions(count, timeout)
    }

    fn run_config(socket: (Listener, Address), config: Config) -> io::Result<Self> {
        let log = Log::new();
        let idle_limit = config.idle_limit;
        let config = Arc::new(config);
        let machines = {
            let log = log.clone();
            move |_| peer(Arc::clone(&config), &log)
        };
        Self::run(socket, idle_limit, log, machines)
    }

    fn run(
        (socket, address): (Listener, Address),
        idle_limit: Duration,
        log: Log,
        mut make: impl FnMut(usize) -> Box<dyn Peer> + Send + 'static,
    ) -> io::Result<Self> {
        let control = Arc::new(Control::default());
        let shared = Arc::clone(&control);
        let listener = std::thread::Builder::new()
            .name("smtp-test".to_owned())
            .spawn(move || {
                let mut threads: Vec<JoinHandle<()>> = Vec::new();
                for number in 1.. {
                    // An error here concerns one connection, which ended before it was accepted.
                    let Ok(stream) = socket.accept() else {
                        continue;
                    };
                    if !shared.admit(number, &stream) {
                        break;
                    }
                    threads.retain(|thread| !thread.is_finished());
                    let peer = make(number);
                    let control = Arc::clone(&shared);
                    threads.push(std::thread::spawn(move || {
                        // A transport error ends this connection. The client's side of the test
                        // reports it.
                        let _ = converse(peer, stream, &control, idle_limit);
                        control.dismiss(number);
                    }));
                }
                for thread in threads {
                    let _ = thread.join();
                }
            })?;
        Ok(Self {
            address,
            log,
            control,
            listener: Some(listener),
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.control.stop();
        // Wakes the thread that waits in `accept`.
        let woken = self.address.knock();
        if let Some(listener) = self.listener.take()
            && woken.is_ok()
        {
            let _ = listener.join();
        }
        if let Some(path) = self.address.path() {
            let _ = std::fs::remove_file(path);
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("address", &self.address)
            .field("log", &self.log)
            .finish_non_exhaustive()
    }
}

/// The machine for a configuration, with TLS around it if there is a certificate.
pub(crate) fn peer(config: Arc<Config>, log: &Log) -> Box<dyn Peer> {
    let tls = config.tls.clone();
    let machine = Machine::shared(config, log);
    match tls {
        Some(tls) => Box::new(TlsPeer::new(machine, tls.server_config())),
        None => Box::new(machine),
    }
}

fn converse(
    mut peer: Box<dyn Peer>,
    mut stream: Stream,
    control: &Control,
    idle: Duration,
) -> io::Result<()> {
    stream.prepare(idle)?;
    serve_with(&mut peer, &mut stream, Stream::read_ready, |time| {
        control.pause(time)
    })?;
    // Open, without reading, until the server ends.
    while !peer.wants_input() && !peer.is_closed() && control.pause(idle) {}
    Ok(())
}

/// The end of the threads.
#[derive(Default)]
struct Control {
    state: Mutex<Running>,
    stopped: Condvar,
}

#[derive(Default)]
struct Running {
    stopped: bool,
    /// The open connections, to be shut down at the end.
    streams: Vec<(usize, Stream)>,
}

impl Control {
    /// Adds a connection; `false` when the server must end.
    fn admit(&self, number: usize, stream: &Stream) -> bool {
        let mut running = self.lock();
        if let Ok(stream) = stream.try_clone() {
            running.streams.push((number, stream));
        }
        !running.stopped
    }

    fn dismiss(&self, number: usize) {
        let mut running = self.lock();
        if let Some(at) = running
            .streams
            .iter()
            .position(|(other, _)| *other == number)
        {
            // Shut down, since the clone alone would keep it open.
            let (_, stream) = running.streams.swap_remove(at);
            stream.shutdown();
        }
    }

    fn stop(&self) {
        let mut running = self.lock();
        running.stopped = true;
        for (_, stream) in &running.streams {
            stream.shutdown();
        }
        self.stopped.notify_all();
    }

    /// Waits for `time`; `false` when the server must end.
    fn pause(&self, time: Duration) -> bool {
        let end = Instant::now() + time;
        let mut running = self.lock();
        while !running.stopped {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            running = self
                .stopped
                .wait_timeout(running, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        false
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
