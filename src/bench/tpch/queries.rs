//! The texts of the 22 queries, which `tpchgen` has, with parameters under which a small scale still
//! gives answers.

use tpchgen::q_and_a::queries;

use super::super::BenchError;

/// The parameters of each query.
const PARAMETERS: [&[&str]; 22] = [
    &["90"],
    &["15", "BRASS", "EUROPE"],
    &["BUILDING", "1995-03-15"],
    &["1993-07-01"],
    &["ASIA", "1994-01-01"],
    &["1994-01-01", "0.06", "24"],
    &["FRANCE", "GERMANY"],
    &["CHINA", "ASIA", "ECONOMY ANODIZED STEEL"],
    &["green"],
    &["1993-10-01"],
    &["GERMANY", "0.01"],
    &["MAIL", "SHIP", "1994-01-01"],
    &["special", "requests"],
    &["1995-09-01"],
    &["1996-01-01"],
    &[
        "Brand#45",
        "MEDIUM POLISHED",
        "49",
        "14",
        "23",
        "45",
        "19",
        "3",
        "36",
        "9",
    ],
    &["Brand#23", "MED BOX"],
    &["220"],
    &["Brand#12", "Brand#23", "Brand#34", "1", "10", "20"],
    &["forest", "1994-01-01", "CANADA"],
    &["SAUDI ARABIA"],
    &["13", "31", "23", "29", "30", "18", "17"],
];

/// The views, `q1` to `q22`: name and statement.
pub fn views() -> Result<Vec<(String, String)>, BenchError> {
    let views = (1..=PARAMETERS.len()).map(|number| {
        let query = query(number)?;
        let statement = format!("CREATE MATERIALIZED VIEW q{number} AS\n{query}");
        Ok((format!("q{number}"), statement))
    });
    views.collect()
}

/// The text of a query, 1 to 22.
///
/// The queries that are meant for the first rows of an order get their limit, and as a last key
/// the one that decides between equal rows: without it there is more than one right answer.
fn query(number: usize) -> Result<String, BenchError> {
    if number == 15 {
        return Ok(TOP_SUPPLIER.to_owned());
    }
    let text = queries::query(number as i32);
    let text = text.ok_or_else(|| BenchError::Input(format!("TPC-H has no query {number}")))?;
    let mut text = text.trim().trim_end_matches(';').to_owned();
    for (position, value) in PARAMETERS[number - 1].iter().enumerate().rev() {
        text = text.replace(&format!(":{}", position + 1), value);
    }
    match number {
        // DataFusion knows no precision of intervals.
        1 => text = text.replace("day (3)", "day"),
        2 => text += " limit 100",
        3 => text += ", l_orderkey limit 10",
        10 => text += ", c_custkey limit 20",
        18 => {
            text = text.replacen("sum(l_quantity)\n", "sum(l_quantity) as quantity\n", 1);
            text += ", o_orderkey limit 100";
        }
        21 => text += " limit 100",
        _ => {}
    }
    Ok(text)
}

/// Query 15 asks for a view of its own; here it is a common table expression.
const TOP_SUPPLIER: &str = "\
with revenue as (
    select l_suppkey as supplier_no, sum(l_extendedprice * (1 - l_discount)) as total_revenue
    from lineitem
    where l_shipdate >= date '1996-01-01'
        and l_shipdate < date '1996-01-01' + interval '3' month
    group by l_suppkey
)
select s_suppkey, s_name, s_address, s_phone, total_revenue
from supplier, revenue
where s_suppkey = supplier_no
    and total_revenue = (select max(total_revenue) from revenue)
order by s_suppkey";
