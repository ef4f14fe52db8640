//! The rules that all members of a group share. They are hashed into the group id, so that two
//! members with different rules are in different groups by construction.

use crate::group_toml;
use crate::refuse::ConfigError;
use types::limits::{CHUNKS_MAX, PROPOSAL_LEN_DEFAULT, PROPOSAL_LEN_MAX, PROPOSAL_LEN_MIN};
use types::{Decode, DecodeError, Encode, Mode, Quorum, QuorumError, Reader, Writer};

/// Milliseconds of a day.
pub const DAY_MS: u64 = 24 * 3600 * 1000;
/// The longest span that a group may set anywhere: ten years.
pub const SPAN_MS_MAX: u64 = 3650 * DAY_MS;
/// The smallest quota: less would not hold one pack of the snapshot layer.
pub const QUOTA_BYTES_MIN: u64 = 64 << 20;
/// The largest quota: sums over all members stay far below `u64::MAX`.
pub const QUOTA_BYTES_MAX: u64 = 1 << 50;

/// Most instances at a time: half of the largest group.
pub const PIPELINE_MAX: usize = types::limits::MEMBERS_MAX / 2;

const _: () = assert!(SPAN_MS_MAX < u64::MAX / 1024);
const _: () = assert!(QUOTA_BYTES_MAX < u64::MAX / types::limits::MEMBERS_MAX as u64);

/// Time bounds, all in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Smallest base of the turn timer (`T0_min`, 3.7). Default 10 s. Below the real delay between
    /// members, turns end before their leader can act.
    pub t0_min_ms: u64,
    /// Largest base of the turn timer (`T0_max`). Default 10 min.
    pub t0_max_ms: u64,
    /// First pace of an idle sender (`IDLE_1`, 5.3). Default 1 s.
    pub idle_first_ms: u64,
    /// Slowest pace of an idle sender (`IDLE_MAX`). Default 60 s.
    pub idle_max_ms: u64,
    /// Give-up bound of a link (`Gamma`, 4.3). Default 30 s.
    pub gamma_ms: u64,
    /// Coarse bound on an answer (`max_response`). Default 7 days. Shorter than the longest
    /// outage that members should survive without being listed is dangerous.
    pub max_response_ms: u64,
    /// Longest pause between resends and redials of a link (4.3). Default 10 min.
    pub resend_max_ms: u64,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            t0_min_ms: 10_000,
            t0_max_ms: 600_000,
            idle_first_ms: 1_000,
            idle_max_ms: 60_000,
            gamma_ms: 30_000,
            max_response_ms: 7 * DAY_MS,
            resend_max_ms: 600_000,
        }
    }
}

/// Storage rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Storage {
    /// Chunks of an object, each on a member of its own (`x`). `None` means all others, `n - 1`.
    pub chunks: Option<usize>,
    /// Chunk bytes that each member may have stored at the others, and stores for them in return.
    /// Default 100 GiB.
    pub quota_bytes: u64,
    /// How long a chunk is promised without renewal. Default 30 days.
    pub lease_ms: u64,
    /// Bound on the difference between two members' clocks. Default 1 day.
    pub skew_ms: u64,
}

impl Default for Storage {
    fn default() -> Self {
        Self { chunks: None, quota_bytes: 100 << 30, lease_ms: 30 * DAY_MS, skew_ms: DAY_MS }
    }
}

/// Rules of assigned work: what the group makes members answer (specification 6). The bound on an answer itself is
/// [`Timing::max_response_ms`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    /// Whether the group assigns work at all. Default off.
    pub enabled: bool,
    /// What a requester waits beyond the witnesses' own wait. Default 1 hour.
    pub margin_ms: u64,
    /// `L_rot`: bound on one rotation in synchrony; only inside long deadlines. Default 1 day.
    pub rotation_ms: u64,
    /// `T_open`: how long a vow is open at least. Default 1 day.
    pub open_ms: u64,
    /// How long a request may be asked for after it was stated; answers are remembered so long. Default 90 days.
    pub request_life_ms: u64,
    /// One period of the quota. Default 7 days.
    pub quota_period_ms: u64,
    /// Bytes that a member may ask for in a period. `None` means twice the storage quota (specification 6.4).
    pub quota_bytes: Option<u64>,
    /// Bytes of mandatory commands in a period, for which nobody is charged. Default 64 MiB.
    pub mandatory_bytes: u64,
}

