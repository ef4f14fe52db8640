//! Shared accounts: what the owners' own state machine executes.
//!
//! Source: thesis section 3.4. The owners run a state machine among themselves; its log gives each
//! transfer of the account its number, and every owner that executes it signs [`OwnerVote`]. A quorum of
//! those makes the [`Order`] that the whole group's witnesses take.
//!
//! Guarantees: 1. owners that executed the same log gave the same numbers; an honest owner signs one
//! transfer a number (re-execution after a restart signs the same bytes); 2. a transfer gets its number
//! only when a quorum of owners seconded it in the log, so that one bad owner cannot block the account
//! with a transfer that it cannot pay; 3. more than `f` bad owners can block the account, and never make
//! two transfers with one number apply: witnesses echo one, whatever the owners sign.
//! Bounds: one open proposal an owner; [`NUMBERED_MAX`] numbered transfers.

use crate::accounts::Owner;
use crate::committee::{Committee, Seal};
use crate::ids::{Account, Place, Seq};
use crate::transfer::{Order, OwnerVote, Transfer};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use types::{Decode, DecodeError, Encode, Hash, Reader, SecretKey, Slot, Writer};

/// Numbered transfers of which an owner keeps the signatures.
pub const NUMBERED_MAX: usize = 64;

/// A command in the owners' log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// An owner proposes a transfer; its number is not given yet (0).
    Propose(Transfer),
    /// An owner whose own ledger can pay it seconds the proposal with this digest.
    Second(Hash),
}

/// What an executed command leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing more.
    Noted,
    /// Every owner whose ledger can pay it should second it.
    Proposed(Hash),
    /// It has its number: this owner's signature, to be sent to the other owners.
    Numbered {
        /// With its number.
        transfer: Transfer,
        /// This owner's.
        seal: Seal,
    },
}

/// One owner's view of the account's log.
#[derive(Debug)]
pub struct Desk {
    committee: Arc<Committee>,
    key: SecretKey,
    me: Slot,
    account: Account,
    owner: Owner,
    last: Seq,
    proposals: BTreeMap<Slot, (Transfer, BTreeSet<Slot>)>,
    /// The last [`NUMBERED_MAX`] numbered transfers and the owners' signatures.
    votes: BTreeMap<Seq, (Transfer, BTreeMap<Slot, Seal>)>,
}

impl Desk {
    /// An owner's desk before the log's first command.
    pub fn new(
        committee: Arc<Committee>,
        key: SecretKey,
        me: Slot,
        account: Account,
        owner: Owner,
    ) -> Self {
        let (last, proposals, votes) = (Seq(0), BTreeMap::new(), BTreeMap::new());
        Self { committee, key, me, account, owner, last, proposals, votes }
    }

    /// Executes the next command of the owners' log.
    pub fn execute(&mut self, by: Slot, command: Command) -> Outcome {
        if !self.owner.includes(by) {
            return Outcome::Noted;
        }
        match command {
            Command::Propose(mut transfer) => {
                // Form is judged with a number; the number itself is the log's to give.
                transfer.place = Place { account: self.account, seq: Seq(1) };
                if transfer.check_form().is_err() {
                    return Outcome::Noted;
                }
                transfer.place.seq = Seq(0);
                let digest = transfer.digest();
                self.proposals.insert(by, (transfer, BTreeSet::new()));
                Outcome::Proposed(digest)
            }
            Command::Second(digest) => self.second(by, digest),
        }
    }

    /// The open proposal with this digest, to be judged against the own ledger.
    pub fn proposal(&self, digest: Hash) -> Option<&Transfer> {
        self.proposals.values().map(|(it, _)| it).find(|it| it.digest() == digest)
    }

    fn second(&mut self, by: Slot, digest: Hash) -> Outcome {
        let quorum = self.owner.quorum();
        let found = self.proposals.iter_mut().find(|(_, (it, _))| it.digest() == digest);
        let Some((proposer, (_, seconds))) = found else { return Outcome::Noted };
        seconds.insert(by);
        if seconds.len() < quorum {
            return Outcome::Noted;
        }
        let proposer = *proposer;
        let Some(seq) = self.last.next() else { return Outcome::Noted };
        let (mut transfer, _) = self.proposals.remove(&proposer).expect("found above");
        self.last = seq;
        transfer.place.seq = seq;
        let vote = OwnerVote { place: transfer.place, transfer: transfer.digest() };
        let seal = self.committee.seal(&self.key, self.me, &vote);
        self.votes.insert(seq, (transfer.clone(), BTreeMap::from([(self.me, seal)])));
        if self.votes.len() > NUMBERED_MAX {
            self.votes.pop_first();
        }
        Outcome::Numbered { transfer, seal }
    }

    /// Another owner's signature; the order once a quorum signed the same.
    pub fn vote(&mut self, place: Place, seal: Seal) -> Option<Order> {
        let (transfer, votes) = self.votes.get_mut(&place.seq)?;
        let vote = OwnerVote { place, transfer: transfer.digest() };
        let fits = transfer.place == place
            && self.owner.includes(seal.slot)
            && self.committee.verify(&vote, &seal);
        if !fits {
            return None;
        }
        votes.insert(seal.slot, seal);
        if votes.len() < self.owner.quorum() {
            return None;
        }
        let signed = votes.values().take(self.owner.quorum()).copied().collect();
        Some(Order::Shared { transfer: transfer.clone(), votes: signed })
    }
}

impl Encode for Command {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Propose(transfer) => {
                out.u8(0);
                out.put(transfer);
            }
            Self::Second(digest) => {
                out.u8(1);
                out.put(digest);
            }
        }
    }
}

impl Decode for Command {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match input.u8()? {
            0 => Ok(Self::Propose(input.get()?)),
            1 => Ok(Self::Second(input.get()?)),
            _ => Err(DecodeError::Malformed("owners' command")),
        }
    }
}
