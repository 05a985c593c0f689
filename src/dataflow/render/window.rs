//! Window functions.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};

use super::super::arrange::{Changes, Layout, arrange, key_by};
use super::super::evaluate;
use super::super::operator::as_of::{self, AsOf};
use super::super::operator::map::{self, Map, error_schema};
use super::super::operator::near::{Near, Sessions};
use super::super::operator::recompute::{Extent, Recompute, Shape, error_field, recompute};
use super::super::operator::resume::Resume;
use super::super::tally::Term;
use super::Renderer;
use crate::sql::plan::function::WindowNode;
use crate::sql::plan::reach::Reach;
use crate::sql::plan::{Expression, all_columns, column_of};
use datafusion::physical_expr::expressions::{IsNotNullExpr, IsNullExpr};

impl<'scope> Renderer<'_, 'scope> {
    pub(super) fn window(&mut self, window: &WindowNode, schema: &SchemaRef) -> Changes<'scope> {
        let rows = self.render(&window.input);
        let columns = window.input.schema.fields().len();
        let reach = window.reach();
        let layout = Layout {
            key: window.partition.clone(),
            values: (0..columns)
                .filter(|column| !window.partition.contains(column))
                .collect(),
            order: match reach {
                Some(Reach::Newest(sides)) => as_of::order(window, sides),
                _ => window.order.clone(),
            },
            ..Layout::default()
        };
        let positions = (0..columns).filter_map(|column| layout.position(column));
        let positions: Vec<usize> = positions.collect();
        let extent = extent(window, &layout, &positions);
        let index = arrange(key_by(rows, layout, true, |_| Vec::new()), "Partitions");
        let own = window.input.schema.fields().iter();
        let results = schema.fields()[columns..].iter();
        let results = results.map(|field| field.as_ref().clone().with_nullable(true));
        let fields = own.map(|field| field.as_ref().clone()).chain(results);
        let fields: Vec<Field> = fields.chain([error_field()]).collect();
        let rows = recompute(
            index,
            Recompute {
                name: "Window",
                shape: Shape::Rows,
                extent,
                limit: window.limit,
                rows: Arc::clone(&window.input.schema),
                positions,
                evaluate: match reach {
                    Some(Reach::Newest(sides)) => as_of::evaluate(window, sides),
                    _ => evaluate::windows(window),
                },
                output: Arc::new(Schema::new(fields.clone())),
            },
        );
        let (rows, computed) = self.without_errors(rows, &Schema::new(fields));
        self.map(rows, None, all_columns(&computed), schema)
    }

    /// The rows whose last column, an error, is NULL, without that column; the others join the
    /// errors of the view.
    pub(super) fn without_errors(
        &mut self,
        rows: Changes<'scope>,
        schema: &Schema,
    ) -> (Changes<'scope>, SchemaRef) {
        let schema = Arc::new(schema.clone());
        let last = schema.fields().len() - 1;
        let error = column_of(&schema, last);
        let has_error: Expression = Arc::new(IsNotNullExpr::new(Arc::clone(&error)));
        let (errors, _) = map::map(
            rows.clone(),
            Map {
                predicate: Some(has_error),
                projection: vec![Arc::clone(&error)],
                schema: error_schema(),
            },
        );
        self.errors.push(errors);
        let computed = Arc::new(Schema::new(schema.fields()[..last].to_vec()));
        let no_error: Expression = Arc::new(IsNullExpr::new(error));
        let rows = self.map(rows, Some(no_error), all_columns(&computed), &computed);
        (rows, computed)
    }
}

/// Which rows a change gives other results; `positions` are those of the input's columns in the
/// arrangement.
fn extent(window: &WindowNode, layout: &Layout, positions: &[usize]) -> Extent {
    if let Some(reach) = window.reach() {
        return Extent::Near(near(window, reach, layout));
    }
    let Some(running) = window.running() else {
        return Extent::Group;
    };
    let carries = running.carries.iter();
    let terms = carries.filter_map(|carry| {
        let rows = carry.participants()?;
        Some(Term {
            argument: rows.argument.map(|column| positions[column]),
            filter: rows.filter.map(|column| positions[column]),
            has_ends: carry.is_end(),
        })
    });
    Extent::Behind(Resume {
        terms: terms.collect(),
        running,
    })
}

/// Which rows a change concerns, in terms of the arrangement.
fn near(window: &WindowNode, reach: Reach, layout: &Layout) -> Near {
    match reach {
        Reach::Nearby(nearby) => Near::Rows(nearby),
        Reach::Session(gap) => Near::Sessions(Sessions {
            time: layout.position(gap.time).unwrap_or_default(),
            gap: gap.microseconds,
        }),
        Reach::Newest(sides) => Near::AsOf(AsOf::new(window, sides)),
    }
}
