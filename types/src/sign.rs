//! Domain-separated signatures (specification section 1) and the `Unverified` / `Verified` border.
//!
//! Signature input: `"BART1" || kind || gid || epoch || inst || turn || slot || ident || payload`.
//! Verification is strict: a non-canonical S or a small-order key is refused, so that no
//! two replicas differ about a signature. Batch verification is never used (it accepts crafted
//! signatures that strict verification refuses).

use crate::codec::{Decode, DecodeError, Encode, Reader, Writer};
use crate::ids::{Epoch, GroupId, Ident, Instance, Slot, Turn};
use crate::roster::Roster;
use ed25519_dalek::Signer as _;
use std::fmt;
use std::ops::Deref;

/// First bytes of everything that is signed.
pub const DOMAIN: &[u8; 5] = b"BART1";

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $code:literal,)*) => {
        /// What a signed statement is. A closed list: a signature for one kind never serves another.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Kind { $($(#[$doc])* $name = $code,)* }

        impl Kind {
            /// Every kind.
            pub const ALL: &'static [Kind] = &[$(Kind::$name,)*];

            /// The kind with this code.
            pub fn from_code(code: u8) -> Option<Self> {
                match code { $($code => Some(Kind::$name),)* _ => None }
            }
        }
    };
}

kinds! {
    /// The sender's proposal for an instance.
    Value = 1,
    /// An acceptor starts a turn.
    SetTurn = 2,
    /// A leader proves its turn and asks what was accepted.
    Read = 3,
    /// An acceptor's answer to a read.
    ReadAck = 4,
    /// A sender or leader puts a value forward.
    Agree = 5,
    /// An acceptor saw no other value in this turn.
    AgreeAck = 6,
    /// A sender or leader shows that a quorum saw only this value.
    Write = 7,
    /// An acceptor stored the value; names the latest turn it knows.
    WriteAck = 8,
    /// A sender or leader shows the outcome of its turn.
    ShowQuorum = 9,
    /// A leader that had decided answers a set-turn.
    ShowDecision = 10,
    /// An acceptor tells the sender what was decided.
    ReportDecision = 11,
    /// A fined member pays.
    Penance = 12,
    /// A member that was away asks for decisions.
    Resume = 13,
    /// A decision for a member that was away.
    Catchup = 14,
    /// A member with commands asks idle senders to hurry.
    Wake = 15,
    /// The member that dials asks a silent peer.
    Ping = 16,
    /// The answer of a peer that has nothing to repeat.
    Pong = 17,
    /// The signed core of an answer to assigned work.
    WorkResponse = 24,
    /// A witness or requester took an answer over.
    WorkAck = 25,
    /// A witness received no answer in time.
    NoEvidence = 26,
    /// A witness forwards an answer.
    WorkWitness = 27,
    /// A member of one machine certifies work for another.
    WorkOrder = 28,
    /// A member of a machine certifies the result of another machine's work.
    ResultShare = 29,
    /// A member certifies another's account at one place of the log.
    AccountShare = 30,
    /// An owner's promise and instruction about one chunk.
    StoreInfo = 32,
    /// A storer holds a chunk.
    Receipt = 33,
    /// A storer refuses a chunk, with proof.
    StoreReject = 34,
    /// An owner asks for a chunk.
    RetrieveRequest = 35,
    /// A storer returns a chunk.
    RetrieveConfirm = 36,
    /// A storer refuses to return a chunk.
    RetrieveDeny = 37,
    /// An owner's list of what it stored.
    OwnList = 38,
    /// A storer's list of what it holds.
    StoreList = 39,
    /// The owner of an account moves credits.
    Transfer = 48,
    /// One owner of a shared account vouches for its next transfer.
    OwnerVote = 49,
    /// A witness saw only this message at its place.
    Echo = 50,
    /// The authority founds a group.
    Genesis = 64,
    /// The authority lets a member in.
    Ticket = 65,
    /// Somebody asks to join.
    JoinRequest = 66,
    /// The authority changes who takes part.
    Reform = 67,
}

impl Encode for Kind {
    fn encode(&self, out: &mut Writer) {
        out.u8(*self as u8);
    }
}

