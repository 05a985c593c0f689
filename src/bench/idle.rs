//! Idle: what an engine costs while nothing happens.

use std::thread;
use std::time::{Duration, Instant};

use super::BenchError;
use super::bed::{Bed, Place};
use super::machine::processor_seconds;
use super::report::{Better, Report};
use super::throughput::check_note;
use super::workload::{Workload, take};

/// Rows of a transaction of the load.
const TRANSACTION: usize = 16_384;
/// How long merges that the load has left may go on.
const SETTLING: Duration = Duration::from_secs(2);

/// How an idle engine is measured.
#[derive(Clone, Debug)]
pub struct Idle {
    /// Where, and with how many workers.
    pub place: Place,
    /// Rows that the views are made of.
    pub lines: usize,
    /// How many views there are: those of the workload, again and again under other names.
    pub views: usize,
    /// For how long nothing happens.
    pub duration: Duration,
}

impl Idle {
    /// Measures.
    pub fn measure(&self, mut workload: Workload) -> Result<Report, BenchError> {
        workload.views = repeated(&workload.views, self.views)?;
        let bed = Bed::new(&self.place, &workload)?;
        let mut stream = (workload.transactions)()?;
        bed.load(take(stream.as_mut(), self.lines, TRANSACTION)?)?;
        let checked = bed.check(&workload)?;
        thread::sleep(SETTLING);
        let (started, processor) = (Instant::now(), processor_seconds());
        thread::sleep(self.duration);
        let spent = processor_seconds() - processor;
        let share = 100.0 * spent / started.elapsed().as_secs_f64();

        let mut report = Report::new("idle", &workload.description, self.place.workers);
        let group = "while nothing happens";
        report.figure(group, "processor", share, "% of a core", Better::Lower);
        let views = bed.engine.overview().views;
        let operators: u64 = views.iter().map(|view| view.operators).sum();
        report.figure(group, "views", views.len() as f64, "", Better::Neither);
        report.figure(group, "operators", operators as f64, "", Better::Neither);
        report.notes.push(format!(
            "{} s, after a load of {} rows.",
            self.duration.as_secs_f64(),
            self.lines
        ));
        report.notes.push(check_note(&checked));
        Ok(report)
    }
}

/// So many views, of which those behind the given ones are copies under other names.
fn repeated(views: &[(String, String)], count: usize) -> Result<Vec<(String, String)>, BenchError> {
    let rounds = (1..).flat_map(|round| views.iter().map(move |view| (round, view)));
    // Of no views there is no end of rounds.
    let rounds = rounds.take(if views.is_empty() { 0 } else { count });
    let named = rounds.map(|(round, (name, definition))| match round {
        1 => Ok((name.clone(), definition.clone())),
        _ => {
            let copy = format!("{name}_copy_{round}");
            let definition = renamed(definition, name, &copy).ok_or_else(|| {
                BenchError::Input(format!("the definition of view `{name}` does not name it"))
            })?;
            Ok((copy, definition))
        }
    });
    named.collect()
}

/// The definition of a view under another name, without the comments that it begins with.
fn renamed(definition: &str, name: &str, new: &str) -> Option<String> {
    let is_comment = |line: &&str| line.trim().is_empty() || line.trim_start().starts_with("--");
    let statement = definition.lines().skip_while(is_comment);
    let statement = statement.collect::<Vec<_>>().join("\n");
    let keyword = statement.to_ascii_lowercase().find("view")?;
    let start = keyword + statement[keyword..].find(name)?;
    let (head, rest) = (&statement[..start], &statement[start + name.len()..]);
    Some(format!("{head}{new}{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_have_names_of_their_own() {
        let definition = "-- The view a.\n\nCREATE MATERIALIZED VIEW a AS SELECT a FROM t";
        let views = [("a".to_owned(), definition.to_owned())];
        let three = repeated(&views, 3).expect("it names itself");
        let names: Vec<&str> = three.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a", "a_copy_2", "a_copy_3"]);
        assert_eq!(
            three[2].1,
            "CREATE MATERIALIZED VIEW a_copy_3 AS SELECT a FROM t"
        );
        assert!(repeated(&[], 3).expect("none").is_empty());
    }
}
