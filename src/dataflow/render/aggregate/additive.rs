//! Aggregates that are sums, or functions of sums.

use std::sync::Arc;

use arrow::datatypes::DataType;

use super::super::super::sums::{BitsOf, Finish, TermKind};
use super::super::Renderer;
use super::{Assembly, Participants, ROWS, arguments};
use crate::sql::function::Statistic;
use crate::sql::plan::{Aggregate, AggregateFunction, Node, Plan};

impl<'scope> Renderer<'_, 'scope> {
    /// How an aggregate is read off sums, of all or of distinct arguments.
    pub(super) fn additive(
        &mut self,
        assembly: &mut Assembly<'_, 'scope>,
        aggregate: &Aggregate,
    ) -> Finish {
        let of = self.participants(assembly, aggregate);
        let present = assembly.presence(of);
        let data_type = aggregate.data_type.clone();
        let schema = &assembly.input_schema;
        let argument = aggregate
            .argument
            .map(|column| schema.field(column).data_type());
        let (kind, argument_scale) = match argument {
            Some(DataType::Float64) => (TermKind::Float, 0),
            Some(DataType::Decimal128(_, scale)) => (TermKind::Decimal, *scale),
            _ => (TermKind::Integer, 0),
        };
        let mut bits = |bits| Finish::Bits {
            of: bits,
            term: assembly.term(TermKind::Bits, of),
            present,
            data_type: data_type.clone(),
        };
        match &aggregate.function {
            AggregateFunction::BitAnd => bits(BitsOf::All),
            AggregateFunction::BitOr => bits(BitsOf::Some),
            AggregateFunction::BitXor => bits(BitsOf::Odd),
            AggregateFunction::Sum => {
                let term = assembly.term(kind, of);
                if kind == TermKind::Integer {
                    let excess = assembly.term(TermKind::Excess, of);
                    assembly.checked.push((term, excess, data_type.clone()));
                }
                Finish::Sum {
                    term,
                    present,
                    data_type,
                }
            }
            AggregateFunction::Avg => Finish::Average {
                term: assembly.term(kind, of),
                present,
                data_type,
                argument_scale,
            },
            AggregateFunction::BoolAnd | AggregateFunction::BoolOr => Finish::Truth {
                is_all: aggregate.function == AggregateFunction::BoolAnd,
                term: assembly.term(TermKind::True, of),
                present,
            },
            AggregateFunction::Statistic(statistic) => Finish::Statistic {
                statistic: *statistic,
                count: present,
                terms: assembly.statistic_terms(*statistic, of),
                one_is_zero: assembly.node.keys.is_empty() || aggregate.distinct,
            },
            _ => Finish::Count(present),
        }
    }

    fn participants(
        &mut self,
        assembly: &mut Assembly<'_, 'scope>,
        aggregate: &Aggregate,
    ) -> Participants {
        match (aggregate.distinct, aggregate.argument) {
            (true, Some(argument)) => Participants {
                stream: self.distinct_arguments(assembly, argument, aggregate.filter),
                argument: Some(assembly.node.keys.len()),
                partner: None,
                filter: None,
            },
            _ => Participants {
                stream: ROWS,
                argument: aggregate.argument,
                partner: aggregate.partner,
                filter: aggregate.filter,
            },
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
        let input = arguments(assembly.node, &[argument], Some(argument), filter);
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
}

impl Assembly<'_, '_> {
    /// The sums of x, y, x², y² and xy that a statistic is made of. Each is over the rows where
    /// both x and y are not NULL.
    fn statistic_terms(&mut self, statistic: Statistic, of: Participants) -> [Option<usize>; 5] {
        let (x, y) = match statistic.is_regression() {
            true => (of.partner, of.argument),
            false => (of.argument, of.partner),
        };
        let kinds = [
            (TermKind::Float, x, y),
            (TermKind::Float, y, x),
            (TermKind::Square, x, y),
            (TermKind::Square, y, x),
            (TermKind::Product, x, y),
        ];
        let mut terms = [None; 5];
        let needed = statistic.sums().into_iter().zip(kinds);
        for (term, (is_needed, (kind, argument, partner))) in terms.iter_mut().zip(needed) {
            *term = is_needed.then(|| {
                let of = Participants {
                    argument,
                    partner,
                    ..of
                };
                self.term(kind, of)
            });
        }
        terms
    }
}
