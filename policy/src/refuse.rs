//! How a refused TOML file is explained: file kind, line, key, what is wrong, what to do.

use std::ops::Range;

/// Why a policy or configuration file is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Not TOML, an unknown key, or a value of the wrong type. The message names line and key.
    #[error("{what}, line {line}: {message}")]
    Parse {
        /// Which kind of file.
        what: &'static str,
        /// Line, counted from 1.
        line: usize,
        /// What the parser says.
        message: String,
    },
    /// A value out of its range or at odds with another.
    #[error("{what}{}: {key}: {message}", line.map(|line| format!(", line {line}")).unwrap_or_default())]
    Value {
        /// Which kind of file.
        what: &'static str,
        /// Line of the key, if the file names it.
        line: Option<usize>,
        /// The key, with its table.
        key: &'static str,
        /// What is wrong with it and what would be right.
        message: String,
    },
}

impl ConfigError {
    /// The next thing to do.
    pub fn hint(&self) -> String {
        match self {
            Self::Parse { what, line, .. } => {
                format!("correct or remove line {line} of the {what}; every key has a default")
            }
            Self::Value { key, .. } => {
                format!("correct `{key}` or leave it out to get its default")
            }
        }
    }
}

/// The line, counted from 1, that a byte offset lies in.
pub(crate) fn line_at(text: &str, offset: usize) -> usize {
    let end = offset.min(text.len());
    1 + text.as_bytes()[..end].iter().filter(|byte| **byte == b'\n').count()
}

/// Turns the parser's complaint into ours.
pub(crate) fn parse_error(what: &'static str, text: &str, error: &toml::de::Error) -> ConfigError {
    let line = error.span().map_or(1, |span| line_at(text, span.start));
    ConfigError::Parse { what, line, message: error.message().trim().replace('\n', "; ") }
}

/// Reads values that know where they stood, and refuses them by key and line.
pub(crate) struct Checker<'a> {
    pub(crate) what: &'static str,
    pub(crate) text: &'a str,
}

impl Checker<'_> {
    /// A refusal of one value.
    pub(crate) fn refuse<T>(
        &self,
        span: Option<Range<usize>>,
        key: &'static str,
        message: impl Into<String>,
    ) -> Result<T, ConfigError> {
        let line = span.map(|span| line_at(self.text, span.start));
        Err(ConfigError::Value { what: self.what, line, key, message: message.into() })
    }

    /// The value, or the default; refused outside `range`.
    pub(crate) fn number(
        &self,
        key: &'static str,
        value: Option<&toml::Spanned<u64>>,
        default: u64,
        range: std::ops::RangeInclusive<u64>,
    ) -> Result<u64, ConfigError> {
        let number = value.map_or(default, |value| *value.get_ref());
        if range.contains(&number) {
            return Ok(number);
        }
        let (low, high) = (range.start(), range.end());
        self.refuse(
            value.map(toml::Spanned::span),
            key,
            format!("{number} is outside the allowed range of {low} to {high}"),
        )
    }
}
