//! What only Postgres understands, in terms that DataFusion does.
//!
//! - Casts to `regclass`, `regtype` and the like become the numbers or names they stand for.
//! - `OPERATOR(pg_catalog.~)` becomes `~`; collations are left out.
//! - A SELECT from a table that can hold nothing here has no rows, whatever it computes.
//! - A subquery for a value is asked for the greatest of its values where the catalog has one.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    self, AccessExpr, BinaryOperator, CastKind, Expr, JoinOperator, Query, Select, SelectItem,
    SetExpr, TableFactor, Value, visit_relations,
};

use super::cast::cast;
use super::empty;
use super::facts::Facts;
use crate::sql::SqlError;
use crate::sql::statement::parse_query;
use crate::sql::syntax::edit_expressions;

/// Whether a query may read system tables or call functions about them.
pub fn mentions_system(query: &Query) -> bool {
    let text = query.to_string().to_lowercase();
    [
        "_description",
        "::reg",
        "current_catalog",
        "current_database",
        "current_role",
        "current_schema",
        "current_setting",
        "current_user",
        "format_type",
        "has_",
        "information_schema",
        "mainstem.",
        "pg_",
        "regclass",
        "session_user",
        "set_config",
        "version(",
    ]
    .iter()
    .any(|word| text.contains(word))
}

/// The query in DataFusion's terms.
pub fn rewritten(facts: &Facts, query: &Query) -> Result<Query, SqlError> {
    let given = parameters(query);
    let mut query = query.clone();
    empty_selects(&mut query);
    let mut failure = None;
    let _ = edit_expressions(
        &mut query,
        &mut |expression| match rewrite(facts, expression) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failure = Some(error);
                ControlFlow::Break(())
            }
        },
    );
    if let Some(error) = failure {
        return Err(error);
    }
    let kept = parameters(&query);
    for parameter in given.difference(&kept) {
        keep_parameter(&mut query, parameter);
    }
    Ok(query)
}

/// The parameters of a query.
fn parameters(query: &Query) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    // It never breaks off.
    let _ = edit_expressions(&mut query.clone(), &mut |expression| {
        if let Expr::Value(value) = expression
            && let Value::Placeholder(name) = &value.value
        {
            found.insert(name.clone());
        }
        ControlFlow::Continue(())
    });
    found
}

/// Names a parameter that has gone with a part of the query: its client gives a value for it.
fn keep_parameter(query: &mut Query, parameter: &str) {
    let SetExpr::Select(select) = query.body.as_mut() else {
        return;
    };
    let Some(kept) = value(&format!("({parameter} IS NULL OR true)")) else {
        return;
    };
    select.selection = Some(match select.selection.take() {
        None => kept,
        Some(condition) => Expr::BinaryOp {
            left: Box::new(Expr::Nested(Box::new(condition))),
            op: BinaryOperator::And,
            right: Box::new(kept),
        },
    });
}

/// Replaces SELECTs from empty tables by ones without rows, with the same columns.
fn empty_selects(query: &mut Query) {
    if empty_body(&mut query.body) {
        query.order_by = None;
    }
}

/// Whether the body is one SELECT that has been replaced.
fn empty_body(body: &mut SetExpr) -> bool {
    match body {
        SetExpr::Select(select) if is_empty(select) => match without_rows(select) {
            Some(empty) => {
                *body = empty;
                true
            }
            None => false,
        },
        SetExpr::Query(query) => {
            empty_selects(query);
            false
        }
        SetExpr::SetOperation { left, right, .. } => {
            empty_body(left);
            empty_body(right);
            false
        }
        _ => false,
    }
}

/// Whether a SELECT has no rows because one of the tables it joins never has any.
fn is_empty(select: &Select) -> bool {
    let has_aggregates = select.projection.iter().any(|item| {
        let text = item.to_string().to_lowercase();
        // What a subquery aggregates leaves the rows as they are.
        let text = text.split("(select").next().unwrap_or_default();
        [
            "count(",
            "string_agg(",
            "array_agg(",
            "max(",
            "min(",
            "sum(",
            "bool_",
            "json_agg(",
        ]
        .iter()
        .any(|call| text.contains(call))
    });
    !has_aggregates
        && select.from.iter().any(|from| {
            is_empty_table(&from.relation)
                || from.joins.iter().any(|join| {
                    let is_inner = matches!(
                        join.join_operator,
                        JoinOperator::Join(_) | JoinOperator::Inner(_) | JoinOperator::CrossJoin(_)
                    );
                    is_inner && is_empty_table(&join.relation)
                })
        })
}

