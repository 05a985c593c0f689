//! Values of one row of each ordered group: `first_value`, `last_value`, `nth_value`, `any_value`.

use std::sync::Arc;

use arrow::datatypes::Schema;

use super::super::super::arrange::Changes;
use super::super::Renderer;
use super::arguments;
use crate::sql::plan::function::{Pick, moved_order};
use crate::sql::plan::{AggregateFunction, AggregateNode, Node, Plan, TopK, column_of};

/// Results that come from the same row.
struct SameRow<'a> {
    pick: &'a Pick,
    filter: Option<usize>,
    /// The column that must not be NULL.
    present: Option<usize>,
    /// The results with their arguments.
    results: Vec<(usize, usize)>,
}

impl<'scope> Renderer<'_, 'scope> {
    /// The picked values: the results' positions, and their rows (key columns, values).
    pub(super) fn picked(&mut self, node: &AggregateNode) -> Vec<(Vec<usize>, Changes<'scope>)> {
        let same_rows = same_rows(node).into_iter();
        let streams = same_rows.map(|same_row| {
            let plan = Arc::new(picked_plan(node, &same_row));
            let results = same_row.results.iter().map(|(result, _)| *result);
            (results.collect(), self.render(&plan))
        });
        streams.collect()
    }
}

fn same_rows(node: &AggregateNode) -> Vec<SameRow<'_>> {
    let mut found: Vec<SameRow> = Vec::new();
    for (result, aggregate) in node.aggregates.iter().enumerate() {
        let (AggregateFunction::Pick(pick), Some(argument)) =
            (&aggregate.function, aggregate.argument)
        else {
            continue;
        };
        let present = pick.ignore_nulls.then_some(argument);
        let known = found.iter_mut().find(|other| {
            other.pick == pick && other.filter == aggregate.filter && other.present == present
        });
        match known {
            Some(same_row) => same_row.results.push((result, argument)),
            None => found.push(SameRow {
                pick,
                filter: aggregate.filter,
                present,
                results: vec![(result, argument)],
            }),
        }
    }
    found
}

/// The keys of each group and the arguments of the row picked from it.
fn picked_plan(node: &AggregateNode, same_row: &SameRow) -> Plan {
    let keys = node.keys.len();
    let values = same_row.results.iter().map(|(_, argument)| *argument);
    let mut columns: Vec<usize> = values.collect();
    let kept = keys + columns.len();
    columns.extend(same_row.pick.order.iter().map(|key| key.column));
    let input = arguments(node, &columns, same_row.present, same_row.filter);
    let position = |column: usize| {
        let place = columns.iter().position(|other| *other == column);
        keys + place.unwrap_or_default()
    };
    let order = moved_order(&same_row.pick.order, position);
    let schema = Arc::clone(&input.schema);
    let top = Node::TopK(TopK {
        input,
        partition: (0..keys).collect(),
        order,
        offset: same_row.pick.offset,
        limit: Some(1),
        emit_position: false,
    });
    let fields = schema.fields()[..kept].to_vec();
    let projection = (0..kept).map(|column| column_of(&schema, column));
    Plan {
        node: Node::Map {
            projection: projection.collect(),
            input: Arc::new(Plan { node: top, schema }),
            predicate: None,
        },
        schema: Arc::new(Schema::new(fields)),
    }
}
