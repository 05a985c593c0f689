//! The rows of the workload as structs, read from the Parquet files of `mainstem bench export`.

use std::error::Error;
use std::fs::File;
use std::path::Path;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// A line of a receipt.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    pub household: i64,
    pub store: i64,
    pub basket: i64,
    pub product: i64,
    pub quantity: i64,
    pub sales_minor: i64,
    pub discount_minor: i64,
    pub sold_at_us: i64,
}

/// What a household has told of itself.
pub type Household = (Option<String>, Option<String>);

/// Everything that is fed in.
pub struct Rows {
    pub lines: Vec<Line>,
    /// Products with their departments.
    pub products: Vec<(i64, String)>,
    pub households: Vec<(i64, Household)>,
}

impl Rows {
    /// Reads all files of a directory.
    pub fn read(directory: &Path) -> Result<Rows, Box<dyn Error>> {
        let mut rows = Rows {
            lines: Vec::new(),
            products: Vec::new(),
            households: Vec::new(),
        };
        for batch in batches(directory, "lines")? {
            rows.add_lines(&batch?)?;
        }
        for batch in batches(directory, "products")? {
            let batch = batch?;
            let departments = texts(&batch, "department")?;
            rows.products.extend(
                integers(&batch, "product_id")?
                    .into_iter()
                    .zip(departments.into_iter().map(Option::unwrap_or_default)),
            );
        }
        for batch in batches(directory, "households")? {
            let batch = batch?;
            let told = texts(&batch, "age")?
                .into_iter()
                .zip(texts(&batch, "income")?);
            rows.households
                .extend(integers(&batch, "household_id")?.into_iter().zip(told));
        }
        Ok(rows)
    }

    fn add_lines(&mut self, batch: &RecordBatch) -> Result<(), Box<dyn Error>> {
        let households = integers(batch, "household_id")?;
        let stores = integers(batch, "store_id")?;
        let baskets = integers(batch, "basket_id")?;
        let products = integers(batch, "product_id")?;
        let quantities = integers(batch, "quantity")?;
        let sales = integers(batch, "sales_minor")?;
        let discounts = integers(batch, "discount_minor")?;
        let times = column(batch, "sold_at")?.as_primitive::<TimestampMicrosecondType>();
        self.lines.extend((0..batch.num_rows()).map(|row| Line {
            household: households[row],
            store: stores[row],
            basket: baskets[row],
            product: products[row],
            quantity: quantities[row],
            sales_minor: sales[row],
            discount_minor: discounts[row],
            sold_at_us: times.value(row),
        }));
        Ok(())
    }
}

fn batches(
    directory: &Path,
    table: &str,
) -> Result<impl Iterator<Item = Result<RecordBatch, arrow::error::ArrowError>>, Box<dyn Error>> {
    let file = File::open(directory.join(format!("{table}.parquet")))?;
    Ok(ParquetRecordBatchReaderBuilder::try_new(file)?.build()?)
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a dyn Array, Box<dyn Error>> {
    let column = batch.column_by_name(name);
    Ok(column
        .ok_or_else(|| format!("there is no column {name}"))?
        .as_ref())
}

fn integers(batch: &RecordBatch, name: &str) -> Result<Vec<i64>, Box<dyn Error>> {
    let values = column(batch, name)?.as_primitive::<Int64Type>();
    Ok(values.values().to_vec())
}

fn texts(batch: &RecordBatch, name: &str) -> Result<Vec<Option<String>>, Box<dyn Error>> {
    let values = column(batch, name)?.as_string::<i32>();
    Ok(values.iter().map(|text| text.map(str::to_owned)).collect())
}
