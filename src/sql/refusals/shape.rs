//! Limits on queries that their tokens do not show: grouping sets, which DataFusion writes out one
//! by one before anything can stop it; frames, whose bounds it adds without looking; and set
//! operations within one another, over which it recurses, those of plain views included.

use std::ops::ControlFlow;

use arrow::datatypes::DataType;
use datafusion::common::JoinType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion, TreeNodeVisitor};
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::{Expr, LogicalPlan, WindowFrameBound, WindowFrameUnits};
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::{
    Expr as AstExpr, GroupByExpr, GroupByWithModifier, Query, Select, Visit, Visitor,
};

use super::guard::SET_OPERATIONS_MAX;
use crate::sql::error::SqlError;
use crate::sql::forms::grouping_elements;
use crate::sql::planner::external;

/// Most grouping sets of one GROUP BY: in a live view each is kept as a grouping of its own.
pub const GROUPING_SETS_MAX: u64 = 128;
/// The farthest that a frame of ROWS or GROUPS reaches, unless it is unbounded: far enough from the
/// ends of 64 bits for positions to be added to it.
pub const FRAME_MAX: u64 = 1_000_000_000_000_000;

/// Most parts of the types of a row: columns, and what structures and lists in them have.
pub const PARTS_MAX: usize = 100_000;
/// Deepest nesting of structures and lists within one another.
pub const TYPE_DEPTH_MAX: usize = 64;

