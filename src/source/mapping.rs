//! Applies mappings to raw rows: rows of tables for those that fit, reasons for the others.
//!
//! A raw row goes in whole or not at all: if any mapping fails for it, none of its rows is used.
//! Whole batches are tried first; a batch that fails is halved until the failing rows stand alone.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, UInt32Array, new_null_array};
use arrow::compute::{filter, filter_record_batch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};

use super::cast::checked_cast;
use super::error::SourceError;
use crate::model::{ChangeKind, TableDefinition, VALUE_BYTES_MAX};
use crate::sql::SqlError;
pub use crate::sql::mapping::Mapping;
use crate::sql::mapping::{MappingPlanner, RowQuery};

/// The output column that says whether a row is added (`upsert`, also NULL) or removed (`delete`).
const OPERATION: &str = "op";
/// The column that has the source's name where a mapping does not give it.
const SOURCE: &str = "source";

/// Mappings planned over raw rows of one schema.
pub struct Mapper {
    tables: Vec<TableMapping>,
}

/// Rows of one table that came of a raw batch.
#[derive(Clone, Debug)]
pub struct MappedRows {
    /// The position of the mapping in its source's list.
    pub mapping: usize,
    /// The table.
    pub table: Arc<str>,
    /// What is to be done with the rows.
    pub kind: ChangeKind,
    /// The rows.
    pub rows: RecordBatch,
    /// For each of them the position of its raw row in the batch.
    pub origins: UInt32Array,
}

/// A raw row that does not map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Its position in the batch.
    pub row: usize,
    /// The table it was meant for.
    pub table: Arc<str>,
    /// What is wrong with it.
    pub reason: String,
}

/// One mapping, with the way from its output to the table's columns.
struct TableMapping {
    query: RowQuery,
    table: Arc<str>,
    outputs: Vec<Output>,
    operation: Option<usize>,
    upsert_schema: SchemaRef,
    delete_schema: SchemaRef,
}

/// Where a column of the table comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Output {
    /// The query's output column at this position.
    Column(usize),
    /// The name of the source.
    SourceName,
    /// Nowhere: NULL.
    Null,
}

impl Mapper {
    /// Plans mappings over raw rows.
    ///
    /// # Errors
    /// If a mapping is no row-wise query over these columns, or does not fit its table.
    pub fn new(
        source: &str,
        mappings: &[Mapping],
        tables: &[TableDefinition],
        raw: &SchemaRef,
    ) -> Result<Mapper, SourceError> {
        let planner = MappingPlanner::new();
        let plan_one = |mapping: &Mapping| {
            let names = tables.iter().map(|table| table.name.as_str());
            let table = tables.iter().find(|table| table.name == mapping.table);
            let table = table.ok_or_else(|| {
                format!(
                    "there is no such table{}",
                    suggestion(&mapping.table, names)
                )
            })?;
            let query = planner
                .plan(raw, mapping)
                .map_err(|error| explain(&error))?;
            TableMapping::new(query, mapping, table)
        };
        let tables = mappings.iter().map(|mapping| {
            plan_one(mapping).map_err(|problem| SourceError::Mapping {
                name: source.to_owned(),
                table: mapping.table.clone(),
                problem,
            })
        });
        Ok(Mapper {
            tables: tables.collect::<Result<_, _>>()?,
        })
    }

    /// For each mapping, the position of a column in its table, if it has one with that name.
    pub fn column_positions(&self, name: &str) -> Vec<Option<usize>> {
        let tables = self.tables.iter();
        tables
            .map(|table| table.upsert_schema.index_of(name).ok())
            .collect()
    }

    /// The rows of all tables, without those that come of a rejected raw row.
    pub fn map(
        &self,
        source: &str,
        raw: &RecordBatch,
        rejections: &mut Vec<Rejection>,
    ) -> Vec<MappedRows> {
        let before = rejections.len();
        let mut mapped = Vec::new();
        for (index, table) in self.tables.iter().enumerate() {
            let mut run = Run {
                table,
                mapping: index,
                source,
                mapped: &mut mapped,
                rejections,
            };
            run.apply(raw, 0);
        }
        let rejected = rejections.get(before..).unwrap_or_default();
        if rejected.is_empty() {
            return mapped;
        }
        without(mapped, rejected, raw.num_rows())
    }
}

