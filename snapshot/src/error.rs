//! What can go wrong with a repository, in words for the person at the keyboard.

use std::error::Error as StdError;
use std::path::PathBuf;

use rustic_core::RusticError;

use crate::object::StoreError;

/// Why an operation on a repository failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The storage below failed.
    #[error("{what}: {source}")]
    Store {
        /// What was being done, on which object.
        what: String,
        /// Why it failed.
        source: StoreError,
    },
    /// The store holds no repository.
    #[error("there is no repository yet; the first `pib backup` makes one")]
    NoRepository,
    /// The repository was made with another secret.
    #[error(
        "this repository belongs to another secret; check that the recovery code is the right one"
    )]
    WrongSecret,
    /// No snapshot fits what was asked for.
    #[error("no snapshot fits `{0}`; `pib snapshots` lists what there is")]
    NoSnapshot(String),
    /// Several snapshots fit.
    #[error("several snapshots begin with `{0}`; give more digits")]
    AmbiguousSnapshot(String),
    /// The snapshot has no such path.
    #[error("`{}` is not in the snapshot; `pib ls` shows what is", .0.display())]
    NotInSnapshot(PathBuf),
    /// A folder or file to back up cannot be used.
    #[error("cannot back up `{}`: {reason}", path.display())]
    BadSource {
        /// The source.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// An option makes no sense.
    #[error("{0}")]
    BadOption(String),
    /// The place to restore to cannot be used.
    #[error("cannot restore to `{}`: {source}", path.display())]
    Target {
        /// The place.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// What is stored does not fit together.
    #[error("the repository is damaged: {0}; run `pib check --read-data`")]
    Corrupt(String),
    /// Stopped as asked.
    #[error("stopped as asked; run the same command again to go on where it stopped")]
    Cancelled,
    /// A bug, ours or the library's.
    #[error("internal error: {0}; please report it")]
    Internal(String),
}

impl SnapshotError {
    /// The store's error behind this one, if it was the cause.
    #[must_use]
    pub fn store_error(&self) -> Option<&StoreError> {
        match self {
            Self::Store { source, .. } => Some(source),
            _ => None,
        }
    }

    pub(crate) fn store(what: impl Into<String>, source: StoreError) -> Self {
        if source == StoreError::Cancelled {
            return Self::Cancelled;
        }
        Self::Store { what: what.into(), source }
    }
}

impl From<Box<RusticError>> for SnapshotError {
    fn from(error: Box<RusticError>) -> Self {
        let mut cause: Option<&(dyn StdError + 'static)> = Some(&*error);
        while let Some(inner) = cause {
            if let Some(store) = inner.downcast_ref::<BackendFailure>() {
                return Self::store(store.what.clone(), store.source.clone());
            }
            // rustic boxes its own errors when it passes them on.
            cause = match inner.downcast_ref::<Box<RusticError>>() {
                Some(boxed) => Some(&**boxed),
                None => inner.source(),
            };
        }
        let text = plain(&error);
        if text.contains("C001") || text.contains("MAC check failed") {
            return Self::Corrupt(text);
        }
        Self::Internal(text)
    }
}

/// The message of a rustic error on one line.
pub(crate) fn plain(error: &RusticError) -> String {
    let text = error.display_log();
    text.strip_prefix("Error: ").unwrap_or(&text).replace('\n', " ")
}

/// What the backend hands through rustic, so that it can be found again on the other side.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{what}: {source}")]
pub(crate) struct BackendFailure {
    pub(crate) what: String,
    pub(crate) source: StoreError,
}
