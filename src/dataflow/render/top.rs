//! Top-k per partition.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;

use super::super::arrange::{Changes, Layout, arrange, key_by};
use super::super::operator::renumber::renumber;
use super::super::operator::select::{Wanted, select};
use super::Renderer;
use crate::sql::plan::TopK;

impl<'scope> Renderer<'_, 'scope> {
    pub(super) fn top(&mut self, top: &TopK, schema: &SchemaRef) -> Changes<'scope> {
        let rows = self.render(&top.input);
        let columns = top.input.schema.fields().len();
        let values = (0..columns).filter(|column| !top.partition.contains(column));
        let layout = Layout::sorted(
            top.partition.clone(),
            values.collect(),
            top.order.clone(),
            &top.input.schema,
        );
        let positions = (0..columns).filter_map(|column| layout.position(column));
        let positions: Vec<usize> = positions.collect();
        let wanted = Wanted {
            offset: top.offset,
            limit: top.limit,
            with_position: top.emit_position,
            columns: layout.telling_columns(),
        };
        let index = arrange(key_by(rows, layout, true, |_| Vec::new()), "TopK");
        if top.numbers_all() {
            return renumber(index, "RowNumber", Arc::clone(schema), positions);
        }
        select(index, "TopK", Arc::clone(schema), positions, wanted)
    }
}
