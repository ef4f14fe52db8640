//! What an owner signs: a transfer, and the order that carries it with its signatures.
//!
//! Source: Algorithm 5 line 4, `[(a, b, x, seq + 1), deps]`; section 3.4 for shared accounts.
//! Deviations: several payments under one number; dependencies are places, one a payer (account order
//! makes the last one imply those before it), and only those after the named checkpoint.
//! Bounds: [`PAYMENTS_MAX`], [`DEPS_MAX`], [`OWNERS_MAX`].

use crate::accounts::Owner;
use crate::broadcast::{Payload, Refused};
use crate::committee::{Committee, Seal};
use crate::ids::{Account, Amount, Place, Seq};
use types::{
    Decode, DecodeError, Encode, Hash, Kind, Reader, SecretKey, Signed, SignedPayload, Slot, Writer,
};

/// Payments of one transfer.
pub const PAYMENTS_MAX: usize = 256;
/// Payers that one transfer may depend on.
pub const DEPS_MAX: usize = 256;
/// Owners of one account.
pub const OWNERS_MAX: usize = 64;

/// So much to one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Payment {
    /// Who receives.
    pub to: Account,
    /// How much.
    pub amount: Amount,
}

/// One outgoing transfer of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// Whose, and its number.
    pub place: Place,
    /// To whom, in order of their accounts; all of it or nothing.
    pub payments: Vec<Payment>,
    /// The checkpoint whose credits it may count on.
    pub base: u64,
    /// For each payer since then: the last transfer whose payment it counts on.
    pub deps: Vec<Place>,
    /// What it is for: a digest that the layer above defines, or zero.
    pub about: Hash,
}

impl Transfer {
    /// The sum of its payments, if its form is right. Needs no state: an honest owner never signs
    /// what fails here.
    pub fn check_form(&self) -> Result<Amount, Refused> {
        let Place { account, seq } = self.place;
        if seq == Seq(0) {
            return Err(Refused("transfers are numbered from 1"));
        }
        if self.payments.is_empty() || self.payments.len() > PAYMENTS_MAX {
            return Err(Refused("a transfer has 1 to 256 payments"));
        }
        if !self.payments.is_sorted_by(|a, b| a.to < b.to) {
            return Err(Refused("payments are in the order of their accounts, one each"));
        }
        if self.payments.iter().any(|payment| payment.to == account) {
            return Err(Refused("an account does not pay itself"));
        }
        if self.payments.iter().any(|payment| payment.amount == Amount(0)) {
            return Err(Refused("a payment is more than nothing"));
        }
        if self.deps.len() > DEPS_MAX || !self.deps.is_sorted_by(|a, b| a.account < b.account) {
            return Err(Refused("dependencies are at most 256, one a payer, in order"));
        }
        if self.deps.iter().any(|dep| dep.account == account || dep.seq == Seq(0)) {
            return Err(Refused("a dependency is another account's transfer"));
        }
        let mut amounts = self.payments.iter().map(|payment| payment.amount);
        amounts
            .try_fold(Amount(0), Amount::plus)
            .ok_or(Refused("the sum of the payments leaves 64 bits"))
    }

    /// What it pays to one account.
    pub fn pays(&self, to: Account) -> Option<Amount> {
        let at = self.payments.binary_search_by_key(&to, |payment| payment.to).ok()?;
        Some(self.payments[at].amount)
    }

    /// Names it, whoever signs.
    pub fn digest(&self) -> Hash {
        Hash::tagged("ledger transfer", &self.to_bytes())
    }
}

/// An owner of a shared account saw this transfer get this number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnerVote {
    /// The account and number.
    pub place: Place,
    /// [`Transfer::digest`].
    pub transfer: Hash,
}

/// A transfer with what makes it its owners'.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Of an account with one owner.
    Own(Signed<Transfer>),
    /// Of a shared account: signed by a quorum of owners, in the order of their slots.
    Shared {
        /// The transfer.
        transfer: Transfer,
        /// Who signed [`OwnerVote`].
        votes: Vec<Seal>,
    },
}

impl Order {
    /// The one owner signs.
    pub fn sign(committee: &Committee, key: &SecretKey, owner: Slot, transfer: Transfer) -> Self {
        let header = committee.header(Kind::Transfer, owner);
        Self::Own(Signed::new(key, &committee.group(), header, transfer).into_inner())
    }

