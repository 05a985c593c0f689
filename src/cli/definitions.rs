//! The views and named queries of the settings' directories, or those that come with the program.

use std::collections::BTreeMap;

use super::failure::Failure;
use super::shipped;
use super::views::{self, ViewFile};
use crate::config::Settings;
use crate::serve::named_query::{self, NamedQuery};

/// Named queries by name.
pub type NamedQueries = BTreeMap<String, NamedQuery>;

/// The views of the settings' directory; none if there is no directory.
pub fn views(settings: &Settings) -> Result<Vec<ViewFile>, Failure> {
    match &settings.dataflows {
        Some(directory) => views::read(directory),
        None => Ok(Vec::new()),
    }
}

/// The queries of the settings' directory; none if there is no directory.
pub fn queries(settings: &Settings) -> Result<NamedQueries, Failure> {
    match &settings.queries {
        Some(directory) => Ok(named_query::load(directory)?),
        None => Ok(NamedQueries::new()),
    }
}

/// The views of the settings' directory, or the shipped ones if there is no directory.
pub fn views_or_shipped(settings: &Settings) -> Result<Vec<ViewFile>, Failure> {
    match settings.dataflows {
        Some(_) => views(settings),
        None => Ok(shipped::views()),
    }
}

/// The queries of the settings' directory, or the shipped ones if there is no directory.
pub fn queries_or_shipped(settings: &Settings) -> Result<NamedQueries, Failure> {
    match settings.queries {
        Some(_) => queries(settings),
        None => shipped::queries(),
    }
}
