//! Intervals in the text of expressions, as SQL writes them.

const BEGINNING: &str = "IntervalMonthDayNano { ";

/// The text with its intervals readable: `IntervalMonthDayNano { months: 0, days: 28,
/// nanoseconds: 0 }` becomes `INTERVAL '28 days'`.
pub fn readable(text: &str) -> String {
    let mut readable = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(BEGINNING) {
        let (before, interval) = rest.split_at(start);
        readable.push_str(before);
        let body = &interval[BEGINNING.len()..];
        match body.split_once(" }") {
            Some((fields, behind)) if let Some(written) = written(fields) => {
                readable.push_str(&written);
                rest = behind;
            }
            _ => {
                readable.push_str(BEGINNING);
                rest = body;
            }
        }
    }
    readable.push_str(rest);
    readable
}

/// `months: 1, days: 2, nanoseconds: 3` as an interval.
fn written(fields: &str) -> Option<String> {
    let mut numbers = fields.split(", ").map(|field| {
        let (_, number) = field.split_once(": ")?;
        number.parse::<i64>().ok()
    });
    let (months, days, nanoseconds) = (numbers.next()??, numbers.next()??, numbers.next()??);
    let units = [
        (3_600_000_000_000, "hours"),
        (60_000_000_000, "minutes"),
        (1_000_000_000, "seconds"),
        (1_000_000, "milliseconds"),
        (1_000, "microseconds"),
        (1, "nanoseconds"),
    ];
    let whole = units.iter().find(|(size, _)| nanoseconds % size == 0);
    let (size, unit) = whole.copied().unwrap_or((1, "nanoseconds"));
    let parts = [
        (months, "months"),
        (days, "days"),
        (nanoseconds / size, unit),
    ];
    let parts = parts.iter().filter(|(number, _)| *number != 0);
    let parts: Vec<String> = parts
        .map(|(number, unit)| format!("{number} {unit}"))
        .collect();
    Some(match parts.is_empty() {
        true => "INTERVAL '0 days'".to_owned(),
        false => format!("INTERVAL '{}'", parts.join(" ")),
    })
}

#[cfg(test)]
mod tests {
    use super::readable;

    #[test]
    fn intervals_are_written_as_in_sql() {
        let text = "a > now() - IntervalMonthDayNano { months: 0, days: 28, nanoseconds: 0 } AND b";
        assert_eq!(readable(text), "a > now() - INTERVAL '28 days' AND b");
        let text = "IntervalMonthDayNano { months: 1, days: 0, nanoseconds: 5400000000000 }";
        assert_eq!(readable(text), "INTERVAL '1 months 90 minutes'");
        for text in [
            "",
            "no interval",
            "IntervalMonthDayNano { months: x }",
            "IntervalMonthDayNano { ",
        ] {
            assert_eq!(readable(text), text);
        }
    }
}
