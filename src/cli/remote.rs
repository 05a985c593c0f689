//! The running engine, asked through the Postgres wire protocol.
//!
//! Values travel as text and become Arrow columns again by the types the engine describes, so that
//! answers are printed the same way as those of an engine in this process.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, RecordBatchOptions, StringArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use futures::{FutureExt, SinkExt, StreamExt, pin_mut};
use tokio::time::timeout;
use tokio_postgres::types::Type;
use tokio_postgres::{NoTls, SimpleQueryMessage, SimpleQueryRow};

use super::client::Answer;
use super::copy::NextRows;
use super::failure::Failure;
use super::output;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How often the engine is asked to end a statement, and how long it is given each time.
const CANCELS: usize = 20;
const CANCEL_PAUSE: Duration = Duration::from_millis(250);

/// The widest decimal Arrow's 128 bits hold.
const DECIMAL_PRECISION: u8 = 38;

/// A connection to the running engine.
pub struct Remote {
    client: tokio_postgres::Client,
}

impl Remote {
    /// Connects to the engine that serves at `address`.
    pub async fn connect(address: SocketAddr) -> Result<Remote, Failure> {
        let (client, connection) = tokio_postgres::Config::new()
            .host(address.ip().to_string())
            .port(address.port())
            .user("mainstem")
            .dbname("mainstem")
            .application_name("mainstem")
            .connect_timeout(CONNECT_TIMEOUT)
            .connect(NoTls)
            .await
            .map_err(|error| {
                Failure::new(
                    format!("no engine answers at {address}: {}", message_of(&error)),
                    "start one with `mainstem run` or `mainstem demo`, or read a stopped \
                     engine's directory with --data-dir",
                )
            })?;
        tokio::spawn(connection);
        Ok(Remote { client })
    }

    /// Ends what the engine does for this connection, whose answer is waited for no more.
    ///
    /// A request that arrives before the engine has begun with the statement ends nothing, as with
    /// Postgres; so the engine is asked again until it answers an empty query behind the statement.
    pub async fn end_statement(&self) {
        let token = self.client.cancel_token();
        let free = self.client.simple_query("");
        pin_mut!(free);
        for _ in 0..CANCELS {
            // If the engine can't be asked, the connection is gone and the statement with it.
            let _ = token.cancel_query(NoTls).await;
            if timeout(CANCEL_PAUSE, free.as_mut()).await.is_ok() {
                return;
            }
        }
    }

