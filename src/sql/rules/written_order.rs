//! Conditions that may fail, looked at behind those that stand before them.
//!
//! Where DataFusion pushes filters down, it puts comparisons of a column with a constant last, and
//! then what it takes for cheap, divisions and casts too, before patterns and functions. Then
//! `v > 0 AND 10 / v > 1` fails, and so does `abs(v) > 0 AND 10 / v > 1`. So a condition that may
//! fail is marked meanwhile with a function, which DataFusion takes for dear: it comes behind all
//! that is cheap and cannot fail, and stays in the written order with everything else. Conditions
//! without a mark are seen as they are, so that keys and bounds are found in them.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::utils::{
    conjunction, merge_schema, split_conjunction, split_conjunction_owned,
};
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

use super::failing::may_fail_or_overflow;
use super::held_back::{Rule, held_back};

/// Through how many computed columns, one of another, it is looked for what may fail.
const MOST_COMPUTED: usize = 8;

/// DataFusion's rules, with marks while filters are pushed down.
pub fn kept(rules: Vec<Rule>) -> Vec<Rule> {
    let rules = held_back(rules, |name| match name {
        "push_down_filter" => Some(pushed_down),
        _ => None,
    });
    let mut with_marks = Vec::with_capacity(rules.len() + 2);
    for rule in rules {
        let is_concerned = rule.name() == "push_down_filter";
        if is_concerned {
            with_marks.push(Arc::new(Marks { is_set: true }) as Rule);
        }
        with_marks.push(rule);
        if is_concerned {
            with_marks.push(Arc::new(Marks { is_set: false }));
        }
    }
    with_marks
}

/// The rule that sets marks, and the one that takes them off.
#[derive(Debug)]
struct Marks {
    is_set: bool,
}

impl OptimizerRule for Marks {
    fn name(&self) -> &str {
        match self.is_set {
            true => "failing_marked",
            false => "failing_unmarked",
        }
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        match self.is_set {
            true => with_marks(plan),
            false => without_marks(plan),
        }
    }
}

fn with_marks(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    match plan {
        LogicalPlan::Filter(mut filter) => {
            let input = Arc::clone(&filter.input);
            let marked = marked(filter.predicate, |condition| {
                fails(condition, &input, MOST_COMPUTED)
            })?;
            filter.predicate = marked.data;
            let filter = LogicalPlan::Filter(filter);
            Ok(told(filter, marked.transformed))
        }
        LogicalPlan::Join(mut join) => {
            let Some(condition) = join.filter.take() else {
                return Ok(Transformed::no(LogicalPlan::Join(join)));
            };
            let schema = merge_schema(&[join.left.as_ref(), join.right.as_ref()]);
            let sides = [Arc::clone(&join.left), Arc::clone(&join.right)];
            let marked = marked(condition, |condition| {
                if may_fail_or_overflow(condition, &schema)? {
                    return Ok(true);
                }
                for column in condition.column_refs() {
                    for side in &sides {
                        if comes_of_failing(column, side, MOST_COMPUTED)? {
                            return Ok(true);
                        }
                    }
                }
                Ok(false)
            })?;
            join.filter = Some(marked.data);
            Ok(told(LogicalPlan::Join(join), marked.transformed))
        }
        other => Ok(Transformed::no(other)),
    }
}

fn told(plan: LogicalPlan, is_changed: bool) -> Transformed<LogicalPlan> {
    Transformed::new(plan, is_changed, TreeNodeRecursion::Continue)
}

/// The same conditions, of which those that may fail have marks.
fn marked(predicate: Expr, fails: impl Fn(&Expr) -> Result<bool>) -> Result<Transformed<Expr>> {
    let failing = split_conjunction(&predicate).into_iter().map(fails);
    let failing = failing.collect::<Result<Vec<bool>>>()?;
    if !failing.contains(&true) {
        return Ok(Transformed::no(predicate));
    }
    // Beside what varies DataFusion keeps the order that it has made of comparisons.
    let are_all = predicate.is_volatile();
    let conditions = split_conjunction_owned(predicate).into_iter().zip(failing);
    let conditions = conditions.map(|(condition, fails)| match fails || are_all {
        true => mark(condition),
        false => condition,
    });
    match conjunction(conditions) {
        Some(predicate) => Ok(Transformed::yes(predicate)),
        None => plan_err!("a filter has a condition"),
    }
}

