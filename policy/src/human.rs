//! Sizes, rates and spans of time as people write them, and back.

use serde::de::{self, Deserializer, Visitor};
use std::fmt;
use std::time::Duration;

/// Reads `1048576`, `100 GiB`, `1.5 GB`.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let size: bytesize::ByteSize = text
        .parse()
        .map_err(|_| format!("`{text}` is no size; write for example 512 MiB or 100 GiB"))?;
    match size.as_u64() {
        u64::MAX => Err(format!("`{text}` is larger than any disk")),
        bytes => Ok(bytes),
    }
}

/// Writes a size with binary units, `1.5 GiB`.
pub fn format_bytes(bytes: u64) -> String {
    bytesize::ByteSize(bytes).display().iec().to_string()
}

/// Reads `10 MiB/s`, `10 MiB`, `none`; `None` means no limit.
pub fn parse_rate(text: &str) -> Result<Option<u64>, String> {
    let text = text.trim();
    if text.is_empty() || text == "none" || text == "unlimited" {
        return Ok(None);
    }
    match parse_bytes(text.strip_suffix("/s").unwrap_or(text))? {
        0 => Err("a rate of 0 would stop all transfers; write none for no limit".into()),
        rate => Ok(Some(rate)),
    }
}

/// Reads `7d`, `90s`, `1h 30m` into milliseconds.
pub fn parse_duration_ms(text: &str) -> Result<u64, String> {
    let span = humantime::parse_duration(text.trim())
        .map_err(|_| format!("`{text}` is no span of time; write for example 90s, 12h or 7d"))?;
    u64::try_from(span.as_millis()).map_err(|_| format!("`{text}` is too long"))
}

/// Writes a span of time, `1h 30m`.
pub fn format_duration_ms(ms: u64) -> String {
    humantime::format_duration(Duration::from_millis(ms)).to_string()
}

/// A size in a file: a number of bytes or a text with a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ByteCount(pub(crate) u64);

/// A rate in a file: a number of bytes a second, a text with a unit, or `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ByteRate(pub(crate) Option<u64>);

/// A span of time in a file: text with units, or a number of milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SpanMs(pub(crate) u64);

/// Accepts text through a parser, or a non-negative number.
struct TextOrNumber<T> {
    expecting: &'static str,
    text: fn(&str) -> Result<T, String>,
    number: fn(u64) -> T,
}

impl<T> Visitor<'_> for TextOrNumber<T> {
    type Value = T;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.expecting)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.text)(text).map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        Ok((self.number)(number))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        let number = u64::try_from(number).map_err(|_| E::custom("a negative size or time"))?;
        Ok((self.number)(number))
    }
}

impl<'de> de::Deserialize<'de> for ByteCount {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_any(TextOrNumber {
            expecting: "a size such as \"100 GiB\"",
            text: |text| parse_bytes(text).map(Self),
            number: Self,
        })
    }
}

impl<'de> de::Deserialize<'de> for ByteRate {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_any(TextOrNumber {
            expecting: "a rate such as \"10 MiB/s\", or \"none\"",
            text: |text| parse_rate(text).map(Self),
            number: |number| Self((number > 0).then_some(number)),
        })
    }
}

impl<'de> de::Deserialize<'de> for SpanMs {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_any(TextOrNumber {
            expecting: "a span of time such as \"90s\"",
            text: |text| parse_duration_ms(text).map(Self),
            number: Self,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_with_binary_decimal_and_no_unit_are_read() {
        assert_eq!(parse_bytes("100 GiB"), Ok(100 << 30));
        assert_eq!(parse_bytes("1.5kB"), Ok(1500));
        assert_eq!(parse_bytes("4096"), Ok(4096));
    }

    #[test]
    fn size_without_number_or_with_unknown_unit_or_too_large_is_refused() {
        for text in ["", "GiB", "12 parsecs", "-1 GiB", "99999999999 EiB"] {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn rate_none_means_unlimited_and_zero_is_refused() {
        assert_eq!(parse_rate("none"), Ok(None));
        assert_eq!(parse_rate("10 MiB/s"), Ok(Some(10 << 20)));
        assert!(parse_rate("0").is_err());
    }

    #[test]
    fn durations_round_trip() {
        assert_eq!(parse_duration_ms("1h 30m"), Ok(5_400_000));
        assert_eq!(format_duration_ms(5_400_000), "1h 30m");
        assert!(parse_duration_ms("soon").is_err());
    }
}
