//! `ORDER BY … LIMIT n` in correlated subqueries.
//!
//! DataFusion joins a correlated subquery by pulling the conditions on outer columns out of it,
//! which it cannot do through a LIMIT. Where all of them are equalities, the first rows for an
//! outer row are the first rows of a key, so the LIMIT becomes a condition on `ROW_NUMBER()`.

use std::sync::Arc;

use datafusion::common::Column;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::{conjunction, split_conjunction};
use datafusion::logical_expr::{
    BinaryExpr, Expr, ExprFunctionExt, FetchType, Limit, LogicalPlan, LogicalPlanBuilder, Operator,
    SkipType, SortExpr, Subquery, lit,
};

/// Rewrites the lateral and scalar subqueries of a plan.
pub fn rewrite(plan: LogicalPlan) -> Result<LogicalPlan> {
    let rewritten = plan.transform_up_with_subqueries(|node| {
        let node = match node {
            LogicalPlan::Subquery(subquery) => {
                first_rows(subquery)?.update_data(LogicalPlan::Subquery)
            }
            other => Transformed::no(other),
        };
        node.transform_data(|node| {
            let names = NamePreserver::new(&node);
            node.map_expressions(|expression| {
                let name = names.save(&expression);
                let rewritten = expression.transform_up(|part| match part {
                    Expr::ScalarSubquery(subquery) => {
                        Ok(first_rows(subquery)?.update_data(Expr::ScalarSubquery))
                    }
                    other => Ok(Transformed::no(other)),
                })?;
                Ok(rewritten.update_data(|expression| name.restore(expression)))
            })
        })
    });
    rewritten.data()
}

fn first_rows(subquery: Subquery) -> Result<Transformed<Subquery>> {
    let LogicalPlan::Limit(limit) = subquery.subquery.as_ref() else {
        return Ok(Transformed::no(subquery));
    };
    let (SkipType::Literal(skipped), FetchType::Literal(fetched)) =
        (limit.get_skip_type()?, limit.get_fetch_type()?)
    else {
        return Ok(Transformed::no(subquery));
    };
    let Some(rows) = Rows::of(&limit.input)? else {
        return Ok(Transformed::no(subquery));
    };
    if rows.keys.is_empty() {
        return Ok(Transformed::no(subquery));
    }
    let plan = rows.limited(limit, skipped as u64, fetched.map(|rows| rows as u64))?;
    Ok(Transformed::yes(subquery.with_plan(Arc::new(plan))))
}

/// Rows of a subquery without its conditions on outer columns.
struct Rows {
    plan: LogicalPlan,
    /// Columns, with the outer expressions that they have to be equal to.
    keys: Vec<(Column, Expr)>,
    /// The column with the positions of rows among those of their key, if they have an order.
    position: Option<Column>,
}

impl Rows {
    /// `None`: the conditions cannot be parted from the rest.
    fn of(plan: &LogicalPlan) -> Result<Option<Rows>> {
        if !is_correlated(plan)? {
            return Ok(Some(Rows {
                plan: plan.clone(),
                keys: Vec::new(),
                position: None,
            }));
        }
        match plan {
            LogicalPlan::Filter(filter) => match Rows::of(&filter.input)? {
                Some(rows) => rows.filtered(&filter.predicate),
                None => Ok(None),
            },
            LogicalPlan::Sort(sort) if sort.fetch.is_none() => match Rows::of(&sort.input)? {
                Some(rows) if !sort.expr.iter().any(|key| key.expr.contains_outer()) => {
                    rows.numbered(sort.expr.clone()).map(Some)
                }
                _ => Ok(None),
            },
            LogicalPlan::Projection(node) => match Rows::of(&node.input)? {
                Some(rows) if !node.expr.iter().any(Expr::contains_outer) => {
                    let hidden = rows.hidden().cloned().map(Expr::Column);
                    let columns: Vec<Expr> = node.expr.iter().cloned().chain(hidden).collect();
                    let builder = LogicalPlanBuilder::from(rows.plan);
                    let plan = builder.project(columns)?.build()?;
                    Ok(Some(Rows { plan, ..rows }))
                }
                _ => Ok(None),
            },
            LogicalPlan::SubqueryAlias(node) => match Rows::of(&node.input)? {
                Some(mut rows) => {
                    for column in rows.keys.iter_mut().map(|(column, _)| column) {
                        column.relation = Some(node.alias.clone());
                    }
                    if let Some(position) = &mut rows.position {
                        position.relation = Some(node.alias.clone());
                    }
                    let builder = LogicalPlanBuilder::from(rows.plan);
                    let plan = builder.alias(node.alias.clone())?.build()?;
                    Ok(Some(Rows { plan, ..rows }))
                }
                None => Ok(None),
            },
            _ => Ok(None),
        }
    }

