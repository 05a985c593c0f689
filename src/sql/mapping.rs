//! Mappings: row-wise queries that turn the raw rows of a source into rows of tables.
//!
//! A mapping is a `SELECT` over the relation [`RAW`]. Each raw row gives at most one row, and
//! nothing but the raw row decides what it is: no joins, aggregates, subqueries or clocks. So a
//! failing row can be told from the others, and reading a file again gives the same rows.

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatchOptions, UInt32Array};
use arrow::compute::{filter, filter_record_batch, prep_null_mask_filter};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::common::plan_err;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, TableSource, Volatility};
use datafusion::sql::sqlparser::ast::{Expr as AstExpr, Ident, Query};

use super::error::SqlError;
use super::lower;
use super::plan::Expression;
use super::planner::{Planner, Sources};
use super::rules::register_rewrites;
use super::session_state::session_config;
use super::statement::{self, Insert, OnConflict, Statement};
use super::syntax::edit_expressions;
use super::texts::time_texts::TimeTexts;

/// The relation that a mapping reads.
pub const RAW: &str = "raw";

/// A query that makes rows of one table out of raw rows.
#[derive(Clone, Debug)]
pub struct Mapping {
    /// The target table.
    pub table: String,
    /// The target columns by position; empty: the query's output columns are matched by name.
    pub columns: Vec<String>,
    query: Box<Query>,
}

impl Mapping {
    /// A mapping written as a bare `SELECT … FROM raw`; columns are matched by name.
    ///
    /// # Errors
    /// If the text is not one query.
    pub fn new(table: &str, sql: &str) -> Result<Mapping, SqlError> {
        let query = statement::parse_query(sql)?;
        Ok(Mapping {
            table: table.to_owned(),
            columns: Vec::new(),
            query,
        })
    }

    /// The mappings of a file: `INSERT INTO table [(columns)] SELECT … FROM raw;` one or more
    /// times. A table may be the target of several.
    ///
    /// # Errors
    /// If the text is not SQL, has another statement, or has none.
    pub fn parse_all(text: &str) -> Result<Vec<Mapping>, SqlError> {
        let statements = statement::parse(text)?;
        if statements.is_empty() {
            return Err(SqlError::syntax("the mapping has no statement").with_hint(EXPECTED));
        }
        let mappings = statements.into_iter().map(|statement| match statement {
            Statement::Insert(Insert {
                table,
                columns,
                source: Some(query),
                on_conflict: OnConflict::Replace,
                returning: None,
            }) => Ok(Mapping {
                table,
                columns,
                query,
            }),
            _ => Err(SqlError::syntax("a mapping has INSERT statements only").with_hint(EXPECTED)),
        });
        mappings.collect()
    }

    /// The names that the query uses as columns, as they are written. Formats that do not list
    /// their columns (NDJSON) take these for their columns.
    pub fn mentioned_columns(&self) -> Vec<String> {
        let mut names = Vec::new();
        let _ = edit_expressions(&mut self.query.as_ref().clone(), &mut |expression| {
            if let Some(ident) = column_ident(expression)
                && !names.contains(&ident.value)
            {
                names.push(ident.value.clone());
            }
            ControlFlow::Continue(())
        });
        names
    }
}

const EXPECTED: &str = "write INSERT INTO table SELECT … FROM raw for each target table";

/// A planned mapping query, evaluated over whole batches.
#[derive(Clone, Debug)]
pub struct RowQuery {
    steps: Vec<Step>,
    /// The query's output columns.
    pub schema: SchemaRef,
}

#[derive(Clone, Debug)]
enum Step {
    /// Keeps the columns at these positions.
    Select(Vec<usize>),
    /// Keeps the rows for which it is true.
    Filter(Expression),
    /// Computes new columns.
    Project(Vec<Expression>, SchemaRef),
}