impl Default for Work {
    fn default() -> Self {
        Self {
            enabled: false,
            margin_ms: DAY_MS / 24,
            rotation_ms: DAY_MS,
            open_ms: DAY_MS,
            request_life_ms: 90 * DAY_MS,
            quota_period_ms: 7 * DAY_MS,
            quota_bytes: None,
            mandatory_bytes: 64 << 20,
        }
    }
}

/// Everything that a group sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupPolicy {
    pub(crate) timing: Timing,
    pub(crate) byzantine_max: Option<usize>,
    pub(crate) mode: Mode,
    pub(crate) proposal_len_max: usize,
    pub(crate) pipeline: usize,
    pub(crate) storage: Storage,
    pub(crate) work: Work,
}

/// What follows from a policy for a number of members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// n, f and q.
    pub quorum: Quorum,
    /// Chunks of an object (`x`); any `x - f` of them restore it.
    pub chunks: usize,
}

impl Sizes {
    /// Members.
    pub fn n(&self) -> usize {
        self.quorum.n()
    }

    /// Byzantine members tolerated.
    pub fn f(&self) -> usize {
        self.quorum.f()
    }

    /// Chunks that suffice to restore an object (`x - f`).
    pub fn needed(&self) -> usize {
        self.chunks - self.quorum.f()
    }
}

/// Why a policy does not fit a number of members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SizesError {
    /// `n < 3f + 2`, or too many members.
    #[error(transparent)]
    Quorum(#[from] QuorumError),
    /// `f < x <= n - 1` does not hold.
    #[error("storage.chunks = {chunks} does not fit {n} members of which {f} may be Byzantine: it must be {} to {}", f + 1, n - 1)]
    Chunks {
        /// The policy's `x`.
        chunks: usize,
        /// Members.
        n: usize,
        /// Byzantine members tolerated.
        f: usize,
    },
    /// More instances at a time than half of the members.
    #[error("group.pipeline = {pipeline} does not fit {n} members: it must be 1, or at most {}", n / 2)]
    Pipeline {
        /// The policy's `W`.
        pipeline: usize,
        /// Members.
        n: usize,
    },
}

impl Default for GroupPolicy {
    fn default() -> Self {
        Self {
            timing: Timing::default(),
            byzantine_max: None,
            mode: Mode::QuasiSync,
            proposal_len_max: PROPOSAL_LEN_DEFAULT,
            pipeline: 1,
            storage: Storage::default(),
            work: Work::default(),
        }
    }
}

