//! Declares tables of the standard model so that a declaration reads as documentation.
//!
//! There are two kinds of tables, and the kind decides the envelope's role: in a *keyed* table the
//! source is the first part of the primary key and `(sequence, recorded_at, event_id)` orders the
//! versions of a row; in a *fact* table `(source, event_id)` identifies the event. Keys are
//! collected where a column is declared, so a declaration can't name a column that isn't there.

use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};

use super::table::{ColumnDefinition, TableDefinition};

/// What the values of a column are; each kind has one Arrow type throughout the model.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// Text, identifiers included: they are opaque, whatever they look like.
    Text,
    /// True or false.
    Flag,
    /// An amount of money in minor units of the row's `currency` (pence, cents, yen).
    Minor,
    /// The price of one unit in major units of the row's `currency`. A price is a rate, not an
    /// amount: it may be finer than the currency's smallest coin.
    UnitPrice,
    /// A quantity; decimal, because goods are also sold by weight and length.
    Quantity,
    /// A moment, in UTC.
    Time,
}

impl Kind {
    fn data_type(self) -> DataType {
        match self {
            Self::Text => DataType::Utf8,
            Self::Flag => DataType::Boolean,
            Self::Minor => DataType::Int64,
            Self::UnitPrice => DataType::Decimal128(18, 6),
            Self::Quantity => DataType::Decimal128(18, 4),
            Self::Time => DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC"))),
        }
    }
}

/// A table under declaration.
pub(super) struct TableBuilder {
    table: TableDefinition,
}

impl TableBuilder {
    /// A table of things that change: rows are replaced and deleted by primary key, which is the
    /// source followed by the columns declared with [`key`](Self::key).
    pub(super) fn keyed(name: &str, description: &str) -> Self {
        let mut builder = Self::bare(name, description);
        let source = builder.source();
        let [event_id, sequence, recorded_at] = builder.envelope();
        builder.table.primary_key = vec![source];
        builder.table.version = vec![sequence, recorded_at, event_id];
        builder
    }

    /// A table of things that have happened: rows are only added, each event once.
    pub(super) fn fact(name: &str, description: &str) -> Self {
        let mut builder = Self::bare(name, description);
        let source = builder.source();
        let [event_id, _, _] = builder.envelope();
        builder.table.event_identity = vec![source, event_id];
        builder
    }

    /// A table of what the engine itself notes about a source: rows are only added, and one is
    /// known by the source and the columns declared with [`identity`](Self::identity).
    pub(super) fn record(name: &str, description: &str) -> Self {
        let mut builder = Self::bare(name, description);
        let source = builder.source();
        builder.table.event_identity = vec![source];
        builder
    }

    /// A column of the primary key.
    pub(super) fn key(mut self, name: &str, kind: Kind, description: &str) -> Self {
        let index = self.push(name, kind, false, description);
        self.table.primary_key.push(index);
        self
    }

    /// A column by which a repeated row is known.
    pub(super) fn identity(mut self, name: &str, kind: Kind, description: &str) -> Self {
        let index = self.push(name, kind, false, description);
        self.table.event_identity.push(index);
        self
    }

    /// A column that every row has.
    pub(super) fn required(mut self, name: &str, kind: Kind, description: &str) -> Self {
        self.push(name, kind, false, description);
        self
    }

    /// A column that is NULL where the source doesn't say.
    pub(super) fn optional(mut self, name: &str, kind: Kind, description: &str) -> Self {
        self.push(name, kind, true, description);
        self
    }

    /// The currency of the row's money.
    pub(super) fn currency(self) -> Self {
        self.required(
            "currency",
            Kind::Text,
            "Currency of all money in the row: ISO 4217 code of three capitals, which also fixes \
             how many minor units make a major one (JPY 1, EUR 100, KWD 1000).",
        )
    }

    /// Whether the row is a trial of the source system.
    pub(super) fn test_marker(self) -> Self {
        self.optional(
            "is_test",
            Kind::Flag,
            "True for trial transactions (Shopify `test`, Stripe `livemode` false); the shipped \
             views leave them out. NULL is taken as false.",
        )
    }

    /// The finished table.
    pub(super) fn build(self) -> TableDefinition {
        self.table
    }

    fn bare(name: &str, description: &str) -> Self {
        Self {
            table: TableDefinition {
                name: name.to_owned(),
                description: description.to_owned(),
                columns: Vec::new(),
                primary_key: Vec::new(),
                version: Vec::new(),
                event_identity: Vec::new(),
                append_only: false,
            },
        }
    }

    fn source(&mut self) -> usize {
        self.push(
            "source",
            Kind::Text,
            false,
            "The system that says so: the name of the configured source (CloudEvents `source`).",
        )
    }

    /// The positions of `event_id`, `sequence` and `recorded_at`.
    fn envelope(&mut self) -> [usize; 3] {
        let event_id = self.push(
            "event_id",
            Kind::Text,
            false,
            "Identity of the event within its source (CloudEvents `id`). The same id delivered \
             again is the same event.",
        );
        let sequence = self.push(
            "sequence",
            Kind::Text,
            false,
            "The source's own version of the thing (CloudEvents `sequence`): compared as text, \
             so numbers are padded with zeros to equal length. Empty where there is none.",
        );
        self.push(
            "occurred_at",
            Kind::Time,
            false,
            "When it happened in the world (CloudEvents `time`).",
        );
        let recorded_at = self.push(
            "recorded_at",
            Kind::Time,
            false,
            "When the source wrote it down (CloudEvents `recordedtime`); `occurred_at` where the \
             source doesn't tell.",
        );
        [event_id, sequence, recorded_at]
    }

    fn push(&mut self, name: &str, kind: Kind, nullable: bool, description: &str) -> usize {
        self.table.columns.push(ColumnDefinition {
            name: name.to_owned(),
            data_type: kind.data_type(),
            nullable,
            description: description.to_owned(),
            default: None,
            max_length: None,
        });
        self.table.columns.len() - 1
    }
}
