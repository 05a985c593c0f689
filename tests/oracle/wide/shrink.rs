//! Making a failing case small: fewer transactions, fewer rows, a shorter view.

use super::case::Case;
use super::run::run;

/// Runs that are spent on one case.
const RUNS_MAX: usize = 400;

/// The smallest case found that still fails.
pub fn shrunk(case: &Case) -> Case {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let small = shrunk_while(case, &|case| run(case).is_err());
    std::panic::set_hook(hook);
    small
}

/// The smallest case found for which something still holds.
pub fn shrunk_while(case: &Case, holds: &dyn Fn(&Case) -> bool) -> Case {
    let mut search = Search {
        best: case.clone(),
        holds,
        runs: 0,
    };
    loop {
        let before = search.best.clone();
        search.fewer_workers();
        search.fewer_changes();
        search.shorter_views();
        if search.best == before || search.runs >= RUNS_MAX {
            return search.best;
        }
    }
}

struct Search<'h> {
    best: Case,
    holds: &'h dyn Fn(&Case) -> bool,
    runs: usize,
}

impl Search<'_> {
    /// Takes a case if it still holds.
    fn try_case(&mut self, case: Case) -> bool {
        self.runs += 1;
        let holds = self.runs <= RUNS_MAX && (self.holds)(&case);
        if holds {
            self.best = case;
        }
        holds
    }

    fn fewer_workers(&mut self) {
        if self.best.workers > 1 {
            let case = Case {
                workers: 1,
                ..self.best.clone()
            };
            self.try_case(case);
        }
    }

    /// Leaves out changes: halves of all, then quarters, down to single ones.
    fn fewer_changes(&mut self) {
        let count = |case: &Case| case.steps.iter().map(Vec::len).sum::<usize>();
        let mut size = count(&self.best).div_ceil(2).max(1);
        loop {
            let mut from = 0;
            while from < count(&self.best) {
                if !self.try_case(without(&self.best, from, from + size)) {
                    from += size;
                }
            }
            if size == 1 {
                break;
            }
            size = size.div_ceil(2);
        }
        let mut step = 1;
        while step < self.best.steps.len() {
            let mut case = self.best.clone();
            let moved = case.steps.remove(step);
            case.steps[step - 1].extend(moved);
            if !self.try_case(case) {
                step += 1;
            }
        }
    }

    /// Puts a query in parentheses in the place of one around it.
    fn shorter_views(&mut self) {
        let mut place = 0;
        while let Some((start, end)) = parenthesis(&self.best.view, place) {
            let outer = &self.best.view[start..end];
            let inner =
                (start + 1..end).filter_map(|place| match outer.as_bytes().get(place - start) {
                    Some(b'(') => parenthesis(&self.best.view, place),
                    _ => None,
                });
            let candidates: Vec<String> = inner
                .filter(|(from, to)| *to < end && is_query(&self.best.view[*from..*to]))
                .map(|(from, to)| {
                    let view = &self.best.view;
                    format!("{}{}{}", &view[..start], &view[from..to], &view[end..])
                })
                .collect();
            // What has other words would have to be made shorter in both.
            let is_query = is_query(outer) && self.best.words.is_none();
            let shorter = candidates.into_iter().rev().any(|view| {
                let case = Case {
                    view,
                    ..self.best.clone()
                };
                is_query && self.try_case(case)
            });
            if !shorter {
                place = start + 1;
            }
        }
    }
}

/// The case without the changes of a range, counted over all steps.
fn without(case: &Case, from: usize, to: usize) -> Case {
    let mut number = 0;
    let mut case = case.clone();
    for step in &mut case.steps {
        step.retain(|_| {
            number += 1;
            !(from + 1..=to).contains(&number)
        });
    }
    case
}

/// The first parenthesis from a place on, with its end.
fn parenthesis(text: &str, place: usize) -> Option<(usize, usize)> {
    let start = place + text.get(place..)?.find('(')?;
    let mut depth = 0;
    for (offset, byte) in text[start..].bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => depth -= 1,
            _ => continue,
        }
        if depth == 0 {
            return Some((start, start + offset + 1));
        }
    }
    None
}

fn is_query(text: &str) -> bool {
    text.starts_with("(SELECT") || text.starts_with("(WITH")
}
