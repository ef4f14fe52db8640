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

/// Bytes of all requests that one assignment carries; with its frame it is one command.
pub const WORK_LEN_MAX: usize = 6 * 1024;
/// Requests in one assignment or vow.
pub const WORK_BATCH_MAX: usize = 64;
/// Bytes of the fields in the core of an answer: a vow is fulfilled with it in one command.
pub const WORK_FIELDS_MAX: usize = 4 * 1024;
/// Bytes of fields and bodies that one assignment may ask for. Larger data is asked for in slices.
pub const WORK_CAP_MAX: usize = 1024 * 1024;
/// Pending vows of one member.
pub const VOWS_MAX: usize = 64;
/// Bytes of pad in one command of the default message of a vow.
pub const VOW_PART_LEN: usize = 7 * 1024;
/// Machines that one machine is linked with.
pub const LINKS_MAX: usize = 16;
/// Assignments of one foreign machine that are remembered as executed.
pub const FOREIGN_EXECUTED_MAX: usize = 4096;
/// Assignments in one role that a member keeps at a time.
pub const WORK_OPEN_MAX: usize = 16 * 1024;
/// Bytes of a result that travels from one machine to another.
pub const FOREIGN_RESULT_MAX: usize = 4 * 1024;
/// Hops of work from machine to machine.
pub const HOPS_MAX: u8 = 8;

const _: () = assert!(WORK_LEN_MAX + 512 <= COMMAND_LEN_MAX);
const _: () = assert!(WORK_FIELDS_MAX + 512 <= COMMAND_LEN_MAX);
const _: () = assert!(VOW_PART_LEN + 64 <= COMMAND_LEN_MAX);
// A denial of an answer costs more than the answer: one and a half times its bytes at the usual prices.
const _: () = assert!(WORK_CAP_MAX * 7 / 4 + WORK_FIELDS_MAX * 2 < CONTROL_FRAME_MAX);
const _: () = assert!(CHUNKS_MAX <= 256);
const _: () = assert!(MEMBERS_MAX <= u16::MAX as usize);
const _: () =
    assert!(PROPOSAL_LEN_MIN <= PROPOSAL_LEN_DEFAULT && PROPOSAL_LEN_DEFAULT <= PROPOSAL_LEN_MAX);
const _: () = assert!(COMMAND_LEN_MAX < PROPOSAL_LEN_MIN);
const _: () = assert!(PROPOSAL_LEN_MAX + MESSAGE_OVERHEAD_MAX <= CONTROL_FRAME_MAX);
const _: () = assert!(CHUNK_LEN_MAX < BULK_FRAME_MAX);
const _: () = assert!(UNTIMELY_MAX <= UNTIMELY_CARRY);
