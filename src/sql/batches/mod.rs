//! Whether what a row gives depends on the rows that are computed with it.
//!
//! A live view takes a row back by computing it once more, in another batch. So functions,
//! operators and casts must give the same for the same row alone, among others, in any order, in a
//! slice, and with constants in the place of columns. All that are known are tried, planned as a
//! live view plans them; what it refuses is passed over. Where rows fail only in company, this is
//! told and is no fault: a view then computes them alone.
//!
//! `MAINSTEM_BATCHES_SEED` repeats a run.

mod calls;
mod company;
mod values;
mod written;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::physical_expr::expressions::Column;
use rand::SeedableRng;
use rand_pcg::Pcg64;

use super::plan::{Expression, Node, Plan, all_columns};
use super::statement::parse_query;
use super::{Catalog, PLANNING_STACK_BYTES, Planner};
use crate::model::{ColumnDefinition, TableDefinition};
use calls::{Call, Subject, drawn, subjects};
use company::{Difference, Trial};
use values::{Kind, kinds};

const SEED: u64 = 1;
const THREADS: usize = 2;
const TABLE: &str = "tried";
/// Fewer functions than these would mean that the test no longer finds what to give to them.
const FUNCTIONS_LEAST: usize = 200;
/// The most characters of a difference that are told.
const TOLD: usize = 400;

/// Functions and operators whose answers differ in a way that does no harm, and why.
const HARMLESS: &[(&str, &str)] = &[];

/// What has been found of a subject.
struct Outcome {
    name: String,
    is_function: bool,
    /// How many calls gave an answer for some row.
    calls: usize,
    /// Other answers.
    differences: Vec<Found>,
    /// No answers, where rows have some alone.
    failures: Vec<Found>,
}

/// A difference in one kind of company: the first call that has it, and how many do.
struct Found {
    company: &'static str,
    told: String,
    calls: usize,
}

#[test]
fn a_row_gives_the_same_alone_and_among_others() {
    let seed = std::env::var("MAINSTEM_BATCHES_SEED").ok();
    let seed = seed.and_then(|seed| seed.parse().ok()).unwrap_or(SEED);
    println!("MAINSTEM_BATCHES_SEED={seed}");
    let mut outcomes = outcomes(seed);
    outcomes.sort_by(|left, right| left.name.cmp(&right.name));
    let functions = outcomes.iter().filter(|outcome| outcome.is_function);
    let (tried, never): (Vec<&Outcome>, Vec<&Outcome>) =
        functions.partition(|outcome| outcome.calls > 0);
    let calls: usize = outcomes.iter().map(|outcome| outcome.calls).sum();
    let never: Vec<&str> = never.iter().map(|outcome| outcome.name.as_str()).collect();
    println!("{} functions, {calls} calls", tried.len());
    println!("never computed: {}", never.join(", "));
    let is_harmless = |outcome: &Outcome| HARMLESS.iter().any(|(known, _)| *known == outcome.name);
    let mut wrong = Vec::new();
    for outcome in &outcomes {
        let line =
            |found: &Found| format!("{}, {} calls: {}", outcome.name, found.calls, found.told);
        for failure in &outcome.failures {
            println!("{}", line(failure));
        }
        if !is_harmless(outcome) {
            wrong.extend(outcome.differences.iter().map(line));
        }
    }
    assert!(tried.len() >= FUNCTIONS_LEAST, "only {}", tried.len());
    let found = wrong.join("\n");
    assert!(wrong.is_empty(), "MAINSTEM_BATCHES_SEED={seed}\n{found}");
}

fn outcomes(seed: u64) -> Vec<Outcome> {
    let planner = Planner::new();
    let kinds = kinds();
    let mut random = Pcg64::seed_from_u64(seed);
    let subjects = subjects(planner.functions(), &kinds, &mut random);
    let next = AtomicUsize::new(0);
    let outcomes = Mutex::new(Vec::new());
    let work = || {
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some(subject) = subjects.get(place) else {
                return;
            };
            // Each has a sequence of its own, whichever thread takes it.
            let mut random = Pcg64::seed_from_u64(seed.wrapping_add(place as u64));
            let outcome = outcome(&planner, subject, &kinds, &mut random);
            outcomes.lock().expect("no thread fails").push(outcome);
        }
    };
    thread::scope(|scope| {
        for _ in 0..THREADS {
            let builder = thread::Builder::new().stack_size(PLANNING_STACK_BYTES);
            builder.spawn_scoped(scope, work).expect("a thread");
        }
    });
    outcomes.into_inner().expect("no thread failed")
}

