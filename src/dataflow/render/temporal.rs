//! Maps whose rows change as time passes.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;

use super::super::arrange::Changes;
use super::super::operator::map::Map;
use super::super::operator::temporal::{Temporal, temporal};
use super::Renderer;
use crate::sql::plan::temporal::TemporalNode;

/// The input that carries no rows and whose frontier is the time. No table has an empty name.
pub const CLOCK: &str = "";

impl<'scope> Renderer<'_, 'scope> {
    pub(super) fn temporal(&mut self, node: &TemporalNode, schema: &SchemaRef) -> Changes<'scope> {
        let rows = self.render(&node.input);
        let clock = self.table(&Arc::from(CLOCK));
        let map = Map {
            predicate: node.predicate.clone(),
            projection: node.projection.clone(),
            schema: Arc::clone(schema),
        };
        let conditions = Temporal::new(&node.input.schema, &node.conditions, map)
            .expect("putting a column in the place of now() changes no types");
        let due = Rc::new(Cell::new(u64::MAX));
        self.dues.push(Rc::clone(&due));
        let (rows, errors) = temporal(rows, clock, conditions, due);
        self.errors.push(errors);
        rows
    }
}
