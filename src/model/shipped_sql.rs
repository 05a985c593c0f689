//! Checks that the shipped views and queries can be planned over the standard tables.
