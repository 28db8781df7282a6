//! Runs the clients against real mail servers, each a plain process on loopback with its own
//! configuration in a temporary folder. Compares the outcome of each message with the messages that
//! the server stored.
//!
//! `interop/fetch` downloads the servers. Requires Linux, and root for namespaces of its own.

// In layers: each module uses only those above it.
mod adapter;
mod apart;
mod certificates;
mod environment;
mod greylist;
mod mailer;
mod relay;
mod slow_link;
mod token;

mod process;

mod message;

mod server;

mod proxy;

mod case;

mod pace;
mod report;
mod soak;

use std::cell::RefCell;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use crate::adapter::Adapter;
use crate::case::{CaseContext, cases};
use crate::environment::{Environment, is_unpacked};
use crate::process::Running;
use crate::report::{Cell, Report};
use crate::server::{SERVERS, Server};

const USAGE: &str = "\
usage: interop [OPTION...] [SERVER...]

  --packages FOLDER     the servers that `interop/fetch` unpacked (target/interop)
  --require SERVER,...  fail if one of these servers is missing
  --case TEXT           only cases whose name contains TEXT
  --adapter NAME        only this client: tokio, smol or blocking
  --table FILE          write the results to FILE, in Markdown
  --keep                keep the temporary folder
  --soak COUNT          instead of the cases, send COUNT messages over connections that break
  --seed NUMBER         the random seed of --soak
  --pace COUNT          instead of the cases, send COUNT messages in every way over a 50 ms network, and print the times
";

struct Options {
    packages: PathBuf,
    required: Vec<String>,
    servers: Vec<String>,
    case: String,
    adapter: Option<String>,
    table: Option<PathBuf>,
    keep: bool,
    soak: Option<u32>,
    seed: u64,
    pace: Option<usize>,
}

type AnyError = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("interop: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode, AnyError> {
    let Some(options) = options()? else {
        print!("{USAGE}");
        return Ok(ExitCode::SUCCESS);
    };
    let Some(home) = apart::home() else {
        return Ok(apart::rerun(options.keep)?);
    };
    let mut report = Report::default();
    let mut result = Ok(());
    for server in SERVERS.iter().filter(|server| options.wants(**server)) {
        result = try_server(*server, &options, &home, &mut report);
        if result.is_err() {
            break;
        }
    }
    if options.keep {
        println!("kept: {}", home.display());
    }
    result?;
    print!("{report}");
    if let Some(path) = &options.table {
        fs::write(path, report.table())?;
    }
    match report.is_good() {
        true => Ok(ExitCode::SUCCESS),
        false => Ok(ExitCode::FAILURE),
    }
}

fn try_server(
    server: &dyn Server,
    options: &Options,
    home: &std::path::Path,
    report: &mut Report,
) -> Result<(), AnyError> {
    let name = server.name();
    if !is_unpacked(&options.packages.join(server.package())) {
        let required = options.required.iter().any(|each| each == name);
        report.missing(name, required);
        return Ok(());
    }
    let names = [&[server.package()], server.beside()].concat();
    let begin = Instant::now();
    let environment = Environment::new(&options.packages, &names, home.join(name))?;
    let command = server.prepare(&environment)?;
    let mut neighbours = Vec::new();
    let mut listeners = server.listeners().to_vec();
    for neighbour in server.neighbours(&environment)? {
        listeners.retain(|&listener| environment.address(listener) != neighbour.address);
        neighbours.push(Running::start_beside(neighbour, &environment)?);
    }
    // Dropped, and so stopped, before them.
    let running = RefCell::new(Running::start(
        command,
        &environment,
        &listeners,
        server.logs(&environment),
    )?);
    if let Some(mails) = options.soak {
        if let Some(delivery_log) = server.delivery_log(&environment) {
            let load = soak::Load {
                mails,
                seed: options.seed,
                before: server.listeners().len() as u64,
            };
            println!("{name}: {}", soak::run(&environment, delivery_log, load)?);
            report.went_well();
        }
        return Ok(());
    }
    for adapter in Adapter::ALL {
        if (options.adapter.as_ref()).is_some_and(|only| only != adapter.name()) {
            continue;
        }
        if let Some(mails) = options.pace {
            let context = CaseContext::new(server, &environment, &running, adapter);
            print!(
                "{name}, {}:\n{}",
                adapter.name(),
                pace::run(&context, mails)?
            );
            report.went_well();
            continue;
        }
        for case in cases(server).filter(|case| case.name.contains(&options.case)) {
            let context = CaseContext::new(server, &environment, &running, adapter);
            let verdict = context.run(case);
            if let Err(fault) = &verdict {
                println!("{name}, {}, {}: {fault}", case.name, adapter.name());
                let lines = context.transcript.lock().map_err(|_| "a client panicked")?;
                let path = home.join(format!("{name}-{}-{}", adapter.name(), report.failures()));
                fs::write(&path, lines.join("\n"))?;
                // Messages that a failed case left in the store must not affect the next case.
                let _ = server::collect(server, &environment);
            }
            report.add(name, case.name, adapter, Cell::from(verdict));
        }
    }
    report.took(name, begin.elapsed());
    Ok(())
}

impl Options {
    fn wants(&self, server: &dyn Server) -> bool {
        self.servers.is_empty() || self.servers.iter().any(|name| name == server.name())
    }
}

/// The options of the command line; `None` if it asks for help.
fn options() -> Result<Option<Options>, AnyError> {
    use lexopt::prelude::*;

    let mut options = Options {
        packages: PathBuf::from("target/interop"),
        required: Vec::new(),
        servers: Vec::new(),
        case: String::new(),
        adapter: None,
        table: None,
        keep: false,
        soak: None,
        seed: 1,
        pace: None,
    };
    let known = |name: &str| match SERVERS.iter().any(|server| server.name() == name) {
        true => Ok(name.to_owned()),
        false => Err(format!("no such server: {name}")),
    };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("packages") => options.packages = parser.value()?.into(),
            Long("require") => {
                for name in parser.value()?.string()?.split(',') {
                    options.required.push(known(name)?);
                }
            }
            Long("case") => options.case = parser.value()?.string()?,
            Long("adapter") => options.adapter = Some(parser.value()?.string()?),
            Long("table") => options.table = Some(parser.value()?.into()),
            Long("keep") => options.keep = true,
            Long("soak") => options.soak = Some(parser.value()?.parse()?),
            Long("seed") => options.seed = parser.value()?.parse()?,
            Long("pace") => options.pace = Some(parser.value()?.parse()?),
            Long("help") | Short('h') => return Ok(None),
            Value(name) => options.servers.push(known(&name.string()?)?),
            _ => return Err(argument.unexpected().into()),
        }
    }
    Ok(Some(options))
}
