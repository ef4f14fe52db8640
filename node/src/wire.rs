//! What the local API says, in JSON. The command line and the daemon share these types.

use serde::{Deserialize, Serialize};

/// Answer to `GET /v1/status`: is this member's data safe, and who is up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The group's name.
    pub group: String,
    /// The group's identifier, hexadecimal.
    pub group_id: String,
    /// This member's name.
    pub name: String,
    /// This member's slot.
    pub slot: u16,
    /// Members.
    pub n: usize,
    /// Byzantine members tolerated.
    pub f: usize,
    /// Chunks of an object.
    pub x: usize,
    /// Chunks that suffice to read an object.
    pub needed: usize,
    /// Every other member.
    pub members: Vec<MemberStatus>,
    /// Log entries that are decided and applied here.
    pub decided: u64,
    /// Bytes that this member may store with others.
    pub quota_bytes: u64,
    /// Bytes that others hold for this member, with receipts.
    pub used_bytes: u64,
    /// Bytes reserved for stores that are not receipted yet.
    pub pending_bytes: u64,
    /// Bytes that this member holds for others.
    pub held_for_others_bytes: u64,
    /// Objects stored.
    pub objects: u64,
    /// Objects that are not completely receipted.
    pub incomplete_objects: u64,
    /// How many more members may be lost before an object becomes unreadable, counting members
    /// that are down now as lost; negative when an object is unreadable now. 0 objects: x - needed.
    pub can_lose: i64,
    /// Tombstones that storers have not acknowledged.
    pub tombstones_to_deliver: u64,
    /// Milliseconds since the Unix epoch at which the first lease ends, if anything is stored.
    pub first_lease_end_ms: Option<u64>,
    /// Whether this member itself still takes part.
    #[serde(default = "yes")]
    pub takes_part: bool,
    /// The last digest of the OwnList that the group witnessed.
    pub last_witness: Option<WitnessStatus>,
    /// Milliseconds since the daemon started.
    pub uptime_ms: u64,
    /// The daemon's process id.
    pub pid: u32,
    /// Things that peers did wrong and that cannot be proven.
    pub faults: u64,
    /// Distinct chunks that did not come back as their storer promised, by its own word or by ours.
    pub bad_chunks: u64,
    /// Random slices of stored chunks that storers proved to have, since the daemon started.
    #[serde(default)]
    pub possession_checks_passed: u64,
    /// Such checks that showed a chunk to be lost.
    #[serde(default)]
    pub possession_checks_failed: u64,
    /// Chunks that a storer lost and that are, or are being, placed again.
    #[serde(default)]
    pub chunks_mended: u64,
    /// Assignments of ours that were answered, since the daemon started.
    #[serde(default)]
    pub work_answered: u64,
    /// Words over assigned work that others owe for longer than they may.
    #[serde(default)]
    pub work_late: u64,
    /// Pieces of signed evidence against members that are kept here.
    #[serde(default)]
    pub evidence: u64,
    /// Bytes of bulk traffic sent since the start.
    pub bulk_bytes_sent: u64,
    /// Bytes of bulk traffic received since the start.
    pub bulk_bytes_received: u64,
}

/// One other member as this one sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MemberStatus {
    /// The slot.
    pub slot: u16,
    /// The name in the roster.
    pub name: String,
    /// Both links are up.
    pub up: bool,
    /// Bytes that this member holds for me.
    pub bytes_held_for_me: u64,
    /// Bytes that I hold for this member.
    pub bytes_held_by_me: u64,
    /// Chunks that this member returned with wrong contents since the daemon started.
    pub bad_chunks: u64,
    /// Whether the group counts on this member.
    #[serde(default)]
    pub standing: MemberStanding,
    /// Work that the group has assigned to this slow member for me, and that is not answered yet.
    #[serde(default)]
    pub work_open: u64,
    /// Such work that the group found unanswered, since the daemon started.
    #[serde(default)]
    pub work_denied: u64,
    /// Why the link is down, if it is.
    pub last_error: Option<String>,
}

fn yes() -> bool {
    true
}

/// Whether a member takes part, as the log says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MemberStanding {
    /// It does.
    #[default]
    Live,
    /// Not for now; it still counts.
    Suspended,
    /// A proof or the authority took it out.
    Expelled,
}

/// What the log says of this member's last witness command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WitnessStatus {
    /// Objects in the OwnList then.
    pub objects: u64,
    /// When, by this member's clock, in milliseconds since the Unix epoch.
    pub stamp_ms: u64,
}

/// One object in a listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectEntry {
    /// 64 hexadecimal characters.
    pub id: String,
    /// Bytes.
    pub size: u64,
}

/// One proof of misbehavior that the daemon keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofEntry {
    /// 64 hexadecimal characters.
    pub id: String,
    /// Row and name of its kind.
    pub kind: String,
    /// The name of who is convicted.
    pub member: String,
    /// Its slot.
    pub slot: u16,
    /// Which of its linked identities signed.
    pub identity: u16,
    /// Where in the log; absent for statements outside it.
    pub instance: Option<u64>,
    /// In which turn.
    pub turn: Option<u32>,
    /// The rule that it broke.
    pub rule: String,
    /// Length of the file.
    pub bytes: u64,
}

/// A command is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Witnessed {
    /// The log entry that carries it.
    pub instance: u64,
}

/// Counters of the state machine; since the daemon started unless said otherwise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RsmStats {
    /// Instances decided since the group began.
    pub instances: u64,
    /// Instances decided NULL.
    pub nulls: u64,
    /// Commands applied.
    pub commands: u64,
    /// Bytes of the commands applied.
    pub command_bytes: u64,
    /// Commands in the replicated state since the group began; equal at equal `instances`.
    pub state_commands: u64,
    /// Digest of the replicated state, hexadecimal; equal at equal `instances`.
    pub state_digest: String,
    /// Unprovable wrongs of peers in the state machine since the daemon started.
    pub faults: u64,
    /// Median time from one decision here to the next, milliseconds.
    pub latency_p50_ms: f64,
    /// 99th percentile of the same.
    pub latency_p99_ms: f64,
    /// How many times are behind the percentiles (the newest 4096 at most).
    pub samples: u64,
}

/// Body of every answer that is not a success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiError {
    /// `not_found`, `full`, `not_enough_members`, `timeout`, `corrupt`, `bad_request`, `busy`,
    /// `stopping` or `internal`.
    pub kind: String,
    /// What failed, on which object.
    pub message: String,
    /// The next thing to do.
    pub hint: String,
    /// Members reached, where that is the matter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reached: Option<usize>,
    /// Members needed, where that is the matter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needed: Option<usize>,
}
