//! Why a member of the state machine cannot start or go on.

use crate::store::StoreError;
use std::path::PathBuf;

/// Why a member cannot start or go on. Each message ends with the next step.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something could not be made durable or read. Nothing was said that is not on disk.
    #[error(
        "cannot use the durable store: {0}; nothing was promised that is not on disk: free space or mend the disk, then start again"
    )]
    Store(#[from] StoreError),
    /// A file or folder could not be used.
    #[error("cannot {what} {path}: {source}; check permissions and free space")]
    Io {
        /// The operation.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A record that this member wrote does not make sense.
    #[error(
        "a record of {what} cannot be read back: {detail}; the disk may be damaged: do not delete the data folder"
    )]
    Record {
        /// Which state.
        what: &'static str,
        /// Why.
        detail: String,
    },
    /// The roster, the slot, the key or a parameter do not fit together.
    #[error("{0}; correct the configuration of the group or of this member")]
    Config(String),
    /// The links cannot be started.
    #[error("{0}; correct the address or free the port")]
    Net(String),
    /// The state machine saw a violation of agreement and stopped signing.
    #[error(
        "the state machine saw two decisions for one place in the log and stopped ({0}); keep the data folder as evidence and tell the group's administrator"
    )]
    Alarm(String),
}
