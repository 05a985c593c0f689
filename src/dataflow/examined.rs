//! Counts the rows that are looked at one by one, for tests of what a change costs.

#[cfg(test)]
thread_local! {
    static ROWS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Takes note of rows that are looked at; nothing but in tests.
#[inline]
pub fn examine(rows: usize) {
    #[cfg(test)]
    ROWS.set(ROWS.get() + rows);
    #[cfg(not(test))]
    let _ = rows;
}

/// How many rows have been looked at since this was asked last.
#[cfg(test)]
pub fn examined() -> usize {
    ROWS.replace(0)
}
