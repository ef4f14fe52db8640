//! The first frame in each direction after the handshake.
//!
//! Layout after the common frame header: magic (4), version (2), class (1), from slot (2), to
//! slot (2), group (32), requests in flight accepted (2), longest frame accepted (4); numbers
//! little endian. The dialer speaks first. A side that does not agree answers with a refusal
//! that names the reason, so that both logs say the same thing.
//!
//! Guarantees: after [`offer`] or [`answer`] returned, both sides agree on version, class, group
//! and slots. Bounds: [`HELLO_MAX`] bytes are read at most, and never beyond the hello.

use std::io;
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use types::Slot;

use crate::config::{HELLO_MAX, PROTOCOL_VERSION};
use crate::error::FaultKind;
use crate::frame::{HEADER, kind};
use crate::peer::Class;
use crate::tcp::describe;
use crate::transport::Stream;

const MAGIC: [u8; 4] = *b"PIBL";
const LEN: usize = 4 + 2 + 1 + 2 + 2 + 32 + 2 + 4;
const _: () = assert!(LEN + HEADER <= HELLO_MAX);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hello {
    pub(crate) class: Class,
    pub(crate) from: Slot,
    pub(crate) to: Slot,
    pub(crate) group: [u8; 32],
    pub(crate) in_flight: u16,
    pub(crate) frame_max: u32,
}

#[derive(Debug, Error)]
pub(crate) enum HelloError {
    #[error("{}", describe(.0))]
    Io(#[from] io::Error),
    /// The other side is wrong.
    #[error("hello refused: {0}")]
    Fault(FaultKind),
    /// The other side says that we are wrong.
    #[error("the peer refused our hello: {0}")]
    Refused(String),
}

impl Hello {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER + LEN);
        out.extend_from_slice(&(LEN as u32 + 1).to_le_bytes());
        out.push(kind::HELLO);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&PROTOCOL_VERSION.to_le_bytes());
        out.push(self.class.code());
        out.extend_from_slice(&self.from.0.to_le_bytes());
        out.extend_from_slice(&self.to.0.to_le_bytes());
        out.extend_from_slice(&self.group);
        out.extend_from_slice(&self.in_flight.to_le_bytes());
        out.extend_from_slice(&self.frame_max.to_le_bytes());
        out
    }

    pub(crate) fn decode(payload: &[u8]) -> Result<Self, FaultKind> {
        let rest = payload.strip_prefix(&MAGIC).ok_or(FaultKind::BadHello)?;
        let (version, rest) = rest.split_first_chunk::<2>().ok_or(FaultKind::BadHello)?;
        // Before anything else: another version may have another layout.
        if u16::from_le_bytes(*version) != PROTOCOL_VERSION {
            return Err(FaultKind::WrongVersion);
        }
        Self::decode_fields(rest).ok_or(FaultKind::BadHello)
    }

    fn decode_fields(rest: &[u8]) -> Option<Self> {
        let (class, rest) = rest.split_first()?;
        let (from, rest) = rest.split_first_chunk::<2>()?;
        let (to, rest) = rest.split_first_chunk::<2>()?;
        let (group, rest) = rest.split_first_chunk::<32>()?;
        let (in_flight, rest) = rest.split_first_chunk::<2>()?;
        let (frame_max, rest) = rest.split_first_chunk::<4>()?;
        let hello = Self {
            class: Class::from_code(*class)?,
            from: Slot(u16::from_le_bytes(*from)),
            to: Slot(u16::from_le_bytes(*to)),
            group: *group,
            in_flight: u16::from_le_bytes(*in_flight),
            frame_max: u32::from_le_bytes(*frame_max),
        };
        let sane = rest.is_empty() && hello.in_flight > 0 && hello.frame_max as usize >= HELLO_MAX;
        sane.then_some(hello)
    }
}

/// What a refusal carries; the other side cannot use it for more than its log.
fn refusal_text(code: u8) -> String {
    match FaultKind::ALL.get(usize::from(code)) {
        Some(fault) => fault.to_string(),
        None => format!("unknown reason {code}"),
    }
}

async fn read_first(stream: &mut dyn Stream) -> Result<Hello, HelloError> {
    let mut header = [0u8; HEADER];
    stream.read_exact(&mut header).await?;
    let [a, b, c, d, frame_kind] = header;
    let len = u32::from_le_bytes([a, b, c, d]) as usize;
    if len == 0 || len > HELLO_MAX {
        return Err(HelloError::Fault(FaultKind::BadHello));
    }
    let mut payload = [0u8; HELLO_MAX];
    let payload = &mut payload[..len - 1];
    stream.read_exact(payload).await?;
    match (frame_kind, &*payload) {
        (kind::HELLO, payload) => Hello::decode(payload).map_err(HelloError::Fault),
        (kind::REFUSE, &[code]) => Err(HelloError::Refused(refusal_text(code))),
        _ => Err(HelloError::Fault(FaultKind::BadHello)),
    }
}

