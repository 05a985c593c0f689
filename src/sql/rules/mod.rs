//! The rules by which plans are analysed and optimised: DataFusion's, and Mainstem's among them.
//!
//! The order is that of [`optimizer_rules`]. Rules about sums stand in
//! [`aggregates`](super::aggregates), those about times as text in [`texts`](super::texts).

mod all_laterals;
pub(super) mod checked_numbers;
mod counted_constants;
mod failing;
pub(super) mod group_keys;
mod guarded_cases;
mod guarded_conditions;
mod guarded_parts;
pub(super) mod held_back;
mod join_order;
mod join_types;
mod null_keys;
mod plain_laterals;
mod written_order;

use std::sync::Arc;

use datafusion::error::Result as DataFusionResult;
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::optimizer::Optimizer;

use super::aggregates::checked_sums;
use super::functions::length_parts::LengthParts;
use super::functions::list_elements::ListElements;
use super::functions::lists_by_row::ListsByRow;
use super::functions::null_lists::NullLists;
use super::functions::null_rows::NullRows;
use super::texts::time_texts::TimeTexts;
use checked_numbers::CheckedNumbers;
use counted_constants::CountedConstants;
use guarded_cases::GuardedCases;
use guarded_conditions::GuardedConditions;
use guarded_parts::GuardedParts;
use held_back::Rule;
use join_order::JoinOrder;

/// What a plan is optimised for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A live view, whose operators check numbers and keep conditions from rows by themselves.
    LiveView,
    /// A query, whose operators DataFusion makes.
    Query,
}

/// The rules, in their order.
pub fn optimizer_rules(purpose: Purpose) -> Vec<Rule> {
    let rules = join_types::brought_to_one(Optimizer::new().rules);
    let rules = null_keys::kept_apart(checked_sums::kept_whole(rules));
    let mut rules = written_order::kept(rules);
    match purpose {
        Purpose::LiveView => order_joins(&mut rules),
        Purpose::Query => {
            rules.insert(0, Arc::new(GuardedParts));
            rules.insert(0, Arc::new(GuardedCases));
            rules.push(Arc::new(GuardedConditions));
        }
    }
    // Before constants are computed.
    rules.insert(0, Arc::new(TimeTexts { reads_only: false }));
    let checked = CheckedNumbers {
        constants_only: purpose == Purpose::LiveView,
    };
    rules.insert(0, Arc::new(checked));
    rules.push(Arc::new(CountedConstants));
    let rules = all_laterals::at_once(plain_laterals::made_plain(rules));
    group_keys::corrected_before(rules)
}

/// Has functions made others while plans are analysed, whatever for.
pub fn register_rewrites(state: &mut SessionState) -> DataFusionResult<()> {
    state.register_function_rewrite(Arc::new(ListElements))?;
    state.register_function_rewrite(Arc::new(NullLists))?;
    state.register_function_rewrite(Arc::new(ListsByRow))?;
    state.register_function_rewrite(Arc::new(NullRows))?;
    state.register_function_rewrite(Arc::new(LengthParts))
}

/// Joins are put in order as soon as their keys are known.
fn order_joins(rules: &mut Vec<Rule>) {
    let keys_are_known = rules
        .iter()
        .position(|rule| rule.name() == "eliminate_cross_join");
    if let Some(position) = keys_are_known {
        rules.insert(position + 1, Arc::new(JoinOrder));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(purpose: Purpose) -> Vec<String> {
        let rules = optimizer_rules(purpose);
        rules.iter().map(|rule| rule.name().to_owned()).collect()
    }

    /// DataFusion's rules are found by name, and none of them may be missing in a later version.
    #[test]
    fn rules_stand_around_those_of_datafusion() {
        for purpose in [Purpose::LiveView, Purpose::Query] {
            let names = names(purpose);
            assert_eq!(names[..3], ["group_keys", "checked_numbers", "time_texts"]);
            assert_eq!(
                names.last().map(String::as_str),
                Some("counted_constants"),
                "{purpose:?}"
            );
            let projections = names.iter().position(|name| name == "optimize_projections");
            let projections = projections.expect("a rule of DataFusion");
            assert_eq!(names[projections - 1], "group_keys");
            let filters = names.iter().position(|name| name == "push_down_filter");
            let filters = filters.expect("a rule of DataFusion");
            assert_eq!(names[filters - 1], "failing_marked");
            assert_eq!(names[filters + 1], "failing_unmarked");
            assert!(
                names
                    .iter()
                    .any(|name| name == "extract_equijoin_predicate")
            );
        }
        let of_views = names(Purpose::LiveView);
        let joins = of_views
            .iter()
            .position(|name| name == "eliminate_cross_join");
        let joins = joins.expect("a rule of DataFusion");
        assert_eq!(of_views[joins + 1], "join_order");
        let of_queries = names(Purpose::Query);
        assert_eq!(of_queries[of_queries.len() - 2], "guarded_conditions");
    }
}
