//! Joins of all kinds, as inner, left, full, semi and anti joins on key columns.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::{JoinType, NullEquality};
use datafusion::logical_expr::{Join as LogicalJoin, LogicalPlan};
use datafusion::physical_expr::expressions::{IsNotNullExpr, IsNullExpr, Literal};
use datafusion::scalar::ScalarValue;

use super::super::error::SqlError;
use super::super::plan::{Expression, Join, JoinKind, Node, Plan};
use super::{
    all_columns, arrow_schema, column_of, filter, map, physical, physical_all, plan_of, refused,
    remap, with_columns,
};

/// A join whose keys are columns of its sides.
struct Keyed {
    left: Arc<Plan>,
    right: Arc<Plan>,
    on: Vec<(usize, usize)>,
    residual: Option<Expression>,
    null_equals_null: bool,
    /// Columns of the sides before key columns were added.
    left_columns: usize,
    right_columns: usize,
}

/// Lowers a join.
pub fn lower(node: &LogicalJoin) -> Result<Arc<Plan>, SqlError> {
    let keyed = keyed(node)?;
    let schema = arrow_schema(&node.schema);
    match node.join_type {
        JoinType::Inner => Ok(keyed.both_sides(JoinKind::Inner, schema)),
        JoinType::Left => Ok(keyed.both_sides(JoinKind::Left, schema)),
        JoinType::Full => Ok(keyed.both_sides(JoinKind::Full, schema)),
        JoinType::Right => {
            let left_columns = keyed.left_columns;
            let right_columns = keyed.right_columns;
            let swapped = keyed.swapped()?;
            let fields = schema.fields();
            let (left, right) = fields.split_at(left_columns);
            let order: Vec<_> = right.iter().chain(left).cloned().collect();
            let rows = swapped.both_sides(JoinKind::Left, Arc::new(Schema::new(order)));
            let positions = (right_columns..right_columns + left_columns).chain(0..right_columns);
            let columns = positions
                .map(|position| column_of(&rows.schema, position))
                .collect();
            Ok(map(rows, None, columns, schema))
        }
        JoinType::LeftSemi => Ok(keyed.left_side(JoinKind::LeftSemi)),
        JoinType::LeftAnti if node.null_aware => keyed.not_in(),
        JoinType::LeftAnti => Ok(keyed.left_side(JoinKind::LeftAnti)),
        JoinType::RightSemi => Ok(keyed.swapped()?.left_side(JoinKind::LeftSemi)),
        JoinType::RightAnti => Ok(keyed.swapped()?.left_side(JoinKind::LeftAnti)),
        JoinType::LeftMark if !node.null_aware => Ok(keyed.marked(schema)),
        JoinType::RightMark if !node.null_aware => Ok(keyed.swapped()?.marked(schema)),
        JoinType::LeftMark | JoinType::RightMark => Err(refused("NOT IN (SELECT …) within OR")
            .with_hint("use NOT EXISTS (SELECT …), which does not stumble over NULLs")),
    }
}

fn keyed(node: &LogicalJoin) -> Result<Keyed, SqlError> {
    let (left, left_columns) = side(&node.left)?;
    let (right, right_columns) = side(&node.right)?;
    let left_keys = physical_all(node.on.iter().map(|(key, _)| key), node.left.schema())?;
    let right_keys = physical_all(node.on.iter().map(|(_, key)| key), node.right.schema())?;
    for (left, right) in left_keys.iter().zip(&right_keys) {
        let left = left.data_type(node.left.schema().as_arrow())?;
        let right = right.data_type(node.right.schema().as_arrow())?;
        if !are_compared_by_bits(&left, &right) {
            return Err(refused(&format!("a join of {left} with {right}"))
                .with_hint("cast one side to the type of the other"));
        }
    }
    let (left, left_keys) = with_columns(left, left_keys)?;
    let (right, right_keys) = with_columns(right, right_keys)?;
    let residual = match &node.filter {
        None => None,
        Some(condition) => {
            let both = node.left.schema().join(node.right.schema())?;
            let added = left.schema.fields().len() - left_columns;
            let condition = physical(condition, &both)?;
            let moved = remap(condition, |position| match position < left_columns {
                true => position,
                false => position + added,
            });
            Some(moved?)
        }
    };
    Ok(Keyed {
        left,
        right,
        on: left_keys.into_iter().zip(right_keys).collect(),
        residual,
        null_equals_null: node.null_equality == NullEquality::NullEqualsNull,
        left_columns,
        right_columns,
    })
}

/// Whether equal values of two types have the same bits.
fn are_compared_by_bits(left: &DataType, right: &DataType) -> bool {
    match (left, right) {
        (DataType::Timestamp(left, _), DataType::Timestamp(right, _)) => left == right,
        (left, right) => left == right || left.is_nested(),
    }
}

fn side(input: &LogicalPlan) -> Result<(Arc<Plan>, usize), SqlError> {
    let input = super::lower(input)?;
    let columns = input.schema.fields().len();
    Ok((input, columns))
}

fn nullable(schema: &SchemaRef) -> impl Iterator<Item = Field> + '_ {
    let fields = schema.fields().iter();
    fields.map(|field| field.as_ref().clone().with_nullable(true))
}

