//! What determines the columns of groups.
//!
//! DataFusion notes which columns determine others, and leaves out of a GROUP BY those that are
//! determined. Of an aggregation it notes that a key of one of its joined inputs determines all of
//! its columns, also where other columns are grouped by beside it: a grouping of the groups by both
//! then loses the others, and gives too few groups. And of rows whose lists are taken apart it notes
//! what it did of those that have the lists: that there is one for each key, and that the key
//! determines the elements. Here such notes are taken back.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchemaRef, Dependency, FunctionalDependence, FunctionalDependencies};
use datafusion::error::Result;
use datafusion::logical_expr::{Aggregate, LogicalPlan, Unnest};
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

use super::held_back::Rule;
use crate::sql::relation::is_list_in_from;

/// The rules that ask for what is noted.
const ASKING: [&str; 3] = [
    "replace_distinct_aggregate",
    "eliminate_duplicated_expr",
    "optimize_projections",
];

/// The rules, with what is noted corrected before the first and before those that ask for it, as
/// others note it anew in between.
pub fn corrected_before(mut rules: Vec<Rule>) -> Vec<Rule> {
    for asking in ASKING {
        if let Some(position) = rules.iter().position(|rule| rule.name() == asking) {
            rules.insert(position, Arc::new(GroupKeys));
        }
    }
    rules.insert(0, Arc::new(GroupKeys));
    rules
}

/// Rows of elements with nothing noted of them.
pub fn of_elements(plan: LogicalPlan) -> Result<LogicalPlan> {
    match plan {
        LogicalPlan::Unnest(mut rows) => {
            rows.schema = with_notes(&rows.schema, FunctionalDependencies::empty())?;
            Ok(LogicalPlan::Unnest(rows))
        }
        plan => Ok(plan),
    }
}

/// Has it noted of groups that what they are grouped by determines them, where less does not.
#[derive(Debug)]
struct GroupKeys;

impl OptimizerRule for GroupKeys {
    fn name(&self) -> &str {
        "group_keys"
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        corrected(plan)
    }
}

fn corrected(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let below = plan
        .map_subqueries(corrected)?
        .transform_data(|plan| plan.map_children(corrected))?;
    let is_changed = below.transformed;
    // What determines what is noted anew, from what has been corrected below.
    let plan = match below.data {
        plan @ (LogicalPlan::Projection(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Join(_)
        | LogicalPlan::Window(_)
        | LogicalPlan::Aggregate(_))
            if is_changed =>
        {
            plan.recompute_schema()?
        }
        plan => plan,
    };
    let (plan, is_corrected) = match plan {
        LogicalPlan::Aggregate(mut groups) => {
            let schema = corrected_schema(&groups)?;
            let is_corrected = schema.is_some();
            if let Some(schema) = schema {
                groups.schema = schema;
            }
            (LogicalPlan::Aggregate(groups), is_corrected)
        }
        LogicalPlan::Unnest(mut rows) => {
            let notes = notes_of_elements(&rows);
            let is_corrected = notes.is_some();
            if let Some(notes) = notes {
                rows.schema = with_notes(&rows.schema, notes)?;
            }
            (LogicalPlan::Unnest(rows), is_corrected)
        }
        plan => (plan, false),
    };
    let is_changed = is_changed || is_corrected;
    Ok(Transformed::new(
        plan,
        is_changed,
        TreeNodeRecursion::Continue,
    ))
}

/// What holds of rows of elements; `None` if it is what is noted.
///
/// Of elements in SELECT the planner has noted it, too, and whatever groups by the key was planned
/// to group by the elements beside it. The note that takes that back is left to them.
fn notes_of_elements(rows: &Unnest) -> Option<FunctionalDependencies> {
    let noted = rows.schema.functional_dependencies();
    if rows.exec_columns.iter().all(is_list_in_from) {
        return (!noted.is_empty()).then(FunctionalDependencies::empty);
    }
    let mut modes = noted.iter().map(|note| note.mode);
    let is_single = modes.any(|mode| mode == Dependency::Single);
    is_single.then(|| noted.clone().with_dependency(Dependency::Multi))
}

fn with_notes(schema: &DFSchemaRef, notes: FunctionalDependencies) -> Result<DFSchemaRef> {
    let schema = schema.as_ref().clone();
    Ok(Arc::new(schema.with_functional_dependencies(notes)?))
}

/// The columns of groups, determined by all that they are grouped by; `None` if what is noted is
/// right.
fn corrected_schema(groups: &Aggregate) -> Result<Option<DFSchemaRef>> {
    let mut names: Vec<String> = Vec::new();
    for key in &groups.group_expr {
        let name = key.schema_name().to_string();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let noted = groups.schema.functional_dependencies();
    let is_right = |dependence: &FunctionalDependence| {
        dependence.source_indices.len() >= names.len() || determines(dependence, groups, &names)
    };
    if noted.iter().all(is_right) {
        return Ok(None);
    }
    let key: Vec<usize> = (0..names.len()).collect();
    let all: Vec<usize> = (0..groups.schema.fields().len()).collect();
    let fields = groups.schema.fields();
    let nullable = key.iter().any(|position| fields[*position].is_nullable());
    let key = FunctionalDependence::new(key, all, nullable).with_mode(Dependency::Single);
    with_notes(&groups.schema, FunctionalDependencies::new(vec![key])).map(Some)
}

/// Whether the columns that are said to determine groups determine, below them, all columns that
/// are grouped by.
fn determines(dependence: &FunctionalDependence, groups: &Aggregate, names: &[String]) -> bool {
    let input = groups.input.schema();
    let columns = input.field_names();
    let sources: Vec<&String> = dependence
        .source_indices
        .iter()
        .filter_map(|position| names.get(*position))
        .collect();
    input.functional_dependencies().iter().any(|below| {
        let has_sources = below
            .source_indices
            .iter()
            .all(|position| sources.contains(&&columns[*position]));
        let is_determined = |name: &String| {
            let mut determined = below.target_indices.iter();
            determined.any(|position| columns[*position] == *name)
        };
        has_sources && names.iter().all(is_determined)
    })
}
