//! Mainstem's own small relational plan: what a live view computes, as plain printable data.
//!
//! [`lower`](super::lower) makes it from DataFusion's optimised logical plan; `dataflow` renders
//! it to operators. It holds no execution logic and no optimiser logic: every node has exactly one
//! rendering. Column references in expressions are positions in the node's input. Plans that are
//! equal give equal rows, which is what sharing rests on; their text is for people and leaves out
//! what equality needs (types of constants, parentheses).
//!
//! What nodes hold stands beside it: calls of functions (`function`, and for windows `reach` and
//! `running`), `delta_join`, `recursive`, `temporal`, `unnest`. `unique` and `pairs` tell something of a
//! plan, `explain` writes it.

pub mod delta_join;
mod explain;
mod explain_function;
mod explain_join;
pub mod function;
pub mod pairs;
pub mod reach;
pub mod recursive;
pub mod running;
pub mod temporal;
pub(super) mod unique;
pub mod unnest;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::scalar::ScalarValue;

use super::aggregates::quantile::Quantile;
use delta_join::DeltaJoin;
use function::{AggregateCall, Pick, Statistic, WindowNode};
use recursive::Recursive;
use temporal::TemporalNode;
use unnest::UnnestNode;

/// A scalar expression over the columns of its input, evaluated over whole Arrow batches.
pub type Expression = Arc<dyn PhysicalExpr>;

/// The column an expression is, if it is nothing more.
pub fn as_column(expression: &Expression) -> Option<usize> {
    expression.downcast_ref::<Column>().map(Column::index)
}

/// The expression that gives a column.
pub fn column_of(schema: &SchemaRef, column: usize) -> Expression {
    Arc::new(Column::new(schema.field(column).name(), column))
}

/// The expressions that give all columns as they are.
pub fn all_columns(schema: &SchemaRef) -> Vec<Expression> {
    let columns = 0..schema.fields().len();
    columns.map(|column| column_of(schema, column)).collect()
}

/// A relational operator with the schema of its rows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Plan {
    /// What is computed.
    pub node: Node,
    /// The columns of the result, by position; names are for display and for the outermost node.
    pub schema: SchemaRef,
}

/// The relational operators. Collections are bags: a row has a multiplicity.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Node {
    /// All columns of a base table.
    Table { name: Arc<str> },
    /// The rows of another live view.
    View { name: Arc<str> },
    /// Fixed rows, each with one value per column of the schema.
    Constant { rows: Vec<Vec<ScalarValue>> },
    /// Keeps the rows for which `predicate` is true, then computes one output column per
    /// expression of `projection` (over the input's columns).
    Map {
        input: Arc<Plan>,
        predicate: Option<Expression>,
        projection: Vec<Expression>,
    },
    /// Bag union of inputs with equal column types.
    Union { inputs: Vec<Arc<Plan>> },
    /// Pairs of rows with equal keys, see [`JoinKind`].
    Join(Join),
    /// Combinations of rows of several inputs, without intermediate rows.
    DeltaJoin(DeltaJoin),
    /// One row per group, or exactly one row when `keys` is empty.
    Aggregate(AggregateNode),
    /// One copy of each row that occurs at least once.
    Distinct { input: Arc<Plan> },
    /// The first rows of each partition in a given order.
    TopK(TopK),
    /// Each row with the values of window functions.
    Window(WindowNode),
    /// A map whose rows change as time passes.
    Temporal(TemporalNode),
    /// Rows made of rows, level by level.
    Recursive(Recursive),
    /// The rows of a recursion's level before, within its step.
    Level { name: Arc<str> },
    /// Lists taken apart.
    Unnest(UnnestNode),
}

/// An equi-join on columns, with an optional further condition.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Join {
    pub kind: JoinKind,
    pub left: Arc<Plan>,
    pub right: Arc<Plan>,
    /// Pairs of key columns (position in left, position in right); none: a cross join.
    pub on: Vec<(usize, usize)>,
    /// Whether NULL keys match each other (set operations) or nothing (SQL's `=`).
    pub null_equals_null: bool,
    /// A further condition over the left columns followed by the right columns.
    pub residual: Option<Expression>,
}

/// What becomes of rows with and without a partner.
///
/// The output columns are the left columns followed by the right ones (made nullable where a side
/// may be missing); for semi and anti joins the left columns alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JoinKind {
    Inner,
    Left,
    Full,
    /// Left rows with at least one partner.
    LeftSemi,
    /// Left rows with no partner.
    LeftAnti,
}

/// Grouped aggregation; the output columns are the keys followed by the aggregates.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AggregateNode {
    pub input: Arc<Plan>,
    /// Positions of the grouping columns; NULLs form one group. Empty: one global group that
    /// exists even over no rows.
    pub keys: Vec<usize>,
    pub aggregates: Vec<Aggregate>,
}

/// One aggregate function applied to one input column.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Aggregate {
    pub function: AggregateFunction,
    /// Position of the argument column, already of the type the function computes in; `None` only
    /// for `count(*)`.
    pub argument: Option<usize>,
    /// Position of the second argument, for statistics of two columns.
    pub partner: Option<usize>,
    /// Whether equal arguments of a group count once.
    pub distinct: bool,
    /// Position of a boolean column; only rows where it is true take part.
    pub filter: Option<usize>,
    /// The type of the result.
    pub data_type: DataType,
}

