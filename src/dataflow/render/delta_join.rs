//! Joins of several inputs, without intermediate rows: the sum of one path for each input.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::utils::collect_columns;
use timely::dataflow::operators::Concatenate;

use super::super::arrange::{Changes, Layout, key_by};
use super::super::operator::half_join::{Sees, half_join, since};
use super::super::operator::join::{Shape, Side};
use super::join::{Input, without_null_keys};
use super::{IndexName, Renderer, index_layout};
use crate::sql::plan::delta_join::{DeltaJoin, Lookup, Path};
use crate::sql::plan::{Expression, Plan, all_columns, column_of};

/// The indexes a join looks up, with the sub-plans they arrange.
pub fn indexes(join: &DeltaJoin) -> Vec<(IndexName, Arc<Plan>)> {
    let arrangements = join.arrangements().into_iter();
    let indexes = arrangements.map(|(input, key)| side(join, input, key).index(false));
    indexes.collect()
}

fn side(join: &DeltaJoin, input: usize, key: Vec<usize>) -> Input {
    Input {
        plan: without_null_keys(&join.inputs[input], &key),
        key,
    }
}

/// Rows found so far, with the numbers of their columns.
struct Found<'scope> {
    rows: Changes<'scope>,
    columns: Vec<usize>,
}

impl<'scope> Renderer<'_, 'scope> {
    pub(super) fn delta_join(&mut self, join: &DeltaJoin, schema: &SchemaRef) -> Changes<'scope> {
        let paths = join.paths.iter().enumerate();
        let paths = paths.map(|(source, path)| self.path(join, source, path, schema));
        let paths: Vec<_> = paths.collect();
        self.scope.concatenate(paths)
    }

    fn path(
        &mut self,
        join: &DeltaJoin,
        source: usize,
        path: &Path,
        schema: &SchemaRef,
    ) -> Changes<'scope> {
        let mut found = self.changed(join, source, path);
        for (number, lookup) in path.lookups.iter().enumerate() {
            let rest = &path.lookups[number + 1..];
            let is_last = rest.is_empty();
            let kept = match is_last {
                true => join.output.clone(),
                false => wanted_by(join, rest, &found.columns, lookup.input),
            };
            let kept_schema = match is_last {
                true => Arc::clone(schema),
                false => schema_of(join, &kept),
            };
            let sees = match lookup.input < source {
                true => Sees::Before,
                false => Sees::Until,
            };
            found = self.look_up(join, lookup, sees, found, (kept, kept_schema));
        }
        found.rows
    }

    /// The changed rows of an input that may have partners.
    fn changed(&mut self, join: &DeltaJoin, source: usize, path: &Path) -> Found<'scope> {
        let offset = join.offset(source);
        let input = &join.inputs[source];
        let own = offset..offset + input.schema.fields().len();
        let known = path.lookups.iter().flat_map(|lookup| &lookup.on);
        let known = known.filter(|(_, known)| own.contains(known));
        let keys: BTreeSet<usize> = known.map(|(_, known)| known - offset).collect();
        let keys: Vec<usize> = keys.into_iter().collect();
        let rows = self.render(&without_null_keys(input, &keys));
        let rows = since(rows, self.since_ms, source == 0);
        let columns: Vec<usize> = own.collect();
        let rows = match &path.condition {
            None => rows,
            Some(condition) => {
                let condition = moved(condition, &columns);
                let projection = all_columns(&input.schema);
                self.map(rows, Some(condition), projection, &input.schema)
            }
        };
        Found { rows, columns }
    }

    /// The rows found with their partners in one more input, as the columns `kept`.
    fn look_up(
        &mut self,
        join: &DeltaJoin,
        lookup: &Lookup,
        sees: Sees,
        found: Found<'scope>,
        (kept, schema): (Vec<usize>, SchemaRef),
    ) -> Found<'scope> {
        let Some(condition) = &lookup.condition else {
            let rows = self.pair(join, lookup, sees, &found, (&kept, &schema));
            return Found {
                rows,
                columns: kept,
            };
        };
        let mut judged = kept.clone();
        judged.extend(columns_of(condition));
        judged.sort_unstable();
        judged.dedup();
        let judged_schema = schema_of(join, &judged);
        let rows = self.pair(join, lookup, sees, &found, (&judged, &judged_schema));
        let places = kept.iter().map(|column| position(&judged, *column));
        let projection = places.map(|place| column_of(&judged_schema, place));
        let projection = projection.collect();
        let condition = moved(condition, &judged);
        Found {
            rows: self.map(rows, Some(condition), projection, &schema),
            columns: kept,
        }
    }

    fn pair(
        &mut self,
        join: &DeltaJoin,
        lookup: &Lookup,
        sees: Sees,
        found: &Found<'scope>,
        (columns, schema): (&[usize], &SchemaRef),
    ) -> Changes<'scope> {
        let side = side(join, lookup.input, lookup.key());
        let (name, _) = side.index(false);
        let arranged = index_layout(&name, side.columns());
        let sorted = sorted_by(lookup, &found.columns, columns);
        let offset = join.offset(lookup.input);
        let output = columns.iter().filter_map(|column| {
            let left = || sorted.position(position(&found.columns, *column));
            match column
                .checked_sub(offset)
                .filter(|own| *own < side.columns())
            {
                Some(own) => Some((Side::Right, arranged.position(own)?)),
                None => Some((Side::Left, left()?)),
            }
        });
        let shape = Shape {
            schema: Arc::clone(schema),
            output: output.collect(),
        };
        let changes = key_by(found.rows.clone(), sorted, true, |_| Vec::new());
        let index = self.index(&side, false);
        half_join(changes, index, sees, shape, self.given_up.clone())
    }
}

