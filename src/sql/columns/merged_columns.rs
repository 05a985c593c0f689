//! Columns that a join makes one of two: `USING (k)` and `NATURAL`.
//!
//! In SQL, `k` is the left column of a `LEFT JOIN`, the right one of a `RIGHT JOIN` and whichever is
//! not NULL of a `FULL JOIN`, and `*` has it once, before all others. DataFusion takes the left one
//! for the name, and for `*` that of the table whose name is first in the alphabet. So `*` is written
//! out here, and joins that may have no left row are written with `ON`.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Distinct, ExcludeSelectItem, Expr, Ident, JoinConstraint, JoinOperator,
    ObjectName, OrderBy, OrderByExpr, OrderByKind, Query, Select, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, TableFactor, TableWithJoins,
    WildcardAdditionalOptions,
};

use crate::sql::error::SqlError;
use crate::sql::statement::identifier;
use crate::sql::syntax::{call, edit_own_expressions, edit_queries};

/// Writes names and `*` beside such joins so that they mean what they do in SQL.
pub fn rewrite(query: &mut Query) -> Result<(), SqlError> {
    let mut refusal = Ok(());
    edit_queries(query, &mut |query| {
        if let Err(error) = in_query(query) {
            refusal = Err(error);
        }
    });
    refusal
}

fn in_query(query: &mut Query) -> Result<(), SqlError> {
    let Query { body, order_by, .. } = query;
    let SetExpr::Select(select) = body.as_mut() else {
        return in_operands(body);
    };
    let merged = in_select(select)?;
    if let Some(OrderBy {
        kind: OrderByKind::Expressions(keys),
        ..
    }) = order_by
    {
        for key in keys {
            order_by_merged(key, select, &merged);
        }
    }
    Ok(())
}

/// In the operands of set operations; those in parentheses are queries of their own.
fn in_operands(operand: &mut SetExpr) -> Result<(), SqlError> {
    match operand {
        SetExpr::Select(select) => in_select(select).map(drop),
        SetExpr::SetOperation { left, right, .. } => {
            in_operands(left)?;
            in_operands(right)
        }
        _ => Ok(()),
    }
}

/// A column of two, and what it is.
#[derive(Clone)]
struct Merged {
    name: String,
    value: Expr,
}

/// Columns that stand side by side.
enum Part {
    Merged(Box<Merged>),
    /// All columns of a table, but for those that are merged.
    Table {
        name: Vec<Ident>,
        without: Vec<String>,
    },
}

/// The columns of rows in their order; `None` where that can't be told without knowing the tables.
type Columns = Option<Vec<Part>>;

/// What joins with merged columns there are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Joins {
    None,
    /// It makes no difference which of the two columns is taken.
    Inner,
    Left,
    /// The left column may be missing.
    RightOrFull,
}

/// Gives the merged columns whose names have been replaced.
fn in_select(select: &mut Select) -> Result<Vec<Merged>, SqlError> {
    let joins = select.from.iter().map(joins_of).max();
    let joins = joins.unwrap_or(Joins::None);
    if joins == Joins::None {
        return Ok(Vec::new());
    }
    let mut columns = Some(Vec::new());
    let mut named = Vec::new();
    for tables in &mut select.from {
        let is_written = joins_of(tables) == Joins::RightOrFull;
        let of_tables = of_tables(tables, is_written)?;
        named.extend(of_tables.iter().flatten().filter_map(Part::merged).cloned());
        columns = side_by_side(columns, of_tables);
    }
    write_out(&mut select.projection, columns, joins)?;
    for item in &mut select.projection {
        name_merged(item, &named);
    }
    if !named.is_empty() {
        edit_own_expressions(select, &mut |expression| replace(expression, &named));
    }
    Ok(named)
}

fn joins_of(tables: &TableWithJoins) -> Joins {
    let within = |factor: &TableFactor| match factor {
        TableFactor::NestedJoin {
            table_with_joins,
            alias: None,
        } => joins_of(table_with_joins),
        _ => Joins::None,
    };
    let kinds = tables.joins.iter().map(|join| {
        let kind = match constraint_of(&join.join_operator) {
            Some(JoinConstraint::Using(_) | JoinConstraint::Natural) => match &join.join_operator {
                JoinOperator::Left(_) | JoinOperator::LeftOuter(_) => Joins::Left,
                JoinOperator::Right(_)
                | JoinOperator::RightOuter(_)
                | JoinOperator::FullOuter(_) => Joins::RightOrFull,
                _ => Joins::Inner,
            },
            _ => Joins::None,
        };
        kind.max(within(&join.relation))
    });
    kinds.fold(within(&tables.relation), Ord::max)
}

/// The condition of a join that gives the columns of both sides.
fn constraint_of(operator: &JoinOperator) -> Option<&JoinConstraint> {
    match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::CrossJoin(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint) => Some(constraint),
        _ => None,
    }
}

