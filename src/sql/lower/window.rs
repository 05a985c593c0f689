//! Window functions.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use datafusion::common::DFSchema;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr::{NullTreatment, WindowFunction};
use datafusion::logical_expr::{Expr, SortExpr, Window};
use datafusion::physical_plan::windows::WindowExpr;
use datafusion::physical_planner::is_window_frame_bound_valid;

use super::super::error::SqlError;
use super::super::plan::function::{Argument, WindowCall, WindowNode, window_type};
use super::super::plan::{Expression, Node, Plan};
use super::call::{constant, refuse_nested_extreme};
use super::row_number::with_position;
use super::trial::{refusal, try_window};
use super::{
    all_columns, arrow_schema, column_of, map, physical, physical_all, plan_of, refused, sort_keys,
    with_columns,
};

/// Calls that are computed together: those of one partitioning and order, except that
/// `ROW_NUMBER()` stands alone, as it may become a top-k.
struct Stage<'a> {
    partition: &'a [Expr],
    order: &'a [SortExpr],
    is_position: bool,
    /// The calls with their positions among all results.
    calls: Vec<(usize, &'a WindowFunction)>,
}

/// Lowers window functions: the output columns are the input's, then one for each function.
pub fn lower(node: &Window) -> Result<Arc<Plan>, SqlError> {
    let mut input = super::lower(&node.input)?;
    let own_columns = input.schema.fields().len();
    let mut results = Vec::new();
    for stage in stages(&node.window_expr)? {
        let columns = own_columns + results.len();
        results.extend(stage.calls.iter().map(|(result, _)| *result));
        input = stage.lower(input, columns, node.input.schema())?;
    }
    let schema = arrow_schema(&node.schema);
    let place = |result| results.iter().position(|other| *other == result);
    let places = (0..results.len()).filter_map(place);
    let kept = (0..own_columns).chain(places.map(|place| own_columns + place));
    let projection = kept.map(|kept| column_of(&input.schema, kept)).collect();
    Ok(map(input, None, projection, schema))
}

fn stages(expressions: &[Expr]) -> Result<Vec<Stage<'_>>, SqlError> {
    let mut stages: Vec<Stage> = Vec::new();
    for (result, expression) in expressions.iter().enumerate() {
        let call = window_function(expression)?;
        let is_position = call.fun.name() == "row_number";
        let (partition, order) = (&call.params.partition_by[..], &call.params.order_by[..]);
        let known = stages.iter_mut().find(|stage| {
            !is_position
                && !stage.is_position
                && stage.partition == partition
                && stage.order == order
        });
        match known {
            Some(stage) => stage.calls.push((result, call)),
            None => stages.push(Stage {
                partition,
                order,
                is_position,
                calls: vec![(result, call)],
            }),
        }
    }
    Ok(stages)
}

fn window_function(expression: &Expr) -> Result<&WindowFunction, SqlError> {
    match expression {
        Expr::Alias(alias) => window_function(&alias.expr),
        Expr::WindowFunction(call) => Ok(call),
        other => Err(refused(&format!("the window function {other}"))),
    }
}

impl Stage<'_> {
    /// Appends the stage's results to the first `columns` columns of the input.
    fn lower(
        self,
        input: Arc<Plan>,
        columns: usize,
        schema: &DFSchema,
    ) -> Result<Arc<Plan>, SqlError> {
        let (input, partition) = with_columns(input, physical_all(self.partition, schema)?)?;
        let (mut input, order) = sort_keys(input, self.order, schema)?;
        let mut calls = Vec::new();
        for (_, call) in &self.calls {
            let lowered;
            (input, lowered) = window_call(input, call, schema)?;
            calls.push(lowered);
        }
        let before = input.schema.fields().len();
        let mut fields: Vec<Field> = input
            .schema
            .fields()
            .iter()
            .map(|field| field.as_ref().clone())
            .collect();
        let rows = if self.is_position {
            fields.push(Field::new(
                "position",
                arrow::datatypes::DataType::UInt64,
                false,
            ));
            with_position(input, partition, order, Arc::new(Schema::new(fields)))
        } else {
            let window = WindowNode {
                input,
                partition,
                order,
                calls,
                limit: None,
            };
            fields.extend(results(&window)?);
            plan_of(Node::Window(window), Arc::new(Schema::new(fields)))
        };
        let kept = (0..columns).chain(before..rows.schema.fields().len());
        let kept: Vec<usize> = kept.collect();
        let schema = Arc::new(rows.schema.project(&kept).map_err(DataFusionError::from)?);
        let everything = all_columns(&rows.schema);
        let projection: Vec<Expression> = kept
            .into_iter()
            .map(|kept| Arc::clone(&everything[kept]))
            .collect();
        Ok(map(rows, None, projection, schema))
    }
}

/// A call with its arguments and its filter as columns of the input.
fn window_call(
    input: Arc<Plan>,
    call: &WindowFunction,
    schema: &DFSchema,
) -> Result<(Arc<Plan>, WindowCall), SqlError> {
    let params = &call.params;
    if !is_window_frame_bound_valid(&params.window_frame) {
        return Err(SqlError::new(
            "42P20",
            format!(
                "the window frame {} ends before it starts",
                params.window_frame
            ),
        ));
    }
    let expressions = physical_all(&params.args, schema)?;
    if let Some(argument) = expressions.first() {
        let data_type = argument.data_type(&input.schema)?;
        refuse_nested_extreme(call.fun.name(), &data_type)?;
    }
    let computed = expressions
        .iter()
        .filter(|expression| constant(Some(expression)).is_none());
    let computed: Vec<Expression> = computed.cloned().collect();
    let (input, positions) = with_columns(input, computed)?;
    let mut positions = positions.into_iter();
    let arguments = expressions.iter().filter_map(|expression| {
        let constant = constant(Some(expression)).map(Argument::Constant);
        constant.or_else(|| positions.next().map(Argument::Column))
    });
    let arguments = arguments.collect();
    let (input, filter) = match &params.filter {
        None => (input, None),
        Some(filter) => {
            let (input, positions) = with_columns(input, vec![physical(filter, schema)?])?;
            (input, positions.first().copied())
        }
    };
    let call = WindowCall {
        function: call.fun.clone(),
        arguments,
        frame: params.window_frame.clone(),
        distinct: params.distinct,
        ignore_nulls: params.null_treatment == Some(NullTreatment::IgnoreNulls),
        filter,
    };
    Ok((input, call))
}

/// The columns of the results; calls that DataFusion cannot evaluate are refused.
fn results(window: &WindowNode) -> Result<Vec<Field>, SqlError> {
    let names = window.calls.iter().map(|call| call.function.name());
    let failure = |error: DataFusionError| {
        let names: Vec<&str> = names.clone().collect();
        refusal(&names.join(", "), &error)
    };
    let compiled = window.compiled().map_err(&failure)?;
    for call in window.widened().map_err(&failure)? {
        try_window(call.as_ref(), &window.input.schema).map_err(&failure)?;
    }
    let mut fields = Vec::new();
    for call in &compiled {
        let name = WindowExpr::name(call.as_ref());
        let data_type = window_type(call.as_ref()).map_err(&failure)?;
        fields.push(Field::new(name, data_type, true));
    }
    Ok(fields)
}
