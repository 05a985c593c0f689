//! Grouped aggregation: several streams meet in one arrangement by group, see
//! [`Sums`](super::super::sums::Sums).

use std::rc::Rc;
use std::sync::Arc;

use arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{BinaryExpr, IsNotNullExpr};
use datafusion::scalar::ScalarValue;
use timely::dataflow::operators::Concatenate;

use super::super::arrange::{Changes, Index, Layout, arrange, key_by};
use super::super::operator::accumulate;
use super::super::operator::join::{Side, join};
use super::super::operator::select::{Wanted, select};
use super::super::sums::{CountSource, Finish, Sums, Term, TermKind, word_kind};
use super::{IndexName, Renderer, all_columns, column_of};
use crate::sql::plan::{
    Aggregate, AggregateFunction, AggregateNode, Expression, Node, Plan, SortKey,
};

/// The stream of the rows themselves among those that meet.
const ROWS: usize = 0;

/// An aggregation as it is being put together.
struct Assembly<'a, 'scope> {
    node: &'a AggregateNode,
    input_schema: SchemaRef,
    rows: Changes<'scope>,
    sums: Sums,
    /// The streams that meet, besides the rows: key columns first, then the argument.
    streams: Vec<Changes<'scope>>,
    /// Which distinct arguments have a stream already.
    distinct: Vec<((usize, Option<usize>), usize)>,
    /// Minima and maxima that do not fit a number: position among the results, and their rows.
    joined: Vec<(usize, Changes<'scope>)>,
    finishes: Vec<(usize, Finish)>,
}

impl<'scope> Renderer<'_, 'scope> {
    pub(super) fn aggregate(
        &mut self,
        node: &AggregateNode,
        schema: &SchemaRef,
    ) -> Changes<'scope> {
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
        };
        for (position, aggregate) in node.aggregates.iter().enumerate() {
            self.add(&mut assembly, position, aggregate);
        }
        let grouped_schema = assembly.grouped_schema(schema);
        let joined = std::mem::take(&mut assembly.joined);
        let finished: Vec<usize> = assembly
            .finishes
            .iter()
            .map(|(result, _)| *result)
            .collect();
        let grouped = self.grouped(assembly, Arc::clone(&grouped_schema));
        self.join_extremes(node, grouped, grouped_schema, finished, joined, schema)
    }

    fn add(&mut self, assembly: &mut Assembly<'_, 'scope>, position: usize, aggregate: &Aggregate) {
        let finish = match aggregate.function {
            AggregateFunction::Count | AggregateFunction::Sum | AggregateFunction::Avg => {
                self.additive(assembly, aggregate)
            }
            AggregateFunction::Min | AggregateFunction::Max => {
                let rows = self.extreme(assembly, aggregate);
                match word_kind(&aggregate.data_type) {
                    Some(kind) => assembly.carry(rows, kind, aggregate),
                    None => {
                        assembly.joined.push((position, rows));
                        return;
                    }
                }
            }
        };
        assembly.finishes.push((position, finish));
    }

    /// Count, sum and average, of all or of distinct arguments.
    fn additive(&mut self, assembly: &mut Assembly<'_, 'scope>, aggregate: &Aggregate) -> Finish {
        let (stream, argument, filter) = match (aggregate.distinct, aggregate.argument) {
            (true, Some(argument)) => {
                let stream = self.distinct_arguments(assembly, argument, aggregate.filter);
                (stream, Some(assembly.node.keys.len()), None)
            }
            _ => (ROWS, aggregate.argument, aggregate.filter),
        };
        let argument_type = aggregate
            .argument
            .map(|column| assembly.input_schema.field(column).data_type().clone());
        let present = assembly.presence(stream, argument, filter);
        let mut term = |kind| {
            assembly.sums.term(Term {
                stream,
                kind,
                argument,
                filter,
            })
        };
        let data_type = aggregate.data_type.clone();
        match (aggregate.function, argument_type) {
            (AggregateFunction::Sum, Some(DataType::Float64)) => Finish::Sum {
                term: term(TermKind::Float),
                present,
                data_type,
            },
            (AggregateFunction::Sum, Some(DataType::Decimal128(..))) => Finish::Sum {
                term: term(TermKind::Decimal),
                present,
                data_type,
            },
            (AggregateFunction::Sum, Some(_)) => Finish::Sum {
                term: term(TermKind::Integer),
                present,
                data_type,
            },
            (AggregateFunction::Avg, Some(DataType::Decimal128(_, argument_scale))) => {
                Finish::Average {
                    term: term(TermKind::Decimal),
                    present,
                    data_type,
                    argument_scale,
                }
            }
            (AggregateFunction::Avg, Some(_)) => Finish::Average {
                term: term(TermKind::Float),
                present,
                data_type,
                argument_scale: 0,
            },
            _ => Finish::Count(present),
        }
    }

    /// The stream of the distinct arguments of each group.
    fn distinct_arguments(
        &mut self,
        assembly: &mut Assembly<'_, 'scope>,
        argument: usize,
        filter: Option<usize>,
    ) -> usize {
        let known = assembly
            .distinct
            .iter()
            .find(|(name, _)| *name == (argument, filter));
        if let Some((_, stream)) = known {
            return *stream;
        }
        let input = arguments(assembly.node, argument, filter);
        let plan = Plan {
            schema: Arc::clone(&input.schema),
            node: Node::Distinct { input },
        };
        let rows = self.render(&Arc::new(plan));
        assembly.streams.push(rows);
        let stream = assembly.streams.len();
        assembly.distinct.push(((argument, filter), stream));
        stream
    }

    /// The least or greatest argument of each group: key columns, argument.
    fn extreme(
        &mut self,
        assembly: &Assembly<'_, 'scope>,
        aggregate: &Aggregate,
    ) -> Changes<'scope> {
        let argument = aggregate.argument.unwrap_or_default();
        let plan = arguments(assembly.node, argument, aggregate.filter);
        let rows = self.render(&plan);
        let schema = Arc::clone(&plan.schema);
        let keys = assembly.node.keys.len();
        // Min and max of one argument share the arrangement, read from either end.
        let name = IndexName {
            plan,
            key: (0..keys).collect(),
            keys_only: false,
        };
        let ascending = SortKey {
            column: keys,
            descending: false,
            nulls_first: false,
        };
        let layout = Layout::sorted((0..keys).collect(), vec![keys], vec![ascending], &schema);
        let positions = (0..=keys)
            .filter_map(|column| layout.position(column))
            .collect();
        let index = self
            .extremes
            .entry(name)
            .or_insert_with(|| arrange(key_by(rows, layout, true, |_| Vec::new()), "Extremes"));
        let wanted = Wanted {
            from_end: aggregate.function == AggregateFunction::Max,
            distinct: true,
            offset: 0,
            limit: Some(1),
            with_position: false,
        };
        select(index.clone(), "Extreme", schema, positions, wanted)
    }

    /// Brings the streams together by group and reads the results off.
    fn grouped(&mut self, assembly: Assembly<'_, 'scope>, schema: SchemaRef) -> Changes<'scope> {
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
        let finishes: Vec<Finish> = assembly.finishes.into_iter().map(|(_, how)| how).collect();
        accumulate::aggregate(index, schema, move |counts, lanes| {
            let finish = |how: &Finish| sums.finish(how, counts, lanes);
            finishes.iter().map(finish).collect()
        })
    }

    /// Adds minima and maxima that do not fit a number, by key, and puts the results in order.
    fn join_extremes(
        &mut self,
        node: &AggregateNode,
        mut rows: Changes<'scope>,
        mut schema: SchemaRef,
        mut results: Vec<usize>,
        joined: Vec<(usize, Changes<'scope>)>,
        output: &SchemaRef,
    ) -> Changes<'scope> {
        let keys = node.keys.len();
        for (result, extremes) in joined {
            let field = output.field(keys + result).clone().with_nullable(true);
            (rows, schema) = self.left_join_on_keys(rows, &schema, extremes, keys, field);
            results.push(result);
        }
        let position = |result: usize| results.iter().position(|other| *other == result);
        let projection: Vec<Expression> = (0..keys)
            .chain((0..node.aggregates.len()).filter_map(|result| Some(keys + position(result)?)))
            .map(|column| column_of(&schema, column))
            .collect();
        self.map(rows, None, projection, output)
    }

    /// Appends one column of the row with the same key, NULL where there is none; NULL keys match.
    fn left_join_on_keys(
        &mut self,
        rows: Changes<'scope>,
        schema: &SchemaRef,
        other: Changes<'scope>,
        keys: usize,
        field: arrow::datatypes::Field,
    ) -> (Changes<'scope>, SchemaRef) {
        use super::super::operator::negate;
        use datafusion::physical_expr::expressions::Literal;
        use timely::dataflow::operators::Concat;
        let columns = schema.fields().len();
        let by_key = |stream: Changes<'scope>, columns: usize| -> Index<'scope> {
            let layout = Layout {
                key: (0..keys).collect(),
                values: (keys..columns).collect(),
                ..Layout::default()
            };
            arrange(key_by(stream, layout, true, |_| Vec::new()), "Extremes")
        };
        let left = by_key(rows.clone(), columns);
        let right = by_key(other, keys + 1);
        let fields = schema
            .fields()
            .iter()
            .cloned()
            .chain([Arc::new(field.clone())]);
        let wider = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let own: Vec<(Side, usize)> = (0..columns).map(|column| (Side::Left, column)).collect();
        let mut with_value = own.clone();
        with_value.push((Side::Right, keys));
        let matched = join(left.clone(), right.clone(), Arc::clone(&wider), with_value);
        let present = join(left, right, Arc::clone(schema), own);
        let alone = rows.concat(negate(present));
        let null = ScalarValue::try_from(field.data_type()).unwrap_or(ScalarValue::Null);
        let mut projection = all_columns(schema);
        projection.push(Arc::new(Literal::new(null)));
        let alone = self.map(alone, None, projection, &wider);
        (matched.concat(alone), wider)
    }
}

