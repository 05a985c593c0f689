//! The values that functions are tried with: columns of every type that tables and views have, each
//! with NULL and with values at the edges of its type.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array,
    Float64Array, Int16Array, Int32Array, Int64Array, IntervalMonthDayNanoArray, ListArray,
    ListBuilder, StringArray, StringBuilder, StringViewArray, StructArray, Time64NanosecondArray,
    TimestampMicrosecondArray, TimestampNanosecondArray, UInt64Array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Fields, Float64Type, Int64Type, IntervalMonthDayNano};

/// A column that calls may name, with the values it may have.
pub struct Kind {
    pub name: &'static str,
    pub values: ArrayRef,
}

/// All of them.
pub fn kinds() -> Vec<Kind> {
    let all = [numbers(), texts(), times(), others(), lists()];
    let all = all.into_iter().flatten();
    all.map(|(name, values)| Kind { name, values }).collect()
}

type Named = (&'static str, ArrayRef);

fn named(name: &'static str, values: impl Array + 'static) -> Named {
    (name, Arc::new(values))
}

fn numbers() -> Vec<Named> {
    let smalls = [Some(0), Some(1), Some(-1), Some(7), Some(i16::MAX), None];
    let integers = [0, 1, -1, 3, 2024, i32::MAX, i32::MIN];
    let bigs = [0, 1, -1, 2, 5, 12, 100, 1_709_210_096, i64::MAX, i64::MIN];
    let counts = [Some(0), Some(1), Some(9), Some(u64::MAX), None];
    let reals = [0.0, -0.0, 1.5, -2.25, 0.1, f32::MAX, f32::NAN];
    let doubles = [
        0.0,
        -0.0,
        1.0,
        1.5,
        -2.5,
        0.1,
        1e300,
        5e-324,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
    ];
    let prices = [0, 150, -225, 1, 250, 9_999_999_999];
    let rates = [0, 1_500_000, -2_250_000, 1, 2_500_000, 999_999_999_999];
    let wide = [0, 7, -8, 10_i128.pow(38) - 1];
    vec![
        named("smalls", Int16Array::from(smalls.to_vec())),
        named("integers", Int32Array::from(and_null(integers))),
        named("bigs", Int64Array::from(and_null(bigs))),
        named("counts", UInt64Array::from(counts.to_vec())),
        named("reals", Float32Array::from(and_null(reals))),
        named("doubles", Float64Array::from(and_null(doubles))),
        ("prices", decimals(and_null(prices), 10, 2)),
        ("rates", decimals(and_null(rates), 18, 6)),
        ("amounts", decimals(and_null(wide), 38, 0)),
    ]
}

fn decimals(values: Vec<Option<i128>>, precision: u8, scale: i8) -> ArrayRef {
    let values = Decimal128Array::from(values);
    let values = values.with_precision_and_scale(precision, scale);
    Arc::new(values.expect("a type of decimals"))
}

fn and_null<T>(values: impl IntoIterator<Item = T>) -> Vec<Option<T>> {
    values.into_iter().map(Some).chain([None]).collect()
}

fn texts() -> Vec<Named> {
    let words = [
        "",
        "a",
        "abc",
        "Äpfel",
        "日本語",
        "😀 b",
        " pad ",
        "a,b,,c",
        "A.B%_",
        "o'clock",
        "a\r\nb",
        "e\u{301}x",
    ];
    let names = [
        "year",
        "month",
        "hex",
        "base64",
        "sha256",
        "md5",
        "g",
        "i",
        "UTC",
        "Int64",
        "ASC",
        "DESC",
        "NULLS LAST",
    ];
    let patterns = [
        "a",
        "[a-c]+",
        "(b)(c)",
        "^$",
        ".*",
        "%b%",
        "a_c",
        "(",
        "%Y-%m-%d",
        "YYYY-MM-DD",
        "99.9",
    ];
    let numerals = [
        "0",
        "-1",
        "12.50",
        "1e3",
        "abc",
        " 7 ",
        "9223372036854775808",
        "NaN",
        "true",
        "",
    ];
    let moments = [
        "2024-02-29",
        "2024-02-29 12:34:56.789",
        "2024-02-29T12:34:56Z",
        "2024-02-29T12:34:56+02:00",
        "12:34:56",
        "1 day 2 hours",
        "1969-12-31 23:59:59.9",
        "29/02/2024",
        "",
    ];
    let documents = [
        r#"{"a": 1, "b": [1, null, "x"]}"#,
        r#"{"a": {"b": 2.50}}"#,
        "[1, [2], {}]",
        "[]",
        "null",
        "1.50",
        r#""t""#,
        "{",
    ];
    let views = StringViewArray::from(and_null(words));
    vec![
        ("words", text_array(&words)),
        ("names", text_array(&names)),
        ("patterns", text_array(&patterns)),
        ("numerals", text_array(&numerals)),
        ("moments", text_array(&moments)),
        ("documents", text_array(&documents)),
        named("seen_words", views),
    ]
}

fn text_array(texts: &[&'static str]) -> ArrayRef {
    let texts = texts.iter().copied();
    Arc::new(StringArray::from(and_null(texts)))
}

fn times() -> Vec<Named> {
    // 1970-01-01, 2024-02-29, the day before 1970, 1900-01-01, 2100-01-01. Series of days between
    // times that are further apart take too long.
    let dates = [0, 19_782, -1, -25_567, 47_482];
    let micros = [
        0,
        -1,
        1_709_210_096_789_012,
        1_711_846_800_000_000,
        -2_208_988_800_000_000,
        253_402_300_799_000_000,
    ];
    let nanos = [0, -1, 1_709_210_096_789_012_345, i64::MIN, i64::MAX];
    let clocks = [0, 1, 45_296_789_012_345, 86_399_999_999_999];
    let spans = [
        (0, 0, 0),
        (1, 0, 0),
        (0, 7, 0),
        (0, 0, 8_645_445_000_000_000),
        (-1, 2, -1_500_000_000),
        (0, 30, 0),
        (14, 3, 1),
    ];
    let spans = spans.map(|(months, days, nanos)| IntervalMonthDayNano::new(months, days, nanos));
    let stamps = TimestampMicrosecondArray::from(and_null(micros));
    let zoned = stamps.clone().with_timezone("UTC");
    let exact = TimestampNanosecondArray::from(and_null(nanos));
    let clocks = Time64NanosecondArray::from(and_null(clocks));
    let spans = IntervalMonthDayNanoArray::from(and_null(spans));
    vec![
        named("dates", Date32Array::from(and_null(dates))),
        named("stamps", stamps),
        named("zoned_stamps", zoned),
        named("exact_stamps", exact),
        named("clocks", clocks),
        named("spans", spans),
    ]
}

fn others() -> Vec<Named> {
    let octets: [&[u8]; 6] = [b"", b"\0", b"\xff\xfe", b"abc", b"YWJj", b"616263"];
    let octets = BinaryArray::from(and_null(octets));
    let flags = BooleanArray::from(vec![Some(true), Some(false), None]);
    let numbers = Int64Array::from(vec![Some(1), None, Some(-3), Some(0)]);
    let texts = StringArray::from(vec![Some("a"), Some(""), None, Some("z")]);
    let fields = Fields::from(vec![
        Field::new("number", DataType::Int64, true),
        Field::new("text", DataType::Utf8, true),
    ]);
    let nulls = NullBuffer::from(vec![true, true, true, false]);
    let parts: Vec<ArrayRef> = vec![Arc::new(numbers), Arc::new(texts)];
    let pairs = StructArray::try_new(fields, parts, Some(nulls));
    vec![
        named("octets", octets),
        named("flags", flags),
        named("pairs", pairs.expect("a column of rows")),
    ]
}

fn lists() -> Vec<Named> {
    let numbers = ListArray::from_iter_primitive::<Int64Type, _, _>([
        Some(vec![Some(1), Some(2), Some(3)]),
        Some(vec![Some(1), None]),
        Some(vec![]),
        Some(vec![None]),
        None,
        Some(vec![Some(3), Some(1), Some(1), Some(2)]),
        Some(vec![Some(5)]),
    ]);
    let doubles = ListArray::from_iter_primitive::<Float64Type, _, _>([
        Some(vec![Some(0.0), Some(-0.0), Some(f64::NAN)]),
        Some(vec![Some(1.5), Some(-2.0)]),
        Some(vec![]),
        Some(vec![None, Some(1.0)]),
        None,
        Some(vec![Some(3.0), Some(4.0), None]),
        Some(vec![Some(0.0), Some(0.0)]),
    ]);
    vec![
        named("number_lists", numbers.clone()),
        named("double_lists", doubles),
        ("text_lists", text_lists()),
        ("nested_lists", nested(&numbers)),
    ]
}

fn text_lists() -> ArrayRef {
    let mut lists = ListBuilder::new(StringBuilder::new());
    let texts: [Option<&[Option<&str>]>; 7] = [
        Some(&[Some("a"), Some("b")]),
        Some(&[]),
        Some(&[None, Some("a")]),
        None,
        Some(&[Some("")]),
        Some(&[Some("b"), Some("a"), Some("a"), None]),
        Some(&[Some("Äpfel,1"), Some("NULL")]),
    ];
    for list in texts {
        for text in list.unwrap_or_default() {
            lists.values().append_option(*text);
        }
        lists.append(list.is_some());
    }
    Arc::new(lists.finish())
}

/// Lists of the given lists: the first two, none of them, NULL, then two and two.
fn nested(lists: &ListArray) -> ArrayRef {
    let lengths = OffsetBuffer::from_lengths([2, 0, 0, 2, 2]);
    let nulls = NullBuffer::from(vec![true, true, false, true, true]);
    let lists: ArrayRef = Arc::new(lists.clone());
    let item = Arc::new(Field::new_list_field(lists.data_type().clone(), true));
    let nested = ListArray::try_new(item, lengths, lists, Some(nulls));
    Arc::new(nested.expect("lists of lists"))
}
