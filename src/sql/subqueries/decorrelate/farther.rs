//! Expressions of a subquery where the outer columns are among the columns of its rows.
//!
//! Subqueries within it may read the same outer columns, then two levels out. They read the
//! columns of the rows around them instead, one level out.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Column, DFSchema, DFSchemaRef};
use datafusion::error::Result;
use datafusion::logical_expr::expr::{Exists, InSubquery, SetComparison};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Expr, Subquery};

use super::rows::Outer;

impl Outer<'_> {
    /// An expression over rows with the columns `own`, with `keys` in the place of the outer
    /// columns.
    pub(super) fn replaced(
        &self,
        expression: Expr,
        keys: &[Column],
        own: &DFSchema,
    ) -> Result<Expr> {
        let is_own = |column: &Column| own.has_column(column);
        let replaced = expression.transform_up(|part| {
            let Expr::OuterReferenceColumn(_, column) = &part else {
                return self.in_subquery(part, keys, &is_own);
            };
            Ok(match self.place(column) {
                Some(place) => Transformed::yes(Expr::Column(keys[place].clone())),
                None => Transformed::no(part),
            })
        });
        replaced.data()
    }

    fn place(&self, column: &Column) -> Option<usize> {
        self.columns().iter().position(|known| known == column)
    }

    /// If a part of an expression is a subquery, the one that reads the keys. The columns that are
    /// `is_own` of the rows that it is evaluated for hide the outer ones.
    fn in_subquery(
        &self,
        part: Expr,
        keys: &[Column],
        is_own: &dyn Fn(&Column) -> bool,
    ) -> Result<Transformed<Expr>> {
        let read = |subquery: &Subquery| self.reading(subquery, keys, is_own);
        Ok(match part {
            Expr::ScalarSubquery(subquery) => {
                Transformed::yes(Expr::ScalarSubquery(read(&subquery)?))
            }
            Expr::Exists(test) => Transformed::yes(Expr::Exists(Exists {
                subquery: read(&test.subquery)?,
                ..test
            })),
            Expr::InSubquery(test) => Transformed::yes(Expr::InSubquery(InSubquery {
                subquery: read(&test.subquery)?,
                ..test
            })),
            Expr::SetComparison(test) => Transformed::yes(Expr::SetComparison(SetComparison {
                subquery: read(&test.subquery)?,
                ..test
            })),
            other => Transformed::no(other),
        })
    }

    fn reading(
        &self,
        subquery: &Subquery,
        keys: &[Column],
        is_own: &dyn Fn(&Column) -> bool,
    ) -> Result<Subquery> {
        let plan = subquery.subquery.as_ref().clone();
        let plan = plan.transform_up(|node| {
            let inputs = node.inputs().into_iter();
            let inputs: Vec<DFSchemaRef> = inputs.map(|input| Arc::clone(input.schema())).collect();
            let is_hidden = |column: &Column| {
                is_own(column) || inputs.iter().any(|schema| schema.has_column(column))
            };
            let names = NamePreserver::new(&node);
            node.map_expressions(|expression| {
                let name = names.save(&expression);
                let replaced = expression.transform_up(|part| {
                    let Expr::OuterReferenceColumn(field, column) = &part else {
                        return self.in_subquery(part, keys, &is_hidden);
                    };
                    let place = self.place(column).filter(|_| !is_own(column));
                    Ok(match place {
                        Some(place) => Transformed::yes(Expr::OuterReferenceColumn(
                            Arc::clone(field),
                            keys[place].clone(),
                        )),
                        None => Transformed::no(part),
                    })
                })?;
                Ok(replaced.update_data(|expression| name.restore(expression)))
            })
        });
        let plan = plan.data()?;
        Ok(Subquery {
            outer_ref_columns: plan.all_out_ref_exprs(),
            subquery: Arc::new(plan),
            spans: subquery.spans.clone(),
        })
    }
}