/// Refuses a GROUP BY of too many sets.
pub fn check_grouping(query: &Query) -> Result<(), SqlError> {
    match query.visit(&mut Groupings) {
        ControlFlow::Break(count) => Err(too_many_sets(count)),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// What is said of a GROUP BY of too many sets.
pub fn too_many_sets(count: u64) -> SqlError {
    let message = format!("a grouping of {count} sets; the limit is {GROUPING_SETS_MAX}");
    SqlError::new("54001", message).with_hint("name the sets that are needed in GROUPING SETS")
}

/// Looks for a GROUP BY of too many sets, and breaks off with their number.
struct Groupings;

impl Visitor for Groupings {
    type Break = u64;

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<u64> {
        let none: &[AstExpr] = &[];
        let (keys, modifiers) = match &select.group_by {
            GroupByExpr::All(modifiers) => (none, modifiers),
            GroupByExpr::Expressions(keys, modifiers) => (&keys[..], modifiers),
        };
        // Several in one GROUP BY are combined, each set with each.
        let counts = keys.iter().map(sets_of);
        let modified = modifiers.iter().map(|modifier| match modifier {
            GroupByWithModifier::Rollup => keys.len() as u64 + 1,
            GroupByWithModifier::Cube => subsets(keys.len()),
            GroupByWithModifier::Totals => 2,
            GroupByWithModifier::GroupingSets(sets) => sets_of(sets),
        });
        match counts.chain(modified).fold(1, u64::saturating_mul) {
            count if count > GROUPING_SETS_MAX => ControlFlow::Break(count),
            _ => ControlFlow::Continue(()),
        }
    }
}

fn sets_of(key: &AstExpr) -> u64 {
    match key {
        AstExpr::Rollup(parts) => parts.len() as u64 + 1,
        AstExpr::Cube(parts) => subsets(parts.len()),
        AstExpr::GroupingSets(sets) => {
            let counts = sets.iter().map(|set| match &set[..] {
                [element] => grouping_elements::nested(element).map_or(1, |sets| sets_of(&sets)),
                _ => 1,
            });
            counts.fold(0, u64::saturating_add)
        }
        other => match grouping_elements::behind_distinct(other) {
            Some(first) => grouping_elements::nested(first).map_or(1, |sets| sets_of(&sets)),
            None => 1,
        },
    }
}

fn subsets(parts: usize) -> u64 {
    match parts {
        0..64 => 1u64 << parts,
        _ => u64::MAX,
    }
}

/// Refuses a plan with frames that reach too far, with too many set operations within one another,
/// or with types that are too large.
pub fn check_plan(plan: &LogicalPlan) -> Result<(), SqlError> {
    plan.visit_with_subqueries(&mut Nodes::default())?;
    Ok(())
}

/// Looks at all nodes of a plan.
#[derive(Default)]
struct Nodes {
    /// The set operations around the node.
    set_operations: usize,
}

impl<'n> TreeNodeVisitor<'n> for Nodes {
    type Node = LogicalPlan;

    fn f_down(&mut self, node: &'n LogicalPlan) -> DataFusionResult<TreeNodeRecursion> {
        self.set_operations += usize::from(is_set_operation(node));
        if self.set_operations > SET_OPERATIONS_MAX {
            let message = format!(
                "the statement has more than {SET_OPERATIONS_MAX} set operations within one \
                 another when its plain views stand for their names"
            );
            return Err(external(
                SqlError::new("54001", message).with_hint("make live views of the plain ones"),
            ));
        }
        check_types(node).map_err(external)?;
        if let LogicalPlan::Window(window) = node {
            for expression in &window.window_expr {
                expression.apply(|part| {
                    check_frame(part).map_err(external)?;
                    Ok(TreeNodeRecursion::Continue)
                })?;
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }

    fn f_up(&mut self, node: &'n LogicalPlan) -> DataFusionResult<TreeNodeRecursion> {
        self.set_operations -= usize::from(is_set_operation(node));
        Ok(TreeNodeRecursion::Continue)
    }
}

/// INTERSECT and EXCEPT are joins already when a query has been planned.
fn is_set_operation(node: &LogicalPlan) -> bool {
    match node {
        LogicalPlan::Union(_) => true,
        LogicalPlan::Join(join) => {
            matches!(join.join_type, JoinType::LeftSemi | JoinType::LeftAnti)
        }
        _ => false,
    }
}

fn check_types(node: &LogicalPlan) -> Result<(), SqlError> {
    let mut parts = 0;
    for field in node.schema().fields() {
        count_parts(field.data_type(), TYPE_DEPTH_MAX, &mut parts)?;
    }
    Ok(())
}

/// Adds the parts of a type, which may have so many levels.
fn count_parts(data_type: &DataType, levels: usize, parts: &mut usize) -> Result<(), SqlError> {
    *parts += 1;
    if *parts > PARTS_MAX {
        let message = format!("a row of more than {PARTS_MAX} columns and parts of structures");
        return Err(SqlError::new("54001", message));
    }
    let Some(below) = levels.checked_sub(1) else {
        let message =
            format!("structures and lists within one another more than {TYPE_DEPTH_MAX} deep");
        return Err(SqlError::new("54001", message));
    };
    match data_type {
        DataType::Struct(fields) => {
            let mut types = fields.iter().map(|field| field.data_type());
            types.try_for_each(|part| count_parts(part, below, parts))
        }
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::FixedSizeList(field, _)
        | DataType::Map(field, _) => count_parts(field.data_type(), below, parts),
        _ => Ok(()),
    }
}

fn check_frame(expression: &Expr) -> Result<(), SqlError> {
    let Expr::WindowFunction(function) = expression else {
        return Ok(());
    };
    let frame = &function.params.window_frame;
    if frame.units == WindowFrameUnits::Range {
        return Ok(());
    }
    for bound in [&frame.start_bound, &frame.end_bound] {
        let (reach, direction) = match bound {
            WindowFrameBound::Preceding(ScalarValue::UInt64(Some(reach))) => (*reach, "PRECEDING"),
            WindowFrameBound::Following(ScalarValue::UInt64(Some(reach))) => (*reach, "FOLLOWING"),
            _ => continue,
        };
        if reach > FRAME_MAX {
            let message = format!("a frame of {reach} {direction}; the limit is {FRAME_MAX}");
            return Err(
                SqlError::new("22013", message).with_hint(format!("write UNBOUNDED {direction}"))
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::Field;

    use super::*;
    use crate::sql::statement::parse_query;

    fn grouped(keys: &str) -> Result<(), SqlError> {
        let sql = format!("SELECT count(*) FROM t GROUP BY {keys}");
        check_grouping(&parse_query(&sql).expect("a query"))
    }

    #[test]
    fn types_that_double_are_not_counted_to_the_end() {
        let mut doubled = DataType::Int64;
        for _ in 0..40 {
            let parts = ["x", "y"].map(|name| Field::new(name, doubled.clone(), true));
            doubled = DataType::Struct(parts.into_iter().collect());
        }
        let counted = |data_type: &DataType| count_parts(data_type, TYPE_DEPTH_MAX, &mut 0);
        assert_eq!(counted(&doubled).unwrap_err().sqlstate, "54001");
        let mut nested = DataType::Int64;
        for _ in 0..TYPE_DEPTH_MAX {
            assert_eq!(counted(&nested), Ok(()));
            nested = DataType::new_list(nested, true);
        }
        assert_eq!(counted(&nested).unwrap_err().sqlstate, "54001");
    }

    #[test]
    fn grouping_sets_are_counted_before_they_are_made() {
        for keys in [
            "a, b",
            "ROLLUP (a, b, c)",
            "CUBE (a, b, c, d, e, f, g)",
            "CUBE (a, b, c), CUBE (d, e, f), g",
            "GROUPING SETS ((a), (b), ())",
        ] {
            assert_eq!(grouped(keys), Ok(()), "{keys}");
        }
        let columns: Vec<String> = (0..70).map(|n| format!("c{n}")).collect();
        for keys in [
            "CUBE (a, b, c, d, e, f, g, h)".to_owned(),
            "CUBE (a, b, c, d), CUBE (e, f, g, h)".to_owned(),
            "ROLLUP (a, b, c), GROUPING SETS ((d), ()), CUBE (e, f, g, h, i)".to_owned(),
            format!("CUBE ({})", columns.join(", ")),
            format!("ROLLUP ({0}), ROLLUP ({0})", columns.join(", ")),
        ] {
            assert_eq!(grouped(&keys).unwrap_err().sqlstate, "54001", "{keys}");
        }
        let inner = "SELECT 1 FROM (SELECT 1 FROM t GROUP BY CUBE (a, b, c, d, e, f, g, h))";
        let inner = parse_query(inner).expect("a query");
        assert!(check_grouping(&inner).is_err());
    }
}
