//! The ends of a group against those of a plain list.

use super::super::ends::{Ends, Output};
use super::*;

/// The ends of a group that come and go: values, time, count.
fn changed_ends(walk: &Walk, wanted: &[End]) -> Vec<(Vec<i64>, u64, i64)> {
    let field = |name: &str| Field::new(name, DataType::Int64, false);
    let mut fields = vec![field("key")];
    fields.extend(wanted.iter().map(|_| field("end")));
    let how = Ends {
        keys: vec![0],
        value: VALUE,
        wanted: wanted.to_vec(),
        columns: VALUE,
        output: Arc::new(Schema::new(fields)),
    };
    let mut given = Vec::new();
    let mut emit = |updates: Updates| given.push(updates);
    let mut output = Output::new(walk.reader, &how, &mut emit);
    output.add_changes(walk.group);
    output.give();
    let mut changes = Vec::new();
    for updates in &given {
        for row in 0..updates.len() {
            let columns = updates.rows.columns()[1..].iter();
            let values = columns.map(|column| column.as_primitive::<Int64Type>().value(row));
            let values: Vec<i64> = values.collect();
            changes.push((values, updates.times.get(row), updates.counts.get(row)));
        }
    }
    changes
}

#[test]
fn when_the_least_or_greatest_value_goes_the_next_is_found_by_looking_at_few_rows() {
    let values = large_values();
    let last = values.len() - 1;
    for (end, gone, next) in [
        (End::Least, values[0], values[1]),
        (End::Greatest, values[last], values[last - 1]),
    ] {
        with_group(&large(gone, -1), |walk| {
            examined();
            let changes = changed_ends(walk, &[end]);
            assert_eq!(changes, [(vec![gone], 10, -1), (vec![next], 10, 1)]);
            let looked_at = examined();
            assert!((1..20).contains(&looked_at), "{looked_at} rows");
        });
    }
}

proptest! {
    #[test]
    fn ends_change_as_if_all_were_looked_at_anew(
        added in batch_strategy(10..13),
        earlier in batch_strategy(0..1),
        gone in 0usize..60,
    ) {
        let mut novel = added.clone();
        let taken = earlier.iter().take(gone);
        novel.extend(taken.map(|(value, _, count)| (*value, 11, -*count)));
        let all: [&[Row]; 2] = [&novel, &earlier];
        let batches = [chunks(&novel), chunks(&earlier)];
        prop_assume!(!batches[0].is_empty());
        for wanted in [vec![End::Least], vec![End::Greatest], vec![End::Greatest, End::Least]] {
            let ends_of = |values: Vec<i64>| -> BTreeMap<Vec<i64>, i64> {
                let end = |end: &End| match end {
                    End::Least => values.first().copied(),
                    End::Greatest => values.last().copied(),
                };
                let ends: Option<Vec<i64>> = wanted.iter().map(end).collect();
                ends.into_iter().map(|ends| (ends, 1)).collect()
            };
            with_group(&batches, |walk| {
                let changes = changed_ends(walk, &wanted);
                for as_of in [10, 11, 12] {
                    let mut rows = ends_of(model(&all, None));
                    for (ends, time, count) in &changes {
                        if *time <= as_of {
                            *rows.entry(ends.clone()).or_default() += *count;
                        }
                    }
                    rows.retain(|_, count| *count != 0);
                    assert_eq!(rows, ends_of(model(&all, Some(as_of))));
                }
            });
        }
    }
}
