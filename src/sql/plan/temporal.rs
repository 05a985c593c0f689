//! Time in plans: `now()` as an expression, and the node whose rows change as time passes.

use std::fmt::{self, Display, Formatter};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{DataType, Schema, TimeUnit};
use arrow::record_batch::RecordBatch;
use datafusion::common::internal_err;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;

use super::{Expression, Plan};

/// A condition that holds at this moment (2200-01-01, in milliseconds since the epoch) is taken to
/// hold for ever: changes behind it are not scheduled.
pub const LATEST_MS: u64 = 7_258_118_400_000;

/// The type of `now()`: the precision that timestamps of the standard model have.
pub fn now_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC")))
}

/// `now()`: the timestamp at which the view is read. It has no value of its own; whoever evaluates
/// a condition puts a column in its place.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Now;

impl Display for Now {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("now()")
    }
}

impl PhysicalExpr for Now {
    fn data_type(&self, _input_schema: &Schema) -> DataFusionResult<DataType> {
        Ok(now_type())
    }

    fn nullable(&self, _input_schema: &Schema) -> DataFusionResult<bool> {
        Ok(false)
    }

    fn evaluate(&self, _batch: &RecordBatch) -> DataFusionResult<ColumnarValue> {
        internal_err!("now() is replaced before a condition is evaluated")
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        Vec::new()
    }

    fn with_new_children(
        self: Arc<Self>,
        _children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> DataFusionResult<Arc<dyn PhysicalExpr>> {
        Ok(self)
    }

    fn fmt_sql(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

/// A filter and projection over conditions that change with time.
///
/// Each condition appends a boolean column to the input; predicate and projection are over the
/// input's columns followed by these. A row of the output goes, and another comes, at the
/// timestamp at which a condition of its input row changes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TemporalNode {
    /// The rows.
    pub input: Arc<Plan>,
    /// What changes with time.
    pub conditions: Vec<Condition>,
    /// Rows for which it is not true are left out.
    pub predicate: Option<Expression>,
    /// One expression per output column.
    pub projection: Vec<Expression>,
}

/// A boolean expression over the input's columns and [`Now`] that, for each row, changes between
/// true and not true at most once.
#[derive(Clone, Debug, Eq)]
pub struct Condition {
    /// The expression.
    pub expression: Expression,
    /// Which way it changes.
    pub turn: Turn,
}

// Derived equality would move out of the trait object.
impl PartialEq for Condition {
    fn eq(&self, other: &Condition) -> bool {
        self.turn == other.turn && self.expression.as_ref() == other.expression.as_ref()
    }
}

impl Hash for Condition {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.turn.hash(state);
        self.expression.hash(state);
    }
}

/// Which way a condition changes as time passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Turn {
    /// From not true to true.
    Begins,
    /// From true to not true.
    Ends,
}

impl Display for Condition {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let turn = match self.turn {
            Turn::Begins => "begins",
            Turn::Ends => "ends",
        };
        write!(f, "{} {turn}", self.expression)
    }
}

/// Whether an expression depends on the time it is evaluated at.
pub fn reads_clock(expression: &Expression) -> bool {
    expression.downcast_ref::<Now>().is_some() || expression.children().into_iter().any(reads_clock)
}

/// An expression with something else in the place of `now()`.
pub fn replace_now(expression: &Expression, value: &Expression) -> DataFusionResult<Expression> {
    use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
    let replaced = Arc::clone(expression).transform(|node| {
        Ok(match node.downcast_ref::<Now>() {
            Some(_) => Transformed::yes(Arc::clone(value)),
            None => Transformed::no(node),
        })
    });
    replaced.data()
}
