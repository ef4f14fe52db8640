//! Quorum vectors: proofs of leadership, agree certificates, read and write quorums, decision
//! certificates (specification 3.3).
//!
//! Assumes: all parts of one vector belong to one instance; the verifier supplies it.
//! Guarantees: a vector's size depends on q only, also where nothing is there to show (a block of
//! zeros stands in), so no alternative is cheaper (3.10). Bounds: at most [`MEMBERS_MAX`] entries.

use types::limits::MEMBERS_MAX;
use types::{Decode, DecodeError, Encode, Hash, Reader, Signature, Slot, Turn, Writer};

/// A set of slots as a bitmap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord)]
pub struct SlotSet(pub u64);

const _: () = assert!(MEMBERS_MAX <= 64);

impl SlotSet {
    /// Adds a slot; whether it is new. Slots beyond the bitmap are never in it.
    pub fn insert(&mut self, slot: Slot) -> bool {
        let bit = Self::bit(slot);
        let new = self.0 & bit == 0;
        self.0 |= bit;
        new && bit != 0
    }

    /// Takes a slot out.
    pub fn remove(&mut self, slot: Slot) {
        self.0 &= !Self::bit(slot);
    }

    /// Whether a slot is in the set.
    pub fn contains(self, slot: Slot) -> bool {
        self.0 & Self::bit(slot) != 0
    }

    /// Number of slots.
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether no slot is in the set.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The slots in order.
    pub fn iter(self) -> impl Iterator<Item = Slot> {
        (0..64u16).map(Slot).filter(move |slot| self.contains(*slot))
    }

    fn bit(slot: Slot) -> u64 {
        1u64.checked_shl(u32::from(slot.0)).unwrap_or(0)
    }
}

impl FromIterator<Slot> for SlotSet {
    fn from_iter<I: IntoIterator<Item = Slot>>(slots: I) -> Self {
        let mut set = Self::default();
        for slot in slots {
            set.insert(slot);
        }
        set
    }
}

impl Encode for SlotSet {
    fn encode(&self, out: &mut Writer) {
        out.u64(self.0);
    }
}

impl Decode for SlotSet {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(input.u64()?))
    }
}

const NO_SIGNATURE: Signature = Signature([0; 64]);

/// A bitmap of signers and one entry for each in slot order, or a block of zeros of equal size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signers<T> {
    slots: SlotSet,
    entries: Vec<T>,
}

/// An entry of a vector; `BLANK` fills the block that stands for an absent vector.
pub trait Entry: Encode + Decode + Clone + PartialEq {
    /// All zeros.
    const BLANK: Self;
}

impl Entry for Signature {
    const BLANK: Self = NO_SIGNATURE;
}

impl<T: Entry> Signers<T> {
    /// The vector of these signers.
    pub fn new(parts: impl IntoIterator<Item = (Slot, T)>) -> Self {
        let sorted: std::collections::BTreeMap<Slot, T> = parts.into_iter().collect();
        let slots = sorted.keys().copied().collect();
        Self { slots, entries: sorted.into_values().collect() }
    }

    /// The block of zeros that is as large as a vector of `q` entries.
    pub fn blank(q: usize) -> Self {
        Self { slots: SlotSet::default(), entries: vec![T::BLANK; q] }
    }

    /// Whether this is the block of zeros for `q`.
    pub fn is_blank(&self, q: usize) -> bool {
        self.slots.is_empty()
            && self.entries.len() == q
            && self.entries.iter().all(|e| *e == T::BLANK)
    }

    /// Whether exactly `q` signers are named, one entry each, none of them `barred`.
    pub fn is_quorum(&self, q: usize, barred: Slot) -> bool {
        self.slots.len() == q && self.entries.len() == q && !self.slots.contains(barred)
    }

    /// Who is named.
    pub fn slots(&self) -> SlotSet {
        self.slots
    }

    /// Signers with their entries in slot order.
    pub fn iter(&self) -> impl Iterator<Item = (Slot, &T)> {
        self.slots.iter().zip(&self.entries)
    }
}

impl<T: Entry> Encode for Signers<T> {
    fn encode(&self, out: &mut Writer) {
        out.put(&self.slots);
        out.list(&self.entries);
    }
}

impl<T: Entry> Decode for Signers<T> {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let slots: SlotSet = input.get()?;
        let entries = input.list("quorum vector", MEMBERS_MAX)?;
        if !slots.is_empty() && slots.len() != entries.len() {
            return Err(DecodeError::Malformed("quorum vector"));
        }
        Ok(Self { slots, entries })
    }
}

macro_rules! vector {
    ($(#[$doc:meta])* $name:ident, $purpose:literal { $($(#[$field_doc:meta])* $field:ident: $ty:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name { $($(#[$field_doc])* pub $field: $ty,)* }

        impl Encode for $name {
            fn encode(&self, out: &mut Writer) {
                $(out.put(&self.$field);)*
            }
        }

        impl Decode for $name {
            fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Ok(Self { $($field: input.get()?,)* })
            }
        }

        impl $name {
            /// A name for the vector: digest of its encoding.
            pub fn digest(&self) -> Hash {
                Hash::tagged($purpose, &self.to_bytes())
            }
        }
    };
}

