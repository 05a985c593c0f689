//! Grouped aggregation: several streams meet in one arrangement by group, see
//! [`Sums`](super::super::sums::Sums). What is not a sum is computed beside it and meets the group
//! as a number if it fits one, else by a join on the key.

mod additive;
mod extreme;
mod meet;
mod mode;
mod picked;
mod quantile;
mod recomputed;

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{BinaryExpr, IsNotNullExpr};

use super::super::arrange::{Changes, Index};
use super::super::checked_sum::CheckedSum;
use super::super::grouping::Grouping;
use super::super::operator::accumulate;
use super::super::sums::{CountSource, Finish, Sums, Term, TermKind, word_kind};
use super::Renderer;
use crate::sql::plan::{AggregateFunction, AggregateNode, Expression, Node, Plan, column_of};

/// The stream of the rows themselves among those that meet.
const ROWS: usize = 0;

/// An aggregation as it is being put together.
struct Assembly<'a, 'scope> {
    node: &'a AggregateNode,
    input_schema: SchemaRef,
    rows: Changes<'scope>,
    sums: Sums,
    /// The streams that meet, besides the rows: key columns first, then values.
    streams: Vec<Changes<'scope>>,
    /// Which distinct arguments have a stream already.
    distinct: Vec<((usize, Option<usize>), usize)>,
    /// Results that do not fit a number.
    joined: Vec<Joined<'scope>>,
    finishes: Vec<(usize, Finish)>,
    /// The sums that may leave the range of their type, by the positions of terms.
    checked: Vec<CheckedSum>,
}

/// Results that join the group by its key.
struct Joined<'scope> {
    /// Their positions among all results.
    results: Vec<usize>,
    /// Key columns, then the results.
    rows: Changes<'scope>,
}

/// The rows and arguments that a sum is over.
#[derive(Clone, Copy)]
struct Participants {
    stream: usize,
    argument: Option<usize>,
    partner: Option<usize>,
    filter: Option<usize>,
}

/// The results of an aggregation.
pub enum Aggregated<'scope> {
    /// As groups from which all of them can be read off.
    Groups(Box<Index<'scope>>, Grouping),
    /// As rows.
    Rows(Changes<'scope>),
}

impl<'scope> Renderer<'_, 'scope> {
    pub(super) fn aggregate(
        &mut self,
        node: &AggregateNode,
        schema: &SchemaRef,
    ) -> Changes<'scope> {
        self.aggregated(node, schema).into_rows(schema)
    }

    pub(super) fn aggregated(
        &mut self,
        node: &AggregateNode,
        schema: &SchemaRef,
    ) -> Aggregated<'scope> {
        let is_recomputed =
            |function: &AggregateFunction| matches!(function, AggregateFunction::Recomputed(_));
        let mut functions = node.aggregates.iter().map(|aggregate| &aggregate.function);
        if !node.keys.is_empty() && functions.all(is_recomputed) && !node.aggregates.is_empty() {
            // Each group has a row of its own already.
            return Aggregated::Rows(self.recomputed_alone(node, schema));
        }
        let rows = self.render(&node.input);
        let mut assembly = Assembly {
            node,
            input_schema: Arc::clone(&node.input.schema),
            rows,
            sums: Sums::default(),
            streams: Vec::new(),
            distinct: Vec::new(),
            joined: Vec::new(),
            finishes: Vec::new(),
            checked: Vec::new(),
        };
        for (position, aggregate) in node.aggregates.iter().enumerate() {
            match &aggregate.function {
                AggregateFunction::Mode => {
                    let rows = self.mode(node, aggregate);
                    assembly.meet_present(vec![position], rows);
                }
                AggregateFunction::Min
                | AggregateFunction::Max
                | AggregateFunction::Pick(_)
                | AggregateFunction::Quantile(_)
                | AggregateFunction::Recomputed(_) => {}
                _ => {
                    let finish = self.additive(&mut assembly, aggregate);
                    assembly.finishes.push((position, finish));
                }
            }
        }
        for (results, rows) in self.extremes(node) {
            assembly.meet_present(results, rows);
        }
        for (results, rows) in self.picked(node) {
            assembly.meet_each(results, rows);
        }
        for (results, rows) in self.quantiles(node) {
            assembly.meet_present(results, rows);
        }
        if let Some((results, rows, _)) = self.recomputed(node) {
            assembly.meet_each(results, rows);
        }
        self.meet_by_group(assembly, schema)
    }
}

impl<'scope> Aggregated<'scope> {
    /// The results as rows.
    pub fn into_rows(self, schema: &SchemaRef) -> Changes<'scope> {
        match self {
            Aggregated::Groups(index, grouping) => {
                accumulate::aggregate(*index, Arc::clone(schema), Arc::new(grouping))
            }
            Aggregated::Rows(rows) => rows,
        }
    }
}

