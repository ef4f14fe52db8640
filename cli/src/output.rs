//! Where results go: words or JSON lines on standard output.

use serde::Serialize;
use std::io::Write as _;

/// How much and in which form to say things.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    /// JSON lines instead of words.
    pub json: bool,
    /// Results only.
    pub quiet: bool,
    /// More detail.
    pub verbose: u8,
}

impl Output {
    /// A line for people; nothing with `--json` or `--quiet`.
    pub fn say(&self, text: impl std::fmt::Display) {
        if !self.json && !self.quiet {
            line(&text.to_string());
        }
    }

    /// A line that is the result itself; also with `--quiet`.
    pub fn result(&self, text: impl std::fmt::Display) {
        if !self.json {
            line(&text.to_string());
        }
    }

    /// A JSON line; nothing without `--json`.
    pub fn json(&self, value: &impl Serialize) {
        if self.json {
            line(&serde_json::to_string(value).unwrap_or_default());
        }
    }
}

/// Writes a line. A reader that went away (`pib ls | head`) ends the program quietly.
fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{text}").and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

/// A moment for people, in local time.
pub fn moment(ms: u64) -> String {
    let moment = i64::try_from(ms).ok().and_then(chrono::DateTime::from_timestamp_millis);
    match moment {
        Some(moment) => {
            moment.with_timezone(&chrono::Local).format("%Y-%m-%d %H:%M:%S").to_string()
        }
        None => "an impossible time".to_owned(),
    }
}

/// Now, in milliseconds since the Unix epoch.
pub fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
