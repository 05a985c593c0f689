//! Lists taken apart, by DataFusion's own operator: its times and counts are columns to it.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, UInt64Array};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, UInt64Type};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::unnest::{ListUnnest, UnnestExec};
use datafusion::physical_plan::{ExecutionPlan, common::collect};

use super::super::updates::{Updates, batch};
use crate::sql::plan::unnest::UnnestNode;

/// What takes lists apart.
pub struct Unnest {
    lists: Vec<ListUnnest>,
    node: UnnestNode,
    /// The columns of the result.
    schema: SchemaRef,
}

impl Unnest {
    /// Takes apart what the node says; `schema` has the columns of the result.
    pub fn new(node: &UnnestNode, schema: SchemaRef) -> Unnest {
        let lists = node.lists.iter().map(|(column, depth)| ListUnnest {
            index_in_input_schema: *column,
            depth: *depth,
        });
        Unnest {
            lists: lists.collect(),
            node: node.clone(),
            schema,
        }
    }

    /// The elements of a batch's rows, each with its row's time and count.
    pub fn apply(&self, updates: &Updates) -> Result<Updates> {
        let own = self.node.input.schema.fields().len();
        let mut columns = updates.rows.columns()[..own].to_vec();
        columns.push(Arc::new(updates.times.iter().collect::<UInt64Array>()) as ArrayRef);
        columns.push(Arc::new(updates.counts.iter().collect::<Int64Array>()));
        let input = with_lanes(&self.node.input.schema);
        let rows = RecordBatch::try_new(Arc::clone(&input), columns)?;
        let source = MemorySourceConfig::try_new_exec(&[vec![rows]], input, None)?;
        let output = with_lanes(&self.schema);
        let unnest = UnnestExec::new(
            source,
            self.lists.clone(),
            self.node.structs.clone(),
            Arc::clone(&output),
            self.node.options.clone(),
        )?;
        let stream = unnest.execute(0, Arc::new(TaskContext::default()))?;
        let batches = futures::executor::block_on(collect(stream))?;
        let rows = concat_batches(&output, &batches)?;
        let width = self.schema.fields().len();
        let times = rows.column(width).as_primitive::<UInt64Type>();
        let counts = rows.column(width + 1).as_primitive::<Int64Type>();
        Ok(Updates {
            times: times.values().to_vec().into(),
            counts: counts.values().to_vec().into(),
            rows: batch(
                Arc::clone(&self.schema),
                rows.columns()[..width].to_vec(),
                rows.num_rows(),
            ),
        })
    }
}

fn with_lanes(schema: &SchemaRef) -> SchemaRef {
    let lanes = [
        Arc::new(Field::new("time", DataType::UInt64, false)),
        Arc::new(Field::new("count", DataType::Int64, false)),
    ];
    let fields = schema.fields().iter().cloned().chain(lanes);
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}
