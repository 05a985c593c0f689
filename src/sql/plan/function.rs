//! Calls of aggregate and window functions whose result DataFusion's own code computes from the
//! rows of a group, as plain data, and the statistics that are sums.

use std::fmt::{self, Display, Formatter};
use std::sync::Arc;

use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{AggregateUDF, WindowFrame, WindowFunctionDefinition};
use datafusion::physical_expr::PhysicalSortExpr;
use datafusion::physical_expr::aggregate::{AggregateExprBuilder, AggregateFunctionExpr};
use datafusion::physical_expr::expressions::{Column, Literal};
use datafusion::physical_plan::windows::{WindowExpr, create_window_expr};
use datafusion::scalar::ScalarValue;

use super::{Expression, Plan, SortKey};
use crate::sql::aggregates::checked_sums;
use crate::sql::aggregates::interval_sums;

/// An argument of a function.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Argument {
    /// The value of an input column.
    Column(usize),
    /// The same value for all rows, of which some functions make their parameters.
    Constant(ScalarValue),
}

/// An aggregate function computed by DataFusion's accumulator from all rows of a group.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AggregateCall {
    pub function: Arc<AggregateUDF>,
    pub arguments: Vec<Argument>,
    /// The order in which rows are taken in.
    pub order: Vec<SortKey>,
    /// Whether equal arguments count once.
    pub distinct: bool,
    /// Whether rows with a NULL argument are passed over, for functions where that is a choice.
    pub ignore_nulls: bool,
}

/// The value that one row of an ordered group has.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pick {
    /// The order; ties are broken by the whole row. Empty: one fixed row of the group.
    pub order: Vec<SortKey>,
    /// How many rows stand before the one wanted.
    pub offset: u64,
    /// Whether rows with a NULL argument are passed over.
    pub ignore_nulls: bool,
}

/// Window functions of one partitioning and order. The output columns are the input's, then one
/// for each call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WindowNode {
    pub input: Arc<Plan>,
    /// Positions of the partitioning columns; empty: one partition.
    pub partition: Vec<usize>,
    /// The order within a partition; ties are broken by the whole row.
    pub order: Vec<SortKey>,
    pub calls: Vec<WindowCall>,
    /// If only the first rows of each partition are needed: which. All calls are ranks then.
    pub limit: Option<RankLimit>,
}

/// The rows up to a rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RankLimit {
    /// Whether ranks are counted without gaps.
    pub is_dense: bool,
    /// The last rank needed.
    pub most: u64,
}

/// One window function.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WindowCall {
    pub function: WindowFunctionDefinition,
    pub arguments: Vec<Argument>,
    pub frame: WindowFrame,
    /// Whether equal arguments count once.
    pub distinct: bool,
    /// Whether rows with a NULL argument are passed over.
    pub ignore_nulls: bool,
    /// Position of a boolean column; only rows where it is true take part.
    pub filter: Option<usize>,
}

/// Statistics of one or two columns of doubles, all of them functions of a few sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Statistic {
    VarianceSample,
    VariancePopulation,
    DeviationSample,
    DeviationPopulation,
    CovarianceSample,
    CovariancePopulation,
    Correlation,
    RegressionSlope,
    RegressionIntercept,
    RegressionCount,
    RegressionR2,
    RegressionAverageX,
    RegressionAverageY,
    RegressionSxx,
    RegressionSyy,
    RegressionSxy,
}

/// The statistics by the names DataFusion gives them.
const STATISTICS: &[(&str, Statistic)] = &[
    ("var", Statistic::VarianceSample),
    ("var_pop", Statistic::VariancePopulation),
    ("stddev", Statistic::DeviationSample),
    ("stddev_pop", Statistic::DeviationPopulation),
    ("covar_samp", Statistic::CovarianceSample),
    ("covar_pop", Statistic::CovariancePopulation),
    ("corr", Statistic::Correlation),
    ("regr_slope", Statistic::RegressionSlope),
    ("regr_intercept", Statistic::RegressionIntercept),
    ("regr_count", Statistic::RegressionCount),
    ("regr_r2", Statistic::RegressionR2),
    ("regr_avgx", Statistic::RegressionAverageX),
    ("regr_avgy", Statistic::RegressionAverageY),
    ("regr_sxx", Statistic::RegressionSxx),
    ("regr_syy", Statistic::RegressionSyy),
    ("regr_sxy", Statistic::RegressionSxy),
];

impl Statistic {
    /// The statistic that a function of DataFusion computes.
    pub fn named(name: &str) -> Option<Statistic> {
        let found = STATISTICS.iter().find(|(other, _)| *other == name);
        found.map(|(_, statistic)| *statistic)
    }

    /// Whether the first argument is the dependent variable, y.
    pub fn is_regression(self) -> bool {
        self.name().starts_with("regr_")
    }

    /// Whether it is the variance or the deviation of a whole population.
    pub fn is_spread_of_population(self) -> bool {
        matches!(
            self,
            Statistic::VariancePopulation | Statistic::DeviationPopulation
        )
    }

    /// The function's name in SQL.
    pub fn name(self) -> &'static str {
        let found = STATISTICS.iter().find(|(_, other)| *other == self);
        found.map_or("statistic", |(name, _)| name)
    }
}

impl Argument {
    fn expression(&self, input: &SchemaRef) -> Expression {
        match self {
            Argument::Column(column) => physical_column(input, *column),
            Argument::Constant(value) => Arc::new(Literal::new(value.clone())),
        }
    }

    fn moved(&self, position: impl Fn(usize) -> usize) -> Argument {
        match self {
            Argument::Column(column) => Argument::Column(position(*column)),
            constant => constant.clone(),
        }
    }
}