impl Keyed {
    fn node(&self, kind: JoinKind) -> Node {
        Node::Join(Join {
            kind,
            left: Arc::clone(&self.left),
            right: Arc::clone(&self.right),
            on: self.on.clone(),
            null_equals_null: self.null_equals_null,
            residual: self.residual.clone(),
        })
    }

    /// Rows of both sides, without the columns added for keys.
    fn both_sides(&self, kind: JoinKind, schema: SchemaRef) -> Arc<Plan> {
        let left: Vec<Field> = match kind {
            JoinKind::Full => nullable(&self.left.schema).collect(),
            _ => self
                .left
                .schema
                .fields()
                .iter()
                .map(|f| f.as_ref().clone())
                .collect(),
        };
        let right: Vec<Field> = match kind {
            JoinKind::Inner => self
                .right
                .schema
                .fields()
                .iter()
                .map(|f| f.as_ref().clone())
                .collect(),
            _ => nullable(&self.right.schema).collect(),
        };
        let offset = left.len();
        let both = Arc::new(Schema::new(
            left.into_iter().chain(right).collect::<Vec<_>>(),
        ));
        let rows = plan_of(self.node(kind), both);
        let positions = (0..self.left_columns).chain(offset..offset + self.right_columns);
        let columns = positions
            .map(|position| column_of(&rows.schema, position))
            .collect();
        map(rows, None, columns, schema)
    }

    /// Rows of the left side, without the columns added for keys.
    fn left_side(&self, kind: JoinKind) -> Arc<Plan> {
        let rows = plan_of(self.node(kind), Arc::clone(&self.left.schema));
        self.without_keys(rows)
    }

    fn without_keys(&self, rows: Arc<Plan>) -> Arc<Plan> {
        let fields = rows.schema.fields()[..self.left_columns].to_vec();
        let schema: SchemaRef = Arc::new(Schema::new(fields));
        map(rows, None, all_columns(&schema), schema)
    }

    fn swapped(self) -> Result<Keyed, SqlError> {
        let left = self.left.schema.fields().len();
        let right = self.right.schema.fields().len();
        let residual = self.residual.map(|residual| {
            remap(residual, |position| match position < left {
                true => position + right,
                false => position - left,
            })
        });
        Ok(Keyed {
            left: self.right,
            right: self.left,
            on: self
                .on
                .iter()
                .map(|(left, right)| (*right, *left))
                .collect(),
            residual: residual.transpose()?,
            null_equals_null: self.null_equals_null,
            left_columns: self.right_columns,
            right_columns: self.left_columns,
        })
    }

    /// All left rows with a column that tells whether they have a partner.
    fn marked(&self, schema: SchemaRef) -> Arc<Plan> {
        let with_mark = |kind: JoinKind, mark: bool| {
            let rows = self.left_side(kind);
            let mut columns = all_columns(&rows.schema);
            columns.push(Arc::new(Literal::new(ScalarValue::Boolean(Some(mark)))));
            map(rows, None, columns, Arc::clone(&schema))
        };
        let inputs = vec![
            with_mark(JoinKind::LeftSemi, true),
            with_mark(JoinKind::LeftAnti, false),
        ];
        plan_of(Node::Union { inputs }, schema)
    }

    /// `NOT IN (SELECT …)`: a row stays if there is no row to compare with at all, or if its key
    /// is not NULL, no right key is NULL and none is equal.
    fn not_in(&self) -> Result<Arc<Plan>, SqlError> {
        let [(left_key, right_key)] = self.on[..] else {
            return Err(refused("NOT IN with several columns")
                .with_hint("use NOT EXISTS (SELECT …), which does not stumble over NULLs"));
        };
        if self.residual.is_some() {
            return Err(refused("NOT IN with a correlated subquery")
                .with_hint("use NOT EXISTS (SELECT …), which does not stumble over NULLs"));
        }
        let unmatched = plan_of(self.node(JoinKind::LeftAnti), Arc::clone(&self.left.schema));
        let is_null: Expression =
            Arc::new(IsNullExpr::new(column_of(&self.right.schema, right_key)));
        let null_keys = filter(Arc::clone(&self.right), is_null);
        let unless_null = none_if_any(unmatched, null_keys);
        let key = || column_of(&self.left.schema, left_key);
        let with_key = filter(
            Arc::clone(&unless_null),
            Arc::new(IsNotNullExpr::new(key())),
        );
        let without_key = filter(unless_null, Arc::new(IsNullExpr::new(key())));
        let without_key = none_if_any(without_key, Arc::clone(&self.right));
        let node = Node::Union {
            inputs: vec![with_key, without_key],
        };
        let rows = plan_of(node, Arc::clone(&self.left.schema));
        Ok(self.without_keys(rows))
    }
}

/// The left rows if there are no right rows, else nothing.
fn none_if_any(left: Arc<Plan>, right: Arc<Plan>) -> Arc<Plan> {
    let schema = Arc::clone(&left.schema);
    let node = Node::Join(Join {
        kind: JoinKind::LeftAnti,
        left,
        right,
        on: Vec::new(),
        null_equals_null: false,
        residual: None,
    });
    plan_of(node, schema)
}
