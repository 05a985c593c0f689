//! Calls of aggregate functions: which way each of them is maintained.

use arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::logical_expr::expr::{AggregateFunction as LogicalCall, NullTreatment};
use datafusion::logical_expr::{Expr, SortExpr};
use datafusion::physical_expr::expressions::Literal;
use datafusion::scalar::ScalarValue;

use super::super::aggregates::interval_sums;
use super::super::aggregates::quantile::Quantile;
use super::super::error::SqlError;
use super::super::plan::function::{AggregateCall, Argument, Pick, Statistic};
use super::super::plan::{Aggregate, AggregateFunction, Expression, SortKey};
use super::aggregate::Columns;
use super::zero::one_zero;
use super::{physical, physical_all, refuse_unordered, refused};

/// A call with its arguments in physical form.
struct Call<'a> {
    logical: &'a LogicalCall,
    schema: &'a DFSchema,
    arguments: Vec<Expression>,
    data_type: &'a DataType,
}

/// Lowers a call; its arguments, filter and order become `columns`.
pub fn aggregate(
    logical: &LogicalCall,
    data_type: &DataType,
    schema: &DFSchema,
    columns: &mut Columns,
) -> Result<Aggregate, SqlError> {
    refuse_approximate(logical.func.name())?;
    if logical.func.name() == "bit_xor" && logical.params.distinct {
        // DataFusion takes equal values of a group twice here, so a query would give another answer.
        return Err(refused("bit_xor(DISTINCT …)")
            .about("bit_xor")
            .with_hint("take the distinct values in a subquery, and bit_xor() of those"));
    }
    let mut call = Call {
        logical,
        schema,
        arguments: physical_all(&logical.params.args, schema)?,
        data_type,
    };
    refuse_nested_extreme(logical.func.name(), &call.argument_type(columns)?)?;
    match call.function(columns)? {
        AggregateFunction::Recomputed(function) => {
            call.maintained(AggregateFunction::Recomputed(function), columns, 0)
        }
        AggregateFunction::Count => call.count(columns),
        AggregateFunction::Mode => {
            let arguments = std::mem::take(&mut call.arguments).into_iter();
            let arguments = arguments.map(|value| one_zero(value, &columns.input.schema));
            call.arguments = arguments.collect::<Result<_, _>>()?;
            call.maintained(AggregateFunction::Mode, columns, 1)
        }
        AggregateFunction::Statistic(statistic) if call.arguments.len() == 2 => {
            call.maintained(AggregateFunction::Statistic(statistic), columns, 2)
        }
        function => call.maintained(function, columns, 1),
    }
}

/// Estimates depend on the order in which rows come, so the same rows would give one answer in a
/// view and another in a query.
fn refuse_approximate(name: &str) -> Result<(), SqlError> {
    let exact = match name {
        "approx_distinct" => "count(DISTINCT x) is maintained and exact",
        "approx_median" => "median(x) is maintained and exact",
        "approx_percentile_cont" | "approx_percentile_cont_with_weight" => {
            "percentile_cont(x, p) is maintained and exact"
        }
        _ => return Ok(()),
    };
    let message = format!("{name}() is an estimate, which a live view does not keep");
    Err(SqlError::unsupported(message).about(name).with_hint(exact))
}

/// Of two structures or lists, DataFusion passes over parts that are NULL in one of them, so that
/// which is the greatest of several depends on the order in which they come.
pub(super) fn refuse_nested_extreme(name: &str, argument: &DataType) -> Result<(), SqlError> {
    if !matches!(name, "min" | "max") || !argument.is_nested() {
        return Ok(());
    }
    let what = if matches!(argument, DataType::Struct(_)) {
        "structures"
    } else {
        "lists"
    };
    Err(refused(&format!("{name}() of {what}"))
        .about(name)
        .with_hint("first_value(x ORDER BY …) takes the one whose parts come first in an order"))
}

