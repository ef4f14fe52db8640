//! Fetching a checkpoint: how a member behind a decided cut gets on, when nobody keeps what lies before it.
//!
//! Source: the thesis has no checkpoints; `checkpoint.rs` does. The log says which root `f + 1` members
//! vouched for, so the bytes of a checkpoint need no signature: a peer either has the ones with this root or not.
//!
//! Assumes: the member executes the log, and so knows the cuts that took effect with their roots.
//! Guarantees: 1. what [`Fetch::part`] returns has the decided root; 2. a peer that is silent, or sends other
//! bytes, costs [`PATIENCE_MS`] or one fault, then the next peer is asked, round and round; one of the members that
//! vouched is honest and has it until it settles the next one, whose root the log then gives too;
//! 3. a peer is sent [`PARTS_A_SPAN`] parts in [`SPAN_MS`] at most, whatever it asks.
//! Bounds: one fetch at a time, [`CHECKPOINT_LEN_MAX`] bytes; one encoded checkpoint to serve.

use crate::checkpoint::Checkpoint;
use crate::state::ACCOUNTS_MAX;
use crate::transfer::OWNERS_MAX;
use std::collections::BTreeMap;
use std::sync::Arc;
use types::{Decode, DecodeError, Encode, Hash, Millis, Reader, Slot, Writer};

/// Bytes of one part.
pub const PART_LEN_MAX: usize = 64 * 1024;
/// Bytes of the longest checkpoint: every account shared by as many owners as can be.
pub const CHECKPOINT_LEN_MAX: usize = 32 + ACCOUNTS_MAX * (4 + 16 + 8 + 2 * OWNERS_MAX);
/// Parts of the longest checkpoint.
pub const PARTS_MAX: usize = CHECKPOINT_LEN_MAX.div_ceil(PART_LEN_MAX);
/// A member waits so long for what leads up to a decided cut before it fetches the checkpoint.
pub const FETCH_AFTER_MS: u64 = 3_000;
/// A peer that does not send the next part in this time is passed over.
pub const PATIENCE_MS: u64 = 2_000;
/// The span in which requests of one peer are counted.
pub const SPAN_MS: u64 = 1_000;
/// Parts that one peer is sent in one span: any checkpoint, in one.
pub const PARTS_A_SPAN: usize = PARTS_MAX;

/// What members send each other about checkpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Asks for one part of a checkpoint.
    Want {
        /// Its number.
        number: u64,
        /// From 0.
        part: u16,
    },
    /// One part.
    Part {
        /// The checkpoint's number.
        number: u64,
        /// From 0.
        part: u16,
        /// How many there are.
        parts: u16,
        /// All but the last have [`PART_LEN_MAX`].
        bytes: Arc<[u8]>,
    },
}

/// A checkpoint on its way here.
#[derive(Debug)]
struct Under {
    number: u64,
    root: Hash,
    from: Slot,
    bytes: Vec<u8>,
    parts: u16,
    until: Millis,
}

/// Both sides of fetching at one member.
#[derive(Debug)]
pub struct Fetch {
    me: Slot,
    members: u16,
    /// The last checkpoint here, encoded.
    last: Option<(u64, Arc<[u8]>)>,
    /// When a peer's span began, and the parts that it was sent in it.
    served: BTreeMap<Slot, (Millis, usize)>,
    under: Option<Under>,
}

/// What a part that arrived leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Nothing was asked, or not from this peer.
    Nothing,
    /// This part is asked for next.
    Ask(Slot, Message),
    /// The checkpoint with the decided root.
    Done(Checkpoint),
    /// The peer sent something else; this is asked of the next one.
    Wrong(&'static str, Slot, Message),
}

impl Fetch {
    /// Nothing to serve and nothing asked.
    pub fn new(me: Slot, members: usize) -> Self {
        let (last, served, under) = (None, BTreeMap::new(), None);
        Self { me, members: members as u16, last, served, under }
    }

    /// A checkpoint was settled or adopted here: it is what peers get now.
    pub fn keep(&mut self, checkpoint: &Checkpoint) {
        self.last = Some((checkpoint.number, checkpoint.to_bytes().into()));
        self.under.take_if(|under| under.number <= checkpoint.number);
    }

