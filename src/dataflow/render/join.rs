//! Joins of every kind, from inner joins and multiplicities.
//!
//! Inner: one join of two indexes. Semi and anti joins without further condition: the left index
//! joined with the distinct keys of the right. With a further condition whether a left row has a
//! partner is not a matter of its key: left rows are counted together with their matches, row by
//! row. Outer joins are an inner join and the anti join's rows with NULLs.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::physical_expr::expressions::{IsNotNullExpr, Literal};
use datafusion::scalar::ScalarValue;
use timely::dataflow::operators::{Concat, Concatenate};

use super::super::arrange::{Changes, Index, Layout, arrange, key_by};
use super::super::chunk::SumLane;
use super::super::lane::Lane;
use super::super::operator::accumulate::multiplicity;
use super::super::operator::join::{Side, join, join_until};
use super::super::operator::negate;
use super::{IndexName, Renderer, build_index, index_layout};
use crate::sql::plan::{Expression, Join, JoinKind, Node, Plan, all_columns, column_of};

/// A side of a join with its key columns.
pub(super) struct Input {
    pub(super) plan: Arc<Plan>,
    pub(super) key: Vec<usize>,
}

/// The indexes a join reads, with the sub-plans they arrange.
pub fn indexes(join: &Join) -> Vec<(IndexName, Arc<Plan>)> {
    let (left, right) = inputs(join);
    let mut indexes = vec![left.index(false)];
    match join.kind {
        JoinKind::Inner => indexes.push(right.index(false)),
        _ if join.residual.is_some() => indexes.push(right.index(false)),
        JoinKind::LeftSemi | JoinKind::LeftAnti => indexes.push(right.index(true)),
        JoinKind::Left => indexes.extend([right.index(false), right.index(true)]),
        JoinKind::Full => {
            indexes.extend([left.index(true), right.index(false), right.index(true)]);
        }
    }
    indexes
}

/// The plans of the two sides, as they are arranged.
pub fn sides(join: &Join) -> (Arc<Plan>, Arc<Plan>) {
    let (left, right) = inputs(join);
    (left.plan, right.plan)
}

/// The two sides. Keys that are NULL find no partner unless NULLs are equal, so rows with such
/// keys are left out of the side whose rows only matter as partners.
fn inputs(join: &Join) -> (Input, Input) {
    let left_key: Vec<usize> = join.on.iter().map(|(left, _)| *left).collect();
    let right_key: Vec<usize> = join.on.iter().map(|(_, right)| *right).collect();
    let drop_left = join.kind == JoinKind::Inner && !join.null_equals_null;
    let left = match drop_left {
        true => without_null_keys(&join.left, &left_key),
        false => Arc::clone(&join.left),
    };
    let right = match join.kind != JoinKind::Full && !join.null_equals_null {
        true => without_null_keys(&join.right, &right_key),
        false => Arc::clone(&join.right),
    };
    let left = Input {
        plan: left,
        key: left_key,
    };
    let right = Input {
        plan: right,
        key: right_key,
    };
    (left, right)
}

pub(super) fn without_null_keys(plan: &Arc<Plan>, key: &[usize]) -> Arc<Plan> {
    let nullable = key
        .iter()
        .filter(|column| plan.schema.field(**column).is_nullable());
    let conditions = nullable.map(|column| -> Expression {
        Arc::new(IsNotNullExpr::new(column_of(&plan.schema, *column)))
    });
    let predicate = conditions.reduce(|left, right| {
        use datafusion::logical_expr::Operator;
        use datafusion::physical_expr::expressions::BinaryExpr;
        Arc::new(BinaryExpr::new(left, Operator::And, right))
    });
    if predicate.is_none() {
        return Arc::clone(plan);
    }
    Arc::new(Plan {
        node: Node::Map {
            input: Arc::clone(plan),
            predicate,
            projection: all_columns(&plan.schema),
        },
        schema: Arc::clone(&plan.schema),
    })
}

impl Input {
    pub(super) fn index(&self, keys_only: bool) -> (IndexName, Arc<Plan>) {
        let name = IndexName {
            plan: Arc::clone(&self.plan),
            key: self.key.clone(),
            keys_only,
        };
        (name, Arc::clone(&self.plan))
    }

    pub(super) fn columns(&self) -> usize {
        self.plan.schema.fields().len()
    }

