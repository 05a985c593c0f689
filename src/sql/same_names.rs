//! Columns of one name in the result of a query, as in `SELECT id, *`: Postgres has any number of
//! them, DataFusion none.

use std::collections::{HashMap, HashSet};

use datafusion::common::TableReference;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::sql::sqlparser::ast::{Ident, Query, SelectItem, SetExpr};

use super::error::SqlError;
use super::statement::identifier;

/// The class of the refusal of two columns of one name.
const DUPLICATE_COLUMN: &str = "42701";

/// Plans a query; if it is refused for names that are there twice, then with names of its own for
/// what it selects, which the columns of the result lose again.
pub fn planned(
    query: &Query,
    plan: impl Fn(&Query) -> Result<LogicalPlan, SqlError>,
) -> Result<LogicalPlan, SqlError> {
    let refused = match plan(query) {
        Err(error) if error.sqlstate == DUPLICATE_COLUMN => error,
        planned => return planned,
    };
    let Some(apart) = Apart::of(query) else {
        return Err(refused);
    };
    match plan(&apart.query) {
        Ok(plan) => Ok(apart.restored(plan)?),
        Err(_) => Err(refused),
    }
}

/// A query whose selected values have names that nothing else has.
struct Apart {
    query: Query,
    /// The names that were given to some of them.
    given: HashMap<String, String>,
}

const OWN: &str = "[selected ";

fn own_name(number: usize) -> String {
    format!("{OWN}{number}]")
}

impl Apart {
    fn of(query: &Query) -> Option<Apart> {
        let mut query = query.clone();
        let SetExpr::Select(select) = query.body.as_mut() else {
            return None;
        };
        let mut given = HashMap::new();
        let mut taken = HashSet::new();
        for (number, item) in select.projection.iter_mut().enumerate() {
            let own = own_name(number);
            let alias = Ident::with_quote('"', own.clone());
            match item {
                SelectItem::UnnamedExpr(expression) => {
                    let expr = expression.clone();
                    *item = SelectItem::ExprWithAlias { expr, alias };
                }
                SelectItem::ExprWithAlias { alias: known, .. } => {
                    let name = identifier(known);
                    // Clauses of the query may use the first.
                    if !taken.insert(name.clone()) {
                        *known = alias;
                        given.insert(own, name);
                    }
                }
                _ => {}
            }
        }
        Some(Apart { query, given })
    }

    /// The plan with the names that its columns would have, told apart by what they belong to.
    fn restored(&self, plan: LogicalPlan) -> DataFusionResult<LogicalPlan> {
        let mut names = self.given.clone();
        plan.apply(|node| {
            if let LogicalPlan::Projection(projection) = node {
                for expression in &projection.expr {
                    if let Expr::Alias(alias) = expression
                        && alias.name.starts_with(OWN)
                    {
                        let name = name_of(&alias.expr);
                        names.entry(alias.name.clone()).or_insert(name);
                    }
                }
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        let columns = plan.schema().columns().into_iter().enumerate();
        let columns = columns.map(|(number, column)| {
            let is_qualified = column.relation.is_some();
            match names.get(&column.name).cloned() {
                None if is_qualified => Expr::Column(column),
                restored => {
                    let name = restored.unwrap_or_else(|| column.name.clone());
                    let relation = TableReference::bare(own_name(number));
                    Expr::Column(column).alias_qualified(Some(relation), name)
                }
            }
        });
        let columns: Vec<Expr> = columns.collect();
        LogicalPlanBuilder::from(plan).project(columns)?.build()
    }
}

/// What a column of this value is called.
fn name_of(expression: &Expr) -> String {
    match expression {
        Expr::Column(column) => column.name.clone(),
        Expr::Alias(alias) => alias.name.clone(),
        other => other.schema_name().to_string(),
    }
}