impl RowQuery {
    /// The rows of the result and, for each, the position in `raw` of the row it came from.
    ///
    /// # Errors
    /// If an expression fails for any row; which one is found by trying fewer rows.
    pub fn evaluate(&self, raw: &RecordBatch) -> Result<(RecordBatch, UInt32Array), SqlError> {
        Ok(self.run(raw)?)
    }

    fn run(&self, raw: &RecordBatch) -> DataFusionResult<(RecordBatch, UInt32Array)> {
        let mut rows = raw.clone();
        let mut origins = UInt32Array::from_iter_values(0..raw.num_rows() as u32);
        for step in &self.steps {
            rows = match step {
                Step::Select(positions) => rows.project(positions)?,
                Step::Filter(predicate) => {
                    let mask = predicate.evaluate(&rows)?.into_array(rows.num_rows())?;
                    // NULL is not true.
                    let mask = match mask.as_boolean() {
                        mask if mask.null_count() == 0 => mask.clone(),
                        mask => prep_null_mask_filter(mask),
                    };
                    origins = filter(&origins, &mask)?.as_primitive().clone();
                    filter_record_batch(&rows, &mask)?
                }
                Step::Project(expressions, schema) => {
                    let count = rows.num_rows();
                    let columns = expressions
                        .iter()
                        .map(|expression| expression.evaluate(&rows)?.into_array(count));
                    let columns = columns.collect::<DataFusionResult<Vec<_>>>()?;
                    let options = RecordBatchOptions::new().with_row_count(Some(count));
                    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?
                }
            };
        }
        Ok((rows, origins))
    }
}

/// Plans mappings; holds DataFusion's functions.
pub struct MappingPlanner {
    planner: Planner,
    state: SessionState,
}

impl Default for MappingPlanner {
    fn default() -> Self {
        Self::new()
    }
}

impl MappingPlanner {
    /// A planner with all of DataFusion's functions.
    pub fn new() -> MappingPlanner {
        let builder = SessionStateBuilder::new().with_config(session_config());
        // Times are written as they always were: a file that is read again gives the same rows.
        let reading = Arc::new(TimeTexts { reads_only: true });
        let builder = builder.with_default_features().with_optimizer_rule(reading);
        let mut state = builder.build();
        // Registering only fails for registries that take no functions.
        let _ = register_rewrites(&mut state);
        MappingPlanner {
            planner: Planner::new(),
            state,
        }
    }

    /// Plans a mapping over raw rows with the given columns.
    ///
    /// Unquoted names match raw columns as written or, where there is no such column, without
    /// regard to case: `InvoiceNo` needs no quotes.
    ///
    /// # Errors
    /// If the query is not valid over these columns or is not row-wise.
    pub fn plan(&self, raw: &SchemaRef, mapping: &Mapping) -> Result<RowQuery, SqlError> {
        let mut query = mapping.query.clone();
        quote_raw_columns(&mut query, raw);
        let source = RawSource {
            schema: Arc::clone(raw),
        };
        let logical = self.planner.logical_plan(&source, &query)?;
        refuse(&logical)?;
        let optimized = self.state.optimize(&logical)?;
        let mut steps = Vec::new();
        collect_steps(&optimized, &mut steps)?;
        Ok(RowQuery {
            steps,
            schema: lower::arrow_schema(logical.schema()),
        })
    }
}

/// The one relation of a mapping.
#[derive(Clone, Debug)]
struct RawSource {
    schema: SchemaRef,
}

