//! What the names in a query lead to, as DataFusion's planner asks for it.

use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::TableReference;
use datafusion::config::ConfigOptions;
use datafusion::datasource::cte_worktable::CteWorkTable;
use datafusion::datasource::provider_as_source;
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::planner::{
    ContextProvider, ExprPlanner, RelationPlanner, TypePlanner,
};
use datafusion::logical_expr::{
    AggregateUDF, Expr, HigherOrderUDF, ScalarUDF, TableSource, WindowUDF,
};

use super::error::SqlError;
use super::functions::scalar;
use super::planner::{Sources, external};
use super::relation;
use super::types::TypesOfColumns;

/// What names of tables and functions lead to.
pub(super) struct Provider<'a> {
    pub(super) state: &'a SessionState,
    pub(super) sources: &'a dyn Sources,
}

impl ContextProvider for Provider<'_> {
    fn get_table_source(&self, name: TableReference) -> DataFusionResult<Arc<dyn TableSource>> {
        let (schema, table) = (name.schema(), name.table());
        if matches!(schema, None | Some("public")) {
            let own = self.sources.source(table);
            if own.is_ok() {
                return own;
            }
            let system = self.sources.system_table(None, table)?;
            return system.map_or(own, Ok);
        }
        match (self.sources.system_table(schema, table)?, schema) {
            (Some(system), _) => Ok(system),
            (None, Some("mainstem")) => self.sources.source(table),
            (None, schema) => {
                let schema = schema.unwrap_or_default();
                let message = format!("there is no table \"{table}\" in a schema \"{schema}\"");
                let error = SqlError::new("42P01", message).about(table);
                Err(external(error.with_hint(
                    "tables and views are in the schema public, which need not be named",
                )))
            }
        }
    }

    fn get_table_function_source(
        &self,
        name: &str,
        _arguments: Vec<Expr>,
    ) -> DataFusionResult<Arc<dyn TableSource>> {
        Err(external(relation::refusal(name)))
    }

    fn create_cte_work_table(
        &self,
        name: &str,
        schema: SchemaRef,
    ) -> DataFusionResult<Arc<dyn TableSource>> {
        let table = CteWorkTable::new(name, schema);
        Ok(provider_as_source(Arc::new(table)))
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        self.state.expr_planners()
    }

    fn get_relation_planners(&self) -> &[Arc<dyn RelationPlanner>] {
        relation::planners()
    }

    fn get_type_planner(&self) -> Option<Arc<dyn TypePlanner>> {
        Some(Arc::new(TypesOfColumns))
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        let name = scalar::meant(own_name(name));
        let system = self.sources.system_function(name);
        let functions = self.state.scalar_functions();
        system.or_else(|| functions.get(name).cloned()).or_else(|| {
            let other = scalar::other_name(name)?;
            functions.get(other).cloned()
        })
    }

    fn get_higher_order_meta(&self, name: &str) -> Option<Arc<HigherOrderUDF>> {
        self.state.higher_order_functions().get(name).cloned()
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        let functions = self.state.aggregate_functions();
        let name = own_name(name);
        let found = functions.get(name);
        let found = found.or_else(|| functions.get(scalar::other_name(name)?));
        found.cloned()
    }

    fn get_window_meta(&self, name: &str) -> Option<Arc<WindowUDF>> {
        self.state.window_functions().get(name).cloned()
    }

    fn get_variable_type(&self, _names: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        self.state.config_options()
    }

    fn udf_names(&self) -> Vec<String> {
        sorted(self.state.scalar_functions().keys())
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        self.state
            .higher_order_functions()
            .keys()
            .cloned()
            .collect()
    }

    fn udaf_names(&self) -> Vec<String> {
        sorted(self.state.aggregate_functions().keys())
    }

    fn udwf_names(&self) -> Vec<String> {
        sorted(self.state.window_functions().keys())
    }
}

/// Names in an order of their own, so that the same one of several similar names is proposed.
fn sorted<'n>(names: impl Iterator<Item = &'n String>) -> Vec<String> {
    let mut names: Vec<String> = names.cloned().collect();
    names.sort();
    names
}

/// The name of a function without Postgres's schema for its own.
fn own_name(name: &str) -> &str {
    name.strip_prefix("pg_catalog.").unwrap_or(name)
}
