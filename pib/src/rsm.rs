//! What PIB says through the replicated state machine at this stage: digests of OwnLists, which
//! the log thereby witnesses (architecture, "The way of a byte", step 5).
//!
//! Guarantees: 1. deterministic: equal states and equal inputs give equal states; 2. total: any
//! bytes are applied, unknown ones as a recorded no-op, so that no command stops a replica;
//! 3. bounded: one witness per slot.

use std::collections::BTreeMap;
use types::limits::{COMMAND_LEN_MAX, MEMBERS_MAX};
use types::{Decode, DecodeError, Encode, Hash, Instance, Reader, Size, Slot, Stamp, Writer};

/// An owner's statement about what it stored. The proposal that carries it is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Witness {
    /// [`crate::Owner::own_list_digest`].
    pub own_list: Hash,
    /// Objects in the list.
    pub objects: u64,
    /// Bytes pending and held.
    pub bytes: Size,
    /// The owner's clock.
    pub stamp: Stamp,
}

/// A command of this crate. A closed list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Remember what I stored.
    Witness(Witness),
}

impl Encode for Witness {
    fn encode(&self, out: &mut Writer) {
        out.put(&self.own_list);
        out.u64(self.objects);
        out.put(&self.bytes);
        out.put(&self.stamp);
    }
}

impl Decode for Witness {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            own_list: input.get()?,
            objects: input.u64()?,
            bytes: input.get()?,
            stamp: input.get()?,
        })
    }
}

impl Encode for Command {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Witness(witness) => {
                out.u8(1);
                out.put(witness);
            }
        }
    }
}

impl Decode for Command {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match input.u8()? {
            1 => Ok(Self::Witness(input.get()?)),
            _ => Err(DecodeError::Malformed("command")),
        }
    }
}

/// A witness is 57 bytes.
const _: () = assert!(57 <= COMMAND_LEN_MAX);

/// What became of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The sender's latest witness is now this one.
    Witnessed,
    /// Not a command, too long, or older than what is known: counted, and nothing else.
    Nothing,
}

/// The replicated state.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct State {
    applied: u64,
    chain: Hash,
    witnesses: BTreeMap<Slot, Witness>,
}

impl State {
    /// Applies one decided command.
    pub fn apply(&mut self, inst: Instance, sender: Slot, command: &[u8]) -> Effect {
        self.applied = self.applied.saturating_add(1);
        let mut link = Writer::new();
        link.put(&self.chain);
        link.put(&inst);
        link.put(&sender);
        link.put(&Hash::of(command));
        self.chain = Hash::tagged("pib command", &link.finish());
        if command.len() > COMMAND_LEN_MAX || usize::from(sender.0) >= MEMBERS_MAX {
            return Effect::Nothing;
        }
        match Command::from_bytes(command) {
            Ok(Command::Witness(witness)) => self.witness(sender, witness),
            Err(_) => Effect::Nothing,
        }
    }

    fn witness(&mut self, sender: Slot, witness: Witness) -> Effect {
        match self.witnesses.get(&sender) {
            Some(known) if known.stamp >= witness.stamp => Effect::Nothing,
            _ => {
                self.witnesses.insert(sender, witness);
                Effect::Witnessed
            }
        }
    }

    /// Commands applied, no-ops included.
    pub fn applied(&self) -> u64 {
        self.applied
    }

    /// The latest witness of a slot.
    pub fn latest(&self, slot: Slot) -> Option<&Witness> {
        self.witnesses.get(&slot)
    }

    /// Digest of the state and of everything that led to it.
    pub fn digest(&self) -> Hash {
        Hash::tagged("pib state", &self.to_bytes())
    }
}

impl Encode for State {
    fn encode(&self, out: &mut Writer) {
        out.u64(self.applied);
        out.put(&self.chain);
        out.count(self.witnesses.len());
        for (slot, witness) in &self.witnesses {
            out.put(slot);
            out.put(witness);
        }
    }
}

impl Decode for State {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (applied, chain) = (input.u64()?, input.get()?);
        let mut witnesses = BTreeMap::new();
        for _ in 0..input.count("witnesses", MEMBERS_MAX)? {
            let slot: Slot = input.get()?;
            let ordered = witnesses.last_key_value().is_none_or(|(last, _)| *last < slot);
            if !ordered || usize::from(slot.0) >= MEMBERS_MAX {
                return Err(DecodeError::Malformed("order of witnesses"));
            }
            witnesses.insert(slot, input.get()?);
        }
        Ok(Self { applied, chain, witnesses })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(stamp: u64) -> Vec<u8> {
        let own_list = Hash::of(&stamp.to_le_bytes());
        let witness =
            Witness { own_list, objects: 3, bytes: Size(1000 + stamp), stamp: Stamp(stamp) };
        Command::Witness(witness).to_bytes()
    }

    #[test]
    fn witness_with_a_later_stamp_replaces_and_an_older_one_is_a_no_op() {
        let mut state = State::default();
        assert_eq!(state.apply(Instance(1), Slot(2), &command(10)), Effect::Witnessed);
        assert_eq!(state.apply(Instance(2), Slot(2), &command(10)), Effect::Nothing);
        assert_eq!(state.apply(Instance(3), Slot(2), &command(9)), Effect::Nothing);
        assert_eq!(state.apply(Instance(4), Slot(2), &command(11)), Effect::Witnessed);
        assert_eq!(state.latest(Slot(2)).unwrap().stamp, Stamp(11));
        assert_eq!(state.latest(Slot(1)), None);
        assert_eq!(state.applied(), 4);
    }

    #[test]
    fn unknown_command_is_recorded_and_changes_the_digest() {
        let (mut one, mut other) = (State::default(), State::default());
        assert_eq!(one.apply(Instance(1), Slot(0), b"\xffwhat"), Effect::Nothing);
        assert_eq!(other.apply(Instance(1), Slot(0), b"\xfewhat"), Effect::Nothing);
        assert_eq!((one.applied(), other.applied()), (1, 1));
        assert_ne!(one.digest(), other.digest());
        assert_ne!(one.digest(), State::default().digest());
    }

    #[test]
    fn too_long_command_and_unknown_slot_are_no_ops() {
        let mut state = State::default();
        let long = vec![1; COMMAND_LEN_MAX + 1];
        assert_eq!(state.apply(Instance(1), Slot(0), &long), Effect::Nothing);
        let outside = Slot(MEMBERS_MAX as u16);
        assert_eq!(state.apply(Instance(1), outside, &command(1)), Effect::Nothing);
    }

    #[test]
    fn state_survives_its_encoding_and_misordered_slots_are_refused() {
        let mut state = State::default();
        for slot in [3, 1, 2] {
            state.apply(Instance(1), Slot(slot), &command(5));
        }
        let bytes = state.to_bytes();
        assert_eq!(State::from_bytes(&bytes).as_ref(), Ok(&state));
        let mut swapped = bytes.clone();
        swapped[44] = 9;
        assert!(State::from_bytes(&swapped).is_err());
    }
}
