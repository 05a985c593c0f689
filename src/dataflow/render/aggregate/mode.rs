//! The value that each group has most often.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};

use super::super::super::arrange::Changes;
use super::super::Renderer;
use super::arguments;
use crate::sql::plan::{
    Aggregate, AggregateFunction, AggregateNode, Node, Plan, SortKey, TopK, column_of,
};

impl<'scope> Renderer<'_, 'scope> {
    /// The key columns and the value that comes most often, of the groups that have values. Values
    /// are counted, and of each group the first by count and value is kept.
    pub(super) fn mode(&mut self, node: &AggregateNode, mode: &Aggregate) -> Changes<'scope> {
        let argument = mode.argument.unwrap_or_default();
        let keys = node.keys.len();
        let input = arguments(node, &[argument], Some(argument), mode.filter);
        let schema = Arc::clone(&input.schema);
        let fields = schema.fields().iter().map(|field| field.as_ref().clone());
        let fields = fields.chain([Field::new("count", DataType::Int64, false)]);
        let counted = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let counts = Node::Aggregate(AggregateNode {
            input,
            keys: (0..=keys).collect(),
            aggregates: vec![Aggregate {
                function: AggregateFunction::Count,
                argument: None,
                partner: None,
                distinct: false,
                filter: None,
                data_type: DataType::Int64,
            }],
        });
        let by = |column: usize, descending: bool| SortKey {
            column,
            descending,
            nulls_first: false,
        };
        let first = Node::TopK(TopK {
            input: Arc::new(Plan {
                node: counts,
                schema: Arc::clone(&counted),
            }),
            partition: (0..keys).collect(),
            order: vec![by(keys + 1, true), by(keys, false)],
            offset: 0,
            limit: Some(1),
            emit_position: false,
        });
        let projection = (0..=keys).map(|column| column_of(&counted, column));
        let rows = Node::Map {
            projection: projection.collect(),
            input: Arc::new(Plan {
                node: first,
                schema: Arc::clone(&counted),
            }),
            predicate: None,
        };
        self.render(&Arc::new(Plan { node: rows, schema }))
    }
}