impl GroupPolicy {
    /// Reads and validates a policy file. Every key may be left out.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        group_toml::parse(text)
    }

    /// The same policy as a file with every value spelled out.
    pub fn to_toml(&self) -> String {
        group_toml::print(self)
    }

    /// Time bounds.
    pub fn timing(&self) -> &Timing {
        &self.timing
    }

    /// The policy's own `f`, if it names one.
    pub fn byzantine_max(&self) -> Option<usize> {
        self.byzantine_max
    }

    /// Which quorum size is used.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Bytes of the largest encoded proposal (`V_MAX`).
    pub fn proposal_len_max(&self) -> usize {
        self.proposal_len_max
    }

    /// Instances that run at the same time (`W`, 5.4). Default 1. More than 1 raises throughput over
    /// slow links; a member that shirks is then shut out `W` instances later.
    pub fn pipeline(&self) -> usize {
        self.pipeline
    }

    /// Storage rules.
    pub fn storage(&self) -> &Storage {
        &self.storage
    }

    /// Rules of assigned work.
    pub fn work(&self) -> &Work {
        &self.work
    }

    /// Checks `n >= 3f + 2` and `f < x <= n - 1` for `n` members, and says f, q and x.
    pub fn sizes(&self, n: usize) -> Result<Sizes, SizesError> {
        let f = self.byzantine_max.unwrap_or_else(|| Quorum::largest_f(n));
        let quorum = Quorum::new(n, f, self.mode)?;
        let chunks = self.storage.chunks.unwrap_or(n - 1);
        if chunks <= f || chunks > n - 1 {
            return Err(SizesError::Chunks { chunks, n, f });
        }
        if self.pipeline > 1 && self.pipeline > n / 2 {
            return Err(SizesError::Pipeline { pipeline: self.pipeline, n });
        }
        Ok(Sizes { quorum, chunks })
    }

    /// The relations that hold whatever the number of members. A policy that was decoded is
    /// checked by the same code as one that was read from a file.
    pub(crate) fn check(&self) -> Result<(), (&'static str, String)> {
        let timing = &self.timing;
        check_timing(timing)?;
        if !(PROPOSAL_LEN_MIN..=PROPOSAL_LEN_MAX).contains(&self.proposal_len_max) {
            let range = format!("must be {PROPOSAL_LEN_MIN} to {PROPOSAL_LEN_MAX} bytes");
            return Err(("group.proposal_len_max", range));
        }
        if self.pipeline == 0 || self.pipeline > PIPELINE_MAX {
            return Err(("group.pipeline", format!("must be 1 to {PIPELINE_MAX}")));
        }
        if self.byzantine_max.is_some_and(|f| f > Quorum::largest_f(types::limits::MEMBERS_MAX)) {
            let most = Quorum::largest_f(types::limits::MEMBERS_MAX);
            return Err(("group.byzantine_max", format!("must be at most {most}")));
        }
        let storage = &self.storage;
        if let Some(chunks) = storage.chunks {
            if chunks == 0 || chunks > CHUNKS_MAX {
                return Err(("storage.chunks", format!("must be 1 to {CHUNKS_MAX}")));
            }
            if self.byzantine_max.is_some_and(|f| chunks <= f) {
                return Err(("storage.chunks", "must be larger than group.byzantine_max".into()));
            }
        }
        if !(QUOTA_BYTES_MIN..=QUOTA_BYTES_MAX).contains(&storage.quota_bytes) {
            return Err(("storage.quota_bytes", "must be 64 MiB to 1 PiB".into()));
        }
        if storage.lease_ms < 1000 || storage.lease_ms > SPAN_MS_MAX {
            return Err(("storage.lease_ms", "must be one second to ten years".into()));
        }
        if storage.skew_ms >= storage.lease_ms {
            return Err(("storage.skew_ms", "must be shorter than the lease".into()));
        }
        check_work(self)
    }
}

fn check_work(policy: &GroupPolicy) -> Result<(), (&'static str, String)> {
    let work = &policy.work;
    let spans = [
        ("work.margin_ms", work.margin_ms),
        ("work.rotation_ms", work.rotation_ms),
        ("work.open_ms", work.open_ms),
        ("work.request_life_ms", work.request_life_ms),
        ("work.quota_period_ms", work.quota_period_ms),
    ];
    for (key, span) in spans {
        if span == 0 || span > SPAN_MS_MAX {
            return Err((key, format!("must be 1 to {SPAN_MS_MAX} milliseconds")));
        }
    }
    if work.quota_bytes.is_some_and(|bytes| bytes == 0 || bytes > 2 * QUOTA_BYTES_MAX) {
        return Err(("work.quota_bytes", "must be at most 2 PiB, and above zero".into()));
    }
    if work.mandatory_bytes > QUOTA_BYTES_MAX {
        return Err(("work.mandatory_bytes", "must be at most 1 PiB".into()));
    }
    if !work.enabled {
        return Ok(());
    }
    // Answers must be remembered for as long as a vow over them can take: two rotations, the wait for witnesses, the
    // time that it is open.
    let response = policy.timing.max_response_ms;
    let vow = 2 * work.rotation_ms + 2 * response + work.margin_ms + work.open_ms;
    if work.request_life_ms < vow {
        let message =
            format!("{} must not be smaller than {vow}, what a vow takes", work.request_life_ms);
        return Err(("work.request_life_ms", message));
    }
    if policy.pipeline != 1 {
        return Err(("group.pipeline", "must be 1 where work is assigned".into()));
    }
    Ok(())
}

