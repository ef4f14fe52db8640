//! A group of real cores whose network, clock, disks and one faulty member do what a script says.
//!
//! Slot 4 is faulty: a script may alter and sign anew what it sends. What the others send arrives late,
//! never, or again, but as it was sent.

use bart_rsm::message::Value;
use bart_rsm::pom::{Evidence, Pair, Pom};
use bart_rsm::{
    Config, Core, Effect, Input, Message, Now, Params, Proposal, Record, RecordKey, Rules, Step,
};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use types::{
    Decode, Encode, Epoch, GroupId, Hash, Header, Ident, Instance, Kind, Member, Millis, Mode,
    Roster, SecretKey, Signed, SignedPayload, Size, Slot, Stamp, Standing, Turn,
};

/// Members.
pub const NODES: usize = 5;
/// The faulty one.
pub const FAULTY: Slot = Slot(4);
const WALL: u64 = 1_767_225_600_000;
/// Messages on their way, and kept for later repetition.
const FLYING_MAX: usize = 512;

fn key(slot: Slot) -> SecretKey {
    SecretKey::from_seed(Hash::tagged("scripted key", &slot.0.to_le_bytes()).as_bytes())
}

/// The group.
pub fn roster() -> Arc<Roster> {
    let members = (0..NODES as u16)
        .map(|slot| Member {
            identities: vec![key(Slot(slot)).public()],
            active: Ident(0),
            standing: Standing::Live,
        })
        .collect();
    let group = GroupId(Hash::tagged("scripted group", &[]));
    let roster = Roster::new(group, Epoch(0), 1, Mode::QuasiSync, members);
    Arc::new(roster.expect("five members tolerate one faulty"))
}

fn config(slot: Slot, pipeline: u64) -> Config {
    let params = Params {
        v_max: types::limits::PROPOSAL_LEN_MIN,
        t0_min_ms: 1_000,
        t0_max_ms: 8_000,
        gamma_ms: 500,
        resend_max_ms: 4_000,
        pipeline,
        ..Params::default()
    };
    // Every core verifies the same signatures; the verdict follows from the bytes.
    let rules = Rules::default().with_shared_verdicts();
    Config { roster: roster(), slot, ident: Ident(0), params, rules }
}

/// A member's configuration and key.
pub fn member(slot: Slot) -> (Config, SecretKey) {
    (config(slot, 1), key(slot))
}

/// Applies one function to the signed core of a message.
macro_rules! with_core {
    ($message:expr, $m:ident => $do:expr) => {
        match $message {
            Message::SetTurn($m) => Some($do),
            Message::Read($m) => Some($do),
            Message::ReadAck($m) => Some($do),
            Message::Agree($m) => Some($do),
            Message::AgreeLater($m) => Some($do),
            Message::AgreeAck($m) => Some($do),
            Message::Write($m) => Some($do),
            Message::WriteAck($m) => Some($do),
            Message::ShowQuorum($m) => Some($do),
            Message::ShowDecision($m) => Some($do),
            Message::ReportDecision($m) => Some($do),
            Message::Penance($m) => Some($do),
            Message::Wake($m) => Some($do),
            _ => None,
        }
    };
}

/// Signs as the faulty member.
fn sign<P: SignedPayload>(header: Header, payload: P) -> Signed<P> {
    let header = Header { slot: FAULTY, ident: Ident(0), ..header };
    Signed::new(&key(FAULTY), &roster().group(), header, payload).into_inner()
}

/// A message of the faulty member with some bytes changed and signed anew; none if that is no message.
pub fn forge(message: &Message, at: u16, change: u8) -> Option<Message> {
    let mut bytes = message.to_bytes();
    let at = usize::from(at) % bytes.len();
    bytes[at] ^= change;
    let mut forged = Message::from_bytes(&bytes).ok()?;
    if let Message::Agree(agree) = &mut forged {
        let Value { statement, body } = (*agree.value).clone();
        let payload = bart_rsm::message::ValueStatement {
            body: Hash::of(&body),
            len: Size(body.len() as u64),
        };
        let statement = sign(statement.header, payload);
        let (header, group) = (statement.header, roster().group());
        let value = bart_rsm::message::value_digest;
        agree.core.payload.value = value(group, Epoch(0), header.inst, FAULTY, &payload);
        agree.value = Arc::new(Value { statement, body });
    }
    with_core!(&mut forged, m => m.core = sign(m.core.header, m.core.payload));
    Some(forged)
}

