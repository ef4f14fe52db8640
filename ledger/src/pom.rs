//! Proofs of misbehavior of the ledger: two signed statements where an honest member signs one.
//!
//! Source: thesis section 3.4 (sequence numbers).
//!
//! | kind | what convicts |
//! | --- | --- |
//! | LD1 DoubleSpend | two transfers of one account with one number, signed by its owner |
//! | LD2 DoubleEcho | two echoes of one witness for one place |
//! | LD3 DoubleVote | two votes of one owner of a shared account for one number |
//!
//! Guarantees: 1. [`verify`] is a pure function of file and roster; 2. it accepts only what no honest member
//! signed, whatever restarts: orders, echoes and owners' numbers are durable before they are signed away;
//! 3. statements are compared by what is signed, never by signatures; 4. one pair has one file.
//! Not a proof: an overspend (a witness may lack the credits), silence, and an account that is blocked.

use crate::broadcast::Evidence;
use crate::broadcast::quorum::EchoStatement;
use crate::committee::Committee;
use crate::ids::Place;
use crate::transfer::{Order, OwnerVote, Transfer};
use std::fmt;
use types::{
    Decode, DecodeError, Encode, Envelope, EnvelopeError, Epoch, Family, GroupId, Hash, Header,
    Ident, Kind, Reader, Roster, Signed, SignedPayload, Slot, Unverified, VerifyError, Writer,
};

/// Bytes of the longest proof: two transfers with every payment and dependency.
pub const POM_LEN_MAX: usize = 2 * crate::broadcast::PAYLOAD_LEN_MAX;

/// What a proof of the ledger shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PomKind {
    /// LD1.
    DoubleSpend,
    /// LD2.
    DoubleEcho,
    /// LD3.
    DoubleVote,
}

impl PomKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::DoubleSpend, Self::DoubleEcho, Self::DoubleVote];

    /// The row of the catalogue: 1 for LD1.
    pub fn row(self) -> u8 {
        self as u8 + 1
    }

    /// The code in a file.
    pub fn code(self) -> u8 {
        Family::Credits.base() + self.row()
    }

    /// The name, without the row's number.
    pub fn name(self) -> &'static str {
        match self {
            Self::DoubleSpend => "DoubleSpend",
            Self::DoubleEcho => "DoubleEcho",
            Self::DoubleVote => "DoubleVote",
        }
    }

    /// What the accused did, after its name.
    pub fn words(self) -> &'static str {
        match self {
            Self::DoubleSpend => "spent twice: signed two transfers with one number",
            Self::DoubleEcho => "witnessed two different transfers with one number",
            Self::DoubleVote => "gave two transfers of a shared account one number",
        }
    }
}

impl fmt::Display for PomKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "LD{} {}", self.row(), self.name())
    }
}

/// A statement about a place: an honest member signs one for each.
trait Placed: SignedPayload {
    fn place(&self) -> Place;
}

impl Placed for Transfer {
    fn place(&self) -> Place {
        self.place
    }
}

impl Placed for EchoStatement {
    fn place(&self) -> Place {
        self.place
    }
}

impl Placed for OwnerVote {
    fn place(&self) -> Place {
        self.place
    }
}

/// The two statements, in the order of their digests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Objects {
    /// LD1.
    DoubleSpend(Signed<Transfer>, Signed<Transfer>),
    /// LD2.
    DoubleEcho(Signed<EchoStatement>, Signed<EchoStatement>),
    /// LD3.
    DoubleVote(Signed<OwnerVote>, Signed<OwnerVote>),
}

/// A proof: the group and the objects. The accused is who signed them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pom {
    /// The group in which they were signed.
    pub group: GroupId,
    /// What convicts.
    pub objects: Objects,
}

/// What a proof that verifies establishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conviction {
    /// What was done.
    pub kind: PomKind,
    /// By whom.
    pub accused: Slot,
    /// Under which linked identity.
    pub ident: Ident,
    /// For which account and number.
    pub place: Place,
}

