//! What is tried: every scalar function with arguments that it takes, operators and casts.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, IntervalUnit, TimeUnit};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::ScalarUDF;
use datafusion::logical_expr::type_coercion::functions::fields_with_udf;
use rand::RngExt;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64;

use super::values::Kind;
use super::written::{CAST_TO, OPERATORS, calls, forms};
use crate::sql::statement::parse_query;

/// How many lists of two, three and four arguments are looked at.
const LISTS: [usize; 3] = [400, 250, 120];
/// How many calls of a function are evaluated at most.
const CALLS_OF_FUNCTION: usize = 20;
/// How many calls with an operator are evaluated at most.
const CALLS_OF_OPERATOR: usize = 50;

/// An expression over columns.
pub struct Call {
    pub text: String,
    /// The names of the columns, and which of the kinds each of them is.
    pub columns: Vec<(String, usize)>,
}

/// What is counted and told as one.
pub struct Subject {
    pub name: String,
    /// The function whose arguments are drawn.
    pub function: Option<Arc<ScalarUDF>>,
    /// Calls that drawing would hardly find.
    pub written: Vec<Call>,
    /// How many calls are enough, and those at the least.
    pub most: usize,
}

/// Everything that is tried.
pub fn subjects(state: &SessionState, kinds: &[Kind], random: &mut Pcg64) -> Vec<Subject> {
    let mut subjects = functions(state, kinds);
    let of_names = |name: String, texts: Vec<String>, most: usize| Subject {
        name,
        function: None,
        written: texts.iter().map(|text| written(text, kinds)).collect(),
        most,
    };
    for operator in OPERATORS {
        let mut pairs: Vec<String> = Vec::new();
        for left in kinds {
            pairs.push(format!("{0} {operator} {0}", left.name));
            for _ in 0..3 {
                let right = &kinds[random.random_range(0..kinds.len())];
                pairs.push(format!("{} {operator} {}", left.name, right.name));
            }
        }
        pairs.shuffle(random);
        let name = format!("operator {operator}");
        subjects.push(of_names(name, pairs, CALLS_OF_OPERATOR));
    }
    for data_type in CAST_TO {
        let casts = kinds.iter().map(|kind| kind.name);
        let casts = casts.map(|name| format!("CAST({name} AS {data_type})"));
        let name = format!("cast to {data_type}");
        subjects.push(of_names(name, casts.collect(), kinds.len()));
    }
    let is_unknown = |name: &str| !state.scalar_functions().contains_key(name);
    // What is no function, or is planned as another.
    let others = calls().filter(|(name, _)| is_unknown(name));
    for form in forms().chain(others.map(|(_, text)| text)) {
        subjects.push(of_names(form.to_owned(), vec![form.to_owned()], 1));
    }
    subjects
}

/// The functions, each once, by the name that it gives itself where that leads to it.
fn functions(state: &SessionState, kinds: &[Kind]) -> Vec<Subject> {
    let mut names: BTreeMap<*const ScalarUDF, String> = BTreeMap::new();
    let mut known: Vec<&String> = state.scalar_functions().keys().collect();
    known.sort();
    for name in known {
        let function = &state.scalar_functions()[name];
        let found = names
            .entry(Arc::as_ptr(function))
            .or_insert_with(|| name.clone());
        if function.name() == name {
            found.clone_from(name);
        }
    }
    let mut names: Vec<String> = names.into_values().collect();
    names.sort();
    let subject = |name: String| {
        let function = &state.scalar_functions()[&name];
        let is_meant = |known: &str| {
            let known = state.scalar_functions().get(known);
            known.is_some_and(|known| Arc::ptr_eq(known, function))
        };
        let texts = calls().filter(|(known, _)| is_meant(known));
        Subject {
            function: Some(Arc::clone(function)),
            written: texts.map(|(_, text)| written(text, kinds)).collect(),
            most: CALLS_OF_FUNCTION,
            name,
        }
    };
    names.into_iter().map(subject).collect()
}

/// A call that names its columns by their kinds.
fn written(text: &str, kinds: &[Kind]) -> Call {
    let words = text.split(|sign: char| !sign.is_alphanumeric() && sign != '_');
    let words: BTreeSet<&str> = words.collect();
    let named = kinds.iter().enumerate();
    let named = named.filter(|(_, kind)| words.contains(kind.name));
    Call {
        text: text.to_owned(),
        columns: named
            .map(|(kind, found)| (found.name.to_owned(), kind))
            .collect(),
    }
}

