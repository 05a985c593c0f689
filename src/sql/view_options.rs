//! What is said about a live view beside its query: `CREATE MATERIALIZED VIEW … WITH (…)`.

use std::convert::Infallible;
use std::sync::Arc;

use datafusion::sql::sqlparser::ast::{Expr, SqlOption, Value};

use super::error::SqlError;
use super::plan::recursive::LEVELS_MAX;
use super::plan::{Node, Plan};

/// The options of a live view.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ViewOptions {
    /// Levels of its recursions, where that is said.
    pub recursion_levels: Option<usize>,
}

impl ViewOptions {
    /// Reads options as they are written.
    pub fn of(written: &[SqlOption]) -> Result<ViewOptions, SqlError> {
        let mut options = ViewOptions::default();
        for option in written {
            let SqlOption::KeyValue { key, value } = option else {
                return Err(unknown(option));
            };
            if !key.value.eq_ignore_ascii_case("recursion_levels") {
                return Err(unknown(option));
            }
            options.recursion_levels = Some(levels(value)?);
        }
        Ok(options)
    }

    /// The plan as the options want it.
    pub fn applied(&self, plan: Arc<Plan>) -> Result<Arc<Plan>, SqlError> {
        let Some(levels) = self.recursion_levels else {
            return Ok(plan);
        };
        if !is_recursive(&plan) {
            return Err(SqlError::new(
                "42P16",
                "the option recursion_levels is for views with a recursion, and this one has none",
            )
            .with_hint("leave it out"));
        }
        Ok(with_levels(&plan, levels))
    }
}

fn levels(value: &Expr) -> Result<usize, SqlError> {
    let number = match value {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => digits.parse().ok(),
            Value::SingleQuotedString(text) => text.trim().parse().ok(),
            _ => None,
        },
        _ => None,
    };
    number
        .filter(|levels| (1..=LEVELS_MAX).contains(levels))
        .ok_or_else(|| {
            let message =
                format!("recursion_levels is a number from 1 to {LEVELS_MAX}, not {value}");
            SqlError::new("22023", message)
        })
}

fn unknown(option: &SqlOption) -> SqlError {
    SqlError::unsupported(format!("there is no option {option} of a live view"))
        .with_hint("there is one: WITH (recursion_levels = 100)")
}

fn is_recursive(plan: &Plan) -> bool {
    matches!(plan.node, Node::Recursive(_))
        || plan.inputs().into_iter().any(|one| is_recursive(one))
}

fn with_levels(plan: &Arc<Plan>, levels: usize) -> Arc<Plan> {
    let Ok(mut node) = plan
        .node
        .with_inputs(|input| Ok::<_, Infallible>(with_levels(input, levels)));
    if let Node::Recursive(recursive) = &mut node {
        recursive.levels = levels;
    }
    let schema = Arc::clone(&plan.schema);
    Arc::new(Plan { node, schema })
}
