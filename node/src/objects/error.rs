//! Why an object could not be stored or fetched, with the members concerned by name.

use crate::error::NodeError;
use pib::ObjectKey;

/// What happened to an object.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// Not in the OwnList, or not readable because its storing was never finished.
    #[error("{0} is not stored")]
    NotFound(ObjectKey),
    /// The member's own quota is used up.
    #[error(
        "{key} needs {needed_bytes} bytes, but only {left_bytes} of the quota of {quota_bytes} bytes are left"
    )]
    Full {
        /// The object.
        key: ObjectKey,
        /// Bytes that all its chunks need.
        needed_bytes: u64,
        /// Bytes left.
        left_bytes: u64,
        /// The quota.
        quota_bytes: u64,
    },
    /// Too few members took a chunk in time.
    #[error("{key} needs {needed} members to take a chunk each, but only {reached} did{}", list(.failures))]
    NotEnoughMembers {
        /// The object.
        key: ObjectKey,
        /// Members that took a chunk, or could be asked.
        reached: usize,
        /// Chunks.
        needed: usize,
        /// Who did not, and why.
        failures: Vec<String>,
    },
    /// Too few chunks came back.
    #[error("{key} needs {needed} of its chunks, but only {got} came back sound{}", list(.failures))]
    Unreadable {
        /// The object.
        key: ObjectKey,
        /// Sound chunks.
        got: usize,
        /// Chunks whose storers are away; they may be sound.
        away: usize,
        /// Chunks that suffice.
        needed: usize,
        /// Who failed, and how.
        failures: Vec<String>,
    },
    /// The name is taken by other content.
    #[error("{0} is already stored with other content")]
    Conflict(ObjectKey),
    /// The content is not what the name says.
    #[error(
        "the content of {0} is not what its name says; it was damaged on the way to the daemon"
    )]
    WrongName(ObjectKey),
    /// Larger than an object may be.
    #[error("the object has {len} bytes, more than the limit of {max}")]
    TooLarge {
        /// Its length.
        len: u64,
        /// The limit.
        max: u64,
    },
    /// The daemon itself is in trouble.
    #[error(transparent)]
    Node(#[from] NodeError),
}

fn list(failures: &[String]) -> String {
    if failures.is_empty() { String::new() } else { format!(": {}", failures.join("; ")) }
}

impl ObjectError {
    /// The next thing to do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NotFound(_) => {
                "run `pib check`; a backup that was interrupted may have to be run again"
            }
            Self::Full { .. } => {
                "forget old snapshots and prune, or ask the group for a larger quota"
            }
            Self::NotEnoughMembers { .. } => {
                "run `pib status` to see who is away; nothing is lost, and the same command goes on where it stopped once enough members are up"
            }
            Self::Unreadable { .. } => {
                "run `pib status` to see who is away and try again when they are back; name members whose chunks are bad to the group's administrator"
            }
            Self::Conflict(_) => "remove the object first",
            Self::WrongName(_) => {
                "run the same command again; if it happens again, test this machine's memory"
            }
            Self::TooLarge { .. } => "use a smaller pack size",
            Self::Node(_) => "look at the daemon's log; nothing that was acknowledged is lost",
        }
    }
}

/// Translates the owner core's error about an object.
pub fn from_core(key: ObjectKey, error: pib::Error) -> ObjectError {
    match error {
        pib::Error::QuotaFull { needed, left, quota } => {
            ObjectError::Full { key, needed_bytes: needed, left_bytes: left, quota_bytes: quota }
        }
        pib::Error::NotEnoughMembers { reached, needed } => {
            ObjectError::NotEnoughMembers { key, reached, needed, failures: Vec::new() }
        }
        pib::Error::TooLarge { len, max } => ObjectError::TooLarge { len, max },
        pib::Error::ContentDiffers(key) => ObjectError::Conflict(key),
        pib::Error::UnknownObject(key) => ObjectError::NotFound(key),
        other => {
            ObjectError::Node(NodeError::Record { what: "own objects", detail: other.to_string() })
        }
    }
}