/// What an argument is made of.
enum Source {
    /// A column of a kind.
    Column(usize),
    /// A constant as it is written.
    Constant(&'static str),
}

/// Calls of a function that it seems to take; first those whose arguments stay as they are, as
/// they try the function and not only casts.
pub fn drawn(name: &str, function: &ScalarUDF, kinds: &[Kind], random: &mut Pcg64) -> Vec<Call> {
    let sources = sources(kinds);
    let name = spelled(name);
    let tries = [&[1, sources.len()][..], &LISTS].concat();
    let mut exact = Vec::new();
    let mut cast = Vec::new();
    let mut seen = BTreeSet::new();
    for (arity, tries) in tries.into_iter().enumerate() {
        for place in 0..tries {
            let mut draw = || random.random_range(0..sources.len());
            let chosen: Vec<usize> = match arity {
                1 => vec![place],
                _ => (0..arity).map(|_| draw()).collect(),
            };
            let is_column = |source: &usize| matches!(sources[*source].0, Source::Column(_));
            let is_constant = arity > 0 && !chosen.iter().any(is_column);
            if is_constant || !seen.insert(chosen.clone()) {
                continue;
            }
            let fields = chosen.iter().map(|source| Arc::clone(&sources[*source].1));
            let fields: Vec<FieldRef> = fields.collect();
            let call = call(&name, &chosen, &sources);
            match is_taken(function, &fields) {
                Some(true) => exact.push(call),
                Some(false) => cast.push(call),
                None => {}
            }
        }
    }
    exact.shuffle(random);
    cast.shuffle(random);
    // A quarter are casts, if there are any.
    let kept = cast.len().min(CALLS_OF_FUNCTION / 4);
    let others = cast.split_off(kept);
    let first = exact.len().min(CALLS_OF_FUNCTION - kept);
    let rest = exact.split_off(first);
    exact
        .into_iter()
        .chain(cast)
        .chain(rest)
        .chain(others)
        .collect()
}

/// Whether a function takes arguments as they are; `None` if it does not take them.
fn is_taken(function: &ScalarUDF, fields: &[FieldRef]) -> Option<bool> {
    // Some look at arguments that are not there.
    let taken = catch_unwind(AssertUnwindSafe(|| fields_with_udf(fields, function)));
    let taken = taken.ok()?.ok()?;
    let mut pairs = taken.iter().zip(fields);
    Some(pairs.all(|(taken, given)| taken.data_type() == given.data_type()))
}

fn call(name: &str, chosen: &[usize], sources: &[(Source, FieldRef)]) -> Call {
    let mut columns = Vec::new();
    let mut arguments = Vec::new();
    for source in chosen {
        match sources[*source].0 {
            Source::Constant(text) => arguments.push(text.to_owned()),
            Source::Column(kind) => {
                let column = format!("a{}", columns.len());
                arguments.push(column.clone());
                columns.push((column, kind));
            }
        }
    }
    let text = format!("{name}({})", arguments.join(", "));
    if columns.is_empty() {
        columns.push(("a0".to_owned(), 0));
    }
    Call { text, columns }
}

/// A name as it stands before arguments: some are words of the language.
fn spelled(name: &str) -> String {
    let is_plain = |arguments: &str| parse_query(&format!("SELECT {name}({arguments})")).is_ok();
    match is_plain("a0") || is_plain("a0, a1") {
        true => name.to_owned(),
        false => format!("\"{name}\""),
    }
}

fn sources(kinds: &[Kind]) -> Vec<(Source, FieldRef)> {
    let field = |data_type: DataType| Arc::new(Field::new("argument", data_type, true));
    let columns = kinds.iter().enumerate();
    let columns = columns.map(|(kind, found)| {
        let data_type = found.values.data_type().clone();
        (Source::Column(kind), field(data_type))
    });
    let constants = constants().into_iter();
    let constants = constants.map(|(text, data_type)| (Source::Constant(text), field(data_type)));
    columns.chain(constants).collect()
}

fn constants() -> Vec<(&'static str, DataType)> {
    let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
    let span = DataType::Interval(IntervalUnit::MonthDayNano);
    let numbers = DataType::new_list(DataType::Int64, true);
    let texts = DataType::new_list(DataType::Utf8, true);
    vec![
        ("NULL", DataType::Null),
        ("0", DataType::Int64),
        ("1", DataType::Int64),
        ("2", DataType::Int64),
        ("-1", DataType::Int64),
        ("1.5", DataType::Float64),
        ("true", DataType::Boolean),
        ("''", DataType::Utf8),
        ("'a'", DataType::Utf8),
        ("'b'", DataType::Utf8),
        ("','", DataType::Utf8),
        ("'g'", DataType::Utf8),
        ("'month'", DataType::Utf8),
        ("'hex'", DataType::Utf8),
        ("'[a-c]'", DataType::Utf8),
        ("timestamp '2024-02-29 12:34:56'", micros),
        ("interval '1 month'", span),
        ("ARRAY[1, NULL]", numbers),
        ("ARRAY['a', NULL]", texts),
    ]
}
