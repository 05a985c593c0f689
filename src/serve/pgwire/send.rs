//! Rows on their way to the client: as answers to queries, by COPY, and as they happen.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow_pg::encoder::Encoder;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use futures::{Sink, SinkExt, StreamExt, stream};
use pgwire::api::portal::Format;
use pgwire::api::results::{
    CopyEncoder, CopyTextOptions, DataRowEncoder, FieldInfo, QueryResponse, Tag,
};
use pgwire::error::{PgWireError, PgWireResult};
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::copy::{CopyData, CopyDone, CopyOutResponse};
use pgwire::messages::data::RowDescription;
use pgwire::messages::startup::ParameterStatus;

use super::conversation::Wanted;
use super::csv_encoder::CsvEncoder;
use super::described::as_described;
use super::encode::{Rows, fields};
use super::failure;
use crate::engine::EngineError;
use crate::sql::{CopyFormat, CopyHeader, SqlError};

/// After this time without changes a subscriber is sent a message without meaning, so that one
/// that has gone away is noticed.
const PULSE: Duration = Duration::from_secs(10);

/// Rows, and whether they are without end.
pub struct Sending {
    pub rows: SendableRecordBatchStream,
    pub is_live: bool,
}

/// What comes next.
enum Next {
    Rows(RecordBatch),
    Pulse,
    End,
}

impl Sending {
    /// Rows of which there is a last one.
    pub fn ending(rows: SendableRecordBatchStream) -> Sending {
        Sending {
            rows,
            is_live: false,
        }
    }

    /// Rows that come as long as the client stays.
    pub fn live(rows: SendableRecordBatchStream) -> Sending {
        Sending {
            rows,
            is_live: true,
        }
    }

    /// The same with columns of the types that the client has been told.
    fn described(self, columns: Option<&SchemaRef>) -> PgWireResult<Sending> {
        let rows = as_described(self.rows, columns)?;
        Ok(Sending { rows, ..self })
    }

    async fn next(&mut self) -> PgWireResult<Next> {
        let next = match self.is_live {
            false => self.rows.next().await,
            true => match tokio::time::timeout(PULSE, self.rows.next()).await {
                Ok(next) => next,
                Err(_) => return Ok(Next::Pulse),
            },
        };
        match next {
            Some(Ok(batch)) => Ok(Next::Rows(batch)),
            Some(Err(error)) => Err(failed(error)),
            None => Ok(Next::End),
        }
    }
}

/// A failure while rows are computed.
fn failed(error: DataFusionError) -> PgWireError {
    failure(EngineError::from(SqlError::from(error)))
}

/// Tells the columns and sends the rows; how many there were.
pub async fn send_rows<C>(
    client: &mut C,
    sending: Sending,
    wanted: &Wanted<'_>,
) -> PgWireResult<usize>
where
    C: Sink<PgWireBackendMessage> + Unpin,
    C::Error: Debug,
    PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
{
    let sending = sending.described(wanted.columns)?;
    let fields = fields(&sending.rows.schema(), wanted.format)?;
    if !wanted.is_described {
        let description = RowDescription::new(fields.iter().map(Into::into).collect());
        client
            .feed(PgWireBackendMessage::RowDescription(description))
            .await?;
    }
    let encoder = DataRowEncoder::new(Arc::clone(&fields));
    let message = PgWireBackendMessage::DataRow;
    send_all(client, sending, &fields, encoder, message).await
}

/// Sends the rows, each in a message of its own; how many there were.
async fn send_all<C, E>(
    client: &mut C,
    mut sending: Sending,
    fields: &Arc<Vec<FieldInfo>>,
    mut encoder: E,
    message: fn(E::Item) -> PgWireBackendMessage,
) -> PgWireResult<usize>
where
    C: Sink<PgWireBackendMessage> + Unpin,
    C::Error: Debug,
    PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    E: Encoder,
{
    let mut sent = 0;
    loop {
        match sending.next().await? {
            Next::End => return Ok(sent),
            Next::Pulse => pulse(client).await?,
            Next::Rows(batch) => {
                let mut rows = Rows::new(&batch, fields)?;
                while let Some(row) = rows.next(&mut encoder) {
                    client.feed(message(row?)).await?;
                    sent += 1;
                }
            }
        }
        if sending.is_live {
            client.flush().await?;
        }
    }
}

