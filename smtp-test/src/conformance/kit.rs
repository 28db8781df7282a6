//! Runs scripts, with the reference and with an adapter, and compares.

use std::net::TcpStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use smtp_proto::{Security, Window, Wire};
use smtp_rustls::Endpoint;

use super::play::{Client, Play};
use super::record::{Both, Expired, Record};
use super::reference::Reference;
use super::report::{Report, ScriptReport};
use super::script::{Faults, Script, patient, tls, trust};
use super::server::{Conditions, Fault, start};
use super::{Adapter, Probe, scripts};
use crate::{Log, Session};

/// Which scripts run, and how.
///
/// ```no_run
/// # use smtp_test::conformance::{Adapter, Kit};
/// # fn with(adapter: impl Adapter) {
/// let report = Kit::new().only("STARTTLS").run(adapter);
/// println!("{report}");
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "no script runs before `run` or `check`"]
pub struct Kit {
    only: Option<String>,
    patience: Duration,
    threads: usize,
}

impl Kit {
    /// All scripts; or those whose names contain the value of the environment variable
    /// `SMTP_CONFORMANCE`, if it is set.
    pub fn new() -> Self {
        Self {
            only: std::env::var("SMTP_CONFORMANCE").ok(),
            patience: Duration::from_secs(20),
            threads: thread::available_parallelism().map_or(6, |count| count.get().clamp(6, 16)),
        }
    }

    /// Runs only scripts whose names contain this text.
    pub fn only(mut self, name: impl Into<String>) -> Self {
        self.only = Some(name.into());
        self
    }

    /// Sets how long a script may stand still before it counts as hanging; 20 seconds by default.
    pub fn patience(mut self, time: Duration) -> Self {
        self.patience = time;
        self
    }

    /// Sets how many scripts run at the same time; by default as many as there are processors, and
    /// at least 6, since many of them wait.
    pub fn threads(mut self, count: usize) -> Self {
        self.threads = count.max(1);
        self
    }

    /// The names of the scripts.
    pub fn names(&self) -> Vec<String> {
        self.scripts()
            .into_iter()
            .map(|script| script.name)
            .collect()
    }

    /// Runs the scripts.
    pub fn run(&self, adapter: impl Adapter) -> Report {
        let began = Instant::now();
        let adapter = Arc::new(adapter);
        let scripts: Vec<Arc<Script>> = self.scripts().into_iter().map(Arc::new).collect();
        let reports = Mutex::new(vec![None; scripts.len()]);
        let next = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..self.threads {
                scope.spawn(|| {
                    loop {
                        let at = next.fetch_add(1, Ordering::Relaxed);
                        let Some(script) = scripts.get(at) else {
                            break;
                        };
                        let report = self.script(&adapter, script);
                        reports.lock().unwrap_or_else(PoisonError::into_inner)[at] = Some(report);
                    }
                });
            }
        });
        let reports = reports.into_inner().unwrap_or_else(PoisonError::into_inner);
        Report {
            scripts: reports.into_iter().flatten().collect(),
            time: began.elapsed(),
        }
    }

    /// Runs the scripts, and asserts that the adapter passes them.
    ///
    /// # Panics
    /// If a script fails, with the whole [`Report`], or if no script has the name asked for.
    #[track_caller]
    pub fn check(&self, adapter: impl Adapter) {
        self.run(adapter).assert();
    }

    fn scripts(&self) -> Vec<Script> {
        let mut scripts = scripts::all();
        if let Some(name) = &self.only {
            scripts.retain(|script| script.name.contains(name.as_str()));
        }
        scripts
    }

    /// Runs one script, with each of its faults.
    fn script<A: Adapter>(&self, adapter: &Arc<A>, script: &Arc<Script>) -> ScriptReport {
        let began = Instant::now();
        let reference = Arc::new(Reference {
            is_full_duplex: adapter.is_full_duplex(),
        });
        let mut faults = Vec::new();
        let plan = match script.network.faults {
            Faults::One(fault) => vec![fault],
            Faults::EachWritten(fault, step) | Faults::EachRead(fault, step) => {
                let whole = self.perform(&reference, script, Fault::None);
                let bytes = match script.network.faults {
                    Faults::EachRead(..) => whole.read,
                    _ => whole.written,
                };
                (0..=bytes).step_by(step).map(fault).collect()
            }
        };
        for fault in plan {
            let expected = self.perform(&reference, script, fault);
            let mut found = expected.faults_of_reference(script);
            if found.is_empty() {
                let trace = self.perform(adapter, script, fault);
                found = trace.faults(&expected, script);
            }
            if !found.is_empty() {
                if fault != Fault::None {
                    found.insert(0, format!("with {fault:?}"));
                }
                faults = found;
                // The other places would say the same.
                break;
            }
        }
        ScriptReport {
            name: script.name.clone(),
            why: script.why,
            faults,
            time: began.elapsed(),
        }
    }

    /// Performs a script on a thread of its own, which is left behind if it hangs for good.
    fn perform<A: Adapter>(&self, adapter: &Arc<A>, script: &Arc<Script>, fault: Fault) -> Trace {
        let record = Arc::new(Record::default());
        let (tell, done) = mpsc::channel();
        let watched = Arc::clone(&record);
        let (adapter, script) = (Arc::clone(adapter), Arc::clone(script));
        let conditions = Conditions {
            fault,
            buffers: script.network.buffers,
            is_narrow: script.network.is_narrow,
            lingers: script.network.lingers,
            margin: match script.security {
                Security::Cleartext => 0,
                // Signatures have no fixed length.
                _ => 8,
            },
            patience: self.patience,
        };
        thread::spawn(move || {
            let trace = perform(&*adapter, &script, conditions, &record);
            let _ = tell.send(trace);
        });
        // It is still at work as long as bytes move.
        let mut moved = 0;
        loop {
            match done.recv_timeout(2 * self.patience) {
                Ok(trace) => return trace,
                Err(_) => {
                    let both = watched.lock();
                    let now = both.server.written.len() + both.server.read.len();
                    if std::mem::replace(&mut moved, now) == now || both.expired {
                        return Trace {
                            hangs: Some(both.stand()),
                            violations: both.violations.clone(),
                            ..Trace::default()
                        };
                    }
                }
            }
        }
    }
}