/// Whether an expression over a plan's columns may fail, or a column that it will be computed of
/// when it has been pushed down.
fn fails(expression: &Expr, input: &LogicalPlan, computed: usize) -> Result<bool> {
    match expression {
        Expr::Column(column) => return comes_of_failing(column, input, computed),
        Expr::Alias(alias) => return fails(&alias.expr, input, computed),
        _ => {}
    }
    let Some(computed) = computed.checked_sub(1) else {
        return Ok(true);
    };
    if may_fail_or_overflow(expression, input.schema())? {
        return Ok(true);
    }
    for column in expression.column_refs() {
        if comes_of_failing(column, input, computed)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn comes_of_failing(column: &Column, plan: &LogicalPlan, computed: usize) -> Result<bool> {
    let Some(place) = plan.schema().maybe_index_of_column(column) else {
        return Ok(false);
    };
    let at_place = |input: &LogicalPlan| {
        let (qualifier, field) = input.schema().qualified_field(place);
        let column = Column::new(qualifier.cloned(), field.name());
        comes_of_failing(&column, input, computed)
    };
    let of_expression = |expressions: &[Expr], input: &LogicalPlan| match expressions.get(place) {
        Some(expression) => fails(expression, input, computed),
        None => Ok(false),
    };
    match plan {
        LogicalPlan::Projection(node) => of_expression(&node.expr, &node.input),
        LogicalPlan::Aggregate(node) => of_expression(&node.group_expr, &node.input),
        LogicalPlan::SubqueryAlias(node) => at_place(&node.input),
        LogicalPlan::Union(node) => {
            for input in &node.inputs {
                if at_place(input)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        _ => {
            for input in plan.inputs() {
                if comes_of_failing(column, input, computed)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
    }
}

fn without_marks(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    match plan {
        LogicalPlan::Filter(mut filter) => {
            let plain = unmarked(filter.predicate)?;
            filter.predicate = plain.data;
            Ok(told(LogicalPlan::Filter(filter), plain.transformed))
        }
        LogicalPlan::Join(mut join) => {
            let mut is_changed = false;
            if let Some(condition) = join.filter.take() {
                let plain = unmarked(condition)?;
                is_changed = plain.transformed;
                join.filter = Some(plain.data);
            }
            Ok(told(LogicalPlan::Join(join), is_changed))
        }
        LogicalPlan::TableScan(mut scan) => {
            let mut is_changed = false;
            for filter in &mut scan.filters {
                let plain = unmarked(std::mem::take(filter))?;
                is_changed |= plain.transformed;
                *filter = plain.data;
            }
            Ok(told(LogicalPlan::TableScan(scan), is_changed))
        }
        other => Ok(Transformed::no(other)),
    }
}

/// Filters pushed down through a join.
///
/// Of a condition on a key DataFusion makes another on the key of the other side. One that may fail
/// would fail there for rows that find no partner, or that other conditions keep away.
fn pushed_down(
    rule: &Rule,
    plan: LogicalPlan,
    config: &dyn OptimizerConfig,
) -> Result<Transformed<LogicalPlan>> {
    let Some(written) = Written::of(&plan) else {
        return rule.rewrite(plan, config);
    };
    let pushed = rule.rewrite(plan, config)?;
    Ok(pushed.update_data(|plan| written.alone(plan)))
}

/// The conditions with marks on and above a join, and its inputs.
struct Written {
    conditions: Vec<Expr>,
    left: Arc<LogicalPlan>,
    right: Arc<LogicalPlan>,
}

impl Written {
    fn of(plan: &LogicalPlan) -> Option<Written> {
        let (mut node, mut predicates) = (plan, Vec::new());
        while let LogicalPlan::Filter(filter) = node {
            predicates.push(&filter.predicate);
            node = filter.input.as_ref();
        }
        let LogicalPlan::Join(join) = node else {
            return None;
        };
        predicates.extend(&join.filter);
        let conditions = predicates.into_iter().flat_map(split_conjunction);
        let conditions: Vec<Expr> = conditions.filter(|part| is_marked(part)).cloned().collect();
        match conditions.is_empty() {
            true => None,
            false => Some(Written {
                conditions,
                left: Arc::clone(&join.left),
                right: Arc::clone(&join.right),
            }),
        }
    }

    /// The join again, without conditions with marks that nobody has written.
    fn alone(&self, plan: LogicalPlan) -> LogicalPlan {
        match plan {
            LogicalPlan::Filter(mut filter) => {
                let below = self.alone(filter.input.as_ref().clone());
                filter.input = Arc::new(below);
                LogicalPlan::Filter(filter)
            }
            LogicalPlan::Join(mut join) => {
                join.left = self.side(join.left, &self.left);
                join.right = self.side(join.right, &self.right);
                LogicalPlan::Join(join)
            }
            other => other,
        }
    }

    fn side(&self, side: Arc<LogicalPlan>, before: &Arc<LogicalPlan>) -> Arc<LogicalPlan> {
        let mut filter = match side.as_ref() {
            LogicalPlan::Filter(filter) if Arc::ptr_eq(&filter.input, before) => filter.clone(),
            _ => return side,
        };
        let conditions = split_conjunction_owned(filter.predicate).into_iter();
        let conditions =
            conditions.filter(|part| !is_marked(part) || self.conditions.contains(part));
        match conjunction(conditions) {
            Some(predicate) => {
                filter.predicate = predicate;
                Arc::new(LogicalPlan::Filter(filter))
            }
            None => Arc::clone(before),
        }
    }
}

fn mark(condition: Expr) -> Expr {
    let function = Mark {
        signature: Signature::any(1, Volatility::Immutable),
    };
    let function = Arc::new(ScalarUDF::new_from_impl(function));
    Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![condition]))
}

fn is_marked(condition: &Expr) -> bool {
    match condition {
        Expr::ScalarFunction(call) => call.func.inner().downcast_ref::<Mark>().is_some(),
        _ => false,
    }
}

fn unmarked(predicate: Expr) -> Result<Transformed<Expr>> {
    predicate.transform_up(|part| {
        if !is_marked(&part) {
            return Ok(Transformed::no(part));
        }
        match part {
            Expr::ScalarFunction(mut call) => match call.args.pop() {
                Some(condition) => Ok(Transformed::yes(condition)),
                None => plan_err!("a mark is on a condition"),
            },
            other => Ok(Transformed::no(other)),
        }
    })
}

/// A condition as it is, which DataFusion takes for dear.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Mark {
    signature: Signature,
}

impl ScalarUDFImpl for Mark {
    fn name(&self) -> &str {
        "may_fail"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _given: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, given: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match given.args.into_iter().next() {
            Some(condition) => Ok(condition),
            None => plan_err!("a mark is on a condition"),
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{Field, Schema};
    use datafusion::logical_expr::logical_plan::table_scan;
    use datafusion::logical_expr::{col, lit};
    use datafusion::optimizer::push_down_filter::PushDownFilter;
    use datafusion::optimizer::{Optimizer, OptimizerContext};

    use super::*;

    /// Where each of these stands in the plan of a filter.
    fn places(condition: Expr, parts: &[&str]) -> Vec<Option<usize>> {
        let fields = [("d", DataType::Int64), ("g", DataType::Utf8)];
        let fields = fields.map(|(name, data_type)| Field::new(name, data_type, true));
        let plan = table_scan(Some("t"), &Schema::new(fields.to_vec()), None)
            .and_then(|scan| scan.filter(condition)?.build())
            .expect("a plan");
        let rules = kept(vec![Arc::new(PushDownFilter::new())]);
        let plan = Optimizer::with_rules(rules).optimize(plan, &OptimizerContext::new(), |_, _| {});
        let text = plan.expect("a plan").display_indent().to_string();
        assert!(!text.contains("may_fail"), "{text}");
        parts.iter().map(|part| text.find(part)).collect()
    }

    #[test]
    fn what_may_fail_comes_behind_its_guards() {
        let fails = || (lit(10_i64) / col("d")).gt(lit(5_i64));
        let compared = col("d").gt(lit(0_i64)).and(fails());
        let found = places(compared, &["t.d > ", " / t.d"]);
        assert!(found.is_sorted() && !found.contains(&None), "{found:?}");
        let matched = col("g").like(lit("op%")).and(fails());
        let found = places(matched, &["LIKE", " / t.d"]);
        assert!(found.is_sorted() && !found.contains(&None), "{found:?}");
    }
}
