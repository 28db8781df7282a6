//! The network between a client and a server: the delay of packets, their maximum size, and how
//! many get lost.
//!
//! It is the kernel's loopback with its packets queued through this program, so they carry real
//! TCP.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use fastrand::Rng;
use nfq::{Queue, Verdict};

/// The properties of a network.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Traits {
    /// The delay of a packet.
    pub(crate) delay: Duration,
    /// The maximum size of a packet in bytes.
    pub(crate) largest: u32,
    /// One packet of this number is lost, if any.
    pub(crate) lost: Option<u32>,
}

impl Traits {
    /// A round trip of 50 ms.
    pub(crate) const SLOW: Self = Self {
        delay: Duration::from_millis(25),
        largest: 1500,
        lost: None,
    };
}

/// A network that applies until it is dropped.
#[derive(Debug)]
pub(crate) struct SlowLink {
    ended: Arc<AtomicBool>,
    carrier: Option<JoinHandle<io::Result<Carried>>>,
}

/// Counts of packets.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Carried {
    pub(crate) packets: u64,
    pub(crate) lost: u64,
}

impl SlowLink {
    pub(crate) fn new(traits: Traits) -> io::Result<Self> {
        let mut queue = Queue::open()?;
        queue.bind(NUMBER)?;
        // The content of packets is not needed.
        queue.set_copy_range(NUMBER, 0)?;
        queue.set_queue_max_len(NUMBER, 100_000)?;
        queue.set_nonblocking(true);
        set_largest(traits.largest)?;
        rule("-A")?;
        let ended = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&ended);
        let carrier = thread::Builder::new().spawn(move || carry(&mut queue, traits, &end))?;
        Ok(Self {
            ended,
            carrier: Some(carrier),
        })
    }

    /// Removes the network, and returns its counts.
    pub(crate) fn end(mut self) -> io::Result<Carried> {
        self.close()
    }

    fn close(&mut self) -> io::Result<Carried> {
        let Some(carrier) = self.carrier.take() else {
            return Ok(Carried::default());
        };
        rule("-D")?;
        set_largest(LOOPBACK)?;
        self.ended.store(true, Ordering::Release);
        carrier
            .join()
            .map_err(|_| io::Error::other("the link broke"))?
    }
}

impl Drop for SlowLink {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            eprintln!("the network could not be put right: {error:#}");
        }
    }
}

/// While this exists, each write with TCP_NODELAY is sent in a segment of its own.
#[derive(Debug)]
pub(crate) struct Eager(());

impl Eager {
    pub(crate) fn new() -> io::Result<Self> {
        // No write is held back until earlier data is acknowledged.
        fs::write(CORKING, "0")?;
        route(&["initcwnd", "1000", "quickack", "1"])?;
        Ok(Self(()))
    }
}

impl Drop for Eager {
    fn drop(&mut self) {
        if let Err(error) = fs::write(CORKING, "1").and_then(|()| route(&[])) {
            eprintln!("the network could not be put right: {error:#}");
        }
    }
}

/// The number of TCP segments received so far, in this network namespace.
pub(crate) fn segments() -> io::Result<u64> {
    let text = fs::read_to_string("/proc/self/net/snmp")?;
    let mut rows = text.lines().filter_map(|line| line.strip_prefix("Tcp: "));
    let (names, figures) = (
        rows.next().unwrap_or_default(),
        rows.next().unwrap_or_default(),
    );
    let mut columns = names.split(' ').zip(figures.split(' '));
    let figure = columns.find_map(|(name, figure)| (name == "InSegs").then_some(figure));
    figure
        .and_then(|figure| figure.parse().ok())
        .ok_or_else(|| io::Error::other("the system does not count segments"))
}

/// The number of the kernel's packet queue.
const NUMBER: u16 = 0;

/// The MTU of loopback by default.
const LOOPBACK: u32 = 65536;

fn carry(queue: &mut Queue, traits: Traits, ended: &AtomicBool) -> io::Result<Carried> {
    let mut random = Rng::with_seed(1);
    let mut carried = Carried::default();
    let mut held = VecDeque::new();
    loop {
        match queue.recv() {
            Ok(packet) => {
                carried.packets += 1;
                held.push_back((Instant::now() + traits.delay, packet));
                continue;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        let now = Instant::now();
        while held.front().is_some_and(|(due, _)| *due <= now)
            && let Some((_, mut packet)) = held.pop_front()
        {
            let lost = traits.lost.is_some_and(|of| random.u32(0..of) == 0);
            carried.lost += u64::from(lost);
            packet.set_verdict(if lost { Verdict::Drop } else { Verdict::Accept });
            queue.verdict(packet)?;
        }
        if held.is_empty() && ended.load(Ordering::Acquire) {
            return Ok(carried);
        }
        // The queue has no wait with a limit.
        thread::sleep(Duration::from_micros(500));
    }
}

const CORKING: &str = "/proc/sys/net/ipv4/tcp_autocorking";

fn route(traits: &[&str]) -> io::Result<()> {
    let route =
        "route change local 127.0.0.1 dev lo table local proto kernel scope host src 127.0.0.1";
    run(Command::new("ip").args(route.split(' ')).args(traits))
}

fn rule(verb: &str) -> io::Result<()> {
    let rule = ["INPUT", "-i", "lo", "-p", "tcp", "-j", "NFQUEUE"];
    run(Command::new("iptables").arg("-w").arg(verb).args(rule))
}

fn set_largest(bytes: u32) -> io::Result<()> {
    let bytes = bytes.to_string();
    run(Command::new("ip").args(["link", "set", "lo", "mtu", &bytes]))
}

fn run(command: &mut Command) -> io::Result<()> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{command:?}: {said}")))
}