/// Rows for a portal, from which the client takes some at a time.
pub fn response(
    sending: Sending,
    format: &Format,
    columns: Option<&SchemaRef>,
) -> PgWireResult<QueryResponse> {
    let sending = sending.described(columns)?;
    let fields = fields(&sending.rows.schema(), format)?;
    let encoded = Arc::clone(&fields);
    let rows = sending.rows.flat_map(move |batch| {
        let mut encoder = DataRowEncoder::new(Arc::clone(&encoded));
        let rows = batch
            .map_err(failed)
            .and_then(|batch| Rows::new(&batch, &encoded));
        match rows {
            Ok(mut rows) => {
                let rows = std::iter::from_fn(move || rows.next(&mut encoder));
                stream::iter(rows).boxed()
            }
            Err(error) => stream::iter([Err(error)]).boxed(),
        }
    });
    Ok(QueryResponse::new(fields, rows))
}

/// Sends rows by COPY; returns the tag.
pub async fn copy_rows<C>(
    client: &mut C,
    sending: Sending,
    copy_format: &CopyFormat,
) -> PgWireResult<Tag>
where
    C: Sink<PgWireBackendMessage> + Unpin,
    C::Error: Debug,
    PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
{
    let schema = sending.rows.schema();
    let message = PgWireBackendMessage::CopyData;
    let sent = match copy_format {
        CopyFormat::Csv(format) => {
            let encoder = CsvEncoder::new(format, &schema);
            let mut encoder = encoder.map_err(|error| failure(error.into()))?;
            let fields = begin_copy(client, &schema, Format::UnifiedText).await?;
            if format.header != CopyHeader::No {
                client.feed(message(encoder.header(&schema))).await?;
            }
            send_all(client, sending, &fields, encoder, message).await?
        }
        CopyFormat::Text {
            header,
            delimiter,
            null,
        } => {
            let delimiter = char::from(*delimiter);
            let fields = begin_copy(client, &schema, Format::UnifiedText).await?;
            if *header != CopyHeader::No {
                let header = CopyData::new(text_header(&schema, delimiter).into());
                client.feed(message(header)).await?;
            }
            let options = CopyTextOptions {
                delimiter: delimiter.to_string().into(),
                null_string: null.as_str().into(),
            };
            let encoder = CopyEncoder::new_text(Arc::clone(&fields), options);
            send_all(client, sending, &fields, encoder, message).await?
        }
        CopyFormat::Binary => {
            let fields = begin_copy(client, &schema, Format::UnifiedBinary).await?;
            let encoder = CopyEncoder::new_binary(Arc::clone(&fields));
            let sent = send_all(client, sending, &fields, encoder, message).await?;
            let end = CopyEncoder::finish_copy_binary();
            client.feed(message(end)).await?;
            sent
        }
    };
    client
        .feed(PgWireBackendMessage::CopyDone(CopyDone::new()))
        .await?;
    Ok(Tag::new("COPY").with_rows(sent))
}

/// Tells that rows come by COPY; returns their columns.
async fn begin_copy<C>(
    client: &mut C,
    schema: &Schema,
    format: Format,
) -> PgWireResult<Arc<Vec<FieldInfo>>>
where
    C: Sink<PgWireBackendMessage> + Unpin,
    C::Error: Debug,
    PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
{
    let fields = fields(schema, &format)?;
    let code = i8::from(matches!(format, Format::UnifiedBinary));
    let columns = i16::try_from(fields.len()).unwrap_or(i16::MAX);
    let codes = vec![i16::from(code); fields.len()];
    let begin = CopyOutResponse::new(code, columns, codes);
    client
        .send(PgWireBackendMessage::CopyOutResponse(begin))
        .await?;
    Ok(fields)
}

/// The line of the columns' names in Postgres's text format.
fn text_header(schema: &Schema, delimiter: char) -> String {
    let mut line = String::new();
    for (position, field) in schema.fields().iter().enumerate() {
        if position > 0 {
            line.push(delimiter);
        }
        for sign in field.name().chars() {
            match sign {
                '\n' => line.push_str("\\n"),
                '\r' => line.push_str("\\r"),
                '\t' => line.push_str("\\t"),
                _ if sign == '\\' || sign == delimiter => line.extend(['\\', sign]),
                _ => line.push(sign),
            }
        }
    }
    line.push('\n');
    line
}

/// Says something that changes nothing.
async fn pulse<C>(client: &mut C) -> PgWireResult<()>
where
    C: Sink<PgWireBackendMessage> + Unpin,
    C::Error: Debug,
    PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
{
    let status = ParameterStatus::new("integer_datetimes".to_owned(), "on".to_owned());
    client
        .feed(PgWireBackendMessage::ParameterStatus(status))
        .await?;
    Ok(())
}