/// The columns of a list of joins, which are written with `ON` where that is asked for.
fn of_tables(tables: &mut TableWithJoins, is_written: bool) -> Result<Columns, SqlError> {
    let mut columns = of_factor(&mut tables.relation, is_written)?;
    for join in &mut tables.joins {
        let right = of_factor(&mut join.relation, is_written)?;
        columns = joined(columns, right, &mut join.join_operator, is_written)?;
    }
    Ok(columns)
}

fn of_factor(factor: &mut TableFactor, is_written: bool) -> Result<Columns, SqlError> {
    let name = match factor {
        TableFactor::NestedJoin {
            table_with_joins,
            alias: None,
        } => return of_tables(table_with_joins, is_written),
        TableFactor::Table {
            alias: Some(alias), ..
        }
        | TableFactor::Derived {
            alias: Some(alias), ..
        }
        | TableFactor::NestedJoin {
            alias: Some(alias), ..
        } => vec![alias.name.clone()],
        TableFactor::Table {
            name, args: None, ..
        } => {
            let parts = name.0.iter();
            parts.filter_map(|part| part.as_ident().cloned()).collect()
        }
        _ => return Ok(None),
    };
    let without = Vec::new();
    Ok(Some(vec![Part::Table { name, without }]))
}

fn side_by_side(left: Columns, right: Columns) -> Columns {
    let (mut columns, right) = left.zip(right)?;
    columns.extend(right);
    Some(columns)
}

fn joined(
    left: Columns,
    right: Columns,
    operator: &mut JoinOperator,
    is_written: bool,
) -> Result<Columns, SqlError> {
    let names = match constraint_of(operator) {
        Some(JoinConstraint::Using(names)) => names.clone(),
        Some(JoinConstraint::Natural) if is_written => {
            let error = SqlError::unsupported("NATURAL with RIGHT and FULL JOIN is not supported");
            return Err(error.with_hint("name the columns: USING (column, …)"));
        }
        Some(JoinConstraint::Natural) => return Ok(None),
        Some(JoinConstraint::On(_) | JoinConstraint::None) => {
            return Ok(side_by_side(left, right));
        }
        // Whether both sides' columns are there is not known; conditions of ASOF joins are ON.
        None if matches!(operator, JoinOperator::AsOf { .. }) => {
            return Ok(side_by_side(left, right));
        }
        None => return Ok(None),
    };
    let (Some(mut left), Some(mut right)) = (left, right) else {
        return match is_written {
            true => Err(owner_unknown(&names)),
            false => Ok(None),
        };
    };
    let mut columns = Vec::new();
    let mut conditions = Vec::new();
    for name in names.iter().filter_map(own_name) {
        match (taken(&mut left, name), taken(&mut right, name)) {
            (Some(of_left), Some(of_right)) => {
                conditions.push(equal(of_left.clone(), of_right.clone()));
                columns.push(Part::Merged(Box::new(Merged {
                    name: identifier(name),
                    value: merged(operator, of_left, of_right),
                })));
            }
            _ if is_written => return Err(owner_unknown(&names)),
            // It stays where it is in the tables on the left.
            (None, Some(_)) => {}
            (_, None) => return Ok(None),
        }
    }
    columns.extend(left);
    columns.extend(right);
    if is_written && let Some(condition) = conditions.into_iter().reduce(both) {
        write_constraint(operator, JoinConstraint::On(condition));
    }
    Ok(Some(columns))
}

fn own_name(name: &ObjectName) -> Option<&Ident> {
    name.0.first().and_then(|part| part.as_ident())
}

/// Takes a column out of its place, and gives what it is; `None` where several tables may have it.
fn taken(parts: &mut Vec<Part>, column: &Ident) -> Option<Expr> {
    let wanted = identifier(column);
    let is_wanted = |part: &Part| part.merged().is_some_and(|merged| merged.name == wanted);
    if let Some(position) = parts.iter().position(is_wanted) {
        return match parts.remove(position) {
            Part::Merged(merged) => Some(merged.value),
            Part::Table { .. } => None,
        };
    }
    let mut tables = parts.iter_mut().filter_map(|part| match part {
        Part::Table { name, without } => Some((name, without)),
        Part::Merged(_) => None,
    });
    match (tables.next(), tables.next()) {
        (Some((name, without)), None) => {
            without.push(wanted);
            let path = name.iter().chain([column]).cloned().collect();
            Some(Expr::CompoundIdentifier(path))
        }
        _ => None,
    }
}

fn merged(operator: &JoinOperator, left: Expr, right: Expr) -> Expr {
    match operator {
        JoinOperator::Right(_) | JoinOperator::RightOuter(_) => right,
        JoinOperator::FullOuter(_) => call("coalesce", vec![left, right]),
        _ => left,
    }
}

