//! Which joins are made without intermediate rows.
//!
//! A tree of inner joins keeps the rows of each join below the topmost one, arranged by the key of
//! the next. A delta join keeps no such rows, but an input that is looked up by several keys once
//! for each of them. It is made where that is certain to be no more by what is known of keys and
//! filters, see [`size`]; where it is not, some joins at the bottom are left as they are and are
//! one input of those above.

mod paths;
mod region;
mod size;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr::{conjunction_opt, split_conjunction};

use self::region::{Region, is_joined, never_fails};
use super::super::catalog::Catalog;
use super::super::plan::delta_join::DeltaJoin;
use super::super::plan::{Expression, Node, Plan};
use super::{map, plan_of, remap};

/// Inputs of one join: each costs an operator for each of the others.
const INPUTS_MAX: usize = 5;

/// The plan with joins of joins made without intermediate rows where that pays.
pub fn gathered(plan: &Arc<Plan>, catalog: &Catalog) -> Arc<Plan> {
    if let Some(joined) = joined(plan, catalog) {
        return joined;
    }
    let Ok(node) = plan
        .node
        .with_inputs(|input| Ok::<_, Infallible>(gathered(input, catalog)));
    plan_of(node, Arc::clone(&plan.schema))
}

/// What stands above the topmost join.
struct Above {
    predicate: Option<Expression>,
    projection: Vec<Expression>,
    schema: SchemaRef,
}

fn joined(plan: &Arc<Plan>, catalog: &Catalog) -> Option<Arc<Plan>> {
    let (join, above) = match &plan.node {
        Node::Join(_) => (plan, None),
        Node::Map {
            input,
            predicate,
            projection,
        } => {
            let above = Above {
                predicate: predicate.clone(),
                projection: projection.clone(),
                schema: Arc::clone(&plan.schema),
            };
            (input, Some(above))
        }
        _ => return None,
    };
    if !is_joined(join) {
        return None;
    }
    let regions = (2..INPUTS_MAX).rev();
    let mut regions = regions.filter_map(|depth| Region::of(join, depth, catalog));
    let found = regions.find_map(|(mut region, columns)| {
        if !(3..=INPUTS_MAX).contains(&region.inputs.len()) {
            return None;
        }
        let rest = above
            .as_ref()
            .and_then(|above| above.predicate.as_ref())
            .map(|predicate| region.take_conditions(predicate, &columns));
        let paths = region.paths()?;
        Some((region, columns, paths, rest))
    });
    let (region, columns, paths, rest) = found?;
    let inputs = region.inputs.iter();
    let inputs = inputs.map(|input| gathered(input, catalog)).collect();
    let delta = |output| {
        Node::DeltaJoin(DeltaJoin {
            inputs,
            paths,
            output,
        })
    };
    let Some(above) = above else {
        return Some(plan_of(delta(columns), Arc::clone(&plan.schema)));
    };
    above.over(join, rest.flatten(), &columns, delta)
}

impl Above {
    /// The map over the columns that it reads, with what is left of its condition.
    fn over(
        self,
        join: &Plan,
        predicate: Option<Expression>,
        columns: &[usize],
        delta: impl FnOnce(Vec<usize>) -> Node,
    ) -> Option<Arc<Plan>> {
        let expressions = predicate.iter().chain(&self.projection);
        let used = expressions.flat_map(positions);
        let used: BTreeSet<usize> = used.collect();
        let used: Vec<usize> = used.into_iter().collect();
        let fields = used.iter().map(|column| join.schema.field(*column).clone());
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let output = used.iter().map(|column| columns[*column]).collect();
        let place = |column: usize| used.binary_search(&column).unwrap_or_default();
        let moved = |expression: Expression| remap(expression, place).ok();
        let projection = self.projection.into_iter().map(moved);
        let projection = projection.collect::<Option<Vec<_>>>()?;
        let predicate = match predicate {
            None => None,
            Some(predicate) => Some(moved(predicate)?),
        };
        let rows = plan_of(delta(output), schema);
        Some(map(rows, predicate, projection, self.schema))
    }
}

impl Region<'_> {
    /// Takes over the parts of a condition on the joined rows that never fail; the rest stays above
    /// the join, where it fails for the rows of the result alone.
    fn take_conditions(&mut self, predicate: &Expression, columns: &[usize]) -> Option<Expression> {
        let parts = split_conjunction(predicate).into_iter().cloned();
        let (taken, rest): (Vec<_>, Vec<_>) = parts.partition(never_fails);
        self.add_conditions(&taken, columns);
        conjunction_opt(rest)
    }
}

fn positions(expression: &Expression) -> Vec<usize> {
    let columns = collect_columns(expression);
    columns.iter().map(|column| column.index()).collect()
}
