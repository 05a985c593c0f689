//! What the dialect's session is made of: DataFusion's functions, operators and settings, with what
//! Mainstem changes in them.

use std::sync::Arc;

use datafusion::execution::session_state::SessionState;
use datafusion::execution::{FunctionRegistry, SessionStateBuilder};
use datafusion::prelude::SessionConfig;

use super::aggregates::extremes;
use super::aggregates::mode;
use super::aggregates::percentile_disc;
use super::aggregates::sorting_aggregates;
use super::decimal;
use super::forms::like;
use super::functions::bounded;
use super::functions::clock;
use super::functions::constants;
use super::functions::json;
use super::functions::lists_by_row;
use super::functions::scalar;
use super::functions::typed_series;
use super::functions::version;
use super::operators::alternatives;
use super::operators::comparison::Comparisons;
use super::operators::date_hours::DateHours;
use super::operators::interval_product::IntervalProducts;
use super::operators::joined_text::JoinedTexts;
use super::operators::parameters::TimeParameters;
use super::operators::power::Powers;
use super::operators::untyped_texts;
use super::rules::{Purpose, optimizer_rules, register_rewrites};
use super::texts::time_pattern;

/// The settings that give views and ad hoc queries one dialect.
pub fn session_config() -> SessionConfig {
    let mut config = SessionConfig::new().with_information_schema(false);
    let options = config.options_mut();
    options.sql_parser.map_string_types_to_utf8view = false;
    options.execution.time_zone = Some("UTC".to_owned());
    // A CASE may be known never to be NULL before its expression is made, and not afterwards, as
    // `CASE WHEN a = b THEN a ELSE 1 END` is. That is no reason to refuse to group by it.
    options.execution.skip_physical_aggregate_schema_check = true;
    config
}

/// The state that plans are made with.
pub fn session_state() -> SessionState {
    let mut config = session_config();
    // Live views join with the subquery's rows; there is no run-time value to be plugged in.
    config
        .options_mut()
        .optimizer
        .enable_physical_uncorrelated_scalar_subquery = false;
    let mut state = SessionStateBuilder::new()
        .with_config(config)
        .with_expr_planners(untyped_texts::planners())
        .with_default_features()
        .with_optimizer_rules(optimizer_rules(Purpose::LiveView))
        .build();
    // Registering only fails for registries that take no functions.
    let _ = state.register_udf(clock::now_function());
    let _ = state.register_udf(version::function());
    let _ = json::register(&mut state);
    let _ = register_rewrites(&mut state);
    let _ = state.register_expr_planner(Arc::new(TimeParameters));
    let _ = state.register_expr_planner(Arc::new(IntervalProducts));
    let _ = state.register_expr_planner(Arc::new(DateHours));
    let _ = state.register_expr_planner(Arc::new(Powers));
    let _ = state.register_expr_planner(Arc::new(decimal::DecimalOperators));
    let _ = state.register_expr_planner(Arc::new(Comparisons));
    let _ = extremes::register(&mut state);
    let _ = mode::register(&mut state);
    let _ = percentile_disc::register(&mut state);
    let _ = sorting_aggregates::register(&mut state);
    let _ = scalar::register(&mut state);
    let _ = lists_by_row::register(&mut state);
    let _ = constants::register(&mut state);
    let _ = typed_series::register(&mut state);
    // It tells of a column what differs between plans of one query: its name, and whether it may be
    // NULL.
    let _ = state.deregister_udf("arrow_field");
    let _ = state.register_udf(like::pattern_function());
    let _ = state.register_expr_planner(Arc::new(JoinedTexts));
    let known = |name: &str| state.scalar_functions().get(name).cloned();
    let mut others = alternatives::functions(known);
    others.extend(time_pattern::functions(known));
    for function in others {
        let _ = state.register_udf(function);
    }
    // Behind all that take the place of functions: a bound is asked first.
    let bounded = bounded::functions(|name| state.scalar_functions().get(name).cloned());
    for function in bounded {
        let _ = state.register_udf(function);
    }
    state
}
