//! The generator's rows as columns of the tables, in the order of `tables.sql`.

use std::fmt::Display;
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Decimal128Array, Int32Array, Int64Array, StringArray};
use arrow::datatypes::DataType;
use tpchgen::dates::TPCHDate;
use tpchgen::decimal::TPCHDecimal;
use tpchgen::generators::{Customer, LineItem, Nation, Order, Part, PartSupp, Region, Supplier};

/// All amounts are `DECIMAL(15, 2)`.
const AMOUNT: DataType = DataType::Decimal128(15, 2);
/// Of one piece: quantities are amounts, too.
const HUNDREDTHS: i64 = 100;

/// The columns of `region`.
pub fn regions(rows: &[Region<'_>]) -> Vec<ArrayRef> {
    vec![
        keys(rows, |row| row.r_regionkey),
        texts(rows, |row| row.r_name),
        texts(rows, |row| row.r_comment),
    ]
}

/// The columns of `nation`.
pub fn nations(rows: &[Nation<'_>]) -> Vec<ArrayRef> {
    vec![
        keys(rows, |row| row.n_nationkey),
        texts(rows, |row| row.n_name),
        keys(rows, |row| row.n_regionkey),
        texts(rows, |row| row.n_comment),
    ]
}

/// The columns of `part`.
pub fn parts(rows: &[Part<'_>]) -> Vec<ArrayRef> {
    vec![
        keys(rows, |row| row.p_partkey),
        texts(rows, |row| &row.p_name),
        texts(rows, |row| &row.p_mfgr),
        texts(rows, |row| &row.p_brand),
        texts(rows, |row| row.p_type),
        numbers(rows, |row| row.p_size),
        texts(rows, |row| row.p_container),
        amounts(rows, |row| row.p_retailprice),
        texts(rows, |row| row.p_comment),
    ]
}

/// The columns of `supplier`.
pub fn suppliers(rows: &[Supplier]) -> Vec<ArrayRef> {
    vec![
        keys(rows, |row| row.s_suppkey),
        texts(rows, |row| &row.s_name),
        texts(rows, |row| &row.s_address),
        keys(rows, |row| row.s_nationkey),
        texts(rows, |row| &row.s_phone),
        amounts(rows, |row| row.s_acctbal),
        texts(rows, |row| &row.s_comment),
    ]
}

/// The columns of `partsupp`.
pub fn offers(rows: &[PartSupp<'_>]) -> Vec<ArrayRef> {
    vec![
        keys(rows, |row| row.ps_partkey),
        keys(rows, |row| row.ps_suppkey),
        numbers(rows, |row| row.ps_availqty),
        amounts(rows, |row| row.ps_supplycost),
        texts(rows, |row| row.ps_comment),
    ]
}

/// The columns of `customer`.
pub fn customers(rows: &[Customer<'_>]) -> Vec<ArrayRef> {
    vec![
        keys(rows, |row| row.c_custkey),
        texts(rows, |row| &row.c_name),
        texts(rows, |row| &row.c_address),
        keys(rows, |row| row.c_nationkey),
        texts(rows, |row| &row.c_phone),
        amounts(rows, |row| row.c_acctbal),
        texts(rows, |row| row.c_mktsegment),
        texts(rows, |row| row.c_comment),
    ]
}

/// The columns of `orders`.
pub fn orders(rows: &[Order<'_>]) -> Vec<ArrayRef> {
    vec![
        keys(rows, |row| row.o_orderkey),
        keys(rows, |row| row.o_custkey),
        texts(rows, |row| &row.o_orderstatus),
        amounts(rows, |row| row.o_totalprice),
        dates(rows, |row| row.o_orderdate),
        texts(rows, |row| row.o_orderpriority),
        texts(rows, |row| &row.o_clerk),
        numbers(rows, |row| row.o_shippriority),
        texts(rows, |row| row.o_comment),
    ]
}

/// The columns of `lineitem`.
pub fn lines(rows: &[LineItem<'_>]) -> Vec<ArrayRef> {
    vec![
        keys(rows, |row| row.l_orderkey),
        keys(rows, |row| row.l_partkey),
        keys(rows, |row| row.l_suppkey),
        numbers(rows, |row| row.l_linenumber),
        amounts(rows, |row| TPCHDecimal(row.l_quantity * HUNDREDTHS)),
        amounts(rows, |row| row.l_extendedprice),
        amounts(rows, |row| row.l_discount),
        amounts(rows, |row| row.l_tax),
        texts(rows, |row| row.l_returnflag),
        texts(rows, |row| row.l_linestatus),
        dates(rows, |row| row.l_shipdate),
        dates(rows, |row| row.l_commitdate),
        dates(rows, |row| row.l_receiptdate),
        texts(rows, |row| row.l_shipinstruct),
        texts(rows, |row| row.l_shipmode),
        texts(rows, |row| row.l_comment),
    ]
}

fn keys<R>(rows: &[R], value: impl Fn(&R) -> i64) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(rows.iter().map(value)))
}

fn numbers<R>(rows: &[R], value: impl Fn(&R) -> i32) -> ArrayRef {
    Arc::new(Int32Array::from_iter_values(rows.iter().map(value)))
}

fn amounts<R>(rows: &[R], value: impl Fn(&R) -> TPCHDecimal) -> ArrayRef {
    let hundredths = rows.iter().map(|row| i128::from(value(row).into_inner()));
    Arc::new(Decimal128Array::from_iter_values(hundredths).with_data_type(AMOUNT))
}

fn dates<R>(rows: &[R], value: impl Fn(&R) -> TPCHDate) -> ArrayRef {
    let days = rows
        .iter()
        .map(|row| value(row).into_inner() + TPCHDate::UNIX_EPOCH_OFFSET);
    Arc::new(Date32Array::from_iter_values(days))
}

fn texts<'r, R, T: Display>(rows: &'r [R], value: impl Fn(&'r R) -> T) -> ArrayRef {
    let texts = rows.iter().map(|row| value(row).to_string());
    Arc::new(StringArray::from_iter_values(texts))
}

#[cfg(test)]
mod tests {
    use arrow::util::display::array_value_to_string;

    use super::super::generated::{self, Series};
    use super::*;

    const FACTOR: f64 = 0.001;

    /// The rows as the generator writes them: each field with a stroke behind it.
    fn written(columns: &[ArrayRef]) -> Vec<String> {
        let row = |row: usize| {
            let fields = columns.iter().map(|column| {
                let text = array_value_to_string(column, row).expect("a value");
                text + "|"
            });
            fields.collect::<String>()
        };
        (0..columns[0].len()).map(row).collect()
    }

    fn by_generator<R: Display>(rows: &[R]) -> Vec<String> {
        rows.iter().map(|row| row.to_string()).collect()
    }

    #[test]
    fn columns_say_what_the_generator_writes() {
        let rows = generated::regions();
        assert_eq!(written(&regions(&rows)), by_generator(&rows));
        let rows = generated::nations();
        assert_eq!(written(&nations(&rows)), by_generator(&rows));
        let rows = generated::parts(FACTOR);
        assert_eq!(written(&parts(&rows)), by_generator(&rows));
        let rows = generated::suppliers(FACTOR);
        assert_eq!(written(&suppliers(&rows)), by_generator(&rows));
        let rows = generated::offers(FACTOR);
        assert_eq!(written(&offers(&rows)), by_generator(&rows));
        let rows = generated::customers(FACTOR);
        assert_eq!(written(&customers(&rows)), by_generator(&rows));
    }

    #[test]
    fn orders_and_lines_are_those_of_the_standard() {
        let (order, rows) = Series::new(FACTOR).next_order();
        let order = written(&orders(&[order]));
        let rows = written(&lines(&rows));
        let expected = "1|37|O|131251.81|1996-01-02|5-LOW|Clerk#000000951|0|";
        assert!(order[0].starts_with(expected), "{order:?}");
        let expected = "1|156|4|1|17.00|17954.55|0.04|0.02|N|O|1996-03-13|1996-02-12|1996-03-22|\
                        DELIVER IN PERSON|TRUCK|";
        assert!(rows[0].starts_with(expected), "{rows:?}");
    }
}
