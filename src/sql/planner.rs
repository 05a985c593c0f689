//! From SQL to DataFusion's logical plan to ours.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::plan_err;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, ScalarUDF, TableSource, Volatility};
use datafusion::sql::planner::{ParserOptions, SqlToRel};
use datafusion::sql::sqlparser::ast::{Query, Statement as Ast};

use super::aggregates::filtered_arguments;
use super::aggregates::interval_order;
use super::aggregates::peer_frames;
use super::catalog::{Catalog, ViewDefinition};
use super::columns::merged_columns;
use super::columns::same_names;
use super::columns::subqueries_in_order;
use super::columns::table_names;
use super::columns::whole_rows;
use super::decimal;
use super::error::SqlError;
use super::forms;
use super::forms::array_subquery;
use super::forms::like;
use super::functions::clock;
use super::functions::json;
use super::functions::own_functions::{FunctionError, Functions};
use super::functions::scalar;
use super::lower::written_clock::WrittenClock;
use super::lower::{self, output_map};
use super::names::Provider;
use super::operators::untyped_texts;
use super::overview;
use super::place::located;
use super::plan::unique::unique_columns;
use super::refusals::construct;
use super::refusals::grouped_aggregates;
use super::refusals::guard;
use super::refusals::mixed_types;
use super::refusals::outer_aggregate;
use super::refusals::self_reference;
use super::refusals::shape;
use super::relation;
use super::session_state::session_state;
use super::subqueries::first_rows;
use super::subqueries::single_row;
use super::subqueries::subquery;
use super::view_options::ViewOptions;

/// Nesting of plain views within one another.
const DEEPEST_VIEWS: usize = 16;

/// Plans queries; holds DataFusion's functions and settings, and is cheap to share.
#[derive(Clone)]
pub struct Planner {
    state: Arc<SessionState>,
}

impl Default for Planner {
    fn default() -> Self {
        Self::new()
    }
}

impl Planner {
    /// A planner with all of DataFusion's functions, and those for JSON.
    pub fn new() -> Planner {
        Planner {
            state: Arc::new(session_state()),
        }
    }

    /// The same with functions of the embedding program's own.
    pub fn with_functions(functions: &Functions) -> Result<Planner, FunctionError> {
        let mut state = session_state();
        functions.add_to(&mut state)?;
        Ok(Planner {
            state: Arc::new(state),
        })
    }

    /// DataFusion's functions with Mainstem's and those of the embedding program.
    pub(super) fn functions(&self) -> &SessionState {
        &self.state
    }

    /// Plans a live view without options, or says why it cannot be maintained.
    pub fn plan_view(
        &self,
        catalog: &Catalog,
        name: &str,
        query: &Query,
        statement: &str,
    ) -> Result<ViewDefinition, SqlError> {
        let options = ViewOptions::default();
        self.plan_view_with(catalog, name, query, &options, statement)
    }

    /// The same with options.
    pub fn plan_view_with(
        &self,
        catalog: &Catalog,
        name: &str,
        query: &Query,
        options: &ViewOptions,
        statement: &str,
    ) -> Result<ViewDefinition, SqlError> {
        let sources = LiveSources {
            planner: self,
            catalog,
            depth: 0,
        };
        self.plan_maintained(&sources, name, query, options, statement)
            .map_err(|error| located(error, query))
    }

    fn plan_maintained(
        &self,
        sources: &LiveSources<'_>,
        name: &str,
        query: &Query,
        options: &ViewOptions,
        statement: &str,
    ) -> Result<ViewDefinition, SqlError> {
        let catalog = sources.catalog;
        let logical = self.logical_plan(sources, query)?;
        let logical = subquery::rewrite(logical)?;
        refuse_unmaintainable(&logical)?;
        let optimized = self.state.optimize(&clock::symbolic(logical.clone())?)?;
        // Subqueries become joins in which their outer rows may stand twice.
        self_reference::check(&optimized)?;
        let lowered = lower::lower(&lower::zero::in_joins(optimized)?)?;
        let lowered = options.applied(lowered)?;
        let plan = lower::temporal::schedule(&lowered, &WrittenClock::of(query))?;
        let schema = view_schema(name, &plan.schema, logical.schema().as_arrow())?;
        let plan = output_map(plan, Arc::clone(&schema));
        let apart = lower::whole_partition::taken_apart(&lower::dense_rank::taken_apart(&plan));
        Ok(ViewDefinition {
            name: name.to_owned(),
            statement: statement.to_owned(),
            key: unique_columns(&plan, catalog),
            inputs: plan.relations(),
            schema,
            plan: lower::delta_join::gathered(&apart, catalog),
        })
    }

    /// The columns of a query over the catalog.
    pub fn query_schema(&self, catalog: &Catalog, query: &Query) -> Result<SchemaRef, SqlError> {
        let sources = LiveSources {
            planner: self,
            catalog,
            depth: 0,
        };
        let logical = self.logical_plan(&sources, query)?;
        // Some subqueries can be analysed only when they have been rewritten.
        let rewritten = subquery::rewrite(logical.clone());
        Ok(self.columns(&rewritten.unwrap_or(logical)))
    }

