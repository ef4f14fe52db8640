//! What went wrong, as people and scripts see it: an exit code, a message and the next step.

use node::client::ClientError;
use serde::Serialize;
use snapshot::{SnapshotError, StoreError};
use std::fmt;
use std::process::ExitCode;

/// The exit codes of `pib`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    /// Done.
    Done = 0,
    /// Failed.
    Failed = 1,
    /// Wrong usage or a malformed file that the user wrote.
    Usage = 2,
    /// Done, but some files could not be read.
    Incomplete = 3,
    /// There is no repository, group or member here.
    NoRepository = 10,
    /// The daemon does not answer.
    NoDaemon = 11,
    /// Wrong recovery code.
    WrongSecret = 12,
    /// Not enough members are reachable.
    NotEnoughMembers = 13,
    /// Quota or disk is used up.
    Full = 14,
    /// A proof does not verify.
    NotProven = 15,
    /// Stopped by the user.
    Interrupted = 130,
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}

/// A failure of a command.
#[derive(Debug, Clone)]
pub struct CliError {
    /// The exit code.
    pub code: Code,
    message: String,
    hint: String,
}

#[derive(Serialize)]
struct ExitError<'a> {
    message_type: &'static str,
    code: u8,
    message: &'a str,
    hint: &'a str,
}

impl CliError {
    /// A failure with a message.
    pub fn new(code: Code, message: impl fmt::Display) -> Self {
        Self { code, message: message.to_string(), hint: String::new() }
    }

    /// Adds the next step.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// Puts what was being done before the message.
    pub fn context(mut self, what: impl fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    /// Writes the failure to standard error.
    pub fn report(&self, json: bool) {
        use std::io::Write as _;
        let mut out = std::io::stderr().lock();
        // A closed standard error leaves only the exit code, which is still given.
        let _ = if json {
            let Self { code, message, hint } = self;
            let line = ExitError { message_type: "exit_error", code: *code as u8, message, hint };
            writeln!(out, "{}", serde_json::to_string(&line).unwrap_or_default())
        } else if self.hint.is_empty() {
            writeln!(out, "error: {}", self.message)
        } else {
            writeln!(out, "error: {}\n hint: {}", self.message, self.hint)
        };
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.hint.as_str() {
            "" => out.write_str(&self.message),
            hint => write!(out, "{} ({hint})", self.message),
        }
    }
}

impl std::error::Error for CliError {}

/// A failed operation on a file or folder.
pub(crate) fn io(what: &str, path: &std::path::Path, error: &std::io::Error) -> CliError {
    let hint = match error.kind() {
        std::io::ErrorKind::PermissionDenied => "check the owner and the mode of the path",
        std::io::ErrorKind::StorageFull => "free some space on the disk",
        std::io::ErrorKind::NotFound => "check the path",
        _ => "",
    };
    CliError::new(Code::Failed, format!("cannot {what} {}: {error}", path.display())).hint(hint)
}

impl From<policy::ConfigError> for CliError {
    fn from(error: policy::ConfigError) -> Self {
        Self::new(Code::Usage, &error).hint(error.hint())
    }
}

impl From<policy::CredentialError> for CliError {
    fn from(error: policy::CredentialError) -> Self {
        Self::new(Code::Failed, &error).hint(error.hint())
    }
}

impl From<ClientError> for CliError {
    fn from(error: ClientError) -> Self {
        match &error {
            ClientError::Unreachable { .. } => Self::new(Code::NoDaemon, &error)
                .hint("start it with `pib daemon` (or its system service) and try again"),
            ClientError::Api(api) => {
                let code = match api.kind.as_str() {
                    "not_enough_members" | "timeout" => Code::NotEnoughMembers,
                    "full" => Code::Full,
                    "stopping" => Code::NoDaemon,
                    _ => Code::Failed,
                };
                Self::new(code, &api.message).hint(api.hint.clone())
            }
            ClientError::Protocol(_) => Self::new(Code::NoDaemon, &error)
                .hint("see whether the daemon still runs, and its log"),
        }
    }
}

fn store_code(error: &StoreError) -> Code {
    match error {
        StoreError::Full => Code::Full,
        StoreError::NotEnoughMembers { .. } | StoreError::Timeout => Code::NotEnoughMembers,
        StoreError::DaemonUnreachable => Code::NoDaemon,
        StoreError::Cancelled => Code::Interrupted,
        StoreError::NotFound | StoreError::Corrupt | StoreError::Other(_) => Code::Failed,
    }
}

impl From<SnapshotError> for CliError {
    fn from(error: SnapshotError) -> Self {
        let code = match &error {
            SnapshotError::Store { source, .. } => store_code(source),
            SnapshotError::NoRepository => Code::NoRepository,
            SnapshotError::WrongSecret => Code::WrongSecret,
            SnapshotError::BadOption(_) => Code::Usage,
            SnapshotError::Cancelled => Code::Interrupted,
            _ => Code::Failed,
        };
        // The library's messages are `what failed; what to do`.
        let text = error.to_string();
        match text.rsplit_once("; ") {
            Some((message, hint)) => Self::new(code, message).hint(hint),
            None => Self::new(code, text),
        }
    }
}

impl From<node::NodeError> for CliError {
    fn from(error: node::NodeError) -> Self {
        let text = error.to_string();
        match text.split_once("; ") {
            Some((message, hint)) => Self::new(Code::Failed, message).hint(hint),
            None => Self::new(Code::Failed, text),
        }
    }
}
