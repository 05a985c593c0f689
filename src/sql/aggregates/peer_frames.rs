//! Windows in an order of values that have no distance: bytes, times of day, structures.
//!
//! DataFusion asks for the distances of what a window is ordered by even where its frame has none,
//! such as that of every window without a written frame. Such a frame begins and ends with peers,
//! and is the same in GROUPS.

use arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::Result;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, WindowFrame, WindowFrameUnits};

/// Has the frames of such windows said in GROUPS.
pub fn in_groups(plan: LogicalPlan) -> Result<LogicalPlan> {
    let framed = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Window(_) => in_windows(node),
        other => Ok(Transformed::no(other)),
    });
    framed.data()
}

fn in_windows(node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let schema = merge_schema(&node.inputs());
    let names = NamePreserver::new(&node);
    node.map_expressions(|expression| {
        let name = names.save(&expression);
        let framed = expression.transform_up(|part| Ok(in_call(part, &schema)))?;
        Ok(framed.update_data(|expression| name.restore(expression)))
    })
}

fn in_call(part: Expr, schema: &DFSchema) -> Transformed<Expr> {
    match part {
        Expr::WindowFunction(mut call) => {
            let params = &mut call.params;
            let frame = &params.window_frame;
            let first = params.order_by.first();
            // With a distance in it a frame takes one key only.
            let is_meant = frame.units == WindowFrameUnits::Range
                && frame.can_accept_multi_orderby()
                && first.is_some_and(|key| !has_distances(&key.expr, schema));
            if is_meant {
                let (start, end) = (frame.start_bound.clone(), frame.end_bound.clone());
                let groups = WindowFrameUnits::Groups;
                params.window_frame = WindowFrame::new_bounds(groups, start, end);
            }
            Transformed::new_transformed(Expr::WindowFunction(call), is_meant)
        }
        other => Transformed::no(other),
    }
}

/// Whether DataFusion knows distances between the values of an expression.
fn has_distances(value: &Expr, schema: &DFSchema) -> bool {
    let Ok(found) = value.get_type(schema) else {
        // It is refused, with the reason, later.
        return true;
    };
    !matches!(
        found,
        DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
            | DataType::FixedSizeBinary(_)
            | DataType::Time32(_)
            | DataType::Time64(_)
            | DataType::Duration(_)
            | DataType::Struct(_)
            | DataType::Map(..)
    )
}
