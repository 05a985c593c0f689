//! From plan to operators.
//!
//! Rendering makes no choices: each node has one form. Equal sub-plans of a view are rendered
//! once. Besides its rows every plan has errors, rows that made an expression fail; they are
//! collected from all operators into one stream of texts.

pub mod account;
mod aggregate;
mod delta_join;
mod failure;
mod join;
pub mod output;
mod recursive;
mod temporal;
mod top;
mod utc_date;
mod window;

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::physical_expr::expressions::{Column, IsNotNullExpr, IsNullExpr, Literal};
use datafusion::scalar::ScalarValue;
use timely::container::NoopBuilder;
use timely::dataflow::operators::Concatenate;
use timely::dataflow::operators::generic::source;
use timely::dataflow::{InputHandle, Scope};

pub use self::temporal::CLOCK;
use self::utc_date::with_utc_dates;
use super::arrange::{Changes, Index, Layout, arrange, key_by};
use super::given_up::GivenUp;
use super::lane::Lane;
use super::meter::Lines;
use super::operator::accumulate;
use super::operator::map::{self, Map};
use super::operator::temporal::Due;
use super::operator::unnest::Unnest;
use super::updates::{Updates, batch};
use crate::sql::plan::unnest::UnnestNode;
use crate::sql::plan::{Expression, Node, Plan, all_columns};

/// The entry of a base table into a dataflow.
pub type TableInput = InputHandle<u64, NoopBuilder<Updates>>;

/// An arrangement of a sub-plan that several views may share.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IndexName {
    /// The sub-plan that gives the rows.
    pub plan: Arc<Plan>,
    /// The key columns.
    pub key: Vec<usize>,
    /// Whether it holds the keys alone.
    pub keys_only: bool,
}

/// What a dataflow is rendered against.
pub struct Renderer<'r, 'scope> {
    pub scope: Scope<'scope, u64>,
    /// Position of this worker; fixed rows enter at the first one.
    pub worker: usize,
    /// The timestamp (ms) at which the tables' rows enter, the first that counts.
    since_ms: u64,
    /// The inputs made so far, by table.
    pub inputs: HashMap<Arc<str>, TableInput>,
    /// Arrangements that stand ready, by name.
    pub shared: &'r HashMap<IndexName, Index<'scope>>,
    /// The rows of other views and of their errors.
    pub views: HashMap<Arc<str>, (Changes<'scope>, Changes<'scope>)>,
    tables: HashMap<Arc<str>, Changes<'scope>>,
    rendered: HashMap<Arc<Plan>, Changes<'scope>>,
    indexes: HashMap<IndexName, Index<'scope>>,
    /// Arrangements for minima, maxima and quantiles, ordered by the argument.
    ordered: HashMap<IndexName, Index<'scope>>,
    errors: Vec<Changes<'scope>>,
    /// The level of each recursion that is being rendered.
    levels: HashMap<Arc<str>, Changes<'scope>>,
    /// When the rows that change with time do so next.
    pub dues: Vec<Due>,
    /// Which operators work for which line of the plan.
    pub lines: Lines,
    /// Ends the joins.
    pub given_up: GivenUp,
}

impl<'r, 'scope> Renderer<'r, 'scope> {
    /// A renderer into `scope`.
    pub fn new(
        scope: Scope<'scope, u64>,
        worker: usize,
        since_ms: u64,
        shared: &'r HashMap<IndexName, Index<'scope>>,
        views: HashMap<Arc<str>, (Changes<'scope>, Changes<'scope>)>,
    ) -> Self {
        let errors = views.values().map(|(_, errors)| errors.clone()).collect();
        Renderer {
            scope,
            worker,
            since_ms,
            inputs: HashMap::new(),
            shared,
            views,
            tables: HashMap::new(),
            rendered: HashMap::new(),
            indexes: HashMap::new(),
            ordered: HashMap::new(),
            errors,
            levels: HashMap::new(),
            dues: Vec::new(),
            lines: Vec::new(),
            given_up: GivenUp::default(),
        }
    }

