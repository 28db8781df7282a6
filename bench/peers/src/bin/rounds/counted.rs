//! Figures that are the same on every machine, or that need no comparison in time.

use std::collections::BTreeMap;
use std::process::Command;

use peers::Result;

use crate::clients::{Client, Cost, Kind, Load, which};
use crate::{Bench, KB, MB, median, skipped};

impl Bench {
    /// Round trips, counted by the server.
    pub(crate) fn trips(&self) -> Result<()> {
        let mut sink = self.sink(false)?;
        for client in self.clients(false) {
            for recipients in [1, 10, 100] {
                let load = |mails| Load {
                    mails,
                    bytes: KB,
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
                    &format!("a message, {recipients} rcpt"),
                    &client,
                    each,
                )?;
                if recipients == 1 {
                    self.say("trips", "session of one message", &client, one)?;
                }
            }
        }
        let mut sink = self.sink(true)?;
        for client in self.clients(false) {
            if !client.kind.can_log_in() {
                continue;
            }
            let load = Load {
                mails: 1,
                bytes: KB,
                recipients: 1,
            };
            let trust = self.scratch.join("trust.der");
            let result = self
                .run(&client, &sink.address, load, Some(&trust), &[])
                .and_then(|_| sink.trips(1));
            if let Some(trips) = self.try_or_skip(&client, result) {
                let row = "STARTTLS and AUTH, one message, without connect and TLS";
                self.say("trips", row, &client, trips)?;
            }
        }
        Ok(())
    }

    /// System calls for each message, by strace.
    pub(crate) fn calls(&self) -> Result<()> {
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

    /// Allocations for each message, by a preloaded counter.
    pub(crate) fn allocations(&self) -> Result<()> {
        self.differences("allocations", &["allocations"], |cost| {
            let count = cost
                .stderr
                .lines()
                .find_map(|line| line.strip_prefix("allocations "));
            Ok(count.ok_or("no count")?.parse()?)
        })
    }

    /// Instructions for each message, by callgrind.
    pub(crate) fn instructions(&self) -> Result<()> {
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

    /// The cost of one message: the difference between N and 2 N messages, divided by N.
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
            for (row, bytes, recipients, mails) in [
                ("1 kB", KB, 1, 400),
                ("1 kB, 10 rcpt", KB, 10, 200),
                ("1 MB", MB, 1, 10),
            ] {
                let cost = |mails| {
                    let load = Load {
                        mails,
                        bytes,
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

    /// The heap of an idle connection.
    pub(crate) fn idle(&self) -> Result<()> {
        let sink = self.sink(false)?;
        let output = Command::new(self.programs.join("idlers"))
            .args([sink.address.as_str(), "1000"])
            .output()?;
        if !output.status.success() {
            eprintln!(
                "skipped: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        for line in String::from_utf8(output.stdout)?.lines() {
            let (name, bytes) = line.split_once('\t').ok_or("a column is missing")?;
            let client = Client {
                name: name.into(),
                kind: Kind::Here(""),
                nodelay: false,
            };
            self.say("idle", "bytes", &client, bytes.parse()?)?;
        }
        Ok(())
    }

    /// Parsers and encoders alone.
    pub(crate) fn parts(&self) -> Result<()> {
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
}