/// Why a file convicts nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PomError {
    /// It is not even the envelope of a proof.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// It is of another group.
    #[error("the proof is about another group")]
    OtherGroup,
    /// The objects are not signed by the accused.
    #[error("the objects are not signed by the accused: {0}")]
    Signature(#[from] VerifyError),
    /// The objects convict nobody.
    #[error("the objects prove nothing: {0}")]
    NotProven(&'static str),
    /// Not the one form that a proof has.
    #[error("the proof is not in its one form: {0}")]
    NotCanonical(&'static str),
}

impl Objects {
    /// The kind.
    pub fn kind(&self) -> PomKind {
        match self {
            Self::DoubleSpend(..) => PomKind::DoubleSpend,
            Self::DoubleEcho(..) => PomKind::DoubleEcho,
            Self::DoubleVote(..) => PomKind::DoubleVote,
        }
    }

    fn header(&self) -> Header {
        match self {
            Self::DoubleSpend(first, _) => first.header,
            Self::DoubleEcho(first, _) => first.header,
            Self::DoubleVote(first, _) => first.header,
        }
    }
}

fn ordered<T: SignedPayload>(a: Signed<T>, b: Signed<T>) -> (Signed<T>, Signed<T>) {
    if a.digest() <= b.digest() { (a, b) } else { (b, a) }
}

impl Pom {
    /// The proofs in what a broadcast kept: for two orders of a shared account, one against each owner
    /// that signed both.
    pub fn of(committee: &Committee, evidence: &Evidence) -> Vec<Self> {
        let group = committee.group();
        match evidence {
            Evidence::TwoEchoes { first, second, .. } => {
                let read = |bytes: &[u8]| Signed::<EchoStatement>::from_bytes(bytes).ok();
                let both = read(first).zip(read(second)).filter(|(a, b)| a.header == b.header);
                let Some((a, b)) = both else { return Vec::new() };
                let (a, b) = ordered(a, b);
                vec![Self { group, objects: Objects::DoubleEcho(a, b) }]
            }
            Evidence::TwoPayloads { first, second, .. } => {
                let orders = Order::from_bytes(first).ok().zip(Order::from_bytes(second).ok());
                match orders {
                    // Whoever lost its records may honestly sign again, under its next identity.
                    Some((Order::Own(a), Order::Own(b))) if a.header == b.header => {
                        let (a, b) = ordered(a, b);
                        vec![Self { group, objects: Objects::DoubleSpend(a, b) }]
                    }
                    Some((a @ Order::Shared { .. }, b @ Order::Shared { .. })) => {
                        Self::double_votes(committee, &a, &b)
                    }
                    _ => Vec::new(),
                }
            }
        }
    }

    fn double_votes(committee: &Committee, a: &Order, b: &Order) -> Vec<Self> {
        let statements = |order: &Order| -> Vec<Signed<OwnerVote>> {
            let Order::Shared { transfer, votes } = order else { return Vec::new() };
            let payload = OwnerVote { place: transfer.place, transfer: transfer.digest() };
            let signed = votes.iter().map(|seal| {
                let header = committee.header_of(Kind::OwnerVote, seal.slot, seal.ident);
                Signed { header, payload, signature: seal.signature }
            });
            signed.collect()
        };
        let (first, second) = (statements(a), statements(b));
        let both = first.into_iter().filter_map(|one| {
            let other = second.iter().find(|it| it.header == one.header)?;
            (other.payload != one.payload).then(|| ordered(one, other.clone()))
        });
        let group = committee.group();
        both.map(|(a, b)| Self { group, objects: Objects::DoubleVote(a, b) }).collect()
    }

    /// The kind.
    pub fn kind(&self) -> PomKind {
        self.objects.kind()
    }

    /// A name for the proof: digest of the file.
    pub fn digest(&self) -> Hash {
        Hash::tagged("proof of misbehavior", &self.to_bytes())
    }

    /// Reads a file. Nothing in it is believed before [`verify`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PomError> {
        let (envelope, mut input) = Envelope::read(bytes, POM_LEN_MAX)?;
        let objects = read_objects(&mut input).map_err(EnvelopeError::Damaged)?;
        input.finish().map_err(EnvelopeError::Damaged)?;
        let made = Self { group: envelope.group, objects };
        if made.envelope() != envelope {
            return Err(PomError::NotCanonical("the envelope names another than the signer"));
        }
        Ok(made)
    }

    fn envelope(&self) -> Envelope {
        let Header { slot, ident, .. } = self.objects.header();
        Envelope { group: self.group, epoch: Epoch(0), accused: slot, ident }
    }
}

fn read_objects(input: &mut Reader<'_>) -> Result<Objects, DecodeError> {
    let code = input.u8()?;
    let kind = PomKind::ALL.into_iter().find(|kind| kind.code() == code);
    match kind.ok_or(DecodeError::Malformed("kind of proof"))? {
        PomKind::DoubleSpend => Ok(Objects::DoubleSpend(input.get()?, input.get()?)),
        PomKind::DoubleEcho => Ok(Objects::DoubleEcho(input.get()?, input.get()?)),
        PomKind::DoubleVote => Ok(Objects::DoubleVote(input.get()?, input.get()?)),
    }
}

impl Encode for Pom {
    fn encode(&self, out: &mut Writer) {
        out.put(&self.envelope());
        out.u8(self.kind().code());
        match &self.objects {
            Objects::DoubleSpend(a, b) => {
                out.put(a);
                out.put(b);
            }
            Objects::DoubleEcho(a, b) => {
                out.put(a);
                out.put(b);
            }
            Objects::DoubleVote(a, b) => {
                out.put(a);
                out.put(b);
            }
        }
    }
}

/// Checks a proof with the roster of the group.
pub fn verify(pom: &Pom, roster: &Roster) -> Result<Conviction, PomError> {
    if pom.group != roster.group() {
        return Err(PomError::OtherGroup);
    }
    let place = match &pom.objects {
        Objects::DoubleSpend(a, b) => check(a, b, roster)?,
        Objects::DoubleEcho(a, b) => check(a, b, roster)?,
        Objects::DoubleVote(a, b) => check(a, b, roster)?,
    };
    let Header { slot, ident, .. } = pom.objects.header();
    Ok(Conviction { kind: pom.kind(), accused: slot, ident, place })
}

fn check<T: Placed + Clone>(
    a: &Signed<T>,
    b: &Signed<T>,
    roster: &Roster,
) -> Result<Place, PomError> {
    for signed in [a, b] {
        Unverified::new(signed.clone()).verify_outside_log(roster)?;
    }
    if a.header != b.header {
        return Err(PomError::NotProven("they are signed by different identities"));
    }
    let place = a.payload.place();
    if place != b.payload.place() {
        return Err(PomError::NotProven("they are for different accounts or numbers"));
    }
    match a.digest().cmp(&b.digest()) {
        std::cmp::Ordering::Less => Ok(place),
        std::cmp::Ordering::Equal => Err(PomError::NotProven("both say the same")),
        std::cmp::Ordering::Greater => Err(PomError::NotCanonical("they are in the wrong order")),
    }
}

const _: () = assert!(96 == Family::Credits.base() as usize + 1);
