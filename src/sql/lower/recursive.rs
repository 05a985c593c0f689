//! `WITH RECURSIVE`: a first level of rows, and a step from each level to the next.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use datafusion::logical_expr::RecursiveQuery;

use super::super::error::SqlError;
use super::super::plan::recursive::{LEVELS, Recursive};
use super::super::plan::{Node, Plan};
use super::strict::is_strict;
use super::zero::one_zero;
use super::{all_columns, arrow_schema, map, plan_of};

/// Lowers a recursive query.
pub fn lower(node: &RecursiveQuery) -> Result<Arc<Plan>, SqlError> {
    let mut base = super::lower(&node.static_term)?;
    let mut step = super::lower(&node.recursive_term)?;
    if !is_strict(&step, &node.name) {
        return Err(rows_of_nothing(&node.name));
    }
    if node.is_distinct {
        base = with_one_zero(base)?;
        step = with_one_zero(step)?;
    }
    let declared = arrow_schema(&node.schema);
    let fields = declared.fields().iter().enumerate().map(|(column, field)| {
        let is_nullable = [&base, &step]
            .iter()
            .any(|term| term.schema.field(column).is_nullable());
        Field::new(
            field.name(),
            field.data_type().clone(),
            field.is_nullable() || is_nullable,
        )
    });
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let recursive = Recursive {
        name: Arc::from(node.name.as_str()),
        base,
        step,
        distinct: node.is_distinct,
        levels: LEVELS,
    };
    Ok(plan_of(Node::Recursive(recursive), schema))
}

/// The refusal of a step that can give rows of an empty level.
fn rows_of_nothing(name: &str) -> SqlError {
    let message = format!(
        "the recursion \"{name}\" can make rows of an empty level, at which it ends, which cannot \
         be maintained"
    );
    let hint = format!(
        "make each row of one of the level before: FROM {name} JOIN …, without outer joins that \
         keep other rows; where an aggregate over the whole level is wanted, with HAVING or \
         without, write GROUP BY true, which makes no group of no rows"
    );
    SqlError::unsupported(message).about(name).with_hint(hint)
}

/// Rows of which equal ones are to count once.
fn with_one_zero(rows: Arc<Plan>) -> Result<Arc<Plan>, SqlError> {
    let schema = Arc::clone(&rows.schema);
    let columns = all_columns(&schema).into_iter();
    let columns = columns.map(|column| one_zero(column, &schema));
    let columns = columns.collect::<Result<_, _>>()?;
    Ok(map(rows, None, columns, schema))
}