    /// All errors of what has been rendered.
    pub fn errors(&mut self) -> Changes<'scope> {
        let errors = std::mem::take(&mut self.errors);
        self.scope.concatenate(errors)
    }

    /// The rows of a plan.
    pub fn render(&mut self, plan: &Arc<Plan>) -> Changes<'scope> {
        if let Some(rows) = self.rendered.get(plan) {
            return rows.clone();
        }
        let first = self.scope.worker().peek_identifier();
        let rows = match &plan.node {
            Node::Table { name } => self.table(name),
            Node::View { name } => self.view(name),
            Node::Constant { rows } => self.constant(&plan.schema, rows),
            Node::Map {
                input,
                predicate,
                projection,
            } => {
                let rows = self.render(input);
                let of = |expression: &Expression| with_utc_dates(expression, &input.schema);
                let predicate = predicate.as_ref().map(of);
                let projection = projection.iter().map(of).collect();
                self.map(rows, predicate, projection, &plan.schema)
            }
            Node::Union { inputs } => {
                let inputs: Vec<_> = inputs
                    .iter()
                    .map(|input| {
                        let rows = self.render(input);
                        self.map(rows, None, all_columns(&plan.schema), &plan.schema)
                    })
                    .collect();
                self.scope.concatenate(inputs)
            }
            Node::Join(join) => self.join(join, &plan.schema),
            Node::DeltaJoin(join) => self.delta_join(join, &plan.schema),
            Node::Aggregate(aggregate) => self.aggregate(aggregate, &plan.schema),
            Node::Distinct { input } => {
                let input = self.render(input);
                self.distinct(input, &plan.schema)
            }
            Node::TopK(top) => self.top(top, &plan.schema),
            Node::Window(window) => self.window(window, &plan.schema),
            Node::Temporal(temporal) => self.temporal(temporal, &plan.schema),
            Node::Recursive(recursive) => self.recursive(recursive, &plan.schema),
            Node::Level { name } => self.level(name),
            Node::Unnest(unnest) => self.unnest(unnest, &plan.schema),
        };
        self.note_line(plan, first);
        self.rendered.insert(Arc::clone(plan), rows.clone());
        rows
    }

    /// Takes note that the operators from a number on work for a line of the plan.
    fn note_line(&mut self, plan: &Plan, first: usize) {
        let behind = self.scope.worker().peek_identifier();
        self.lines.push((first..behind, Arc::from(plan.line())));
    }

    fn table(&mut self, name: &Arc<str>) -> Changes<'scope> {
        if let Some(rows) = self.tables.get(name) {
            return rows.clone();
        }
        let mut input: TableInput = InputHandle::new_with_builder();
        let rows = input.to_stream(self.scope);
        self.inputs.insert(Arc::clone(name), input);
        self.tables.insert(Arc::clone(name), rows.clone());
        rows
    }

    fn view(&mut self, name: &Arc<str>) -> Changes<'scope> {
        let (rows, _) = self
            .views
            .get(name)
            .expect("the engine creates views after the views they read");
        rows.clone()
    }

    fn level(&mut self, name: &Arc<str>) -> Changes<'scope> {
        let level = self.levels.get(name);
        level.expect("a level is read within its recursion").clone()
    }

    fn unnest(&mut self, node: &UnnestNode, schema: &SchemaRef) -> Changes<'scope> {
        let rows = self.render(&node.input);
        let unnest = Unnest::new(node, Arc::clone(schema));
        let (rows, errors) = map::by_rows(rows, "Unnest", move |updates| unnest.apply(updates));
        self.errors.push(errors);
        rows
    }

    /// Rows that are there from the beginning of time.
    fn constant(&mut self, schema: &SchemaRef, rows: &[Vec<ScalarValue>]) -> Changes<'scope> {
        let mut updates = (self.worker == 0 && !rows.is_empty()).then(|| {
            let columns = (0..schema.fields().len()).map(|column| {
                let values = rows.iter().map(|row| row[column].clone());
                ScalarValue::iter_to_array(values)
                    .expect("the values of a constant have the types of its columns")
            });
            Updates {
                rows: batch(Arc::clone(schema), columns.collect(), rows.len()),
                times: Lane::Constant(0, rows.len()),
                counts: Lane::Constant(1, rows.len()),
            }
        });
        source::<_, NoopBuilder<Updates>, _, _>(self.scope, "Constant", |capability, _| {
            let mut capability = Some(capability);
            move |output| {
                // The capability is given up at the first call, which ends the stream.
                if let (Some(capability), Some(mut updates)) = (capability.take(), updates.take()) {
                    output
                        .session_with_builder(&capability)
                        .give_container(&mut updates);
                }
            }
        })
    }

    /// Filter and projection; the rows that fail are kept as errors.
    fn map(
        &mut self,
        rows: Changes<'scope>,
        predicate: Option<Expression>,
        projection: Vec<Expression>,
        schema: &SchemaRef,
    ) -> Changes<'scope> {
        let can_fail = predicate.iter().chain(&projection).any(can_fail);
        let (rows, errors) = map::map(
            rows,
            Map {
                predicate,
                projection,
                schema: Arc::clone(schema),
            },
        );
        if can_fail {
            self.errors.push(errors);
        }
        rows
    }

    fn distinct(&mut self, rows: Changes<'scope>, schema: &SchemaRef) -> Changes<'scope> {
        let index = distinct_index(rows, schema);
        accumulate::multiplicity(index, "Distinct", Arc::clone(schema), |count, _| {
            i64::from(count > 0)
        })
    }
}

