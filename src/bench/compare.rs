//! Two reports side by side.

use std::fmt::Write;

use super::report::{Better, Report, number};

/// Changes smaller than this share are within what runs differ by anyway.
const NOISE: f64 = 0.05;

/// A table of all figures that both reports have, with the ratio of the second to the first.
pub fn compare(before: &Report, after: &Report) -> String {
    let mut text = String::new();
    for warning in differences(before, after) {
        let _ = writeln!(text, "{warning}");
    }
    let mut group = "";
    for figure in &before.figures {
        let Some(value) = after.value(&figure.group, &figure.name) else {
            continue;
        };
        if group != figure.group {
            group = &figure.group;
            let _ = writeln!(text, "\n{group}");
        }
        let ratio = match figure.value {
            0.0 => 1.0,
            first => value / first,
        };
        let _ = writeln!(
            text,
            "  {:24} {:>12} -> {:>12} {:12} {ratio:>6.2}x {}",
            figure.name,
            number(figure.value),
            number(value),
            figure.unit,
            verdict(figure.better, ratio)
        );
    }
    text
}

fn verdict(better: Better, ratio: f64) -> &'static str {
    let gain = match better {
        Better::Higher => ratio,
        Better::Lower => 1.0 / ratio.max(f64::MIN_POSITIVE),
        Better::Neither => return "",
    };
    match gain {
        _ if gain > 1.0 + NOISE => "better",
        _ if gain < 1.0 - NOISE => "worse",
        _ => "",
    }
}

/// What makes the two not the same measurement.
fn differences(before: &Report, after: &Report) -> Vec<String> {
    let pairs = [
        ("kind", before.kind.clone(), after.kind.clone()),
        ("workload", before.workload.clone(), after.workload.clone()),
        (
            "workers",
            before.workers.to_string(),
            after.workers.to_string(),
        ),
        (
            "processor",
            before.machine.processor.clone(),
            after.machine.processor.clone(),
        ),
        (
            "optimised build",
            before.machine.is_optimised.to_string(),
            after.machine.is_optimised.to_string(),
        ),
    ];
    let differing = pairs.iter().filter(|(_, before, after)| before != after);
    differing
        .map(|(name, before, after)| format!("not the same {name}: {before} and {after}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comparison_tells_ratios_and_which_way_they_go() {
        let mut before = Report::new("throughput", "retail", 1);
        before.figure("views", "rate", 100.0, "lines/s", Better::Higher);
        before.figure("views", "memory", 50.0, "bytes", Better::Lower);
        let mut after = Report::new("throughput", "retail", 2);
        after.figure("views", "rate", 150.0, "lines/s", Better::Higher);
        after.figure("views", "memory", 60.0, "bytes", Better::Lower);
        let text = compare(&before, &after);
        assert!(text.contains("not the same workers: 1 and 2"), "{text}");
        assert!(text.contains("1.50x better"), "{text}");
        assert!(text.contains("1.20x worse"), "{text}");
    }
}
