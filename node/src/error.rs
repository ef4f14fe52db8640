//! What can go wrong for the daemon as a whole. Everything else is answered where it happens.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Why the daemon cannot start or go on. Each message ends with the next step.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// Another daemon uses the data folder.
    #[error(
        "the data folder {data} is in use by process {pid}; stop that daemon first, or give this one its own --data-dir"
    )]
    Locked {
        /// The folder.
        data: PathBuf,
        /// What the lock file says of its holder.
        pid: String,
    },
    /// A file or folder could not be used.
    #[error("cannot {what} {path}: {source}; check permissions and free space")]
    Io {
        /// The operation.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The store of promises cannot be opened.
    #[error(
        "cannot open the store of promises {path}: {detail}; if the disk is full, free space; if the file is damaged, do not delete it: restore the member with its recovery code"
    )]
    Promises {
        /// The database file.
        path: PathBuf,
        /// Why.
        detail: String,
    },
    /// A promise could not be made durable. The daemon stops before anything depends on it.
    #[error(
        "cannot write to the store of promises: {0}; nothing was promised that is not on disk: free space or mend the disk, then start the daemon again"
    )]
    Commit(Arc<str>),
    /// A record that this daemon wrote does not make sense.
    #[error(
        "a record of {what} cannot be read back: {detail}; the disk may be damaged: do not delete the data folder, restore the member with its recovery code"
    )]
    Record {
        /// Which state.
        what: &'static str,
        /// Why.
        detail: String,
    },
    /// The group's parameters and this member do not fit together.
    #[error("{0}; ask the group's administrator for a new ticket")]
    Group(String),
    /// The network cannot be used.
    #[error("{0}")]
    Net(String),
    /// The state machine cannot start or go on.
    #[error("the state machine: {0}")]
    Rsm(replica::Error),
    /// The state machine saw a violation of agreement and stopped signing.
    #[error(
        "the state machine saw two decisions for one place in the log and stopped ({0}); keep the data folder as evidence and tell the group's administrator"
    )]
    Alarm(String),
}

impl From<replica::Error> for NodeError {
    fn from(error: replica::Error) -> Self {
        match error {
            replica::Error::Alarm(what) => Self::Alarm(what),
            replica::Error::Store(what) => Self::Commit(what.0),
            replica::Error::Record { what, detail } => Self::Record { what, detail },
            replica::Error::Config(what) => Self::Group(what),
            other => Self::Rsm(other),
        }
    }
}
