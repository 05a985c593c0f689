//! Plans views without an engine: what is accepted here, an engine with the standard tables
//! accepts.

use std::sync::Arc;

use super::definitions::NamedQueries;
use super::failure::Failure;
use super::views::ViewFile;
use crate::serve::named_query::NamedQuery;
use crate::sql::statement::parse_query;
use crate::sql::{Catalog, Planner, SqlError, Statement, ViewDefinition, parse};

/// The standard model's tables and the views planned so far.
pub struct Plans {
    /// Plans further queries over the catalog.
    pub planner: Planner,
    /// What can be queried.
    pub catalog: Catalog,
}

impl Plans {
    /// The standard model's tables alone.
    pub fn of_model() -> Plans {
        let mut catalog = Catalog::default();
        for table in crate::model::standard_tables() {
            catalog.tables.insert(table.name.clone(), Arc::new(table));
        }
        Plans {
            planner: Planner::new(),
            catalog,
        }
    }

    /// Plans the views in whatever order they depend on each other; returns what is wrong with
    /// those that can't be planned, one failure each.
    pub fn add_all(&mut self, views: &[ViewFile]) -> Vec<Failure> {
        let mut pending: Vec<&ViewFile> = views.iter().collect();
        loop {
            let mut failures = Vec::new();
            let mut refused = Vec::new();
            for view in &pending {
                match self.plan(view) {
                    Ok(definition) => {
                        let name = definition.name.clone();
                        self.catalog.live_views.insert(name, Arc::new(definition));
                    }
                    Err(failure) => {
                        refused.push(*view);
                        failures.push(failure);
                    }
                }
            }
            // A refused view may have waited for one that came after it.
            let is_settled = refused.is_empty() || refused.len() == pending.len();
            if is_settled {
                return failures;
            }
            pending = refused;
        }
    }

    /// Plans the view of one file over the catalog.
    pub fn plan(&self, view: &ViewFile) -> Result<ViewDefinition, Failure> {
        let planned = self.definition(view);
        planned.map_err(|error| Failure::from(error).at(&view.place))
    }

    /// What is wrong with named queries over the catalog, one failure each.
    pub fn check_queries(&self, queries: &NamedQueries) -> Vec<Failure> {
        let check = |query: &NamedQuery| -> Result<(), Failure> {
            let sql = query.without_values()?;
            let planned = parse_query(&sql)
                .and_then(|parsed| self.planner.query_schema(&self.catalog, &parsed));
            planned
                .map(drop)
                .map_err(|error| Failure::from(error).at(format!("query {}", query.name)))
        };
        queries
            .values()
            .filter_map(|query| check(query).err())
            .collect()
    }

    fn definition(&self, view: &ViewFile) -> Result<ViewDefinition, SqlError> {
        match <[Statement; 1]>::try_from(parse(&view.sql)?) {
            Ok(
                [
                    Statement::CreateMaterializedView {
                        name,
                        query,
                        options,
                        text,
                        ..
                    },
                ],
            ) => {
                if name != view.name {
                    return Err(misnamed(&name, &view.name));
                }
                if self.catalog.contains(&name) {
                    return Err(SqlError::duplicate(&name));
                }
                self.planner
                    .plan_view_with(&self.catalog, &name, &query, &options, &text)
            }
            _ => Err(
                SqlError::syntax("the file is not one CREATE MATERIALIZED VIEW statement")
                    .with_hint("write one view a file; queries go into the queries directory"),
            ),
        }
    }
}

fn misnamed(name: &str, file_name: &str) -> SqlError {
    let hint = format!("rename the file to {name}.sql, or the view to {file_name}");
    SqlError::syntax(format!("the file defines the view `{name}`")).with_hint(hint)
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::DataType;

    use super::*;
    use crate::model::{ColumnDefinition, TableDefinition};

    fn plans() -> Plans {
        let column = |name: &str| ColumnDefinition {
            name: name.into(),
            data_type: DataType::Int64,
            nullable: true,
            description: String::new(),
            default: None,
            max_length: None,
        };
        let table = TableDefinition {
            name: "sales".into(),
            description: String::new(),
            columns: vec![column("product"), column("units")],
            primary_key: Vec::new(),
            version: Vec::new(),
            event_identity: Vec::new(),
            append_only: false,
        };
        let mut catalog = Catalog::default();
        catalog.tables.insert("sales".into(), Arc::new(table));
        Plans {
            planner: Planner::new(),
            catalog,
        }
    }

    fn file(name: &str, sql: &str) -> ViewFile {
        ViewFile {
            name: name.into(),
            sql: sql.into(),
            place: format!("dataflows/{name}.sql"),
        }
    }

    #[test]
    fn views_on_later_views_are_planned() {
        let mut plans = plans();
        let failures = plans.add_all(&[
            file("a", "CREATE MATERIALIZED VIEW a AS SELECT * FROM b"),
            file("b", "CREATE MATERIALIZED VIEW b AS SELECT * FROM c"),
            file(
                "c",
                "CREATE MATERIALIZED VIEW c AS SELECT product FROM sales",
            ),
        ]);
        assert!(failures.is_empty(), "{failures:?}");
        assert_eq!(plans.catalog.live_views.len(), 3);
    }

    #[test]
    fn each_wrong_file_is_told_and_the_others_are_planned() {
        let mut plans = plans();
        let failures = plans.add_all(&[
            file(
                "bad",
                "CREATE MATERIALIZED VIEW bad AS SELECT nothing FROM sales",
            ),
            file(
                "misnamed",
                "CREATE MATERIALIZED VIEW other AS SELECT 1 AS one",
            ),
            file("query", "SELECT 1"),
            file("two", "SELECT 1; SELECT 2"),
            file("sales", "CREATE MATERIALIZED VIEW sales AS SELECT 1 AS one"),
            file("broken", "CREATE MATERIALIZED VIEW"),
            file(
                "good",
                "CREATE MATERIALIZED VIEW good AS SELECT units FROM sales",
            ),
        ]);
        assert_eq!(plans.catalog.live_views.len(), 1);
        assert_eq!(failures.len(), 6);
        let text: Vec<String> = failures.iter().map(Failure::to_string).collect();
        assert!(text[0].contains("dataflows/bad.sql: "), "{}", text[0]);
        assert!(
            text[1].contains("rename the file to other.sql"),
            "{}",
            text[1]
        );
        assert!(
            text[2].contains("not one CREATE MATERIALIZED"),
            "{}",
            text[2]
        );
        assert!(text[4].contains("exists already"), "{}", text[4]);
    }
}
