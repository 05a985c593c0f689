//! One moment: what is read while rows stream in is the answer for some prefix of the log, in all
//! tables and views alike.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio_postgres::{Client, SimpleQueryMessage};

use crate::serve::Served;

const SHOP: &str = "
    CREATE TABLE orders (id BIGINT PRIMARY KEY, customer BIGINT NOT NULL);
    CREATE TABLE lines (id BIGINT PRIMARY KEY, order_id BIGINT NOT NULL, amount BIGINT NOT NULL);
    CREATE MATERIALIZED VIEW order_count AS SELECT count(*) AS orders FROM orders;
    CREATE MATERIALIZED VIEW line_count AS SELECT count(*) AS lines FROM lines;
    CREATE MATERIALIZED VIEW customers AS
        SELECT o.customer, count(DISTINCT o.id) AS orders, sum(l.amount) AS amount
        FROM lines l JOIN orders o ON o.id = l.order_id GROUP BY o.customer;
    CREATE MATERIALIZED VIEW best AS
        SELECT customer, amount FROM customers ORDER BY amount DESC, customer LIMIT 3;
    CREATE MATERIALIZED VIEW total AS SELECT sum(amount) AS amount FROM customers";

/// What must be the same whichever relation tells it.
const SAME: &str = "SELECT
    (SELECT coalesce(sum(amount), 0) FROM lines),
    (SELECT coalesce(sum(amount), 0) FROM customers),
    (SELECT coalesce(max(amount), 0) FROM total),
    (SELECT coalesce(max(amount), 0) FROM customers),
    (SELECT coalesce(max(amount), 0) FROM best),
    (SELECT count(*) FROM orders),
    (SELECT orders FROM order_count),
    (SELECT count(*) FROM lines),
    (SELECT lines FROM line_count),
    (SELECT coalesce(sum(orders), 0) FROM customers)";

/// Lines that come with each order, in its transaction.
const LINES: i64 = 2;

async fn row(client: &Client, sql: &str) -> Vec<i64> {
    let messages = client.simple_query(sql).await.expect(sql);
    let row = messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    let row = row.expect("one row");
    (0..row.len())
        .map(|index| row.get(index).expect("a value").parse().expect("a number"))
        .collect()
}

#[test]
fn every_read_is_of_one_moment() {
    const TRANSACTIONS: i64 = 120;
    let served = Served::start(10);
    served.runtime.block_on(async {
        let writer = served.connect().await.expect("connected");
        writer.batch_execute(SHOP).await.expect("created");
        let is_done = Arc::new(AtomicBool::new(false));
        let mut readers = Vec::new();
        for _ in 0..2 {
            let client = served.connect().await.expect("connected");
            let is_done = Arc::clone(&is_done);
            readers.push(tokio::spawn(async move {
                let (mut reads, mut seen) = (0, 0);
                while !is_done.load(Ordering::Relaxed) {
                    let values = row(&client, SAME).await;
                    assert_eq!(
                        values[0], values[1],
                        "lines and customers differ: {values:?}"
                    );
                    assert_eq!(values[0], values[2], "lines and total differ: {values:?}");
                    assert_eq!(
                        values[3], values[4],
                        "customers and best differ: {values:?}"
                    );
                    // An order that came before its lines would be in the counts of orders alone.
                    let orders = values[5];
                    let of_orders = [values[6], values[9]];
                    assert_eq!(of_orders, [orders; 2], "orders differ: {values:?}");
                    let of_lines = [values[7], values[8]];
                    assert_eq!(of_lines, [LINES * orders; 2], "half orders: {values:?}");
                    assert!(values[0] >= seen, "time went back: {values:?} after {seen}");
                    seen = values[0];
                    reads += 1;
                }
                reads
            }));
        }
        let mut expected = 0;
        for number in 0..TRANSACTIONS {
            // Each transaction brings an order with its lines and makes an older line dearer, so
            // that the total only grows.
            let customer = number * number % 7;
            let sql = format!(
                "BEGIN; INSERT INTO orders VALUES ({number}, {customer});
                 INSERT INTO lines VALUES ({first}, {number}, 5), ({second}, {number}, {number});
                 COMMIT; UPDATE lines SET amount = amount + 1 WHERE id = {older}",
                first = 2 * number,
                second = 2 * number + 1,
                older = number,
            );
            writer.batch_execute(&sql).await.expect("committed");
            expected += 5 + number + 1;
            if number % 50 == 0 {
                // Own writes are read at once.
                assert_eq!(row(&writer, SAME).await[1], expected);
            }
        }
        is_done.store(true, Ordering::Relaxed);
        for reader in readers {
            assert!(reader.await.expect("the reader saw one moment each time") > 0);
        }
        let values = row(&writer, SAME).await;
        assert_eq!([values[2], values[5]], [expected, TRANSACTIONS]);
    });
}
