//! Minima and maxima.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema};

use super::super::super::arrange::{Changes, Index, Layout, arrange, key_by};
use super::super::super::extremes::End;
use super::super::super::operator::ends::{Ends, ends};
use super::super::{IndexName, Renderer};
use super::arguments;
use crate::sql::plan::{AggregateFunction, AggregateNode, Plan, SortKey};

/// Minima and maxima of the same values.
struct SameValues {
    argument: usize,
    filter: Option<usize>,
    /// Positions among all results.
    results: Vec<usize>,
    wanted: Vec<End>,
}

impl<'scope> Renderer<'_, 'scope> {
    /// The least and greatest arguments: the results' positions, and their rows (key columns,
    /// results) of the groups that have values.
    pub(super) fn extremes(&mut self, node: &AggregateNode) -> Vec<(Vec<usize>, Changes<'scope>)> {
        let same_values = same_values(node).into_iter();
        let streams = same_values.map(|values| {
            let rows = self.extremes_of(node, &values);
            (values.results, rows)
        });
        streams.collect()
    }

    fn extremes_of(&mut self, node: &AggregateNode, values: &SameValues) -> Changes<'scope> {
        let keys = node.keys.len();
        let argument = values.argument;
        let plan = arguments(node, &[argument], Some(argument), values.filter);
        let fields = plan.schema.fields();
        let mut output: Vec<Field> = fields[..keys]
            .iter()
            .map(|field| field.as_ref().clone())
            .collect();
        for result in &values.results {
            let name = node.aggregates[*result].function.to_string();
            output.push(fields[keys].as_ref().clone().with_name(name));
        }
        let (index, layout) = self.ordered(plan, keys);
        let how = Ends {
            keys: (0..keys).collect(),
            value: layout.position(keys).unwrap_or(keys),
            wanted: values.wanted.clone(),
            columns: layout.telling_columns(),
            output: Arc::new(Schema::new(output)),
        };
        ends(index, how)
    }

    /// The rows of a plan, so many key columns and a value that is never NULL, by key and in the
    /// order of the value: one arrangement for all that is read from it by position.
    pub(super) fn ordered(&mut self, plan: Arc<Plan>, keys: usize) -> (Index<'scope>, Layout) {
        let rows = self.render(&plan);
        let ascending = SortKey {
            column: keys,
            descending: false,
            nulls_first: false,
        };
        let key: Vec<usize> = (0..keys).collect();
        let layout = Layout::sorted(key.clone(), vec![keys], vec![ascending], &plan.schema);
        let name = IndexName {
            plan,
            key,
            keys_only: false,
        };
        let index = self.ordered.entry(name).or_insert_with(|| {
            arrange(
                key_by(rows, layout.clone(), true, |_| Vec::new()),
                "Ordered",
            )
        });
        (index.clone(), layout)
    }
}

fn same_values(node: &AggregateNode) -> Vec<SameValues> {
    let mut found: Vec<SameValues> = Vec::new();
    for (result, aggregate) in node.aggregates.iter().enumerate() {
        let end = match aggregate.function {
            AggregateFunction::Min => End::Least,
            AggregateFunction::Max => End::Greatest,
            _ => continue,
        };
        let argument = aggregate.argument.unwrap_or_default();
        let known = found
            .iter_mut()
            .find(|other| other.argument == argument && other.filter == aggregate.filter);
        match known {
            Some(values) => {
                values.results.push(result);
                values.wanted.push(end);
            }
            None => found.push(SameValues {
                argument,
                filter: aggregate.filter,
                results: vec![result],
                wanted: vec![end],
            }),
        }
    }
    found
}
