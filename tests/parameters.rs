//! Values that clients bind to parameters: of other types than what they meet, and lists.

use std::error::Error;

use bytes::BytesMut;
use tokio_postgres::Client;
use tokio_postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};

use crate::serve::{Served, code};

const T: &str = "CREATE TABLE t (id INT PRIMARY KEY, n INT, price NUMERIC(6, 2), day DATE, \
    at TIMESTAMP, raw BYTEA, name TEXT, x REAL); \
    INSERT INTO t VALUES (1, 2, 4.50, '2026-05-04', '2026-05-04 10:20:30', '\\x00ff', 'a,b', 0.1), \
    (2, 3, 5, '2026-05-05', '2026-05-05 00:00:00', '\\x01', '', 0.5), \
    (3, NULL, NULL, NULL, NULL, NULL, '0f8fad5b-d9cb-469f-a165-70867728950e', NULL)";

/// Bytes that are sent as they are.
#[derive(Debug)]
struct Sent {
    format: Format,
    bytes: Vec<u8>,
}

impl ToSql for Sent {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.extend_from_slice(&self.bytes);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        self.format
    }

    to_sql_checked!();
}

fn text(text: &str) -> Sent {
    Sent {
        format: Format::Text,
        bytes: text.as_bytes().to_vec(),
    }
}

fn binary(bytes: Vec<u8>) -> Sent {
    Sent {
        format: Format::Binary,
        bytes,
    }
}

