//! Measurements of time, in rounds with every client in each.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use peers::Result;

use crate::clients::{Client, Cost, Kind, Load, which};
use crate::sink::ChunkWriter;
use crate::{Bench, KB, MB, median, skipped};

impl Bench {
    /// Messages a second over loopback, and the cost of a large one.
    pub(crate) fn loopback(&self) -> Result<()> {
        let sink = self.sink(false)?;
        let rounds = if self.quick { 1 } else { 5 };
        for (row, bytes, recipients, mails) in [
            ("1 kB × 5000", KB, 1, 5000),
            ("1 kB, 10 rcpt × 1000", KB, 10, 1000),
            ("1 MB × 100", MB, 1, 100),
            ("25 MB × 5", 25 * MB, 1, 5),
        ] {
            let load = Load {
                mails,
                bytes,
                recipients,
            };
            self.interleaved(rounds, &sink.address, row, load)?;
        }
        Ok(())
    }

    /// Messages a second of 32 callers over three connections, on loopback.
    pub(crate) fn callers(&self) -> Result<()> {
        let sink = self.sink(false)?;
        let load = Load {
            mails: 10_000,
            bytes: KB,
            recipients: 1,
        };
        let rounds = if self.quick { 1 } else { 9 };
        let clients = self.pools();
        let mut times: Vec<Vec<f64>> = clients.iter().map(|_| Vec::new()).collect();
        for _ in 0..rounds {
            for (client, times) in clients.iter().zip(&mut times) {
                let cost = self.run(client, &sink.address, load, None, &[]);
                times.extend(self.try_or_skip(client, cost).map(|cost| cost.seconds));
            }
        }
        for (client, times) in clients.iter().zip(times) {
            if !times.is_empty() {
                let rate = load.mails as f64 / median(times);
                self.say("callers", "loopback: messages/s", client, rate)?;
            }
        }
        Ok(())
    }

    /// The same to Postfix's sink.
    pub(crate) fn smtp_sink(&self) -> Result<()> {
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
                    bytes: KB,
                    recipients: 1,
                };
                let rounds = if self.quick { 1 } else { 3 };
                self.interleaved(rounds, &address, "to smtp-sink, 1 kB × 5000", load)
            });
        child.kill()?;
        child.wait()?;
        result
    }

    /// Every client in turn, `rounds` times; medians.
    fn interleaved(&self, rounds: usize, address: &str, row: &str, load: Load) -> Result<()> {
        let mut times: BTreeMap<usize, Vec<Cost>> = BTreeMap::new();
        let clients = self.clients(true);
        let mut out: Vec<usize> = Vec::new();
        for _ in 0..rounds {
            for (index, client) in clients.iter().enumerate() {
                if out.contains(&index) {
                    continue;
                }
                // A wait for delayed acknowledgements takes 44 ms for each.
                let slow = !client.nodelay && client.kind.is_slow_alone() && load.bytes <= KB;
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
                &format!("{row}: messages/s"),
                client,
                1.0 / of(|cost| cost.seconds),
            )?;
            self.say(
                "cpu",
                &format!("{row}: CPU µs a message"),
                client,
                1e6 * of(|cost| cost.cpu),
            )?;
            if load.bytes > MB {
                // The memory of the program itself is not that of the message.
                let small = Load {
                    mails: 1,
                    bytes: KB,
                    recipients: 1,
                };
                let itself = self.run(client, address, small, None, &[])?.peak;
                let over = of(|cost| cost.peak as f64) - itself as f64 - load.bytes as f64;
                self.say(
                    "cpu",
                    &format!("{row}: peak MiB over the message"),
                    client,
                    over / 1_048_576.0,
                )?;
            }
        }
        Ok(())
    }

    /// With a round trip of 50 ms, in a network namespace; see `bench/run`.
    pub(crate) fn line(&self) -> Result<()> {
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

    /// Clients of other projects, which mostly wait, run at one time; the rest one after the other.
    fn at_a_distance(&self) -> Result<()> {
        let sink = self.sink(false)?;
        let secure = self.sink(true)?;
        for client in self.pools() {
            let load = Load {
                mails: 300,
                bytes: KB,
                recipients: 1,
            };
            let cost = self.run(&client, &sink.address, load, None, &[]);
            if let Some(cost) = self.try_or_skip(&client, cost) {
                let row = "300 messages over 50 ms: seconds";
                self.say("callers", row, &client, cost.seconds)?;
            }
        }
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

    fn client_at_a_distance(
        &self,
        client: &Client,
        sink: &ChunkWriter,
        secure: &ChunkWriter,
    ) -> Result<()> {
        const TRIP: f64 = 0.05;
        let trust = self.scratch.join("trust.der");
        for (row, mails, recipients, login) in [
            ("100 messages of 1 kB: seconds", 100, 1, false),
            ("a message, 1 rcpt: round trips", 10, 1, false),
            ("a message, 10 rcpt: round trips", 5, 10, false),
            ("a message, 100 rcpt: round trips", 2, 100, false),
            ("session of one message: round trips", 1, 1, false),
            ("STARTTLS, AUTH, one message: round trips", 1, 1, true),
            (
                "STARTTLS, AUTH, one message, 10 rcpt: round trips",
                1,
                10,
                true,
            ),
        ] {
            // Clients that start slowly and do not print their own time.
            let here = !matches!(client.kind, Kind::SmtpSource | Kind::Curl);
            if login && !(client.kind.can_log_in() && here) {
                continue;
            }
            let load = |mails| Load {
                mails,
                bytes: KB,
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
}
