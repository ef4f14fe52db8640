//! What a member sets for its own machine: where it listens, what it backs up, its limits.
//! Nothing here is seen by others, and nothing here can weaken the group's rules.

use crate::genesis::{check_address, check_name};
use crate::human::{ByteCount, ByteRate, SpanMs, format_bytes, format_duration_ms};
use crate::refuse::{Checker, ConfigError, parse_error};
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::PathBuf;
use toml::Spanned;

const WHAT: &str = "member configuration";
/// The port on which a member listens unless told otherwise.
pub const PORT_DEFAULT: u16 = 7420;
/// Smallest pack: smaller ones would drown in receipts.
pub const PACK_SIZE_MIN: u64 = 1 << 20;
/// Largest pack: one object with room for its header.
pub const PACK_SIZE_MAX: u64 = 48 << 20;
/// Default pack size: measured to keep the owner below 400 MiB of memory at no loss of speed.
pub const PACK_SIZE_DEFAULT: u64 = 8 << 20;
/// How long a put waits by default for members that are away.
pub const PUT_PATIENCE_MS_DEFAULT: u64 = 120_000;
/// Mean time between two possession checks of one storer by default: twice a day.
pub const POSSESSION_CHECK_MS_DEFAULT: u64 = 12 * 3_600_000;
/// They are never rarer than this: linked identities are given out every two years, and a member that
/// stores nothing must be asked more often than that (specification 7.9).
pub const POSSESSION_CHECK_MS_MAX: u64 = 30 * 24 * 3_600_000;
/// Paths, patterns or tags that one list may hold.
pub const LIST_LEN_MAX: usize = 10_000;

const _: () = assert!(PACK_SIZE_MAX < types::limits::OBJECT_LEN_MAX as u64);

/// What `pib backup` takes when the command line does not say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BackupDefaults {
    /// Folders and files to back up.
    pub paths: Vec<PathBuf>,
    /// Glob patterns to leave out.
    pub excludes: Vec<String>,
    /// Files with glob patterns to leave out, one a line.
    pub exclude_files: Vec<PathBuf>,
    /// Leave out folders that hold a `CACHEDIR.TAG`.
    pub exclude_caches: bool,
    /// Leave out folders that hold a file of one of these names.
    pub exclude_if_present: Vec<String>,
    /// Do not cross into other file systems.
    pub one_file_system: bool,
    /// Tags of new snapshots.
    pub tags: Vec<String>,
    /// Host name of new snapshots; the machine's own when absent.
    pub host: Option<String>,
}

/// What the member allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes a second sent on bulk links; `None` is no limit.
    pub upload_rate: Option<u64>,
    /// Bytes a second received on bulk links; `None` is no limit.
    pub download_rate: Option<u64>,
    /// Bytes of one pack of the snapshot layer.
    pub pack_size: u64,
    /// How long a put waits for members that are away before it fails, milliseconds.
    pub put_patience_ms: u64,
    /// Mean time between two checks that a storer still has what it promised, milliseconds; each costs a
    /// few KiB. Rare checks find a storer late that threw chunks away.
    pub possession_check_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            upload_rate: None,
            download_rate: None,
            pack_size: PACK_SIZE_DEFAULT,
            put_patience_ms: PUT_PATIENCE_MS_DEFAULT,
            possession_check_ms: POSSESSION_CHECK_MS_DEFAULT,
        }
    }
}

