//! Ad hoc queries, run by DataFusion over the tables and views as they stand at one moment.
//!
//! They run on `threads` of their own. Among DataFusion's rules for the physical plan stand `unsorted`
//! and `yielding`; `interrupt` ends what nobody waits for any more.

mod interrupt;
mod threads;
mod unsorted;
mod yielding;

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, JoinType, ParamValues, TableReference};
use datafusion::datasource::{MemTable, ViewTable, provider_as_source};
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryConsumer, MemoryReservation};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::{SendableRecordBatchStream, SessionState, SessionStateBuilder};
use datafusion::logical_expr::{
    Expr, LogicalPlan, LogicalPlanBuilder, ScalarUDF, TableSource, Values,
};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::display::DisplayableExecutionPlan;
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::Query;
use futures::StreamExt;

use super::bound_value::rebound;
use super::catalog::Catalog;
use super::error::SqlError;
use super::functions::clock;
use super::operators::parameters;
use super::overview;
use super::place::located;
use super::planner::{Planner, Sources, external, plain_view};
use super::rules::{Purpose, optimizer_rules, register_rewrites};
use super::session_state::session_config;
use super::statement::parse_query;
use super::subqueries::subquery;
use super::system::{self, Facts, Settings, Statistics, mentions_system, rewritten};
use interrupt::Wanted;
use threads::QueryThreads;
use unsorted::UnsortedUnions;
use yielding::YieldingJoins;

/// Limits of queries.
#[derive(Clone, Debug)]
pub struct QueryLimits {
    /// Memory for sorts, joins and aggregations of all queries that run at a time.
    pub memory_bytes: usize,
    /// Threads that a query may use.
    pub partitions: usize,
    /// The longest time from a query to its last row; `None`: as long as it takes.
    pub timeout: Option<Duration>,
    /// The most rows of an answer.
    pub rows: usize,
}

impl Default for QueryLimits {
    fn default() -> Self {
        QueryLimits {
            memory_bytes: 2 << 30,
            partitions: std::thread::available_parallelism().map_or(2, usize::from),
            timeout: None,
            rows: usize::MAX,
        }
    }
}

/// What all queries run in: they share its memory.
#[derive(Clone, Debug)]
pub struct QueryRuntime {
    limits: QueryLimits,
    environment: Arc<RuntimeEnv>,
    /// Functions, rules and settings, which no query changes.
    state: Arc<SessionState>,
    threads: QueryThreads,
}

impl QueryRuntime {
    /// A runtime with these limits.
    pub fn new(limits: QueryLimits) -> Result<QueryRuntime, SqlError> {
        // Names lead to tables only, and nothing is spilled to files.
        let environment = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(GreedyMemoryPool::new(limits.memory_bytes)))
            .with_disk_manager_builder(
                DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled),
            )
            .build_arc()?;
        let mut state = SessionStateBuilder::new()
            .with_config(session_config().with_target_partitions(limits.partitions))
            .with_runtime_env(Arc::clone(&environment))
            .with_default_features()
            .with_optimizer_rules(optimizer_rules(Purpose::Query))
            .with_physical_optimizer_rules(physical_rules())
            .build();
        register_rewrites(&mut state)?;
        Ok(QueryRuntime {
            threads: QueryThreads::start(limits.partitions)?,
            state: Arc::new(state),
            limits,
            environment,
        })
    }

    /// The limits.
    pub fn limits(&self) -> &QueryLimits {
        &self.limits
    }

    /// Memory of all queries for an answer that is held as a whole; of nothing yet.
    pub fn answer_memory(&self) -> MemoryReservation {
        MemoryConsumer::new("an answer").register(&self.environment.memory_pool)
    }
}

/// What queries read: tables and live views at one moment.
pub trait Relations: Send + Sync {
    /// The table or live view called `name`; an error if it cannot be read as it stands.
    fn provider(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, SqlError>;

    /// The catalog, for plain views.
    fn catalog(&self) -> &Catalog;

    /// The timestamp (ms) of the moment, which `now()` gives.
    fn timestamp_ms(&self) -> u64;

    /// The rows of a system table.
    fn system_table(&self, name: &str) -> Result<Option<RecordBatch>, SqlError>;

    /// How much a table or live view holds; bytes only if they are wanted, as counting them costs.
    fn statistics(&self, name: &str, wants_bytes: bool) -> Statistics;
}

/// Everything a query may read, at one moment.
pub struct QueryContext {
    planner: Planner,
    relations: Arc<dyn Relations>,
    /// Those of the session, for the system tables.
    settings: Arc<Settings>,
    state: Arc<SessionState>,
    threads: QueryThreads,
}

impl QueryContext {
    /// A context over the given tables and views.
    pub fn new(
        planner: Planner,
        relations: Arc<dyn Relations>,
        settings: Arc<Settings>,
        runtime: &QueryRuntime,
    ) -> QueryContext {
        QueryContext {
            planner,
            relations,
            settings,
            state: Arc::clone(&runtime.state),
            threads: runtime.threads.clone(),
        }
    }

