//! How far the reading of sources is: a bar on a terminal, a line now and then elsewhere.

use std::io::{self, IsTerminal};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use indicatif::{HumanCount, MultiProgress, ProgressBar, ProgressStyle};

/// Off a terminal, a line of progress is logged this often.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// All progress bars of this process; whoever writes to the terminal suspends them.
pub fn screen() -> &'static MultiProgress {
    static SCREEN: OnceLock<MultiProgress> = OnceLock::new();
    SCREEN.get_or_init(MultiProgress::new)
}

/// The progress of one task, counted in rows; the whole may be unknown.
pub struct Progress {
    bar: Option<ProgressBar>,
    label: String,
    total: Option<u64>,
    done: u64,
    started: Instant,
    last_line: Instant,
}

impl Progress {
    /// Starts to show the progress of `label`; hidden when `is_quiet`.
    pub fn start(label: &str, total: Option<u64>, is_quiet: bool) -> Progress {
        let is_drawn = !is_quiet && io::stderr().is_terminal();
        let bar = is_drawn.then(|| {
            let bar = screen().add(ProgressBar::no_length());
            bar.set_style(style(total.is_some()));
            if let Some(total) = total {
                bar.set_length(total);
            }
            bar.set_prefix(label.to_owned());
            bar
        });
        let now = Instant::now();
        Progress {
            bar,
            label: label.to_owned(),
            total,
            done: 0,
            started: now,
            last_line: now,
        }
    }

    /// Counts further rows.
    pub fn add(&mut self, rows: u64) {
        self.done += rows;
        match &self.bar {
            Some(bar) => bar.set_position(self.done),
            None if self.last_line.elapsed() >= LINE_INTERVAL => {
                self.last_line = Instant::now();
                tracing::info!("{}", self.line());
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

    fn line(&self) -> String {
        let seconds = self.started.elapsed().as_secs_f64();
        let rate = rows_per_second(self.done, seconds);
        let rows = HumanCount(self.done);
        match self.total {
            Some(total) if total > 0 => {
                let percent = 100 * self.done.min(total) / total;
                let left = total.saturating_sub(self.done) as f64 / rate.max(1.0);
                format!(
                    "{}: {rows} rows ({percent} %), {} rows/s, about {left:.0} s left",
                    self.label,
                    HumanCount(rate as u64)
                )
            }
            _ => format!(
                "{}: {rows} rows, {} rows/s",
                self.label,
                HumanCount(rate as u64)
            ),
        }
    }
}

/// The rate of `rows` in `seconds`; 0 for no time at all.
pub fn rows_per_second(rows: u64, seconds: f64) -> f64 {
    match seconds > 0.0 {
        true => rows as f64 / seconds,
        false => 0.0,
    }
}

fn style(has_total: bool) -> ProgressStyle {
    let template = match has_total {
        true => "{prefix} {bar:30} {percent:>3} % {human_pos} rows, {per_sec}, {eta} left",
        false => "{prefix} {spinner} {human_pos} rows, {per_sec}, {elapsed}",
    };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_give_the_share_when_the_whole_is_known() {
        let mut progress = Progress::start("demo", Some(200), true);
        progress.add(50);
        assert!(progress.line().starts_with("demo: 50 rows (25 %)"));
        let mut progress = Progress::start("demo", None, true);
        progress.add(1_234);
        assert!(progress.line().starts_with("demo: 1,234 rows, "));
    }

    #[test]
    fn no_time_is_no_rate() {
        assert_eq!(rows_per_second(5, 0.0), 0.0);
        assert_eq!(rows_per_second(10, 2.0), 5.0);
    }
}