impl Call<'_> {
    fn is_distinct(&self) -> bool {
        self.logical.params.distinct
    }

    fn argument_type(&self, columns: &Columns) -> Result<DataType, SqlError> {
        let argument = self.arguments.first();
        let data_type = argument.map(|argument| argument.data_type(&columns.input.schema));
        Ok(data_type.transpose()?.unwrap_or(DataType::Null))
    }

    /// The way the call is maintained.
    fn function(&self, columns: &mut Columns) -> Result<AggregateFunction, SqlError> {
        let argument = self.argument_type(columns)?;
        let name = self.logical.func.name();
        let function = match name {
            "count" if self.arguments.len() <= 1 || !self.is_distinct() => {
                Some(AggregateFunction::Count)
            }
            "sum" if is_summed(&argument) => Some(AggregateFunction::Sum),
            "avg" if is_averaged(&argument) => Some(AggregateFunction::Avg),
            // The least and the greatest of distinct values are those of all values.
            "min" if refuse_unordered(&argument).is_ok() => Some(AggregateFunction::Min),
            "max" if refuse_unordered(&argument).is_ok() => Some(AggregateFunction::Max),
            "mode" if !self.is_distinct() => Some(AggregateFunction::Mode),
            "bool_and" => Some(AggregateFunction::BoolAnd),
            "bool_or" => Some(AggregateFunction::BoolOr),
            "bit_and" if has_counted_bits(&argument) => Some(AggregateFunction::BitAnd),
            "bit_or" if has_counted_bits(&argument) => Some(AggregateFunction::BitOr),
            "bit_xor" if has_counted_bits(&argument) => Some(AggregateFunction::BitXor),
            _ => None,
        };
        if let Some(function) = function {
            return Ok(function);
        }
        if let Some(statistic) = Statistic::named(name)
            && (!self.is_distinct() || self.arguments.len() == 1)
        {
            return Ok(AggregateFunction::Statistic(statistic));
        }
        if let Some(quantile) = self.quantile()
            && quantile.takes(&argument)
        {
            return Ok(AggregateFunction::Quantile(quantile));
        }
        match self.pick(columns)? {
            Some(pick) => Ok(AggregateFunction::Pick(pick)),
            None => Ok(AggregateFunction::Recomputed(self.recomputed(columns)?)),
        }
    }

    /// The quantile that the call is, if it is one.
    fn quantile(&self) -> Option<Quantile> {
        match self.logical.func.name() {
            "median" => Some(Quantile::Median),
            "percentile_cont" => {
                let fraction = Quantile::fraction(&constant(self.arguments.get(1))?)?;
                let first = self.logical.params.order_by.first();
                Some(Quantile::continuous(match first {
                    Some(key) if !key.asc => 1.0 - fraction,
                    _ => fraction,
                }))
            }
            _ => None,
        }
    }

    /// The row that the call takes its value from, if it is a function of one row.
    fn pick(&self, columns: &mut Columns) -> Result<Option<Pick>, SqlError> {
        let ignores_nulls = self.ignores_nulls();
        let (from_end, offset, ignore_nulls) = match (self.logical.func.name(), self.is_distinct())
        {
            ("first_value", false) => (false, 0, ignores_nulls),
            ("last_value", false) => (true, 0, ignores_nulls),
            ("any_value", false) => (false, 0, true),
            ("nth_value", false) => match constant(self.arguments.get(1)) {
                Some(ScalarValue::Int64(Some(n))) if n != 0 => (n < 0, n.unsigned_abs() - 1, false),
                _ => return Ok(None),
            },
            _ => return Ok(None),
        };
        let mut order = self.order(columns)?;
        for key in &mut order {
            key.descending ^= from_end;
            key.nulls_first ^= from_end;
        }
        Ok(Some(Pick {
            order,
            offset,
            ignore_nulls,
        }))
    }

    fn ignores_nulls(&self) -> bool {
        self.logical.params.null_treatment == Some(NullTreatment::IgnoreNulls)
    }

    fn order(&self, columns: &mut Columns) -> Result<Vec<SortKey>, SqlError> {
        let mut keys = Vec::new();
        for SortExpr {
            expr,
            asc,
            nulls_first,
        } in &self.logical.params.order_by
        {
            let key = physical(expr, self.schema)?;
            refuse_unordered(&key.data_type(&columns.input.schema)?)?;
            keys.push(SortKey {
                column: columns.position(key),
                descending: !asc,
                nulls_first: *nulls_first,
            });
        }
        Ok(keys)
    }

    fn recomputed(&self, columns: &mut Columns) -> Result<AggregateCall, SqlError> {
        let arguments = self.arguments.iter();
        let arguments: Vec<Argument> = arguments
            .map(|argument| match constant(Some(argument)) {
                Some(value) => Argument::Constant(value),
                None => Argument::Column(columns.position(argument.clone())),
            })
            .collect();
        let mut order = self.order(columns)?;
        // Without an order of its own a list would come in another one at each change.
        if order.is_empty() {
            let listed = match self.logical.func.name() {
                "array_agg" | "string_agg" | "json_agg" => 1,
                // Distinct members are sorted as they are written.
                "json_object_agg" if !self.is_distinct() => 2,
                _ => 0,
            };
            let listed = self.arguments.iter().zip(&arguments).take(listed);
            for (expression, argument) in listed {
                let data_type = expression.data_type(&columns.input.schema)?;
                if let (Ok(()), Some(column)) = (refuse_unordered(&data_type), argument.column()) {
                    order.push(SortKey {
                        column,
                        descending: false,
                        nulls_first: false,
                    });
                }
            }
        }
        let function = &self.logical.func;
        let checked = interval_sums::in_place_of(function, &self.argument_type(columns)?);
        Ok(AggregateCall {
            function: checked.unwrap_or_else(|| function.clone()),
            arguments,
            order,
            distinct: self.is_distinct(),
            ignore_nulls: self.ignores_nulls(),
        })
    }

    /// `count`: of rows, of one argument, or of rows where several arguments are not NULL.
    fn count(&self, columns: &mut Columns) -> Result<Aggregate, SqlError> {
        let is_constant = |value: Option<ScalarValue>| value.is_some_and(|value| !value.is_null());
        match &self.arguments[..] {
            [argument] if !is_constant(constant(Some(argument))) || self.is_distinct() => {
                self.maintained(AggregateFunction::Count, columns, 1)
            }
            [] | [_] => self.maintained(AggregateFunction::Count, columns, 0),
            _ => {
                let arguments = self.logical.params.args.iter().cloned();
                let present = arguments.map(Expr::is_not_null).reduce(Expr::and);
                let own = self.logical.params.filter.as_deref().cloned();
                let filter = present.into_iter().chain(own).reduce(Expr::and);
                let filter = filter.map(|filter| physical(&filter, self.schema));
                let mut count = self.maintained(AggregateFunction::Count, columns, 0)?;
                count.filter = filter.transpose()?.map(|filter| columns.position(filter));
                Ok(count)
            }
        }
    }

    /// The call with the first `arguments` of its arguments as columns.
    fn maintained(
        &self,
        function: AggregateFunction,
        columns: &mut Columns,
        arguments: usize,
    ) -> Result<Aggregate, SqlError> {
        let mut positions = self.arguments.iter().take(arguments);
        let mut next = || {
            positions
                .next()
                .map(|value| columns.position(value.clone()))
        };
        let (argument, partner) = (next(), next());
        let filter = match &self.logical.params.filter {
            None => None,
            Some(filter) => Some(columns.position(physical(filter, self.schema)?)),
        };
        let is_idempotent = matches!(
            function,
            AggregateFunction::Min
                | AggregateFunction::Max
                | AggregateFunction::BoolAnd
                | AggregateFunction::BoolOr
                | AggregateFunction::BitAnd
                | AggregateFunction::BitOr
        );
        Ok(Aggregate {
            function,
            argument,
            partner,
            distinct: self.is_distinct() && !is_idempotent,
            filter,
            data_type: self.data_type.clone(),
        })
    }
}

/// The value of a constant expression.
pub fn constant(expression: Option<&Expression>) -> Option<ScalarValue> {
    let literal = expression?.downcast_ref::<Literal>()?;
    Some(literal.value().clone())
}

/// Whether sums of such values are kept.
pub(super) fn is_summed(argument: &DataType) -> bool {
    matches!(
        argument,
        DataType::Int64 | DataType::UInt64 | DataType::Float64 | DataType::Decimal128(..)
    )
}

/// Whether means of such values are kept as sums.
pub(super) fn is_averaged(argument: &DataType) -> bool {
    matches!(argument, DataType::Float64 | DataType::Decimal128(..))
}

/// Whether the set bits of an integer are counted one by one.
pub(super) fn has_counted_bits(argument: &DataType) -> bool {
    argument.is_integer() && argument.primitive_width() != Some(2)
}
