//! Aggregates that are computed anew from all rows of a group that changes.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};

use super::super::super::arrange::{Changes, Layout, arrange, key_by};
use super::super::super::evaluate;
use super::super::super::operator::recompute::{Extent, Recompute, Shape, error_field, recompute};
use super::super::Renderer;
use super::arguments;
use crate::sql::plan::function::AggregateCall;
use crate::sql::plan::{AggregateFunction, AggregateNode, all_columns};

impl<'scope> Renderer<'_, 'scope> {
    /// All results of an aggregation, each of which is computed anew.
    pub(super) fn recomputed_alone(
        &mut self,
        node: &AggregateNode,
        schema: &SchemaRef,
    ) -> Changes<'scope> {
        match self.recomputed(node) {
            Some((_, rows, computed)) => self.map(rows, None, all_columns(&computed), schema),
            None => self.constant(schema, &[]),
        }
    }

    /// The results that are computed anew, if there are any: their positions, their rows (key
    /// columns, results) and the columns of those.
    pub(super) fn recomputed(
        &mut self,
        node: &AggregateNode,
    ) -> Option<(Vec<usize>, Changes<'scope>, SchemaRef)> {
        let results: Vec<usize> = (0..node.aggregates.len())
            .filter(|result| call(node, *result).is_some())
            .collect();
        if results.is_empty() {
            return None;
        }
        let keys = node.keys.len();
        let columns = columns(node, &results);
        let plan = arguments(node, &columns, None, None);
        let position = |column: usize| {
            let place = columns.iter().position(|other| *other == column);
            keys + place.unwrap_or_default()
        };
        let calls: Vec<(AggregateCall, Option<usize>)> = results
            .iter()
            .filter_map(|result| {
                let filter = node.aggregates[*result].filter.map(position);
                Some((call(node, *result)?.moved(position), filter))
            })
            .collect();
        let mut orders = calls.iter().map(|(call, _)| &call.order);
        let order = orders.find(|order| !order.is_empty()).cloned();
        let layout = Layout {
            key: (0..keys).collect(),
            values: (keys..keys + columns.len()).collect(),
            order: order.unwrap_or_default(),
            ..Layout::default()
        };
        let positions = (0..keys + columns.len()).filter_map(|column| layout.position(column));
        let positions = positions.collect();
        let evaluate = evaluate::aggregates(&calls, &plan.schema, &layout.order);
        let fields = plan.schema.fields()[..keys].iter();
        let mut fields: Vec<Field> = fields.map(|field| field.as_ref().clone()).collect();
        for result in &results {
            let aggregate = &node.aggregates[*result];
            let name = aggregate.function.to_string();
            fields.push(Field::new(name, aggregate.data_type.clone(), true));
        }
        fields.push(error_field());
        let rows = self.render(&plan);
        let index = arrange(key_by(rows, layout, true, |_| Vec::new()), "Groups");
        let rows = recompute(
            index,
            Recompute {
                name: "RecomputeGroups",
                shape: Shape::Group { keys },
                extent: Extent::Group,
                limit: None,
                rows: Arc::clone(&plan.schema),
                positions,
                evaluate,
                output: Arc::new(Schema::new(fields.clone())),
            },
        );
        let (rows, computed) = self.without_errors(rows, &Schema::new(fields));
        Some((results, rows, computed))
    }
}

fn call(node: &AggregateNode, result: usize) -> Option<&AggregateCall> {
    match &node.aggregates[result].function {
        AggregateFunction::Recomputed(call) => Some(call),
        _ => None,
    }
}

/// The columns that the calls read besides the keys.
fn columns(node: &AggregateNode, results: &[usize]) -> Vec<usize> {
    let mut columns = Vec::new();
    for result in results {
        let filter = node.aggregates[*result].filter;
        let read = call(node, *result)
            .into_iter()
            .flat_map(AggregateCall::columns);
        for column in read.chain(filter) {
            if !columns.contains(&column) {
                columns.push(column);
            }
        }
    }
    columns
}
