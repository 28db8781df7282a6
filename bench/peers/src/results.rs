//! The file of figures, one line each: `SECTION \t ROW \t CLIENT \t VALUE`.

use std::path::Path;

use crate::Result;

/// All figures, in the order of the file.
pub struct Results(Vec<Line>);

struct Line {
    section: String,
    row: String,
    client: String,
    value: f64,
}

impl Results {
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)?;
        let lines = text.lines().map(|line| {
            let mut words = line.split('\t').map(String::from);
            let mut word = || words.next().ok_or("a column is missing");
            Ok(Line {
                section: word()?,
                row: word()?,
                client: word()?,
                value: word()?.parse()?,
            })
        });
        lines.collect::<Result<_>>().map(Self)
    }

    pub fn rows(&self, section: &str) -> Vec<&str> {
        unique(self.of(section).map(|line| line.row.as_str()))
    }

    /// The clients of a section: ours, then the others, then the limits.
    pub fn clients(&self, section: &str) -> Vec<&str> {
        let mut clients = unique(self.of(section).map(|line| line.client.as_str()));
        clients.sort_by_key(|name| {
            (
                name.starts_with("limit") || is_memory(name),
                !name.starts_with("ours"),
            )
        });
        clients
    }

    pub fn value(&self, section: &str, row: &str, client: &str) -> Option<f64> {
        let mut lines = self.of(section);
        let line = lines.find(|line| line.row == row && line.client == client);
        line.map(|line| line.value)
    }

    fn of(&self, section: &str) -> impl Iterator<Item = &Line> {
        self.0.iter().filter(move |line| line.section == section)
    }
}

fn is_memory(name: &str) -> bool {
    matches!(name, "memchr" | "memcpy" | "bare")
}

fn unique<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut all = Vec::new();
    for name in names {
        if !all.contains(&name) {
            all.push(name);
        }
    }
    all
}
