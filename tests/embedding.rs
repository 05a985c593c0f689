//! Mainstem as a library: the code of docs/embedding.md, which stands here, works.

use std::path::Path;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use mainstem::arrow::array::{
    ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray,
};
use mainstem::arrow::datatypes::{DataType, Float64Type};
use mainstem::arrow::util::pretty::pretty_format_batches;
use mainstem::datafusion::common::ScalarValue;
use mainstem::datafusion::error::Result as FunctionResult;
use mainstem::datafusion::logical_expr::{
    Accumulator, ColumnarValue, Volatility, create_udaf, create_udf,
};
use mainstem::engine::{Durability, Engine, EngineError, EngineOptions, Outcome, Session};
use mainstem::model::{Change, ChangeKind, Submission};
use mainstem::sql::{FunctionError, Functions};

fn open(directory: &Path, functions: &Functions) -> Result<Engine, EngineError> {
    let options = EngineOptions {
        data_dir: directory.to_path_buf(),
        workers: 2,
        history_ms: 60_000,
    };
    Engine::open_with_functions(options, &Durability::default(), functions, &mut |_| {})
}

async fn run(session: &mut Session, sql: &str) -> Result<Vec<RecordBatch>, EngineError> {
    let mut answer = Vec::new();
    for statement in session.parse(sql)? {
        match session.execute(&statement, &[]).await? {
            Outcome::Rows(rows) | Outcome::Returned { rows, .. } => {
                answer = rows.try_collect().await?;
            }
            Outcome::Done(tag) => println!("{tag}"),
            _ => println!("COPY and SUBSCRIBE give their rows bit by bit, see below"),
        }
    }
    Ok(answer)
}

async fn amount_of(session: &mut Session, shop: &str) -> Result<Vec<RecordBatch>, EngineError> {
    let sql = "SELECT sum(amount) AS amount FROM sales WHERE shop = $1";
    let statement = session.parse(sql)?.remove(0);
    match session
        .execute(&statement, &[ScalarValue::from(shop)])
        .await?
    {
        Outcome::Rows(rows) => Ok(rows.try_collect().await?),
        _ => Ok(Vec::new()),
    }
}

fn sell(engine: &Engine, amounts: &[(i64, &str, f64)]) -> Result<u64, EngineError> {
    let ids: Int64Array = amounts.iter().map(|(id, _, _)| Some(*id)).collect();
    let shops: StringArray = amounts.iter().map(|(_, shop, _)| Some(*shop)).collect();
    let sums: Float64Array = amounts.iter().map(|(_, _, sum)| Some(*sum)).collect();
    let table = engine
        .tables()
        .into_iter()
        .find(|table| table.name == "sales");
    let schema = table.expect("sales has been created").schema();
    let columns = vec![
        Arc::new(ids) as _,
        Arc::new(shops) as _,
        Arc::new(sums) as _,
    ];
    engine.submit(Submission {
        changes: vec![Change {
            table: Arc::from("sales"),
            kind: ChangeKind::Upsert,
            rows: RecordBatch::try_new(schema, columns).expect("the columns of the table"),
        }],
        ..Submission::default()
    })
}

async fn first_changes(session: &mut Session, view: &str) -> Result<RecordBatch, EngineError> {
    let sql = format!("SUBSCRIBE TO {view} WITH (snapshot = false)");
    let statement = session.parse(&sql)?.remove(0);
    match session.execute(&statement, &[]).await? {
        Outcome::Subscription(mut changes) => {
            run(session, "INSERT INTO sales VALUES (10, 'west', 70)").await?;
            let changes = changes.next().await.expect("it has no end");
            Ok(changes?)
        }
        _ => panic!("a subscription"),
    }
}

fn functions() -> Result<Functions, FunctionError> {
    let with_tax = create_udf(
        "with_tax",
        vec![DataType::Float64],
        DataType::Float64,
        Volatility::Immutable,
        Arc::new(|arguments| {
            let amounts = ColumnarValue::values_to_arrays(arguments)?.remove(0);
            let amounts = amounts.as_primitive::<Float64Type>();
            let taxed = amounts.unary::<_, Float64Type>(|amount| amount * 1.25);
            Ok(ColumnarValue::Array(Arc::new(taxed)))
        }),
    );
    let longest = create_udaf(
        "longest",
        vec![DataType::Utf8],
        Arc::new(DataType::Utf8),
        Volatility::Immutable,
        Arc::new(|_| Ok(Box::new(Longest::default()))),
        Arc::new(vec![DataType::Utf8]),
    );
    Functions::new()
        .with_scalar(with_tax)?
        .with_aggregate(longest)
}

/// The longest text of a group; of equally long ones the first in the alphabet, so that the order
/// of the rows does not matter.
#[derive(Debug, Default)]
struct Longest(Option<String>);

