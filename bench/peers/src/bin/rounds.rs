//! Runs the measurements, and prints a line for each figure: `SECTION \t ROW \t CLIENT \t VALUE`.
//!
//! `rounds [--quick] SECTION…`; `bench/run` prepares what it needs.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use peers::Result;

/// A client, and how it is called.
struct Client {
    name: String,
    kind: Kind,
    nodelay: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// One of those in this package.
    Here(&'static str),
    SmtpSource,
    Curl,
    Smtplib,
}

/// How many mails, how large, for how many.
#[derive(Clone, Copy)]
struct Load {
    mails: usize,
    octets: usize,
    recipients: usize,
}

/// What one run of a client cost.
struct Cost {
    seconds: f64,
    cpu: f64,
    peak: u64,
    stderr: String,
}

struct Bench {
    /// Where the programs of this package lie.
    programs: PathBuf,
    /// Where the shims lie, and what is scratch.
    scratch: PathBuf,
    quick: bool,
    out: std::io::Stdout,
}

const OURS: [&str; 9] = [
    "ours",
    "ours-batch",
    "ours-bdat",
    "ours-binary",
    "ours-speculative",
    "ours-tokio",
    "ours-tokio-batch",
    "ours-tokio-bdat",
    "ours-tokio-speculative",
];
const PEERS: [&str; 5] = [
    "lettre",
    "lettre-tokio",
    "mail-send",
    "async-smtp",
    "io-smtp",
];
const LIMITS: [&str; 5] = ["limit-turn", "limit-b", "limit-c", "limit-bdat", "limit-d"];

/// Tells the files of runs apart.
static NUMBER: AtomicUsize = AtomicUsize::new(0);

const KB: usize = 1000;
const MB: usize = 1_000_000;

fn main() -> Result<()> {
    let programs = std::env::current_exe()?;
    let programs = programs.parent().ok_or("no folder")?.to_owned();
    let scratch = PathBuf::from(std::env::var_os("BENCH_SCRATCH").ok_or("call bench/run")?);
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let quick = words.iter().any(|word| word == "--quick");
    words.retain(|word| word != "--quick");
    let out = std::io::stdout();
    let bench = Bench {
        programs,
        scratch,
        quick,
        out,
    };
    for section in words {
        eprintln!("# {section}");
        match section.as_str() {
            "trips" => bench.trips()?,
            "calls" => bench.calls()?,
            "allocations" => bench.allocations()?,
            "instructions" => bench.instructions()?,
            "idle" => bench.idle()?,
            "loopback" => bench.loopback()?,
            "sink" => bench.smtp_sink()?,
            "line" => bench.line()?,
            "parts" => bench.parts()?,
            other => return Err(format!("no section {other}").into()),
        }
    }
    Ok(())
}

impl Bench {
    /// Round trips, counted by the server.
    fn trips(&self) -> Result<()> {
        let mut sink = self.sink(false)?;
        for client in self.clients(false) {
            for recipients in [1, 10, 100] {
                let load = |mails| Load {
                    mails,
                    octets: KB,
                    recipients,
                };
                let mut count = |mails| -> Result<f64> {
                    self.run(&client, &sink.address, load(mails), None, &[])?;
                    sink.trips(mails)
                };
                let result = count(1).and_then(|one| {
                    let (few, many) = (count(20)?, count(40)?);
                    Ok((one, (many - few) / 20.0))
                });
                let Some((one, each)) = self.try_or_skip(&client, result) else {
                    break;
                };
                self.say(
                    "trips",
                    &format!("a mail, {recipients} rcpt"),
                    &client,
                    each,
                )?;
                if recipients == 1 {
                    self.say("trips", "session of one mail", &client, one)?;
                }
            }
        }
        let mut sink = self.sink(true)?;
        for client in self.clients(false) {
            if !can_log_in(client.kind) {
                continue;
            }
            let load = Load {
                mails: 1,
                octets: KB,
                recipients: 1,
            };
            let trust = self.scratch.join("trust.der");
            let result = self
                .run(&client, &sink.address, load, Some(&trust), &[])
                .and_then(|_| sink.trips(1));
            if let Some(trips) = self.try_or_skip(&client, result) {
                let row = "STARTTLS and AUTH, one mail, without connect and TLS";
                self.say("trips", row, &client, trips)?;
            }
        }
        Ok(())
    }

