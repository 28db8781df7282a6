//! `plot RESULTS FOLDER`: a bar chart (SVG) for each of the main figures.

use std::fmt::Write;
use std::path::Path;

use peers::Result;
use peers::results::Results;

fn main() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let mut word = || words.next().ok_or("RESULTS FOLDER");
    let (results, folder) = (Results::read(word()?.as_ref())?, word()?);
    std::fs::create_dir_all(&folder)?;
    for chart in &CHARTS {
        let mut bars: Vec<(&str, f64)> = results
            .clients(chart.section)
            .into_iter()
            .filter_map(|client| {
                let value = results.value(chart.section, chart.row, client)?;
                (value > 0.0).then_some((client, value))
            })
            .collect();
        if bars.is_empty() {
            continue;
        }
        bars.sort_by(|one, other| one.1.total_cmp(&other.1));
        if chart.more_is_better {
            bars.reverse();
        }
        let path = Path::new(&folder).join(chart.file);
        std::fs::write(path, draw(chart.title, &bars))?;
    }
    Ok(())
}

struct Chart {
    section: &'static str,
    row: &'static str,
    title: &'static str,
    file: &'static str,
    more_is_better: bool,
}

const CHARTS: [Chart; 5] = [
    Chart {
        section: "line",
        row: "100 messages of 1 kB: seconds",
        title: "100 messages of 1 kB over a line of 50 ms round trip: seconds",
        file: "line.svg",
        more_is_better: false,
    },
    Chart {
        section: "loopback",
        row: "1 kB × 5000: messages/s",
        title: "Messages of 1 kB over loopback, one connection: messages a second",
        file: "loopback.svg",
        more_is_better: true,
    },
    Chart {
        section: "instructions",
        row: "1 kB",
        title: "Instructions a message of 1 kB",
        file: "instructions.svg",
        more_is_better: false,
    },
    Chart {
        section: "calls",
        row: "1 kB, 10 rcpt",
        title: "System calls a message for ten recipients",
        file: "calls.svg",
        more_is_better: false,
    },
    Chart {
        section: "footprint",
        row: "stripped MB",
        title: "The least program that sends a message with STARTTLS and AUTH: stripped, MB",
        file: "footprint.svg",
        more_is_better: false,
    },
];

/// Bars on a logarithmic scale where the largest is 20 times the smallest or more, from zero
/// otherwise.
fn draw(title: &str, bars: &[(&str, f64)]) -> String {
    let values = || bars.iter().map(|bar| bar.1);
    let largest = values().fold(f64::MIN, f64::max);
    let smallest = values().fold(f64::MAX, f64::min);
    let logarithmic = largest / smallest >= 20.0;
    let length = |value: f64| {
        let share = match logarithmic {
            // Down to half a decade below the smallest, so that its bar is visible.
            true => (value / smallest).log10() + 0.5,
            false => value,
        };
        let whole = match logarithmic {
            true => (largest / smallest).log10() + 0.5,
            false => largest,
        };
        share / whole * ROOM
    };
    let height = TOP + ROW * bars.len() as f64 + 10.0;
    let mut svg = String::new();
    let scale = if logarithmic { ", logarithmic" } else { "" };
    _ = write!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"10\" y=\"22\" font-size=\"15\" font-weight=\"bold\">{title}{scale}</text>\n"
    );
    for (index, (name, value)) in bars.iter().enumerate() {
        let y = TOP + ROW * index as f64;
        let colour = match name {
            name if name.starts_with("ours") => "#2166ac",
            name if name.starts_with("limit") || *name == "bare" => "#bdbdbd",
            _ => "#d6804d",
        };
        let (bar, text) = (length(*value), y + ROW / 2.0 + 3.0);
        _ = write!(
            svg,
            "<text x=\"{x}\" y=\"{text}\" text-anchor=\"end\">{name}</text>\n\
             <rect x=\"{LEFT}\" y=\"{y}\" width=\"{bar:.1}\" height=\"{thick}\" fill=\"{colour}\"/>\n\
             <text x=\"{end:.1}\" y=\"{text}\">{figure}</text>\n",
            x = LEFT - 8.0,
            thick = ROW - 5.0,
            end = LEFT + bar + 6.0,
            figure = figure(*value),
        );
    }
    svg + "</svg>\n"
}

fn figure(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

const WIDTH: f64 = 860.0;
const LEFT: f64 = 200.0;
/// The width of the bars; the rest is for their figures.
const ROOM: f64 = 570.0;
const TOP: f64 = 38.0;
const ROW: f64 = 21.0;