/// Rows arranged by all their columns.
fn distinct_index<'scope>(rows: Changes<'scope>, schema: &SchemaRef) -> Index<'scope> {
    let layout = Layout {
        key: (0..schema.fields().len()).collect(),
        ..Layout::default()
    };
    arrange(key_by(rows, layout, true, |_| Vec::new()), "Distinct")
}

/// Whether evaluating an expression may fail for some row.
fn can_fail(expression: &Expression) -> bool {
    let is_safe = expression.downcast_ref::<Column>().is_some()
        || expression.downcast_ref::<Literal>().is_some()
        || expression.downcast_ref::<IsNullExpr>().is_some()
        || expression.downcast_ref::<IsNotNullExpr>().is_some();
    !is_safe || expression.children().into_iter().any(can_fail)
}

/// The arrangements of a plan that other views may share: sides of joins that depend on one table
/// or view row by row and never fail.
pub fn shareable_indexes(plan: &Plan) -> Vec<(IndexName, Arc<Plan>)> {
    let mut found = Vec::new();
    collect_indexes(plan, &mut found);
    found
}

fn collect_indexes(plan: &Plan, found: &mut Vec<(IndexName, Arc<Plan>)>) {
    match &plan.node {
        Node::Table { .. } | Node::View { .. } | Node::Level { .. } | Node::Constant { .. } => {}
        Node::Map { input, .. } | Node::Distinct { input } => collect_indexes(input, found),
        Node::Union { inputs } => {
            for input in inputs {
                collect_indexes(input, found);
            }
        }
        Node::Aggregate(aggregate) => collect_indexes(&aggregate.input, found),
        Node::TopK(top) => collect_indexes(&top.input, found),
        Node::Window(window) => collect_indexes(&window.input, found),
        Node::Temporal(temporal) => collect_indexes(&temporal.input, found),
        Node::Unnest(unnest) => collect_indexes(&unnest.input, found),
        Node::Recursive(recursive) => {
            collect_indexes(&recursive.base, found);
            collect_indexes(&recursive.step, found);
        }
        Node::Join(join) => {
            add_indexes(join::indexes(join), found);
            collect_indexes(&join.left, found);
            collect_indexes(&join.right, found);
        }
        Node::DeltaJoin(join) => {
            add_indexes(delta_join::indexes(join), found);
            for input in &join.inputs {
                collect_indexes(input, found);
            }
        }
    }
}

fn add_indexes(read: Vec<(IndexName, Arc<Plan>)>, found: &mut Vec<(IndexName, Arc<Plan>)>) {
    for (name, side) in read {
        let is_known = found.iter().any(|(other, _)| *other == name);
        if is_stateless(&side) && !is_known {
            found.push((name, side));
        }
    }
}

fn is_stateless(plan: &Plan) -> bool {
    match &plan.node {
        Node::Table { .. } | Node::View { .. } => true,
        // The errors of a shared arrangement would have no view to go to.
        Node::Map {
            input,
            predicate,
            projection,
        } => is_stateless(input) && !predicate.iter().chain(projection).any(can_fail),
        _ => false,
    }
}

/// Arranges rows by name: all columns, or the key alone.
pub fn build_index<'scope>(
    rows: Changes<'scope>,
    name: &IndexName,
    columns: usize,
) -> Index<'scope> {
    let layout = index_layout(name, columns);
    arrange(key_by(rows, layout, true, |_| Vec::new()), "Index")
}

/// Where the columns of a named index stand.
pub fn index_layout(name: &IndexName, columns: usize) -> Layout {
    let values = match name.keys_only {
        true => Vec::new(),
        false => (0..columns)
            .filter(|column| !name.key.contains(column))
            .collect(),
    };
    Layout {
        key: name.key.clone(),
        values,
        ..Layout::default()
    }
}