    /// System calls a mail, by strace.
    fn calls(&self) -> Result<()> {
        let Some(strace) = which("strace") else {
            return skipped("strace");
        };
        let file = self.scratch.join("strace");
        let strace = strace.to_string_lossy().into_owned();
        let wrap = [&strace, "-f", "-c", "-o", &file.to_string_lossy()];
        self.differences("calls", &wrap, |_| {
            let text = std::fs::read_to_string(&file)?;
            // `100.00 seconds usecs/call calls [errors] total`
            let total = text.lines().find(|line| line.ends_with(" total"));
            let calls = total.and_then(|line| line.split_whitespace().nth(3));
            Ok(calls.ok_or("no total")?.parse()?)
        })
    }

    /// Allocations a mail, by a preloaded counter.
    fn allocations(&self) -> Result<()> {
        self.differences("allocations", &["allocations"], |cost| {
            let count = cost
                .stderr
                .lines()
                .find_map(|line| line.strip_prefix("allocations "));
            Ok(count.ok_or("no count")?.parse()?)
        })
    }

    /// Instructions a mail, by callgrind.
    fn instructions(&self) -> Result<()> {
        let Some(valgrind) = which("valgrind") else {
            return skipped("valgrind");
        };
        let valgrind = valgrind.to_string_lossy().into_owned();
        let wrap = [
            valgrind.as_str(),
            "--tool=callgrind",
            "--callgrind-out-file=/dev/null",
        ];
        self.differences("instructions", &wrap, |cost| {
            let line = cost
                .stderr
                .lines()
                .find_map(|line| line.split_once("Collected : "));
            Ok(line.ok_or("no count")?.1.trim().parse()?)
        })
    }

    /// What a mail adds: the difference between N and 2 N mails, divided.
    fn differences(
        &self,
        section: &str,
        wrap: &[&str],
        count: impl Fn(&Cost) -> Result<f64>,
    ) -> Result<()> {
        let sink = self.sink(false)?;
        for client in self.clients(false) {
            if client.kind == Kind::Smtplib {
                continue;
            }
            for (row, octets, recipients, mails) in [
                ("1 kB", KB, 1, 400),
                ("1 kB, 10 rcpt", KB, 10, 200),
                ("1 MB", MB, 1, 10),
            ] {
                let cost = |mails| {
                    let load = Load {
                        mails,
                        octets,
                        recipients,
                    };
                    count(&self.run(&client, &sink.address, load, None, wrap)?)
                };
                let each = cost(mails).and_then(|few| Ok((cost(2 * mails)? - few) / mails as f64));
                let Some(each) = self.try_or_skip(&client, each) else {
                    break;
                };
                self.say(section, row, &client, each)?;
            }
        }
        Ok(())
    }

    /// What a connection keeps that waits.
    fn idle(&self) -> Result<()> {
        let sink = self.sink(false)?;
        let output = Command::new(self.programs.join("idlers"))
            .args([sink.address.as_str(), "100"])
            .output()?;
        for line in String::from_utf8(output.stdout)?.lines() {
            let (name, octets) = line.split_once('\t').ok_or("a column is missing")?;
            let client = Client {
                name: name.into(),
                kind: Kind::Here(""),
                nodelay: false,
            };
            self.say("idle", "octets", &client, octets.parse()?)?;
        }
        Ok(())
    }

    /// Mails a second over loopback, and what a large one costs.
    fn loopback(&self) -> Result<()> {
        let sink = self.sink(false)?;
        let rounds = if self.quick { 1 } else { 5 };
        for (row, octets, recipients, mails) in [
            ("1 kB × 5000", KB, 1, 5000),
            ("1 kB, 10 rcpt × 1000", KB, 10, 1000),
            ("1 MB × 100", MB, 1, 100),
            ("25 MB × 5", 25 * MB, 1, 5),
        ] {
            let load = Load {
                mails,
                octets,
                recipients,
            };
            self.interleaved(rounds, &sink.address, row, load)?;
        }
        Ok(())
    }

