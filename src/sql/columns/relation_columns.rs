//! The columns of the relations in FROM, as far as the query and the tables tell them.

use std::collections::{HashMap, HashSet};
use std::slice::from_ref;

use datafusion::sql::sqlparser::ast::{
    Ident, Join, JoinConstraint, JoinOperator, Query, SelectItem, SelectItemQualifiedWildcardKind,
    SetExpr, TableAlias, TableFactor, TableWithJoins, WildcardAdditionalOptions,
};

use super::output_columns::name_of;
use crate::sql::planner::Sources;
use crate::sql::statement::identifier;
use crate::sql::syntax::{edit_joins, edit_queries};

/// How many queries within one another are looked at.
const DEPTH_MAX: usize = 16;

/// A relation in FROM.
pub struct Relation {
    /// What it is called in its query.
    pub name: Ident,
    /// What its columns are called; `None`: it is not known.
    pub columns: Option<Vec<String>>,
    /// Whether there are rows without one of it, for an outer join.
    pub may_be_missing: bool,
}

/// What the relations in the FROMs of a query are called.
pub fn names(query: &mut Query) -> HashSet<String> {
    let mut names = HashSet::new();
    edit_joins(query, &mut |tables| {
        let joined = tables.joins.iter().map(|join| &join.relation);
        let factors = joined.chain([&tables.relation]);
        names.extend(factors.filter_map(name_in_from).map(identifier));
    });
    names
}

/// What the columns of a table or view are called.
pub fn of_source(sources: &dyn Sources, name: &str) -> Option<Vec<String>> {
    let schema = sources.source(name).ok()?.schema();
    let names = schema.fields().iter().map(|field| field.name().clone());
    Some(names.collect())
}

fn name_in_from(factor: &TableFactor) -> Option<&Ident> {
    match factor {
        TableFactor::Table {
            alias: Some(alias), ..
        }
        | TableFactor::Derived {
            alias: Some(alias), ..
        } => Some(&alias.name),
        TableFactor::Table { name, .. } => name.0.last()?.as_ident(),
        _ => None,
    }
}

/// What the columns of tables and of the queries of WITH are called.
pub struct Columns<'t> {
    tables: &'t dyn Fn(&str) -> Option<Vec<String>>,
    /// `None`: several queries have the name.
    queries: HashMap<String, Option<(TableAlias, Query)>>,
}

impl<'t> Columns<'t> {
    /// Those that a query may ask for.
    pub fn of(query: &mut Query, tables: &'t dyn Fn(&str) -> Option<Vec<String>>) -> Columns<'t> {
        let mut queries = HashMap::new();
        edit_queries(query, &mut |query| {
            for named in query.with.iter().flat_map(|with| &with.cte_tables) {
                let name = identifier(&named.alias.name);
                let definition = (named.alias.clone(), named.query.as_ref().clone());
                let known = queries.contains_key(&name);
                queries.insert(name, (!known).then_some(definition));
            }
        });
        Columns { tables, queries }
    }

    /// The relations of a FROM; `None` if not all of them are known by their names.
    pub fn relations(&self, from: &[TableWithJoins]) -> Option<Vec<Relation>> {
        self.relations_at(from, DEPTH_MAX)
    }

    /// Those relations of a FROM that are known, whatever stands beside them.
    pub fn known(&self, from: &[TableWithJoins]) -> Vec<Relation> {
        let mut known = Vec::new();
        for tables in from {
            let joined = tables.joins.iter().map(|join| &join.relation);
            for factor in joined.chain([&tables.relation]) {
                let found = match factor {
                    TableFactor::NestedJoin {
                        table_with_joins,
                        alias: None,
                    } => Some(self.known(from_ref(table_with_joins.as_ref()))),
                    other => self
                        .of_factor(other, DEPTH_MAX)
                        .or_else(|| of_function(other)),
                };
                known.extend(found.into_iter().flatten());
            }
        }
        known
    }

    fn relations_at(&self, from: &[TableWithJoins], depth: usize) -> Option<Vec<Relation>> {
        let mut relations = Vec::new();
        for tables in from {
            relations.extend(self.of_tables(tables, depth)?);
        }
        Some(relations)
    }

    fn of_tables(&self, tables: &TableWithJoins, depth: usize) -> Option<Vec<Relation>> {
        let mut relations = self.of_factor(&tables.relation, depth)?;
        for join in &tables.joins {
            let mut right = self.of_factor(&join.relation, depth)?;
            let (left_is_kept, right_is_kept) = kept(join)?;
            for relation in &mut relations {
                relation.may_be_missing |= !left_is_kept;
            }
            for relation in &mut right {
                relation.may_be_missing |= !right_is_kept;
            }
            relations.extend(right);
        }
        Some(relations)
    }

    fn of_factor(&self, factor: &TableFactor, depth: usize) -> Option<Vec<Relation>> {
        let (name, columns) = match factor {
            TableFactor::NestedJoin {
                table_with_joins,
                alias: None,
            } => return self.of_tables(table_with_joins, depth),
            TableFactor::Table {
                name,
                alias,
                args: None,
                ..
            } => {
                let [part] = &name.0[..] else {
                    return None;
                };
                let table = part.as_ident()?;
                let columns = self.of_table(&identifier(table), depth);
                match alias {
                    Some(alias) => (&alias.name, renamed(columns, alias)),
                    None => (table, columns),
                }
            }
            TableFactor::Derived {
                subquery,
                alias: Some(alias),
                ..
            } => {
                let columns = self.of_query(subquery, depth);
                (&alias.name, renamed(columns, alias))
            }
            _ => return None,
        };
        Some(vec![Relation {
            name: name.clone(),
            columns,
            may_be_missing: false,
        }])
    }

    /// A name that means a table and a query of WITH is not looked up here.
    fn of_table(&self, name: &str, depth: usize) -> Option<Vec<String>> {
        match (self.queries.get(name), (self.tables)(name)) {
            (None, columns) => columns,
            (Some(Some((alias, query))), None) => renamed(self.of_query(query, depth), alias),
            (Some(_), _) => None,
        }
    }

    fn of_query(&self, query: &Query, depth: usize) -> Option<Vec<String>> {
        self.of_body(&query.body, depth.checked_sub(1)?)
    }

    fn of_body(&self, body: &SetExpr, depth: usize) -> Option<Vec<String>> {
        match body {
            SetExpr::Query(query) => self.of_query(query, depth),
            SetExpr::SetOperation { left, .. } => self.of_body(left, depth),
            SetExpr::Values(values) => {
                let width = values.rows.first()?.content.len();
                Some((1..=width).map(|place| format!("column{place}")).collect())
            }
            SetExpr::Select(select) => {
                let mut names = Vec::new();
                for item in &select.projection {
                    match item {
                        SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..) => {
                            names.extend(self.of_wildcard(item, &select.from, depth)?);
                        }
                        other => names.push(name_of(other)?),
                    }
                }
                Some(names)
            }
            _ => None,
        }
    }

