//! Functions that a program brings along which embeds Mainstem as a library.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::execution::FunctionRegistry;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF, Volatility};

/// Functions of the embedding program, known to live views and to queries alike.
///
/// A view is right only if its functions give the same result for the same arguments at all times:
/// rows are taken out of it by computing them once more. So functions are to be declared
/// [`Volatility::Immutable`], and all others are refused.
#[derive(Clone, Debug, Default)]
pub struct Functions {
    scalars: Vec<Arc<ScalarUDF>>,
    aggregates: Vec<Arc<AggregateUDF>>,
    names: BTreeSet<String>,
}

/// Why a function is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FunctionError {
    /// Its result may change although its arguments do not.
    #[error(
        "{name}() is declared {volatility:?}; a live view needs functions that give the same result \
         for the same arguments at all times: declare it Volatility::Immutable, if that is true"
    )]
    NotDeterministic {
        /// The function.
        name: String,
        /// What it is declared to be.
        volatility: Volatility,
    },
    /// SQL could not call it without quotes.
    #[error("\"{name}\" is no name for a function: use lower-case letters, digits and _")]
    Unnameable {
        /// The name or alias.
        name: String,
    },
    /// There is a function of this name.
    #[error("there is a function {name}() already")]
    Taken {
        /// The name or alias.
        name: String,
    },
}

impl Functions {
    /// No functions.
    pub fn new() -> Functions {
        Functions::default()
    }

    /// The same and a scalar function: one value for each row.
    pub fn with_scalar(mut self, function: ScalarUDF) -> Result<Functions, FunctionError> {
        let volatility = function.signature().volatility;
        self.take_names(function.name(), function.aliases(), volatility)?;
        self.scalars.push(Arc::new(function));
        Ok(self)
    }

    /// The same and an aggregate function: one value for each group.
    ///
    /// A change of a group computes it anew from all rows of the group, with a fresh accumulator;
    /// `retract_batch` is called only where it serves as a window function.
    pub fn with_aggregate(mut self, function: AggregateUDF) -> Result<Functions, FunctionError> {
        let volatility = function.signature().volatility;
        self.take_names(function.name(), function.aliases(), volatility)?;
        self.aggregates.push(Arc::new(function));
        Ok(self)
    }

    fn take_names(
        &mut self,
        name: &str,
        aliases: &[String],
        volatility: Volatility,
    ) -> Result<(), FunctionError> {
        if volatility != Volatility::Immutable {
            let name = name.to_owned();
            return Err(FunctionError::NotDeterministic { name, volatility });
        }
        for name in aliases.iter().map(String::as_str).chain([name]) {
            let name = name.to_owned();
            if !is_plain(&name) {
                return Err(FunctionError::Unnameable { name });
            }
            if !self.names.insert(name.clone()) {
                return Err(FunctionError::Taken { name });
            }
        }
        Ok(())
    }

    /// Adds them to those that are there, and takes the place of none.
    pub(in crate::sql) fn add_to(&self, state: &mut SessionState) -> Result<(), FunctionError> {
        let is_taken = |name: &&String| {
            state.scalar_functions().contains_key(*name)
                || state.aggregate_functions().contains_key(*name)
                || state.window_functions().contains_key(*name)
                || state.higher_order_functions().contains_key(*name)
        };
        if let Some(name) = self.names.iter().find(is_taken) {
            return Err(FunctionError::Taken { name: name.clone() });
        }
        for function in &self.scalars {
            // Registering only fails for registries that take no functions.
            let _ = state.register_udf(Arc::clone(function));
        }
        for function in &self.aggregates {
            let _ = state.register_udaf(Arc::clone(function));
        }
        Ok(())
    }
}

/// Whether SQL reads a name as it stands.
fn is_plain(name: &str) -> bool {
    let mut characters = name.chars();
    let is_letter = |character: char| character.is_ascii_lowercase() || character == '_';
    characters.next().is_some_and(is_letter)
        && characters.all(|character| is_letter(character) || character.is_ascii_digit())
}