/// A message with its author and addressee.
pub type Post = (Slot, Slot, Message);

/// See the module.
pub struct Group {
    pipeline: u64,
    cores: Vec<Core>,
    disks: Vec<BTreeMap<RecordKey, Vec<u8>>>,
    /// On their way.
    pub flying: Vec<Post>,
    /// Sent some time ago.
    pub kept: Vec<Post>,
    now_ms: u64,
    log: BTreeMap<Instance, Hash>,
    said: BTreeMap<(Slot, Instance, Turn, Kind), Hash>,
}

impl Group {
    /// A group with all links up.
    pub fn new(pipeline: u64) -> Self {
        let mut group = Self {
            pipeline,
            cores: Vec::new(),
            disks: vec![BTreeMap::new(); NODES],
            flying: Vec::new(),
            kept: Vec::new(),
            now_ms: 0,
            log: BTreeMap::new(),
            said: BTreeMap::new(),
        };
        for slot in (0..NODES as u16).map(Slot) {
            let core = Core::new(config(slot, pipeline), key(slot)).expect("a sound member");
            group.cores.push(core);
        }
        for slot in (0..NODES as u16).map(Slot) {
            group.begin(slot);
        }
        group
    }

    fn begin(&mut self, slot: Slot) {
        let now = self.now();
        let step = self.cores[usize::from(slot.0)].start(now);
        self.carry_out(slot, step, true);
        for peer in (0..NODES as u16).map(Slot).filter(|peer| *peer != slot) {
            self.input(slot, Input::LinkUp(peer), true);
        }
    }

    fn now(&self) -> Now {
        Now { mono: Millis(self.now_ms), wall: Stamp(WALL + self.now_ms) }
    }

    /// Gives a member an input. `pure` says that it comes from an honest member as it was sent.
    pub fn input(&mut self, slot: Slot, input: Input, pure: bool) {
        let now = self.now();
        let step = self.cores[usize::from(slot.0)].handle(now, input);
        self.carry_out(slot, step, pure);
    }

    /// Delivers a message.
    pub fn deliver(&mut self, (from, to, message): Post) {
        self.input(to, Input::Message { from, message }, from != FAULTY);
    }

    /// Lets time pass, and wakes everybody.
    pub fn pass(&mut self, ms: u64) {
        self.now_ms += ms;
        for slot in (0..NODES as u16).map(Slot) {
            self.input(slot, Input::Tick, true);
        }
    }

    /// A link breaks and comes up again.
    pub fn relink(&mut self, a: Slot, b: Slot) {
        self.flying.retain(|(from, to, _)| (*from, *to) != (a, b) && (*from, *to) != (b, a));
        for (slot, peer) in [(a, b), (b, a)] {
            self.input(slot, Input::LinkDown(peer), true);
        }
        for (slot, peer) in [(a, b), (b, a)] {
            self.input(slot, Input::LinkUp(peer), true);
        }
    }

    /// A member loses its memory and starts from its disk.
    pub fn restart(&mut self, slot: Slot) {
        let disk = &self.disks[usize::from(slot.0)];
        let records = disk.iter().map(|(key, value)| Record { key: *key, value: value.clone() });
        let core = Core::restore(config(slot, self.pipeline), key(slot), records);
        self.cores[usize::from(slot.0)] = core.expect("what was made durable restores");
        self.flying.retain(|(from, to, _)| *from != slot && *to != slot);
        for peer in (0..NODES as u16).map(Slot).filter(|peer| *peer != slot) {
            self.input(peer, Input::LinkDown(slot), true);
        }
        self.begin(slot);
        for peer in (0..NODES as u16).map(Slot).filter(|peer| *peer != slot) {
            self.input(peer, Input::LinkUp(slot), true);
        }
    }

