//! Errors of a view that others read, which say there whose they are.

use std::sync::Arc;

use arrow::array::{AsArray, StringArray};
use timely::container::NoopBuilder;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Operator;

use super::super::arrange::Changes;
use super::super::updates::{Updates, batch};
use super::map::error_schema;

/// What the error of a view begins with where another view has it.
const IN_VIEW: &str = "in view \"";

/// The errors of a view, each with its name; those that it has of another keep that one's.
pub fn with_origin(errors: Changes<'_>, view: Arc<str>) -> Changes<'_> {
    errors.unary::<NoopBuilder<Updates>, _, _, _>(Pipeline, "Origin", move |_, _| {
        move |input, output| {
            input.for_each(|capability, updates| {
                let updates = std::mem::take(updates);
                if updates.len() > 0 {
                    output
                        .session_with_builder(&capability)
                        .give_container(&mut named(updates, &view));
                }
            });
        }
    })
}

fn named(errors: Updates, view: &str) -> Updates {
    let texts = errors.rows.column(0).as_string::<i32>().iter().flatten();
    let texts = texts.map(|text| match text.starts_with(IN_VIEW) {
        true => text.to_owned(),
        false => format!("{IN_VIEW}{view}\": {text}"),
    });
    let texts = StringArray::from_iter_values(texts);
    let number = errors.len();
    Updates {
        rows: batch(error_schema(), vec![Arc::new(texts)], number),
        ..errors
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::lane::Lane;
    use super::*;

    fn errors(text: &str) -> Updates {
        let texts = StringArray::from(vec![text]);
        Updates {
            rows: batch(error_schema(), vec![Arc::new(texts)], 1),
            times: Lane::Constant(1, 1),
            counts: Lane::Constant(-1, 1),
        }
    }

    #[test]
    fn an_error_says_of_which_view_it_is_first() {
        let first = named(errors("divide by zero"), "a");
        let second = named(first, "b");
        let texts = second.rows.column(0).as_string::<i32>();
        assert_eq!(texts.value(0), "in view \"a\": divide by zero");
        assert_eq!(second.counts.get(0), -1);
    }
}
