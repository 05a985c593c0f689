//! The physical operator that streams a [`Relation`] to DataFusion, in batches of its size.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, Statistics};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, StatisticsArgs,
};

use super::relation::{BatchIterator, Relation};

/// Scans the columns of a relation, in several partitions.
#[derive(Debug)]
pub(super) struct RelationScan {
    name: String,
    relation: Arc<dyn Relation>,
    projection: Option<Vec<usize>>,
    /// The most rows each partition need give.
    limit: Option<usize>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl RelationScan {
    /// A scan in at most `partitions` partitions; `name` is for `EXPLAIN`.
    pub(super) fn try_new(
        name: &str,
        relation: Arc<dyn Relation>,
        projection: Option<Vec<usize>>,
        limit: Option<usize>,
        partitions: usize,
    ) -> Result<Self> {
        let schema = match &projection {
            Some(columns) => Arc::new(relation.schema().project(columns)?),
            None => relation.schema(),
        };
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(relation.partitions(partitions)),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Ok(Self {
            name: name.to_owned(),
            relation,
            projection,
            limit,
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
        })
    }

    fn projected_schema(&self) -> &SchemaRef {
        self.properties.eq_properties.schema()
    }
}

impl DisplayAs for RelationScan {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = self.projected_schema().fields().iter();
        let columns: Vec<&str> = fields.map(|field| field.name().as_str()).collect();
        write!(f, "RelationScan: {} [{}]", self.name, columns.join(", "))?;
        match self.limit {
            Some(limit) => write!(f, ", limit={limit}"),
            None => Ok(()),
        }
    }
}

impl ExecutionPlan for RelationScan {
    fn name(&self) -> &str {
        "RelationScan"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        _children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let partitions = self.properties.partitioning.partition_count();
        if partition >= partitions {
            return Err(DataFusionError::Internal(format!(
                "partition {partition} of {} was asked for, it has {partitions}",
                self.name
            )));
        }
        let projection = self.projection.as_deref();
        let batches = Sliced {
            batches: self.relation.scan(projection, partition, partitions),
            current: None,
            batch_size: context.session_config().batch_size().max(1),
            remaining: self.limit.unwrap_or(usize::MAX),
            metrics: BaselineMetrics::new(&self.metrics, partition),
        };
        let schema = Arc::clone(self.projected_schema());
        let stream = futures::stream::iter(batches);
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, stream)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn statistics_from_inputs(
        &self,
        _inputs: &[Arc<Statistics>],
        args: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        let mut statistics = Statistics::new_unknown(self.projected_schema());
        if args.partition().is_none() {
            let rows = self.relation.row_count();
            statistics.num_rows = match self.limit {
                None => rows,
                Some(limit) => rows.min(&Precision::Exact(limit)).to_inexact(),
            };
        }
        Ok(Arc::new(statistics))
    }
}

/// Cuts batches to DataFusion's size, without copying, and stops at the limit.
struct Sliced {
    batches: BatchIterator,
    current: Option<RecordBatch>,
    batch_size: usize,
    remaining: usize,
    metrics: BaselineMetrics,
}

impl Iterator for Sliced {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.remaining == 0 {
            return None;
        }
        let batch = match self.current.take() {
            Some(batch) => batch,
            None => {
                let _timer = self.metrics.elapsed_compute().timer();
                match self.batches.next()? {
                    Ok(batch) => batch,
                    Err(error) => return Some(Err(error.into())),
                }
            }
        };
        let length = batch.num_rows().min(self.batch_size).min(self.remaining);
        if length < batch.num_rows() {
            self.current = Some(batch.slice(length, batch.num_rows() - length));
        }
        self.remaining -= length;
        self.metrics.output_rows().add(length);
        Some(Ok(batch.slice(0, length)))
    }
}
