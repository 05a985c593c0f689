//! The generated history: what must hold of a shop's data, asked in SQL; and the sample made of it.

use std::fs;
use std::path::{Path, PathBuf};

use mainstem::engine::{Engine, Session};
use mainstem::model::standard_tables;
use mainstem::source::{Generator, GeneratorOptions, Source};

use crate::engine::{open, run};
use crate::tools::mainstem_succeeds;

/// The rows of a query in a fixed order, as they are printed.
pub async fn sorted_rows(session: &mut Session, sql: &str) -> Vec<String> {
    let answer = run(session, sql).await;
    let answer = answer.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let mut rows: Vec<String> = answer.lines().map(str::to_owned).collect();
    rows.sort_unstable();
    rows
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().expect("a runtime")
}

/// An engine with a generated history in its tables.
fn engine_with(options: GeneratorOptions, directory: &Path) -> Engine {
    let engine = open(directory, 1);
    engine.ensure_tables(&standard_tables()).expect("tables");
    let mut generator = Generator::open(options, None).expect("good options");
    while let Some(submission) = generator.next().expect("rows that fit the model") {
        engine.enqueue(submission).expect("queued");
    }
    engine.flush().expect("complete");
    engine
}

/// Queries for what must not be: each with a name, and rows only where something is wrong.
const WRONG: &[(&str, &str)] = &[
    (
        "a line's total is quantity × price less its discount",
        "SELECT * FROM order_lines WHERE total_minor <> CAST(quantity * unit_price * 100 AS BIGINT) - discount_minor",
    ),
    (
        "a line costs something and has units",
        "SELECT * FROM order_lines WHERE total_minor <= 0 OR quantity <= 0",
    ),
    (
        "an order's total is that of its lines with shipping less discount",
        "SELECT o.source, o.order_id FROM orders o
         LEFT JOIN (SELECT source, order_id, sum(total_minor) AS total_minor FROM order_lines GROUP BY source, order_id) l
           ON l.source = o.source AND l.order_id = o.order_id
         WHERE o.total_minor IS DISTINCT FROM l.total_minor + o.shipping_minor - o.discount_minor",
    ),
    (
        "taxes of an order are those of its lines and of what is beside them",
        "SELECT o.source, o.order_id FROM orders o
         JOIN (SELECT source, order_id, sum(tax_minor) AS tax_minor FROM order_lines GROUP BY source, order_id) l
           ON l.source = o.source AND l.order_id = o.order_id
         WHERE o.discount_minor = 0 AND (o.tax_minor < l.tax_minor OR o.tax_minor > l.tax_minor + o.shipping_minor)",
    ),
    (
        "lines belong to orders and products",
        "SELECT l.* FROM order_lines l
         LEFT JOIN orders o ON o.source = l.source AND o.order_id = l.order_id
         LEFT JOIN products p ON p.source = l.source AND p.product_id = l.product_id AND p.sku = l.sku
         WHERE o.order_id IS NULL OR p.product_id IS NULL OR o.currency <> l.currency",
    ),
    (
        "orders belong to customers and places",
        "SELECT o.* FROM orders o
         LEFT JOIN customers c ON c.source = o.source AND c.customer_id = o.customer_id
         LEFT JOIN locations p ON p.source = o.source AND p.location_id = o.location_id
         WHERE p.location_id IS NULL OR (o.customer_id IS NOT NULL AND c.customer_id IS NULL)",
    ),
    (
        "customers exist before they order",
        "SELECT o.* FROM orders o JOIN customers c ON c.source = o.source AND c.customer_id = o.customer_id
         WHERE c.created_at > o.placed_at",
    ),
    (
        "identifiers belong to customers",
        "SELECT i.* FROM customer_identifiers i
         LEFT JOIN customers c ON c.source = i.source AND c.customer_id = i.customer_id
         WHERE c.customer_id IS NULL",
    ),
    (
        "payments belong to orders and, those that count, come to their totals",
        "SELECT o.source, o.order_id FROM orders o
         FULL JOIN (SELECT source, order_id, sum(amount_minor) FILTER (WHERE status <> 'failed') AS amount_minor
                    FROM payments GROUP BY source, order_id) p
           ON p.source = o.source AND p.order_id = o.order_id
         WHERE o.order_id IS NULL
            OR (o.status IN ('paid', 'fulfilled', 'closed') AND p.amount_minor IS DISTINCT FROM o.total_minor)
            OR p.amount_minor > o.total_minor",
    ),
    (
        "paid orders are paid",
        "SELECT o.source, o.order_id FROM orders o
         JOIN payments p ON p.source = o.source AND p.order_id = o.order_id
         WHERE o.status IN ('paid', 'closed') AND p.status NOT IN ('captured', 'failed')
            OR p.status = 'captured' AND p.captured_at IS NULL",
    ),
    (
        "nobody gets more back than they paid",
        "SELECT r.source, r.order_id FROM
         (SELECT source, order_id, sum(amount_minor) AS amount_minor FROM refunds GROUP BY source, order_id) r
         LEFT JOIN (SELECT source, order_id, sum(amount_minor) AS amount_minor FROM payments
                    WHERE status = 'captured' GROUP BY source, order_id) p
           ON p.source = r.source AND p.order_id = r.order_id
         WHERE r.amount_minor > coalesce(p.amount_minor, 0)",
    ),
    (
        "refunds contain their lines, and lines come back at most as they were bought",
        "SELECT r.* FROM refund_lines r
         LEFT JOIN refunds f ON f.source = r.source AND f.refund_id = r.refund_id AND f.order_id = r.order_id
         LEFT JOIN order_lines l ON l.source = r.source AND l.order_id = r.order_id AND l.line_id = r.line_id
         WHERE f.refund_id IS NULL OR l.line_id IS NULL OR l.product_id <> r.product_id
            OR r.quantity > l.quantity OR r.amount_minor > l.total_minor OR r.amount_minor > f.amount_minor",
    ),
    (
        "cancelled orders have their moment and keep no money",
        "SELECT o.* FROM orders o
         LEFT JOIN (SELECT source, order_id, sum(amount_minor) AS amount_minor FROM payments
                    WHERE status = 'captured' GROUP BY source, order_id) p
           ON p.source = o.source AND p.order_id = o.order_id
         LEFT JOIN (SELECT source, order_id, sum(amount_minor) AS amount_minor FROM refunds GROUP BY source, order_id) r
           ON r.source = o.source AND r.order_id = o.order_id
         WHERE (o.status = 'cancelled') <> (o.cancelled_at IS NOT NULL)
            OR (o.status = 'cancelled' AND coalesce(p.amount_minor, 0) <> coalesce(r.amount_minor, 0))",
    ),
    (
        "what is promised is what open orders have ordered",
        "SELECT coalesce(i.product_id, o.product_id) FROM
         (SELECT source, product_id, location_id, quantity FROM inventory_levels WHERE bucket = 'reserved' AND quantity > 0) i
         FULL JOIN (SELECT l.source, l.product_id, o.location_id, sum(l.quantity) AS quantity
                    FROM orders o JOIN order_lines l ON l.source = o.source AND l.order_id = o.order_id
                    WHERE o.status IN ('placed', 'paid') AND NOT o.is_test AND o.source <> 'tills'
                    GROUP BY l.source, l.product_id, o.location_id) o
           ON o.source = i.source AND o.product_id = i.product_id AND o.location_id = i.location_id
         WHERE i.quantity IS DISTINCT FROM o.quantity",
    ),
    (
        "no more is promised than there is",
        "SELECT r.* FROM inventory_levels r
         LEFT JOIN inventory_levels h ON h.source = r.source AND h.product_id = r.product_id
           AND h.location_id = r.location_id AND h.bucket = 'on_hand'
         WHERE r.bucket = 'reserved' AND r.quantity > coalesce(h.quantity, 0)",
    ),
    (
        "stock is of known products at known places",
        "SELECT i.* FROM inventory_levels i
         LEFT JOIN products p ON p.source = i.source AND p.product_id = i.product_id
         LEFT JOIN locations l ON l.source = i.source AND l.location_id = i.location_id
         WHERE p.product_id IS NULL OR l.location_id IS NULL",
    ),
    (
        "a line has the price that held when it was bought",
        "SELECT l.* FROM order_lines l
         LEFT JOIN prices p ON p.source = l.source AND p.product_id = l.product_id AND p.unit_price = l.unit_price
           AND p.valid_from <= l.occurred_at AND (p.valid_to IS NULL OR p.valid_to > l.occurred_at)
         WHERE p.product_id IS NULL",
    ),
    (
        "interactions are about known products, customers and orders",
        "SELECT i.* FROM interactions i
         LEFT JOIN products p ON p.source = i.source AND p.product_id = i.product_id
         LEFT JOIN customers c ON c.source = i.source AND c.customer_id = i.customer_id
         LEFT JOIN orders o ON o.source = i.source AND o.order_id = i.order_id
         WHERE (i.product_id IS NOT NULL AND p.product_id IS NULL)
            OR (i.customer_id IS NOT NULL AND c.customer_id IS NULL)
            OR (i.order_id IS NOT NULL AND o.order_id IS NULL)",
    ),
    (
        "a customer has one e-mail address, and people are told apart by theirs",
        "SELECT source, identifier_value FROM customer_identifiers WHERE identifier_type = 'email'
         GROUP BY source, identifier_value HAVING count(*) > 1",
    ),
];