    /// A peer asks. Silence is all that it gets for what is not here, or comes too often.
    pub fn want(&mut self, now: Millis, from: Slot, number: u64, part: u16) -> Option<Message> {
        let (_, bytes) = self.last.as_ref().filter(|(last, _)| *last == number)?;
        let parts = bytes.len().div_ceil(PART_LEN_MAX);
        if usize::from(part) >= parts || from.0 >= self.members {
            return None;
        }
        let (since, sent) = self.served.entry(from).or_insert((now, 0));
        if now.0 >= since.0.saturating_add(SPAN_MS) {
            (*since, *sent) = (now, 0);
        }
        if *sent >= PARTS_A_SPAN {
            return None;
        }
        *sent += 1;
        let start = usize::from(part) * PART_LEN_MAX;
        let end = bytes.len().min(start + PART_LEN_MAX);
        let bytes = bytes[start..end].into();
        Some(Message::Part { number, part, parts: parts as u16, bytes })
    }

    /// Begins to fetch, unless it is under way. What to ask whom.
    pub fn begin(&mut self, now: Millis, number: u64, root: Hash) -> Option<(Slot, Message)> {
        if self.members < 2 || self.under.as_ref().is_some_and(|under| under.number >= number) {
            return None;
        }
        let from = self.under.as_ref().map_or(self.me, |under| under.from);
        let (bytes, parts, until) = (Vec::new(), 0, now);
        self.under = Some(Under { number, root, from, bytes, parts, until });
        self.next_peer(now)
    }

    /// Gives up a peer that is silent. What to ask whom next.
    pub fn wake(&mut self, now: Millis) -> Option<(Slot, Message)> {
        let late = self.under.as_ref().is_some_and(|under| under.until <= now);
        if late { self.next_peer(now) } else { None }
    }

    /// When [`Fetch::wake`] has something to do.
    pub fn next_wakeup(&self) -> Option<Millis> {
        self.under.as_ref().map(|under| under.until)
    }

    /// Begins again with the next peer in order.
    fn next_peer(&mut self, now: Millis) -> Option<(Slot, Message)> {
        let (me, members) = (self.me, self.members);
        let under = self.under.as_mut()?;
        under.from = Slot((under.from.0 + 1) % members);
        if under.from == me {
            under.from = Slot((me.0 + 1) % members);
        }
        (under.bytes, under.parts, under.until) = (Vec::new(), 0, now.plus(PATIENCE_MS));
        Some((under.from, Message::Want { number: under.number, part: 0 }))
    }

    /// A part arrives.
    pub fn part(&mut self, now: Millis, from: Slot, message: &Message) -> Progress {
        let Message::Part { number, part, parts, bytes } = message else {
            return Progress::Nothing;
        };
        let Some(under) = &mut self.under else { return Progress::Nothing };
        let next = under.bytes.len().div_ceil(PART_LEN_MAX);
        if under.from != from || under.number != *number || usize::from(*part) != next {
            return Progress::Nothing;
        }
        if under.parts == 0 {
            under.parts = *parts;
        }
        let last = *part + 1 == *parts;
        let fits = *parts == under.parts
            && usize::from(*parts) <= PARTS_MAX
            && (bytes.len() == PART_LEN_MAX || last && bytes.len() < PART_LEN_MAX);
        if !fits {
            return self.wrong(now, "a part of a checkpoint that has not its form");
        }
        under.bytes.extend_from_slice(bytes);
        if !last {
            under.until = now.plus(PATIENCE_MS);
            return Progress::Ask(from, Message::Want { number: *number, part: *part + 1 });
        }
        let read = Checkpoint::from_bytes(&under.bytes);
        match read.ok().filter(|it| it.number == under.number && it.root() == under.root) {
            None => self.wrong(now, "a checkpoint that is not the decided one"),
            Some(checkpoint) => {
                self.under = None;
                Progress::Done(checkpoint)
            }
        }
    }

    fn wrong(&mut self, now: Millis, what: &'static str) -> Progress {
        match self.next_peer(now) {
            Some((to, message)) => Progress::Wrong(what, to, message),
            None => Progress::Nothing,
        }
    }
}

impl Encode for Message {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Want { number, part } => {
                out.u8(0);
                out.u64(*number);
                out.u16(*part);
            }
            Self::Part { number, part, parts, bytes } => {
                out.u8(1);
                out.u64(*number);
                out.u16(*part);
                out.u16(*parts);
                out.bytes(bytes);
            }
        }
    }
}

impl Decode for Message {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match input.u8()? {
            0 => Self::Want { number: input.u64()?, part: input.u16()? },
            1 => {
                let (number, part, parts) = (input.u64()?, input.u16()?, input.u16()?);
                let bytes = input.bytes("part of a checkpoint", PART_LEN_MAX)?.into();
                Self::Part { number, part, parts, bytes }
            }
            _ => return Err(DecodeError::Malformed("checkpoint message")),
        })
    }
}

const _: () = assert!(PARTS_MAX <= u16::MAX as usize);
