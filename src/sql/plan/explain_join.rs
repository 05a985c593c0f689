//! Delta joins in the text of plans.

use std::fmt::{self, Display, Formatter};

use super::delta_join::{DeltaJoin, Lookup, place};

/// What it is, and what it costs.
pub struct Head<'a>(pub &'a DeltaJoin);

impl Display for Head<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let DeltaJoin { inputs, output, .. } = self.0;
        write!(f, "DeltaJoin of {} [", inputs.len())?;
        for (position, column) in output.iter().enumerate() {
            let separator = if position == 0 { "" } else { ", " };
            write!(f, "{separator}{}", name(self.0, *column))?;
        }
        let arrangements = self.0.arrangements().len();
        write!(
            f,
            "], keeps {arrangements} arrangements of inputs and no joined rows; a change costs its \
             look-ups and what they find"
        )
    }
}

/// A line for each path: which arrangements the changes of an input look up.
pub fn paths(join: &DeltaJoin) -> impl Iterator<Item = String> + '_ {
    join.paths.iter().enumerate().map(|(source, path)| {
        let condition = match &path.condition {
            None => String::new(),
            Some(condition) => format!(" where {condition}"),
        };
        let lookups = path.lookups.iter().map(|lookup| look_up(join, lookup));
        let lookups: Vec<String> = lookups.collect();
        let lookups = lookups.join(", then ");
        format!("a change of [{}]{condition} looks up {lookups}", source + 1)
    })
}

fn look_up(join: &DeltaJoin, lookup: &Lookup) -> String {
    let offset = join.offset(lookup.input);
    let on = lookup.on.iter().map(|(column, known)| {
        let own = join.field(offset + column).name();
        format!("{own} = {}", name(join, *known))
    });
    let on: Vec<String> = on.collect();
    let condition = match &lookup.condition {
        None => String::new(),
        Some(condition) => format!(" where {condition}"),
    };
    format!("[{}] by {}{condition}", lookup.input + 1, on.join(" and "))
}

/// A column with its input.
fn name(join: &DeltaJoin, column: usize) -> String {
    let (input, _) = place(&join.inputs, column);
    format!("[{}].{}", input + 1, join.field(column).name())
}
