//! `table RESULTS`: the figures as tables in Markdown.

use peers::Result;
use peers::results::Results;

fn main() -> Result<()> {
    let path = std::env::args().nth(1).ok_or("RESULTS")?;
    let results = Results::read(path.as_ref())?;
    for (section, title) in SECTIONS {
        let rows = results.rows(section);
        if rows.is_empty() {
            continue;
        }
        println!("\n**{title}**\n");
        println!("| | {} |", rows.join(" | "));
        println!("|---|{}", "--:|".repeat(rows.len()));
        for client in results.clients(section) {
            let cells = rows.iter().map(|row| {
                let value = results.value(section, row, client);
                let base = if section == "callers" {
                    "three"
                } else {
                    "ours"
                };
                let ours = results.value(section, row, base);
                value.map_or_else(|| "–".into(), |value| cell(section, value, ours))
            });
            let cells: Vec<String> = cells.collect();
            println!("| {client} | {} |", cells.join(" | "));
        }
    }
    Ok(())
}

/// The figure and, where it depends on the machine, its ratio to our client that sends a message at
/// a time.
fn cell(section: &str, value: f64, ours: Option<f64>) -> String {
    let figure = number(value);
    match ours {
        Some(ours)
            if matches!(section, "loopback" | "callers" | "line" | "parts") && ours > 0.0 =>
        {
            format!("{figure} (×{:.2})", value / ours)
        }
        _ => figure,
    }
}

fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => grouped(value.round() as i64),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.1 || size == 0.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

fn grouped(value: i64) -> String {
    let digits = value.unsigned_abs().to_string();
    let mut text = String::from(if value < 0 { "-" } else { "" });
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

const SECTIONS: [(&str, &str); 11] = [
    ("trips", "Round trips, counted by the server"),
    ("calls", "System calls a message"),
    ("allocations", "Allocations a message"),
    ("instructions", "Instructions a message"),
    ("idle", "Heap of an idle connection in cleartext"),
    (
        "loopback",
        "Loopback, one connection (× ours a message at a time)",
    ),
    ("cpu", "The same, CPU time of the client and memory"),
    (
        "callers",
        "32 callers over three connections (× three clients without a pool)",
    ),
    (
        "line",
        "50 ms round trip, kernel TCP (× ours a message at a time)",
    ),
    ("parts", "Parsers and encoders alone (× ours)"),
    (
        "footprint",
        "The least program that sends a message with STARTTLS and AUTH",
    ),
];