/// How rows are sorted to look up their partners: the columns that are wanted by the values of the
/// key.
fn sorted_by(lookup: &Lookup, found: &[usize], wanted: &[usize]) -> Layout {
    let known = lookup.on.iter().map(|(_, known)| position(found, *known));
    let key: Vec<usize> = known.collect();
    let values = (0..found.len())
        .filter(|place| wanted.contains(&found[*place]) && !key.contains(place))
        .collect();
    Layout {
        key,
        values,
        ..Layout::default()
    }
}

/// Of the columns known when an input has been looked up, those that are needed behind it.
fn wanted_by(join: &DeltaJoin, rest: &[Lookup], found: &[usize], input: usize) -> Vec<usize> {
    let mut wanted: BTreeSet<usize> = join.output.iter().copied().collect();
    for lookup in rest {
        wanted.extend(lookup.on.iter().map(|(_, known)| *known));
        wanted.extend(lookup.condition.iter().flat_map(columns_of));
    }
    let offset = join.offset(input);
    let own = offset..offset + join.inputs[input].schema.fields().len();
    wanted.retain(|column| own.contains(column) || found.contains(column));
    wanted.into_iter().collect()
}

fn schema_of(join: &DeltaJoin, columns: &[usize]) -> SchemaRef {
    let fields = columns.iter().map(|column| Arc::clone(join.field(*column)));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn columns_of(expression: &Expression) -> Vec<usize> {
    let columns = collect_columns(expression);
    columns.iter().map(Column::index).collect()
}

/// Where a column stands; a plan names none that is not known.
fn position(columns: &[usize], column: usize) -> usize {
    let place = columns.iter().position(|other| *other == column);
    place.unwrap_or(columns.len())
}

/// An expression over these columns alone.
fn moved(expression: &Expression, columns: &[usize]) -> Expression {
    let moved = Arc::clone(expression).transform(|node| {
        Ok(match node.downcast_ref::<Column>() {
            None => Transformed::no(node),
            Some(column) => {
                let place = position(columns, column.index());
                Transformed::yes(Arc::new(Column::new(column.name(), place)) as Expression)
            }
        })
    });
    moved.data().unwrap_or_else(|_| Arc::clone(expression))
}