impl Accumulator for Longest {
    fn update_batch(&mut self, arguments: &[ArrayRef]) -> FunctionResult<()> {
        for text in arguments[0].as_string::<i32>().iter().flatten() {
            let rank = |text: &str| (text.len(), std::cmp::Reverse(text.to_owned()));
            if self.0.as_deref().is_none_or(|best| rank(text) > rank(best)) {
                self.0 = Some(text.to_owned());
            }
        }
        Ok(())
    }

    fn evaluate(&mut self) -> FunctionResult<ScalarValue> {
        Ok(ScalarValue::Utf8(self.0.clone()))
    }

    fn state(&mut self) -> FunctionResult<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> FunctionResult<()> {
        self.update_batch(states)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.0.as_ref().map_or(0, String::capacity)
    }
}

const PAGE: &str = include_str!("../docs/embedding.md");

/// The lines of a code block as they are compared: without indentation.
fn lines(text: &str) -> Vec<&str> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect()
}

#[test]
fn the_page_shows_the_code_of_this_file() {
    let here = lines(include_str!("embedding.rs"));
    let mut blocks = 0;
    for block in PAGE.split("```rust\n").skip(1) {
        let block = lines(block.split("```").next().expect("an end"));
        let is_here = here.windows(block.len()).any(|window| window == block);
        assert!(is_here, "{}", block.join("\n"));
        blocks += 1;
    }
    assert!(blocks >= 6, "the page has {blocks} blocks");
}

async fn text(session: &mut Session, sql: &str) -> String {
    let rows = run(session, sql).await;
    let rows = rows.unwrap_or_else(|error| panic!("{sql}: {error}"));
    pretty_format_batches(&rows).expect("printable").to_string()
}

const CREATE: &str = "CREATE TABLE sales (id BIGINT PRIMARY KEY, shop TEXT, amount DOUBLE);
    CREATE MATERIALIZED VIEW taxed AS SELECT id, with_tax(amount) AS amount FROM sales;
    CREATE MATERIALIZED VIEW shops AS
        SELECT with_tax(sum(amount)) AS amount, longest(shop) AS shop, longest(DISTINCT shop) AS d,
            longest(shop) FILTER (WHERE amount > 30) AS large, amount > 50 AS is_large
        FROM sales GROUP BY amount > 50;
    CREATE MATERIALIZED VIEW on_shops AS SELECT max(amount) AS amount FROM shops";
const SHOPS: &str = "SELECT with_tax(sum(amount)) AS amount, longest(shop) AS shop,
    longest(DISTINCT shop) AS d, longest(shop) FILTER (WHERE amount > 30) AS large,
    amount > 50 AS is_large FROM sales GROUP BY amount > 50 ORDER BY is_large";

async fn assert_true(session: &mut Session) {
    let live = text(session, "SELECT * FROM shops ORDER BY is_large").await;
    assert_eq!(live, text(session, SHOPS).await);
    let live = text(session, "SELECT * FROM taxed ORDER BY id").await;
    let batch = "SELECT id, with_tax(amount) AS amount FROM sales ORDER BY id";
    assert_eq!(live, text(session, batch).await);
}

#[test]
fn what_the_page_says_works() {
    crate::engine::runtime().block_on(async {
        let directory = tempfile::tempdir().expect("a directory");
        let engine = open(directory.path(), &functions().expect("functions")).expect("opened");
        let mut session = engine.session();
        run(&mut session, CREATE).await.expect("created");
        sell(
            &engine,
            &[(1, "north", 20.0), (2, "south", 40.0), (3, "a", 60.0)],
        )
        .expect("sold");
        sell(&engine, &[(4, "west", 44.0), (5, "northern", 51.0)]).expect("sold");
        engine.flush().expect("complete");
        assert_true(&mut session).await;
        let amount = amount_of(&mut session, "north").await.expect("an answer");
        assert_eq!(
            amount[0].column(0).as_primitive::<Float64Type>().value(0),
            20.0
        );
        let changed = first_changes(&mut session, "shops").await.expect("changes");
        assert_eq!(changed.num_columns(), 7);
        assert!(
            changed.num_rows() >= 2,
            "a row of shops goes, another comes"
        );
        for sql in [
            "UPDATE sales SET shop = 'northern shop' WHERE id = 2",
            "UPDATE sales SET amount = 10 WHERE id = 5",
            "DELETE FROM sales WHERE id = 1",
            "INSERT INTO sales VALUES (6, NULL, NULL), (7, 'z', 1e9)",
            "DELETE FROM sales WHERE shop = 'northern shop'",
        ] {
            run(&mut session, sql).await.expect(sql);
            assert_true(&mut session).await;
        }
        let plan = text(&mut session, "EXPLAIN shops").await;
        assert!(
            plan.contains("longest(") && plan.contains("recomputes the group"),
            "{plan}"
        );
        engine.shutdown();
    });
}

