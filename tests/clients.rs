//! Clients of other languages, as their users write them.
//!
//! Python is the one named by the variable PYTHON, `python3` if there is none.

use std::process::Command;

use crate::serve::Served;
use crate::tools::has_program;

pub fn python() -> String {
    std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned())
}

/// Runs a script with the port as its argument; what it prints.
fn script(served: &Served, text: &str) -> String {
    let output = Command::new(python())
        .args(["-c", text, &served.address.port().to_string()])
        .output()
        .expect("Python starts");
    let (out, error) = (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    );
    assert!(output.status.success(), "{out}\n{error}");
    out
}

#[test]
fn psycopg_works() {
    if !has_program(&python(), &["-c", "import psycopg"]) {
        return;
    }
    let served = Served::start(10);
    let out = script(
        &served,
        r#"
import sys, datetime, decimal, psycopg
from psycopg.rows import dict_row
from psycopg.types import TypeInfo
from psycopg.types.enum import EnumInfo
from psycopg.types.range import RangeInfo
url = f"host=127.0.0.1 port={sys.argv[1]} user=analyst dbname=shop"
with psycopg.connect(url, autocommit=True) as db:
    db.execute("CREATE TABLE sales (id BIGINT PRIMARY KEY, shop TEXT NOT NULL, price NUMERIC(18, 4), sold_at TIMESTAMP, is_gift BOOLEAN)")
    db.execute("CREATE MATERIALIZED VIEW by_shop AS SELECT shop, count(*) AS n, sum(price) AS revenue FROM sales GROUP BY shop")
    rows = [(n, "north" if n < 3 else "söuth", decimal.Decimal("12.5"), datetime.datetime(2026, 5, 4, 10, 20, n), n == 1) for n in range(5)]
    with db.cursor() as cursor:
        cursor.executemany("INSERT INTO sales VALUES (%s, %s, %s, %s, %s)", rows)
    print(db.execute("SELECT * FROM by_shop ORDER BY shop").fetchall())
    print(db.execute("SELECT * FROM sales WHERE id = %s", [1]).fetchone())
    print(db.execute("SELECT id FROM sales WHERE id = ANY(%s::bigint[]) ORDER BY id", [[1, 4]]).fetchall())
    print(db.execute("SELECT id FROM sales WHERE id = ANY(%s) AND price = ANY(%s) AND sold_at <> ALL(%s) AND shop = ANY(%b) ORDER BY id", [[0, 1, 2, 4], [decimal.Decimal("12.5")], [datetime.datetime(2026, 5, 4, 10, 20, 1)], ["north"]]).fetchall())
    print(db.execute("SELECT %b::bigint + 1, %t || '!', %b::bool, %b::double", [41, "ü", True, 0.5]).fetchone())
    print(db.cursor(binary=True).execute("SELECT id, price, sold_at, is_gift FROM sales WHERE id = 4").fetchone())
    with db.cursor() as cursor:
        with cursor.copy("COPY sales (id, shop, price) FROM STDIN") as copy:
            for n in range(10, 13):
                copy.write_row((n, "ea\tst", None))
        with cursor.copy("COPY (SELECT id, shop FROM sales WHERE id > 10 ORDER BY id) TO STDOUT") as copy:
            print(list(copy.rows()))
    print(next(db.cursor().stream("SUBSCRIBE TO (SELECT count(*) AS n FROM sales)"))[1:])
    with db.cursor() as cursor:
        cursor.executemany("INSERT INTO sales (id, shop) VALUES (%s, %s) RETURNING id, shop || '!' AS s", [(30, "x"), (31, "y")], returning=True)
        print([result.fetchall() for result in cursor.results()])
    update = db.execute("UPDATE sales SET price = 2 WHERE id >= %s RETURNING id, price * %s::bigint AS p", [30, 3])
    print(update.statusmessage, sorted(update.fetchall()))
    gone = db.cursor(binary=True).execute("DELETE FROM sales WHERE id >= 30 RETURNING id")
    print(gone.statusmessage, gone.rowcount, sorted(gone.fetchall()))
    print(TypeInfo.fetch(db, "int8").array_oid, TypeInfo.fetch(db, "hstore"), EnumInfo.fetch(db, "mood"), RangeInfo.fetch(db, "int4range"))
    try:
        db.execute("SELECT nothing FROM sales")
    except psycopg.errors.UndefinedColumn as error:
        print(error.sqlstate)
with psycopg.connect(url, row_factory=dict_row) as db:
    with db.transaction():
        db.execute("INSERT INTO sales (id, shop) VALUES (20, 'west')")
        print(db.execute("SELECT count(*) AS n FROM sales").fetchone())
        try:
            with db.transaction():
                db.execute("INSERT INTO sales (id, shop) VALUES (21, NULL)")
        except psycopg.errors.NotNullViolation as error:
            print(error.sqlstate)
    with db.cursor(name="c") as cursor:
        cursor.itersize = 2
        cursor.execute("SELECT id FROM sales ORDER BY id")
        print([row["id"] for row in cursor])
"#,
    );
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(
        lines,
        [
            "[('north', 3, Decimal('37.5000')), ('söuth', 2, Decimal('25.0000'))]",
            "(1, 'north', Decimal('12.5000'), datetime.datetime(2026, 5, 4, 10, 20, 1), True)",
            "[(1,), (4,)]",
            "[(0,), (2,)]",
            "(42, 'ü!', True, 0.5)",
            "(4, Decimal('12.5000'), datetime.datetime(2026, 5, 4, 10, 20, 4), False)",
            "[('11', 'ea\\tst'), ('12', 'ea\\tst')]",
            "(1, 8)",
            "[[(30, 'x!')], [(31, 'y!')]]",
            "UPDATE 2 [(30, Decimal('6.0000')), (31, Decimal('6.0000'))]",
            "DELETE 2 2 [(30,), (31,)]",
            "1016 None None None",
            "42703",
            "{'n': 9}",
            "23502",
            "[0, 1, 2, 3, 4, 10, 11, 12, 20]",
        ]
    );
}