    fn carry_out(&mut self, slot: Slot, step: Step, pure: bool) {
        let honest = slot != FAULTY;
        for (peer, fault) in &step.faults {
            let blamed = honest && *peer != FAULTY && pure && fault.is_misbehavior();
            assert!(!blamed, "{slot} blames {peer}, which is honest: {fault}");
        }
        for effect in step.effects {
            match effect {
                Effect::Persist(record) => {
                    self.disks[usize::from(slot.0)].insert(record.key, record.value);
                }
                Effect::Erase { from, to } => {
                    let disk = &mut self.disks[usize::from(slot.0)];
                    disk.retain(|key, _| match key {
                        RecordKey::Log | RecordKey::Epoch(_) => true,
                        RecordKey::Instance(no) | RecordKey::Body(no, _) => *no < from || *no >= to,
                    });
                }
                Effect::Load(key) => {
                    let value = self.disks[usize::from(slot.0)].get(&key).cloned();
                    let input = match value {
                        Some(value) => Input::Loaded(Record { key, value }),
                        None => Input::LoadMissing(key),
                    };
                    self.input(slot, input, pure);
                }
                Effect::Send { to, message } => self.send(slot, to, message),
                Effect::Apply { inst, proposal, .. } if honest => {
                    let bytes = proposal.map_or(vec![], |proposal| Proposal::to_bytes(&proposal));
                    let digest = Hash::of(&bytes);
                    let known = *self.log.entry(inst).or_insert(digest);
                    assert_eq!(known, digest, "{slot} applies something else in {inst}");
                }
                Effect::Alarm(alarm) => assert!(!honest, "{slot} raises an alarm: {alarm}"),
                _ => {}
            }
        }
        let stats = self.cores[usize::from(slot.0)].stats();
        let budget = (NODES - 1) * (4 * types::limits::PROPOSAL_LEN_MIN + 64 * 1024);
        assert!(stats.parked_bytes <= budget, "{slot} parks {} bytes", stats.parked_bytes);
    }

    fn send(&mut self, from: Slot, to: Slot, message: Message) {
        if from != FAULTY
            && let Some(digest) = with_core!(&message, m => m.core.digest())
        {
            let place = (from, message.inst(), message.turn(), message.kind());
            let known = *self.said.entry(place).or_insert(digest);
            assert_eq!(known, digest, "{from} signs twice: {place:?}");
        }
        if self.flying.len() == FLYING_MAX {
            self.flying.remove(0);
        }
        self.flying.push((from, to, message));
    }

    /// Takes a message off the network; later it may come again.
    pub fn take(&mut self, at: u8) -> Option<Post> {
        let at = usize::from(at) % self.flying.len().max(1);
        let post = (at < self.flying.len()).then(|| self.flying.remove(at))?;
        if self.kept.len() < FLYING_MAX {
            self.kept.push(post.clone());
        }
        Some(post)
    }

    /// Delivers everything in order, for a number of messages.
    pub fn run(&mut self, messages: usize) {
        for _ in 0..messages {
            match self.take(0) {
                Some(post) => self.deliver(post),
                None => return,
            }
        }
    }
}

/// A run with a later turn in it: the first sender is not heard.
fn sample() -> Group {
    let mut group = Group::new(1);
    group.flying.retain(|(from, _, _)| *from != Slot(0));
    group.pass(1_000);
    group.run(400);
    group.pass(2_000);
    group.restart(Slot(3));
    group.run(400);
    group
}

/// One message of each kind that a run brings, with little padding.
pub fn messages() -> Vec<Message> {
    let mut found: BTreeMap<(Kind, bool), Message> = BTreeMap::new();
    for (_, _, message) in &sample().kept {
        found.entry((message.kind(), message.turn().0 > 0)).or_insert_with(|| message.clone());
    }
    found.into_values().collect()
}

/// The durable records of a member.
pub fn records() -> Vec<Record> {
    static RECORDS: OnceLock<Vec<Record>> = OnceLock::new();
    let make = || {
        let disk = sample().disks.swap_remove(1);
        disk.into_iter().map(|(key, value)| Record { key, value }).collect()
    };
    RECORDS.get_or_init(make).clone()
}

/// A proof that does not verify: both statements are the faulty member's, but one is not signed.
pub fn pom() -> Vec<u8> {
    let header = Header {
        kind: Kind::Value,
        epoch: Epoch(0),
        inst: Instance(4),
        turn: Turn(0),
        slot: FAULTY,
        ident: Ident(0),
    };
    let stated = |len| bart_rsm::message::ValueStatement { body: Hash::of(b"x"), len: Size(len) };
    let (first, mut second) = (sign(header, stated(1)), sign(header, stated(2)));
    second.signature.0[0] ^= 1;
    let evidence = Evidence::SenderEquivocation(Pair::new(first, second));
    Pom::new(roster().group(), evidence).to_bytes()
}