    /// What moves.
    pub fn transfer(&self) -> &Transfer {
        match self {
            Self::Own(signed) => &signed.payload,
            Self::Shared { transfer, .. } => transfer,
        }
    }

    /// As a broadcast's payload.
    pub fn payload(&self) -> Payload {
        self.to_bytes().into()
    }

    /// Reads a broadcast's payload and checks its form, not yet its signatures.
    pub fn read(place: Place, payload: &[u8]) -> Result<Self, Refused> {
        let order = Self::from_bytes(payload).map_err(|_| Refused("the order is no order"))?;
        if order.transfer().place != place {
            return Err(Refused("the order is for another place"));
        }
        order.transfer().check_form()?;
        Ok(order)
    }

    /// Whether the account's owners signed it, under any identity that acts or did.
    pub fn check_signatures(&self, committee: &Committee, owner: &Owner) -> Result<(), Refused> {
        match (self, owner) {
            (Self::Own(signed), Owner::One(slot)) => {
                let ident = signed.header.ident;
                if signed.header != committee.header_of(Kind::Transfer, *slot, ident) {
                    return Err(Refused("the order is not signed by the owner"));
                }
                let seal = Seal { slot: *slot, ident, signature: signed.signature };
                let fits = committee.verify(&signed.payload, &seal);
                fits.then_some(()).ok_or(Refused("the owner's signature does not verify"))
            }
            (Self::Shared { transfer, votes }, Owner::Shared { .. }) => {
                if !votes.is_sorted_by(|a, b| a.slot < b.slot) || votes.len() < owner.quorum() {
                    return Err(Refused("the order lacks a quorum of owners"));
                }
                let vote = OwnerVote { place: transfer.place, transfer: transfer.digest() };
                let fits = votes
                    .iter()
                    .all(|seal| owner.includes(seal.slot) && committee.verify(&vote, seal));
                fits.then_some(()).ok_or(Refused("an owner's vote does not verify"))
            }
            _ => Err(Refused("the order has the form of another kind of account")),
        }
    }

    /// Whether it is signed by an identity that acts: who found an old disk may not spend. The owners of a
    /// shared account stand for each other, so an earlier identity of one of them does no harm.
    pub fn is_current(&self, committee: &Committee) -> bool {
        match self {
            Self::Own(signed) => committee.ident(signed.header.slot) == Some(signed.header.ident),
            Self::Shared { .. } => true,
        }
    }
}

impl Encode for Payment {
    fn encode(&self, out: &mut Writer) {
        out.put(&self.to);
        out.put(&self.amount);
    }
}

impl Decode for Payment {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { to: input.get()?, amount: input.get()? })
    }
}

impl Encode for Transfer {
    fn encode(&self, out: &mut Writer) {
        out.put(&self.place);
        out.list(&self.payments);
        out.u64(self.base);
        out.list(&self.deps);
        out.put(&self.about);
    }
}

impl Decode for Transfer {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            place: input.get()?,
            payments: input.list("payments", PAYMENTS_MAX)?,
            base: input.u64()?,
            deps: input.list("dependencies", DEPS_MAX)?,
            about: input.get()?,
        })
    }
}

impl SignedPayload for Transfer {
    const KIND: Kind = Kind::Transfer;
}

impl Encode for OwnerVote {
    fn encode(&self, out: &mut Writer) {
        out.put(&self.place);
        out.put(&self.transfer);
    }
}

impl Decode for OwnerVote {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { place: input.get()?, transfer: input.get()? })
    }
}

impl SignedPayload for OwnerVote {
    const KIND: Kind = Kind::OwnerVote;
}

impl Encode for Order {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Own(signed) => {
                out.u8(0);
                out.put(signed);
            }
            Self::Shared { transfer, votes } => {
                out.u8(1);
                out.put(transfer);
                out.list(votes);
            }
        }
    }
}

impl Decode for Order {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match input.u8()? {
            0 => Ok(Self::Own(input.get()?)),
            1 => {
                let transfer = input.get()?;
                let votes = input.list("owners' votes", OWNERS_MAX)?;
                Ok(Self::Shared { transfer, votes })
            }
            _ => Err(DecodeError::Malformed("order tag")),
        }
    }
}

const _: () = assert!(
    (PAYMENTS_MAX + DEPS_MAX) * 12 + OWNERS_MAX * 68 + 512 <= crate::broadcast::PAYLOAD_LEN_MAX
);
