//! The functions that queries may call, as `pg_proc` and `information_schema.routines` list them.

use std::collections::BTreeMap;

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Signature, TypeSignature, Volatility};

use super::builder::{Built, Cell};
use super::empty;
use super::facts::{Facts, oid_of};
use super::pg_types::{PgType, of_column};
use super::{DATABASE, PUBLIC, USER_OID};
use crate::sql::functions::scalar;

/// The number that Postgres gives the function that reads arrays.
pub(super) const ARRAY_RECEIVER: i32 = 2400;

/// What a call gives a value for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Row,
    Group,
    Window,
}

impl Kind {
    fn letter(self) -> &'static str {
        match self {
            Kind::Row => "f",
            Kind::Group => "a",
            Kind::Window => "w",
        }
    }
}

/// A function that queries may call.
pub struct Routine {
    oid: i32,
    name: String,
    kind: Kind,
    volatility: Volatility,
    /// The types of its arguments, as far as they are known.
    arguments: Vec<&'static str>,
    /// The type of its result, where that is known.
    result: Option<&'static PgType>,
}

/// The functions that there are, where the text of a query asks about them.
pub fn routines(state: &SessionState, query: &str) -> Vec<Routine> {
    let words = ["pg_proc", "pg_get_function", "routines"];
    if !words.iter().any(|word| query.contains(word)) {
        return Vec::new();
    }
    let mut routines = Routines::default();
    for (name, function) in state.scalar_functions() {
        routines.add(name, Kind::Row, function.signature(), |types| {
            function.return_type(types).ok()
        });
    }
    for (name, function) in state.aggregate_functions() {
        routines.add(name, Kind::Group, function.signature(), |types| {
            function.return_type(types).ok()
        });
    }
    for (name, function) in state.window_functions() {
        routines.add(name, Kind::Window, function.signature(), |_| None);
    }
    routines.add_other_names();
    routines.0.into_values().collect()
}

#[derive(Default)]
struct Routines(BTreeMap<(String, Kind), Routine>);

impl Routines {
    fn add(
        &mut self,
        name: &str,
        kind: Kind,
        signature: &Signature,
        result: impl Fn(&[DataType]) -> Option<DataType>,
    ) {
        let is_plain = |sign: char| sign == '_' || sign.is_ascii_alphanumeric();
        if !name.chars().all(is_plain) {
            return;
        }
        let types = exact(&signature.type_signature);
        let result = types.as_deref().and_then(result);
        let routine = Routine {
            oid: oid_of(&format!("{} {name}", kind.letter())),
            name: name.to_owned(),
            kind,
            volatility: signature.volatility,
            arguments: arguments(&signature.type_signature),
            result: result.map(|result| of_column(&result).0),
        };
        self.0.insert((name.to_owned(), kind), routine);
    }

    /// What Postgres calls otherwise.
    fn add_other_names(&mut self) {
        for (name, known) in scalar::OTHER_NAMES {
            for kind in [Kind::Row, Kind::Group] {
                let Some(found) = self.0.get(&((*known).to_owned(), kind)) else {
                    continue;
                };
                let routine = Routine {
                    oid: oid_of(&format!("{} {name}", kind.letter())),
                    name: (*name).to_owned(),
                    kind,
                    volatility: found.volatility,
                    arguments: found.arguments.clone(),
                    result: found.result,
                };
                self.0.insert(((*name).to_owned(), kind), routine);
            }
        }
    }
}

/// The types of the arguments where there is one choice of them, or the first of several; that there
/// need not be any is none of these.
fn exact(signature: &TypeSignature) -> Option<Vec<DataType>> {
    match signature {
        TypeSignature::Nullary => Some(Vec::new()),
        TypeSignature::Exact(types) => Some(types.clone()),
        TypeSignature::Uniform(count, types) => {
            let first = types.first()?;
            Some(vec![first.clone(); *count])
        }
        TypeSignature::OneOf(signatures) => {
            let mut takers = signatures.iter();
            takers.find_map(|signature| match signature {
                TypeSignature::Nullary => None,
                taker => exact(taker),
            })
        }
        _ => None,
    }
}