/// Leaves out the rows that come of rejected raw rows.
fn without(mapped: Vec<MappedRows>, rejected: &[Rejection], rows: usize) -> Vec<MappedRows> {
    let mut is_kept = vec![true; rows];
    for rejection in rejected {
        if let Some(kept) = is_kept.get_mut(rejection.row) {
            *kept = false;
        }
    }
    let keep = |part: MappedRows| {
        let kept = |origin: &u32| is_kept.get(*origin as usize).copied().unwrap_or_default();
        let mask = BooleanArray::from_iter(part.origins.values().iter().map(|row| Some(kept(row))));
        let rows = filter_record_batch(&part.rows, &mask).ok()?;
        let origins = filter(&part.origins, &mask).ok()?.as_primitive().clone();
        Some(MappedRows {
            rows,
            origins,
            ..part
        })
    };
    // A mask of the right length never fails.
    let parts = mapped.into_iter().filter_map(keep);
    parts.filter(|part| part.rows.num_rows() > 0).collect()
}

impl TableMapping {
    fn new(
        query: RowQuery,
        mapping: &Mapping,
        table: &TableDefinition,
    ) -> Result<TableMapping, String> {
        let names = output_names(&query, mapping)?;
        let has = |name: &str| table.column_index(name).is_some();
        let operation = match has(OPERATION) {
            true => None,
            false => names.iter().position(|name| name == OPERATION),
        };
        for (index, name) in names.iter().enumerate() {
            if !has(name) && operation != Some(index) {
                let columns = table.columns.iter().map(|column| column.name.as_str());
                let hint = suggestion(name, columns);
                return Err(format!("the table has no column `{name}`{hint}"));
            }
        }
        let mut outputs = Vec::new();
        for column in &table.columns {
            outputs.push(match names.iter().position(|name| *name == column.name) {
                Some(position) => Output::Column(position),
                None if column.name == SOURCE => Output::SourceName,
                None if column.nullable => Output::Null,
                // Deletes need no more than the key, which is checked row by row.
                None if operation.is_some() && !is_identifying(table, &column.name) => Output::Null,
                None => {
                    let name = &column.name;
                    return Err(format!(
                        "the query has no column `{name}`, which cannot be NULL"
                    ));
                }
            });
        }
        let delete_fields = table.columns.iter().map(|column| {
            let nullable = column.nullable || !is_identifying(table, &column.name);
            Field::new(&column.name, column.data_type.clone(), nullable)
        });
        Ok(TableMapping {
            query,
            table: table.name.as_str().into(),
            outputs,
            operation,
            upsert_schema: table.schema(),
            delete_schema: match table.is_keyed() {
                true => Arc::new(Schema::new(delete_fields.collect::<Vec<_>>())),
                false => table.schema(),
            },
        })
    }
}

/// Whether a column says which row is meant: a part of the key or of the version.
fn is_identifying(table: &TableDefinition, name: &str) -> bool {
    let index = table.column_index(name).unwrap_or(usize::MAX);
    !table.is_keyed() || table.primary_key.contains(&index) || table.version.contains(&index)
}

/// The names of the table's columns that the query's outputs are for.
fn output_names(query: &RowQuery, mapping: &Mapping) -> Result<Vec<String>, String> {
    let own = query.schema.fields();
    let names: Vec<String> = match mapping.columns.is_empty() {
        true => own.iter().map(|field| field.name().clone()).collect(),
        false if mapping.columns.len() == own.len() => mapping.columns.clone(),
        false => {
            let (listed, given) = (mapping.columns.len(), own.len());
            return Err(format!(
                "{listed} columns are listed and the query gives {given}"
            ));
        }
    };
    for (index, name) in names.iter().enumerate() {
        if names.iter().take(index).any(|other| other == name) {
            return Err(format!("the query gives `{name}` twice"));
        }
    }
    Ok(names)
}