    /// The columns of the side as they stand in its index.
    fn output(&self, side: Side) -> Vec<(Side, usize)> {
        let (name, _) = self.index(false);
        let layout = index_layout(&name, self.columns());
        let positions = (0..self.columns()).filter_map(|column| layout.position(column));
        positions.map(|position| (side, position)).collect()
    }

    fn key_schema(&self) -> SchemaRef {
        let fields = self
            .key
            .iter()
            .map(|column| self.plan.schema.field(*column).clone());
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }
}

fn side_by_side(left: &SchemaRef, right: &SchemaRef) -> SchemaRef {
    let fields = left.fields().iter().chain(right.fields().iter()).cloned();
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

impl<'scope> Renderer<'_, 'scope> {
    pub(super) fn join(&mut self, node: &Join, schema: &SchemaRef) -> Changes<'scope> {
        let (left, right) = inputs(node);
        match node.kind {
            JoinKind::Inner => self.pairs(&left, &right, node.residual.as_ref(), schema),
            JoinKind::LeftSemi => {
                let rows = self.partnered(node, &left, &right, Partner::Present);
                self.relabel(rows, schema)
            }
            JoinKind::LeftAnti => {
                let rows = self.partnered(node, &left, &right, Partner::Absent);
                self.relabel(rows, schema)
            }
            JoinKind::Left => {
                let pairs = self.pairs(&left, &right, node.residual.as_ref(), schema);
                let alone = self.partnered(node, &left, &right, Partner::Absent);
                let alone = self.pad(alone, &left.plan.schema, 0, schema);
                pairs.concat(alone)
            }
            JoinKind::Full => self.full(node, &left, &right, schema),
        }
    }

    fn full(
        &mut self,
        node: &Join,
        left: &Input,
        right: &Input,
        schema: &SchemaRef,
    ) -> Changes<'scope> {
        let left_rows = Input {
            plan: Arc::clone(&node.left),
            key: left.key.clone(),
        };
        let (left_partners, right_partners) = match node.null_equals_null {
            true => (Arc::clone(&left.plan), Arc::clone(&right.plan)),
            false => (
                without_null_keys(&left.plan, &left.key),
                without_null_keys(&right.plan, &right.key),
            ),
        };
        let left_partners = Input {
            plan: left_partners,
            key: left.key.clone(),
        };
        let right_partners = Input {
            plan: right_partners,
            key: right.key.clone(),
        };
        let residual = node.residual.as_ref();
        let pairs = self.pairs(&left_rows, &right_partners, residual, schema);
        let left_alone = self.partnered(node, &left_rows, &right_partners, Partner::Absent);
        let left_alone = self.pad(left_alone, &left.plan.schema, 0, schema);
        let mirrored = mirror(node);
        let right_alone = self.partnered(&mirrored, right, &left_partners, Partner::Absent);
        let offset = left.columns();
        let right_alone = self.pad(right_alone, &right.plan.schema, offset, schema);
        self.scope.concatenate([pairs, left_alone, right_alone])
    }

    /// The pairs that satisfy the keys and the further condition: as many of the left and right
    /// columns as `schema` has, under its names.
    fn pairs(
        &mut self,
        left: &Input,
        right: &Input,
        residual: Option<&Expression>,
        schema: &SchemaRef,
    ) -> Changes<'scope> {
        let joined = match residual {
            None => Arc::clone(schema),
            Some(_) => side_by_side(&left.plan.schema, &right.plan.schema),
        };
        let mut output = left.output(Side::Left);
        output.extend(right.output(Side::Right));
        output.truncate(joined.fields().len());
        let left_index = self.index(left, false);
        let right_index = self.index(right, false);
        let given_up = self.given_up.clone();
        let rows = join_until(left_index, right_index, joined, output, given_up);
        match residual {
            None => rows,
            Some(_) => self.map(rows, residual.cloned(), all_columns(schema), schema),
        }
    }

    /// The left rows that have, or have not, a partner.
    fn partnered(
        &mut self,
        node: &Join,
        left: &Input,
        right: &Input,
        partner: Partner,
    ) -> Changes<'scope> {
        if let Some(residual) = &node.residual {
            return self.partnered_by_row(left, right, residual, partner);
        }
        let keys = self.distinct_keys(right);
        let schema = Arc::clone(&left.plan.schema);
        let present = join(
            self.index(left, false),
            keys,
            schema,
            left.output(Side::Left),
        );
        match partner {
            Partner::Present => present,
            Partner::Absent => self.render(&left.plan).concat(negate(present)),
        }
    }

    fn partnered_by_row(
        &mut self,
        left: &Input,
        right: &Input,
        residual: &Expression,
        partner: Partner,
    ) -> Changes<'scope> {
        let schema = Arc::clone(&left.plan.schema);
        let matches = self.pairs(left, right, Some(residual), &schema);
        let rows = self.render(&left.plan);
        let layout = || Layout {
            key: (0..schema.fields().len()).collect(),
            ..Layout::default()
        };
        let rows = key_by(rows, layout(), true, |updates| {
            vec![SumLane::Narrow(Lane::Constant(0, updates.len()))]
        });
        let matches = key_by(matches, layout(), false, |updates| {
            vec![SumLane::Narrow(updates.counts.clone())]
        });
        let index = arrange(rows.concat(matches), "Matches");
        multiplicity(index, "Partner", schema, move |count, matches| {
            match (partner, matches != 0) {
                (Partner::Present, true) | (Partner::Absent, false) => count,
                _ => 0,
            }
        })
    }

    /// One copy of each key of a side, indexed.
    fn distinct_keys(&mut self, side: &Input) -> Index<'scope> {
        let counted = self.index(side, true);
        let schema = side.key_schema();
        let keys = multiplicity(counted, "DistinctKeys", Arc::clone(&schema), |count, _| {
            i64::from(count > 0)
        });
        let layout = Layout {
            key: (0..schema.fields().len()).collect(),
            ..Layout::default()
        };
        arrange(key_by(keys, layout, true, |_| Vec::new()), "DistinctKeys")
    }

    /// The index of a side: the shared one where there is one.
    pub(super) fn index(&mut self, side: &Input, keys_only: bool) -> Index<'scope> {
        let (name, plan) = side.index(keys_only);
        if let Some(index) = self.shared.get(&name) {
            return index.clone();
        }
        if let Some(index) = self.indexes.get(&name) {
            return index.clone();
        }
        let rows = self.render(&plan);
        let index = build_index(rows, &name, side.columns());
        self.indexes.insert(name, index.clone());
        index
    }

    /// The same columns under the names and nullability of `schema`.
    pub(super) fn relabel(&mut self, rows: Changes<'scope>, schema: &SchemaRef) -> Changes<'scope> {
        self.map(rows, None, all_columns(schema), schema)
    }

    /// Rows of one side with NULLs for the columns of the other; `offset` is where the side's
    /// columns begin in `schema`.
    fn pad(
        &mut self,
        rows: Changes<'scope>,
        side: &SchemaRef,
        offset: usize,
        schema: &SchemaRef,
    ) -> Changes<'scope> {
        let own = offset..offset + side.fields().len();
        let projection = schema.fields().iter().enumerate().map(|(column, field)| {
            if own.contains(&column) {
                return column_of(side, column - offset);
            }
            let null = ScalarValue::try_from(field.data_type()).unwrap_or(ScalarValue::Null);
            Arc::new(Literal::new(null)) as Expression
        });
        self.map(rows, None, projection.collect(), schema)
    }
}

