//! Filter and projection, vectorised; a row that makes an expression fail becomes an error row.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::prep_null_mask_filter;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::exec_err;
use datafusion::error::DataFusionError;
use timely::container::NoopBuilder;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::progress::operate::FrontierInterest;

use super::super::arrange::Changes;
use super::super::lane::Lane;
use super::super::updates::{Updates, batch};
use crate::sql::plan::Expression;
use crate::sql::reason::told;

/// Keeps rows, then computes columns.
#[derive(Clone)]
pub struct Map {
    /// Rows for which it is not true are left out.
    pub predicate: Option<Expression>,
    /// One expression per output column.
    pub projection: Vec<Expression>,
    /// The output columns.
    pub schema: SchemaRef,
}

/// The columns of a collection of errors: one text per failed row.
pub fn error_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new(
        "error",
        DataType::Utf8,
        false,
    )]))
}

/// Applies a map; the second stream carries the rows that failed, as error texts.
pub fn map<'scope>(stream: Changes<'scope>, map: Map) -> (Changes<'scope>, Changes<'scope>) {
    by_rows(stream, "Map", move |updates| map.try_apply(updates))
}

/// Applies a function that makes something of each row by itself.
pub fn by_rows<'scope>(
    stream: Changes<'scope>,
    name: &str,
    function: impl Fn(&Updates) -> Result<Updates, DataFusionError> + 'static,
) -> (Changes<'scope>, Changes<'scope>) {
    let mut builder = OperatorBuilder::new(name.to_owned(), stream.scope());
    let mut input = builder.new_input(stream, Pipeline);
    // It does nothing where only time goes on.
    builder.set_notify_for(0, FrontierInterest::Never);
    let (results, results_stream) = builder.new_output::<Updates>();
    let (errors, errors_stream) = builder.new_output::<Updates>();
    let mut results = OutputBuilder::<_, NoopBuilder<Updates>>::from(results);
    let mut errors = OutputBuilder::<_, NoopBuilder<Updates>>::from(errors);
    builder.build(move |_| {
        move |_frontiers| {
            let mut results = results.activate();
            let mut errors = errors.activate();
            input.for_each(|capability, updates| {
                let updates = std::mem::take(updates);
                let mut failed = Vec::new();
                for mut made in apply_halving(&function, &updates, &mut failed) {
                    if made.len() > 0 {
                        results
                            .session_with_builder(&capability)
                            .give_container(&mut made);
                    }
                }
                for mut failure in failed {
                    errors
                        .session_with_builder(&capability)
                        .give_container(&mut failure);
                }
            });
        }
    });
    (results_stream, errors_stream)
}

/// Applies a function to a batch. A batch that fails is halved until the failing rows stand alone.
fn apply_halving(
    function: &impl Fn(&Updates) -> Result<Updates, DataFusionError>,
    updates: &Updates,
    failed: &mut Vec<Updates>,
) -> Vec<Updates> {
    let outcome = catch_unwind(AssertUnwindSafe(|| function(updates)));
    // Functions that break down over some rows must not end the worker.
    match outcome.unwrap_or_else(|_| exec_err!("a function broke down")) {
        Ok(made) => vec![made],
        Err(error) if updates.len() == 1 => {
            failed.push(error_row(updates, &error));
            Vec::new()
        }
        Err(_) => {
            let half = updates.len() / 2;
            let mut made = apply_halving(function, &updates.slice(0, half), failed);
            let rest = updates.slice(half, updates.len() - half);
            made.extend(apply_halving(function, &rest, failed));
            made
        }
    }
}

impl Map {
    /// Maps a batch; the rows that fail become error texts.
    pub fn apply(&self, updates: &Updates, failed: &mut Vec<Updates>) -> Vec<Updates> {
        apply_halving(&|updates| self.try_apply(updates), updates, failed)
    }

    fn try_apply(&self, updates: &Updates) -> Result<Updates, DataFusionError> {
        let kept = match &self.predicate {
            None => updates.clone(),
            Some(predicate) => {
                let mask = predicate
                    .evaluate(&updates.rows)?
                    .into_array(updates.len())?;
                let mask = mask.as_boolean();
                match mask.null_count() {
                    0 => updates.filter(mask)?,
                    _ => updates.filter(&prep_null_mask_filter(mask))?,
                }
            }
        };
        if kept.len() == 0 {
            return Ok(Updates::default());
        }
        let columns: Result<Vec<ArrayRef>, DataFusionError> = self
            .projection
            .iter()
            .map(|expression| expression.evaluate(&kept.rows)?.into_array(kept.len()))
            .collect();
        Ok(Updates {
            rows: batch(Arc::clone(&self.schema), columns?, kept.len()),
            times: kept.times,
            counts: kept.counts,
        })
    }
}

/// The text that stands for a row that failed.
pub fn error_row(updates: &Updates, error: &DataFusionError) -> Updates {
    let text = format!("{}; in row {}", told(error), describe(&updates.rows));
    Updates {
        rows: batch(
            error_schema(),
            vec![Arc::new(StringArray::from(vec![text]))],
            1,
        ),
        times: Lane::Constant(updates.times.get(0), 1),
        counts: Lane::Constant(updates.counts.get(0), 1),
    }
}

/// The first row's columns for a reader, cut to a bearable length.
pub fn describe(rows: &RecordBatch) -> String {
    const LONGEST: usize = 400;
    let options = arrow::util::display::FormatOptions::default().with_null("NULL");
    let mut text = String::from("(");
    for (field, column) in rows.schema().fields().iter().zip(rows.columns()) {
        let value = arrow::util::display::ArrayFormatter::try_new(column, &options)
            .map(|formatter| formatter.value(0).to_string())
            .unwrap_or_else(|error| format!("<{error}>"));
        if text.len() > 1 {
            text.push_str(", ");
        }
        text.push_str(&format!("{}: {value}", field.name()));
        if text.len() > LONGEST {
            let end = text.floor_char_boundary(LONGEST);
            text.truncate(end);
            text.push('…');
            break;
        }
    }
    text.push(')');
    text
}