    fn of_wildcard(
        &self,
        item: &SelectItem,
        from: &[TableWithJoins],
        depth: usize,
    ) -> Option<Vec<String>> {
        let (table, options) = match item {
            SelectItem::Wildcard(options) => (None, options),
            SelectItem::QualifiedWildcard(
                SelectItemQualifiedWildcardKind::ObjectName(name),
                options,
            ) => (Some(identifier(name.0.last()?.as_ident()?)), options),
            _ => return None,
        };
        let is_whole = *options == WildcardAdditionalOptions::default();
        if !is_whole || from.iter().any(merges_columns) {
            return None;
        }
        let relations = self.relations_at(from, depth)?.into_iter();
        let meant = relations.filter(|relation| {
            let table = table.as_ref();
            table.is_none_or(|table| identifier(&relation.name) == *table)
        });
        let columns: Vec<Vec<String>> = meant
            .map(|relation| relation.columns)
            .collect::<Option<_>>()?;
        Some(columns.concat())
    }
}

/// A function in FROM whose alias tells its columns.
fn of_function(factor: &TableFactor) -> Option<Vec<Relation>> {
    let alias = match factor {
        TableFactor::Table {
            args: Some(_),
            alias: Some(alias),
            ..
        }
        | TableFactor::Function {
            alias: Some(alias), ..
        }
        | TableFactor::UNNEST {
            alias: Some(alias), ..
        } => alias,
        _ => return None,
    };
    let names = alias.columns.iter();
    Some(vec![Relation {
        name: alias.name.clone(),
        columns: Some(names.map(|column| identifier(&column.name)).collect()),
        may_be_missing: false,
    }])
}

/// Of which sides of a join all rows have one; `None`: not both sides are relations behind it.
fn kept(join: &Join) -> Option<(bool, bool)> {
    match &join.join_operator {
        JoinOperator::Join(_) | JoinOperator::Inner(_) | JoinOperator::CrossJoin(_) => {
            Some((true, true))
        }
        JoinOperator::Left(_) | JoinOperator::LeftOuter(_) => Some((true, false)),
        JoinOperator::Right(_) | JoinOperator::RightOuter(_) => Some((false, true)),
        JoinOperator::FullOuter(_) => Some((false, false)),
        _ => None,
    }
}

/// Whether columns of two tables are one in `*`.
pub fn merges_columns(tables: &TableWithJoins) -> bool {
    let is_merged = |join: &Join| match &join.join_operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::CrossJoin(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint) => {
            matches!(
                constraint,
                JoinConstraint::Using(_) | JoinConstraint::Natural
            )
        }
        _ => true,
    };
    let is_nested = |factor: &TableFactor| match factor {
        TableFactor::NestedJoin {
            table_with_joins, ..
        } => merges_columns(table_with_joins),
        _ => false,
    };
    let mut joins = tables.joins.iter();
    is_nested(&tables.relation) || joins.any(|join| is_merged(join) || is_nested(&join.relation))
}

/// Columns under the names of an alias, which has names for the first of them.
fn renamed(columns: Option<Vec<String>>, alias: &TableAlias) -> Option<Vec<String>> {
    let mut columns = columns?;
    for (column, given) in columns.iter_mut().zip(&alias.columns) {
        *column = identifier(&given.name);
    }
    Some(columns)
}