async fn refuse(stream: &mut dyn Stream, fault: FaultKind) {
    let code = FaultKind::ALL.iter().position(|kind| *kind == fault).unwrap_or(255) as u8;
    // Best effort: the connection is closed in any case.
    let _ = stream.write_all(&[2, 0, 0, 0, kind::REFUSE, code]).await;
    let _ = stream.shutdown().await;
}

/// The dialer's side: says `ours`, returns the peer's answer.
pub(crate) async fn offer(
    stream: &mut dyn Stream,
    ours: &Hello,
    limit: Duration,
) -> Result<Hello, HelloError> {
    let exchange = async {
        stream.write_all(&ours.encode()).await?;
        stream.flush().await?;
        let theirs = read_first(stream).await?;
        check(&theirs, ours).map_err(HelloError::Fault)?;
        Ok(theirs)
    };
    timeout(limit, exchange).await.unwrap_or(Err(HelloError::Fault(FaultKind::HelloTimeout)))
}

/// The acceptor's side: hears the peer, checks it with `expect`, which returns our own hello.
pub(crate) async fn answer(
    stream: &mut dyn Stream,
    expect: impl Fn(&Hello) -> Result<Hello, FaultKind>,
    limit: Duration,
) -> Result<Hello, HelloError> {
    let exchange = async {
        let checked = match read_first(stream).await {
            Ok(theirs) => expect(&theirs).map(|ours| (theirs, ours)),
            Err(HelloError::Fault(fault)) => Err(fault),
            Err(error) => return Err(error),
        };
        match checked {
            Ok((theirs, ours)) => {
                stream.write_all(&ours.encode()).await?;
                stream.flush().await?;
                Ok(theirs)
            }
            Err(fault) => {
                refuse(stream, fault).await;
                Err(HelloError::Fault(fault))
            }
        }
    };
    timeout(limit, exchange).await.unwrap_or(Err(HelloError::Fault(FaultKind::HelloTimeout)))
}

/// Whether what the peer says fits what we say on the same connection.
pub(crate) fn check(theirs: &Hello, ours: &Hello) -> Result<(), FaultKind> {
    if theirs.group != ours.group {
        Err(FaultKind::WrongGroup)
    } else if theirs.from != ours.to || theirs.to != ours.from {
        Err(FaultKind::WrongSlot)
    } else if theirs.class != ours.class {
        Err(FaultKind::WrongRole)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello() -> Hello {
        Hello {
            class: Class::Bulk,
            from: Slot(1),
            to: Slot(2),
            group: [7; 32],
            in_flight: 16,
            frame_max: 1 << 20,
        }
    }

    #[test]
    fn hello_encoded_decodes_to_itself() {
        let bytes = hello().encode();
        assert_eq!(Hello::decode(&bytes[HEADER..]), Ok(hello()));
    }

    #[test]
    fn hello_every_truncation_and_extension_is_refused() {
        let bytes = hello().encode();
        let payload = &bytes[HEADER..];
        for end in 0..payload.len() {
            assert!(Hello::decode(&payload[..end]).is_err(), "{end}");
        }
        let longer = [payload, &[0]].concat();
        assert_eq!(Hello::decode(&longer), Err(FaultKind::BadHello));
    }

    #[test]
    fn hello_other_version_is_named_whatever_follows() {
        let bytes = [&MAGIC[..], &9u16.to_le_bytes(), b"anything"].concat();
        assert_eq!(Hello::decode(&bytes), Err(FaultKind::WrongVersion));
    }

    #[test]
    fn hello_zero_limits_are_refused() {
        let none_in_flight = Hello { in_flight: 0, ..hello() };
        assert_eq!(Hello::decode(&none_in_flight.encode()[HEADER..]), Err(FaultKind::BadHello));
        let no_frames = Hello { frame_max: 0, ..hello() };
        assert_eq!(Hello::decode(&no_frames.encode()[HEADER..]), Err(FaultKind::BadHello));
    }

    #[test]
    fn check_each_mismatch_is_named() {
        let theirs = hello();
        let ours = Hello { from: Slot(2), to: Slot(1), ..hello() };
        assert_eq!(check(&theirs, &ours), Ok(()));
        let group = Hello { group: [8; 32], ..ours.clone() };
        assert_eq!(check(&theirs, &group), Err(FaultKind::WrongGroup));
        let slot = Hello { to: Slot(3), ..ours.clone() };
        assert_eq!(check(&theirs, &slot), Err(FaultKind::WrongSlot));
        let class = Hello { class: Class::Control, ..ours };
        assert_eq!(check(&theirs, &class), Err(FaultKind::WrongRole));
    }
}