impl AggregateCall {
    /// DataFusion's form of the call over rows with the given columns.
    pub fn compiled(&self, input: &SchemaRef) -> Result<AggregateFunctionExpr, DataFusionError> {
        let arguments = self.arguments.iter();
        let arguments = arguments.map(|argument| argument.expression(input));
        AggregateExprBuilder::new(Arc::clone(&self.function), arguments.collect())
            .schema(nullable(input))
            .alias(self.function.name())
            .order_by(physical_order(&self.order, input))
            .with_distinct(self.distinct)
            .with_ignore_nulls(self.ignore_nulls)
            .build()
    }

    /// The input columns that the call reads.
    pub fn columns(&self) -> impl Iterator<Item = usize> {
        let arguments = self.arguments.iter().filter_map(Argument::column);
        arguments.chain(self.order.iter().map(|key| key.column))
    }

    /// The same call over columns at other positions.
    pub fn moved(&self, position: impl Fn(usize) -> usize) -> AggregateCall {
        let arguments = self.arguments.iter();
        AggregateCall {
            arguments: arguments
                .map(|argument| argument.moved(&position))
                .collect(),
            order: moved_order(&self.order, &position),
            ..self.clone()
        }
    }
}

impl Argument {
    /// The column that the argument is.
    pub fn column(&self) -> Option<usize> {
        match self {
            Argument::Column(column) => Some(*column),
            Argument::Constant(_) => None,
        }
    }
}

impl WindowNode {
    /// The same functions over the rows up to a rank that one of them gives; `None` if other rows
    /// matter, too.
    pub fn limited(&self, call: usize, most: u64) -> Option<WindowNode> {
        let is_rank = |call: &WindowCall| matches!(call.function.name(), "rank" | "dense_rank");
        if self.limit.is_some() || self.order.is_empty() || !self.calls.iter().all(is_rank) {
            return None;
        }
        let limit = RankLimit {
            is_dense: self.calls.get(call)?.function.name() == "dense_rank",
            most,
        };
        Some(WindowNode {
            limit: Some(limit),
            ..self.clone()
        })
    }

    /// DataFusion's form of the calls.
    pub fn compiled(&self) -> Result<Vec<Arc<dyn WindowExpr>>, DataFusionError> {
        self.compiled_as(|call| call.function.clone())
    }

    /// The same, of which sums come out in a type that they cannot leave.
    pub fn widened(&self) -> Result<Vec<Arc<dyn WindowExpr>>, DataFusionError> {
        self.compiled_as(|call| self.wide_function(call))
    }

    fn wide_function(&self, call: &WindowCall) -> WindowFunctionDefinition {
        let argument = match call.arguments.first() {
            Some(Argument::Column(column)) => self.input.schema.field(*column).data_type().clone(),
            Some(Argument::Constant(value)) => value.data_type(),
            None => DataType::Null,
        };
        let wide = match &call.function {
            WindowFunctionDefinition::AggregateUDF(sum) => checked_sums::widened(sum, &argument)
                .or_else(|| interval_sums::in_place_of(sum, &argument)),
            WindowFunctionDefinition::WindowUDF(_) => None,
        };
        match wide {
            Some(sum) => WindowFunctionDefinition::AggregateUDF(sum),
            None => call.function.clone(),
        }
    }

    fn compiled_as(
        &self,
        function: impl Fn(&WindowCall) -> WindowFunctionDefinition,
    ) -> Result<Vec<Arc<dyn WindowExpr>>, DataFusionError> {
        let input = &self.input.schema;
        let partition = self.partition.iter();
        let partition: Vec<Expression> = partition
            .map(|column| physical_column(input, *column))
            .collect();
        let order = physical_order(&self.order, input);
        let compile = |call: &WindowCall| {
            let arguments = call.arguments.iter();
            let arguments: Vec<Expression> = arguments
                .map(|argument| argument.expression(input))
                .collect();
            create_window_expr(
                &function(call),
                call.function.name().to_owned(),
                &arguments,
                &partition,
                &order,
                Arc::new(call.frame.clone()),
                nullable(input),
                call.ignore_nulls,
                call.distinct,
                call.filter.map(|column| physical_column(input, column)),
            )
        };
        self.calls.iter().map(compile).collect()
    }
}

/// An order with its columns at other positions.
pub fn moved_order(order: &[SortKey], position: impl Fn(usize) -> usize) -> Vec<SortKey> {
    let keys = order.iter().map(|key| SortKey {
        column: position(key.column),
        ..*key
    });
    keys.collect()
}

fn physical_column(input: &SchemaRef, column: usize) -> Expression {
    Arc::new(Column::new(input.field(column).name(), column))
}

fn physical_order(order: &[SortKey], input: &SchemaRef) -> Vec<PhysicalSortExpr> {
    let keys = order.iter().map(|key| {
        let options = SortOptions {
            descending: key.descending,
            nulls_first: key.nulls_first,
        };
        PhysicalSortExpr::new(physical_column(input, key.column), options)
    });
    keys.collect()
}

/// The columns with NULLs allowed, so that functions can be tried on a row of NULLs.
pub fn nullable(schema: &SchemaRef) -> SchemaRef {
    let fields = schema.fields().iter();
    let fields = fields.map(|field| field.as_ref().clone().with_nullable(true));
    Arc::new(Schema::new(fields.collect::<Vec<Field>>()))
}

/// The type that a compiled window function gives.
pub fn window_type(call: &dyn WindowExpr) -> Result<DataType, DataFusionError> {
    Ok(call.field()?.data_type().clone())
}

impl Display for Statistic {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
