//! The outermost part of a plan, as it is published.
//!
//! Where a view is an aggregation with nothing above it but a choice of columns, its rows are not
//! arranged once more: the arrangement of the groups is published, and rows are read off it.

use std::sync::Arc;

use super::super::arrange::{Changes, Index};
use super::super::grouping::Grouping;
use super::aggregate::Aggregated;
use super::{Renderer, distinct_index};
use crate::sql::plan::{AggregateNode, Node, Plan, as_column};

/// What a view is published from.
pub enum Rendered<'scope> {
    /// Its rows, which are yet to be arranged.
    Rows(Changes<'scope>),
    /// An arrangement of groups.
    Groups(Box<Groups<'scope>>),
}

/// Groups that are the rows of a view.
pub struct Groups<'scope> {
    pub index: Index<'scope>,
    pub grouping: Arc<Grouping>,
    /// The columns of the view that show the key of the groups.
    pub key: Vec<usize>,
}

impl<'scope> Renderer<'_, 'scope> {
    /// The outermost plan of a view, whose rows are unique by the columns `key` if there are any.
    pub fn render_output(&mut self, plan: &Arc<Plan>, key: &[usize]) -> Rendered<'scope> {
        let Some(shown) = shown_columns(plan) else {
            return Rendered::Rows(self.render(plan));
        };
        match &shown.plan.node {
            Node::Distinct { input } if shown.is_whole => {
                let first = self.scope.worker().peek_identifier();
                let rows = self.render(input);
                let columns = plan.schema.fields().len();
                let index = distinct_index(rows, &plan.schema);
                self.note_line(plan, first);
                Rendered::Groups(Box::new(Groups {
                    index,
                    grouping: Arc::new(Grouping::of_keys(columns)),
                    key: (0..columns).collect(),
                }))
            }
            Node::Aggregate(node) if shown.shows_keys(node, key) => {
                self.render_groups(plan, node, &shown, key)
            }
            _ => Rendered::Rows(self.render(plan)),
        }
    }

    fn render_groups(
        &mut self,
        plan: &Arc<Plan>,
        node: &AggregateNode,
        shown: &Shown<'_>,
        key: &[usize],
    ) -> Rendered<'scope> {
        let first = self.scope.worker().peek_identifier();
        let schema = &shown.plan.schema;
        let aggregated = self.aggregated(node, schema);
        self.note_line(shown.plan, first);
        let rows = match aggregated {
            Aggregated::Groups(index, grouping) if grouping.is_read_fast() => {
                return Rendered::Groups(Box::new(Groups {
                    index: *index,
                    grouping: Arc::new(grouping.choose(&shown.columns)),
                    key: key.to_vec(),
                }));
            }
            others => others.into_rows(schema),
        };
        let Node::Map { projection, .. } = &plan.node else {
            return Rendered::Rows(rows);
        };
        let rows = self.map(rows, None, projection.clone(), &plan.schema);
        self.note_line(plan, first);
        Rendered::Rows(rows)
    }
}

/// A plan of which another shows some columns.
struct Shown<'a> {
    plan: &'a Plan,
    columns: Vec<usize>,
    /// Whether all of them are shown as they are.
    is_whole: bool,
}

/// What a plan shows of another, or of itself; `None` if it does more.
fn shown_columns(plan: &Plan) -> Option<Shown<'_>> {
    match &plan.node {
        Node::Map {
            input,
            predicate: None,
            projection,
        } => {
            let columns = projection.iter().map(as_column);
            Some(Shown {
                plan: input,
                columns: columns.collect::<Option<_>>()?,
                is_whole: false,
            })
        }
        Node::Map { .. } => None,
        _ => Some(Shown {
            plan,
            columns: (0..plan.schema.fields().len()).collect(),
            is_whole: true,
        }),
    }
}

impl Shown<'_> {
    /// Whether the given columns show the whole key of the groups, which is not empty, in order.
    fn shows_keys(&self, node: &AggregateNode, key: &[usize]) -> bool {
        let shown = key.iter().map(|column| self.columns[*column]);
        !key.is_empty() && shown.eq(0..node.keys.len())
    }
}