    fn hidden(&self) -> impl Iterator<Item = &Column> {
        let keys = self.keys.iter().map(|(column, _)| column);
        keys.chain(&self.position)
    }

    /// The rows for which a condition holds, as far as it is not about outer columns.
    fn filtered(self, condition: &Expr) -> Result<Option<Rows>> {
        let (outer, own): (Vec<&Expr>, Vec<&Expr>) = split_conjunction(condition)
            .into_iter()
            .partition(|part| part.contains_outer());
        if !outer.is_empty() && self.position.is_some() {
            return Ok(None);
        }
        let mut keys = self.keys;
        let mut builder = LogicalPlanBuilder::from(self.plan);
        if let Some(own) = conjunction(own.into_iter().cloned()) {
            builder = builder.filter(own)?;
        }
        let mut columns: Vec<Expr> = own_columns(&builder);
        for condition in outer {
            let Some((own, outer)) = equality(condition) else {
                return Ok(None);
            };
            let column = Column::new_unqualified(format!("[key {}]", keys.len()));
            columns.push(own.alias(&column.name));
            keys.push((column, outer));
        }
        Ok(Some(Rows {
            plan: builder.project(columns)?.build()?,
            keys,
            position: self.position,
        }))
    }

    /// The rows with their positions.
    fn numbered(self, order: Vec<SortExpr>) -> Result<Rows> {
        let keys = self
            .keys
            .iter()
            .map(|(column, _)| Expr::Column(column.clone()));
        let position = row_number()
            .partition_by(keys.collect())
            .order_by(order)
            .build()?;
        let name = position.schema_name().to_string();
        let position_column = Column::new_unqualified("[position]");
        let builder = LogicalPlanBuilder::from(self.plan);
        let mut columns = own_columns(&builder);
        let value = Expr::Column(Column::new_unqualified(name));
        columns.push(value.alias(&position_column.name));
        Ok(Rows {
            plan: builder.window([position])?.project(columns)?.build()?,
            keys: self.keys,
            position: Some(position_column),
        })
    }

    /// The first rows for an outer row, with the columns of the limit.
    fn limited(self, limit: &Limit, skipped: u64, fetched: Option<u64>) -> Result<LogicalPlan> {
        let rows = match self.position {
            Some(_) => self,
            None => self.numbered(by_whole_row(&limit.input))?,
        };
        let position = rows.position.map(Expr::Column);
        let position = position.unwrap_or_else(|| lit(1u64));
        let mut wanted = Vec::new();
        if skipped > 0 {
            wanted.push(position.clone().gt(lit(skipped)));
        }
        if let Some(fetched) = fetched {
            wanted.push(position.lt_eq(lit(skipped.saturating_add(fetched))));
        }
        let mut builder = LogicalPlanBuilder::from(rows.plan);
        if let Some(wanted) = conjunction(wanted) {
            builder = builder.filter(wanted)?;
        }
        let keys = rows.keys.into_iter();
        let keys = keys.map(|(column, outer)| Expr::Column(column).eq(outer));
        if let Some(keys) = conjunction(keys) {
            builder = builder.filter(keys)?;
        }
        let columns = limit.input.schema().columns();
        builder
            .project(columns.into_iter().map(Expr::Column))?
            .build()
    }
}

/// The order that chooses rows where none is asked for, so that the choice does not depend on chance.
/// The position of a row needs one.
pub fn by_whole_row(rows: &LogicalPlan) -> Vec<SortExpr> {
    let columns = rows.schema().columns().into_iter();
    columns
        .map(|column| Expr::Column(column).sort(true, false))
        .collect()
}

fn own_columns(builder: &LogicalPlanBuilder) -> Vec<Expr> {
    let columns = builder.schema().columns();
    columns.into_iter().map(Expr::Column).collect()
}

/// The own and the outer side of an equality.
fn equality(condition: &Expr) -> Option<(Expr, Expr)> {
    let Expr::BinaryExpr(BinaryExpr {
        left,
        op: Operator::Eq,
        right,
    }) = condition
    else {
        return None;
    };
    let is_outer = |side: &Expr| side.contains_outer() && side.column_refs().is_empty();
    match (is_outer(left), is_outer(right)) {
        (false, true) if !left.contains_outer() => Some((*left.clone(), *right.clone())),
        (true, false) if !right.contains_outer() => Some((*right.clone(), *left.clone())),
        _ => None,
    }
}

/// Whether a plan reads columns of an outer query.
fn is_correlated(plan: &LogicalPlan) -> Result<bool> {
    let found = plan.apply_with_subqueries(|node| {
        Ok(match node.contains_outer_reference() {
            true => TreeNodeRecursion::Stop,
            false => TreeNodeRecursion::Continue,
        })
    })?;
    Ok(found == TreeNodeRecursion::Stop)
}
