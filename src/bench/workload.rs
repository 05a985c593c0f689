//! What a benchmark runs: tables, views, and transactions that come without end or until a source
//! is at its end.

use super::BenchError;
use crate::model::{Change, Submission, TableDefinition};
use crate::sql::{Statement, parse};

/// Makes the stream of transactions, from its beginning each time.
pub type Begin = Box<dyn Fn() -> Result<Box<dyn Transactions>, BenchError>>;

/// Tables, views and what happens to them.
pub struct Workload {
    /// A short name.
    pub name: String,
    /// Everything that makes the input repeatable.
    pub description: String,
    /// The base tables.
    pub tables: Vec<TableDefinition>,
    /// The live views: name and `CREATE MATERIALIZED VIEW` statement.
    pub views: Vec<(String, String)>,
    /// Rows that are there before anything is measured.
    pub initial: Vec<Change>,
    /// Begins the stream of transactions.
    pub transactions: Begin,
}

/// A stream of transactions.
pub trait Transactions {
    /// The next transaction, of `lines` rows if the source can be cut at will; `None` at the end.
    fn next(&mut self, lines: usize) -> Result<Option<Submission>, BenchError>;
}

impl Workload {
    /// Keeps the named views alone; `none` stands for no views at all.
    pub fn keep_views(&mut self, names: &[String]) -> Result<(), BenchError> {
        if let [only] = names
            && only == "none"
        {
            self.views.clear();
            return Ok(());
        }
        let is_known = |name: &&String| self.views.iter().any(|(view, _)| view == *name);
        if let Some(unknown) = names.iter().find(|name| !is_known(name)) {
            let known: Vec<&str> = self.views.iter().map(|(name, _)| name.as_str()).collect();
            return Err(BenchError::Input(format!(
                "the workload has no view `{unknown}`; it has {}",
                known.join(", ")
            )));
        }
        self.views.retain(|(view, _)| names.contains(view));
        Ok(())
    }
}

/// The tables that statements create.
pub fn tables(statements: &str) -> Result<Vec<TableDefinition>, BenchError> {
    let statements = parse(statements)?.into_iter();
    let definitions = statements.filter_map(|statement| match statement {
        Statement::CreateTable { definition, .. } => Some(definition),
        _ => None,
    });
    Ok(definitions.collect())
}

/// The table of a name.
pub fn table<'t>(
    tables: &'t [TableDefinition],
    name: &str,
) -> Result<&'t TableDefinition, BenchError> {
    let found = tables.iter().find(|table| table.name == name);
    found.ok_or_else(|| BenchError::Input(format!("the workload has no table `{name}`")))
}

/// The number of rows in a transaction.
pub fn rows_of(submission: &Submission) -> usize {
    let rows = submission.changes.iter();
    rows.map(|change| change.rows.num_rows()).sum()
}

/// Takes up to `lines` rows of a stream into memory, in transactions of `transaction` rows.
pub fn take(
    stream: &mut dyn Transactions,
    lines: usize,
    transaction: usize,
) -> Result<Vec<Submission>, BenchError> {
    let mut taken = Vec::new();
    let mut rows = 0;
    while rows < lines {
        let Some(submission) = stream.next(transaction.min(lines - rows))? else {
            break;
        };
        rows += rows_of(&submission);
        taken.push(submission);
    }
    Ok(taken)
}
