//! Strict verification of statements and quorum vectors, each signature once.
//!
//! Assumes: the roster of the instance's epoch (pitfall 11); only the slot's active identity counts.
//! Guarantees: a vector verifies iff it has exactly q distinct signers without the sender, each with a
//! valid signature over the exact statement. Bounds: the verdict cache holds [`CACHE_MAX`] digests of
//! accepted signatures; refusals are not remembered, so garbage cannot push verdicts out.

use crate::config::Rules;
use crate::message::*;
use crate::sign_once::signing_form;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use types::{
    Hash, Header, Instance, PublicKey, Roster, Signature, Signed, SignedPayload, Slot, Turn,
};

/// Verdicts kept; more than a rotation of the largest group needs.
pub(crate) const CACHE_MAX: usize = 8192;

/// The instance that a vector belongs to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) inst: Instance,
    pub(crate) sender: Slot,
}

/// Accepted signatures of all cores of this thread, for simulations only.
mod shared {
    use std::cell::RefCell;
    use std::collections::BTreeSet;
    use types::Hash;

    /// Verdicts kept; then the set starts anew.
    const KEEP_MAX: usize = 65_536;

    thread_local! {
        static KNOWN: RefCell<BTreeSet<Hash>> = const { RefCell::new(BTreeSet::new()) };
    }

    pub(super) fn is_known(name: &Hash) -> bool {
        KNOWN.with_borrow(|known| known.contains(name))
    }

    pub(super) fn learn(name: Hash) {
        KNOWN.with_borrow_mut(|known| {
            if known.len() >= KEEP_MAX {
                known.clear();
            }
            known.insert(name);
        });
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Verifier {
    roster: Arc<Roster>,
    rules: Rules,
    known: BTreeSet<Hash>,
    order: VecDeque<Hash>,
    count: u64,
}

impl Verifier {
    pub(crate) fn new(roster: Arc<Roster>, rules: Rules) -> Self {
        Self { roster, rules, known: BTreeSet::new(), order: VecDeque::new(), count: 0 }
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Forgets verdicts, which are a cache.
    pub(crate) fn forget(&mut self) {
        (self.known, self.order, self.count) = (BTreeSet::new(), VecDeque::new(), 0);
    }

    /// Whether `slot` made this statement at this place, with its active identity.
    pub(crate) fn statement<P: SignedPayload>(
        &mut self,
        inst: Instance,
        turn: Turn,
        slot: Slot,
        payload: &P,
        signature: &Signature,
    ) -> bool {
        let Some(member) = self.roster.member(slot) else { return false };
        let (epoch, ident) = (self.roster.epoch(), member.active);
        let Some(key) = self.roster.identity_key(slot, ident) else { return false };
        let header = Header { kind: P::KIND, epoch, inst, turn, slot, ident };
        let (header, payload) = signing_form(&self.rules, &header, payload.to_bytes());
        let group = self.roster.group();
        let name = verdict(&header.signing_input(&group, &payload), key, signature);
        if self.known.contains(&name) {
            return true;
        }
        self.count += 1;
        let shared = self.rules.share_verdicts();
        if !(shared && shared::is_known(&name)) {
            if key.verify(&group, &header, &payload, signature).is_err() {
                return false;
            }
            if shared {
                shared::learn(name);
            }
        }
        self.remember(name);
        true
    }

    fn remember(&mut self, name: Hash) {
        if !self.known.insert(name) {
            return;
        }
        self.order.push_back(name);
        if self.order.len() > CACHE_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    /// A signature that we made ourselves needs no check when it comes back in a vector.
    pub(crate) fn trust<P: SignedPayload>(&mut self, signed: &Signed<P>) {
        let Header { slot, ident, .. } = signed.header;
        let Some(key) = self.roster.identity_key(slot, ident) else { return };
        let (header, payload) =
            signing_form(&self.rules, &signed.header, signed.payload.to_bytes());
        let input = header.signing_input(&self.roster.group(), &payload);
        let name = verdict(&input, key, &signed.signature);
        if self.rules.share_verdicts() {
            shared::learn(name);
        }
        self.remember(name);
    }

    /// Whether a whole signed statement is `slot`'s, header included.
    pub(crate) fn signed<P: SignedPayload>(&mut self, slot: Slot, signed: &Signed<P>) -> bool {
        let header = &signed.header;
        let active = self.roster.member(slot).map(|member| member.active);
        header.slot == slot
            && header.epoch == self.roster.epoch()
            && Some(header.ident) == active
            && self.statement(header.inst, header.turn, slot, &signed.payload, &signed.signature)
    }

    fn q(&self) -> usize {
        self.rules.quorum_size(&self.roster.quorum())
    }

    /// A proof of leadership for `pol.turn`.
    pub(crate) fn pol(&mut self, place: Place, pol: &Pol) -> bool {
        pol.turn > Turn(0)
            && pol.signers.is_quorum(self.q(), place.sender)
            && pol.signers.iter().all(|(slot, signature)| {
                self.statement(place.inst, pol.turn, slot, &SetTurnStatement {}, signature)
            })
    }

    /// A certificate that a quorum acknowledged `cert.agree` for `cert.value`.
    pub(crate) fn agree_cert(&mut self, place: Place, cert: &AgreeCert) -> bool {
        let ack = AgreeAckStatement { value: cert.value, agree: cert.agree };
        cert.signers.is_quorum(self.q(), place.sender)
            && cert.signers.iter().all(|(slot, signature)| {
                self.statement(place.inst, cert.turn, slot, &ack, signature)
            })
    }

    /// A read quorum of `turn`.
    pub(crate) fn reads(&mut self, place: Place, turn: Turn, reads: &ReadQuorum) -> bool {
        reads.signers.is_quorum(self.q(), place.sender)
            && reads.signers.iter().all(|(slot, entry)| {
                let ack = ReadAckStatement {
                    val_turn: entry.val_turn,
                    value: entry.value,
                    cert: entry.cert,
                    read: reads.read,
                };
                self.statement(place.inst, turn, slot, &ack, &entry.signature)
            })
    }

    /// A write quorum of `turn` for `value`; every signer knew `turn` or a later one.
    pub(crate) fn writes(
        &mut self,
        place: Place,
        turn: Turn,
        value: Hash,
        acks: &WriteQuorum,
    ) -> bool {
        acks.signers.is_quorum(self.q(), place.sender)
            && acks.signers.iter().all(|(slot, entry)| {
                let (max_turn, max_pol) = (entry.max_turn, entry.max_pol);
                let ack = WriteAckStatement { value, max_turn, max_pol, write: acks.write };
                max_turn >= turn
                    && max_turn != TURN_NONE
                    && self.statement(place.inst, turn, slot, &ack, &entry.signature)
            })
    }

    /// A decision certificate of any turn.
    pub(crate) fn decision(&mut self, place: Place, cert: &DecisionCert) -> bool {
        cert.signers.is_quorum(self.q(), place.sender)
            && cert.signers.iter().all(|(slot, entry)| {
                let ack = WriteAckStatement {
                    value: cert.value,
                    max_turn: cert.turn,
                    max_pol: entry.max_pol,
                    write: cert.write,
                };
                self.statement(place.inst, cert.turn, slot, &ack, &entry.signature)
            })
    }
}

/// Names an accepted signature by everything that the verdict depends on.
fn verdict(input: &[u8], key: &PublicKey, signature: &Signature) -> Hash {
    let mut name = Vec::with_capacity(input.len() + 96);
    name.extend_from_slice(input);
    name.extend_from_slice(key.as_bytes());
    name.extend_from_slice(&signature.0);
    Hash::tagged("verdict", &name)
}