/// One mapping applied to one raw batch.
struct Run<'a> {
    table: &'a TableMapping,
    mapping: usize,
    source: &'a str,
    mapped: &'a mut Vec<MappedRows>,
    rejections: &'a mut Vec<Rejection>,
}

impl Run<'_> {
    /// Maps the rows from `first` on of the batch; those that fail are found by halving.
    fn apply(&mut self, raw: &RecordBatch, first: usize) {
        match self.table.query.evaluate(raw) {
            Ok((rows, _)) if rows.num_rows() == 0 => {}
            Ok((rows, origins)) => self.take(&rows, &origins, first),
            Err(error) if raw.num_rows() <= 1 => self.reject(first, error.message),
            Err(_) => {
                let half = raw.num_rows() / 2;
                self.apply(&raw.slice(0, half), first);
                self.apply(&raw.slice(half, raw.num_rows() - half), first + half);
            }
        }
    }

    fn reject(&mut self, row: usize, reason: String) {
        self.rejections.push(Rejection {
            row,
            table: Arc::clone(&self.table.table),
            reason,
        });
    }

    /// Brings the query's output into the table's columns.
    fn take(&mut self, rows: &RecordBatch, origins: &UInt32Array, first: usize) {
        let origins: UInt32Array = origins.unary(|origin| origin + first as u32);
        let mut failed = vec![false; rows.num_rows()];
        let columns = self.columns(rows, &origins, &mut failed);
        let is_delete = self.deletes(rows, &origins, &mut failed);
        let table = self.table;
        for (kind, schema) in [
            (ChangeKind::Upsert, &table.upsert_schema),
            (ChangeKind::Delete, &table.delete_schema),
        ] {
            let wants_delete = kind == ChangeKind::Delete;
            let chosen = |row: usize| is_delete.get(row).copied().unwrap_or(false) == wants_delete;
            self.refuse_nulls(&columns, schema, &origins, &chosen, &mut failed);
            self.refuse_long(&columns, schema, &origins, &mut failed);
            let mask: BooleanArray = failed
                .iter()
                .enumerate()
                .map(|(row, failed)| Some(!failed && chosen(row)))
                .collect();
            if mask.true_count() == 0 {
                continue;
            }
            match assemble(&columns, schema, &origins, &mask) {
                Ok((rows, origins)) => self.mapped.push(MappedRows {
                    mapping: self.mapping,
                    table: Arc::clone(&table.table),
                    kind,
                    rows,
                    origins,
                }),
                Err(error) => {
                    let origins = origins.values().to_vec();
                    for origin in origins {
                        self.reject(origin as usize, error.to_string());
                    }
                }
            }
        }
    }

    /// The table's columns, cast to their types; notes the rows that cannot be.
    fn columns(
        &mut self,
        rows: &RecordBatch,
        origins: &UInt32Array,
        failed: &mut [bool],
    ) -> Vec<ArrayRef> {
        let table = self.table;
        let mut columns = Vec::new();
        for (output, field) in table.outputs.iter().zip(table.upsert_schema.fields()) {
            let target = field.data_type();
            let column = match output {
                Output::Null => new_null_array(target, rows.num_rows()),
                Output::SourceName => {
                    let names = std::iter::repeat_n(self.source, rows.num_rows());
                    Arc::new(arrow::array::StringArray::from_iter_values(names)) as ArrayRef
                }
                Output::Column(position) => Arc::clone(rows.column(*position)),
            };
            let cast = checked_cast(&column, target);
            for (row, reason) in cast.failures {
                let origin = origins.value(row) as usize;
                self.reject(origin, format!("column {}: {reason}", field.name()));
                if let Some(failed) = failed.get_mut(row) {
                    *failed = true;
                }
            }
            columns.push(cast.column);
        }
        columns
    }

    /// Which rows are deletes.
    fn deletes(
        &mut self,
        rows: &RecordBatch,
        origins: &UInt32Array,
        failed: &mut [bool],
    ) -> Vec<bool> {
        let Some(position) = self.table.operation else {
            return vec![false; rows.num_rows()];
        };
        let words = checked_cast(rows.column(position), &DataType::Utf8).column;
        let mut is_delete = vec![false; rows.num_rows()];
        let words = words.as_string::<i32>().iter();
        for ((row, word), is_delete) in words.enumerate().zip(&mut is_delete) {
            match word {
                None | Some("upsert") => {}
                Some("delete") => *is_delete = true,
                Some(word) => {
                    let reason = format!("op is `{word}`; it must be `upsert` or `delete`");
                    self.reject(origins.value(row) as usize, reason);
                    if let Some(failed) = failed.get_mut(row) {
                        *failed = true;
                    }
                }
            }
        }
        is_delete
    }

    /// Rejects rows with values that no table takes.
    fn refuse_long(
        &mut self,
        columns: &[ArrayRef],
        schema: &SchemaRef,
        origins: &UInt32Array,
        failed: &mut [bool],
    ) {
        for (column, field) in columns.iter().zip(schema.fields()) {
            let Some(texts) = column.as_string_opt::<i32>() else {
                continue;
            };
            for (row, bytes) in texts.offsets().lengths().enumerate() {
                let is_long = bytes > VALUE_BYTES_MAX;
                if let (true, Some(failed @ false)) = (is_long, failed.get_mut(row)) {
                    *failed = true;
                    let name = field.name();
                    let reason = format!(
                        "column {name} has {bytes} bytes; a value has at most {VALUE_BYTES_MAX}"
                    );
                    self.reject(origins.value(row) as usize, reason);
                }
            }
        }
    }

    fn refuse_nulls(
        &mut self,
        columns: &[ArrayRef],
        schema: &SchemaRef,
        origins: &UInt32Array,
        chosen: &dyn Fn(usize) -> bool,
        failed: &mut [bool],
    ) {
        for (column, field) in columns.iter().zip(schema.fields()) {
            if field.is_nullable() || column.null_count() == 0 {
                continue;
            }
            for (row, failed) in failed.iter_mut().enumerate() {
                if !*failed && column.is_null(row) && chosen(row) {
                    *failed = true;
                    let reason = format!("column {}: it is NULL and must not be", field.name());
                    self.reject(origins.value(row) as usize, reason);
                }
            }
        }
    }
}