fn check_timing(timing: &Timing) -> Result<(), (&'static str, String)> {
    let spans = [
        ("timing.t0_min_ms", timing.t0_min_ms),
        ("timing.t0_max_ms", timing.t0_max_ms),
        ("timing.idle_first_ms", timing.idle_first_ms),
        ("timing.idle_max_ms", timing.idle_max_ms),
        ("timing.gamma_ms", timing.gamma_ms),
        ("timing.max_response_ms", timing.max_response_ms),
        ("timing.resend_max_ms", timing.resend_max_ms),
    ];
    for (key, span) in spans {
        if span == 0 || span > SPAN_MS_MAX {
            return Err((key, format!("must be 1 to {SPAN_MS_MAX} milliseconds")));
        }
    }
    let order = [
        ("timing.t0_max_ms", timing.t0_min_ms, timing.t0_max_ms, "timing.t0_min_ms"),
        ("timing.idle_max_ms", timing.idle_first_ms, timing.idle_max_ms, "timing.idle_first_ms"),
        ("timing.resend_max_ms", timing.gamma_ms, timing.resend_max_ms, "timing.gamma_ms"),
        ("timing.max_response_ms", timing.gamma_ms, timing.max_response_ms, "timing.gamma_ms"),
    ];
    for (key, small, large, other) in order {
        if large < small {
            return Err((key, format!("{large} must not be smaller than {other} = {small}")));
        }
    }
    Ok(())
}

/// Which form of the policy's encoding follows.
const POLICY_VERSION: u8 = 3;

impl Encode for GroupPolicy {
    fn encode(&self, out: &mut Writer) {
        out.u8(POLICY_VERSION);
        let timing = &self.timing;
        out.u64(timing.t0_min_ms);
        out.u64(timing.t0_max_ms);
        out.u64(timing.idle_first_ms);
        out.u64(timing.idle_max_ms);
        out.u64(timing.gamma_ms);
        out.u64(timing.max_response_ms);
        out.u64(timing.resend_max_ms);
        encode_option(out, self.byzantine_max);
        out.u8(match self.mode {
            Mode::Async => 0,
            Mode::QuasiSync => 1,
        });
        out.u32(self.proposal_len_max as u32);
        out.u8(self.pipeline as u8);
        encode_option(out, self.storage.chunks);
        out.u64(self.storage.quota_bytes);
        out.u64(self.storage.lease_ms);
        out.u64(self.storage.skew_ms);
        let work = &self.work;
        out.u8(u8::from(work.enabled));
        out.u64(work.margin_ms);
        out.u64(work.rotation_ms);
        out.u64(work.open_ms);
        out.u64(work.request_life_ms);
        out.u64(work.quota_period_ms);
        // 0 is no legal quota, so it can stand for none.
        out.u64(work.quota_bytes.unwrap_or(0));
        out.u64(work.mandatory_bytes);
    }
}

impl Decode for GroupPolicy {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        if input.u8()? != POLICY_VERSION {
            return Err(DecodeError::Malformed("policy version"));
        }
        let timing = Timing {
            t0_min_ms: input.u64()?,
            t0_max_ms: input.u64()?,
            idle_first_ms: input.u64()?,
            idle_max_ms: input.u64()?,
            gamma_ms: input.u64()?,
            max_response_ms: input.u64()?,
            resend_max_ms: input.u64()?,
        };
        let byzantine_max = decode_option(input)?;
        let mode = match input.u8()? {
            0 => Mode::Async,
            1 => Mode::QuasiSync,
            _ => return Err(DecodeError::Malformed("mode")),
        };
        let proposal_len_max = input.u32()? as usize;
        let pipeline = usize::from(input.u8()?);
        let storage = Storage {
            chunks: decode_option(input)?,
            quota_bytes: input.u64()?,
            lease_ms: input.u64()?,
            skew_ms: input.u64()?,
        };
        let work = Work {
            enabled: match input.u8()? {
                0 => false,
                1 => true,
                _ => return Err(DecodeError::Malformed("flag")),
            },
            margin_ms: input.u64()?,
            rotation_ms: input.u64()?,
            open_ms: input.u64()?,
            request_life_ms: input.u64()?,
            quota_period_ms: input.u64()?,
            quota_bytes: Some(input.u64()?).filter(|bytes| *bytes > 0),
            mandatory_bytes: input.u64()?,
        };
        let policy =
            Self { timing, byzantine_max, mode, proposal_len_max, pipeline, storage, work };
        policy.check().map_err(|(key, _)| DecodeError::Malformed(key))?;
        Ok(policy)
    }
}

fn encode_option(out: &mut Writer, value: Option<usize>) {
    // Both options are checked to be at most MEMBERS_MAX before a policy exists.
    out.put(&value.map(|value| types::Slot(value as u16)));
}

fn decode_option(input: &mut Reader<'_>) -> Result<Option<usize>, DecodeError> {
    Ok(input.get::<Option<types::Slot>>()?.map(|value| usize::from(value.0)))
}
