//! The table of results.

use std::fmt;
use std::time::Duration;

use crate::adapter::Adapter;
use crate::case::{Done, Verdict};

/// The results by server, case and client.
#[derive(Debug, Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
    missing: Vec<(&'static str, bool)>,
    times: Vec<(&'static str, Duration)>,
    runs: usize,
}

#[derive(Debug)]
struct Row {
    server: &'static str,
    case: &'static str,
    cells: [Option<Cell>; Adapter::ALL.len()],
}

/// The result of one case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cell {
    Passed,
    Failed,
    Unsupported,
}

impl From<Verdict> for Cell {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Ok(Done::Passed) => Self::Passed,
            Ok(Done::Unsupported) => Self::Unsupported,
            Err(_) => Self::Failed,
        }
    }
}

impl Report {
    pub(crate) fn add(
        &mut self,
        server: &'static str,
        case: &'static str,
        adapter: Adapter,
        cell: Cell,
    ) {
        let found = |row: &&mut Row| row.server == server && row.case == case;
        let column = Adapter::ALL
            .iter()
            .position(|&each| each == adapter)
            .unwrap_or_default();
        if let Some(row) = self.rows.iter_mut().find(found) {
            row.cells[column] = Some(cell);
            return;
        }
        let mut cells = [None; Adapter::ALL.len()];
        cells[column] = Some(cell);
        self.rows.push(Row {
            server,
            case,
            cells,
        });
    }

    /// Adds a server that was not found.
    pub(crate) fn missing(&mut self, server: &'static str, required: bool) {
        self.missing.push((server, required));
    }

    /// Adds the time that a server took.
    pub(crate) fn took(&mut self, server: &'static str, time: Duration) {
        self.times.push((server, time));
    }

    /// The table in Markdown: a row for each case, a column for each server, and in it a mark for
    /// each client.
    pub(crate) fn table(&self) -> String {
        let mut servers: Vec<&str> = Vec::new();
        let mut cases: Vec<&str> = Vec::new();
        for row in &self.rows {
            if !servers.contains(&row.server) {
                servers.push(row.server);
            }
            if !cases.contains(&row.case) {
                cases.push(row.case);
            }
        }
        let line =
            |first: &str, cells: Vec<String>| format!("| {first} | {} |\n", cells.join(" | "));
        let clients = Adapter::ALL.map(Adapter::name).join(", ");
        let mut text = format!(
            "A mark for each of {clients}: ✓ passed, ✗ failed, – not supported by the server, nothing if not tried.\n\n"
        );
        text += &line("", servers.iter().map(|&each| each.to_owned()).collect());
        text += &line("---", servers.iter().map(|_| "---".to_owned()).collect());
        for case in cases {
            let cell = |server: &&str| {
                let found = |row: &&Row| row.server == *server && row.case == case;
                match self.rows.iter().find(found) {
                    Some(row) => row.cells.iter().flatten().map(|cell| cell.mark()).collect(),
                    None => String::new(),
                }
            };
            text += &line(case, servers.iter().map(cell).collect());
        }
        let seconds = |server: &&str| {
            let time = self.times.iter().find(|(name, _)| name == server);
            time.map_or(String::new(), |(_, time)| format!("{} s", time.as_secs()))
        };
        text + &line("time", servers.iter().map(seconds).collect())
    }

    pub(crate) fn failures(&self) -> usize {
        self.count(Cell::Failed)
    }

    /// Records a successful run of another kind.
    pub(crate) fn went_well(&mut self) {
        self.runs += 1;
    }

    /// Whether cases were run, none failed, and no required server was missing.
    pub(crate) fn is_good(&self) -> bool {
        self.failures() == 0
            && self.count(Cell::Passed) + self.runs > 0
            && !self.missing.iter().any(|&(_, required)| required)
    }

    fn count(&self, cell: Cell) -> usize {
        let cells = self.rows.iter().flat_map(|row| row.cells);
        cells.filter(|&each| each == Some(cell)).count()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut last = "";
        for row in &self.rows {
            if row.server != last {
                last = row.server;
                write!(f, "\n{last:45}")?;
                for adapter in Adapter::ALL {
                    write!(f, "{:10}", adapter.name())?;
                }
                writeln!(f)?;
            }
            write!(f, "  {:43}", row.case)?;
            for cell in row.cells {
                write!(f, "{:10}", cell.map_or("", Cell::word))?;
            }
            writeln!(f)?;
        }
        writeln!(f)?;
        for (server, time) in &self.times {
            writeln!(f, "{server}: {} s", time.as_secs())?;
        }
        for (server, required) in &self.missing {
            let word = if *required {
                "missing"
            } else {
                "skipped, not there"
            };
            writeln!(f, "{server}: {word}")?;
        }
        writeln!(
            f,
            "{} passed, {} failed, {} not supported",
            self.count(Cell::Passed),
            self.failures(),
            self.count(Cell::Unsupported)
        )
    }
}

impl Cell {
    const fn mark(self) -> char {
        match self {
            Self::Passed => '✓',
            Self::Failed => '✗',
            Self::Unsupported => '–',
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "FAILED",
            Self::Unsupported => "-",
        }
    }
}
