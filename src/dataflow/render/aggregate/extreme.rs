//! Minima and maxima.

use std::sync::Arc;

use super::super::super::arrange::{Changes, Layout, arrange, key_by};
use super::super::super::operator::select::{Wanted, select};
use super::super::{IndexName, Renderer};
use super::{Assembly, arguments};
use crate::sql::plan::{Aggregate, AggregateFunction, SortKey};

impl<'scope> Renderer<'_, 'scope> {
    /// The least or greatest argument of each group: key columns, argument.
    pub(super) fn extreme(
        &mut self,
        assembly: &Assembly<'_, 'scope>,
        aggregate: &Aggregate,
    ) -> Changes<'scope> {
        let argument = aggregate.argument.unwrap_or_default();
        let plan = arguments(assembly.node, &[argument], Some(argument), aggregate.filter);
        let rows = self.render(&plan);
        let schema = Arc::clone(&plan.schema);
        let keys = assembly.node.keys.len();
        // Min and max of one argument share the arrangement, read from either end.
        let name = IndexName {
            plan,
            key: (0..keys).collect(),
            keys_only: false,
        };
        let ascending = SortKey {
            column: keys,
            descending: false,
            nulls_first: false,
        };
        let layout = Layout::sorted((0..keys).collect(), vec![keys], vec![ascending], &schema);
        let positions = (0..=keys)
            .filter_map(|column| layout.position(column))
            .collect();
        let index = self
            .extremes
            .entry(name)
            .or_insert_with(|| arrange(key_by(rows, layout, true, |_| Vec::new()), "Extremes"));
        let wanted = Wanted {
            from_end: aggregate.function == AggregateFunction::Max,
            distinct: true,
            offset: 0,
            limit: Some(1),
            with_position: false,
        };
        select(index.clone(), "Extreme", schema, positions, wanted)
    }
}
