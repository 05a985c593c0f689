//! The types of parameters, as Postgres gives them: each has one type in the whole statement.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::expr::Placeholder;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::type_coercion::binary::comparison_coercion;
use datafusion::logical_expr::type_coercion::functions::fields_with_udf;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::comparison::is_planned_comparison;
use crate::sql::types::INTERVAL;

/// Functions whose arguments stand for each other.
const OF_ALTERNATIVES: [&str; 6] = ["coalesce", "greatest", "ifnull", "least", "nullif", "nvl"];

/// What is added to a time is an interval; the planner takes a parameter for another time. What is
/// taken from a time is such a one, as in Postgres.
#[derive(Debug)]
pub struct TimeParameters;

impl ExprPlanner for TimeParameters {
    fn plan_binary_op(
        &self,
        expression: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        let RawBinaryExpr { op, left, right } = expression;
        let is_time = |side: &Expr| {
            matches!(
                side.get_type(schema),
                Ok(DataType::Timestamp(..) | DataType::Date32 | DataType::Time64(_))
            )
        };
        let (left, right) = match op {
            BinaryOperator::Plus if is_time(&left) => (left, as_interval(right)),
            BinaryOperator::Plus if is_time(&right) => (as_interval(left), right),
            _ => (left, right),
        };
        Ok(PlannerResult::Original(RawBinaryExpr { op, left, right }))
    }
}

/// A value that is an interval if it is a parameter of which nothing is known.
pub(super) fn as_interval(value: Expr) -> Expr {
    in_type(value, &INTERVAL)
}

/// The same of another type.
pub(in crate::sql) fn in_type(value: Expr, data_type: &DataType) -> Expr {
    match value {
        Expr::Placeholder(Placeholder { id, field: None }) => of_type(id, data_type),
        other => other,
    }
}

/// A parameter of a type.
fn of_type(id: String, data_type: &DataType) -> Expr {
    let field = Field::new(&id, data_type.clone(), true);
    Expr::Placeholder(Placeholder {
        id,
        field: Some(Arc::new(field)),
    })
}