impl Default for Kit {
    fn default() -> Self {
        Self::new()
    }
}

/// What happened in a script.
#[derive(Debug, Default)]
struct Trace {
    /// What the client reported.
    lines: Vec<String>,
    /// What the server received, decrypted.
    plain: Vec<u8>,
    /// What the server made of it.
    ends: Vec<String>,
    violations: Vec<String>,
    is_boundary: bool,
    /// How far it came, if it hangs.
    hangs: Option<String>,
    written: usize,
    read: usize,
}

fn perform<A: Adapter>(
    adapter: &A,
    script: &Script,
    conditions: Conditions,
    record: &Arc<Record>,
) -> Trace {
    let log = Log::new();
    let (stream, server) =
        start(&script.server, conditions, record, &log).expect("a socket on loopback");
    let mut wire = wire(script);
    if adapter.is_full_duplex() {
        wire.smtp_mut().set_window(Window::FULL_DUPLEX);
    }
    let probe = Probe::new(wire, Arc::clone(record));
    let mut lines = Vec::new();
    let played = catch_unwind(AssertUnwindSafe(|| {
        play(
            adapter,
            script,
            stream,
            probe,
            conditions.patience,
            &mut lines,
        );
    }));
    record.change(|both| both.finished = true);
    let joined = server.join();
    let mut both = record.lock();
    if let Err(panic) = played
        && !panic.is::<Expired>()
    {
        both.violation(format!("panic: {}", text_of(&*panic)));
    }
    if joined.is_err() {
        both.violation("the server of the kit panicked");
    }
    Trace::of(lines, &mut both, &log, script.security)
}

/// Opens a client, does with it what a script says, and closes it.
fn play<A: Adapter>(
    adapter: &A,
    script: &Script,
    stream: TcpStream,
    probe: Probe,
    patience: Duration,
    lines: &mut Vec<String>,
) {
    let record = Arc::clone(probe.record());
    let handle = stream.try_clone().expect("a second handle to the socket");
    let mut client = Client {
        adapter,
        client: adapter.open(stream, probe),
    };
    let mut play = Play {
        client: &mut client,
        record: Arc::clone(&record),
        turns: script.turns,
        patience,
        handle,
        lines: Vec::new(),
    };
    (script.play)(&mut play);
    *lines = play.lines;
    // A second handle would keep the socket open.
    drop(play.handle);
    adapter.connection(&mut client.client).quit();
    record.begin_drive();
    adapter.close(client.client);
}