/// The aggregate functions by the way they are maintained.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AggregateFunction {
    Count,
    Sum,
    Avg,
    Min,
    Max,
    /// Whether the argument is true in all rows.
    BoolAnd,
    /// Whether the argument is true in some row.
    BoolOr,
    BitAnd,
    BitOr,
    BitXor,
    /// A function of sums of the arguments and of their products.
    Statistic(Statistic),
    /// The argument in one row of the ordered group.
    Pick(Pick),
    /// The argument that the group has most often; of several the least.
    Mode,
    /// A value between the ordered arguments of the group.
    Quantile(Quantile),
    /// Computed anew from all rows of a group that changes.
    Recomputed(AggregateCall),
}

/// The rows of each partition at positions `offset..offset + limit` in the given order. Ties are
/// broken by the whole row, so that the choice is the same on every run.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TopK {
    pub input: Arc<Plan>,
    /// Positions of the partitioning columns; empty: one partition.
    pub partition: Vec<usize>,
    pub order: Vec<SortKey>,
    pub offset: u64,
    /// `None`: all rows from `offset` on.
    pub limit: Option<u64>,
    /// Whether the row's position in its partition (from 1, UInt64, as `ROW_NUMBER()` gives it)
    /// is appended as a last column.
    pub emit_position: bool,
}

/// One column to order by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SortKey {
    pub column: usize,
    pub descending: bool,
    pub nulls_first: bool,
}

impl fmt::Display for AggregateFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Count => "count",
            Self::Sum => "sum",
            Self::Avg => "avg",
            Self::Min => "min",
            Self::Max => "max",
            Self::BoolAnd => "bool_and",
            Self::BoolOr => "bool_or",
            Self::BitAnd => "bit_and",
            Self::BitOr => "bit_or",
            Self::BitXor => "bit_xor",
            Self::Statistic(statistic) => statistic.name(),
            Self::Mode => "mode",
            Self::Pick(_) => "pick",
            Self::Quantile(quantile) => return quantile.fmt(f),
            Self::Recomputed(call) => call.function.name(),
        })
    }
}

impl TopK {
    /// Whether it lets all rows through, with their positions.
    pub fn numbers_all(&self) -> bool {
        self.emit_position && self.offset == 0 && self.limit.is_none()
    }
}

impl Plan {
    /// The plans this one reads.
    pub fn inputs(&self) -> Vec<&Arc<Plan>> {
        match &self.node {
            Node::Table { .. } | Node::View { .. } | Node::Level { .. } | Node::Constant { .. } => {
                Vec::new()
            }
            Node::Map { input, .. } | Node::Distinct { input } => vec![input],
            Node::Union { inputs } | Node::DeltaJoin(DeltaJoin { inputs, .. }) => {
                inputs.iter().collect()
            }
            Node::Join(join) => vec![&join.left, &join.right],
            Node::Aggregate(aggregate) => vec![&aggregate.input],
            Node::TopK(top) => vec![&top.input],
            Node::Window(window) => vec![&window.input],
            Node::Temporal(temporal) => vec![&temporal.input],
            Node::Recursive(recursive) => vec![&recursive.base, &recursive.step],
            Node::Unnest(unnest) => vec![&unnest.input],
        }
    }
}

impl Plan {
    /// The names of the tables and live views that are read, in order.
    pub fn relations(&self) -> Vec<String> {
        let mut names = BTreeSet::new();
        self.collect_relations(&mut names);
        names.into_iter().collect()
    }

    fn collect_relations(&self, names: &mut BTreeSet<String>) {
        if let Node::Table { name } | Node::View { name } = &self.node {
            names.insert(name.to_string());
        }
        for input in self.inputs() {
            input.collect_relations(names);
        }
    }
}

impl Node {
    /// The same operator over other inputs, each made from the one in its place.
    pub fn with_inputs<E>(
        &self,
        of: impl Fn(&Arc<Plan>) -> Result<Arc<Plan>, E>,
    ) -> Result<Node, E> {
        let mut node = self.clone();
        match &mut node {
            Node::Table { .. } | Node::View { .. } | Node::Level { .. } | Node::Constant { .. } => {
            }
            Node::Map { input, .. } | Node::Distinct { input } => *input = of(input)?,
            Node::Union { inputs } | Node::DeltaJoin(DeltaJoin { inputs, .. }) => {
                for input in inputs {
                    *input = of(input)?;
                }
            }
            Node::Join(join) => {
                join.left = of(&join.left)?;
                join.right = of(&join.right)?;
            }
            Node::Aggregate(aggregate) => aggregate.input = of(&aggregate.input)?,
            Node::TopK(top) => top.input = of(&top.input)?,
            Node::Window(window) => window.input = of(&window.input)?,
            Node::Temporal(temporal) => temporal.input = of(&temporal.input)?,
            Node::Recursive(recursive) => {
                recursive.base = of(&recursive.base)?;
                recursive.step = of(&recursive.step)?;
            }
            Node::Unnest(unnest) => unnest.input = of(&unnest.input)?,
        }
        Ok(node)
    }
}

/// A batch of one row without columns, to evaluate constants on.
pub fn one_row() -> arrow::record_batch::RecordBatch {
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(1));
    let schema = Arc::new(arrow::datatypes::Schema::empty());
    arrow::record_batch::RecordBatch::try_new_with_options(schema, Vec::new(), &options)
        .expect("a batch without columns fits a schema without columns")
}