vector! {
    /// Proof of leadership: a quorum started `turn`. Null (turn 0, zeros) before the first one.
    Pol, "proof of leadership" {
        /// The turn.
        turn: Turn,
        /// Signatures over SET_TURN.
        signers: Signers<Signature>,
    }
}

impl Pol {
    /// The null proof of turn 0.
    pub fn null(q: usize) -> Self {
        Self { turn: Turn(0), signers: Signers::blank(q) }
    }

    /// Whether this is the null proof.
    pub fn is_null(&self, q: usize) -> bool {
        self.turn == Turn(0) && self.signers.is_blank(q)
    }
}

vector! {
    /// A quorum acknowledged one AGREE. Blank where nothing was accepted.
    AgreeCert, "agree certificate" {
        /// The turn.
        turn: Turn,
        /// The value's digest.
        value: Hash,
        /// Digest of the AGREE.
        agree: Hash,
        /// Signatures over AGREE_ACK.
        signers: Signers<Signature>,
    }
}

impl AgreeCert {
    /// The block that stands for no certificate.
    pub fn blank(q: usize) -> Self {
        Self { turn: Turn(0), value: Hash::ZERO, agree: Hash::ZERO, signers: Signers::blank(q) }
    }

    /// Whether this is the block that stands for no certificate.
    pub fn is_blank(&self, q: usize) -> bool {
        self.turn == Turn(0)
            && self.value == Hash::ZERO
            && self.agree == Hash::ZERO
            && self.signers.is_blank(q)
    }
}

macro_rules! entry {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $ty:ty = $blank:expr),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name { $($(#[$field_doc])* pub $field: $ty,)* }

        impl Encode for $name {
            fn encode(&self, out: &mut Writer) {
                $(out.put(&self.$field);)*
            }
        }

        impl Decode for $name {
            fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Ok(Self { $($field: input.get()?,)* })
            }
        }

        impl Entry for $name {
            const BLANK: Self = Self { $($field: $blank,)* };
        }
    };
}

entry! {
    /// One READ_ACK without what all of them share.
    ReadEntry {
        /// The turn of the accepted write, or none.
        val_turn: Turn = Turn(0),
        /// The accepted digest, or zero.
        value: Hash = Hash::ZERO,
        /// Digest of the agree certificate, or zero.
        cert: Hash = Hash::ZERO,
        /// Over the READ_ACK.
        signature: Signature = NO_SIGNATURE,
    }
}
entry! {
    /// One WRITE_ACK without what all of them share.
    WriteEntry {
        /// The latest turn that the signer knew.
        max_turn: Turn = Turn(0),
        /// Digest of its proof.
        max_pol: Hash = Hash::ZERO,
        /// Over the WRITE_ACK.
        signature: Signature = NO_SIGNATURE,
    }
}
entry! {
    /// One WRITE_ACK whose signer knew no later turn.
    DecisionEntry {
        /// Digest of the proof of leadership of the deciding turn.
        max_pol: Hash = Hash::ZERO,
        /// Over the WRITE_ACK.
        signature: Signature = NO_SIGNATURE,
    }
}

vector! {
    /// `r`: the read quorum that forces the value of a turn.
    ReadQuorum, "read quorum" {
        /// Digest of the READ that all of them answer.
        read: Hash,
        /// The answers.
        signers: Signers<ReadEntry>,
    }
}

vector! {
    /// `b`: a quorum that answered one WRITE.
    WriteQuorum, "write quorum" {
        /// Digest of the WRITE that all of them answer.
        write: Hash,
        /// The answers.
        signers: Signers<WriteEntry>,
    }
}

vector! {
    /// A quorum stored the value and knew no later turn: the value is decided. Self-contained.
    DecisionCert, "decision certificate" {
        /// The deciding turn. Honest members may hold certificates of different turns.
        turn: Turn,
        /// The decided digest.
        value: Hash,
        /// Digest of the WRITE of that turn.
        write: Hash,
        /// The answers.
        signers: Signers<DecisionEntry>,
    }
}

impl WriteQuorum {
    /// The largest turn that a member of the quorum knew.
    pub fn max_turn(&self) -> Turn {
        self.signers.iter().map(|(_, entry)| entry.max_turn).max().unwrap_or_default()
    }

    /// The decision certificate, if every member knew `turn` as the latest.
    pub fn decision(&self, turn: Turn, value: Hash) -> Option<DecisionCert> {
        let all = self.signers.iter().all(|(_, entry)| entry.max_turn == turn);
        all.then(|| DecisionCert {
            turn,
            value,
            write: self.write,
            signers: Signers::new(self.signers.iter().map(|(slot, entry)| {
                (slot, DecisionEntry { max_pol: entry.max_pol, signature: entry.signature })
            })),
        })
    }
}
