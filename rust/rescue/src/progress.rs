//! How far a long operation is: a bar on a terminal, a line now and then in a log.

use std::io::{IsTerminal, stderr};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{BinaryBytes, ProgressBar, ProgressStyle};
use pve_escrow::pbs;

use crate::output;

const ON_TERMINAL: Duration = Duration::from_millis(100);
const IN_LOG: Duration = Duration::from_secs(10);

/// Shows progress on standard error.
pub struct Progress {
    bar: Option<ProgressBar>,
    interval: Duration,
    start: Instant,
    last: Mutex<Instant>,
}

impl Progress {
    pub fn new() -> Self {
        let bar = stderr().is_terminal().then(|| {
            let template = "{bar:30} {binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}, {eta} left: {msg}";
            let style = ProgressStyle::with_template(template).expect("the template is valid");
            ProgressBar::new(0).with_style(style)
        });
        Self {
            interval: if bar.is_some() { ON_TERMINAL } else { IN_LOG },
            bar,
            start: Instant::now(),
            last: Mutex::new(Instant::now()),
        }
    }

    /// Called after every chunk, on any thread: does nothing unless it is time to show something.
    pub fn show(&self, progress: &pbs::Progress<'_>) {
        let Ok(mut last) = self.last.try_lock() else {
            return;
        };
        if last.elapsed() < self.interval {
            return;
        }
        *last = Instant::now();
        let at = format!("{} of {}", progress.archive, progress.snapshot);
        match &self.bar {
            Some(bar) => {
                bar.set_length(progress.total);
                bar.set_position(progress.done);
                bar.set_message(at);
            }
            None => self.line(progress, &at),
        }
    }

    fn line(&self, progress: &pbs::Progress<'_>, at: &str) {
        let seconds = self.start.elapsed().as_secs_f64();
        let rate = progress.done as f64 / seconds;
        let left = progress.total.saturating_sub(progress.done) as f64 / rate.max(1.0);
        output::note(format_args!(
            "{} of {}, {}/s, {left:.0} s left: {at}",
            BinaryBytes(progress.done),
            BinaryBytes(progress.total),
            BinaryBytes(rate as u64)
        ));
    }

    /// Takes the bar away.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
