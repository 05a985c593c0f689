//! Minima and maxima.

use std::sync::Arc;

use super::super::super::arrange::{Changes, Index, Layout, arrange, key_by};
use super::super::super::operator::select::{Wanted, select};
use super::super::{IndexName, Renderer};
use super::{Assembly, arguments};
use crate::sql::plan::{Aggregate, AggregateFunction, Plan, SortKey};

impl<'scope> Renderer<'_, 'scope> {
    /// The least or greatest argument of each group: key columns, argument.
    pub(super) fn extreme(
        &mut self,
        assembly: &Assembly<'_, 'scope>,
        aggregate: &Aggregate,
    ) -> Changes<'scope> {
        let argument = aggregate.argument.unwrap_or_default();
        let plan = arguments(assembly.node, &[argument], Some(argument), aggregate.filter);
        let schema = Arc::clone(&plan.schema);
        let keys = assembly.node.keys.len();
        let (index, layout) = self.ordered(plan, keys);
        let positions = (0..=keys)
            .filter_map(|column| layout.position(column))
            .collect();
        let wanted = Wanted {
            from_end: aggregate.function == AggregateFunction::Max,
            distinct: true,
            offset: 0,
            limit: Some(1),
            with_position: false,
        };
        select(index, "Extreme", schema, positions, wanted)
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
