//! One line of text that carries bytes between people: `pib-KIND1-` and base64url.
//!
//! Inside: `u32` length, the bytes, four bytes of digest. A line that lost its end is told apart
//! from one with a typing error, and both from a forgery (whose signature fails later).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use types::{DecodeError, Hash, Reader, Stamp, Writer};

/// Characters of the longest line that is looked at.
pub const LINE_LEN_MAX: usize = 1 << 20;
const DIGEST_LEN: usize = 4;

/// Why a join request or a ticket is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// Some other text.
    #[error("this is no {what}: it does not start with `{prefix}`")]
    OtherText {
        /// What was expected.
        what: &'static str,
        /// How it starts.
        prefix: &'static str,
    },
    /// Made by another version of the program.
    #[error("this {what} has version {version}, this program reads version 1")]
    Version {
        /// What was expected.
        what: &'static str,
        /// The version found.
        version: String,
    },
    /// The end is missing.
    #[error("this {what} is truncated: its end is missing")]
    Truncated {
        /// What was expected.
        what: &'static str,
    },
    /// Characters were changed.
    #[error("this {what} is garbled: some of its characters were changed or added")]
    Garbled {
        /// What was expected.
        what: &'static str,
    },
    /// The content breaks a rule.
    #[error("this {what} is malformed: {reason}")]
    Malformed {
        /// What was expected.
        what: &'static str,
        /// Which rule.
        reason: String,
    },
    /// The signature is not that of the one who should have signed.
    #[error("this {what} is forged: its signature does not verify")]
    Forged {
        /// What was expected.
        what: &'static str,
    },
    /// Its time is over.
    #[error("this ticket has expired")]
    Expired {
        /// When.
        expired: Stamp,
        /// What was taken for now.
        now: Stamp,
    },
    /// It admits others.
    #[error("this ticket is not for this member: group `{group}` does not list its keys")]
    NotForThisMember {
        /// The group.
        group: String,
    },
}

impl CredentialError {
    /// The next thing to do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::OtherText { .. } => "check which file or line was given",
            Self::Version { .. } => "use the same release of pib on both machines",
            Self::Truncated { .. } | Self::Garbled { .. } => {
                "copy it again, whole and unchanged; send it as a file if a mail program breaks long lines"
            }
            Self::Malformed { .. } => "have it made again with this release of pib",
            Self::Forged { .. } => {
                "do not use it; ask the sender over a channel you trust for a new one"
            }
            Self::Expired { .. } => {
                "check this machine's clock, or ask the group's admin for a new ticket"
            }
            Self::NotForThisMember { .. } => {
                "send the line that `pib init` printed to the group's admin and ask for a new ticket"
            }
        }
    }
}

/// The kinds of lines.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LineKind {
    pub(crate) what: &'static str,
    /// `pib-join`, to which version and hyphen are added.
    pub(crate) stem: &'static str,
    pub(crate) prefix: &'static str,
}

pub(crate) const JOIN: LineKind =
    LineKind { what: "join request", stem: "pib-join", prefix: "pib-join1-" };
pub(crate) const TICKET: LineKind =
    LineKind { what: "ticket", stem: "pib-ticket", prefix: "pib-ticket1-" };

pub(crate) const ROSTER: LineKind =
    LineKind { what: "roster", stem: "pib-roster", prefix: "pib-roster1-" };

fn digest(kind: LineKind, bytes: &[u8]) -> [u8; DIGEST_LEN] {
    let full = Hash::tagged(kind.prefix, bytes);
    let mut short = [0; DIGEST_LEN];
    short.copy_from_slice(&full.as_bytes()[..DIGEST_LEN]);
    short
}

/// Wraps bytes into a line.
pub(crate) fn write(kind: LineKind, bytes: &[u8]) -> String {
    let mut out = Writer::new();
    out.bytes(bytes);
    out.raw(&digest(kind, bytes));
    format!("{}{}", kind.prefix, URL_SAFE_NO_PAD.encode(out.finish()))
}