/// Gives each parameter of a plan one type, wherever it stands: of several that it meets the one
/// that has the values of all, else that of a cast, of the values that it stands for in `coalesce`
/// or CASE, or a number in LIMIT and OFFSET.
pub fn typed(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut found = Found::default();
    plan.apply_with_subqueries(|node| {
        let is_limit = matches!(node, LogicalPlan::Limit(_));
        let schema = merge_schema(&node.inputs());
        node.apply_expressions(|expression| {
            if is_limit {
                found.note(expression, &DataType::Int64);
            }
            expression.apply(|part| {
                match part {
                    Expr::Cast(cast) => found.note(&cast.expr, cast.field.data_type()),
                    Expr::TryCast(cast) => found.note(&cast.expr, cast.field.data_type()),
                    other => {
                        found.meet(other);
                        found.compare(other);
                        found.stand_for(&alternatives(other), &schema);
                        found.note_list(other, &schema);
                        found.note_arguments(other, &schema);
                    }
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    let types = found.types();
    if types.is_empty() {
        return Ok(plan);
    }
    let typed = plan.transform_up_with_subqueries(|node| {
        let mut is_changed = false;
        let node = node.map_expressions(|expression| {
            let typed = expression.transform_up(|part| {
                Ok(match part {
                    Expr::Placeholder(Placeholder { id, field }) => match types.get(&id) {
                        Some(data_type)
                            if field.as_ref().map(|f| f.data_type()) != Some(data_type) =>
                        {
                            Transformed::yes(of_type(id, data_type))
                        }
                        _ => Transformed::no(Expr::Placeholder(Placeholder { id, field })),
                    },
                    other => Transformed::no(other),
                })
            })?;
            is_changed |= typed.transformed;
            Ok(typed)
        })?;
        // What a node gives may have changed below it.
        Ok(match node.data {
            values @ LogicalPlan::Values(_) => Transformed::new_transformed(values, is_changed),
            other => Transformed::yes(other.recompute_schema()?),
        })
    });
    typed.data()
}

/// The values of which an expression gives one.
pub(in crate::sql) fn alternatives(value: &Expr) -> Vec<&Expr> {
    match value {
        Expr::ScalarFunction(call) if OF_ALTERNATIVES.contains(&call.name()) => {
            call.args.iter().collect()
        }
        Expr::Case(case) => {
            let branches = case.when_then_expr.iter().map(|(_, then)| then.as_ref());
            branches.chain(case.else_expr.as_deref()).collect()
        }
        _ => Vec::new(),
    }
}

/// Whether it is a parameter of which nothing is known.
fn is_open(value: &Expr) -> bool {
    matches!(value, Expr::Placeholder(Placeholder { field: None, .. }))
}

/// The list of which a value is the least or the greatest element.
fn extreme_of(value: &Expr) -> Option<&Expr> {
    match value {
        Expr::ScalarFunction(call) if ["array_min", "array_max"].contains(&call.name()) => {
            call.args.first()
        }
        _ => None,
    }
}

/// What is known of parameters, by their names.
#[derive(Default)]
struct Found {
    /// The types of what they meet.
    met: HashMap<String, DataType>,
    /// The types that they are cast to, or that their place asks for.
    wanted: HashMap<String, DataType>,
    /// Those that are compared with each other.
    compared: Vec<[String; 2]>,
}

impl Found {
    /// A value that is wanted in a type, if it is a parameter of which nothing more is known.
    fn note(&mut self, value: &Expr, data_type: &DataType) {
        if let Expr::Placeholder(Placeholder { id, field: None }) = value {
            let wanted = self.wanted.entry(id.clone());
            wanted.or_insert_with(|| data_type.clone());
        }
    }

    /// Values of one type, of which some may be parameters.
    fn stand_for(&mut self, values: &[&Expr], schema: &DFSchema) {
        let mut types = values.iter().filter_map(|value| match value {
            Expr::Placeholder(_) => None,
            other => other.get_type(schema).ok(),
        });
        if let Some(data_type) = types.find(|data_type| *data_type != DataType::Null) {
            values.iter().for_each(|value| self.note(value, &data_type));
        }
    }

    /// What `= ANY($1)`, and other operators before ANY and ALL, have become: the parameter is a list
    /// of what is compared with its elements.
    fn note_list(&mut self, value: &Expr, schema: &DFSchema) {
        let (list, element) = match value {
            Expr::ScalarFunction(call) if call.name() == "array_has" => match &call.args[..] {
                [list, element] => (list, element),
                _ => return,
            },
            Expr::BinaryExpr(binary) => match (extreme_of(&binary.left), extreme_of(&binary.right))
            {
                (Some(list), None) => (list, binary.right.as_ref()),
                (None, Some(list)) => (list, binary.left.as_ref()),
                _ => return,
            },
            _ => return,
        };
        match element.get_type(schema) {
            Ok(DataType::Null) | Err(_) => {}
            Ok(element) => {
                let item = Field::new_list_field(element, true);
                self.note(list, &DataType::List(Arc::new(item)));
            }
        }
    }

    /// What a function takes in the place of a parameter beside other arguments.
    fn note_arguments(&mut self, value: &Expr, schema: &DFSchema) {
        let Expr::ScalarFunction(call) = value else {
            return;
        };
        // Of parameters alone nothing is known but that they are texts.
        if !call.args.iter().any(is_open) || call.args.iter().all(is_open) {
            return;
        }
        let fields = call.args.iter().map(|argument| match is_open(argument) {
            true => Ok(Arc::new(Field::new("parameter", DataType::Null, true))),
            false => argument.to_field(schema).map(|(_, field)| field),
        });
        let Ok(fields) = fields.collect::<Result<Vec<FieldRef>>>() else {
            return;
        };
        let Ok(taken) = fields_with_udf(&fields, call.func.as_ref()) else {
            return;
        };
        for (argument, taken) in call.args.iter().zip(&taken) {
            match taken.data_type() {
                DataType::Null => {}
                text if text.is_string() => self.note(argument, &DataType::Utf8),
                other => self.note(argument, other),
            }
        }
    }

    fn meet(&mut self, value: &Expr) {
        let Expr::Placeholder(Placeholder {
            id,
            field: Some(field),
        }) = value
        else {
            return;
        };
        // It stands beside another of which nothing is known.
        if *field.data_type() == DataType::Null {
            return;
        }
        let data_type = match self.met.get(id) {
            Some(before) => {
                let common = comparison_coercion(before, field.data_type());
                common.unwrap_or_else(|| before.clone())
            }
            None => field.data_type().clone(),
        };
        self.met.insert(id.clone(), data_type);
    }

    /// Two parameters that are compared with each other.
    fn compare(&mut self, value: &Expr) {
        if let Expr::BinaryExpr(binary) = value
            && is_planned_comparison(binary.op)
            && let Expr::Placeholder(left) = binary.left.as_ref()
            && let Expr::Placeholder(right) = binary.right.as_ref()
        {
            self.compared.push([left.id.clone(), right.id.clone()]);
        }
    }

    /// Parameters of which no more is known than that they are compared with each other are texts.
    fn types(self) -> HashMap<String, DataType> {
        let mut types = self.wanted;
        types.extend(self.met);
        for pair in self.compared {
            let mut known = pair.iter().filter_map(|id| types.get(id));
            let data_type = known.next().cloned().unwrap_or(DataType::Utf8);
            for id in pair {
                types.entry(id).or_insert_with(|| data_type.clone());
            }
        }
        types
    }
}