#[test]
fn sqlalchemy_works() {
    if !has_program(&python(), &["-c", "import psycopg, sqlalchemy"]) {
        return;
    }
    let served = Served::start(10);
    let out = script(
        &served,
        r#"
import sys, sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
engine = sa.create_engine(f"postgresql+psycopg://analyst@127.0.0.1:{sys.argv[1]}/shop")
class Base(DeclarativeBase): pass
class Sale(Base):
    __tablename__ = "sales"
    id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)
    shop: Mapped[str] = mapped_column(sa.Text)
    price: Mapped[float | None] = mapped_column(sa.Numeric(18, 4))
Base.metadata.create_all(engine)
with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as db:
    db.execute(sa.text("CREATE MATERIALIZED VIEW by_shop AS SELECT shop, count(*) AS n FROM sales GROUP BY shop"))
with Session(engine) as session:
    session.add_all([Sale(id=n, shop="ab"[n % 2], price=n) for n in range(5)])
    session.flush()
    session.get(Sale, 3).price = 30
    session.commit()
    print(session.execute(sa.select(Sale.id, Sale.price).order_by(Sale.id)).all()[-2:])
    print(session.execute(sa.text("SELECT * FROM by_shop ORDER BY shop")).all())
    session.delete(session.get(Sale, 4))
    session.commit()
    print(session.scalar(sa.select(sa.func.count()).select_from(Sale)))
    many = [dict(id=n, shop="c", price=None) for n in range(20, 23)]
    print(session.scalars(sa.insert(Sale).returning(Sale.id, sort_by_parameter_order=True), many).all())
    print(session.execute(sa.update(Sale).where(Sale.id == 21).values(price=5).returning(Sale.id, Sale.price)).all())
    print(session.execute(sa.delete(Sale).where(Sale.shop == "c").returning(sa.func.upper(Sale.shop))).all())
    session.commit()
inspector = sa.inspect(engine)
print(inspector.get_schema_names())
print(inspector.get_table_names(), inspector.get_view_names(), inspector.get_materialized_view_names())
print([(c["name"], str(c["type"]), c["nullable"]) for c in inspector.get_columns("sales")])
print(inspector.get_pk_constraint("sales")["constrained_columns"])
print(inspector.has_table("sales"), inspector.has_table("nothing"))
reflected = sa.Table("sales", sa.MetaData(), autoload_with=engine)
print([c.name for c in reflected.primary_key])
print([(c["name"], str(c["type"])) for c in inspector.get_columns("by_shop")])
print(inspector.get_foreign_keys("sales"), inspector.get_indexes("sales"), inspector.get_unique_constraints("sales"))
print(inspector.get_view_definition("by_shop"))
metadata = sa.MetaData()
metadata.reflect(engine, views=True)
print(sorted(metadata.tables))
print(inspector.get_multi_columns(schema="public", kind=sa.engine.reflection.ObjectKind.TABLE).keys())
print(inspector.get_enums(), inspector.get_domains(), inspector.get_sequence_names(), inspector.get_temp_table_names())
print(inspector.get_check_constraints("sales"), inspector.get_table_comment("sales"), inspector.get_table_options("sales"))
print(inspector.has_schema("public"), inspector.has_sequence("nothing"), inspector.get_enums(schema="*"))
every = sa.engine.reflection.ObjectKind.ANY
print(sorted(inspector.get_multi_indexes(kind=every).values()), len(inspector.get_multi_table_comment(kind=every)))
"#,
    );
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(
        lines,
        [
            "[(3, Decimal('30.0000')), (4, Decimal('4.0000'))]",
            "[('a', 3), ('b', 2)]",
            "4",
            "[20, 21, 22]",
            "[(21, Decimal('5.0000'))]",
            "[('C',), ('C',), ('C',)]",
            "['information_schema', 'mainstem', 'public']",
            "['sales'] [] ['by_shop']",
            "[('id', 'BIGINT', False), ('shop', 'TEXT', False), ('price', 'NUMERIC(18, 4)', True)]",
            "['id']",
            "True False",
            "['id']",
            "[('shop', 'TEXT'), ('n', 'BIGINT')]",
            "[] [] []",
            " SELECT shop, count(*) AS n FROM sales GROUP BY shop;",
            "['by_shop', 'sales']",
            "dict_keys([('public', 'sales')])",
            "[] [] [] []",
            "[] {'text': None} {}",
            "True False []",
            "[[], []] 2",
        ]
    );
}
