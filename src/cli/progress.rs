//! How far the reading of sources is: a bar on a terminal, a line now and then elsewhere.

use std::io::{self, IsTerminal};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use indicatif::{HumanCount, MultiProgress, ProgressBar, ProgressStyle};

use crate::source;

/// Off a terminal, a line of progress is logged this often.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// All progress bars of this process; whoever writes to the terminal suspends them.
pub fn screen() -> &'static MultiProgress {
    static SCREEN: OnceLock<MultiProgress> = OnceLock::new();
    SCREEN.get_or_init(MultiProgress::new)
}

/// The progress of one source.
pub struct Progress {
    bar: Option<ProgressBar>,
    label: String,
    started: Instant,
    last_line: Instant,
}

impl Progress {
    /// Starts to show the progress of `label`; hidden when `is_quiet`.
    pub fn start(label: &str, is_quiet: bool) -> Progress {
        let is_drawn = !is_quiet && io::stderr().is_terminal();
        let bar = is_drawn.then(|| {
            let bar = screen().add(ProgressBar::no_length());
            bar.set_style(bar_style());
            bar.set_prefix(label.to_owned());
            bar
        });
        let now = Instant::now();
        Progress {
            bar,
            label: label.to_owned(),
            started: now,
            last_line: now,
        }
    }

    /// Shows how far the source is.
    pub fn show(&mut self, state: &source::Progress) {
        match &self.bar {
            Some(bar) => {
                bar.set_length(state.work_total);
                bar.set_position(state.work_done);
                bar.set_message(self.rows(state));
            }
            None if self.last_line.elapsed() >= LINE_INTERVAL => {
                self.last_line = Instant::now();
                tracing::info!("{}", self.line(state));
            }
            None => {}
        }
    }

    /// Removes the bar.
    pub fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }

    fn rows(&self, state: &source::Progress) -> String {
        let rate = rows_per_second(state.rows_done, self.started.elapsed().as_secs_f64());
        let (rows, rate) = (HumanCount(state.rows_done), HumanCount(rate as u64));
        format!("{rows} rows, {rate} rows/s")
    }

    fn line(&self, state: &source::Progress) -> String {
        let percent = 100 * state.work_done / state.work_total.max(1);
        format!("{}: {percent} %, {}", self.label, self.rows(state))
    }
}

/// The rate of `rows` in `seconds`; 0 for no time at all.
pub fn rows_per_second(rows: u64, seconds: f64) -> f64 {
    match seconds > 0.0 {
        true => rows as f64 / seconds,
        false => 0.0,
    }
}

/// How all bars look.
pub fn bar_style() -> ProgressStyle {
    let template = "{prefix} {bar:30} {percent:>3} % {msg}, {eta} left";
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_give_the_share_and_the_rows() {
        let progress = Progress::start("demo", true);
        let state = source::Progress {
            work_done: 50,
            work_total: 200,
            rows_done: 1_234,
            ..source::Progress::default()
        };
        let line = progress.line(&state);
        assert!(line.starts_with("demo: 25 %, 1,234 rows, "), "{line}");
    }

    #[test]
    fn no_time_is_no_rate() {
        assert_eq!(rows_per_second(5, 0.0), 0.0);
        assert_eq!(rows_per_second(10, 2.0), 5.0);
    }
}