    /// A context in which the given rows (at least one batch, for their columns) have a name, too.
    pub fn with_rows(&self, name: &str, rows: Vec<RecordBatch>) -> Result<QueryContext, SqlError> {
        let rows = fixed_rows(rows)?;
        Ok(QueryContext {
            planner: self.planner.clone(),
            relations: Arc::new(WithRows {
                relations: Arc::clone(&self.relations),
                name: name.to_owned(),
                rows,
            }),
            settings: Arc::clone(&self.settings),
            state: Arc::clone(&self.state),
            threads: self.threads.clone(),
        })
    }

    /// The timestamp (ms) of the moment that is read.
    pub fn timestamp_ms(&self) -> u64 {
        self.relations.timestamp_ms()
    }

    /// Plans a query; parameters are left open.
    pub fn plan(&self, query: &Query) -> Result<LogicalPlan, SqlError> {
        let mut sources = ProviderSources {
            context: self,
            depth: 0,
            facts: None,
        };
        let plan = match mentions_system(query) {
            false => self.planner.logical_plan(&sources, query)?,
            true => {
                let facts = Arc::new(self.facts(query));
                let query = rewritten(&facts, query)?;
                sources.facts = Some(facts);
                self.planner.logical_plan(&sources, &query)?
            }
        };
        let rewritten = subquery::rewrite(plan).map_err(SqlError::from);
        let plan = rewritten.map_err(|error| located(error, query))?;
        Ok(parameters::typed(plan)?)
    }

    /// What there is to tell about the system.
    fn facts(&self, query: &Query) -> Facts {
        let catalog = self.relations.catalog();
        let text = query.to_string().to_lowercase();
        let wants_bytes = text.contains("mainstem.") || text.contains("_size");
        let columns = |view: &str| {
            let query = parse_query(catalog.plain_views.get(view)?).ok()?;
            self.planner.query_schema(catalog, &query).ok()
        };
        let statistics = |name: &str| self.relations.statistics(name, wants_bytes);
        let routines = system::routines(self.planner.functions(), &text);
        let settings = Arc::clone(&self.settings);
        Facts::new(catalog, settings, columns, statistics, routines)
    }

    /// Plans the rows of an INSERT; a parameter that stands for a whole value is of the type of the
    /// column it goes to.
    pub fn plan_rows(&self, query: &Query, columns: &[DataType]) -> Result<LogicalPlan, SqlError> {
        let plan = self.plan(query)?.transform_up(|node| match node {
            LogicalPlan::Values(values) => typed_values(values, columns).map(Transformed::yes),
            other => other.recompute_schema().map(Transformed::yes),
        });
        Ok(parameters::typed(plan?.data)?)
    }

    /// Plans the rows of an UPDATE, among whose columns are new values for those of a table, by
    /// their names; a parameter that stands for a whole value is of the type of its column.
    pub fn plan_assigned(
        &self,
        query: &Query,
        columns: &[(String, DataType)],
    ) -> Result<LogicalPlan, SqlError> {
        let plan = self.plan(query)?.transform_up(|node| {
            node.map_expressions(|expression| Ok(typed_value(expression, columns)))
        });
        Ok(parameters::typed(plan?.data)?)
    }

    /// The types of the parameters $1, $2, … of a plan; text where nothing tells.
    pub fn parameter_types(plan: &LogicalPlan) -> Result<Vec<DataType>, SqlError> {
        let found = plan.get_parameter_types()?;
        let numbered = found.iter().filter_map(|(name, data_type)| {
            let number: usize = name.trim_start_matches('$').parse().ok()?;
            Some((number, data_type.clone().unwrap_or(DataType::Utf8)))
        });
        let mut types = Vec::new();
        for (number, data_type) in numbered {
            if types.len() < number {
                types.resize(number, DataType::Utf8);
            }
            types[number - 1] = data_type;
        }
        Ok(types)
    }

