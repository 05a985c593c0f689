//! What tables keep, and each operator of all views together, as the engine counts it.

use std::collections::BTreeMap;

use super::BenchError;
use super::bed::{Bed, Place};
use super::report::{Better, Report};
use super::workload::{Workload, take};
use crate::dataflow::Held;
use crate::engine::{OperatorOverview, Overview};

/// Rows that are in memory before they are handed in.
const PART: usize = 1 << 20;
/// The longest name of an operator; lines of plans may be longer.
const LONGEST_NAME: usize = 70;

/// Loads a workload and adds what its tables and operators keep to the report.
pub fn kept(
    report: &mut Report,
    place: &Place,
    workload: &Workload,
    lines: usize,
    transaction: usize,
) -> Result<(), BenchError> {
    let bed = Bed::new(place, workload)?;
    let mut stream = (workload.transactions)()?;
    let mut rows = 0;
    while rows < lines {
        let part = take(stream.as_mut(), PART.min(lines - rows), transaction)?;
        match bed.load(part)? as usize {
            0 => break,
            loaded => rows += loaded,
        }
    }
    // Meanwhile the workers have time to merge what they hold.
    bed.check(workload)?;
    tell(report, &bed.engine.overview(), rows.max(1) as f64);
    Ok(())
}

fn tell(report: &mut Report, overview: &Overview, lines: f64) {
    for (table, size) in &overview.tables {
        let bytes = size.memory_bytes() as f64 / lines;
        let group = "state of the tables, as counted";
        report.figure(group, table, bytes, "bytes/line", Better::Lower);
    }
    for (owner, operators) in by_owner(&overview.operators) {
        let group = format!("rows kept by operators of {owner}");
        for (name, held) in &operators {
            let rows = held.rows as f64;
            report.figure(&group, name, rows, "rows", Better::Lower);
        }
        let group = format!("state of operators of {owner}");
        for (name, held) in &operators {
            let bytes = held.bytes as f64 / lines;
            report.figure(&group, name, bytes, "bytes/line", Better::Lower);
        }
    }
}

/// The operators that keep something, of all workers together, by the view or the index that they
/// work for; in the order of their numbers, which is that of the plan.
fn by_owner(operators: &[OperatorOverview]) -> BTreeMap<String, Vec<(String, Held)>> {
    let mut together: BTreeMap<u64, (&OperatorOverview, Held)> = BTreeMap::new();
    for operator in operators {
        let measure = &operator.measure;
        let entry = together.entry(measure.number);
        let (_, held) = entry.or_insert((operator, Held::default()));
        *held = held.plus(measure.held);
    }
    let mut owners: BTreeMap<String, Vec<(String, Held)>> = BTreeMap::new();
    let keeping = together.into_values().filter(|(_, held)| held.bytes > 0);
    for (operator, held) in keeping {
        let owner = match operator.is_shared {
            true => format!(
                "an index that may be shared, for {}",
                operator.views.join(", ")
            ),
            false => operator.views.join(", "),
        };
        let kept = owners.entry(owner).or_default();
        let name = named(operator);
        let same = kept.iter().filter(|(other, _)| of_name(other, &name));
        let name = match same.count() {
            0 => name,
            others => format!("{name} ({})", others + 1),
        };
        kept.push((name, held));
    }
    owners
}

/// The line of the plan and the kind of an operator.
fn named(operator: &OperatorOverview) -> String {
    let measure = &operator.measure;
    let name = match measure.node.is_empty() {
        true => measure.kind.to_string(),
        false => format!("{}: {}", measure.kind, measure.node),
    };
    let cut = name.char_indices().nth(LONGEST_NAME);
    match cut {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name,
    }
}

/// Whether this is the name, with a number or without.
fn of_name(numbered: &str, name: &str) -> bool {
    let rest = numbered.strip_prefix(name);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(" ("))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::dataflow::OperatorMeasure;

    fn operator(worker: usize, number: u64, bytes: u64) -> OperatorOverview {
        OperatorOverview {
            views: vec!["sales".to_owned()],
            is_shared: false,
            worker,
            measure: OperatorMeasure {
                number,
                kind: Arc::from("Arrange"),
                node: Arc::from("Distinct"),
                busy: Duration::ZERO,
                activations: 1,
                held: Held {
                    rows: bytes / 8,
                    bytes,
                    batches: 1,
                },
            },
        }
    }

    #[test]
    fn workers_are_added_up_and_equal_names_told_apart() {
        let operators = [
            operator(0, 7, 80),
            operator(1, 7, 16),
            operator(0, 8, 0),
            operator(0, 9, 8),
        ];
        let owners = by_owner(&operators);
        let kept = owners["sales"].iter();
        let kept: Vec<(&str, u64, u64)> = kept
            .map(|(name, held)| (name.as_str(), held.rows, held.bytes))
            .collect();
        assert_eq!(
            kept,
            [
                ("Arrange: Distinct", 12, 96),
                ("Arrange: Distinct (2)", 1, 8)
            ]
        );
    }
}
