//! `EXCLUDE` at the end of a window frame, which the parser does not know.

use datafusion::sql::sqlparser::tokenizer::TokenWithSpan;

use super::tail::is_word;
use crate::sql::error::{Place, SqlError};

/// Takes out `EXCLUDE NO OTHERS`, which says nothing, and refuses what leaves rows out.
pub(super) fn taken_out(tokens: &mut Vec<TokenWithSpan>) -> Result<(), SqlError> {
    let mut position = 1;
    while position < tokens.len() {
        let is_here = |offset: usize, word: &str| is_word(tokens.get(position + offset), word);
        let ends_frame = ["row", "preceding", "following"]
            .iter()
            .any(|word| is_word(tokens.get(position - 1), word));
        if !ends_frame || !is_here(0, "exclude") {
            position += 1;
        } else if is_here(1, "no") && is_here(2, "others") {
            tokens.drain(position..position + 3);
        } else {
            return Err(refusal(&tokens[position]));
        }
    }
    Ok(())
}

fn refusal(token: &TokenWithSpan) -> SqlError {
    let error = SqlError::unsupported("EXCLUDE in a window frame is not supported").with_hint(
        "take the row itself out of the result, sum(v) OVER (…) - v, or add up two frames: one \
         that ends at 1 PRECEDING, and one that begins at 1 FOLLOWING",
    );
    let start = token.span.start;
    match start.line {
        0 => error,
        line => error.at(Place {
            line,
            column: start.column,
        }),
    }
}
