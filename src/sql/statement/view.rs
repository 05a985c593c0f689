//! CREATE VIEW and CREATE MATERIALIZED VIEW; DROP of anything.

use datafusion::sql::sqlparser::ast::{
    CreateTableOptions, CreateView, ObjectName, ObjectType, SqlOption,
};

use super::{DropKind, Statement, identifier, name, unknown};
use crate::sql::forms::over_rows;
use crate::sql::{SqlError, ViewOptions};

pub(super) fn create_view(create: CreateView, text: String) -> Result<Statement, SqlError> {
    if create.temporary {
        return Err(unknown("a temporary view").with_hint("write WITH name AS (…) in the query"));
    }
    if create.or_replace && create.if_not_exists {
        return Err(SqlError::syntax(
            "OR REPLACE and IF NOT EXISTS say opposite things; write one of them",
        ));
    }
    let written = options(&create.options);
    if let (false, Some(option)) = (create.materialized, written.first()) {
        return Err(unknown(&format!("the option {option} of a view")));
    }
    let options = ViewOptions::of(written)?;
    let name = name(&create.name)?;
    let columns: Vec<String> = create
        .columns
        .iter()
        .map(|column| identifier(&column.name))
        .collect();
    let query = match &columns[..] {
        [] => create.query,
        columns => over_rows::with_names(create.query, columns)?,
    };
    Ok(match create.materialized {
        true => Statement::CreateMaterializedView {
            name,
            or_replace: create.or_replace,
            if_not_exists: create.if_not_exists,
            query,
            options,
            text,
        },
        false => Statement::CreateView {
            name,
            or_replace: create.or_replace,
            if_not_exists: create.if_not_exists,
            query,
            text,
        },
    })
}

/// The options of a CREATE, in whatever form they are written.
pub(super) fn options(options: &CreateTableOptions) -> &[SqlOption] {
    match options {
        CreateTableOptions::None => &[],
        CreateTableOptions::With(options)
        | CreateTableOptions::Options(options)
        | CreateTableOptions::Plain(options)
        | CreateTableOptions::TableProperties(options) => options,
    }
}

pub(super) fn drop(
    object_type: ObjectType,
    names: &[ObjectName],
    if_exists: bool,
    cascade: bool,
) -> Result<Statement, SqlError> {
    let kind = match object_type {
        ObjectType::Table => DropKind::Table,
        ObjectType::View => DropKind::View,
        ObjectType::MaterializedView => DropKind::MaterializedView,
        other => return Err(unknown(&format!("DROP {other}"))),
    };
    Ok(Statement::Drop {
        kind,
        names: names.iter().map(name).collect::<Result<_, _>>()?,
        if_exists,
        cascade,
    })
}
