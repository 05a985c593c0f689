//! A directory of views as a workload to be measured: over the generated shop, or over the sources
//! of your settings.

use std::path::Path;

use arrow::compute::concat_batches;
use arrow::record_batch::RecordBatch;

use super::failure::Failure;
use super::{sources, views};
use crate::bench::{Begin, BenchError, Transactions, Workload};
use crate::config::{self, Environment, Overrides};
use crate::model::{Change, Submission, standard_tables};
use crate::source::{Generator, GeneratorOptions, Source};

/// The longest history there is: a workload ends where enough rows have been taken.
const DAYS: u32 = 3_660;

/// The views of a directory over the standard tables, filled from the sources of the settings
/// file, or, without one, with the shop that `mainstem generate` generates.
pub fn of_directory(
    directory: &Path,
    config: Option<&Path>,
    seed: u64,
    scale: f64,
) -> Result<Workload, Failure> {
    let (over, transactions) = match config {
        Some(config) => of_settings(config)?,
        None => of_generator(seed, scale),
    };
    let views = views::read(directory)?;
    Ok(Workload {
        name: directory.display().to_string(),
        description: format!("the views of {} over {over}", directory.display()),
        tables: standard_tables(),
        views: views
            .into_iter()
            .map(|view| (view.name, view.sql))
            .collect(),
        initial: Vec::new(),
        transactions,
    })
}

fn of_generator(seed: u64, scale: f64) -> (String, Begin) {
    let options = GeneratorOptions {
        seed,
        scale_thousandths: (scale * 1000.0).round().max(1.0) as u64,
        days: DAYS,
        ..GeneratorOptions::default()
    };
    let begin: Begin = Box::new(move || {
        let generator = Generator::open(options, None);
        let generator = generator.map_err(|error| BenchError::Input(error.to_string()))?;
        Ok(Box::new(FromSources {
            sources: vec![Box::new(generator)],
        }))
    });
    (
        format!("the generated shop, seed {seed}, scale {scale}"),
        begin,
    )
}

fn of_settings(config: &Path) -> Result<(String, Begin), Failure> {
    let overrides = Overrides {
        config: Some(config.to_path_buf()),
        ..Overrides::default()
    };
    let settings = config::load(&overrides, &Environment::of_process())?;
    if settings.sources.is_empty() {
        return Err(Failure::new(
            format!(
                "{}: there are no sources, so there is nothing to be measured",
                config.display()
            ),
            "add sources, or leave --config out to measure with the generated shop",
        ));
    }
    let names: Vec<&str> = settings.sources.iter().map(|s| s.name.as_str()).collect();
    let over = format!("the sources {}", names.join(", "));
    let begin: Begin = Box::new(move || {
        let input = |failure: Failure| {
            let text = failure.to_string();
            BenchError::Input(text.trim_start_matches("error: ").to_owned())
        };
        let sources = sources::open_anew(&settings, &standard_tables()).map_err(input)?;
        Ok(Box::new(FromSources { sources }))
    });
    Ok((over, begin))
}

/// The rows of sources, one source after the other.
struct FromSources {
    sources: Vec<Box<dyn Source>>,
}

impl Transactions for FromSources {
    fn next(&mut self, lines: usize) -> Result<Option<Submission>, BenchError> {
        let mut gathered = Gathered::default();
        while gathered.rows < lines {
            let Some(source) = self.sources.first_mut() else {
                break;
            };
            let next = source.next();
            match next.map_err(|error| BenchError::Input(error.to_string()))? {
                Some(submission) => gathered.add(submission),
                None => drop(self.sources.remove(0)),
            }
        }
        gathered.finish()
    }
}

/// Changes of several submissions as those of one: of each table in their order.
#[derive(Default)]
struct Gathered {
    changes: Vec<(Change, Vec<RecordBatch>)>,
    rows: usize,
}

impl Gathered {
    fn add(&mut self, submission: Submission) {
        for change in submission.changes {
            self.rows += change.rows.num_rows();
            let rows = change.rows.clone();
            let mut earlier = self.changes.iter_mut().rev();
            match earlier.find(|(other, _)| other.table == change.table) {
                Some((other, parts)) if other.kind == change.kind => parts.push(rows),
                _ => self.changes.push((change, vec![rows])),
            }
        }
    }

    fn finish(self) -> Result<Option<Submission>, BenchError> {
        let joined = self.changes.into_iter().map(|(change, parts)| {
            let rows = concat_batches(&change.rows.schema(), &parts);
            let rows = rows.map_err(|error| BenchError::Input(error.to_string()))?;
            Ok(Change { rows, ..change })
        });
        let changes = joined.collect::<Result<Vec<_>, BenchError>>()?;
        Ok((!changes.is_empty()).then(|| Submission {
            changes,
            ..Submission::default()
        }))
    }
}
