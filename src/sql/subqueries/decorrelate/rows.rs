//! A subquery's rows for each combination of the outer columns that it reads.

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, JoinType, NullEquality};
use datafusion::error::Result;
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{
    Aggregate, Distinct, Expr, ExprFunctionExt, ExprSchemable, FetchType, Limit, LogicalPlan,
    LogicalPlanBuilder, SkipType, SortExpr, Subquery, Unnest, Window, lit, when,
};

use super::super::first_rows::by_whole_row;
use super::names::Names;
use super::references::{is_correlated, outer_columns};
use crate::sql::relation::is_list_in_from;

/// The outer columns that a subquery reads.
pub struct Outer<'n> {
    columns: Vec<Column>,
    /// The names of their values, which stay apart from those of subqueries within this one.
    pub(super) key_names: Vec<String>,
    /// Their different combinations.
    combinations: LogicalPlan,
    pub(super) names: &'n Names,
}

/// The rows of a (part of a) subquery, each with the outer columns for which it is one.
pub struct Rows {
    /// The rows; their own columns come first.
    pub plan: LogicalPlan,
    /// The outer columns among theirs.
    pub keys: Vec<Column>,
    /// The column with the positions of rows among those of their combination, where they are
    /// ordered.
    pub(super) position: Option<Column>,
}

/// The aggregates of a subquery for the combinations of outer columns for which it has rows.
pub struct Groups {
    /// A row for each group.
    pub plan: LogicalPlan,
    /// The outer columns among theirs.
    pub keys: Vec<Column>,
    /// The aggregates where the groups are joined to something else by an outer join.
    pub values: Vec<Expr>,
}

