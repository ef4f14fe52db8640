//! Every bound in one place, with the relations between them checked at compile time.

/// Members of one state machine; larger groups are several machines (paper section 6.2).
pub const MEMBERS_MAX: usize = 64;
/// Linked identities of one slot: three at first and one every two years (paper section 7.2).
pub const IDENTITIES_MAX: usize = 32;
/// Bytes of a member's or group's name.
pub const NAME_LEN_MAX: usize = 64;
/// Bytes of one network address, `host:port`.
pub const ADDRESS_LEN_MAX: usize = 256;
/// Addresses of one member.
pub const ADDRESSES_MAX: usize = 8;

/// Default `V_MAX`: the largest encoded proposal, bytes. Bottom and read-acks are padded to it.
pub const PROPOSAL_LEN_DEFAULT: usize = 64 * 1024;
/// The largest `V_MAX` that a group may set.
pub const PROPOSAL_LEN_MAX: usize = 1024 * 1024;
/// The smallest `V_MAX` that a group may set: the fixed vectors at `MEMBERS_MAX` and one command.
pub const PROPOSAL_LEN_MIN: usize = 16 * 1024;
/// Bytes of one command inside a proposal.
pub const COMMAND_LEN_MAX: usize = 8 * 1024;
/// Commands in one proposal.
pub const COMMANDS_MAX: usize = 4096;
/// Bytes around the body in the largest state-machine message: vectors of q signatures, POLs, pads.
pub const MESSAGE_OVERHEAD_MAX: usize = 256 * 1024;
/// Bytes of one frame on a control link.
pub const CONTROL_FRAME_MAX: usize = 2 * 1024 * 1024;

/// Bytes of one object that the snapshot layer may store (a pack, an index).
pub const OBJECT_LEN_MAX: usize = 64 * 1024 * 1024;
/// Bytes of one chunk body.
pub const CHUNK_LEN_MAX: usize = OBJECT_LEN_MAX + 4096;
/// Bytes of one frame on a bulk link.
pub const BULK_FRAME_MAX: usize = CHUNK_LEN_MAX + 64 * 1024;
/// StoreInfos that one StoreReject may cite as proof of fullness.
pub const REJECT_PROOF_MAX: usize = 100_000;
/// Chunks of one object: the code works over GF(2^8), and storers are distinct members.
pub const CHUNKS_MAX: usize = MEMBERS_MAX - 1;

/// `U_MAX`: untimely marks per target in one proposal (specification 3.8).
pub const UNTIMELY_MAX: u8 = 1;
/// `U_CARRY`: marks that an observer carries over per target.
pub const UNTIMELY_CARRY: u8 = 8;
/// `turn_exp_cap`: the turn timer stops doubling here.
pub const TURN_EXPONENT_MAX: u32 = 10;

const _: () = assert!(CHUNKS_MAX <= 256);
const _: () = assert!(MEMBERS_MAX <= u16::MAX as usize);
const _: () =
    assert!(PROPOSAL_LEN_MIN <= PROPOSAL_LEN_DEFAULT && PROPOSAL_LEN_DEFAULT <= PROPOSAL_LEN_MAX);
const _: () = assert!(COMMAND_LEN_MAX < PROPOSAL_LEN_MIN);
const _: () = assert!(PROPOSAL_LEN_MAX + MESSAGE_OVERHEAD_MAX <= CONTROL_FRAME_MAX);
const _: () = assert!(CHUNK_LEN_MAX < BULK_FRAME_MAX);
const _: () = assert!(UNTIMELY_MAX <= UNTIMELY_CARRY);
