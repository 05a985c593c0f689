//! Relations as DataFusion tables: projection and limit pushdown, key equality by lookup.
//!
//! Filters that fix the lookup columns to literals are answered exactly by
//! [`Relation::lookup`]; all others are left to DataFusion.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::datasource::TableType;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::scalar::ScalarValue;

use super::relation::Relation;
use super::scan::RelationScan;

/// The most keys that one query looks up; beyond, a scan is taken.
const MOST_KEYS: usize = 1024;

/// A [`Relation`] as a table that SQL can read.
#[derive(Debug)]
pub struct RelationProvider {
    name: String,
    relation: Arc<dyn Relation>,
}

impl RelationProvider {
    /// Offers `relation` under `name`, which appears in `EXPLAIN`.
    pub fn new(name: impl Into<String>, relation: Arc<dyn Relation>) -> Self {
        Self {
            name: name.into(),
            relation,
        }
    }

    /// Of the filters those that together fix every lookup column, by position in `filters`, and
    /// the keys that all of them allow.
    fn keys(&self, filters: &[&Expr]) -> Option<(Vec<usize>, Vec<Vec<ScalarValue>>)> {
        let columns = self.relation.lookup_columns();
        if columns.is_empty() {
            return None;
        }
        let schema = self.relation.schema();
        let mut used = Vec::new();
        let mut keys: Vec<Vec<ScalarValue>> = vec![Vec::new()];
        for &column in columns {
            let field = schema.field(column);
            let mut allowed: Option<Vec<ScalarValue>> = None;
            for (position, filter) in filters.iter().enumerate() {
                let Some(mut values) = allowed_values(filter, field.name(), field.data_type())
                else {
                    continue;
                };
                used.push(position);
                if let Some(others) = allowed {
                    values.retain(|value| others.contains(value));
                }
                allowed = Some(values);
            }
            let allowed = allowed?;
            if keys.len() * allowed.len() > MOST_KEYS {
                return None;
            }
            let extended = keys.iter().flat_map(|key| {
                let values = allowed.iter();
                values.map(|value| key.iter().chain([value]).cloned().collect())
            });
            keys = extended.collect();
        }
        Some((used, keys))
    }
}

#[async_trait]
impl TableProvider for RelationProvider {
    fn schema(&self) -> SchemaRef {
        self.relation.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        let used = self.keys(filters).map(|(used, _)| used).unwrap_or_default();
        let support = (0..filters.len()).map(|position| match used.contains(&position) {
            true => TableProviderFilterPushDown::Exact,
            false => TableProviderFilterPushDown::Unsupported,
        });
        Ok(support.collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        // The filters are those said above to be answered exactly: all of a key's or none.
        if !filters.is_empty() {
            let filters: Vec<&Expr> = filters.iter().collect();
            let Some((_, keys)) = self.keys(&filters) else {
                return datafusion::common::internal_err!(
                    "filters on {} that it does not support",
                    self.name
                );
            };
            let found = match keys.is_empty() {
                true => Vec::new(),
                false => vec![self.relation.lookup(&keys)?],
            };
            let plan = MemorySourceConfig::try_new_exec(
                &[found],
                self.relation.schema(),
                projection.cloned(),
            )?;
            return Ok(plan);
        }
        Ok(Arc::new(RelationScan::try_new(
            &self.name,
            Arc::clone(&self.relation),
            projection.cloned(),
            limit,
            state.config().target_partitions(),
        )?))
    }
}

/// The different values that a filter of the form `column = literal`, `column IN (literals)` or
/// several of these with OR allows for the column; NULL is none of them.
fn allowed_values(filter: &Expr, column: &str, data_type: &DataType) -> Option<Vec<ScalarValue>> {
    // SQL's equality of floating-point numbers is not that of the index (0.0 and -0.0).
    if data_type.is_floating() || data_type.is_nested() {
        return None;
    }
    let mut values = Vec::new();
    collect_values(filter, column, data_type, &mut values)?;
    let mut seen = HashSet::new();
    values.retain(|value| !value.is_null() && seen.insert(value.clone()));
    Some(values)
}

/// Adds the literals that the filter compares the column with; `None` where it does anything else.
fn collect_values(
    filter: &Expr,
    column: &str,
    data_type: &DataType,
    values: &mut Vec<ScalarValue>,
) -> Option<()> {
    let is_column = |expr: &Expr| matches!(expr, Expr::Column(found) if found.name == column);
    let mut literal = |expr: &Expr| match expr {
        Expr::Literal(value, _) if value.data_type() == *data_type => {
            values.push(value.clone());
            Some(())
        }
        _ => None,
    };
    match filter {
        // What comparisons with NULL alone are simplified to once the filter has been handed over.
        Expr::Literal(ScalarValue::Boolean(None | Some(false)), _) => Some(()),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
            Operator::Eq if is_column(left) => literal(right),
            Operator::Eq if is_column(right) => literal(left),
            Operator::Or => {
                collect_values(left, column, data_type, values)?;
                collect_values(right, column, data_type, values)
            }
            _ => None,
        },
        Expr::InList(list) if !list.negated && is_column(&list.expr) => {
            list.list.iter().try_for_each(literal)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