    /// The same to Postfix's sink.
    fn smtp_sink(&self) -> Result<()> {
        let Some(program) = which("smtp-sink") else {
            return skipped("smtp-sink");
        };
        let port = std::net::TcpListener::bind("127.0.0.1:0")?
            .local_addr()?
            .port();
        let address = format!("127.0.0.1:{port}");
        let user = std::env::var("USER").unwrap_or_else(|_| "root".into());
        let mut child = Command::new(program)
            .args(["-u", &user, &address, "256"])
            .stdin(Stdio::null())
            .spawn()?;
        let result = (0..100)
            .find(|_| {
                std::thread::sleep(Duration::from_millis(20));
                std::net::TcpStream::connect(&address).is_ok()
            })
            .ok_or_else(|| "smtp-sink does not listen".into())
            .and_then(|_| {
                let load = Load {
                    mails: 5000,
                    octets: KB,
                    recipients: 1,
                };
                let rounds = if self.quick { 1 } else { 3 };
                self.interleaved(rounds, &address, "to smtp-sink, 1 kB × 5000", load)
            });
        child.kill()?;
        child.wait()?;
        result
    }

    /// Every client in turn, so many times; medians.
    fn interleaved(&self, rounds: usize, address: &str, row: &str, load: Load) -> Result<()> {
        let mut times: BTreeMap<usize, Vec<Cost>> = BTreeMap::new();
        let clients = self.clients(true);
        let mut out: Vec<usize> = Vec::new();
        for _ in 0..rounds {
            for (index, client) in clients.iter().enumerate() {
                if out.contains(&index) {
                    continue;
                }
                // What waits for delayed acknowledgements needs 44 ms for each.
                let slow = !client.nodelay && client.kind.is_slow_alone() && load.octets <= KB;
                let load = Load {
                    mails: if slow { load.mails.min(50) } else { load.mails },
                    ..load
                };
                let cost = self.run(client, address, load, None, &[]);
                match self.try_or_skip(client, cost) {
                    Some(mut cost) => {
                        cost.seconds /= load.mails as f64;
                        cost.cpu /= load.mails as f64;
                        times.entry(index).or_default().push(cost);
                    }
                    None => out.push(index),
                }
            }
        }
        for (index, costs) in times {
            let client = &clients[index];
            let of = |figure: fn(&Cost) -> f64| median(costs.iter().map(figure).collect());
            self.say(
                "loopback",
                &format!("{row}: mails/s"),
                client,
                1.0 / of(|cost| cost.seconds),
            )?;
            self.say(
                "cpu",
                &format!("{row}: CPU µs a mail"),
                client,
                1e6 * of(|cost| cost.cpu),
            )?;
            if load.octets > MB {
                let over = of(|cost| cost.peak as f64) - load.octets as f64;
                self.say(
                    "cpu",
                    &format!("{row}: peak MiB over the mail"),
                    client,
                    over / 1_048_576.0,
                )?;
            }
        }
        Ok(())
    }

    /// At 50 ms round trip; in a network namespace of its own, see `bench/run`.
    fn line(&self) -> Result<()> {
        let delay = self.scratch.join("nfdelay");
        if !delay.exists() {
            return skipped("nfdelay (needs libnetfilter_queue)");
        }
        let mut held = Command::new(delay)
            .arg("25000")
            .stdout(Stdio::piped())
            .spawn()?;
        let mut ready = String::new();
        BufReader::new(held.stdout.take().ok_or("no pipe")?).read_line(&mut ready)?;
        if ready.trim() != "ready" {
            return skipped("the netfilter queue");
        }
        let result = self.at_a_distance();
        held.kill()?;
        held.wait()?;
        result
    }

    /// The peers, who mostly wait, all at a time; the others one after the other.
    fn at_a_distance(&self) -> Result<()> {
        let sink = self.sink(false)?;
        let secure = self.sink(true)?;
        let (peers, others): (Vec<_>, Vec<_>) =
            (self.clients(true).into_iter()).partition(|client| client.kind.is_peer());
        for client in others {
            self.client_at_a_distance(&client, &sink, &secure)?;
        }
        std::thread::scope(|scope| {
            let measure = |client: &Client| {
                let result = self.client_at_a_distance(client, &sink, &secure);
                self.try_or_skip(client, result);
            };
            for client in &peers {
                scope.spawn(move || measure(client));
            }
        });
        Ok(())
    }