impl<'n> Outer<'n> {
    /// `None`: the subquery reads columns of a query farther out.
    pub fn of(
        subquery: &Subquery,
        outer: &LogicalPlan,
        names: &'n Names,
    ) -> Result<Option<Outer<'n>>> {
        let columns = outer_columns(&subquery.subquery)?;
        let schema = outer.schema();
        if columns.is_empty() || !columns.iter().all(|column| schema.has_column(column)) {
            return Ok(None);
        }
        let number = names.number();
        let key_names = 0..columns.len();
        let key_names: Vec<String> = key_names
            .map(|position| format!("[key {number}.{position}]"))
            .collect();
        let values = columns.iter().zip(&key_names);
        let values = values.map(|(column, name)| Expr::Column(column.clone()).alias(name));
        let combinations = LogicalPlanBuilder::from(outer.clone())
            .project(values)?
            .distinct()?
            .build()?;
        Ok(Some(Outer {
            columns,
            key_names,
            combinations,
            names,
        }))
    }

    /// The outer columns.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// An expression of the subquery as it reads beside the outer row; `None` if it can't.
    pub fn seen_from_outside(&self, expression: Expr) -> Result<Option<Expr>> {
        if expression.exists(|part| Ok(super::is_subquery(part)))? {
            return Ok(None);
        }
        let own = DFSchema::empty();
        self.replaced(expression, &self.columns, &own).map(Some)
    }

    /// The different combinations, under a name of their own.
    fn combinations(&self) -> Result<Rows> {
        let relation = self.names.relation("outer");
        let plan = LogicalPlanBuilder::from(self.combinations.clone()).alias(relation.clone())?;
        let keys = self.key_names.iter();
        let keys = keys.map(|name| Column::new(Some(relation.clone()), name));
        Ok(Rows::unordered(plan.build()?, keys.collect()))
    }

    /// The rows of a plan for each combination, with their positions if their order is asked for;
    /// `None` if they can't be told.
    pub fn rows(&self, plan: &LogicalPlan, in_order: bool) -> Result<Option<Rows>> {
        if !is_correlated(plan)? {
            let combinations = self.combinations()?;
            if is_one_row_without_columns(plan) {
                return Ok(Some(combinations));
            }
            let rows = LogicalPlanBuilder::from(plan.clone()).cross_join(combinations.plan)?;
            let plan = rows.build()?;
            return Ok(Some(Rows {
                plan,
                ..combinations
            }));
        }
        match plan {
            LogicalPlan::Filter(filter) => self.below(&filter.input, false, |rows| {
                let condition =
                    self.replaced(filter.predicate.clone(), &rows.keys, rows.plan.schema())?;
                let plan = LogicalPlanBuilder::from(rows.plan).filter(condition)?;
                Ok(Rows {
                    plan: plan.build()?,
                    ..rows
                })
            }),
            LogicalPlan::Projection(node) => self.below(&node.input, in_order, |rows| {
                let names = NamePreserver::new_for_projection();
                let columns = node.expr.iter().map(|expression| {
                    let name = names.save(expression);
                    let replaced =
                        self.replaced(expression.clone(), &rows.keys, rows.plan.schema())?;
                    Ok(name.restore(replaced))
                });
                let columns = columns.collect::<Result<Vec<Expr>>>()?;
                rows.projected(columns)
            }),
            LogicalPlan::SubqueryAlias(node) => self.below(&node.input, in_order, |rows| {
                let relation = &node.alias;
                let plan = LogicalPlanBuilder::from(rows.plan).alias(relation.clone())?;
                let aliased = |column: Column| Column::new(Some(relation.clone()), column.name);
                Ok(Rows {
                    plan: plan.build()?,
                    keys: rows.keys.into_iter().map(aliased).collect(),
                    position: rows.position.map(aliased),
                })
            }),
            LogicalPlan::Sort(sort) if sort.fetch.is_none() => {
                self.below(&sort.input, false, |rows| match in_order {
                    true => {
                        let order = sort.expr.iter().cloned().map(|key| {
                            let expr = self.replaced(key.expr, &rows.keys, rows.plan.schema())?;
                            Ok(SortExpr { expr, ..key })
                        });
                        let order = order.collect::<Result<Vec<_>>>()?;
                        rows.numbered(order)
                    }
                    false => Ok(rows),
                })
            }
            LogicalPlan::Limit(limit) => self.first_rows(limit),
            LogicalPlan::Window(node) => self.windows(node),
            LogicalPlan::Distinct(Distinct::All(input)) => self.below(input, false, |rows| {
                let plan = LogicalPlanBuilder::from(rows.plan).distinct()?.build()?;
                Ok(Rows { plan, ..rows })
            }),
            LogicalPlan::Aggregate(node) if node.group_expr.is_empty() => self.one_group(node),
            LogicalPlan::Aggregate(node) => self.many_groups(node),
            LogicalPlan::Join(join) => self.joined(join),
            LogicalPlan::Union(union) => self.united(union),
            LogicalPlan::Unnest(node) => self.elements(node),
            _ => Ok(None),
        }
    }

    pub(super) fn below(
        &self,
        input: &LogicalPlan,
        in_order: bool,
        above: impl FnOnce(Rows) -> Result<Rows>,
    ) -> Result<Option<Rows>> {
        self.rows(input, in_order)?.map(above).transpose()
    }

    /// Window functions, whose partitions are those of each combination.
    fn windows(&self, node: &Window) -> Result<Option<Rows>> {
        self.below(&node.input, false, |rows| {
            let names = NamePreserver::new_for_projection();
            let calls = node.window_expr.iter().map(|call| {
                let name = names.save(call);
                let call = self.replaced(call.clone(), &rows.keys, rows.plan.schema())?;
                let parted = call.transform_down(|part| {
                    let Expr::WindowFunction(mut call) = part else {
                        return Ok(Transformed::no(part));
                    };
                    let keys = rows.keys.iter().cloned().map(Expr::Column);
                    call.params.partition_by.extend(keys);
                    let call = Expr::WindowFunction(call);
                    Ok(Transformed::new(call, true, TreeNodeRecursion::Jump))
                });
                Ok(name.restore(parted.data()?))
            });
            let calls = calls.collect::<Result<Vec<Expr>>>()?;
            let plan = LogicalPlanBuilder::from(rows.plan).window(calls)?;
            let rows = Rows {
                plan: plan.build()?,
                ..rows
            };
            let columns = node.schema.columns().into_iter();
            rows.projected(columns.map(Expr::Column).collect())
        })
    }

    /// The elements of the lists of each combination. Of those in SELECT the optimiser takes it that
    /// the combination determines them.
    fn elements(&self, node: &Unnest) -> Result<Option<Rows>> {
        if !node.exec_columns.iter().all(is_list_in_from) {
            return Ok(None);
        }
        self.below(&node.input, false, |rows| {
            let lists = node.exec_columns.clone();
            let plan = LogicalPlanBuilder::from(rows.plan)
                .unnest_columns_with_options(lists, node.options.clone())?;
            Ok(Rows {
                plan: plan.build()?,
                ..rows
            })
        })
    }

    fn first_rows(&self, limit: &Limit) -> Result<Option<Rows>> {
        let (SkipType::Literal(skipped), FetchType::Literal(fetched)) =
            (limit.get_skip_type()?, limit.get_fetch_type()?)
        else {
            return Ok(None);
        };
        let skipped = skipped as u64;
        self.below(&limit.input, true, |rows| {
            let rows = match rows.position {
                Some(_) => rows,
                None => rows.numbered(by_whole_row(&limit.input))?,
            };
            let Some(position) = rows.position.clone().map(Expr::Column) else {
                return Ok(rows);
            };
            let mut wanted = vec![position.clone().gt(lit(skipped))];
            if let Some(fetched) = fetched {
                wanted.push(position.lt_eq(lit(skipped.saturating_add(fetched as u64))));
            }
            let mut builder = LogicalPlanBuilder::from(rows.plan);
            if let Some(wanted) = conjunction(wanted) {
                builder = builder.filter(wanted)?;
            }
            let columns = limit.input.schema().columns().into_iter();
            let rows = Rows::unordered(builder.build()?, rows.keys);
            rows.projected(columns.map(Expr::Column).collect())
        })
    }

    /// An aggregation of all rows has a result for no rows, too.
    fn one_group(&self, node: &Aggregate) -> Result<Option<Rows>> {
        let Some(groups) = self.groups(node)? else {
            return Ok(None);
        };
        let combinations = self.combinations()?;
        let names = node.schema.fields().iter().map(|field| field.name());
        let columns = groups.values.into_iter().zip(names);
        let columns = columns.map(|(value, name)| value.alias(name)).collect();
        let plan = LogicalPlanBuilder::from(combinations.plan)
            .join_detailed(
                groups.plan,
                JoinType::Left,
                (combinations.keys.clone(), groups.keys),
                None,
                NullEquality::NullEqualsNull,
            )?
            .build()?;
        let rows = Rows::unordered(plan, combinations.keys);
        rows.projected(columns).map(Some)
    }

    fn many_groups(&self, node: &Aggregate) -> Result<Option<Rows>> {
        if matches!(node.group_expr[..], [Expr::GroupingSet(_)]) {
            return Ok(None);
        }
        self.below(&node.input, false, |rows| {
            let names = NamePreserver::new_for_projection();
            let all = |expressions: &[Expr]| -> Result<Vec<Expr>> {
                let expressions = expressions.iter().map(|expression| {
                    let name = names.save(expression);
                    let replaced =
                        self.replaced(expression.clone(), &rows.keys, rows.plan.schema())?;
                    Ok(name.restore(replaced))
                });
                expressions.collect()
            };
            let mut keys = all(&node.group_expr)?;
            keys.extend(rows.keys.iter().cloned().map(Expr::Column));
            let aggregates = all(&node.aggr_expr)?;
            let plan = LogicalPlanBuilder::from(rows.plan).aggregate(keys, aggregates)?;
            let rows = Rows::unordered(plan.build()?, rows.keys);
            let columns = node.schema.columns().into_iter();
            rows.projected(columns.map(Expr::Column).collect())
        })
    }

    /// The results of an aggregation of all rows, where it has rows; `None` if they can't be told.
    pub fn groups(&self, node: &Aggregate) -> Result<Option<Groups>> {
        let Some(rows) = self.rows(&node.input, false)? else {
            return Ok(None);
        };
        let aggregates = node.aggr_expr.iter();
        let aggregates = aggregates.enumerate().map(|(number, aggregate)| {
            let aggregate =
                self.replaced(aggregate.clone().unalias(), &rows.keys, rows.plan.schema())?;
            Ok(aggregate.alias(value(number)))
        });
        let aggregates = aggregates.collect::<Result<Vec<Expr>>>()?;
        let keys = rows.keys.iter().cloned().map(Expr::Column);
        let grouped = LogicalPlanBuilder::from(rows.plan).aggregate(keys, aggregates)?;
        let keys = rows.keys.into_iter().zip(&self.key_names);
        let keys = keys.map(|(column, name)| Expr::Column(column).alias(name));
        let values = 0..node.aggr_expr.len();
        let values = values.map(|number| Expr::Column(Column::new_unqualified(value(number))));
        let columns: Vec<Expr> = keys.chain(values).collect();
        let columns = columns.into_iter().chain([lit(true).alias(HAS_ROWS)]);
        let relation = self.names.relation("group");
        let plan = grouped.project(columns)?.alias(relation.clone())?.build()?;
        let of = |name: String| Column::new(Some(relation.clone()), name);
        let has_none = Expr::Column(of(HAS_ROWS.to_owned())).is_null();
        let values = node
            .aggr_expr
            .iter()
            .enumerate()
            .map(|(number, aggregate)| {
                let value = Expr::Column(of(value(number)));
                let of_none = of_no_rows(aggregate, &node.input)?;
                match of_none {
                    None => Ok(value),
                    Some(of_none) => when(has_none.clone(), of_none).otherwise(value),
                }
            });
        let values = values.collect::<Result<Vec<Expr>>>()?;
        Ok(Some(Groups {
            plan,
            keys: self.key_names.iter().cloned().map(of).collect(),
            values,
        }))
    }
}