#[test]
fn the_books_of_the_generated_shop_are_right() {
    let directory = tempfile::tempdir().expect("a directory");
    let options = GeneratorOptions {
        seed: 20,
        scale_thousandths: 150,
        days: 100,
        ..GeneratorOptions::default()
    };
    let engine = engine_with(options, directory.path());
    runtime().block_on(async {
        let mut session = engine.session();
        for (what, sql) in WRONG {
            let rows = run(
                &mut session,
                &format!("SELECT count(*) AS wrong FROM ({sql}) w LIMIT 1"),
            )
            .await;
            let answer = rows.unwrap_or_else(|error| panic!("{what}: {error}"));
            if !answer.contains("| 0     |") {
                let some = run(&mut session, &format!("{sql} LIMIT 3"))
                    .await
                    .expect("asked before");
                panic!("{what}: {options:?}\n{answer}\n{some}");
            }
        }
        // People are known to several systems.
        let shared = "SELECT count(*) AS n FROM customer_identifiers a JOIN customer_identifiers b
            ON a.identifier_type = b.identifier_type AND a.identifier_value = b.identifier_value
            AND a.source < b.source";
        let answer = sorted_rows(
            &mut session,
            &format!("SELECT n > 100 AS enough FROM ({shared}) s"),
        )
        .await;
        assert!(answer.iter().any(|row| row.contains("true")), "{answer:?}");
    });
    engine.shutdown();
}

