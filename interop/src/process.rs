//! Servers that run: how they are started, waited for, stopped and started again.

use std::io::{self, BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};
use std::{fs, thread};

use rustix::process::{Pid, Signal, kill_process};

use crate::site::{Door, Site};

/// A server to start beside another one.
#[derive(Debug)]
pub(crate) struct Neighbour {
    pub(crate) name: &'static str,
    /// Runs it in the foreground.
    pub(crate) command: Command,
    /// Where it answers.
    pub(crate) address: SocketAddr,
}

/// A server that runs, until it is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    command: Command,
    output: PathBuf,
}

impl Running {
    /// Starts a server, whose output goes to a file, and waits until every door answers.
    pub(crate) fn start(command: Command, site: &Site, doors: &[Door]) -> io::Result<Self> {
        let mut running = Self::spawn(command, site.path("output"))?;
        running.wait_for(site, doors)?;
        Ok(running)
    }

    /// The number of its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Starts it once more, when it has ended.
    pub(crate) fn restart(&mut self, site: &Site, doors: &[Door]) -> io::Result<()> {
        self.stop()?;
        self.child = self.command.spawn()?;
        self.wait_for(site, doors)
    }

    fn wait_for(&mut self, site: &Site, doors: &[Door]) -> io::Result<()> {
        for &door in doors {
            self.wait(|| {
                answer(site.address(door), door)
                    .map_err(|error| io::Error::other(format!("{door:?}: {error}")))
            })?;
        }
        Ok(())
    }

    /// Starts a server that is needed by another one.
    pub(crate) fn start_beside(neighbour: Neighbour, site: &Site) -> io::Result<Self> {
        let output = site.path(&format!("output-{}", neighbour.name));
        let mut running = Self::spawn(neighbour.command, output)?;
        running.wait(|| answer(neighbour.address, Door::Relay))?;
        Ok(running)
    }

    fn spawn(mut command: Command, output: PathBuf) -> io::Result<Self> {
        let file = fs::File::create(&output)?;
        let child = command.stdout(file.try_clone()?).stderr(file).spawn()?;
        Ok(Self {
            child,
            command,
            output,
        })
    }

    fn wait(&mut self, answers: impl Fn() -> io::Result<()>) -> io::Result<()> {
        let until = Instant::now() + Duration::from_secs(20);
        while let Err(error) = answers() {
            let ended = self.child.try_wait()?.is_some();
            if ended || Instant::now() > until {
                let output = fs::read_to_string(&self.output).unwrap_or_default();
                return Err(io::Error::other(format!("{error}; it said: {output}")));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn stop(&mut self) -> io::Result<()> {
        if self.child.try_wait()?.is_some() {
            return Ok(());
        }
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let until = Instant::now() + Duration::from_secs(10);
        while self.child.try_wait()?.is_none() {
            if Instant::now() > until {
                self.child.kill()?;
                self.child.wait()?;
                break;
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            eprintln!("a server could not be stopped: {error}");
        }
    }
}

/// Asks a process and all that it started to end, as a system does that is shut down, and ends those that do not.
pub(crate) fn shut_down(root: u32) -> io::Result<()> {
    let mut parents: Vec<(u32, u32)> = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(id) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // One that has ended meanwhile needs nothing. Behind the name, which may hold anything: the state, the parent.
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        let fields = stat.rsplit_once(") ").map(|(_, fields)| fields);
        if let Some(parent) = fields.and_then(|fields| fields.split(' ').nth(1)?.parse().ok()) {
            parents.push((id, parent));
        }
    }
    let mut ids = vec![root];
    let mut index = 0;
    while let Some(&id) = ids.get(index) {
        let children = parents.iter().filter(|(_, parent)| *parent == id);
        ids.extend(children.map(|(child, _)| *child));
        index += 1;
    }
    for (signal, patience) in [
        (Signal::TERM, Duration::from_millis(500)),
        (Signal::KILL, Duration::from_secs(10)),
    ] {
        // One that has ended and whose parent has not noticed has no program.
        let mut left = ids.clone();
        left.retain(|id| fs::read_link(format!("/proc/{id}/exe")).is_ok());
        for &id in &left {
            let id = i32::try_from(id).ok().and_then(Pid::from_raw);
            // As above.
            let _ = id.map(|id| kill_process(id, signal));
        }
        let until = Instant::now() + patience;
        while !left.is_empty() && Instant::now() < until {
            thread::sleep(Duration::from_millis(5));
            left.retain(|id| fs::read_link(format!("/proc/{id}/exe")).is_ok());
        }
        if left.is_empty() {
            return Ok(());
        }
    }
    Err(io::Error::other("it does not end"))
}

/// Whether a server greets, or where TLS has to come first, takes a connection.
fn answer(address: SocketAddr, door: Door) -> io::Result<()> {
    let limit = Duration::from_secs(5);
    let stream = TcpStream::connect_timeout(&address, limit)?;
    if door == Door::Implicit {
        return Ok(());
    }
    stream.set_read_timeout(Some(limit))?;
    let mut line = String::new();
    BufReader::new(&stream).read_line(&mut line)?;
    // A server that is left without a word may count it as an offence.
    io::Write::write_all(&mut &stream, b"QUIT\r\n")?;
    let _ = io::copy(&mut &stream, &mut io::sink());
    if line.starts_with("220") {
        Ok(())
    } else {
        Err(io::Error::other(format!("it greets by {line:?}")))
    }
}