impl Rows {
    /// Rows in no order.
    pub(super) fn unordered(plan: LogicalPlan, keys: Vec<Column>) -> Rows {
        Rows {
            plan,
            keys,
            position: None,
        }
    }

    /// The rows with these columns in place of their own.
    pub(super) fn projected(self, mut columns: Vec<Expr>) -> Result<Rows> {
        let hidden = self.keys.iter().chain(&self.position);
        columns.extend(hidden.cloned().map(Expr::Column));
        let plan = LogicalPlanBuilder::from(self.plan).project(columns)?;
        Ok(Rows {
            plan: plan.build()?,
            ..self
        })
    }

    /// The rows with their positions in the given order.
    fn numbered(self, order: Vec<SortExpr>) -> Result<Rows> {
        let keys = self.keys.iter().cloned().map(Expr::Column);
        let position = row_number()
            .partition_by(keys.collect())
            .order_by(order)
            .build()?;
        let name = position.schema_name().to_string();
        let column = Column::new_unqualified("[position]");
        let mut columns: Vec<Expr> = self
            .plan
            .schema()
            .columns()
            .into_iter()
            .map(Expr::Column)
            .collect();
        columns.push(Expr::Column(Column::new_unqualified(name)).alias(&column.name));
        let plan = LogicalPlanBuilder::from(self.plan)
            .window([position])?
            .project(columns)?;
        Ok(Rows {
            plan: plan.build()?,
            keys: self.keys,
            position: Some(column),
        })
    }
}

/// What stands for FROM where there is none.
fn is_one_row_without_columns(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::EmptyRelation(rows) => rows.produce_one_row && rows.schema.fields().is_empty(),
        _ => false,
    }
}

/// The column that is NULL where an outer join has found no group.
const HAS_ROWS: &str = "[has rows]";

fn value(number: usize) -> String {
    format!("[value {number}]")
}

/// What an aggregate gives of no rows; `None` if that is NULL.
fn of_no_rows(aggregate: &Expr, input: &LogicalPlan) -> Result<Option<Expr>> {
    let Expr::AggregateFunction(call) = aggregate.clone().unalias() else {
        return Ok(None);
    };
    let data_type = aggregate.get_type(input.schema().as_ref())?;
    let value = call.func.default_value(&data_type)?;
    Ok((!value.is_null()).then(|| lit(value)))
}