    /// The columns of the rows that a plan gives when values of these types are bound.
    pub fn columns(&self, plan: &LogicalPlan, parameters: &[DataType]) -> SchemaRef {
        let nulls = parameters.iter().map(ScalarValue::try_new_null);
        let nulls: DataFusionResult<Vec<ScalarValue>> = nulls.collect();
        let bound = nulls
            .map_err(SqlError::from)
            .and_then(|nulls| QueryContext::bind(plan.clone(), &nulls));
        match bound {
            Ok(bound) => self.planner.columns(&bound),
            // A parameter may stand where NULL cannot.
            Err(_) => self.planner.columns(plan),
        }
    }

    /// Puts values in place of parameters.
    pub fn bind(plan: LogicalPlan, parameters: &[ScalarValue]) -> Result<LogicalPlan, SqlError> {
        if parameters.is_empty() {
            return Ok(plan);
        }
        let values = rebound(parameters, &QueryContext::parameter_types(&plan)?)?;
        let values = ParamValues::from(values);
        Ok(plan.with_param_values(values)?)
    }

    /// Whether a plan asks for the time.
    pub fn reads_clock(plan: &LogicalPlan) -> Result<bool, SqlError> {
        Ok(clock::is_read(plan)?)
    }

    /// Runs a plan, forgets its rows and tells what each step did.
    pub async fn analyze(&self, plan: LogicalPlan) -> Result<String, SqlError> {
        let (plan, mut rows) = self.started(plan).await?;
        while let Some(batch) = rows.next().await {
            batch?;
        }
        let text = DisplayableExecutionPlan::with_metrics(plan.as_ref());
        Ok(text.indent(false).to_string())
    }

    /// Runs a plan.
    pub async fn execute(&self, plan: LogicalPlan) -> Result<SendableRecordBatchStream, SqlError> {
        let (_, rows) = self.started(plan).await?;
        Ok(rows)
    }

    async fn started(
        &self,
        plan: LogicalPlan,
    ) -> Result<(Arc<dyn ExecutionPlan>, SendableRecordBatchStream), SqlError> {
        let plan = clock::at(plan, self.relations.timestamp_ms())?;
        let mut state = SessionState::clone(&self.state);
        state.mark_start_execution();
        let plan = state.create_physical_plan(&plan).await?;
        let wanted = Wanted::default();
        let plan = wanted.interrupting(plan)?;
        let context = state.task_ctx();
        let rows = self.threads.run(Arc::clone(&plan), context, wanted)?;
        Ok((plan, rows))
    }
}

/// DataFusion's rules, with what Mainstem has before and behind them.
fn physical_rules() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let mut rules = PhysicalOptimizer::new().rules;
    rules.insert(0, Arc::new(UnsortedUnions));
    rules.push(Arc::new(YieldingJoins));
    rules
}

/// Relations, and some rows under a name that hides others.
struct WithRows {
    relations: Arc<dyn Relations>,
    name: String,
    rows: Arc<dyn TableProvider>,
}