impl TableSource for RawSource {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

impl Sources for RawSource {
    fn source(&self, name: &str) -> DataFusionResult<Arc<dyn TableSource>> {
        match name {
            RAW => Ok(Arc::new(self.clone())),
            _ => plan_err!("a mapping reads the relation \"{RAW}\"; there is no \"{name}\" here"),
        }
    }
}

/// The identifier of a column reference, with or without a qualifier.
fn column_ident(expression: &mut AstExpr) -> Option<&mut Ident> {
    match expression {
        AstExpr::Identifier(ident) => Some(ident),
        AstExpr::CompoundIdentifier(parts) => parts.last_mut(),
        _ => None,
    }
}

/// Quotes unquoted names that mean a raw column written in capitals.
fn quote_raw_columns(query: &mut Query, raw: &SchemaRef) {
    let _ = edit_expressions(query, &mut |expression| {
        if let Some(ident) = column_ident(expression)
            && ident.quote_style.is_none()
            && let Some(name) = raw_column(raw, &ident.value)
        {
            *ident = Ident::with_quote('"', name);
        }
        ControlFlow::Continue(())
    });
}

fn raw_column(raw: &SchemaRef, written: &str) -> Option<String> {
    let names = || raw.fields().iter().map(|field| field.name());
    let exact = names().find(|name| *name == written);
    let folded = || names().find(|name| name.eq_ignore_ascii_case(written));
    exact.or_else(folded).cloned()
}

/// Refuses what is not row-wise before the optimiser could hide it.
fn refuse(plan: &LogicalPlan) -> Result<(), SqlError> {
    let mut refusal = None;
    plan.apply(|node| {
        refusal = refusal.take().or_else(|| refusal_of_node(node));
        if refusal.is_some() {
            return Ok(TreeNodeRecursion::Stop);
        }
        node.apply_expressions(|expression| {
            expression.apply(|part| {
                refusal = refusal.take().or_else(|| refusal_of(part));
                Ok(match refusal {
                    Some(_) => TreeNodeRecursion::Stop,
                    None => TreeNodeRecursion::Continue,
                })
            })
        })
    })?;
    refusal.map_or(Ok(()), Err)
}

fn refusal_of_node(node: &LogicalPlan) -> Option<SqlError> {
    let what = match node {
        LogicalPlan::Projection(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::TableScan(_) => return None,
        LogicalPlan::Aggregate(_) => "an aggregate",
        LogicalPlan::Distinct(_) => "DISTINCT",
        LogicalPlan::Join(_) => "a join",
        LogicalPlan::Window(_) => "a window function",
        LogicalPlan::Union(_) => "UNION",
        LogicalPlan::Sort(_) => "ORDER BY",
        LogicalPlan::Limit(_) => "LIMIT",
        LogicalPlan::EmptyRelation(_) | LogicalPlan::Values(_) => "a SELECT without FROM raw",
        LogicalPlan::Unnest(_) => "UNNEST",
        _ => "this statement",
    };
    Some(not_row_wise(what))
}

fn not_row_wise(what: &str) -> SqlError {
    SqlError::unsupported(format!(
        "{what} cannot be in a mapping: each raw row is mapped by itself"
    ))
    .with_hint("map the rows as they are and compute the rest in a live view over the table")
}

fn refusal_of(expression: &Expr) -> Option<SqlError> {
    match expression {
        Expr::ScalarFunction(call)
            if call.func.signature().volatility == Volatility::Volatile
                || ["now", "current_date", "current_time", "today"].contains(&call.func.name()) =>
        {
            let name = call.func.name();
            let message = format!(
                "{name}() cannot be in a mapping: reading a file again must give the same rows"
            );
            Some(SqlError::unsupported(message))
        }
        Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_) => {
            Some(not_row_wise("a subquery"))
        }
        _ => None,
    }
}

fn collect_steps(plan: &LogicalPlan, steps: &mut Vec<Step>) -> Result<(), SqlError> {
    match plan {
        LogicalPlan::Projection(node) => {
            collect_steps(&node.input, steps)?;
            let expressions = lower::physical_all(&node.expr, node.input.schema())?;
            let schema = lower::arrow_schema(&node.schema);
            steps.push(Step::Project(expressions, schema));
        }
        LogicalPlan::Filter(node) => {
            collect_steps(&node.input, steps)?;
            let predicate = lower::physical(&node.predicate, node.input.schema())?;
            steps.push(Step::Filter(predicate));
        }
        LogicalPlan::SubqueryAlias(node) => collect_steps(&node.input, steps)?,
        LogicalPlan::TableScan(node) => {
            if let Some(positions) = &node.projection {
                steps.push(Step::Select(positions.clone()));
            }
        }
        LogicalPlan::EmptyRelation(_) => {
            let message = "the condition of the mapping is never true, so it gives no rows";
            return Err(SqlError::new("42000", message));
        }
        other => {
            let error = DataFusionError::NotImplemented(other.display().to_string());
            return Err(error.into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array, StringArray};

    use super::*;

    fn raw() -> RecordBatch {
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["1", "x", "3"]));
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
        RecordBatch::try_from_iter([("InvoiceNo", texts), ("_row", numbers)])
            .expect("equal lengths")
    }

    fn plan(sql: &str) -> Result<RowQuery, SqlError> {
        MappingPlanner::new().plan(&raw().schema(), &Mapping::new("t", sql)?)
    }

    #[test]
    fn rows_know_where_they_come_from() {
        let query = plan("SELECT CAST(InvoiceNo AS INT) AS a FROM raw WHERE _row <> 2").unwrap();
        let (rows, origins) = query.evaluate(&raw()).unwrap();
        assert_eq!(rows.num_rows(), 2);
        assert_eq!(origins.values(), &[0, 2]);
    }

    #[test]
    fn texts_are_read_as_in_queries() {
        let texts = vec!["2026-05-04 10:20", "2026-05-05 10:20:30"];
        let texts: ArrayRef = Arc::new(StringArray::from(texts));
        let raw = RecordBatch::try_from_iter([("placed", texts)]).unwrap();
        let sql = "SELECT CAST(placed AS TIMESTAMP) AS at FROM raw";
        let mapping = Mapping::new("t", sql).unwrap();
        let query = MappingPlanner::new().plan(&raw.schema(), &mapping).unwrap();
        let (rows, _) = query.evaluate(&raw).expect("moments");
        assert_eq!(rows.num_rows(), 2);
    }

    #[test]
    fn names_match_without_quotes_in_any_case() {
        for written in ["InvoiceNo", "invoiceno", "\"InvoiceNo\"", "raw.InvoiceNo"] {
            plan(&format!("SELECT {written} AS a FROM raw")).expect(written);
        }
    }

    #[test]
    fn only_row_wise_queries_are_planned() {
        for (sql, word) in [
            ("SELECT count(*) AS n FROM raw", "aggregate"),
            (
                "SELECT a._row FROM raw a JOIN raw b ON a._row = b._row",
                "join",
            ),
            ("SELECT _row FROM raw LIMIT 3", "LIMIT"),
            ("SELECT DISTINCT _row FROM raw", "DISTINCT"),
            ("SELECT _row FROM raw WHERE _row IN (SELECT 1)", "subquery"),
            ("SELECT now() AS t FROM raw", "now()"),
            ("SELECT random() AS t FROM raw", "random()"),
            ("SELECT 1 AS one", "FROM raw"),
            ("SELECT a FROM elsewhere", "elsewhere"),
        ] {
            let error = plan(sql).expect_err(sql);
            assert!(error.message.contains(word), "{sql}: {error}");
        }
    }

    #[test]
    fn a_file_of_mappings_is_a_list_of_inserts() {
        let text = "INSERT INTO a SELECT InvoiceNo AS x FROM raw; \
                    INSERT INTO b (y) SELECT z FROM raw;";
        let mappings = Mapping::parse_all(text).unwrap();
        assert_eq!((&*mappings[0].table, &*mappings[1].table), ("a", "b"));
        assert_eq!(mappings[1].columns, ["y"]);
        assert_eq!(mappings[0].mentioned_columns(), ["InvoiceNo"]);
        assert!(Mapping::parse_all("SELECT 1").is_err());
        assert!(Mapping::parse_all("").is_err());
    }
}