    /// Refuses a plain view that cannot be read.
    pub fn check_view(&self, catalog: &Catalog, name: &str, query: &Query) -> Result<(), SqlError> {
        same_names::refuse(name, self.query_schema(catalog, query)?.as_ref())
    }

    /// The columns of a plan's rows when it is run: the planner has not yet brought operands and
    /// branches of several types to one.
    pub(super) fn columns(&self, plan: &LogicalPlan) -> SchemaRef {
        let options = self.state.config_options();
        let analyzer = self.state.analyzer();
        match analyzer.execute_and_check(plan.clone(), options, |_, _| {}) {
            Ok(analyzed) => Arc::clone(analyzed.schema().inner()),
            // It is refused, with the reason, when it is run.
            Err(_) => Arc::clone(plan.schema().inner()),
        }
    }

    /// A query's logical plan over the given sources, not yet optimised.
    pub fn logical_plan(
        &self,
        sources: &dyn Sources,
        query: &Query,
    ) -> Result<LogicalPlan, SqlError> {
        let provider = Provider {
            state: &self.state,
            sources,
        };
        let options = ParserOptions::new()
            .with_map_string_types_to_utf8view(false)
            .with_parse_float_as_decimal(false)
            .with_collect_spans(true);
        let planner = SqlToRel::new_with_options(&provider, options);
        guard::check_expansion(query)?;
        shape::check_grouping(query)?;
        let planned = self.rewritten(sources, query).and_then(|rewritten| {
            same_names::planned(rewritten, &|query| {
                let planned = planner.sql_statement_to_plan(Ast::Query(Box::new(query)));
                planned.map_err(SqlError::from)
            })
        });
        let aggregates = self.state.aggregate_functions();
        let is_aggregate = |name: &str| aggregates.contains_key(name);
        let planned = planned
            .map_err(|error| grouped_aggregates::explained(error, query, &is_aggregate))
            .and_then(|planned| Ok(untyped_texts::typed(planned)?))
            .map_err(|error| located(error, query))?;
        self_reference::check(&planned)
            .and_then(|()| outer_aggregate::check(&planned))
            .and_then(|()| grouped_aggregates::check(&planned))
            .and_then(|()| mixed_types::refuse(&planned))
            .map_err(|error| located(error, query))?;
        shape::check_plan(&planned)?;
        let planned = interval_order::by_length(decimal::in_conditions(planned)?)?;
        let planned = peer_frames::in_groups(planned)?;
        let planned = json::told(first_rows::rewrite(planned)?)?;
        Ok(filtered_arguments::guarded(planned)?)
    }

    /// A query, written so that DataFusion reads it as it is meant.
    fn rewritten(&self, sources: &dyn Sources, query: &Query) -> Result<Query, SqlError> {
        let mut query = query.clone();
        let lambdas = self.state.higher_order_functions();
        construct::refuse_lambdas(&mut query, &|name| lambdas.contains_key(name))?;
        table_names::in_forms(&mut query, sources);
        forms::rewrite(&mut query)?;
        let aggregates = self.state.aggregate_functions();
        let is_aggregate =
            |name: &str| aggregates.contains_key(scalar::other_name(name).unwrap_or(name));
        array_subquery::rewrite(&mut query, &is_aggregate)?;
        whole_rows::rewrite(&mut query, sources);
        table_names::rewrite(&mut query, sources, &is_aggregate)?;
        subqueries_in_order::rewrite(&mut query);
        merged_columns::rewrite(&mut query)?;
        decimal::keep_long(&mut query);
        like::with_backslashes(&mut query);
        relation::arrange(&mut query)?;
        Ok(query)
    }
}

/// Where names of tables lead.
pub trait Sources {
    /// The table or view called `name`.
    fn source(&self, name: &str) -> DataFusionResult<Arc<dyn TableSource>>;

    /// A system table; without a schema one that is found in any.
    fn system_table(
        &self,
        _schema: Option<&str>,
        _name: &str,
    ) -> DataFusionResult<Option<Arc<dyn TableSource>>> {
        Ok(None)
    }

    /// A function about the system.
    fn system_function(&self, _name: &str) -> Option<Arc<ScalarUDF>> {
        None
    }
}

/// A base table or live view as seen by the planner.
#[derive(Debug)]
pub struct LiveSource {
    /// The name.
    pub name: Arc<str>,
    /// Whether it is a live view.
    pub is_view: bool,
    schema: SchemaRef,
    /// Positions of the columns whose values are unique together.
    key: Vec<usize>,
}

impl LiveSource {
    /// The columns whose values are unique together; none if none are known to be.
    pub fn key(&self) -> impl Iterator<Item = &String> {
        let positions = self.key.iter();
        positions.map(|position| self.schema.field(*position).name())
    }
}