#[test]
fn views_wait_for_their_functions() {
    crate::engine::runtime().block_on(async {
        let directory = tempfile::tempdir().expect("a directory");
        let functions = functions().expect("functions");
        let engine = open(directory.path(), &functions).expect("opened");
        let mut session = engine.session();
        run(&mut session, CREATE).await.expect("created");
        run(&mut session, "INSERT INTO sales VALUES (1, 'north', 20)")
            .await
            .expect("sold");
        run(
            &mut session,
            "CREATE MATERIALIZED VIEW n AS SELECT count(*) AS n FROM sales",
        )
        .await
        .expect("created");
        engine.shutdown();
        for has_checkpoint in [false, true] {
            let engine = open(directory.path(), &Functions::new()).expect("opened without");
            let broken = &engine.recovered().broken_views;
            let names: Vec<&str> = broken.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names, ["taxed", "shops", "on_shops"]);
            assert!(
                broken[0].1.contains("there is no function with_tax()"),
                "{broken:?}"
            );
            let mut session = engine.session();
            assert!(run(&mut session, "SELECT * FROM shops").await.is_err());
            let id = if has_checkpoint { 3 } else { 2 };
            let insert = format!("INSERT INTO sales VALUES ({id}, 'south', 60)");
            run(&mut session, &insert).await.expect("the tables go on");
            let count = text(&mut session, "SELECT n FROM n").await;
            assert!(
                count.contains(&format!("| {id} |")),
                "other views go on: {count}"
            );
            if has_checkpoint {
                engine.checkpoint().expect("written");
            }
            engine.shutdown();
            let engine = open(directory.path(), &functions).expect("opened with them");
            assert_eq!(engine.recovered().broken_views, Vec::new());
            assert_true(&mut engine.session()).await;
            engine.shutdown();
        }
    });
}

#[test]
fn functions_that_views_cannot_rest_on_are_refused() {
    let function = |name: &str, volatility| {
        let identity = Arc::new(|arguments: &[ColumnarValue]| Ok(arguments[0].clone()));
        create_udf(
            name,
            vec![DataType::Int64],
            DataType::Int64,
            volatility,
            identity,
        )
    };
    for volatility in [Volatility::Volatile, Volatility::Stable] {
        let refused = Functions::new().with_scalar(function("f", volatility));
        let error = refused.expect_err("not deterministic");
        assert!(
            matches!(error, FunctionError::NotDeterministic { .. }),
            "{error}"
        );
    }
    for name in ["", "F", "1f", "f g", "größe"] {
        let refused = Functions::new().with_scalar(function(name, Volatility::Immutable));
        assert!(
            matches!(refused, Err(FunctionError::Unnameable { .. })),
            "{name}"
        );
    }
    let one = Functions::new().with_scalar(function("f", Volatility::Immutable));
    let two = one
        .expect("one")
        .with_scalar(function("f", Volatility::Immutable));
    assert!(matches!(two, Err(FunctionError::Taken { .. })));
    let directory = tempfile::tempdir().expect("a directory");
    for name in ["upper", "sum", "mean", "rank", "json_get", "now"] {
        let functions = Functions::new().with_scalar(function(name, Volatility::Immutable));
        let opened = open(directory.path(), &functions.expect(name));
        let error = opened.map(|_| ()).expect_err(name);
        assert_eq!(
            error.to_string(),
            format!("there is a function {name}() already")
        );
    }
}

#[test]
fn a_function_that_breaks_down_takes_only_its_rows_along() {
    let careless = create_udf(
        "careless",
        vec![DataType::Float64],
        DataType::Float64,
        Volatility::Immutable,
        Arc::new(|arguments| {
            let amounts = ColumnarValue::values_to_arrays(arguments)?.remove(0);
            let amounts = amounts.as_primitive::<Float64Type>();
            assert!(
                amounts.iter().all(|amount| amount != Some(13.0)),
                "an unlucky number"
            );
            Ok(ColumnarValue::Array(Arc::new(amounts.clone())))
        }),
    );
    crate::engine::runtime().block_on(async {
        let directory = tempfile::tempdir().expect("a directory");
        let functions = Functions::new().with_scalar(careless).expect("a function");
        let engine = open(directory.path(), &functions).expect("opened");
        let mut session = engine.session();
        for sql in [
            "CREATE TABLE sales (id BIGINT PRIMARY KEY, amount DOUBLE)",
            "CREATE MATERIALIZED VIEW v AS SELECT id, careless(amount) AS amount FROM sales",
            "INSERT INTO sales VALUES (1, 12), (2, 13), (3, 14)",
        ] {
            run(&mut session, sql).await.expect(sql);
        }
        let failed = run(&mut session, "SELECT * FROM v")
            .await
            .expect_err("a row has failed");
        assert!(
            failed.to_string().contains("a function broke down"),
            "{failed}"
        );
        run(&mut session, "DELETE FROM sales WHERE id = 2")
            .await
            .expect("deleted");
        let rows = text(&mut session, "SELECT count(*) AS n FROM v").await;
        assert!(rows.contains("| 2 |"), "{rows}");
        engine.shutdown();
    });
}
