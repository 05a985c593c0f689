//! Where the parts of an aggregation meet by group.

use std::rc::Rc;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::physical_expr::expressions::Literal;
use datafusion::scalar::ScalarValue;
use timely::dataflow::operators::{Concat, Concatenate};

use super::super::super::arrange::{Changes, Index, Layout, arrange, key_by};
use super::super::super::grouping::{GroupColumn, Grouping};
use super::super::super::operator::join::{Side, join};
use super::super::super::operator::{accumulate, negate};
use super::super::super::sums::{Finish, Sums};
use super::super::Renderer;
use super::{Aggregated, Assembly, Joined, ROWS};
use crate::sql::plan::{Expression, all_columns, column_of};

impl<'scope> Renderer<'_, 'scope> {
    /// The results of an aggregation that has been put together.
    pub(super) fn meet_by_group(
        &mut self,
        mut assembly: Assembly<'_, 'scope>,
        output: &SchemaRef,
    ) -> Aggregated<'scope> {
        let keys = assembly.node.keys.len();
        let all_results = assembly.node.aggregates.len();
        let mut schema = assembly.grouped_schema(output);
        let joined = std::mem::take(&mut assembly.joined);
        let finished = assembly.finishes.iter().map(|(result, _)| *result);
        let mut results: Vec<usize> = finished.collect();
        let in_order = |results: &[usize]| -> Vec<usize> {
            let place = |result: usize| results.iter().position(|other| *other == result);
            let places = (0..all_results).filter_map(place);
            (0..keys).chain(places.map(|place| keys + place)).collect()
        };
        let (index, grouping) = self.grouped(assembly, &schema);
        if joined.is_empty() {
            return Aggregated::Groups(Box::new(index), grouping.choose(&in_order(&results)));
        }
        let mut rows = accumulate::aggregate(index, Arc::clone(&schema), Arc::new(grouping));
        for Joined {
            results: added,
            rows: values,
        } in joined
        {
            let fields = added
                .iter()
                .map(|result| output.field(keys + result).clone().with_nullable(true));
            (rows, schema) = self.left_join_on_keys(rows, &schema, values, keys, fields.collect());
            results.extend(added);
        }
        let columns = in_order(&results).into_iter();
        let projection = columns.map(|column| column_of(&schema, column)).collect();
        Aggregated::Rows(self.map(rows, None, projection, output))
    }

    /// Brings the streams together by group; results are in the order in which they have been put
    /// together. The schema begins with the columns of the key.
    fn grouped(
        &mut self,
        assembly: Assembly<'_, 'scope>,
        schema: &SchemaRef,
    ) -> (Index<'scope>, Grouping) {
        let keys = assembly.node.keys.len();
        let sums = Rc::new(assembly.sums);
        let layout = |key: Vec<usize>| Layout {
            key,
            ..Layout::default()
        };
        let contribute = |stream: usize| {
            let sums = Rc::clone(&sums);
            move |updates: &_| sums.contributions(stream, updates)
        };
        let rows = key_by(
            assembly.rows,
            layout(assembly.node.keys.clone()),
            true,
            contribute(ROWS),
        );
        let mut chunks = vec![rows];
        for (position, stream) in assembly.streams.into_iter().enumerate() {
            let contribution = contribute(position + 1);
            chunks.push(key_by(
                stream,
                layout((0..keys).collect()),
                false,
                contribution,
            ));
        }
        if keys == 0 {
            // The global group exists over no rows: one row that adds to no sum makes it so.
            let no_columns = Arc::new(Schema::empty());
            let unit = self.constant(&no_columns, &[Vec::<ScalarValue>::new()]);
            let sums = Rc::clone(&sums);
            chunks.push(key_by(unit, layout(Vec::new()), true, move |updates| {
                sums.contributions(usize::MAX, updates)
            }));
        }
        let index = arrange(self.scope.concatenate(chunks), "Groups");
        if !assembly.checked.is_empty() {
            let key = schema.fields()[..keys].iter();
            let key = key.map(|field| field.as_ref().clone().with_nullable(true));
            let key = Arc::new(Schema::new(key.collect::<Vec<Field>>()));
            let checked = assembly.checked.into_iter();
            let checked = checked.map(|checked| checked.moved(|term| sums.first_lane(term)));
            let errors = accumulate::too_large(index.clone(), key, checked.collect());
            self.errors.push(errors);
        }
        let finishes: Vec<Finish> = assembly.finishes.into_iter().map(|(_, how)| how).collect();
        let results = (0..finishes.len()).map(GroupColumn::Result);
        let columns = (0..keys).map(GroupColumn::Key).chain(results);
        let grouping = Grouping {
            sums: Sums::clone(&sums),
            columns: columns.collect(),
            finishes,
        };
        (index, grouping)
    }

    /// Appends the columns behind the key of the row with the same key, NULL where there is none;
    /// NULL keys match.
    fn left_join_on_keys(
        &mut self,
        rows: Changes<'scope>,
        schema: &SchemaRef,
        other: Changes<'scope>,
        keys: usize,
        added: Vec<Field>,
    ) -> (Changes<'scope>, SchemaRef) {
        let columns = schema.fields().len();
        let by_key = |stream: Changes<'scope>, columns: usize| -> Index<'scope> {
            let layout = Layout {
                key: (0..keys).collect(),
                values: (keys..columns).collect(),
                ..Layout::default()
            };
            arrange(key_by(stream, layout, true, |_| Vec::new()), "Results")
        };
        let left = by_key(rows.clone(), columns);
        let right = by_key(other, keys + added.len());
        let own: Vec<(Side, usize)> = (0..columns).map(|column| (Side::Left, column)).collect();
        let values = (keys..keys + added.len()).map(|column| (Side::Right, column));
        let with_values = own.iter().copied().chain(values).collect();
        let mut projection = all_columns(schema);
        projection.extend(added.iter().map(|field| -> Expression {
            let null = ScalarValue::try_from(field.data_type());
            Arc::new(Literal::new(null.unwrap_or(ScalarValue::Null)))
        }));
        let fields = schema.fields().iter().cloned();
        let fields = fields.chain(added.into_iter().map(Arc::new));
        let wider = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let matched = join(left.clone(), right.clone(), Arc::clone(&wider), with_values);
        let present = join(left, right, Arc::clone(schema), own);
        let alone = rows.concat(negate(present));
        let alone = self.map(alone, None, projection, &wider);
        (matched.concat(alone), wider)
    }
}
