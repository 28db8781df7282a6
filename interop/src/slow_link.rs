//! The network between a client and a server: how long packets are on their way, how large they may be, how many get lost.
//!
//! It is the kernel's own loopback, whose packets pass through this program, so what they carry is real TCP.

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

/// What a network does to packets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Traits {
    /// How long a packet is on its way.
    pub(crate) delay: Duration,
    /// The most bytes of a packet.
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

/// A network that is in force until it is dropped.
#[derive(Debug)]
pub(crate) struct SlowLink {
    ended: Arc<AtomicBool>,
    carrier: Option<JoinHandle<io::Result<Carried>>>,
}

/// What went over it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Carried {
    pub(crate) packets: u64,
    pub(crate) lost: u64,
}

impl SlowLink {
    pub(crate) fn new(traits: Traits) -> io::Result<Self> {
        let mut queue = Queue::open()?;
        queue.bind(NUMBER)?;
        // Of the packet itself nothing is asked.
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

    /// Ends it, and tells what went over it.
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

/// As long as it is there, whatever is written goes out in a segment of its own, if the writer asks that nothing is waited for.
#[derive(Debug)]
pub(crate) struct Eager(());

impl Eager {
    pub(crate) fn new() -> io::Result<Self> {
        // Nothing is gathered, least of all until something is acknowledged.
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

/// How many segments of TCP came in so far, in this network.
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

/// The number of the kernel's queue of packets.
const NUMBER: u16 = 0;

/// The largest packet of the loopback as it is.
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
        // The queue cannot be waited for with a limit.
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