fn is_empty_table(factor: &TableFactor) -> bool {
    let TableFactor::Table { name, .. } = factor else {
        return false;
    };
    let text = name.to_string().to_lowercase();
    let name = text.strip_prefix("pg_catalog.").unwrap_or(&text);
    empty::is_empty(name)
}

/// A SELECT of the same columns without rows; `None` where the columns are not known.
fn without_rows(select: &Select) -> Option<SetExpr> {
    let mut columns: Vec<String> = Vec::new();
    for item in &select.projection {
        let name = match item {
            SelectItem::ExprWithAlias { alias, .. } => alias.to_string(),
            SelectItem::UnnamedExpr(expression) => name_of(expression)?,
            _ => return None,
        };
        // Names need to differ, though nobody reads columns of no rows by them.
        let is_taken = columns
            .iter()
            .any(|column| *column == format!("NULL AS {name}"));
        columns.push(match is_taken {
            true => format!("NULL AS column{}", columns.len()),
            false => format!("NULL AS {name}"),
        });
    }
    let text = format!("SELECT {} WHERE false", columns.join(", "));
    Some(*parse_query(&text).ok()?.body)
}

fn name_of(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Identifier(name) => Some(name.to_string()),
        Expr::CompoundIdentifier(parts) => parts.last().map(ToString::to_string),
        Expr::Cast { expr, .. } | Expr::Nested(expr) => name_of(expr),
        Expr::Function(function) => function.name.0.last().map(ToString::to_string),
        _ => Some("\"?column?\"".to_owned()),
    }
}

fn rewrite(facts: &Facts, expression: &mut Expr) -> Result<(), SqlError> {
    match expression {
        Expr::Collate { expr, .. } => *expression = expr.as_ref().clone(),
        Expr::BinaryOp { op, .. } => {
            if let BinaryOperator::PGCustomBinaryOperator(parts) = op {
                *op = operator(parts)?;
            }
        }
        Expr::Cast {
            kind: CastKind::DoubleColon | CastKind::Cast,
            expr,
            data_type,
            ..
        } => {
            if let Some(replaced) = cast(facts, expr, data_type)? {
                *expression = replaced;
            }
        }
        Expr::TypedString(typed) => {
            let literal = Expr::Value(typed.value.clone());
            if let Some(replaced) = cast(facts, &literal, &mut typed.data_type)? {
                *expression = replaced;
            }
        }
        Expr::Subquery(query) => match is_empty_query(query) {
            true => *expression = Expr::value(Value::Null),
            false => one_value(query),
        },
        Expr::Exists { subquery, negated } if is_empty_query(subquery) => {
            *expression = Expr::value(Value::Boolean(*negated));
        }
        Expr::Function(function) => {
            if let Some(replaced) = call_rewritten(function) {
                *expression = replaced;
            }
        }
        Expr::CompoundFieldAccess { root, access_chain } => {
            if let Some(replaced) = expanded_field(root, access_chain) {
                *expression = replaced;
            }
        }
        _ => {}
    }
    Ok(())
}

fn is_empty_query(query: &Query) -> bool {
    matches!(query.body.as_ref(), SetExpr::Select(select) if is_empty(select))
}

/// How many relations a query names; `None` if one of them is none of Postgres's own.
fn system_relations(query: &Query) -> Option<usize> {
    let (mut count, mut all) = (0, true);
    let _ = visit_relations(query, |relation| {
        let name = relation.to_string().to_lowercase();
        all &= name.trim_start_matches('"').starts_with("pg_");
        count += 1;
        ControlFlow::<()>::Continue(())
    });
    all.then_some(count)
}

