//! Ad hoc queries, run by DataFusion over the tables and views as they stand at one moment.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field};
use datafusion::catalog::TableProvider;
use datafusion::common::ParamValues;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::datasource::{MemTable, provider_as_source};
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::{SendableRecordBatchStream, SessionStateBuilder};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, TableSource, Values};
use datafusion::prelude::{DataFrame, SessionContext};
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::Query;

use super::catalog::Catalog;
use super::clock;
use super::error::SqlError;
use super::planner::{Planner, Sources, external, plain_view, session_config};
use super::subquery::{self, Guarded};

/// Limits of queries.
#[derive(Clone, Debug)]
pub struct QueryLimits {
    /// Memory for sorts, joins and aggregations of all queries that run at a time.
    pub memory_bytes: usize,
    /// Threads that a query may use.
    pub partitions: usize,
    /// The longest time from a query to its last row; `None`: as long as it takes.
    pub timeout: Option<Duration>,
}

impl Default for QueryLimits {
    fn default() -> Self {
        QueryLimits {
            memory_bytes: 2 << 30,
            partitions: std::thread::available_parallelism().map_or(2, usize::from),
            timeout: None,
        }
    }
}

/// What all queries run in: they share its memory.
#[derive(Clone, Debug)]
pub struct QueryRuntime {
    limits: QueryLimits,
    environment: Arc<RuntimeEnv>,
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
        Ok(QueryRuntime {
            limits,
            environment,
        })
    }

    /// The limits.
    pub fn limits(&self) -> &QueryLimits {
        &self.limits
    }
}

/// What queries read: tables and live views at one moment.
pub trait Relations: Send + Sync {
    /// The table or live view called `name`; an error if it cannot be read as it stands.
    fn provider(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, SqlError>;

    /// The catalog, for plain views.
    fn catalog(&self) -> &Catalog;

    /// The moment (ms), which `now()` gives.
    fn timestamp_ms(&self) -> u64;

    /// The rows of a system table.
    fn system_table(&self, name: &str) -> Result<Option<RecordBatch>, SqlError>;
}

/// Everything a query may read, at one moment.
pub struct QueryContext {
    planner: Planner,
    relations: Arc<dyn Relations>,
    context: SessionContext,
}

impl QueryContext {
    /// A context over the given tables and views.
    pub fn new(
        planner: Planner,
        relations: Arc<dyn Relations>,
        runtime: &QueryRuntime,
    ) -> QueryContext {
        let partitions = runtime.limits.partitions;
        let state = SessionStateBuilder::new()
            .with_config(session_config().with_target_partitions(partitions))
            .with_runtime_env(Arc::clone(&runtime.environment))
            .with_default_features()
            .build();
        QueryContext {
            planner,
            relations,
            context: SessionContext::new_with_state(state),
        }
    }

    /// Plans a query; parameters are left open.
    pub fn plan(&self, query: &Query) -> Result<LogicalPlan, SqlError> {
        let sources = ProviderSources {
            context: self,
            depth: 0,
        };
        let plan = self.planner.logical_plan(&sources, query)?;
        Ok(subquery::rewrite(plan, Guarded::Correlated)?)
    }

    /// Plans the rows of an INSERT; a parameter that stands for a whole value is of the type of the
    /// column it goes to.
    pub fn plan_rows(&self, query: &Query, columns: &[DataType]) -> Result<LogicalPlan, SqlError> {
        let plan = self.plan(query)?.transform_up(|node| match node {
            LogicalPlan::Values(values) => typed_values(values, columns).map(Transformed::yes),
            other => other.recompute_schema().map(Transformed::yes),
        });
        Ok(plan?.data)
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

    /// Puts values in place of parameters.
    pub fn bind(plan: LogicalPlan, parameters: &[ScalarValue]) -> Result<LogicalPlan, SqlError> {
        if parameters.is_empty() {
            return Ok(plan);
        }
        let values = ParamValues::from(parameters.to_vec());
        Ok(plan.with_param_values(values)?)
    }

    /// Whether a plan asks for the time.
    pub fn reads_clock(plan: &LogicalPlan) -> Result<bool, SqlError> {
        Ok(clock::is_read(plan)?)
    }

    /// Runs a plan.
    pub async fn execute(&self, plan: LogicalPlan) -> Result<SendableRecordBatchStream, SqlError> {
        let plan = clock::at(plan, self.relations.timestamp_ms())?;
        let frame = DataFrame::new(self.context.state(), plan);
        Ok(frame.execute_stream().await?)
    }
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

struct ProviderSources<'a> {
    context: &'a QueryContext,
    depth: usize,
}

impl Sources for ProviderSources<'_> {
    fn source(&self, name: &str) -> DataFusionResult<Arc<dyn TableSource>> {
        let context = self.context;
        if let Some(provider) = context.relations.provider(name).map_err(external)? {
            return Ok(provider_as_source(provider));
        }
        let catalog = context.relations.catalog();
        if !catalog.plain_views.contains_key(name) {
            return Err(external(SqlError::undefined_table(name)));
        }
        let deeper = ProviderSources {
            context,
            depth: self.depth + 1,
        };
        plain_view(&context.planner, catalog, name, self.depth, &deeper)
    }

    fn system_table(&self, name: &str) -> DataFusionResult<Option<Arc<dyn TableSource>>> {
        let rows = self.context.relations.system_table(name);
        let Some(rows) = rows.map_err(external)? else {
            return Ok(None);
        };
        let table = MemTable::try_new(rows.schema(), vec![vec![rows]])?;
        Ok(Some(provider_as_source(Arc::new(table))))
    }
}
