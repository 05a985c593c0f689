//! PREPARE, EXECUTE and DEALLOCATE: statements that a session keeps by name.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema};
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::Query;
use futures::TryStreamExt;

use super::describe::Described;
use super::{Outcome, Session};
use crate::engine::EngineError;
use crate::sql::bound_value::{bound_value, refuse_number_as_time};
use crate::sql::query::QueryContext;
use crate::sql::statement::parse_query;
use crate::sql::{SqlError, Statement};

/// Statements that a session may keep.
const PREPARED_MAX: usize = 256;

/// The prepared statements, by name.
#[derive(Default)]
pub(super) struct PreparedStatements(BTreeMap<String, Prepared>);

/// A statement with the parameters that it takes.
#[derive(Clone)]
struct Prepared {
    statement: Statement,
    parameters: Vec<Parameter>,
}

#[derive(Clone)]
enum Parameter {
    /// Of a type that was given, as text.
    Given(String),
    /// Of the type that the statement asks for.
    Found(DataType),
}

impl PreparedStatements {
    fn get(&self, name: &str) -> Result<&Prepared, SqlError> {
        self.0.get(name).ok_or_else(|| {
            let message = format!("there is no prepared statement \"{name}\"");
            SqlError::new("26000", message).with_hint("PREPARE it first, in the same session")
        })
    }

    /// DEALLOCATE of one, or of all. A name that nobody knows may be one of the protocol's own
    /// statements, which drivers let go of in this way.
    pub(super) fn deallocate(&mut self, name: Option<&str>) {
        match name {
            Some(name) => {
                self.0.remove(name);
            }
            None => self.0.clear(),
        }
    }
}

impl Session {
    /// PREPARE: plans the statement, so that what is wrong with it is said now.
    pub(super) async fn prepare(
        &mut self,
        name: &str,
        types: &[String],
        statement: &Statement,
    ) -> Result<(), EngineError> {
        let PreparedStatements(known) = &self.prepared;
        if known.contains_key(name) {
            let message = format!("prepared statement \"{name}\" exists already");
            return Err(SqlError::new("42P05", message)
                .with_hint(format!("DEALLOCATE {name} lets go of it"))
                .into());
        }
        if known.len() >= PREPARED_MAX {
            let message = format!("a session has at most {PREPARED_MAX} prepared statements");
            return Err(SqlError::new("53400", message)
                .with_hint("DEALLOCATE those that are no longer needed")
                .into());
        }
        let (found, _) = self.describe_statement(statement).await?;
        let given = types.iter().cloned().map(Parameter::Given);
        let rest = found.into_iter().skip(types.len()).map(Parameter::Found);
        let prepared = Prepared {
            statement: statement.clone(),
            parameters: given.chain(rest).collect(),
        };
        self.prepared.0.insert(name.to_owned(), prepared);
        Ok(())
    }

    /// EXECUTE; `outer` are the values of parameters in the arguments themselves.
    pub(super) async fn execute_prepared(
        &mut self,
        name: &str,
        arguments: &[String],
        outer: &[ScalarValue],
    ) -> Result<Outcome, EngineError> {
        let prepared = self.prepared.get(name)?.clone();
        let values = self.values(name, &prepared, arguments, outer).await?;
        self.execute_statement(&prepared.statement, &values).await
    }

    /// What an EXECUTE takes and gives.
    pub(super) async fn describe_prepared(
        &self,
        name: &str,
        arguments: &[String],
    ) -> Result<Described, EngineError> {
        let prepared = self.prepared.get(name)?;
        let (_, columns) = Box::pin(self.describe_statement(&prepared.statement)).await?;
        let Some(row) = prepared.row(name, arguments)? else {
            return Ok((Vec::new(), columns));
        };
        let context = self.context().await?;
        let plan = context.plan(&row)?;
        let parameters = QueryContext::parameter_types(&plan)?;
        let types = prepared.types(&context.columns(&plan, &parameters));
        let columns = match &prepared.statement {
            // The types that were given need not be those that the statement asks for.
            Statement::Query(query) | Statement::QueryAsOf(query, _) => {
                let context = self.context_of(query).await?;
                Some(context.columns(&context.plan(query)?, &types))
            }
            _ => columns,
        };
        Ok((parameters, columns))
    }

    /// The values of the parameters.
    async fn values(
        &self,
        name: &str,
        prepared: &Prepared,
        arguments: &[String],
        outer: &[ScalarValue],
    ) -> Result<Vec<ScalarValue>, EngineError> {
        let Some(row) = prepared.row(name, arguments)? else {
            return Ok(Vec::new());
        };
        let (context, plan) = self
            .planned(self.last_write_ms, |context| context.plan(&row))
            .await?;
        let plan = QueryContext::bind(plan, outer)?;
        let rows: Vec<RecordBatch> = context.execute(plan).await?.try_collect().await?;
        let row = rows.iter().find(|rows| rows.num_rows() > 0);
        let row = row.ok_or_else(|| SqlError::syntax("EXECUTE takes values"))?;
        let values = row.columns().iter().zip(&prepared.parameters);
        let values = values.map(|(column, parameter)| {
            let value = ScalarValue::try_from_array(column, 0)?;
            match parameter {
                Parameter::Given(_) => Ok(value),
                // A number has all its digits, whatever the column has that it is compared with.
                Parameter::Found(data_type) if data_type.is_numeric() || data_type.is_nested() => {
                    bound_value(value, data_type)
                }
                Parameter::Found(data_type) => {
                    refuse_number_as_time(&value, data_type)?;
                    value.cast_to(data_type)
                }
            }
        });
        Ok(values
            .collect::<Result<Vec<_>, datafusion::error::DataFusionError>>()
            .map_err(SqlError::from)?)
    }
}

impl Prepared {
    /// The types of the values, of which `row` are the arguments.
    fn types(&self, row: &Schema) -> Vec<DataType> {
        let arguments = row.fields().iter().zip(&self.parameters);
        let types = arguments.map(|(argument, parameter)| match parameter {
            Parameter::Given(_) => argument.data_type().clone(),
            Parameter::Found(data_type) => data_type.clone(),
        });
        types.collect()
    }

    /// The arguments as a query of one row; `None`: there are none.
    fn row(&self, name: &str, arguments: &[String]) -> Result<Option<Box<Query>>, SqlError> {
        if arguments.len() != self.parameters.len() {
            let message = format!(
                "prepared statement \"{name}\" takes {} values, not {}",
                self.parameters.len(),
                arguments.len()
            );
            return Err(SqlError::syntax(message));
        }
        if arguments.is_empty() {
            return Ok(None);
        }
        let values = arguments.iter().zip(&self.parameters).enumerate();
        let values = values.map(|(number, (argument, parameter))| match parameter {
            Parameter::Given(data_type) => format!("CAST({argument} AS {data_type}) AS v{number}"),
            Parameter::Found(_) => format!("{argument} AS v{number}"),
        });
        let values: Vec<String> = values.collect();
        parse_query(&format!("SELECT {}", values.join(", "))).map(Some)
    }
}