/// Asks a subquery over one system table for the greatest of its values, so that it has one.
fn one_value(query: &mut Query) {
    let is_system = system_relations(query).is_some();
    let SetExpr::Select(select) = query.body.as_mut() else {
        return;
    };
    let [SelectItem::UnnamedExpr(value) | SelectItem::ExprWithAlias { expr: value, .. }] =
        &select.projection[..]
    else {
        return;
    };
    let text = value.to_string().to_lowercase();
    if !is_system || text.starts_with("max(") || text.contains("_agg(") || text.contains("count(") {
        return;
    }
    let Ok(aggregated) = parse_query(&format!("SELECT max({value})")) else {
        return;
    };
    if let SetExpr::Select(aggregated) = *aggregated.body {
        select.projection = aggregated.projection;
    }
    // A default is listed only for columns that have one.
    select.selection = select.selection.take().and_then(without_default_flag);
}

/// A condition without the conjuncts that are only `atthasdef` of the outer row.
fn without_default_flag(condition: Expr) -> Option<Expr> {
    match condition {
        Expr::BinaryOp {
            left,
            op: BinaryOperator::And,
            right,
        } => match (without_default_flag(*left), without_default_flag(*right)) {
            (Some(left), Some(right)) => Some(Expr::BinaryOp {
                left: Box::new(left),
                op: BinaryOperator::And,
                right: Box::new(right),
            }),
            (left, right) => left.or(right),
        },
        Expr::CompoundIdentifier(parts)
            if parts.last().is_some_and(|part| part.value == "atthasdef") =>
        {
            None
        }
        other => Some(other),
    }
}

/// Calls of functions over lists, which DataFusion knows by other names or not at all.
fn call_rewritten(function: &ast::Function) -> Option<Expr> {
    let name = function.name.to_string().to_lowercase();
    let list = match &function.args {
        // What would be listed, privileges and the like, is not there.
        ast::FunctionArguments::Subquery(query) if name == "array" => {
            let count = system_relations(query)?;
            return (count > 0).then(|| Expr::value(Value::Null));
        }
        ast::FunctionArguments::List(list) => list.args.first()?.to_string(),
        _ => return None,
    };
    match name.strip_prefix("pg_catalog.").unwrap_or(&name) {
        "array_to_string" if list == "NULL" => Some(Expr::value(Value::Null)),
        "generate_subscripts" => positions(&list),
        // Its values; their positions are asked for by the name of a field.
        "information_schema._pg_expandarray" => value(&format!("unnest({list})")),
        _ => None,
    }
}

/// The positions of a list, from 1.
fn positions(list: &str) -> Option<Expr> {
    value(&format!(
        "unnest(range(1, CAST(cardinality({list}) AS BIGINT) + 1))"
    ))
}

/// The values `x` and the positions `n` of a list that `_pg_expandarray` has taken apart.
fn expanded_field(root: &Expr, fields: &[AccessExpr]) -> Option<Expr> {
    let Expr::Nested(expanded) = root else {
        return None;
    };
    let [AccessExpr::Dot(Expr::Identifier(field))] = fields else {
        return None;
    };
    match (field.value.as_str(), expanded.as_ref()) {
        ("x", Expr::Function(_) | Expr::Identifier(_) | Expr::CompoundIdentifier(_)) => {
            Some(expanded.as_ref().clone())
        }
        ("n", Expr::Function(function)) => match &function.args {
            ast::FunctionArguments::List(list) => positions(&list.args.first()?.to_string()),
            _ => None,
        },
        _ => None,
    }
}

/// An expression that is written as text.
fn value(text: &str) -> Option<Expr> {
    let query = parse_query(&format!("SELECT {text}")).ok()?;
    let SetExpr::Select(select) = *query.body else {
        return None;
    };
    match select.projection.into_iter().next()? {
        SelectItem::UnnamedExpr(expression) => Some(expression),
        _ => None,
    }
}

fn operator(parts: &[String]) -> Result<BinaryOperator, SqlError> {
    Ok(match parts.last().map(String::as_str) {
        Some("~") => BinaryOperator::PGRegexMatch,
        Some("~*") => BinaryOperator::PGRegexIMatch,
        Some("!~") => BinaryOperator::PGRegexNotMatch,
        Some("!~*") => BinaryOperator::PGRegexNotIMatch,
        Some("=") => BinaryOperator::Eq,
        Some("<>") => BinaryOperator::NotEq,
        other => {
            let name = other.unwrap_or_default();
            return Err(SqlError::unsupported(format!(
                "the operator {name} is not supported"
            )));
        }
    })
}