impl Decode for Kind {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::from_code(input.u8()?).ok_or(DecodeError::Malformed("message kind"))
    }
}

/// Who says something, and about which place in the log. Encoded in 21 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Header {
    /// What is said.
    pub kind: Kind,
    /// Roster version; 0 outside the state machine.
    pub epoch: Epoch,
    /// Instance; 0 outside the state machine.
    pub inst: Instance,
    /// Turn; 0 outside the state machine.
    pub turn: Turn,
    /// The signer's slot.
    pub slot: Slot,
    /// The signer's linked identity.
    pub ident: Ident,
}

impl Encode for Header {
    fn encode(&self, out: &mut Writer) {
        out.put(&self.kind);
        out.put(&self.epoch);
        out.put(&self.inst);
        out.put(&self.turn);
        out.put(&self.slot);
        out.put(&self.ident);
    }
}

impl Decode for Header {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            kind: input.get()?,
            epoch: input.get()?,
            inst: input.get()?,
            turn: input.get()?,
            slot: input.get()?,
            ident: input.get()?,
        })
    }
}

impl Header {
    /// The bytes that a signature covers.
    pub fn signing_input(&self, gid: &GroupId, payload: &[u8]) -> Vec<u8> {
        let mut out = Writer::with_capacity(64 + payload.len());
        out.raw(DOMAIN);
        out.put(&self.kind);
        out.put(gid);
        out.put(&self.epoch);
        out.put(&self.inst);
        out.put(&self.turn);
        out.put(&self.slot);
        out.put(&self.ident);
        out.raw(payload);
        out.finish()
    }
}

/// A signature does not fit the key and the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not verify")]
pub struct BadSignature;

/// An ed25519 verification key that is not of small order.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(ed25519_dalek::VerifyingKey);

impl PublicKey {
    /// Checks that the bytes are a curve point of large order.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, BadSignature> {
        let key = ed25519_dalek::VerifyingKey::from_bytes(bytes).map_err(|_| BadSignature)?;
        if key.is_weak() { Err(BadSignature) } else { Ok(Self(key)) }
    }

    /// The 32-byte encoding.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// Strict verification over [`Header::signing_input`].
    pub fn verify(
        &self,
        gid: &GroupId,
        header: &Header,
        payload: &[u8],
        signature: &Signature,
    ) -> Result<(), BadSignature> {
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        let input = header.signing_input(gid, payload);
        self.0.verify_strict(&input, &signature).map_err(|_| BadSignature)
    }
}

impl PartialOrd for PublicKey {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for PublicKey {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "PublicKey({})", crate::hash::Hash(*self.as_bytes()))
    }
}

impl Encode for PublicKey {
    fn encode(&self, out: &mut Writer) {
        out.raw(self.as_bytes());
    }
}

impl Decode for PublicKey {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::from_bytes(&input.array()?).map_err(|_| DecodeError::Malformed("public key"))
    }
}

/// An ed25519 signature, 64 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Signature(pub [u8; 64]);

impl fmt::Debug for Signature {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Signature({:02x}{:02x}..)", self.0[0], self.0[1])
    }
}

impl Encode for Signature {
    fn encode(&self, out: &mut Writer) {
        out.raw(&self.0);
    }
}

impl Decode for Signature {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(input.array()?))
    }
}

/// A signing key; wiped from memory when dropped, and never printed.
#[derive(Clone)]
pub struct SecretKey(ed25519_dalek::SigningKey);

impl SecretKey {
    /// The key for a 32-byte seed.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// The seed, for the transport's own key format.
    pub fn seed(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// The matching verification key.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// Signs [`Header::signing_input`]. Inside the state machine only the sign-once log calls this.
    pub fn sign(&self, gid: &GroupId, header: &Header, payload: &[u8]) -> Signature {
        Signature(self.0.sign(&header.signing_input(gid, payload)).to_bytes())
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "SecretKey of {:?}", self.public())
    }
}

/// What a kind of statement says beyond its header.
pub trait SignedPayload: Encode + Decode {
    /// The one kind under which it is signed.
    const KIND: Kind;
}

/// A header, what it says, and the signature over both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed<T> {
    /// Who, and where.
    pub header: Header,
    /// What.
    pub payload: T,
    /// Over header, group and payload.
    pub signature: Signature,
}