#[derive(Clone, Copy)]
enum Partner {
    Present,
    Absent,
}

/// The join with its sides swapped, as far as finding rows without partner needs it.
fn mirror(node: &Join) -> Join {
    let left_columns = node.left.schema.fields().len();
    let right_columns = node.right.schema.fields().len();
    let residual = node
        .residual
        .as_ref()
        .map(|residual| swap_columns(residual, left_columns, right_columns));
    Join {
        kind: JoinKind::LeftAnti,
        left: Arc::clone(&node.right),
        right: Arc::clone(&node.left),
        on: node
            .on
            .iter()
            .map(|(left, right)| (*right, *left))
            .collect(),
        null_equals_null: node.null_equals_null,
        residual,
    }
}

fn swap_columns(expression: &Expression, left: usize, right: usize) -> Expression {
    use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
    use datafusion::physical_expr::expressions::Column;
    Arc::clone(expression)
        .transform(|node| {
            let Some(column) = node.downcast_ref::<Column>() else {
                return Ok(Transformed::no(node));
            };
            let index = match column.index() < left {
                true => column.index() + right,
                false => column.index() - left,
            };
            let swapped: Expression = Arc::new(Column::new(column.name(), index));
            Ok(Transformed::yes(swapped))
        })
        .data()
        .unwrap_or_else(|_| Arc::clone(expression))
}