/// A member's validated configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberConfig {
    /// The member's name, as it is asked to be known in the group.
    pub name: String,
    /// Where the daemon listens.
    pub listen: SocketAddr,
    /// Addresses at which others reach it, `host:port`; for the join request.
    pub addresses: Vec<String>,
    /// Where the daemon keeps its state; absent means the folder of this file.
    pub data: Option<PathBuf>,
    /// What to back up.
    pub backup: BackupDefaults,
    /// What to allow.
    pub limits: Limits,
    /// A filter for the log: `info`, `debug`, `net=trace,info`.
    pub log_level: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMember {
    name: Spanned<String>,
    listen: Option<Spanned<String>>,
    #[serde(default)]
    addresses: Vec<Spanned<String>>,
    data: Option<PathBuf>,
    #[serde(default)]
    backup: RawBackup,
    #[serde(default)]
    limits: RawLimits,
    #[serde(default)]
    log: RawLog,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct RawBackup {
    paths: Vec<PathBuf>,
    excludes: Vec<String>,
    exclude_files: Vec<PathBuf>,
    exclude_caches: bool,
    exclude_if_present: Vec<String>,
    one_file_system: bool,
    tags: Vec<Spanned<String>>,
    host: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct RawLimits {
    upload: Option<Spanned<ByteRate>>,
    download: Option<Spanned<ByteRate>>,
    pack_size: Option<Spanned<ByteCount>>,
    put_patience: Option<Spanned<SpanMs>>,
    possession_check: Option<Spanned<SpanMs>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct RawLog {
    level: Option<String>,
}

impl MemberConfig {
    /// A configuration with defaults.
    pub fn new(name: String, listen: SocketAddr, addresses: Vec<String>) -> Self {
        Self {
            name,
            listen,
            addresses,
            data: None,
            backup: BackupDefaults::default(),
            limits: Limits::default(),
            log_level: "info".into(),
        }
    }

    /// Reads and validates a file.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        let raw: RawMember =
            toml::from_str(text).map_err(|error| parse_error(WHAT, text, &error))?;
        let checker = Checker { what: WHAT, text };
        if let Err(message) = check_name("member name", raw.name.get_ref()) {
            return checker.refuse(Some(raw.name.span()), "name", message);
        }
        for address in &raw.addresses {
            if let Err(message) = check_address(address.get_ref()) {
                return checker.refuse(Some(address.span()), "addresses", message);
            }
        }
        Ok(Self {
            name: raw.name.into_inner(),
            listen: listen(&checker, raw.listen.as_ref())?,
            addresses: raw.addresses.into_iter().map(Spanned::into_inner).collect(),
            data: raw.data,
            backup: backup(&checker, raw.backup)?,
            limits: limits(&checker, &raw.limits)?,
            log_level: raw.log.level.unwrap_or_else(|| "info".into()),
        })
    }

    /// A file with these values and a word on each, for `pib init`.
    pub fn to_toml(&self) -> String {
        let text = |text: &str| toml::Value::String(text.to_owned()).to_string();
        let list = |items: &[String]| {
            toml::Value::Array(items.iter().cloned().map(toml::Value::String).collect()).to_string()
        };
        let paths = |paths: &[PathBuf]| {
            let items: Vec<_> =
                paths.iter().map(|path| path.to_string_lossy().into_owned()).collect();
            list(&items)
        };
        let rate = |rate: Option<u64>| match rate {
            None => "\"none\"".to_owned(),
            Some(rate) => rate.to_string(),
        };
        let data = self.data.as_ref().map_or(String::new(), |data| {
            format!(
                "\n# Where the daemon keeps its state.\ndata = {}",
                text(&data.to_string_lossy())
            )
        });
        let host = self
            .backup
            .host
            .as_ref()
            .map_or(String::new(), |host| format!("\nhost = {}", text(host)));
        let (backup, limits) = (&self.backup, &self.limits);
        format!(
            "# How this member is called in its group.\nname = {}\n\
             # Where the daemon listens, and where others reach it.\nlisten = {}\naddresses = {}{data}\n\
             \n[backup]\n# What `pib backup` takes when no path is given.\npaths = {}\n\
             # Glob patterns to leave out.\nexcludes = {}\nexclude_files = {}\nexclude_caches = {}\n\
             exclude_if_present = {}\none_file_system = {}\ntags = {}{host}\n\
             \n[limits]\n# For example \"2 MiB/s\"; \"none\" is no limit.\nupload = {}\ndownload = {}\n\
             # {} a pack.\npack_size = {}\n# How long a backup waits for members that are away.\n\
             put_patience = {}\n# Mean time between two checks that a storer still has what it promised.\n\
             possession_check = {}\n\n[log]\nlevel = {}\n",
            text(&self.name),
            text(&self.listen.to_string()),
            list(&self.addresses),
            paths(&backup.paths),
            list(&backup.excludes),
            paths(&backup.exclude_files),
            backup.exclude_caches,
            list(&backup.exclude_if_present),
            backup.one_file_system,
            list(&backup.tags),
            rate(limits.upload_rate),
            rate(limits.download_rate),
            format_bytes(limits.pack_size),
            limits.pack_size,
            text(&format_duration_ms(limits.put_patience_ms)),
            text(&format_duration_ms(limits.possession_check_ms)),
            text(&self.log_level),
        )
    }
}

fn listen(checker: &Checker<'_>, raw: Option<&Spanned<String>>) -> Result<SocketAddr, ConfigError> {
    let Some(raw) = raw else { return Ok(SocketAddr::from(([0, 0, 0, 0], PORT_DEFAULT))) };
    match raw.get_ref().parse() {
        Ok(address) => Ok(address),
        Err(_) => checker.refuse(
            Some(raw.span()),
            "listen",
            format!("`{}` is not of the form ip:port, for example 0.0.0.0:7420", raw.get_ref()),
        ),
    }
}

fn backup(checker: &Checker<'_>, raw: RawBackup) -> Result<BackupDefaults, ConfigError> {
    let lengths = [
        ("backup.paths", raw.paths.len()),
        ("backup.excludes", raw.excludes.len()),
        ("backup.exclude_files", raw.exclude_files.len()),
        ("backup.exclude_if_present", raw.exclude_if_present.len()),
        ("backup.tags", raw.tags.len()),
    ];
    for (key, len) in lengths {
        if len > LIST_LEN_MAX {
            return checker.refuse(
                None,
                key,
                format!("{len} entries are more than {LIST_LEN_MAX}"),
            );
        }
    }
    for tag in &raw.tags {
        if tag.get_ref().is_empty() || tag.get_ref().contains(',') {
            return checker.refuse(
                Some(tag.span()),
                "backup.tags",
                "a tag must not be empty and must not contain a comma",
            );
        }
    }
    Ok(BackupDefaults {
        paths: raw.paths,
        excludes: raw.excludes,
        exclude_files: raw.exclude_files,
        exclude_caches: raw.exclude_caches,
        exclude_if_present: raw.exclude_if_present,
        one_file_system: raw.one_file_system,
        tags: raw.tags.into_iter().map(Spanned::into_inner).collect(),
        host: raw.host,
    })
}

fn limits(checker: &Checker<'_>, raw: &RawLimits) -> Result<Limits, ConfigError> {
    let pack_size = raw.pack_size.as_ref().map_or(PACK_SIZE_DEFAULT, |size| size.get_ref().0);
    if !(PACK_SIZE_MIN..=PACK_SIZE_MAX).contains(&pack_size) {
        return checker.refuse(
            raw.pack_size.as_ref().map(Spanned::span),
            "limits.pack_size",
            format!("{} is outside 1 MiB to 48 MiB", format_bytes(pack_size)),
        );
    }
    let patience = raw.put_patience.as_ref();
    let check = raw.possession_check.as_ref();
    let possession_check_ms = check.map_or(POSSESSION_CHECK_MS_DEFAULT, |span| span.get_ref().0);
    if !(1_000..=POSSESSION_CHECK_MS_MAX).contains(&possession_check_ms) {
        return checker.refuse(
            check.map(Spanned::span),
            "limits.possession_check",
            format!("{} is outside 1s to 30d", format_duration_ms(possession_check_ms)),
        );
    }
    Ok(Limits {
        upload_rate: raw.upload.as_ref().and_then(|rate| rate.get_ref().0),
        download_rate: raw.download.as_ref().and_then(|rate| rate.get_ref().0),
        pack_size,
        put_patience_ms: patience.map_or(PUT_PATIENCE_MS_DEFAULT, |span| span.get_ref().0),
        possession_check_ms,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_file_reads_back_the_same() {
        let listen = SocketAddr::from(([127, 0, 0, 1], 9));
        let mut config = MemberConfig::new("a \"b\" ü".into(), listen, vec!["h:1".into()]);
        config.data = Some("/var/lib/pib".into());
        config.backup.paths = vec!["/home/a b".into()];
        config.backup.excludes = vec!["*.o".into(), "a\\b\"".into()];
        config.backup.host = Some("host".into());
        config.limits.upload_rate = Some(12345);
        config.limits.put_patience_ms = 90_500;
        config.limits.possession_check_ms = 7_000;
        assert_eq!(MemberConfig::from_toml(&config.to_toml()), Ok(config));
    }

    #[test]
    fn file_with_a_name_only_gets_defaults() {
        let config = MemberConfig::from_toml("name = \"a\"\n").unwrap();
        assert_eq!(config.listen.port(), PORT_DEFAULT);
        assert_eq!(config.limits, Limits::default());
    }

    #[test]
    fn limits_are_read_with_units() {
        let text = "name = \"a\"\n[limits]\nupload = \"2 MiB/s\"\npack_size = \"4 MiB\"\nput_patience = \"5m\"\n";
        let limits = MemberConfig::from_toml(text).unwrap().limits;
        assert_eq!(limits.upload_rate, Some(2 << 20));
        assert_eq!((limits.pack_size, limits.put_patience_ms), (4 << 20, 300_000));
    }

    #[test]
    fn bad_values_are_refused_with_line_and_key() {
        for (text, parts) in [
            ("name = \"a\"\nlisten = \"here\"\n", ["line 2", "listen"]),
            ("name = \"a\"\n[limits]\nupload = \"fast\"\n", ["line 3", "fast"]),
            ("name = \"a\"\n[limits]\npack_size = 5\n", ["line 3", "limits.pack_size"]),
            (
                "name = \"a\"\n[limits]\npossession_check = \"31d\"\n",
                ["line 3", "limits.possession_check"],
            ),
            ("name = \"a\"\n[backup]\nexclude = []\n", ["line 3", "exclude"]),
            ("name = \"\"\n", ["line 1", "name"]),
            ("listen = \"127.0.0.1:1\"\n", ["line 1", "name"]),
            ("name = \"a\"\naddresses = [\"x\"]\n", ["line 2", "addresses"]),
        ] {
            let message = MemberConfig::from_toml(text).unwrap_err().to_string();
            assert!(parts.iter().all(|part| message.contains(part)), "{text}: {message}");
        }
    }
}