    /// Runs a statement and shows its rows as they come.
    pub async fn follow(
        &self,
        sql: &str,
        show: &(dyn Fn(&[Option<&str>]) + Sync),
    ) -> Result<(), Failure> {
        let messages = self.client.simple_query_raw(sql).await.map_err(failure)?;
        pin_mut!(messages);
        while let Some(message) = messages.next().await {
            match message.map_err(failure)? {
                SimpleQueryMessage::RowDescription(columns) => {
                    let names: Vec<Option<&str>> =
                        columns.iter().map(|column| Some(column.name())).collect();
                    show(&names);
                }
                SimpleQueryMessage::Row(row) => {
                    let cells = (0..row.len()).map(|index| row.try_get(index).ok().flatten());
                    show(&cells.collect::<Vec<_>>());
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Runs a `COPY … FROM STDIN` with the rows that `next` gives; how many there were.
    pub async fn copy_in(&self, sql: &str, next: &mut NextRows<'_>) -> Result<u64, Failure> {
        let sink = self.client.copy_in::<str, Bytes>(sql);
        let sink = sink.await.map_err(failure)?;
        // Dropped before its end, as where rows can't be read, it breaks the COPY off.
        pin_mut!(sink);
        while let Some(rows) = next()? {
            sink.send(Bytes::from(rows)).await.map_err(failure)?;
        }
        sink.finish().await.map_err(failure)
    }

    /// Runs a `COPY … TO STDOUT` and writes its rows, those of a subscription as they come.
    pub async fn copy_out(&self, sql: &str, out: &mut dyn Write) -> Result<(), Failure> {
        let rows = self.client.copy_out(sql).await.map_err(failure)?;
        pin_mut!(rows);
        loop {
            let next = match rows.next().now_or_never() {
                Some(next) => next,
                None => {
                    if let Err(error) = out.flush() {
                        return output::finish(Err(error));
                    }
                    rows.next().await
                }
            };
            let Some(piece) = next else {
                return output::finish(out.flush());
            };
            if let Err(error) = out.write_all(&piece.map_err(failure)?) {
                return output::finish(Err(error));
            }
        }
    }

    /// Runs SQL text of any number of statements and returns their answers.
    pub async fn run(&self, sql: &str) -> Result<Vec<Answer>, Failure> {
        // Only a single statement can be described. For several, and for what can't be prepared,
        // the simple query below answers with untyped text or tells what is wrong.
        let types: Vec<Type> = match self.client.prepare(sql).await {
            Ok(statement) => statement
                .columns()
                .iter()
                .map(|column| column.type_().clone())
                .collect(),
            Err(_) => Vec::new(),
        };
        let messages = self.client.simple_query_raw(sql).await.map_err(failure)?;
        pin_mut!(messages);
        let mut answers = Vec::new();
        let mut table: Option<TextTable> = None;
        while let Some(message) = messages.next().await {
            match message.map_err(failure)? {
                SimpleQueryMessage::RowDescription(columns) => {
                    answers.extend(table.take().map(|table| table.into_answer(&types)));
                    let names = columns.iter().map(|column| column.name().to_owned());
                    table = Some(TextTable::new(names.collect()));
                }
                SimpleQueryMessage::Row(row) => {
                    if let Some(table) = &mut table {
                        table.push(&row);
                    }
                }
                SimpleQueryMessage::CommandComplete(count) => match table.take() {
                    Some(table) => answers.push(table.into_answer(&types)),
                    None => answers.push(Answer::Done(format!("OK, {count} rows"))),
                },
                _ => {}
            }
        }
        Ok(answers)
    }
}

/// The rows of one answer as text, by column.
struct TextTable {
    names: Vec<String>,
    columns: Vec<Vec<Option<String>>>,
    row_count: usize,
}

impl TextTable {
    fn new(names: Vec<String>) -> TextTable {
        TextTable {
            columns: names.iter().map(|_| Vec::new()).collect(),
            names,
            row_count: 0,
        }
    }

    fn push(&mut self, row: &SimpleQueryRow) {
        for (index, column) in self.columns.iter_mut().enumerate() {
            let value = row.try_get(index).ok().flatten();
            column.push(value.map(str::to_owned));
        }
        self.row_count += 1;
    }

    fn into_answer(self, types: &[Type]) -> Answer {
        let has_types = types.len() == self.names.len();
        let mut fields = Vec::new();
        let mut arrays = Vec::new();
        for (index, (name, values)) in self.names.iter().zip(self.columns).enumerate() {
            let wanted = types.get(index).filter(|_| has_types);
            let array = typed(StringArray::from(values), wanted);
            fields.push(Field::new(name, array.data_type().clone(), true));
            arrays.push(array);
        }
        let schema = Arc::new(Schema::new(fields));
        let options = RecordBatchOptions::new().with_row_count(Some(self.row_count));
        let batches = RecordBatch::try_new_with_options(schema.clone(), arrays, &options);
        Answer::Rows {
            schema,
            // The arrays have the schema's types and one length by construction.
            batches: batches.into_iter().collect(),
        }
    }
}

/// The column as the type Postgres calls `wanted`; it stays text where that type has no Arrow
/// counterpart or a value is outside of it.
fn typed(text: StringArray, wanted: Option<&Type>) -> ArrayRef {
    let options = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    wanted
        .and_then(|wanted| arrow_type(wanted, &text))
        .and_then(|data_type| cast_with_options(&text, &data_type, &options).ok())
        .unwrap_or_else(|| Arc::new(text))
}

fn arrow_type(wanted: &Type, text: &StringArray) -> Option<DataType> {
    let data_type = match *wanted {
        Type::BOOL => DataType::Boolean,
        Type::INT2 => DataType::Int16,
        Type::INT4 => DataType::Int32,
        Type::INT8 => DataType::Int64,
        Type::FLOAT4 => DataType::Float32,
        Type::FLOAT8 => DataType::Float64,
        Type::DATE => DataType::Date32,
        Type::TIMESTAMP => DataType::Timestamp(TimeUnit::Microsecond, None),
        Type::TIMESTAMPTZ => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        Type::NUMERIC => DataType::Decimal128(DECIMAL_PRECISION, widest_scale(text)?),
        _ => return None,
    };
    Some(data_type)
}

/// The most digits behind the point of any value.
fn widest_scale(text: &StringArray) -> Option<i8> {
    let digits = text
        .iter()
        .flatten()
        .filter_map(|value| value.split_once('.'))
        .map(|(_, fraction)| fraction.len())
        .max()
        .unwrap_or(0);
    i8::try_from(digits).ok()
}

fn failure(error: tokio_postgres::Error) -> Failure {
    let hint = error
        .as_db_error()
        .and_then(|error| error.hint())
        .unwrap_or_default()
        .to_owned();
    Failure::new(message_of(&error), hint)
}

/// The engine's own words where it spoke, else the cause in the connection.
fn message_of(error: &tokio_postgres::Error) -> String {
    use std::error::Error;
    match (error.as_db_error(), error.source()) {
        (Some(error), _) => error.message().to_owned(),
        (None, Some(source)) => source.to_string(),
        (None, None) => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(values: &[Option<&str>], wanted: Type) -> ArrayRef {
        typed(StringArray::from(values.to_vec()), Some(&wanted))
    }

    #[test]
    fn text_becomes_the_described_type() {
        for (text, wanted, expected) in [
            ("t", Type::BOOL, DataType::Boolean),
            ("-7", Type::INT8, DataType::Int64),
            ("1.5", Type::FLOAT8, DataType::Float64),
            ("NaN", Type::FLOAT8, DataType::Float64),
            ("2011-12-09", Type::DATE, DataType::Date32),
            ("12.340", Type::NUMERIC, DataType::Decimal128(38, 3)),
            (
                "2011-12-09 12:50:00.000000+00",
                Type::TIMESTAMPTZ,
                DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            ),
            (
                "2011-12-09 12:50:00",
                Type::TIMESTAMP,
                DataType::Timestamp(TimeUnit::Microsecond, None),
            ),
            ("{1,2}", Type::INT8_ARRAY, DataType::Utf8),
        ] {
            let array = column(&[Some(text), None], wanted);
            assert_eq!(array.data_type(), &expected, "{text}");
            assert_eq!(array.null_count(), 1, "{text}");
        }
    }

    #[test]
    fn what_does_not_fit_its_type_stays_text() {
        let array = column(&[Some("1"), Some("many")], Type::INT4);
        assert_eq!(array.data_type(), &DataType::Utf8);
    }

    #[test]
    fn a_table_without_columns_keeps_its_row_count() {
        let mut table = TextTable::new(Vec::new());
        table.row_count = 3;
        match table.into_answer(&[]) {
            Answer::Rows { batches, .. } => assert_eq!(batches[0].num_rows(), 3),
            Answer::Done(tag) => panic!("rows expected, not {tag}"),
        }
    }
}