    fn client_at_a_distance(&self, client: &Client, sink: &Sink, secure: &Sink) -> Result<()> {
        const TRIP: f64 = 0.05;
        let trust = self.scratch.join("trust.der");
        for (row, mails, recipients, login) in [
            ("100 mails of 1 kB: seconds", 100, 1, false),
            ("a mail, 1 rcpt: round trips", 10, 1, false),
            ("a mail, 10 rcpt: round trips", 5, 10, false),
            ("a mail, 100 rcpt: round trips", 2, 100, false),
            ("session of one mail: round trips", 1, 1, false),
            ("STARTTLS, AUTH, one mail: round trips", 1, 1, true),
            (
                "STARTTLS, AUTH, one mail, 10 rcpt: round trips",
                1,
                10,
                true,
            ),
        ] {
            // Those that start slowly and do not tell their own time.
            let here = !matches!(client.kind, Kind::SmtpSource | Kind::Curl);
            if login && !(can_log_in(client.kind) && here) {
                continue;
            }
            let load = |mails| Load {
                mails,
                octets: KB,
                recipients,
            };
            let (sink, trust) = match login {
                true => (secure, Some(trust.as_path())),
                false => (sink, None),
            };
            let time = |mails| -> Result<f64> {
                let cost = self.run(client, &sink.address, load(mails), trust, &[])?;
                Ok(cost.seconds)
            };
            let value = match mails {
                100 if client.kind.is_peer() => time(100)?,
                100 => median(vec![time(100)?, time(100)?, time(100)?]),
                1 => time(1)? / TRIP,
                few => (time(2 * few)? - time(few)?) / few as f64 / TRIP,
            };
            self.say("line", row, client, value)?;
        }
        Ok(())
    }

    /// Parsers and encoders alone.
    fn parts(&self) -> Result<()> {
        let mut all: BTreeMap<(String, String), Vec<f64>> = BTreeMap::new();
        for _ in 0..if self.quick { 1 } else { 5 } {
            let output = Command::new(self.programs.join("parts")).output()?;
            for line in String::from_utf8(output.stdout)?.lines() {
                let mut words = line.split('\t');
                let mut word = || words.next().ok_or("a column is missing").map(String::from);
                let (row, client, value) = (word()?, word()?, word()?);
                all.entry((row, client)).or_default().push(value.parse()?);
            }
        }
        for ((row, name), values) in all {
            let client = Client {
                name,
                kind: Kind::Here(""),
                nodelay: false,
            };
            self.say("parts", &row, &client, median(values))?;
        }
        Ok(())
    }

    /// All clients that are installed; `twice`: also with TCP_NODELAY where that is not theirs.
    fn clients(&self, twice: bool) -> Vec<Client> {
        let here = OURS
            .iter()
            .chain(&PEERS)
            .chain(&LIMITS)
            .map(|&name| (name, Kind::Here(name)));
        let installed = [
            ("smtp-source", Kind::SmtpSource),
            ("curl", Kind::Curl),
            ("smtplib", Kind::Smtplib),
        ]
        .into_iter()
        .filter(|(_, kind)| {
            kind.program()
                .is_some_and(|program| which(program).is_some())
        });
        let mut clients = Vec::new();
        for (name, kind) in here.chain(installed) {
            clients.push(Client {
                name: name.into(),
                kind,
                // Where time does not count, nobody has to wait for delayed acknowledgements.
                nodelay: !twice && kind.is_slow_alone(),
            });
            if twice && kind.is_peer() {
                clients.push(Client {
                    name: format!("{name} +NODELAY"),
                    kind,
                    nodelay: true,
                });
            }
        }
        clients
    }