/// Takes the bytes out of a line. White space around and inside (a mail program's line breaks)
/// is ignored.
pub(crate) fn read(kind: LineKind, text: &str) -> Result<Vec<u8>, CredentialError> {
    let what = kind.what;
    let text: String = text.chars().take(LINE_LEN_MAX + 1).filter(|c| !c.is_whitespace()).collect();
    if text.len() > LINE_LEN_MAX {
        return Err(CredentialError::Malformed { what, reason: "it is too long".into() });
    }
    let Some(rest) = text.strip_prefix(kind.stem) else {
        return Err(match kind.stem.starts_with(text.as_str()) && !text.is_empty() {
            true => CredentialError::Truncated { what },
            false => CredentialError::OtherText { what, prefix: kind.prefix },
        });
    };
    let Some((version, body)) = rest.split_once('-') else {
        return Err(CredentialError::Truncated { what });
    };
    if version != "1" {
        let version = version.chars().take(16).collect();
        return Err(CredentialError::Version { what, version });
    }
    let bytes = decode_base64(what, body)?;
    let mut input = Reader::new(&bytes);
    let inner = input.bytes("line", LINE_LEN_MAX).map_err(|error| match error {
        DecodeError::Short { .. } => CredentialError::Truncated { what },
        _ => CredentialError::Garbled { what },
    })?;
    let check = input.array::<DIGEST_LEN>().map_err(|_| CredentialError::Truncated { what })?;
    if check != digest(kind, inner) || input.finish().is_err() {
        return Err(CredentialError::Garbled { what });
    }
    Ok(inner.to_vec())
}

/// A cut can fall inside a group of four characters: then the whole groups are enough to see
/// from the stated length that the end is missing.
fn decode_base64(what: &'static str, body: &str) -> Result<Vec<u8>, CredentialError> {
    if let Ok(bytes) = URL_SAFE_NO_PAD.decode(body) {
        return Ok(bytes);
    }
    let whole = body.as_bytes().get(..body.len() / 4 * 4).unwrap_or_default();
    URL_SAFE_NO_PAD.decode(whole).map_err(|_| CredentialError::Garbled { what })
}

/// A decoder's complaint about the bytes inside a line.
pub(crate) fn malformed(what: &'static str, error: impl ToString) -> CredentialError {
    CredentialError::Malformed { what, reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_round_trips_and_survives_line_breaks() {
        let mut line = write(JOIN, b"some bytes to carry");
        assert!(line.starts_with("pib-join1-"));
        line.insert_str(20, "\r\n ");
        assert_eq!(read(JOIN, &line), Ok(b"some bytes to carry".to_vec()));
    }

    #[test]
    fn line_cut_anywhere_is_called_truncated() {
        let line = write(TICKET, &[7; 100]);
        for len in 1..line.len() {
            let error = read(TICKET, &line[..len]).unwrap_err();
            assert_eq!(error, CredentialError::Truncated { what: "ticket" }, "{len}");
        }
    }

    #[test]
    fn line_with_one_changed_character_is_refused() {
        let line = write(TICKET, &[7; 40]);
        for at in TICKET.prefix.len()..line.len() {
            let mut changed = line.clone().into_bytes();
            changed[at] = if changed[at] == b'B' { b'C' } else { b'B' };
            assert!(read(TICKET, std::str::from_utf8(&changed).unwrap()).is_err(), "{at}");
        }
    }

    #[test]
    fn line_of_other_kind_or_version_is_named() {
        let line = write(JOIN, b"x");
        assert!(matches!(read(TICKET, &line), Err(CredentialError::OtherText { .. })));
        let error = read(JOIN, &line.replace("join1", "join2")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "this join request has version 2, this program reads version 1"
        );
        assert!(matches!(read(JOIN, ""), Err(CredentialError::OtherText { .. })));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_refused_without_panic(text in "(pib-(join|ticket)[0-9]-)?.{0,60}") {
            proptest::prop_assert!(read(JOIN, &text).is_err());
        }
    }
}
