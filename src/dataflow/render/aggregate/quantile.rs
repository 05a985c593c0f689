//! Medians and percentiles.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema};

use super::super::super::arrange::Changes;
use super::super::super::operator::quantile::{Quantiles, quantiles};
use super::super::Renderer;
use super::arguments;
use crate::sql::aggregates::quantile::Quantile;
use crate::sql::plan::{AggregateFunction, AggregateNode, Node, Plan};

/// Quantiles of the same values.
struct SameValues {
    argument: usize,
    filter: Option<usize>,
    distinct: bool,
    /// Positions among all results.
    results: Vec<usize>,
    wanted: Vec<Quantile>,
}

impl<'scope> Renderer<'_, 'scope> {
    /// The quantiles: the results' positions, and their rows (key columns, results) of the groups
    /// that have values.
    pub(super) fn quantiles(&mut self, node: &AggregateNode) -> Vec<(Vec<usize>, Changes<'scope>)> {
        let same_values = same_values(node).into_iter();
        let streams = same_values.map(|values| {
            let rows = self.quantiles_of(node, &values);
            (values.results, rows)
        });
        streams.collect()
    }

    fn quantiles_of(&mut self, node: &AggregateNode, values: &SameValues) -> Changes<'scope> {
        let keys = node.keys.len();
        let argument = values.argument;
        let mut plan = arguments(node, &[argument], Some(argument), values.filter);
        let mut fields: Vec<Field> = plan.schema.fields()[..keys]
            .iter()
            .map(|field| field.as_ref().clone())
            .collect();
        for result in &values.results {
            let aggregate = &node.aggregates[*result];
            let name = aggregate.function.to_string();
            fields.push(Field::new(name, aggregate.data_type.clone(), false));
        }
        if values.distinct {
            plan = Arc::new(Plan {
                schema: Arc::clone(&plan.schema),
                node: Node::Distinct { input: plan },
            });
        }
        let (index, layout) = self.ordered(plan, keys);
        let how = Quantiles {
            keys: (0..keys).collect(),
            value: layout.position(keys).unwrap_or(keys),
            wanted: values.wanted.clone(),
            output: Arc::new(Schema::new(fields)),
        };
        quantiles(index, how)
    }
}

fn same_values(node: &AggregateNode) -> Vec<SameValues> {
    let mut found: Vec<SameValues> = Vec::new();
    for (result, aggregate) in node.aggregates.iter().enumerate() {
        let (AggregateFunction::Quantile(quantile), Some(argument)) =
            (&aggregate.function, aggregate.argument)
        else {
            continue;
        };
        let known = found.iter_mut().find(|other| {
            other.argument == argument
                && other.filter == aggregate.filter
                && other.distinct == aggregate.distinct
        });
        match known {
            Some(values) => {
                values.results.push(result);
                values.wanted.push(quantile.clone());
            }
            None => found.push(SameValues {
                argument,
                filter: aggregate.filter,
                distinct: aggregate.distinct,
                results: vec![result],
                wanted: vec![quantile.clone()],
            }),
        }
    }
    found
}