impl<T: SignedPayload> Signed<T> {
    /// Signs with a key that acts for `header.slot`. The header's kind is set from the payload.
    pub fn new(key: &SecretKey, gid: &GroupId, mut header: Header, payload: T) -> Verified<Self> {
        header.kind = T::KIND;
        let signature = key.sign(gid, &header, &payload.to_bytes());
        Verified(Self { header, payload, signature })
    }

    /// A name for the signed statement: digest of header and payload, never of the signature
    /// (which its author could vary).
    pub fn digest(&self) -> crate::hash::Hash {
        let mut out = Writer::new();
        out.put(&self.header);
        out.put(&self.payload);
        crate::hash::Hash::tagged("signed statement", &out.finish())
    }
}

impl<T: Encode> Encode for Signed<T> {
    fn encode(&self, out: &mut Writer) {
        out.put(&self.header);
        out.put(&self.payload);
        out.put(&self.signature);
    }
}

impl<T: SignedPayload> Decode for Signed<T> {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let header: Header = input.get()?;
        if header.kind != T::KIND {
            return Err(DecodeError::Malformed("kind of signed statement"));
        }
        Ok(Self { header, payload: input.get()?, signature: input.get()? })
    }
}

/// Why a statement is not accepted as somebody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The slot or identity is not in the roster of this epoch.
    #[error("{slot} with {ident} is not in the roster of {epoch}")]
    UnknownSigner {
        /// The slot named.
        slot: Slot,
        /// The identity named.
        ident: Ident,
        /// The epoch named.
        epoch: Epoch,
    },
    /// The signature fails.
    #[error(transparent)]
    BadSignature(#[from] BadSignature),
}

/// A value from outside that nobody has checked. It can be opened only by checking it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unverified<T>(T);

impl<T> Unverified<T> {
    /// Marks a decoded value as unchecked.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// A look without trust: for routing, duplicate filters and logs only.
    pub fn peek(&self) -> &T {
        &self.0
    }
}

impl<T: SignedPayload> Unverified<Signed<T>> {
    /// Checks kind, signer and signature against a roster.
    pub fn verify(self, roster: &Roster) -> Result<Verified<Signed<T>>, VerifyError> {
        let Header { slot, ident, epoch, kind, .. } = self.0.header;
        let unknown = VerifyError::UnknownSigner { slot, ident, epoch };
        if kind != T::KIND || epoch != roster.epoch() {
            return Err(unknown);
        }
        let key = roster.identity_key(slot, ident).ok_or(unknown)?;
        let payload = self.0.payload.to_bytes();
        key.verify(&roster.group(), &self.0.header, &payload, &self.0.signature)?;
        Ok(Verified(self.0))
    }
}

impl<T: SignedPayload> Unverified<Signed<T>> {
    /// Checks a statement that belongs to no place in the log (storage promises, which outlive
    /// epochs): epoch, instance and turn must be 0, and any linked identity of the slot may sign.
    pub fn verify_outside_log(self, roster: &Roster) -> Result<Verified<Signed<T>>, VerifyError> {
        let Header { slot, ident, epoch, inst, turn, kind } = self.0.header;
        let unknown = VerifyError::UnknownSigner { slot, ident, epoch };
        if kind != T::KIND || (epoch, inst, turn) != (Epoch(0), Instance(0), Turn(0)) {
            return Err(unknown);
        }
        let key = roster.identity_key(slot, ident).ok_or(unknown)?;
        let payload = self.0.payload.to_bytes();
        key.verify(&roster.group(), &self.0.header, &payload, &self.0.signature)?;
        Ok(Verified(self.0))
    }
}

impl<T: Decode> Decode for Unverified<T> {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(T::decode(input)?))
    }
}

/// A value whose signature was checked, or that we signed ourselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified<T>(T);

impl<T> Verified<T> {
    /// For a value read back from our own durable store, where only verified values are written.
    pub fn from_own_store(value: T) -> Self {
        Self(value)
    }

    /// Gives the value up.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for Verified<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Encode> Encode for Verified<T> {
    fn encode(&self, out: &mut Writer) {
        self.0.encode(out);
    }
}
