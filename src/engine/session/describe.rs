//! What statements take and give, before they are run.

use arrow::datatypes::{DataType, SchemaRef};

use super::returning::Returning;
use super::rewrite::{alias, new_columns, returning};
use super::show::{show_schema, text_schema};
use super::{Description, Session};
use crate::engine::EngineError;
use crate::engine::subscription::subscription_schema;
use crate::sql::query::QueryContext;
use crate::sql::{CopySource, Statement, SubscribeSource};

/// The types of parameters, and the columns of rows where there are some.
pub(super) type Described = (Vec<DataType>, Option<SchemaRef>);

/// What a statement takes that writes rows, and what it gives back of them.
pub(super) fn describe_returning(
    context: &QueryContext,
    returning: Returning<'_>,
    mut types: Vec<DataType>,
) -> Result<Described, EngineError> {
    let Some((context, plan)) = super::returning::plan(context, returning, &[])? else {
        return Ok((types, None));
    };
    let others = QueryContext::parameter_types(&plan)?;
    // A parameter that the rows do not have is one of the RETURNING.
    types.extend(others.into_iter().skip(types.len()));
    let columns = context.columns(&plan, &types);
    Ok((types, Some(columns)))
}

impl Session {
    /// The parameters and columns of a statement.
    pub async fn describe(&mut self, statement: &Statement) -> Result<Description, EngineError> {
        let description = self.describe_statement(statement).await;
        let (parameters, columns) = self.failing(description)?;
        Ok(Description {
            parameters,
            columns,
        })
    }

    pub(super) async fn describe_statement(
        &self,
        statement: &Statement,
    ) -> Result<Described, EngineError> {
        Ok(match statement {
            Statement::Query(query) | Statement::QueryAsOf(query, _) => {
                let context = self.context_of(query).await?;
                let plan = context.plan(query)?;
                let types = QueryContext::parameter_types(&plan)?;
                let columns = context.columns(&plan, &types);
                (types, Some(columns))
            }
            Statement::Insert(insert) => self.describe_insert(insert).await?,
            Statement::Update { .. } | Statement::Delete { .. } => {
                let (table, query) = self.affected_rows(statement)?;
                let context = self.context().await?;
                let plan = context.plan_assigned(&query, &new_columns(&table))?;
                let types = QueryContext::parameter_types(&plan)?;
                let returning = Returning::of(&table, returning(statement), alias(statement));
                describe_returning(&context, returning, types)?
            }
            Statement::Subscribe(subscribe) => {
                let query = match &subscribe.source {
                    SubscribeSource::Query(query) => query.clone(),
                    SubscribeSource::Relation(name) => super::follow::all_of(name)?,
                };
                let context = self.context().await?;
                let columns = context.columns(&context.plan(&query)?, &[]);
                let columns = subscription_schema(&columns, subscribe.has_progress);
                (Vec::new(), Some(columns))
            }
            Statement::CopyOut(copy) => match &copy.source {
                CopySource::Query(query) | CopySource::QueryAsOf(query, _) => {
                    let plan = self.context_of(query).await?.plan(query)?;
                    (QueryContext::parameter_types(&plan)?, None)
                }
                CopySource::Subscribe(_) => (Vec::new(), None),
            },
            Statement::DeclareCursor { statement, .. } => match statement.as_ref() {
                Statement::Query(query) | Statement::QueryAsOf(query, _) => {
                    let plan = self.context_of(query).await?.plan(query)?;
                    (QueryContext::parameter_types(&plan)?, None)
                }
                _ => (Vec::new(), None),
            },
            Statement::Execute { name, arguments } => {
                self.describe_prepared(name, arguments).await?
            }
            Statement::Fetch { name, .. } => (Vec::new(), Some(self.cursors.schema(name)?)),
            Statement::Explain(_)
            | Statement::ExplainView(_)
            | Statement::ExplainAnalyze(_)
            | Statement::AnalyzeView(_) => (Vec::new(), Some(text_schema("plan"))),
            Statement::Show(show) => (Vec::new(), Some(show_schema(show))),
            _ => (Vec::new(), None),
        })
    }
}