fn arguments(signature: &TypeSignature) -> Vec<&'static str> {
    if let Some(types) = exact(signature) {
        let types = types.iter().map(|found| of_column(found).0.formatted);
        return types.collect();
    }
    match signature {
        TypeSignature::Numeric(count) => vec!["numeric"; *count],
        TypeSignature::String(count) => vec!["text"; *count],
        TypeSignature::Any(count) | TypeSignature::Comparable(count) => vec!["\"any\""; *count],
        TypeSignature::Coercible(arguments) => vec!["\"any\""; arguments.len()],
        TypeSignature::OneOf(signatures) => signatures.first().map(arguments).unwrap_or_default(),
        _ => vec!["VARIADIC \"any\""],
    }
}

/// The table of functions, with the one by which drivers tell that a type is an array.
pub(super) fn functions(facts: &Facts) -> Option<Built> {
    let mut built = empty::of_pg_catalog("pg_proc")?;
    built.push(vec![
        ("oid", Cell::Oid(ARRAY_RECEIVER)),
        ("proname", "array_recv".into()),
        ("pronamespace", Cell::Oid(11)),
        ("proowner", Cell::Oid(USER_OID)),
        ("prokind", "f".into()),
    ]);
    for routine in &facts.routines {
        let volatility = match routine.volatility {
            Volatility::Immutable => "i",
            Volatility::Stable => "s",
            Volatility::Volatile => "v",
        };
        let result = routine
            .result
            .map_or(Cell::Null, |result| Cell::Oid(result.oid));
        built.push(vec![
            ("oid", Cell::Oid(routine.oid)),
            ("proname", (&routine.name).into()),
            ("pronamespace", Cell::Oid(super::pg_catalog::PUBLIC_OID)),
            ("proowner", Cell::Oid(USER_OID)),
            ("prokind", routine.kind.letter().into()),
            ("prosecdef", false.into()),
            ("proretset", false.into()),
            ("provolatile", volatility.into()),
            ("proparallel", "s".into()),
            ("pronargs", Cell::Int(routine.arguments.len() as i64)),
            ("prorettype", result),
        ]);
    }
    Some(built)
}

/// The functions as the standard lists them.
pub(super) fn standard_list(facts: &Facts) -> Option<Built> {
    let mut built = empty::of_information_schema("routines")?;
    for routine in &facts.routines {
        let kind = match routine.kind {
            Kind::Row => Cell::from("FUNCTION"),
            // As in Postgres.
            Kind::Group | Kind::Window => Cell::Null,
        };
        let result = routine.result.map(|result| result.formatted.to_owned());
        let is_fixed = routine.volatility == Volatility::Immutable;
        built.push(vec![
            ("specific_catalog", DATABASE.into()),
            ("specific_schema", PUBLIC.into()),
            (
                "specific_name",
                format!("{}_{}", routine.name, routine.oid).into(),
            ),
            ("routine_catalog", DATABASE.into()),
            ("routine_schema", PUBLIC.into()),
            ("routine_name", (&routine.name).into()),
            ("routine_type", kind),
            ("data_type", result.into()),
            ("routine_body", "EXTERNAL".into()),
            (
                "is_deterministic",
                if is_fixed { "YES" } else { "NO" }.into(),
            ),
        ]);
    }
    Some(built)
}

/// The arguments of a function by its number, as `\df` shows them.
pub(super) fn arguments_of(facts: &Facts, oid: Option<i64>) -> ScalarValue {
    let arguments = found(facts, oid).map(|routine| routine.arguments.join(", "));
    ScalarValue::Utf8(arguments)
}

/// The type of the result of a function by its number.
pub(super) fn result_of(facts: &Facts, oid: Option<i64>) -> ScalarValue {
    let result = found(facts, oid).and_then(|routine| routine.result);
    ScalarValue::Utf8(result.map(|result| result.formatted.to_owned()))
}

fn found(facts: &Facts, oid: Option<i64>) -> Option<&Routine> {
    let mut routines = facts.routines.iter();
    routines.find(|routine| Some(i64::from(routine.oid)) == oid)
}
