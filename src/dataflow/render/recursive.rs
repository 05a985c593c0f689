//! Recursion, unrolled: each level is a dataflow of its own over the level before.
//!
//! So every level is maintained like any other collection: a change costs what it changes at each
//! level, and what is deleted leaves all levels that came of it. Levels behind the last that has
//! rows hold nothing. Indexes of what the step reads besides the level are shared by all levels.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use timely::dataflow::operators::{Concat, Concatenate};

use super::super::arrange::{Changes, Layout, arrange, key_by};
use super::super::chunk::SumLane;
use super::super::lane::Lane;
use super::super::operator::accumulate::multiplicity;
use super::super::operator::map::error_schema;
use super::Renderer;
use super::failure::Failure;
use crate::sql::plan::recursive::{Recursive, reads_level};

impl<'scope> Renderer<'_, 'scope> {
    pub(super) fn recursive(&mut self, node: &Recursive, schema: &SchemaRef) -> Changes<'scope> {
        let base = self.render(&node.base);
        let base = self.relabel(base, schema);
        let mut level = match node.distinct {
            true => self.distinct(base, schema),
            false => base,
        };
        let mut levels = vec![level.clone()];
        // Grows level by level: if each level gathered those before it, the edges of the dataflow
        // would grow with the square of the levels.
        let mut seen = level.clone();
        let outer = self.levels.remove(&node.name);
        for _ in 1..=node.levels {
            self.levels.insert(Arc::clone(&node.name), level);
            let next = self.render(&node.step);
            let next = self.relabel(next, schema);
            level = match node.distinct {
                true => {
                    let unseen = self.unseen(next, seen.clone(), schema);
                    seen = seen.concat(unseen.clone());
                    unseen
                }
                false => next,
            };
            levels.push(level.clone());
            self.forget_level(&node.name);
        }
        self.levels.remove(&node.name);
        self.levels
            .extend(outer.map(|level| (Arc::clone(&node.name), level)));
        let message = format!(
            "the recursion of \"{}\" goes beyond {} levels",
            node.name, node.levels
        );
        let failure = Arc::new(Failure::new(message));
        let overflow = levels.pop().unwrap_or(level);
        // Every row fails, so that nothing but errors comes of them.
        self.map(overflow, None, vec![failure], &error_schema());
        self.scope.concatenate(levels)
    }

    /// One copy of each row that is not among those seen.
    fn unseen(
        &mut self,
        rows: Changes<'scope>,
        seen: Changes<'scope>,
        schema: &SchemaRef,
    ) -> Changes<'scope> {
        let layout = || Layout {
            key: (0..schema.fields().len()).collect(),
            ..Layout::default()
        };
        let seen = key_by(seen, layout(), true, |updates| {
            vec![SumLane::Narrow(Lane::Constant(0, updates.len()))]
        });
        let rows = key_by(rows, layout(), false, |updates| {
            vec![SumLane::Narrow(updates.counts.clone())]
        });
        let index = arrange(seen.concat(rows), "Seen");
        multiplicity(index, "Unseen", Arc::clone(schema), |seen, copies| {
            i64::from(seen == 0 && copies > 0)
        })
    }

    /// Forgets what has been rendered over a level, so that it is rendered anew over the next.
    fn forget_level(&mut self, name: &str) {
        self.rendered.retain(|plan, _| !reads_level(plan, name));
        self.indexes
            .retain(|index, _| !reads_level(&index.plan, name));
        self.ordered
            .retain(|index, _| !reads_level(&index.plan, name));
    }
}
