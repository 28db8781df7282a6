use std::{
    fmt,
    io::{self, ErrorKind, Read},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use crate::{Config, Log, Machine, Peer, Session, StoredMail, TlsPeer, serve::serve_with};

/// A server in this process, with threads and real sockets on the loopback interface.
///
/// It serves any number of connections at once, and ends when it is dropped, together with them.
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
    addr: SocketAddr,
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
        let log = Log::new();
        let ip = if config.ipv6 {
            IpAddr::from(Ipv6Addr::LOCALHOST)
        } else {
            Ipv4Addr::LOCALHOST.into()
        };
        let idle_limit = config.idle_limit;
        let config = Arc::new(config);
        let machines = {
            let log = log.clone();
            move |_| peer(Arc::clone(&config), &log)
        };
        Self::run(ip, idle_limit, log, machines)
    }

    /// Starts a server whose connections, counted from 1, are served by the peers that `make` gives: scripts, for
    /// instance. Its log is empty unless `make` uses a log of its own.
    ///
    /// # Errors
    /// If no port can be bound.
    pub fn with_peers(
        make: impl FnMut(usize) -> Box<dyn Peer> + Send + 'static,
    ) -> io::Result<Self> {
        Self::run(
            Ipv4Addr::LOCALHOST.into(),
            Duration::from_secs(60),
            Log::new(),
            make,
        )
    }

    /// The address to connect to.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The port of [`addr`](Self::addr).
    pub fn port(&self) -> u16 {
        self.addr.port()
    }

    /// The log, which stays readable after the server's end.
    pub fn log(&self) -> Log {
        self.log.clone()
    }

    /// The mails stored so far; see [`Log::mails`].
    pub fn mails(&self) -> Vec<StoredMail> {
        self.log.mails()
    }

    /// The records of all connections; see [`Log::sessions`].
    pub fn sessions(&self) -> Vec<Session> {
        self.log.sessions()
    }

    /// Waits until at least `count` mails are stored; see [`Log::wait_for_mails`].
    pub fn wait_for_mails(&self, count: usize, timeout: Duration) -> Vec<StoredMail> {
        self.log.wait_for_mails(count, timeout)
    }

    /// Waits until at least `count` connections have ended; see [`Log::wait_for_sessions`].
    pub fn wait_for_sessions(&self, count: usize, timeout: Duration) -> Vec<Session> {
        self.log.wait_for_sessions(count, timeout)
    }

    fn run(
        ip: IpAddr,
        idle_limit: Duration,
        log: Log,
        mut make: impl FnMut(usize) -> Box<dyn Peer> + Send + 'static,
    ) -> io::Result<Self> {
        let socket = TcpListener::bind((ip, 0))?;
        let addr = socket.local_addr()?;
        let control = Arc::new(Control::default());
        let shared = Arc::clone(&control);
        let listener = std::thread::Builder::new()
            .name("smtp-test".to_owned())
            .spawn(move || {
                let mut threads: Vec<JoinHandle<()>> = Vec::new();
                for number in 1.. {
                    // An error here is of one connection: it was gone before it was accepted.
                    let Ok((stream, _)) = socket.accept() else {
                        continue;
                    };
                    if !shared.admit(number, &stream) {
                        break;
                    }
                    threads.retain(|thread| !thread.is_finished());
                    let peer = make(number);
                    let control = Arc::clone(&shared);
                    threads.push(std::thread::spawn(move || {
                        // A transport error ends this connection, and the client's side of the test tells of it.
                        let _ = converse(peer, stream, &control, idle_limit);
                        control.dismiss(number);
                    }));
                }
                for thread in threads {
                    let _ = thread.join();
                }
            })?;
        Ok(Self {
            addr,
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
        let woken = TcpStream::connect_timeout(&self.addr, Duration::from_secs(1));
        if let Some(listener) = self.listener.take()
            && woken.is_ok()
        {
            let _ = listener.join();
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("addr", &self.addr)
            .field("log", &self.log)
            .finish_non_exhaustive()
    }
}

/// The machine for a configuration, with TLS around it if there is any.
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
    mut stream: TcpStream,
    control: &Control,
    idle: Duration,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(idle))?;
    stream.set_write_timeout(Some(idle))?;
    let more = |stream: &mut TcpStream, buffer: &mut [u8]| {
        stream.set_nonblocking(true)?;
        let read = stream.read(buffer);
        stream.set_nonblocking(false)?;
        match read {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
            read => read,
        }
    };
    serve_with(&mut peer, &mut stream, more, |time| control.pause(time))?;
    // Deaf, but there, until the server ends.
    while !peer.wants_input() && !peer.is_closed() && control.pause(idle) {}
    Ok(())
}

/// What ends the threads.
#[derive(Default)]
struct Control {
    state: Mutex<Running>,
    stopped: Condvar,
}

#[derive(Default)]
struct Running {
    stopped: bool,
    /// The connections that live, to be shut down at the end.
    streams: Vec<(usize, TcpStream)>,
}

impl Control {
    /// Takes a connection on; `false` when the server shall end.
    fn admit(&self, number: usize, stream: &TcpStream) -> bool {
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
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn stop(&self) {
        let mut running = self.lock();
        running.stopped = true;
        for (_, stream) in &running.streams {
            let _ = stream.shutdown(Shutdown::Both);
        }
        self.stopped.notify_all();
    }

    /// Waits so long; `false` when the server shall end.
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