const SAMPLE: [&str; 6] = ["--seed", "3", "--scale", "0.01", "--days", "16"];

fn sample_options() -> GeneratorOptions {
    GeneratorOptions {
        seed: 3,
        scale_thousandths: 10,
        days: 16,
        ..GeneratorOptions::default()
    }
}

#[test]
fn the_sample_is_what_the_generator_makes() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut arguments = vec!["generate", "--out", "events"];
    arguments.extend(SAMPLE);
    mainstem_succeeds(directory.path(), &arguments);
    let mut names: Vec<String> = fs::read_dir(directory.path().join("events"))
        .expect("a directory")
        .map(|entry| entry.expect("an entry").file_name().display().to_string())
        .collect();
    names.sort();
    assert_eq!(names.len(), standard_tables().len() - 1);
    for name in names {
        let made = fs::read_to_string(directory.path().join("events").join(&name));
        let kept = fs::read_to_string(repository("fixtures/sample/events").join(&name));
        assert!(
            made.expect("text") == kept.unwrap_or_default(),
            "{name} is not what the generator makes: run the command in \
             fixtures/sample/mainstem.toml and look at the difference"
        );
    }
}

#[test]
fn the_sample_read_from_files_is_the_history_itself() {
    let files = tempfile::tempdir().expect("a directory");
    let settings = repository("fixtures/sample/mainstem.toml")
        .display()
        .to_string();
    let services = [
        "--serve-pgwire",
        "off",
        "--serve-http",
        "off",
        "--data-dir",
        "data",
    ];
    let mut arguments = vec!["run", "--once", "-c", &settings];
    arguments.extend(services);
    mainstem_succeeds(files.path(), &arguments);
    let of_files = open(&files.path().join("data"), 1);
    let directory = tempfile::tempdir().expect("a directory");
    let of_generator = engine_with(sample_options(), directory.path());
    runtime().block_on(async {
        let (mut left, mut right) = (of_files.session(), of_generator.session());
        for table in standard_tables() {
            let sql = format!("SELECT * FROM {}", table.name);
            let read = sorted_rows(&mut left, &sql).await;
            assert!(
                read == sorted_rows(&mut right, &sql).await,
                "{}",
                table.name
            );
        }
    });
    of_files.shutdown();
    of_generator.shutdown();
}

#[test]
fn parquet_files_hold_the_same_rows() {
    let directory = tempfile::tempdir().expect("a directory");
    for format in ["ndjson", "parquet"] {
        let mut arguments = vec!["generate", "--out", format, "--format", format];
        arguments.extend(SAMPLE);
        let output = mainstem_succeeds(directory.path(), &arguments);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = format!("{format}/order_lines.{format}  ");
        assert!(text.contains(&line), "{text}");
    }
    let ndjson = fs::read_to_string(directory.path().join("ndjson/orders.ndjson")).expect("text");
    let file = fs::File::open(directory.path().join("parquet/orders.parquet")).expect("a file");
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file)
        .and_then(|builder| builder.build())
        .expect("a Parquet file");
    let mut text = Vec::new();
    let mut writer = arrow::json::LineDelimitedWriter::new(&mut text);
    for batch in reader {
        writer.write(&batch.expect("rows")).expect("written");
    }
    writer.finish().expect("written");
    assert!(ndjson.as_bytes() == text.as_slice());
}
