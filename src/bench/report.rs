//! What a measurement gives: figures and plots with all that it takes to repeat them.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::machine::Machine;

/// Figures and plots of one run of `mainstem bench`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// What was measured: `throughput`, `latency`, …
    pub kind: String,
    /// The version of the program.
    pub version: String,
    /// The command line that repeats it.
    pub command: String,
    /// The input, with its seed.
    pub workload: String,
    /// Dataflow workers.
    pub workers: usize,
    /// Where it ran.
    pub machine: Machine,
    /// The numbers.
    pub figures: Vec<Figure>,
    /// What is shown as a picture.
    pub plots: Vec<Plot>,
    /// What has been checked, and what a reader has to know.
    pub notes: Vec<String>,
    /// When runs went on, where others watch the process meanwhile; it is not shown.
    #[serde(default)]
    pub timed: Vec<Stretch>,
}

/// When one run went on, from the start of its clock to the end.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Stretch {
    /// What ran.
    pub name: String,
    /// Its beginning, in seconds since 1970.
    pub began_s: f64,
    /// Its end, in seconds since 1970.
    pub ended_s: f64,
}

impl Stretch {
    /// A run that began at a moment.
    pub fn new(name: &str, began: SystemTime, lasted: Duration) -> Stretch {
        let began = began.duration_since(UNIX_EPOCH).unwrap_or_default();
        Stretch {
            name: name.to_owned(),
            began_s: began.as_secs_f64(),
            ended_s: (began + lasted).as_secs_f64(),
        }
    }
}

/// A number with its name and unit.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Figure {
    /// What it belongs to, such as one view or one size of state.
    pub group: String,
    /// What it is.
    pub name: String,
    /// How much.
    pub value: f64,
    /// In which unit.
    pub unit: String,
    /// Which way is better.
    pub better: Better,
}

/// Which way a figure gets better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    Higher,
    Lower,
    /// It describes the run.
    Neither,
}

/// Lines through points, or bars where the horizontal axis has names.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plot {
    /// What it shows.
    pub title: String,
    /// What the horizontal axis is.
    pub across: String,
    /// What the vertical axis is; it begins at zero.
    pub up: String,
    /// Names of the positions 0, 1, … of the horizontal axis; empty: it is a number.
    pub names: Vec<String>,
    /// The lines, each with its name and points.
    pub series: Vec<(String, Vec<(f64, f64)>)>,
}

impl Report {
    /// A report without figures yet.
    pub fn new(kind: &str, workload: &str, workers: usize) -> Report {
        Report {
            kind: kind.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            command: String::new(),
            workload: workload.to_owned(),
            workers,
            machine: Machine::here(),
            figures: Vec::new(),
            plots: Vec::new(),
            notes: Vec::new(),
            timed: Vec::new(),
        }
    }

    /// Adds a figure.
    pub fn figure(&mut self, group: &str, name: &str, value: f64, unit: &str, better: Better) {
        self.figures.push(Figure {
            group: group.to_owned(),
            name: name.to_owned(),
            value,
            unit: unit.to_owned(),
            better,
        });
    }

    /// The value of a figure, if there is one of this name.
    pub fn value(&self, group: &str, name: &str) -> Option<f64> {
        let mut figures = self.figures.iter();
        let figure = figures.find(|figure| figure.group == group && figure.name == name);
        figure.map(|figure| figure.value)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let machine = &self.machine;
        writeln!(
            f,
            "{} of {}, workers: {}",
            self.kind, self.workload, self.workers
        )?;
        writeln!(
            f,
            "mainstem {} on {} ({} cores, {} GiB, {})",
            self.version,
            machine.processor,
            machine.cores,
            machine.memory_bytes >> 30,
            machine.system
        )?;
        let names = self.figures.iter().map(|figure| figure.name.len());
        let width = names.max().unwrap_or(0);
        let mut group = None;
        for figure in &self.figures {
            if group != Some(&figure.group) {
                writeln!(f, "\n{}", figure.group)?;
                group = Some(&figure.group);
            }
            let value = number(figure.value);
            writeln!(f, "  {:width$}  {value:>12} {}", figure.name, figure.unit)?;
        }
        for note in &self.notes {
            write!(f, "\n{note}")?;
        }
        writeln!(f)
    }
}

/// A number as people read it: three to four digits that count, thousands apart.
pub fn number(value: f64) -> String {
    let size = value.abs();
    let decimals = match size {
        _ if size >= 100.0 || value == 0.0 => 0,
        _ if size >= 10.0 => 1,
        _ if size >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.decimals$}");
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.as_str()),
    };
    let (whole, fraction) = match digits.split_once('.') {
        Some((whole, fraction)) => (whole, format!(".{fraction}")),
        None => (digits, String::new()),
    };
    let mut grouped = String::new();
    for (position, digit) in whole.chars().enumerate() {
        if position > 0 && (whole.len() - position).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{sign}{grouped}{fraction}")
}

/// The least, the median (of an even number of them the greater of the two in the middle) and the
/// greatest of some numbers; zeros if there are none.
pub fn spread(values: &[f64]) -> (f64, f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match (sorted.first(), sorted.get(sorted.len() / 2), sorted.last()) {
        (Some(least), Some(middle), Some(greatest)) => (*least, *middle, *greatest),
        _ => (0.0, 0.0, 0.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        let cases = [
            (0.0, "0"),
            (0.1234, "0.123"),
            (1.5, "1.50"),
            (-12.345, "-12.3"),
            (123.4, "123"),
            (1_469_307.0, "1,469,307"),
        ];
        for (value, text) in cases {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn a_report_survives_json() {
        let mut report = Report::new("throughput", "retail", 2);
        report.figure("all views", "lines", 1.25, "lines/s", Better::Higher);
        let text = serde_json::to_string(&report).expect("plain data");
        let read: Report = serde_json::from_str(&text).expect("plain data");
        assert_eq!(read.value("all views", "lines"), Some(1.25));
        // Reports that were kept before there were times are still read.
        let old = text.replace(",\"timed\":[]", "");
        assert_ne!(old, text);
        assert!(serde_json::from_str::<Report>(&old).is_ok());
        assert_eq!(spread(&[3.0, 1.0, 2.0]), (1.0, 2.0, 3.0));
    }

    #[test]
    fn a_stretch_ends_so_long_after_its_beginning() {
        let began = UNIX_EPOCH + Duration::from_millis(1_500);
        let stretch = Stretch::new("csv", began, Duration::from_millis(250));
        assert_eq!((stretch.began_s, stretch.ended_s), (1.5, 1.75));
    }
}
