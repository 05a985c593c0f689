//! Aggregates that are sums, or functions of sums.

use std::sync::Arc;

use arrow::datatypes::DataType;

use super::super::super::checked_sum::{CheckedResult, CheckedSum};
use super::super::super::sums::{BitsOf, CountSource, Finish, TermKind};
use super::super::Renderer;
use super::{Assembly, Participants, ROWS, arguments};
use crate::sql::aggregates::wide_sums::has_many_digits;
use crate::sql::plan::function::Statistic;
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
        let excess = match kind {
            TermKind::Integer => Some(TermKind::Excess),
            TermKind::Decimal if argument.is_some_and(has_many_digits) => {
                Some(TermKind::DecimalExcess)
            }
            _ => None,
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
                let result = match kind {
                    TermKind::Decimal => CheckedResult::Decimal,
                    _ => CheckedResult::Whole,
                };
                assembly.checked_sum((term, excess), of, result, &data_type);
                Finish::Sum {
                    term,
                    present,
                    data_type,
                }
            }
            AggregateFunction::Avg => {
                let term = assembly.term(kind, of);
                let result = averaged(present, &data_type, argument_scale);
                let excess = assembly.checked_sum((term, excess), of, result, &data_type);
                Finish::Average {
                    term,
                    excess,
                    present,
                    data_type,
                    argument_scale,
                }
            }
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

/// The average of decimals of a scale.
fn averaged(present: CountSource, data_type: &DataType, argument_scale: i8) -> CheckedResult {
    let digits = match data_type {
        DataType::Decimal128(_, scale) => (scale - argument_scale).unsigned_abs(),
        _ => 0,
    };
    CheckedResult::Average {
        count: match present {
            CountSource::Group => None,
            CountSource::Term(term) => Some(term),
        },
        factor: 10i128.pow(u32::from(digits)),
    }
}

impl Assembly<'_, '_> {
    /// Lets the sum of a term be looked at, if there is a kind of term that tells whether it is in
    /// range; the position of that term.
    fn checked_sum(
        &mut self,
        (sum, excess): (usize, Option<TermKind>),
        of: Participants,
        result: CheckedResult,
        data_type: &DataType,
    ) -> Option<usize> {
        let excess = self.term(excess?, of);
        self.checked.push(CheckedSum {
            sum,
            excess,
            result,
            data_type: data_type.clone(),
        });
        Some(excess)
    }

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
