//! `GROUPING SETS`, `ROLLUP` and `CUBE`: the union of one grouping per set.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::logical_expr::{Aggregate as LogicalAggregate, Expr, GroupingSet};
use datafusion::physical_expr::expressions::Literal;
use datafusion::scalar::ScalarValue;

use super::super::error::SqlError;
use super::super::plan::{Expression, Node, Plan};
use super::super::refusals::shape::{GROUPING_SETS_MAX, too_many_sets};
use super::{aggregate, arrow_schema, column_of, map, plan_of};

/// Lowers an aggregation over several sets of keys. The columns are all keys, NULL where a set
/// leaves them out, the grouping id as DataFusion numbers the sets, and the results.
pub fn lower(node: &LogicalAggregate, sets: &GroupingSet) -> Result<Arc<Plan>, SqlError> {
    let schema = arrow_schema(&node.schema);
    let keys = sets.distinct_expr();
    let sets = included_keys(sets, &keys)?;
    let mut seen: HashMap<Vec<bool>, u64> = HashMap::new();
    let mut inputs = Vec::new();
    for set in sets {
        let ordinal = seen.entry(set.clone()).or_insert(0);
        let id = grouping_id(&set) | *ordinal << keys.len();
        *ordinal += 1;
        inputs.push(level(node, &keys, &set, id, &schema)?);
    }
    Ok(plan_of(Node::Union { inputs }, schema))
}

/// For each set whether it has each of the keys.
fn included_keys(sets: &GroupingSet, keys: &[&Expr]) -> Result<Vec<Vec<bool>>, SqlError> {
    let count = match sets {
        GroupingSet::Rollup(keys) => keys.len() + 1,
        GroupingSet::Cube(keys) => 1usize.checked_shl(keys.len() as u32).unwrap_or(usize::MAX),
        GroupingSet::GroupingSets(sets) => sets.len(),
    };
    if count as u64 > GROUPING_SETS_MAX {
        return Err(too_many_sets(count as u64));
    }
    let positions = 0..keys.len();
    Ok(match sets {
        GroupingSet::Rollup(_) => (0..count)
            .map(|length| positions.clone().map(|key| key < length).collect())
            .collect(),
        GroupingSet::Cube(_) => (0..count)
            .map(|mask| positions.clone().map(|key| mask >> key & 1 == 1).collect())
            .collect(),
        GroupingSet::GroupingSets(sets) => sets
            .iter()
            .map(|set| keys.iter().map(|key| set.contains(key)).collect())
            .collect(),
    })
}

/// A bit for each key that the set leaves out, the last key's the lowest.
fn grouping_id(set: &[bool]) -> u64 {
    set.iter()
        .fold(0, |id, is_included| id << 1 | u64::from(!is_included))
}

fn level(
    node: &LogicalAggregate,
    keys: &[&Expr],
    set: &[bool],
    id: u64,
    schema: &SchemaRef,
) -> Result<Arc<Plan>, SqlError> {
    let included: Vec<usize> = (0..keys.len()).filter(|key| set[*key]).collect();
    let own_keys: Vec<Expr> = included.iter().map(|key| keys[*key].clone()).collect();
    let results = keys.len() + 1..schema.fields().len();
    let kept = included.iter().copied().chain(results.clone());
    let fields: Vec<Field> = kept.map(|kept| schema.field(kept).clone()).collect();
    let rows = aggregate::grouped(node, &own_keys, Arc::new(Schema::new(fields)))?;
    let key = |key: usize| -> Result<Expression, SqlError> {
        match included.iter().position(|other| *other == key) {
            Some(position) => Ok(column_of(&rows.schema, position)),
            None => constant(ScalarValue::Null, schema.field(key).data_type()),
        }
    };
    let mut projection = (0..keys.len()).map(key).collect::<Result<Vec<_>, _>>()?;
    let id_type = schema.field(keys.len()).data_type();
    projection.push(constant(ScalarValue::UInt64(Some(id)), id_type)?);
    let results = included.len()..included.len() + results.len();
    projection.extend(results.map(|result| column_of(&rows.schema, result)));
    Ok(map(rows, None, projection, Arc::clone(schema)))
}

fn constant(value: ScalarValue, data_type: &DataType) -> Result<Expression, SqlError> {
    Ok(Arc::new(Literal::new(value.cast_to(data_type)?)))
}