    /// Runs a client to its end, within a minute or two.
    fn run(
        &self,
        client: &Client,
        address: &str,
        load: Load,
        trust: Option<&Path>,
        wrap: &[&str],
    ) -> Result<Cost> {
        let (program, arguments) = self.call(client, address, load, trust)?;
        let mut preload = Vec::new();
        if client.nodelay {
            preload.push(self.scratch.join("nodelay.so"));
        }
        let mut command = match wrap {
            [] => Command::new(program),
            ["allocations"] => {
                preload.push(self.scratch.join("mallocs.so"));
                Command::new(program)
            }
            [wrapper, rest @ ..] => {
                let mut command = Command::new(wrapper);
                command.args(rest).arg(program);
                command
            }
        };
        command.args(arguments);
        if !preload.is_empty() {
            let list: Vec<_> = preload.iter().map(|path| path.to_string_lossy()).collect();
            command.env("LD_PRELOAD", list.join(":"));
        }
        // Several may run at a time.
        let number = NUMBER.fetch_add(1, Relaxed);
        let outfile = self.scratch.join(format!("stdout-{number}"));
        let errfile = self.scratch.join(format!("stderr-{number}"));
        command
            .stdin(Stdio::null())
            .stdout(std::fs::File::create(&outfile)?)
            .stderr(std::fs::File::create(&errfile)?);
        let begin = Instant::now();
        let child = command.spawn()?;
        let usage = usage::wait(child, Duration::from_secs(150))?;
        let whole = begin.elapsed().as_secs_f64();
        let (stdout, stderr) = (
            std::fs::read_to_string(&outfile)?,
            std::fs::read_to_string(&errfile)?,
        );
        std::fs::remove_file(outfile)?;
        std::fs::remove_file(errfile)?;
        if !usage.success {
            return Err(stderr.lines().last().unwrap_or("it failed").into());
        }
        let own = stdout
            .lines()
            .find_map(|line| line.strip_prefix("seconds "));
        Ok(Cost {
            seconds: own.map_or(Ok(whole), str::parse)?,
            cpu: usage.cpu,
            peak: usage.peak,
            stderr,
        })
    }

    fn call(
        &self,
        client: &Client,
        address: &str,
        load: Load,
        trust: Option<&Path>,
    ) -> Result<(PathBuf, Vec<String>)> {
        let numbers = [load.mails, load.octets, load.recipients].map(|number| number.to_string());
        let trust = trust.map(|path| path.to_string_lossy().into_owned());
        let program = |kind: Kind| kind.program().and_then(which).ok_or("is not installed");
        Ok(match client.kind {
            Kind::Here(name) => {
                let mut arguments = vec![name.to_owned(), address.to_owned()];
                arguments.extend(numbers);
                arguments.extend(trust);
                (self.programs.join("client"), arguments)
            }
            Kind::SmtpSource => {
                let [mails, octets, recipients] = numbers;
                let words = [
                    "-d",
                    "-s",
                    "1",
                    "-m",
                    &mails,
                    "-l",
                    &octets,
                    "-r",
                    &recipients,
                ];
                let mut words = words.map(String::from).to_vec();
                let more = ["-f", "alice@example.org", "-t", "user@example.net", address];
                words.extend(more.map(String::from));
                (program(client.kind)?, words)
            }
            Kind::Curl => {
                let text = self.scratch.join(format!("text-{}", load.octets));
                if !text.exists() {
                    std::fs::write(&text, peers::text(load.octets))?;
                }
                let mut words = String::from("silent\nmail-from = \"alice@example.org\"\n");
                for index in 0..load.recipients {
                    words += &format!("mail-rcpt = \"user{index}@example.net\"\n");
                }
                for _ in 0..load.mails {
                    words += &format!(
                        "url = \"smtp://{address}/client.example.org\"\nupload-file = \"{}\"\n",
                        text.display()
                    );
                }
                let number = NUMBER.fetch_add(1, Relaxed);
                let file = self.scratch.join(format!("curl-{number}"));
                std::fs::write(&file, words)?;
                let file = file.to_string_lossy().into_owned();
                (program(client.kind)?, vec!["-q".into(), "-K".into(), file])
            }
            Kind::Smtplib => {
                let script = self
                    .scratch
                    .join("smtplib-client.py")
                    .to_string_lossy()
                    .into_owned();
                let mut arguments = vec![script, address.to_owned()];
                arguments.extend(numbers);
                arguments.extend(trust.map(|path| path.replace(".der", ".pem")));
                (program(client.kind)?, arguments)
            }
        })
    }

