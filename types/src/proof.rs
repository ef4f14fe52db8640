//! The envelope of every proof of misbehavior: what all families of proofs have in common, so that one
//! command can check any of them (specification 8.1).
//!
//! | bytes | |
//! | --- | --- |
//! | 6 | `PIBPOM` |
//! | 1 | form, 1 |
//! | 32 | group id |
//! | 4, 2, 2 | epoch, slot and linked identity of the accused, little-endian |
//! | 1 | code of the kind; its range says which [`Family`] reads the rest |
//! | rest | the objects, as the kind demands |
//!
//! Guarantees: 1. reading allocates nothing beyond the file; 2. nothing in an envelope is believed: the
//! family's verifier checks every field against the roster and the signed objects.

use crate::codec::{DecodeError, Encode, Reader, Writer};
use crate::ids::{Epoch, GroupId, Ident, Slot};

const MAGIC: &[u8; 6] = b"PIBPOM";
/// Version of the envelope's form.
pub const PROOF_FORM: u8 = 1;

/// Who defines a kind of proof, and verifies it. The ranges of codes are disjoint and final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// TR: the replicated state machine; codes 1 to 31.
    StateMachine,
    /// WR, VW, QT: work assignment, vows, quotas; codes 32 to 63.
    Work,
    /// PB: storing, retrieving, auditing; codes 64 to 95.
    Backup,
    /// LD: the ledger of storage credits; codes 96 to 127.
    Credits,
}

impl Family {
    /// The family that a code belongs to.
    pub const fn of(code: u8) -> Option<Self> {
        match code {
            1..=31 => Some(Self::StateMachine),
            32..=63 => Some(Self::Work),
            64..=95 => Some(Self::Backup),
            96..=127 => Some(Self::Credits),
            _ => None,
        }
    }

    /// The code before the family's first one: row `PB3` has code `Family::Backup.base() + 3`.
    pub const fn base(self) -> u8 {
        match self {
            Self::StateMachine => 0,
            Self::Work => 31,
            Self::Backup => 63,
            Self::Credits => 95,
        }
    }
}

/// Why a file is not even the envelope of a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Another kind of file.
    #[error("this is no proof of misbehavior: it does not start with `PIBPOM`")]
    OtherFile,
    /// Made by another version of the program.
    #[error("the proof has form {0}, this program reads form {PROOF_FORM}")]
    Form(u8),
    /// Longer than any proof of its family.
    #[error("the file has {len} bytes, more than any proof ({max})")]
    TooLong {
        /// Its length.
        len: usize,
        /// The longest proof that is read.
        max: usize,
    },
    /// Its bytes are not the encoding of a proof.
    #[error("the proof is damaged: {0}")]
    Damaged(#[from] DecodeError),
}

/// The fields before the objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Envelope {
    /// The group in which the objects were signed.
    pub group: GroupId,
    /// The roster that was valid then.
    pub epoch: Epoch,
    /// Who is accused.
    pub accused: Slot,
    /// Under which of its linked identities.
    pub ident: Ident,
}

impl Envelope {
    /// Reads the envelope of a file of at most `len_max` bytes. The reader that is returned stands at
    /// the code of the kind.
    pub fn read(bytes: &[u8], len_max: usize) -> Result<(Self, Reader<'_>), EnvelopeError> {
        if bytes.len() > len_max {
            return Err(EnvelopeError::TooLong { len: bytes.len(), max: len_max });
        }
        let rest = bytes.strip_prefix(MAGIC).ok_or(EnvelopeError::OtherFile)?;
        let mut input = Reader::new(rest);
        match input.u8()? {
            PROOF_FORM => {}
            other => return Err(EnvelopeError::Form(other)),
        }
        let group = input.get()?;
        let (epoch, accused, ident) = (input.get()?, input.get()?, input.get()?);
        Ok((Self { group, epoch, accused, ident }, input))
    }

    /// Which family's verifier must read the file.
    pub fn family(bytes: &[u8]) -> Result<Family, EnvelopeError> {
        let (_, mut input) = Self::read(bytes, usize::MAX)?;
        Ok(Family::of(input.u8()?).ok_or(DecodeError::Malformed("kind of proof"))?)
    }
}

impl Encode for Envelope {
    fn encode(&self, out: &mut Writer) {
        out.raw(MAGIC);
        out.u8(PROOF_FORM);
        out.put(&self.group);
        out.put(&self.epoch);
        out.put(&self.accused);
        out.put(&self.ident);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Hash;

    fn file(code: u8) -> Vec<u8> {
        let group = GroupId(Hash::of(b"group"));
        let mut out = Writer::new();
        out.put(&Envelope { group, epoch: Epoch(3), accused: Slot(4), ident: Ident(1) });
        out.u8(code);
        out.raw(b"objects");
        out.finish()
    }

    #[test]
    fn envelope_comes_back_with_the_reader_at_the_code() {
        let bytes = file(66);
        let (envelope, mut input) = Envelope::read(&bytes, 100).unwrap();
        assert_eq!(
            (envelope.epoch, envelope.accused, envelope.ident),
            (Epoch(3), Slot(4), Ident(1))
        );
        assert_eq!((input.u8(), input.remaining()), (Ok(66), 7));
    }

    #[test]
    fn family_of_every_code_is_the_one_whose_base_lies_below() {
        for code in 0..=u8::MAX {
            let family = Envelope::family(&file(code));
            match Family::of(code) {
                Some(of) => {
                    assert_eq!(family, Ok(of));
                    assert!((1..=32).contains(&(code - of.base())));
                }
                None => assert_eq!(
                    family,
                    Err(EnvelopeError::Damaged(DecodeError::Malformed("kind of proof")))
                ),
            }
        }
    }

    #[test]
    fn envelope_of_another_file_form_or_length_is_refused() {
        assert_eq!(Envelope::family(b"hello"), Err(EnvelopeError::OtherFile));
        let bytes = file(1);
        let too_long = EnvelopeError::TooLong { len: bytes.len(), max: bytes.len() - 1 };
        assert_eq!(Envelope::read(&bytes, bytes.len() - 1).unwrap_err(), too_long);
        let mut newer = bytes.clone();
        newer[6] = 2;
        assert_eq!(Envelope::family(&newer), Err(EnvelopeError::Form(2)));
        for cut in 6..bytes.len() - 7 {
            assert!(matches!(Envelope::family(&bytes[..cut]), Err(EnvelopeError::Damaged(_))));
        }
    }
}