/// The rows for which a condition holds.
async fn rows_where(
    client: &Client,
    condition: &str,
    declared: Option<Type>,
    sent: Sent,
) -> Result<Vec<i32>, tokio_postgres::Error> {
    let sql = format!("SELECT id FROM t WHERE {condition} ORDER BY id");
    let types: Vec<Type> = declared.into_iter().collect();
    let statement = client.prepare_typed(&sql, &types).await?;
    let rows = client.query(&statement, &[&sent]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

#[test]
fn numbers_and_times_are_compared_in_the_type_they_are_declared_in() {
    let served = Served::start(10);
    served.runtime.block_on(async {
        let client = served.connect().await.expect("connected");
        client.batch_execute(T).await.expect("created");
        for (condition, declared, sent, expected) in [
            ("n = $1", Type::NUMERIC, "2.5", vec![]),
            ("n = $1", Type::NUMERIC, "2.0", vec![1]),
            ("n < $1", Type::NUMERIC, "2.5", vec![1]),
            ("n < $1", Type::NUMERIC, "Infinity", vec![1, 2]),
            ("n > $1", Type::FLOAT8, "2.5", vec![2]),
            ("n < $1", Type::INT8, "70000000000", vec![1, 2]),
            ("price = $1", Type::NUMERIC, "4.501", vec![]),
            ("x = $1", Type::FLOAT8, "0.1", vec![]),
            ("x = $1", Type::FLOAT4, "0.1", vec![1]),
            ("day = $1", Type::TIMESTAMP, "2026-05-04 12:00:00", vec![]),
            ("day = $1", Type::TIMESTAMP, "2026-05-04 00:00:00", vec![1]),
        ] {
            let found = rows_where(&client, condition, Some(declared), text(sent)).await;
            assert_eq!(found.expect(condition), expected, "{condition} {sent}");
        }
        // 2.5 in binary.
        let words: [u16; 6] = [2, 0, 0, 1, 2, 5000];
        let sent: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        let found = rows_where(&client, "n > $1", Some(Type::NUMERIC), binary(sent)).await;
        assert_eq!(found.expect("found"), [2]);
        let wrong = rows_where(&client, "n = $1", None, text("2.5")).await;
        let wrong = wrong.expect_err("no INT");
        assert_eq!(code(&wrong), Some("22P02"), "{wrong:?}");
    });
}

#[test]
fn lists_of_all_types_are_bound() {
    let served = Served::start(10);
    served.runtime.block_on(async {
        let client = served.connect().await.expect("connected");
        client.batch_execute(T).await.expect("created");
        for (condition, declared, sent, expected) in [
            ("n = ANY($1)", Type::INT4_ARRAY, "{2,NULL}", vec![1]),
            ("n = ANY($1)", Type::INT2_ARRAY, "{3}", vec![2]),
            ("n = ANY($1)", Type::INT8_ARRAY, "{}", vec![]),
            ("n = ANY($1)", Type::NUMERIC_ARRAY, "{2.5,3}", vec![2]),
            ("n <> ALL($1)", Type::INT4_ARRAY, "{2}", vec![2]),
            ("price = ANY($1)", Type::NUMERIC_ARRAY, "{4.5,7}", vec![1]),
            ("price = ANY($1)", Type::NUMERIC_ARRAY, "{4.501,5}", vec![2]),
            ("day = ANY($1)", Type::DATE_ARRAY, "{2026-05-04}", vec![1]),
            (
                "at = ANY($1)",
                Type::TIMESTAMP_ARRAY,
                r#"{"2026-05-04 10:20:30"}"#,
                vec![1],
            ),
            (
                "raw = ANY($1)",
                Type::BYTEA_ARRAY,
                r#"{"\\x00ff"}"#,
                vec![1],
            ),
            (
                "name = ANY($1)",
                Type::TEXT_ARRAY,
                r#"{"a,b","NULL"}"#,
                vec![1],
            ),
            ("name = ANY($1)", Type::TEXT_ARRAY, r#"{""}"#, vec![2]),
            (
                "name = ANY($1)",
                Type::UUID_ARRAY,
                "{0F8FAD5B-D9CB-469F-A165-70867728950E}",
                vec![3],
            ),
        ] {
            let found = rows_where(&client, condition, Some(declared), text(sent)).await;
            assert_eq!(found.expect(condition), expected, "{condition} {sent}");
        }
        // Without a declared type a list is of what it is compared with.
        let sql = "SELECT id FROM t WHERE n = ANY($1)";
        let statement = client.prepare(sql).await.expect("prepared");
        assert_eq!(statement.params(), [Type::INT4_ARRAY]);
        let rows = client.query(&statement, &[&vec![3, 7]]).await;
        assert_eq!(rows.expect("rows")[0].get::<_, i32>(0), 2);
        let sql = "SELECT id FROM t WHERE name = ANY($1)";
        let rows = client.query(sql, &[&vec!["a,b"]]).await.expect("rows");
        assert_eq!(rows[0].get::<_, i32>(0), 1);
        let found = rows_where(&client, "price = ANY($1)", None, text("{4.50}")).await;
        assert_eq!(found.expect("found"), [1]);
        let id = 0x0f8f_ad5b_d9cb_469f_a165_7086_7728_950e_u128;
        let sent = binary(id.to_be_bytes().to_vec());
        let found = rows_where(&client, "name = $1", Some(Type::UUID), sent).await;
        assert_eq!(found.expect("found"), [3]);
        for wrong in ["{1", "1", "{{1},{2}}", "{x}"] {
            let found = rows_where(&client, "n = ANY($1)", None, text(wrong)).await;
            let error = found.expect_err(wrong);
            assert_eq!(code(&error), Some("22P02"), "{error:?}");
        }
    });
}

#[test]
fn parameters_meet_the_columns_of_a_table_made_anew() {
    let served = Served::start(10);
    served.runtime.block_on(async {
        let client = served.connect().await.expect("connected");
        let table = "CREATE TABLE r (id INT PRIMARY KEY, v NUMERIC(6, 2), w INT)";
        client.batch_execute(table).await.expect("created");
        let sql = "SELECT id FROM r WHERE v = $1";
        let of_number = client.prepare(sql).await.expect("prepared");
        assert_eq!(of_number.params(), [Type::NUMERIC]);
        let sql = "SELECT id FROM r WHERE w = $1";
        let of_integer = client.prepare(sql).await.expect("prepared");
        let anew = "DROP TABLE r; CREATE TABLE r (id INT PRIMARY KEY, v DOUBLE, w DATE); \
                    INSERT INTO r VALUES (1, 0.1, '1970-01-06'), (2, CAST('Infinity' AS DOUBLE), NULL)";
        client.batch_execute(anew).await.expect("made anew");
        let rows = client.query(&of_number, &[&text("0.1")]).await;
        let rows = rows.expect("as doubles");
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].get::<_, i32>(0), 1);
        let refused = client.query(&of_integer, &[&5_i32]).await;
        let refused = refused.expect_err("no date");
        assert_eq!(code(&refused), Some("42804"), "{refused:?}");
    });
}

#[test]
fn patterns_and_units_of_times_may_be_bound() {
    let served = Served::start(10);
    served.runtime.block_on(async {
        let client = served.connect().await.expect("connected");
        client.batch_execute(T).await.expect("created");
        for declared in [Type::TEXT, Type::VARCHAR, Type::UNKNOWN] {
            let sql = "SELECT to_char(at, $1) FROM t WHERE id = 1";
            let statement = client.prepare_typed(sql, &[declared]).await;
            let statement = statement.expect("prepared");
            let rows = client.query(&statement, &[&text("YYYY-MM HH24:MI")]).await;
            let rows = rows.expect("written");
            assert_eq!(rows[0].get::<_, &str>(0), "2026-05 10:20");
            let refused = client.query(&statement, &[&text("DD X")]).await;
            let refused = refused.expect_err("no such pattern");
            assert_eq!(code(&refused), Some("0A000"), "{refused:?}");
        }
        let unit = "date_trunc($1, at) = TIMESTAMP '2026-05-01 00:00:00'";
        let rows = rows_where(&client, unit, None, text("month")).await;
        assert_eq!(rows.expect("begun"), [1, 2]);
        let condition = "day = to_date($1, 'DD.MM.YYYY')";
        let rows = rows_where(&client, condition, Some(Type::TEXT), text("05.05.2026")).await;
        assert_eq!(rows.expect("read"), [2]);
    });
}