fn assemble(
    columns: &[ArrayRef],
    schema: &SchemaRef,
    origins: &UInt32Array,
    mask: &BooleanArray,
) -> Result<(RecordBatch, UInt32Array), ArrowError> {
    let options = RecordBatchOptions::new().with_row_count(Some(mask.true_count()));
    if mask.true_count() == mask.len() {
        let rows =
            RecordBatch::try_new_with_options(Arc::clone(schema), columns.to_vec(), &options)?;
        return Ok((rows, origins.clone()));
    }
    let kept = columns.iter().map(|column| filter(column, mask));
    let kept = kept.collect::<Result<Vec<_>, _>>()?;
    let rows = RecordBatch::try_new_with_options(Arc::clone(schema), kept, &options)?;
    Ok((rows, filter(origins, mask)?.as_primitive().clone()))
}

fn explain(error: &SqlError) -> String {
    match &error.hint {
        Some(hint) => format!("{error}; {hint}"),
        None => error.to_string(),
    }
}

/// `; did you mean …?` if one of the names is near.
fn suggestion<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> String {
    let near = names.map(|other| (strsim::jaro_winkler(name, other), other));
    let nearest = near.max_by(|one, other| one.0.total_cmp(&other.0));
    match nearest {
        Some((likeness, other)) if likeness > 0.8 => format!("; did you mean `{other}`?"),
        _ => String::new(),
    }
}