impl<'scope> Assembly<'_, 'scope> {
    /// Where the number of rows that take part is read.
    fn presence(&mut self, of: Participants) -> CountSource {
        let is_nullable = |column: usize| self.input_schema.field(column).is_nullable();
        let mut arguments = of.argument.iter().chain(&of.partner);
        let counts_all = of.stream == ROWS
            && of.filter.is_none()
            && arguments.all(|column| !is_nullable(*column));
        // The row that makes the global group exist is not to be counted.
        if counts_all && !self.node.keys.is_empty() {
            return CountSource::Group;
        }
        CountSource::Term(self.term(TermKind::Count, of))
    }

    fn term(&mut self, kind: TermKind, of: Participants) -> usize {
        self.sums.term(Term {
            stream: of.stream,
            kind,
            argument: of.argument,
            partner: of.partner,
            filter: of.filter,
        })
    }

    /// Lets results meet the group, each of which may be NULL; `rows` has the keys, then the
    /// results.
    fn meet_each(&mut self, results: Vec<usize>, rows: Changes<'scope>) {
        self.meet(results, rows, |value| value);
    }

    /// The same for results that are never NULL in a row, so that one tells of all whether they
    /// are there.
    fn meet_present(&mut self, results: Vec<usize>, rows: Changes<'scope>) {
        self.meet(results, rows, |_| 0);
    }

    /// `witness` gives for each value the one that is NULL where it is.
    fn meet(
        &mut self,
        results: Vec<usize>,
        rows: Changes<'scope>,
        witness: impl Fn(usize) -> usize,
    ) {
        let node = self.node;
        let data_type = |result: usize| node.aggregates[result].data_type.clone();
        let kinds = results.iter().map(|result| word_kind(&data_type(*result)));
        let Some(kinds) = kinds.collect::<Option<Vec<TermKind>>>() else {
            self.joined.push(Joined { results, rows });
            return;
        };
        self.streams.push(rows);
        let stream = self.streams.len();
        let of = |value: usize| Participants {
            stream,
            argument: Some(node.keys.len() + value),
            partner: None,
            filter: None,
        };
        for (value, (result, kind)) in results.into_iter().zip(kinds).enumerate() {
            let finish = Finish::Carried {
                term: self.term(kind, of(value)),
                present: self.term(TermKind::Count, of(witness(value))),
                data_type: data_type(result),
            };
            self.finishes.push((result, finish));
        }
    }

    /// The key columns and the results that are read off the sums.
    fn grouped_schema(&self, output: &SchemaRef) -> SchemaRef {
        let keys = self.node.keys.len();
        let results = self.finishes.iter().map(|(result, _)| *result);
        result_schema(keys, results, output)
    }
}

/// The key columns and some results, which may be NULL: every group appears at this point,
/// whatever the view's author knows about it.
fn result_schema(
    keys: usize,
    results: impl Iterator<Item = usize>,
    output: &SchemaRef,
) -> SchemaRef {
    let results = results.map(|result| output.field(keys + result).clone().with_nullable(true));
    let keys = (0..keys).map(|column| output.field(column).clone());
    Arc::new(Schema::new(keys.chain(results).collect::<Vec<Field>>()))
}

/// The keys of the rows that take part, then some columns; rows where a column of `present` is
/// NULL are left out.
fn arguments(
    node: &AggregateNode,
    values: &[usize],
    present: Option<usize>,
    filter: Option<usize>,
) -> Arc<Plan> {
    let input = &node.input.schema;
    let columns = node.keys.iter().chain(values);
    let columns: Vec<usize> = columns.copied().collect();
    let keys = node.keys.iter().map(|column| input.field(*column).clone());
    let fields = keys.chain(values.iter().map(|column| {
        let field = input.field(*column).clone();
        let is_nullable = field.is_nullable() && present != Some(*column);
        field.with_nullable(is_nullable)
    }));
    let nullable = present.filter(|column| input.field(*column).is_nullable());
    let not_null = nullable
        .map(|column| -> Expression { Arc::new(IsNotNullExpr::new(column_of(input, column))) });
    let filter = filter.map(|filter| column_of(input, filter));
    let conditions = not_null.into_iter().chain(filter);
    let projection = columns.iter().map(|column| column_of(input, *column));
    Arc::new(Plan {
        node: Node::Map {
            input: Arc::clone(&node.input),
            predicate: conditions
                .reduce(|left, right| Arc::new(BinaryExpr::new(left, Operator::And, right))),
            projection: projection.collect(),
        },
        schema: Arc::new(Schema::new(fields.collect::<Vec<Field>>())),
    })
}