impl<'scope> Assembly<'_, 'scope> {
    /// Where the number of arguments that take part is read.
    fn presence(
        &mut self,
        stream: usize,
        argument: Option<usize>,
        filter: Option<usize>,
    ) -> CountSource {
        let is_nullable = |column: usize| self.input_schema.field(column).is_nullable();
        let counts_all = stream == ROWS
            && filter.is_none()
            && argument.is_none_or(|column| !is_nullable(column));
        // The row that makes the global group exist is not to be counted.
        if counts_all && !self.node.keys.is_empty() {
            return CountSource::Group;
        }
        CountSource::Term(self.sums.term(Term {
            stream,
            kind: TermKind::Count,
            argument,
            filter,
        }))
    }

    /// Lets a minimum or maximum meet the group as a number.
    fn carry(&mut self, rows: Changes<'scope>, kind: TermKind, aggregate: &Aggregate) -> Finish {
        self.streams.push(rows);
        let stream = self.streams.len();
        let argument = Some(self.node.keys.len());
        let mut term = |kind| {
            self.sums.term(Term {
                stream,
                kind,
                argument,
                filter: None,
            })
        };
        Finish::Carried {
            term: term(kind),
            present: term(TermKind::Count),
            data_type: aggregate.data_type.clone(),
        }
    }

    /// The key columns and the results that are read off the sums.
    fn grouped_schema(&self, output: &SchemaRef) -> SchemaRef {
        let keys = self.node.keys.len();
        let keys = (0..keys).map(|column| output.field(column).clone());
        let results = self.finishes.iter().map(|(result, _)| {
            let field = output.field(self.node.keys.len() + *result).clone();
            // Every group appears here, whatever the view's author knows about it.
            field.with_nullable(true)
        });
        Arc::new(Schema::new(keys.chain(results).collect::<Vec<_>>()))
    }
}

/// The keys and one argument of the rows that take part, without NULL arguments.
fn arguments(node: &AggregateNode, argument: usize, filter: Option<usize>) -> Arc<Plan> {
    let input = &node.input.schema;
    let columns: Vec<usize> = node.keys.iter().copied().chain([argument]).collect();
    let keys = node.keys.iter().map(|column| input.field(*column).clone());
    let fields = keys.chain([input.field(argument).clone().with_nullable(false)]);
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let not_null: Expression = Arc::new(IsNotNullExpr::new(column_of(input, argument)));
    let predicate: Expression = match filter {
        None => not_null,
        Some(filter) => {
            let filter = column_of(input, filter);
            Arc::new(BinaryExpr::new(not_null, Operator::And, filter))
        }
    };
    let projection = columns.iter().map(|column| column_of(input, *column));
    Arc::new(Plan {
        node: Node::Map {
            input: Arc::clone(&node.input),
            predicate: Some(predicate),
            projection: projection.collect(),
        },
        schema,
    })
}