    fn sink(&self, secure: bool) -> Result<Sink> {
        let mut command = Command::new(self.programs.join("sink"));
        if secure {
            command.arg(self.scratch.join("trust.der"));
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let input = child.stdin.take().ok_or("no pipe")?;
        let mut output = BufReader::new(child.stdout.take().ok_or("no pipe")?);
        let mut address = String::new();
        output.read_line(&mut address)?;
        Ok(Sink {
            address: address.trim().into(),
            input: Some(input),
            output,
            child,
        })
    }

    /// What a client cannot do is said, and left out.
    fn try_or_skip<T>(&self, client: &Client, result: Result<T>) -> Option<T> {
        result
            .inspect_err(|error| eprintln!("skipped: {}: {error}", client.name))
            .ok()
    }

    fn say(&self, section: &str, row: &str, client: &Client, value: f64) -> Result<()> {
        let mut out = self.out.lock();
        writeln!(out, "{section}\t{row}\t{}\t{value:.6}", client.name)?;
        Ok(out.flush()?)
    }
}

impl Kind {
    fn program(self) -> Option<&'static str> {
        match self {
            Self::Here(_) => None,
            Self::SmtpSource => Some("smtp-source"),
            Self::Curl => Some("curl"),
            Self::Smtplib => Some("python3"),
        }
    }

    fn is_peer(self) -> bool {
        match self {
            Self::Here(name) => PEERS.contains(&name),
            _ => true,
        }
    }

    /// Whether it writes twice in a turn, and then waits for the delayed acknowledgement.
    fn is_slow_alone(self) -> bool {
        matches!(self, Self::Here("lettre" | "lettre-tokio" | "mail-send"))
    }
}

fn can_log_in(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Here("ours" | "ours-tokio" | "lettre" | "lettre-tokio" | "mail-send" | "async-smtp")
            | Kind::Smtplib
    )
}

/// The server, as a process of its own.
struct Sink {
    address: String,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    child: Child,
}

impl Sink {
    /// The changes of direction since the last time, in which so many mails must have come.
    fn trips(&mut self, mails: usize) -> Result<f64> {
        let input = self.input.as_mut().ok_or("no pipe")?;
        writeln!(input)?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        let mut numbers = line.split_whitespace().map(str::parse::<usize>);
        let mut number = || numbers.next().ok_or("a number is missing");
        let (came, trips) = (number()??, number()??);
        if came != mails {
            return Err(format!("{came} mails came in place of {mails}").into());
        }
        Ok(trips as f64)
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        drop(self.input.take());
        _ = self.child.wait();
    }
}

fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into()])
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

fn skipped(what: &str) -> Result<()> {
    eprintln!("skipped: {what} is not there");
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() % 2 {
        0 => (values[middle - 1] + values[middle]) / 2.0,
        _ => values[middle],
    }
}

/// What a process used, which the standard library does not tell.
mod usage {
    use std::process::Child;
    use std::time::{Duration, Instant};

    use peers::Result;

    pub struct Usage {
        pub success: bool,
        /// Seconds, in user and system mode.
        pub cpu: f64,
        /// The most memory that was resident, in octets.
        pub peak: u64,
    }

    pub fn wait(mut child: Child, limit: Duration) -> Result<Usage> {
        let begin = Instant::now();
        let pid = child.id().cast_signed();
        // A thread that ends it if it takes too long; it is told when that is no longer wanted.
        let (done, is_done) = std::sync::mpsc::channel::<()>();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                if is_done.recv_timeout(limit) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                    _ = child.kill();
                }
            });
            let mut status = 0;
            // SAFETY: `rusage` is made of integers, for which zeros are valid.
            let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
            // SAFETY: both pointers are to locals that outlive the call; `pid` is a child that nobody else waits for.
            let waited = unsafe { libc::wait4(pid, &mut status, 0, &mut usage) };
            drop(done);
            if waited != pid {
                return Err(std::io::Error::last_os_error().into());
            }
            if begin.elapsed() > limit {
                return Err("it took too long".into());
            }
            let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
            Ok(Usage {
                success: libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0,
                cpu: seconds(usage.ru_utime) + seconds(usage.ru_stime),
                peak: usage.ru_maxrss.cast_unsigned() * 1024,
            })
        })
    }
}