fn equal(left: Expr, right: Expr) -> Expr {
    operation(left, BinaryOperator::Eq, right)
}

fn both(left: Expr, right: Expr) -> Expr {
    operation(left, BinaryOperator::And, right)
}

fn operation(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp {
        left: Box::new(left),
        op,
        right: Box::new(right),
    }
}

fn write_constraint(operator: &mut JoinOperator, written: JoinConstraint) {
    match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::CrossJoin(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint) => *constraint = written,
        _ => {}
    }
}

fn owner_unknown(names: &[ObjectName]) -> SqlError {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let names = names.join(", ");
    SqlError::unsupported(format!(
        "which columns USING ({names}) means beside a RIGHT or FULL JOIN cannot be told"
    ))
    .with_hint("join ON a.k = b.k, and write coalesce(a.k, b.k) for the column of both")
}

impl Part {
    fn merged(&self) -> Option<&Merged> {
        match self {
            Part::Merged(merged) => Some(merged),
            Part::Table { .. } => None,
        }
    }

    fn as_item(&self) -> SelectItem {
        match self {
            Part::Merged(merged) => item(merged.value.clone(), quoted(&merged.name)),
            Part::Table { name, without } => {
                let table = ObjectName::from(name.clone());
                let excluded = without.iter().map(|name| ObjectName::from(quoted(name)));
                let options = WildcardAdditionalOptions {
                    opt_exclude: match without.is_empty() {
                        true => None,
                        false => Some(ExcludeSelectItem::Multiple(excluded.collect())),
                    },
                    ..WildcardAdditionalOptions::default()
                };
                let table = SelectItemQualifiedWildcardKind::ObjectName(table);
                SelectItem::QualifiedWildcard(table, options)
            }
        }
    }
}

fn quoted(name: &str) -> Ident {
    Ident::with_quote('"', name)
}

/// A column of a table has its name by itself.
fn item(value: Expr, alias: Ident) -> SelectItem {
    match &value {
        Expr::CompoundIdentifier(_) => SelectItem::UnnamedExpr(value),
        _ => SelectItem::ExprWithAlias { expr: value, alias },
    }
}

/// Writes for `*` the columns that it stands for.
fn write_out(items: &mut Vec<SelectItem>, columns: Columns, joins: Joins) -> Result<(), SqlError> {
    let is_plain = |item: &SelectItem| match item {
        SelectItem::Wildcard(options) => *options == WildcardAdditionalOptions::default(),
        _ => true,
    };
    let is_wildcard = |item: &SelectItem| matches!(item, SelectItem::Wildcard(_));
    if !items.iter().any(is_wildcard) {
        return Ok(());
    }
    let columns = columns.filter(|_| items.iter().all(is_plain));
    let Some(columns) = columns else {
        return match joins {
            Joins::None | Joins::Inner => Ok(()),
            Joins::Left | Joins::RightOrFull => {
                let error = SqlError::unsupported(
                    "which columns * means cannot be told beside an outer join with USING or NATURAL",
                );
                Err(error.with_hint("name the columns, or join with ON"))
            }
        };
    };
    let written = std::mem::take(items)
        .into_iter()
        .flat_map(|item| match is_wildcard(&item) {
            false => vec![item],
            true => columns.iter().map(Part::as_item).collect(),
        });
    *items = written.collect();
    Ok(())
}

/// A merged column that is selected keeps its name.
fn name_merged(item_of_select: &mut SelectItem, merged: &[Merged]) {
    let SelectItem::UnnamedExpr(Expr::Identifier(name)) = item_of_select else {
        return;
    };
    let alias = name.clone();
    if let Some(column) = found(&alias, merged) {
        *item_of_select = item(column.value.clone(), alias);
    }
}

fn replace(expression: &mut Expr, merged: &[Merged]) {
    let Expr::Identifier(name) = expression else {
        return;
    };
    if let Some(column) = found(name, merged) {
        *expression = column.value.clone();
    }
}

fn found<'m>(name: &Ident, merged: &'m [Merged]) -> Option<&'m Merged> {
    let name = identifier(name);
    merged.iter().find(|column| column.name == name)
}

/// A name alone means a column of the result before it means one of a table. `DISTINCT ON` has to
/// find its own expressions again.
fn order_by_merged(key: &mut OrderByExpr, select: &Select, merged: &[Merged]) {
    let is_result = match &key.expr {
        Expr::Identifier(name) => {
            let name = identifier(name);
            select.projection.iter().any(|item| match item {
                SelectItem::ExprWithAlias { alias, .. } => identifier(alias) == name,
                _ => false,
            })
        }
        _ => false,
    };
    if !is_result || matches!(select.distinct, Some(Distinct::On(_))) {
        edit_own_expressions(&mut key.expr, &mut |expression| {
            replace(expression, merged);
        });
    }
}
