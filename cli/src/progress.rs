//! Progress of long work: a bar on a terminal, a JSON line a second with `--json`, otherwise a
//! line every ten seconds, which is what belongs in a log.

use crate::output::Output;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use policy::human::format_bytes;
use serde::Serialize;
use snapshot::{Progress, ProgressSink};
use std::io::IsTerminal as _;
use std::sync::Mutex;
use std::time::{Duration, Instant};

const LOG_EVERY: Duration = Duration::from_secs(10);
const JSON_EVERY: Duration = Duration::from_secs(1);

enum Form {
    None,
    Bar(ProgressBar),
    Lines { json: bool, every: Duration },
}

/// Shows progress of one operation.
pub struct Meter {
    form: Form,
    output: Output,
    started: Instant,
    last: Mutex<Instant>,
}

#[derive(Serialize)]
struct StatusLine<'a> {
    message_type: &'static str,
    phase: &'a str,
    seconds_elapsed: f64,
    bytes_total: Option<u64>,
    bytes_done: u64,
    bytes_stored: u64,
    bytes_fetched: u64,
    objects_stored: u64,
    files_done: u64,
    seconds_remaining: Option<u64>,
}

impl Meter {
    /// Chooses the form by where the output goes.
    pub fn new(output: Output) -> Self {
        let form = if output.json {
            Form::Lines { json: true, every: JSON_EVERY }
        } else if output.quiet {
            Form::None
        } else if std::io::stderr().is_terminal() {
            Form::Bar(bar())
        } else {
            Form::Lines { json: false, every: LOG_EVERY }
        };
        let now = Instant::now();
        Self { form, output, started: now, last: Mutex::new(now) }
    }

    /// Takes the bar away, so that what follows stands on lines of its own.
    pub fn finish(&self) {
        if let Form::Bar(bar) = &self.form {
            bar.finish_and_clear();
        }
    }

    fn left(&self, progress: &Progress) -> Option<u64> {
        let total = progress.bytes_total?;
        let left = total.saturating_sub(progress.bytes_done);
        let elapsed = self.started.elapsed().as_secs_f64();
        if progress.bytes_done == 0 || elapsed < 1.0 {
            return None;
        }
        Some((left as f64 * elapsed / progress.bytes_done as f64) as u64)
    }

    fn rate(&self, progress: &Progress) -> u64 {
        (progress.bytes_done as f64 / self.started.elapsed().as_secs_f64().max(0.001)) as u64
    }

    fn text(&self, progress: &Progress) -> String {
        let mut text = format_bytes(progress.bytes_done);
        if let Some(total) = progress.bytes_total {
            text.push_str(&format!(" of {}", format_bytes(total)));
        }
        text.push_str(&format!(", {}/s", format_bytes(self.rate(progress))));
        if progress.bytes_stored > 0 {
            text.push_str(&format!(
                ", {} safe with the group",
                format_bytes(progress.bytes_stored)
            ));
        }
        if progress.bytes_fetched > 0 {
            text.push_str(&format!(", {} fetched", format_bytes(progress.bytes_fetched)));
        }
        if let Some(left) = self.left(progress) {
            let left = policy::human::format_duration_ms(left.saturating_mul(1000));
            text.push_str(&format!(", {left} left"));
        }
        text
    }

    fn due(&self, every: Duration) -> bool {
        let mut last = self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if last.elapsed() < every {
            return false;
        }
        *last = Instant::now();
        true
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{spinner} {prefix} {wide_msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

impl ProgressSink for Meter {
    fn update(&self, progress: &Progress) {
        match &self.form {
            Form::None => {}
            Form::Bar(bar) => {
                bar.set_prefix(progress.phase.clone());
                bar.set_message(self.text(progress));
            }
            Form::Lines { json, every } => {
                if !self.due(*every) {
                    return;
                }
                if *json {
                    self.output.json(&StatusLine {
                        message_type: "status",
                        phase: &progress.phase,
                        seconds_elapsed: self.started.elapsed().as_secs_f64(),
                        bytes_total: progress.bytes_total,
                        bytes_done: progress.bytes_done,
                        bytes_stored: progress.bytes_stored,
                        bytes_fetched: progress.bytes_fetched,
                        objects_stored: progress.objects_stored,
                        files_done: progress.files_done,
                        seconds_remaining: self.left(progress),
                    });
                } else {
                    eprintln!("{}: {}", progress.phase, self.text(progress));
                }
            }
        }
    }
}