fn outcome(planner: &Planner, subject: &Subject, kinds: &[Kind], random: &mut Pcg64) -> Outcome {
    let mut outcome = Outcome {
        name: subject.name.clone(),
        is_function: subject.function.is_some(),
        calls: 0,
        differences: Vec::new(),
        failures: Vec::new(),
    };
    let drawn = match &subject.function {
        Some(function) => drawn(&subject.name, function, kinds, random),
        None => Vec::new(),
    };
    // What does not plan is passed over, within reason.
    let most = subject.written.len() + subject.most * 2;
    for call in subject.written.iter().chain(&drawn).take(most) {
        if outcome.calls >= subject.most.max(subject.written.len()) {
            break;
        }
        let Some(expression) = planned(planner, call, kinds) else {
            continue;
        };
        let mut trial = Trial::new(expression, call, kinds, random);
        outcome.calls += usize::from(trial.answered() > 0);
        trial.bring_together();
        for difference in &trial.differences {
            let found = match difference.is_failure {
                true => &mut outcome.failures,
                false => &mut outcome.differences,
            };
            let company = difference.company;
            match found.iter_mut().find(|known| known.company == company) {
                Some(known) => known.calls += 1,
                None => found.push(Found {
                    company,
                    told: told(call, kinds, difference),
                    calls: 1,
                }),
            }
        }
    }
    outcome
}

fn told(call: &Call, kinds: &[Kind], difference: &Difference) -> String {
    let columns = call.columns.iter().map(|(_, kind)| kinds[*kind].name);
    let columns = columns.collect::<Vec<&str>>().join(", ");
    let Difference { company, told, .. } = difference;
    let told = format!("{} of {columns}, {company}: {told}", call.text);
    // Some errors show a pattern or a column in several lines.
    let told = told.split_whitespace().collect::<Vec<&str>>().join(" ");
    told.chars().take(TOLD).collect()
}

/// The expression that a live view computes for a call over the columns of a table; `None` if it is
/// refused, or is more than an expression.
fn planned(planner: &Planner, call: &Call, kinds: &[Kind]) -> Option<Expression> {
    let text = format!("SELECT {} AS answer FROM {TABLE}", call.text);
    let query = parse_query(&text).ok()?;
    let mut catalog = Catalog::default();
    let table = Arc::new(table(call, kinds));
    catalog.tables.insert(TABLE.to_owned(), table);
    let planned = || planner.plan_view(&catalog, "answers", &query, &text);
    let view = catch_unwind(AssertUnwindSafe(planned)).ok()?.ok()?;
    let answers = over_table(&view.plan)?;
    answers.first().cloned()
}

fn table(call: &Call, kinds: &[Kind]) -> TableDefinition {
    let columns = call.columns.iter();
    let columns = columns.map(|(name, kind)| ColumnDefinition {
        name: name.clone(),
        data_type: kinds[*kind].values.data_type().clone(),
        nullable: true,
        description: String::new(),
        default: None,
        max_length: None,
    });
    TableDefinition {
        name: TABLE.to_owned(),
        description: String::new(),
        columns: columns.collect(),
        primary_key: Vec::new(),
        version: Vec::new(),
        event_identity: Vec::new(),
        append_only: false,
    }
}

/// The columns of a plan as expressions over its table.
fn over_table(plan: &Plan) -> Option<Vec<Expression>> {
    match &plan.node {
        Node::Table { .. } => Some(all_columns(&plan.schema)),
        Node::Map {
            input,
            predicate: None,
            projection,
        } => {
            let below = over_table(input)?;
            let columns = projection.iter();
            columns.map(|column| over(column, &below)).collect()
        }
        _ => None,
    }
}

/// An expression with others in the place of its columns.
fn over(expression: &Expression, below: &[Expression]) -> Option<Expression> {
    let replaced = Arc::clone(expression).transform(|node| {
        Ok(match node.downcast_ref::<Column>() {
            Some(column) => Transformed::yes(Arc::clone(&below[column.index()])),
            None => Transformed::no(node),
        })
    });
    replaced.data().ok()
}