fn wire(script: &Script) -> Box<dyn Wire + Send> {
    let builder = Endpoint::builder("localhost")
        .security(script.security)
        .tls(trust(tls()))
        .timeouts(patient());
    let endpoint = (script.client)(builder)
        .build()
        .expect("a valid configuration");
    Box::new(endpoint.session())
}

impl Trace {
    fn of(lines: Vec<String>, both: &mut Both, log: &Log, security: Security) -> Self {
        let stand = both.stand();
        if !both.expired {
            both.check_output();
        }
        if !both.server.client_closed && !both.expired {
            both.violation("the socket was not closed");
        }
        let mut ends = Vec::new();
        if security != Security::Cleartext {
            let how = if both.server.notified {
                "by"
            } else {
                "without"
            };
            ends.push(format!("TLS ended {how} close_notify"));
        }
        let errors = log.sessions();
        let errors = errors.iter().filter_map(Session::tls_error);
        ends.extend(errors.map(|error| format!("TLS failed: {error}")));
        for mail in log.mails() {
            let recipients = mail.addresses().join(", ");
            ends.push(format!("stored {} bytes for {recipients}", mail.body_len()));
        }
        let broken = log.violations();
        ends.extend(
            broken
                .iter()
                .map(|violation| format!("rule broken: {violation}")),
        );
        Self {
            lines,
            plain: std::mem::take(&mut both.server.plain),
            ends,
            violations: std::mem::take(&mut both.violations),
            is_boundary: both.server.is_boundary,
            hangs: both.expired.then_some(stand),
            written: both.server.written.len(),
            read: both.server.read.len(),
        }
    }

    /// What is wrong with the trace of the reference, by the literal expectation.
    fn faults_of_reference(&self, script: &Script) -> Vec<String> {
        let mut faults = Vec::new();
        if let Some(stand) = &self.hangs {
            faults.push(format!("the reference hangs: {stand}"));
        }
        faults.extend(
            self.violations
                .iter()
                .map(|text| format!("the reference: {text}")),
        );
        if let Some(expected) = &script.expected
            && self.lines.last() != Some(expected)
        {
            faults.push(differ("the reference reports", &[expected], &self.lines));
        }
        faults
    }

    /// What the adapter did wrong, by the trace of the reference.
    fn faults(&self, expected: &Self, script: &Script) -> Vec<String> {
        let mut faults = self.violations.clone();
        if let Some(stand) = &self.hangs {
            faults.push(format!("it hangs, so the connection was broken; {stand}"));
            return faults;
        }
        if self.is_boundary || expected.is_boundary {
            // What the client did before it noticed the end depends on which was faster.
            return faults;
        }
        if self.lines != expected.lines {
            faults.push(differ("the client reports", &expected.lines, &self.lines));
        }
        if script.network.is_racy {
            return faults;
        }
        if self.plain != expected.plain {
            faults.push(part(&expected.plain, &self.plain));
        }
        if self.ends != expected.ends {
            faults.push(differ("the server notes", &expected.ends, &self.ends));
        }
        faults
    }
}

fn differ<E: AsRef<str>>(what: &str, expected: &[E], found: &[String]) -> String {
    let mut text = format!("{what} something else");
    for line in expected {
        text.push_str(&format!("\nexpected: {}", line.as_ref()));
    }
    for line in found {
        text.push_str(&format!("\nfound:    {line}"));
    }
    text
}

/// Where the bytes that the server received part.
fn part(expected: &[u8], found: &[u8]) -> String {
    let same = expected
        .iter()
        .zip(found)
        .take_while(|(a, b)| a == b)
        .count();
    let around = |bytes: &[u8]| {
        let end = bytes.len().min(same + 60);
        bytes[same.saturating_sub(30).min(end)..end]
            .escape_ascii()
            .to_string()
    };
    format!(
        "the server received other bytes, from byte {same} on, of {} and {}\nexpected: {}\nfound:    {}",
        expected.len(),
        found.len(),
        around(expected),
        around(found),
    )
}

fn text_of(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("without a text")
}