impl Relations for WithRows {
    fn provider(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, SqlError> {
        match name == self.name {
            true => Ok(Some(Arc::clone(&self.rows))),
            false => self.relations.provider(name),
        }
    }

    fn catalog(&self) -> &Catalog {
        self.relations.catalog()
    }

    fn timestamp_ms(&self) -> u64 {
        self.relations.timestamp_ms()
    }

    fn system_table(&self, name: &str) -> Result<Option<RecordBatch>, SqlError> {
        self.relations.system_table(name)
    }

    fn statistics(&self, name: &str, wants_bytes: bool) -> Statistics {
        self.relations.statistics(name, wants_bytes)
    }
}

fn fixed_rows(rows: Vec<RecordBatch>) -> DataFusionResult<Arc<dyn TableProvider>> {
    let schema = match rows.first() {
        Some(first) => first.schema(),
        None => Arc::new(Schema::empty()),
    };
    Ok(Arc::new(MemTable::try_new(schema, vec![rows])?))
}

/// A table in which the rows with some keys are replaced by others: those of `base` without the
/// keys in `touched` (all of them if it is empty), and those of `written`.
pub fn with_changes(
    name: &str,
    base: Arc<dyn TableProvider>,
    touched: Vec<RecordBatch>,
    written: Arc<dyn TableProvider>,
) -> Result<Arc<dyn TableProvider>, SqlError> {
    let schema = base.schema();
    let columns = |table: &str| -> Vec<Expr> {
        let fields = schema.fields().iter();
        fields
            .map(|field| {
                let table = TableReference::bare(table.to_owned());
                let column = Column::new(Some(table), field.name());
                Expr::Column(column).alias(field.name())
            })
            .collect()
    };
    let quoted = TableReference::bare(name.to_owned());
    let mut kept = LogicalPlanBuilder::scan(quoted, provider_as_source(base), None)?;
    if let Some(first) = touched.first() {
        let keys = first.schema();
        let keys = keys.fields().iter();
        let key = |table: &'static str| {
            move |field: &Arc<Field>| Column::new(Some(TableReference::bare(table)), field.name())
        };
        let right: Vec<Column> = keys.clone().map(key("touched")).collect();
        let left: Vec<Column> = keys
            .map(|field| Column::new(Some(TableReference::bare(name.to_owned())), field.name()))
            .collect();
        let touched = provider_as_source(fixed_rows(touched)?);
        let touched = LogicalPlanBuilder::scan("touched", touched, None)?.build()?;
        kept = kept.join(touched, JoinType::LeftAnti, (left, right), None)?;
    }
    let written = LogicalPlanBuilder::scan("written", provider_as_source(written), None)?;
    let written = written.project(columns("written"))?.build()?;
    let plan = kept.project(columns(name))?.union(written)?.build()?;
    Ok(Arc::new(ViewTable::new(plan, None)))
}

fn typed_values(mut values: Values, columns: &[DataType]) -> DataFusionResult<LogicalPlan> {
    for row in &mut values.values {
        for (value, column) in row.iter_mut().zip(columns) {
            if let Expr::Placeholder(placeholder) = value
                && placeholder.field.is_none()
            {
                let field = Field::new(&placeholder.id, column.clone(), true);
                placeholder.field = Some(Arc::new(field));
            }
        }
    }
    LogicalPlanBuilder::values(values.values)?.build()
}

/// A parameter that stands alone for a new value of a column, in the column's type.
fn typed_value(value: Expr, columns: &[(String, DataType)]) -> Transformed<Expr> {
    let Expr::Alias(mut alias) = value else {
        return Transformed::no(value);
    };
    let mut columns = columns.iter();
    let column = columns.find(|(name, _)| *name == alias.name);
    if let (Expr::Placeholder(placeholder), Some((_, data_type))) = (alias.expr.as_mut(), column)
        && placeholder.field.is_none()
    {
        let field = Field::new(&placeholder.id, data_type.clone(), true);
        placeholder.field = Some(Arc::new(field));
        return Transformed::yes(Expr::Alias(alias));
    }
    Transformed::no(Expr::Alias(alias))
}

struct ProviderSources<'a> {
    context: &'a QueryContext,
    depth: usize,
    /// Where the query is about the system.
    facts: Option<Arc<Facts>>,
}

impl Sources for ProviderSources<'_> {
    fn source(&self, name: &str) -> DataFusionResult<Arc<dyn TableSource>> {
        let context = self.context;
        if let Some(provider) = context.relations.provider(name).map_err(external)? {
            return Ok(provider_as_source(provider));
        }
        let catalog = context.relations.catalog();
        if !catalog.plain_views.contains_key(name) {
            return Err(external(catalog.undefined(name)));
        }
        let deeper = ProviderSources {
            context,
            depth: self.depth + 1,
            facts: self.facts.clone(),
        };
        plain_view(&context.planner, catalog, name, self.depth, &deeper)
    }

    fn system_table(
        &self,
        schema: Option<&str>,
        name: &str,
    ) -> DataFusionResult<Option<Arc<dyn TableSource>>> {
        if overview::is_system(schema, name) {
            let rows = self.context.relations.system_table(name);
            let rows = rows.map_err(external)?;
            return rows.map_or(Ok(None), |rows| {
                Ok(Some(provider_as_source(fixed_rows(vec![rows])?)))
            });
        }
        let Some(facts) = &self.facts else {
            return Ok(None);
        };
        let provider = system::table(facts, schema, name)?;
        Ok(provider.map(provider_as_source))
    }

    fn system_function(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        system::function(self.facts.as_ref()?, name)
    }
}
