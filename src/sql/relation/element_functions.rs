//! Functions in FROM that give a row for each element of a list: which there are, and where one
//! stands.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr as Ast, ObjectName, TableFactor};

use crate::sql::error::SqlError;
use crate::sql::syntax::edit_expressions;

/// One of the functions.
pub struct Function {
    /// What it is called.
    pub name: &'static str,
    /// What makes the list of its elements; `None`: its arguments are lists.
    pub list: Option<&'static str>,
    /// What gives the member of a JSON object by the element, for those that give both.
    pub member: Option<&'static str>,
}

const fn function(name: &'static str, list: &'static str) -> Function {
    Function {
        name,
        list: Some(list),
        member: None,
    }
}

const fn members(name: &'static str, member: &'static str) -> Function {
    Function {
        name,
        list: Some("json_object_keys"),
        member: Some(member),
    }
}

static FUNCTIONS: [Function; 13] = [
    Function {
        name: "unnest",
        list: None,
        member: None,
    },
    function("generate_series", "generate_series"),
    function("range", "range"),
    function("string_to_table", "string_to_array"),
    function("regexp_split_to_table", "regexp_split_to_array"),
    function("json_array_elements", "json_get_array"),
    function("jsonb_array_elements", "json_get_array"),
    function("json_object_keys", "json_object_keys"),
    function("jsonb_object_keys", "json_object_keys"),
    members("json_each", "json_get"),
    members("jsonb_each", "json_get"),
    members("json_each_text", "json_as_text"),
    members("jsonb_each_text", "json_as_text"),
];

/// The first of them, which the parser knows by itself.
pub fn unnest() -> &'static Function {
    &FUNCTIONS[0]
}

/// What is said of other functions in FROM.
pub fn refusal(name: &str) -> SqlError {
    let known: Vec<&str> = FUNCTIONS.iter().map(|known| known.name).collect();
    SqlError::unsupported(format!("{name}() is no function for FROM"))
        .about(name)
        .with_hint(format!(
            "in FROM may stand {}, tumble, hop and session; a function that gives a list is taken \
             apart by unnest({name}(…))",
            known.join(", ")
        ))
}

/// Whether a function asks for columns.
pub fn has_columns(relation: &TableFactor) -> bool {
    let found = edit_expressions(&mut relation.clone(), &mut |part| match part {
        Ast::Identifier(_) | Ast::CompoundIdentifier(_) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    found.is_break()
}

/// What the function that stands in FROM is called, if it is one of these.
pub fn name_of(relation: &TableFactor) -> Option<&'static str> {
    function_of(relation).map(|function| function.name)
}

/// The function that stands in FROM, if it is one of these.
pub fn function_of(relation: &TableFactor) -> Option<&'static Function> {
    match relation {
        TableFactor::UNNEST {
            with_offset: false, ..
        } => Some(unnest()),
        TableFactor::Table {
            name,
            args: Some(_),
            ..
        }
        | TableFactor::Function { name, .. } => named(name),
        _ => None,
    }
}

fn named(name: &ObjectName) -> Option<&'static Function> {
    let name = name.to_string().to_lowercase();
    let name = name.strip_prefix("pg_catalog.").unwrap_or(&name);
    FUNCTIONS.iter().find(|known| known.name == name)
}
