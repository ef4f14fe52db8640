//! The group's policy file: `[timing]`, `[group]`, `[storage]`, `[work]`, every key optional, none unknown.

use crate::group::{DAY_MS, GroupPolicy, PIPELINE_MAX, QUOTA_BYTES_MAX, QUOTA_BYTES_MIN};
use crate::group::{SPAN_MS_MAX, Storage, Timing, Work};
use crate::human::{ByteCount, format_bytes};
use crate::refuse::{Checker, ConfigError, line_at, parse_error};
use serde::Deserialize;
use toml::Spanned;
use types::limits::{CHUNKS_MAX, MEMBERS_MAX, PROPOSAL_LEN_MAX, PROPOSAL_LEN_MIN};
use types::{Mode, Quorum};

const WHAT: &str = "group policy";

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct RawPolicy {
    timing: RawTiming,
    group: RawGroup,
    storage: RawStorage,
    work: RawWork,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct RawWork {
    enabled: Option<bool>,
    margin_ms: Option<Spanned<u64>>,
    rotation_ms: Option<Spanned<u64>>,
    open_ms: Option<Spanned<u64>>,
    request_life_ms: Option<Spanned<u64>>,
    quota_period_ms: Option<Spanned<u64>>,
    quota_bytes: Option<Spanned<ByteCount>>,
    mandatory_bytes: Option<Spanned<ByteCount>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct RawTiming {
    t0_min_ms: Option<Spanned<u64>>,
    t0_max_ms: Option<Spanned<u64>>,
    idle_first_ms: Option<Spanned<u64>>,
    idle_max_ms: Option<Spanned<u64>>,
    gamma_ms: Option<Spanned<u64>>,
    max_response_ms: Option<Spanned<u64>>,
    resend_max_ms: Option<Spanned<u64>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct RawGroup {
    byzantine_max: Option<Spanned<u64>>,
    mode: Option<Spanned<String>>,
    proposal_len_max: Option<Spanned<u64>>,
    pipeline: Option<Spanned<u64>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct RawStorage {
    chunks: Option<Spanned<u64>>,
    quota_bytes: Option<Spanned<ByteCount>>,
    lease_days: Option<Spanned<u64>>,
    lease_ms: Option<Spanned<u64>>,
    skew_ms: Option<Spanned<u64>>,
}

pub(crate) fn parse(text: &str) -> Result<GroupPolicy, ConfigError> {
    let raw: RawPolicy = toml::from_str(text).map_err(|error| parse_error(WHAT, text, &error))?;
    let checker = Checker { what: WHAT, text };
    let policy = GroupPolicy {
        timing: timing(&checker, &raw.timing)?,
        byzantine_max: byzantine_max(&checker, &raw.group)?,
        mode: mode(&checker, &raw.group)?,
        proposal_len_max: checker.number(
            "group.proposal_len_max",
            raw.group.proposal_len_max.as_ref(),
            types::limits::PROPOSAL_LEN_DEFAULT as u64,
            PROPOSAL_LEN_MIN as u64..=PROPOSAL_LEN_MAX as u64,
        )? as usize,
        pipeline: checker.number(
            "group.pipeline",
            raw.group.pipeline.as_ref(),
            1,
            1..=PIPELINE_MAX as u64,
        )? as usize,
        storage: storage(&checker, &raw.storage)?,
        work: work(&checker, &raw.work)?,
    };
    // What remains are relations between keys: find the line by the key's own name.
    policy.check().map_err(|(key, message)| {
        let line = line_of_key(text, key);
        ConfigError::Value { what: WHAT, line, key, message }
    })?;
    Ok(policy)
}

fn timing(checker: &Checker<'_>, raw: &RawTiming) -> Result<Timing, ConfigError> {
    let default = Timing::default();
    let number = |key, value: &Option<Spanned<u64>>, default| {
        checker.number(key, value.as_ref(), default, 1..=SPAN_MS_MAX)
    };
    Ok(Timing {
        t0_min_ms: number("timing.t0_min_ms", &raw.t0_min_ms, default.t0_min_ms)?,
        t0_max_ms: number("timing.t0_max_ms", &raw.t0_max_ms, default.t0_max_ms)?,
        idle_first_ms: number("timing.idle_first_ms", &raw.idle_first_ms, default.idle_first_ms)?,
        idle_max_ms: number("timing.idle_max_ms", &raw.idle_max_ms, default.idle_max_ms)?,
        gamma_ms: number("timing.gamma_ms", &raw.gamma_ms, default.gamma_ms)?,
        max_response_ms: number(
            "timing.max_response_ms",
            &raw.max_response_ms,
            default.max_response_ms,
        )?,
        resend_max_ms: number("timing.resend_max_ms", &raw.resend_max_ms, default.resend_max_ms)?,
    })
}

fn byzantine_max(checker: &Checker<'_>, raw: &RawGroup) -> Result<Option<usize>, ConfigError> {
    let Some(value) = &raw.byzantine_max else { return Ok(None) };
    let most = Quorum::largest_f(MEMBERS_MAX) as u64;
    Ok(Some(checker.number("group.byzantine_max", Some(value), 0, 0..=most)? as usize))
}

fn mode(checker: &Checker<'_>, raw: &RawGroup) -> Result<Mode, ConfigError> {
    match raw.mode.as_ref().map(|mode| mode.get_ref().as_str()) {
        None | Some("quasi-sync") => Ok(Mode::QuasiSync),
        Some("async") => Ok(Mode::Async),
        Some(other) => checker.refuse(
            raw.mode.as_ref().map(Spanned::span),
            "group.mode",
            format!("`{other}` is neither \"quasi-sync\" nor \"async\""),
        ),
    }
}

fn storage(checker: &Checker<'_>, raw: &RawStorage) -> Result<Storage, ConfigError> {
    let default = Storage::default();
    let chunks = match &raw.chunks {
        None => None,
        Some(value) => {
            Some(checker.number("storage.chunks", Some(value), 0, 1..=CHUNKS_MAX as u64)? as usize)
        }
    };
    let quota_bytes = raw.quota_bytes.as_ref().map_or(default.quota_bytes, |q| q.get_ref().0);
    if !(QUOTA_BYTES_MIN..=QUOTA_BYTES_MAX).contains(&quota_bytes) {
        return checker.refuse(
            raw.quota_bytes.as_ref().map(Spanned::span),
            "storage.quota_bytes",
            format!("{} is outside 64 MiB to 1 PiB", format_bytes(quota_bytes)),
        );
    }
    let lease_ms = match (&raw.lease_days, &raw.lease_ms) {
        (Some(days), Some(_)) => {
            return checker.refuse(
                Some(days.span()),
                "storage.lease_days",
                "lease_ms is set too; keep one of them",
            );
        }
        (Some(days), None) => {
            checker.number("storage.lease_days", Some(days), 0, 1..=SPAN_MS_MAX / DAY_MS)? * DAY_MS
        }
        (None, ms) => {
            checker.number("storage.lease_ms", ms.as_ref(), default.lease_ms, 1000..=SPAN_MS_MAX)?
        }
    };
    // A lease shorter than a day would make the default bound on clocks absurd; scale it along.
    let skew_default = default.skew_ms.min(lease_ms / 4);
    let skew_ms = raw.skew_ms.as_ref();
    let skew_ms = checker.number("storage.skew_ms", skew_ms, skew_default, 0..=SPAN_MS_MAX)?;
    Ok(Storage { chunks, quota_bytes, lease_ms, skew_ms })
}

fn work(checker: &Checker<'_>, raw: &RawWork) -> Result<Work, ConfigError> {
    let default = Work::default();
    let number = |key, value: &Option<Spanned<u64>>, default| {
        checker.number(key, value.as_ref(), default, 1..=SPAN_MS_MAX)
    };
    Ok(Work {
        enabled: raw.enabled.unwrap_or(default.enabled),
        margin_ms: number("work.margin_ms", &raw.margin_ms, default.margin_ms)?,
        rotation_ms: number("work.rotation_ms", &raw.rotation_ms, default.rotation_ms)?,
        open_ms: number("work.open_ms", &raw.open_ms, default.open_ms)?,
        request_life_ms: number(
            "work.request_life_ms",
            &raw.request_life_ms,
            default.request_life_ms,
        )?,
        quota_period_ms: number(
            "work.quota_period_ms",
            &raw.quota_period_ms,
            default.quota_period_ms,
        )?,
        quota_bytes: raw.quota_bytes.as_ref().map(|bytes| bytes.get_ref().0),
        mandatory_bytes: raw
            .mandatory_bytes
            .as_ref()
            .map_or(default.mandatory_bytes, |bytes| bytes.get_ref().0),
    })
}

/// The line that sets `table.key`, if the file does.
fn line_of_key(text: &str, key: &str) -> Option<usize> {
    let (table, name) = key.split_once('.')?;
    let mut inside = false;
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        let trimmed = line.trim();
        if trimmed.starts_with('[') {
            inside = trimmed.trim_matches(['[', ']', ' ']) == table;
        } else if inside && trimmed.split('=').next().is_some_and(|left| left.trim() == name) {
            return Some(line_at(text, offset));
        }
        offset += line.len();
    }
    None
}

pub(crate) fn print(policy: &GroupPolicy) -> String {
    let timing = &policy.timing;
    let storage = &policy.storage;
    let mode = match policy.mode {
        Mode::Async => "async",
        Mode::QuasiSync => "quasi-sync",
    };
    let mut lines = vec!["[group]".to_owned()];
    if let Some(f) = policy.byzantine_max {
        lines.push(format!("byzantine_max = {f}"));
    }
    lines.push(format!("mode = \"{mode}\""));
    lines.push(format!("proposal_len_max = {}", policy.proposal_len_max));
    lines.push(format!("pipeline = {}", policy.pipeline));
    lines.push("\n[timing]".to_owned());
    lines.push(format!("t0_min_ms = {}", timing.t0_min_ms));
    lines.push(format!("t0_max_ms = {}", timing.t0_max_ms));
    lines.push(format!("idle_first_ms = {}", timing.idle_first_ms));
    lines.push(format!("idle_max_ms = {}", timing.idle_max_ms));
    lines.push(format!("gamma_ms = {}", timing.gamma_ms));
    lines.push(format!("max_response_ms = {}", timing.max_response_ms));
    lines.push(format!("resend_max_ms = {}", timing.resend_max_ms));
    lines.push("\n[storage]".to_owned());
    if let Some(x) = storage.chunks {
        lines.push(format!("chunks = {x}"));
    }
    lines.push(format!("quota_bytes = {}", storage.quota_bytes));
    lines.push(format!("lease_ms = {}", storage.lease_ms));
    lines.push(format!("skew_ms = {}", storage.skew_ms));
    let work = &policy.work;
    lines.push("\n[work]".to_owned());
    lines.push(format!("enabled = {}", work.enabled));
    lines.push(format!("margin_ms = {}", work.margin_ms));
    lines.push(format!("rotation_ms = {}", work.rotation_ms));
    lines.push(format!("open_ms = {}", work.open_ms));
    lines.push(format!("request_life_ms = {}", work.request_life_ms));
    lines.push(format!("quota_period_ms = {}", work.quota_period_ms));
    if let Some(bytes) = work.quota_bytes {
        lines.push(format!("quota_bytes = {bytes}"));
    }
    lines.push(format!("mandatory_bytes = {}", work.mandatory_bytes));
    lines.join("\n") + "\n"
}

#[cfg(test)]
#[path = "group_tests.rs"]
mod tests;
