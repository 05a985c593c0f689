//! Values of every type, few enough of each that rows meet, and the awkward ones among them.

use arrow::array::ArrayRef;
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit};
use datafusion::scalar::ScalarValue;
use rand::RngExt;
use rand_pcg::Pcg64;

/// The types that tables have.
pub fn types() -> Vec<DataType> {
    vec![
        DataType::Boolean,
        DataType::Int16,
        DataType::Int32,
        DataType::Int64,
        DataType::Int64,
        DataType::Float32,
        DataType::Float64,
        DataType::Float64,
        DataType::Decimal128(9, 2),
        DataType::Decimal128(38, 10),
        DataType::Utf8,
        DataType::Utf8,
        DataType::Binary,
        DataType::Date32,
        DataType::Time64(TimeUnit::Microsecond),
        DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
    ]
}

/// A value of a type. Floats are multiples of 1/4, as sums of them are exact in any order.
pub fn random(data_type: &DataType, random: &mut Pcg64) -> ScalarValue {
    let integer = |random: &mut Pcg64, large: i64| match random.random_range(0..12) {
        0 => large,
        1 => -large,
        _ => random.random_range(-2..5),
    };
    match data_type {
        DataType::Boolean => ScalarValue::Boolean(Some(random.random_bool(0.5))),
        DataType::Int16 => ScalarValue::Int16(Some(integer(random, 32_767) as i16)),
        DataType::Int32 => ScalarValue::Int32(Some(integer(random, 2_147_483_647) as i32)),
        DataType::Int64 => ScalarValue::Int64(Some(integer(random, 1 << 40))),
        DataType::Float32 => ScalarValue::Float32(Some(float(random) as f32)),
        DataType::Float64 => ScalarValue::Float64(Some(float(random))),
        DataType::Decimal128(precision, scale) => {
            let largest = 10i64.pow(u32::from(*precision).min(15)) - 1;
            let value = i128::from(match random.random_range(0..10) {
                0 => largest,
                1 => -largest,
                _ => random.random_range(-3..4) * 25,
            });
            ScalarValue::Decimal128(Some(value), *precision, *scale)
        }
        DataType::Utf8 => {
            let words = [
                "",
                " ",
                "a",
                "ab",
                "Ab",
                "ß",
                "你好",
                "e\u{301}",
                "é",
                "a%_\\",
                "{\"a\": 1}",
                "[2, 3]",
                "a long enough word to be beyond any inlined form",
                "\u{0}",
                "🦀",
            ];
            let word = words[random.random_range(0..words.len())];
            ScalarValue::Utf8(Some(word.to_owned()))
        }
        DataType::Binary => {
            let bytes: [&[u8]; 6] = [b"", b"\0", b"\0\0", b"a", b"\xff", b"ab\0"];
            let bytes = bytes[random.random_range(0..bytes.len())];
            ScalarValue::Binary(Some(bytes.to_vec()))
        }
        DataType::Date32 => {
            let days = [0, -1, 59, 20_000, 20_001, -135_000, 2_932_896];
            ScalarValue::Date32(Some(days[random.random_range(0..days.len())]))
        }
        DataType::Time64(_) => {
            let times = [0, 1, 43_200_000_000, 86_399_999_999];
            ScalarValue::Time64Microsecond(Some(times[random.random_range(0..times.len())]))
        }
        DataType::Timestamp(_, zone) => {
            // With the hours at which clocks change in Europe.
            let times = [
                0,
                -1,
                1_774_746_000_000_000,
                1_774_749_600_000_000,
                1_792_890_000_000_001,
                1_792_893_600_000_000,
                -2_208_988_800_000_000,
                4_102_444_800_000_000,
            ];
            let time = times[random.random_range(0..times.len())];
            ScalarValue::TimestampMicrosecond(Some(time), zone.clone())
        }
        other => panic!("no values of {other}"),
    }
}

fn float(random: &mut Pcg64) -> f64 {
    match random.random_range(0..24) {
        0 => f64::NAN,
        1 => -0.0,
        2 => f64::INFINITY,
        3 => f64::NEG_INFINITY,
        _ => f64::from(random.random_range(-8..9)) / 4.0,
    }
}

/// A value as text that is read back as the same; `None`: NULL.
pub fn to_text(value: &ScalarValue) -> Option<String> {
    if value.is_null() {
        return None;
    }
    if let ScalarValue::Binary(Some(bytes)) = value {
        return Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect());
    }
    let array: ArrayRef = value.to_array().expect("one value");
    let text = cast(&array, &DataType::Utf8).expect("text");
    let text = ScalarValue::try_from_array(&text, 0).expect("one text");
    match text {
        ScalarValue::Utf8(text) => text,
        other => panic!("{other} is no text"),
    }
}

/// The value that a text is.
pub fn from_text(text: Option<&str>, data_type: &DataType) -> ScalarValue {
    let Some(text) = text else {
        return ScalarValue::try_from(data_type).expect("NULL");
    };
    if *data_type == DataType::Binary {
        let digits: Vec<char> = text.chars().collect();
        let bytes = digits.chunks(2).map(|pair| {
            let pair: String = pair.iter().collect();
            u8::from_str_radix(&pair, 16).expect("two digits")
        });
        return ScalarValue::Binary(Some(bytes.collect()));
    }
    let array = ScalarValue::from(text).to_array().expect("one text");
    let array = cast(&array, data_type).expect("a value of the type");
    ScalarValue::try_from_array(&array, 0).expect("one value")
}

#[test]
fn values_are_read_back_as_they_were() {
    use rand::SeedableRng;
    let mut generator = Pcg64::seed_from_u64(3);
    for data_type in types() {
        for _ in 0..100 {
            let value = random(&data_type, &mut generator);
            let read = from_text(to_text(&value).as_deref(), &data_type);
            assert_eq!(to_text(&read), to_text(&value), "{data_type}");
            assert_eq!(read, value, "{data_type}");
        }
    }
}