impl TableSource for LiveSource {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

/// A plain view: stands for its query.
struct PlainView {
    plan: LogicalPlan,
}

impl TableSource for PlainView {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.plan.schema().inner())
    }

    fn get_logical_plan(&self) -> Option<Cow<'_, LogicalPlan>> {
        Some(Cow::Borrowed(&self.plan))
    }
}

/// The catalog's tables and views, for planning only.
struct LiveSources<'a> {
    planner: &'a Planner,
    catalog: &'a Catalog,
    depth: usize,
}

impl Sources for LiveSources<'_> {
    fn system_table(
        &self,
        schema: Option<&str>,
        name: &str,
    ) -> DataFusionResult<Option<Arc<dyn TableSource>>> {
        match overview::is_system(schema, name) {
            true => Err(external(overview::not_in_views(name))),
            false => Ok(None),
        }
    }

    fn source(&self, name: &str) -> DataFusionResult<Arc<dyn TableSource>> {
        let live = |schema, is_view| -> Arc<dyn TableSource> {
            Arc::new(LiveSource {
                name: name.into(),
                is_view,
                schema,
                key: self.catalog.key(name),
            })
        };
        if let Some(table) = self.catalog.tables.get(name) {
            return Ok(live(table.schema(), false));
        }
        if let Some(view) = self.catalog.live_views.get(name) {
            return Ok(live(Arc::clone(&view.schema), true));
        }
        let deeper = LiveSources {
            depth: self.depth + 1,
            ..*self
        };
        plain_view(self.planner, self.catalog, name, self.depth, &deeper)
    }
}

/// A plain view planned over `sources`.
pub fn plain_view(
    planner: &Planner,
    catalog: &Catalog,
    name: &str,
    depth: usize,
    sources: &dyn Sources,
) -> DataFusionResult<Arc<dyn TableSource>> {
    let Some(text) = catalog.plain_views.get(name) else {
        return Err(external(catalog.undefined(name)));
    };
    if depth >= DEEPEST_VIEWS {
        return plan_err!("views are nested more than {DEEPEST_VIEWS} deep at \"{name}\"");
    }
    let query = super::statement::parse_query(text).map_err(external)?;
    let plan = planner.logical_plan(sources, &query).map_err(external)?;
    guard::check_size(name, &plan)?;
    Ok(Arc::new(PlainView { plan }))
}

/// A refusal on its way through DataFusion.
pub fn external(error: SqlError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// Refuses what the optimiser would hide: functions of the clock become constants there, and
/// subqueries of several rows become joins.
fn refuse_unmaintainable(plan: &LogicalPlan) -> Result<(), SqlError> {
    let mut refusal = None;
    let visited = plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expression| {
            expression.apply(|part| {
                refusal = refusal.take().or_else(|| refusal_of(part));
                Ok(match refusal {
                    Some(_) => TreeNodeRecursion::Stop,
                    None => TreeNodeRecursion::Continue,
                })
            })
        })
    });
    match refusal {
        Some(refusal) => Err(refusal),
        None => Ok(visited.map(|_| ())?),
    }
}

fn refusal_of(expression: &Expr) -> Option<SqlError> {
    match expression {
        Expr::ScalarFunction(call) => {
            let name = call.func.name();
            match call.func.signature().volatility {
                _ if clock::is_time_of_day(expression) => Some(
                    SqlError::unsupported(format!("{name}() cannot be used in a live view"))
                        .about(name)
                        .with_hint("compare now() with a column, see docs/sql-queries.md"),
                ),
                Volatility::Immutable | Volatility::Stable => None,
                Volatility::Volatile => Some(
                    SqlError::unsupported(format!(
                        "{name}() gives another value at each call, so a view of it cannot be \
                         kept up to date"
                    ))
                    .about(name)
                    .with_hint("compute the value when the row is written"),
                ),
            }
        }
        Expr::ScalarSubquery(subquery) if !single_row::has_one_row(&subquery.subquery) => Some(
            SqlError::unsupported("a scalar subquery that may give several rows".to_owned())
                .with_hint("aggregate it, for instance with max(…), or add LIMIT 1"),
        ),
        _ => None,
    }
}

/// The columns of a view: the names of the query's output, each of them once.
fn view_schema(view: &str, lowered: &SchemaRef, named: &Schema) -> Result<SchemaRef, SqlError> {
    same_names::refuse(view, named)?;
    let mut fields = Vec::new();
    for (field, named) in lowered.fields().iter().zip(named.fields()) {
        let data_type = match field.data_type() {
            DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
            DataType::BinaryView | DataType::LargeBinary => DataType::Binary,
            DataType::Dictionary(_, values) => values.as_ref().clone(),
            other => other.clone(),
        };
        fields.push(Field::new(named.name(), data_type, field.is_nullable()));
    }
    Ok(Arc::new(Schema::new(fields)))
}
