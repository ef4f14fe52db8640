//! Every deviation that a rational member can try: rows marked R of specification 9.1 to 9.12.
//!
//! Guarantees: each row says which step of Table 1 it belongs to, what is expected to follow, and how it
//! is played. Rows that are legal behaviour, that belong to another level, or that are an input of another
//! experiment are listed with the reason, so that the list is complete.

use super::alter;
use super::play::{Act, Place, Play, Redial, Rule, Until, Victim};
use bart_rsm::{Selfish, Slant};
use types::{Kind, Mode};

/// A column of Table 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Column {
    /// The message is not sent.
    NotSent,
    /// Something else is sent.
    Different,
    /// It is sent at another time.
    OtherTime,
}

impl Column {
    /// As the paper heads it.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotSent => "not sent",
            Self::Different => "different",
            Self::OtherTime => "other time",
        }
    }
}

/// What is expected to happen to a deviator (the last column of section 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Consequence {
    /// BUB, and LIST if it lasts: somebody is owed something and waits for it.
    Bubble,
    /// PEN: it pays.
    Penance,
    /// DROP: the message is refused or ignored, and noted.
    Drop,
    /// NULL: its own proposal is lost.
    Null,
    /// A proof of misbehavior.
    Pom,
}

impl Consequence {
    /// As section 9 abbreviates it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bubble => "BUB",
            Self::Penance => "PEN",
            Self::Drop => "DROP",
            Self::Null => "NULL",
            Self::Pom => "POM",
        }
    }
}

/// One strategy: a row with its parameters.
#[derive(Debug, Clone)]
pub struct Strategy {
    /// The row's name in section 9; two names joined by `+` for a pair.
    pub row: String,
    /// The parameters.
    pub variant: String,
    /// The step of Table 1.
    pub step: &'static str,
    /// Its column.
    pub column: Column,
    /// What it does at the queue boundary.
    pub play: Play,
    /// What it does inside.
    pub selfish: Selfish,
    /// The mode of the group that it is tried in.
    pub mode: Mode,
    /// What must follow whenever the strategy acts often enough.
    pub must: Vec<Consequence>,
    /// What may follow besides.
    pub may: Vec<Consequence>,
    /// Why the row cannot be measured yet: the rule that it is about is not built. It is not played.
    pub unbuilt: Option<&'static str>,
}

impl Strategy {
    /// Whether it changes something inside that acts always. Lenience only goes with what is kept back.
    pub fn acts_inside(&self) -> bool {
        let alone = self.play.rules.is_empty();
        self.selfish != Selfish { lenient: self.selfish.lenient && !alone, ..Selfish::default() }
    }

    /// Row and parameters.
    pub fn name(&self) -> String {
        match self.variant.is_empty() {
            true => self.row.clone(),
            false => format!("{} {}", self.row, self.variant),
        }
    }
}

/// A row that is not played here.
pub struct Elsewhere {
    /// Its name.
    pub row: &'static str,
    /// Where it is dealt with, or why it needs no play.
    pub why: &'static str,
}

/// Rows marked R without a play of their own.
pub const ELSEWHERE: &[Elsewhere] = &[
    Elsewhere { row: "RD-T3", why: "legal: the core itself reads as soon as it has a proof" },
    Elsewhere { row: "RS-2", why: "legal: the core itself waits the full idle pace" },
    Elsewhere {
        row: "SQ-D2",
        why: "needs a failing vector beside a good one; `sim run`, adversary of this row",
    },
    Elsewhere {
        row: "UN-D4",
        why: "published marks are subtracted inside the core; at most U_CARRY extra, unit test in bart-rsm",
    },
    Elsewhere {
        row: "RS-7",
        why: "commands of other members' origin (POM, Activate) have no stake in this experiment",
    },
    Elsewhere { row: "RS-8", why: "quotas are level 1" },
];

/// What the rows about badlists wait for.
pub const LISTING: &str =
    "listings have no effect: badlists, discharge and suspension (5.6) are not built";

/// A choice of parameters that specification 10.3 names and that has no occasion.
pub const IMPOSSIBLE: &[Elsewhere] = &[Elsewhere {
    row: "ST-N1 to the next sender",
    why: "as a leader it is the last in the rotation and leads in turn n - 1 for the first time, which no sample reaches; the leader of turn 1 takes its place",
}];

const VOTES: &[Kind] = &[Kind::AgreeAck];
const WRITE_ACKS: &[Kind] = &[Kind::WriteAck];
const SET_TURN: &[Kind] = &[Kind::SetTurn];
const READ: &[Kind] = &[Kind::Read];
const READ_ACK: &[Kind] = &[Kind::ReadAck];
const AGREE: &[Kind] = &[Kind::Agree];
const WRITE: &[Kind] = &[Kind::Write];
const SHOW_QUORUM: &[Kind] = &[Kind::ShowQuorum];
const SHOW_DECISION: &[Kind] = &[Kind::ShowDecision];
const REPORT: &[Kind] = &[Kind::ReportDecision];
const PENANCE: &[Kind] = &[Kind::Penance];
const CATCHUP: &[Kind] = &[Kind::Catchup];
const RESUME: &[Kind] = &[Kind::Resume];

/// One strategy of each row, the lenient one if there is one.
pub fn representatives(all: &[Strategy]) -> Vec<Strategy> {
    let mut found: Vec<Strategy> = Vec::new();
    for strategy in all.iter().filter(|s| !s.variant.contains("p=0.1") && s.unbuilt.is_none()) {
        match found.iter_mut().find(|known| known.row == strategy.row) {
            None => found.push(strategy.clone()),
            Some(known) if strategy.variant == "p=1 lenient" => *known = strategy.clone(),
            Some(_) => {}
        }
    }
    found
}

/// Collects strategies.
struct Table(Vec<Strategy>);

/// Where in Table 1 the next rows belong.
#[derive(Clone, Copy)]
struct Cell(&'static str, Column);

const BUB: &[Consequence] = &[Consequence::Bubble];
const BUB_DROP: &[Consequence] = &[Consequence::Bubble, Consequence::Drop];
const NONE: &[Consequence] = &[];

impl Table {
    fn add(&mut self, row: &str, variant: String, cell: Cell, play: Play, must: &[Consequence]) {
        use Consequence::{Bubble, Drop, Null, Penance};
        self.0.push(Strategy {
            row: row.into(),
            variant,
            step: cell.0,
            column: cell.1,
            play,
            selfish: Selfish::default(),
            mode: Mode::QuasiSync,
            must: must.to_vec(),
            may: vec![Bubble, Penance, Drop, Null],
            unbuilt: None,
        });
    }

    fn inside(&mut self, row: &str, variant: &str, cell: Cell, selfish: Selfish) {
        self.add(row, variant.into(), cell, Play::default(), NONE);
        if let Some(strategy) = self.0.last_mut() {
            strategy.selfish = selfish;
        }
    }

    /// Always, and once in ten times.
    fn with_chances(
        &mut self,
        row: &str,
        variant: &str,
        cell: Cell,
        rule: Rule,
        must: &[Consequence],
    ) {
        // A core that believes it sent something waits for the answer and closes its own gate. Whoever
        // keeps things back on purpose does better not to wait.
        for (per_mille, lenient, p) in
            [(1000, false, "p=1"), (1000, true, "p=1 lenient"), (100, true, "p=0.1 lenient")]
        {
            let variant = [p, variant].join(" ").trim().to_owned();
            let play = Play::one(Rule { per_mille, ..rule });
            self.add(row, variant, cell, play, must);
            if let Some(strategy) = self.0.last_mut() {
                strategy.selfish.lenient = lenient;
            }
        }
    }

    fn skip(&mut self, row: &str, step: &'static str, kinds: &'static [Kind], place: Place) {
        let cell = Cell(step, Column::NotSent);
        let rule = Rule { kinds, place, victim: Victim::All, act: Act::Skip, per_mille: 1000 };
        self.with_chances(row, "", cell, rule, BUB);
        let fixed = Rule { victim: Victim::Fixed, ..rule };
        self.with_chances(row, "to one", cell, fixed, BUB);
    }

    fn delay(
        &mut self,
        row: &str,
        step: &'static str,
        kinds: &'static [Kind],
        place: Place,
        ms: &[u64],
    ) {
        for ms in ms {
            let cell = Cell(step, Column::OtherTime);
            let act = Act::Delay(*ms);
            let rule = Rule { kinds, place, victim: Victim::All, act, per_mille: 1000 };
            self.add(row, format!("{ms} ms"), cell, Play::one(rule), NONE);
        }
    }

    fn alter(
        &mut self,
        row: &str,
        step: &'static str,
        rule: (&'static [Kind], Place, Act),
        must: &[Consequence],
    ) {
        let (kinds, place, act) = rule;
        let cell = Cell(step, Column::Different);
        let rule = Rule { kinds, place, victim: Victim::All, act, per_mille: 1000 };
        self.with_chances(row, "", cell, rule, must);
    }
}

/// All strategies of single rows.
pub fn all() -> Vec<Strategy> {
    let mut table = Table(Vec::new());
    set_turn(&mut table);
    read(&mut table);
    agree(&mut table);
    votes(&mut table);
    outcomes(&mut table);
    marks(&mut table);
    queue(&mut table);
    // Both lie about what was accepted or known, which fits together with what was said before.
    for strategy in table.0.iter_mut().filter(|s| s.row == "RA-D1" || s.row == "WA-D1") {
        strategy.may.push(Consequence::Pom);
    }
    table.0
}

fn rule(kinds: &'static [Kind], place: Place, victim: Victim, act: Act) -> Rule {
    Rule { kinds, place, victim, act, per_mille: 1000 }
}

/// 9.1.
fn set_turn(table: &mut Table) {
    let step = "set-turn";
    let (not, other, time) =
        (Cell(step, Column::NotSent), Cell(step, Column::Different), Cell(step, Column::OtherTime));
    for (victim, name) in [
        (Victim::Fixed, "to one"),
        (Victim::Random, "to a random one"),
        (Victim::Leader(1), "to the leader of turn 1"),
    ] {
        let skip = rule(SET_TURN, Place::Later, victim, Act::Skip);
        table.with_chances("ST-N1", name, not, skip, BUB);
    }
    let skip = rule(SET_TURN, Place::Later, Victim::All, Act::Skip);
    table.with_chances("ST-N2", "", not, skip, BUB);
    let hold = rule(SET_TURN, Place::Later, Victim::All, Act::Hold(Until::Proof));
    table.with_chances("ST-N3", "", not, hold, NONE);
    for ms in [500, 2_500, 5_000] {
        let act = Act::DelayIfOpen(ms);
        let wait = Play::one(rule(SET_TURN, Place::Later, Victim::All, act));
        table.add("ST-N4", format!("unless needed after {ms} ms"), not, wait, NONE);
    }
    let wrong = (SET_TURN, Place::Later, Act::Alter(alter::next_turn));
    table.alter("ST-D1", step, wrong, BUB_DROP);
    for (act, name) in [(Act::Twice, "twice"), (Act::Stray, "to a non-leader")] {
        let play = Play::one(rule(SET_TURN, Place::Later, Victim::All, act));
        table.add("ST-D3", name.into(), other, play, NONE);
    }
    for (windows, shift_ms) in [("1", 250), ("10", 2_500)] {
        let selfish = Selfish { timer_shift_ms: -shift_ms, ..Selfish::default() };
        table.inside("ST-T1", &format!("early by {windows} window"), time, selfish);
    }
    table.delay("ST-T2", step, SET_TURN, Place::Later, &[275, 750, 2_500]);
}

/// 9.2, 9.3.
fn read(table: &mut Table) {
    table.skip("RD-N1", "read", READ, Place::Later);
    table.delay("RD-T1", "read", READ, Place::Later, &[2_500, 10_000, 30_000]);
    table.skip("RA-N1", "read-ack", READ_ACK, Place::Later);
    let deny = (READ_ACK, Place::Later, Act::Alter(alter::deny_accepted));
    table.alter("RA-D1", "read-ack", deny, NONE);
    let bare = (READ_ACK, Place::Later, Act::Alter(alter::unpadded));
    table.alter("RA-D4", "read-ack", bare, BUB_DROP);
    table.delay("RA-T1", "read-ack", READ_ACK, Place::Later, &[1_000, 5_000]);
}

/// 9.4.
fn agree(table: &mut Table) {
    let step = "agree";
    table.skip("AG-N1", step, AGREE, Place::First);
    table.skip("AG-N2", step, AGREE, Place::Later);
    let not = Cell(step, Column::NotSent);
    let omit = rule(AGREE, Place::First, Victim::First(1), Act::Skip);
    table.with_chances("AG-N3", "omits n-1-q", not, omit, BUB);
    let late = rule(READ_ACK, Place::Later, Victim::First(2), Act::Late(400));
    let cell = Cell(step, Column::Different);
    table.add("AG-D3", "hears some read-acks late".into(), cell, Play::one(late), NONE);
    let bare = (AGREE, Place::Later, Act::Alter(alter::unpadded));
    table.alter("AG-D5", step, bare, BUB_DROP);
    let vectors = (AGREE, Place::First, Act::Alter(alter::without_vectors));
    table.alter("AG-D6", step, vectors, &[Consequence::Null, Consequence::Drop]);
    table.delay("AG-T1", step, AGREE, Place::First, &[8_000]);
    table.delay("AG-T2", step, AGREE, Place::First, &[15_000]);
    table.delay("AG-T3", step, AGREE, Place::Later, &[1_000, 10_000]);
}

/// 9.5 to 9.7.
fn votes(table: &mut Table) {
    table.skip("AA-N1", "agree-ack", VOTES, Place::Any);
    let other = (VOTES, Place::Any, Act::Alter(alter::ack_other));
    table.alter("AA-D2", "agree-ack", other, BUB);
    let cell = Cell("agree-ack", Column::Different);
    let blind = Selfish { blind_acks: true, ..Selfish::default() };
    table.inside("AA-D3", "without verification", cell, blind);
    if let Some(strategy) = table.0.last_mut() {
        strategy.must = vec![Consequence::Pom];
    }
    table.delay("AA-T1", "agree-ack", VOTES, Place::Any, &[1_000, 5_000]);
    table.skip("WR-N1", "write", WRITE, Place::Any);
    table.delay("WR-T1", "write", WRITE, Place::Any, &[1_000, 5_000]);
    table.skip("WA-N1", "write-ack", WRITE_ACKS, Place::Any);
    for strategy in table.0.iter_mut().filter(|s| s.row == "AA-D2") {
        strategy.may.push(Consequence::Pom);
    }
    let forget = (WRITE_ACKS, Place::First, Act::Alter(alter::forget_later_turn));
    table.alter("WA-D1", "write-ack", forget, NONE);
    table.delay("WA-T1", "write-ack", WRITE_ACKS, Place::Any, &[1_000, 5_000]);
}

/// 9.8, 9.9.
fn outcomes(table: &mut Table) {
    table.skip("SQ-N1", "show-quorum", SHOW_QUORUM, Place::Any);
    table.delay("SQ-T1", "show-quorum", SHOW_QUORUM, Place::Any, &[1_000, 12_000]);
    table.skip("SD-N1", "show-decision", SHOW_DECISION, Place::Later);
    let bare = (SHOW_DECISION, Place::Later, Act::Alter(alter::unpadded));
    table.alter("SD-D2", "show-decision", bare, BUB_DROP);
    table.delay("SD-T1", "show-decision", SHOW_DECISION, Place::Later, &[1_000, 10_000]);
    table.skip("RP-N1", "report-decision", REPORT, Place::Any);
    let short = (REPORT, Place::Any, Act::Alter(alter::short_report));
    table.alter("RP-D1", "report-decision", short, BUB_DROP);
    let hold = rule(REPORT, Place::Any, Victim::All, Act::Hold(Until::OwnProposal));
    let cell = Cell("report-decision", Column::OtherTime);
    table.add("RP-T1", "before own proposal".into(), cell, Play::one(hold), NONE);
}

/// 9.10.
fn marks(table: &mut Table) {
    let (not, other) = (Cell("untimely", Column::NotSent), Cell("untimely", Column::Different));
    let slant = |slant| Selfish { slant, ..Selfish::default() };
    table.inside("UN-N1", "no marks", not, slant(Slant::NoMarks));
    table.inside("UN-D1", "fines everybody", other, slant(Slant::FineAll));
    let list = Cell("badlist", Column::Different);
    table.inside("BL-D1", "lists the next member", list, slant(Slant::ListNext));
    if let Some(strategy) = table.0.last_mut() {
        strategy.must = vec![Consequence::Pom];
        strategy.unbuilt = Some(LISTING);
    }
    table.inside("BL-N1", "lists nobody", Cell("badlist", Column::NotSent), slant(Slant::NoLists));
    let lenient = Selfish { lenient: true, ..Selfish::default() };
    table.inside(
        "PN-R1",
        "does not insist on anything",
        Cell("penance", Column::Different),
        lenient,
    );
    table.skip("PN-N1", "penance", PENANCE, Place::Any);
    let short = (PENANCE, Place::Any, Act::Alter(alter::short_penance));
    table.alter("PN-D1", "penance", short, BUB_DROP);
    table.delay("PN-T1", "penance", PENANCE, Place::Any, &[2_000, 20_000]);
}

/// 9.11, 9.12.
fn queue(table: &mut Table) {
    let step = "message queue";
    let (not, other, time) =
        (Cell(step, Column::NotSent), Cell(step, Column::Different), Cell(step, Column::OtherTime));
    let twice = rule(&[Kind::AgreeAck, Kind::WriteAck], Place::Any, Victim::All, Act::Twice);
    table.add("MQ-1", "every answer twice".into(), other, Play::one(twice), NONE);
    let never = Play { redial: Redial::Never, ..Play::default() };
    table.add("MQ-2", "never redials".into(), not, never, NONE);
    let mute = rule(RESUME, Place::Any, Victim::All, Act::Skip);
    table.add("MQ-2", "never says where it stands".into(), not, Play::one(mute), NONE);
    for ms in [5_000, 60_000] {
        let late = Play { redial: Redial::Late(ms), ..Play::default() };
        table.add("MQ-3", format!("redials {ms} ms late"), time, late, NONE);
    }
    let serve = |victim| Play {
        rules: vec![
            rule(&[], Place::Any, victim, Act::Skip),
            rule(&[], Place::Any, victim, Act::Ignore),
        ],
        ..Play::default()
    };
    table.add("MQ-5", "never serves one member".into(), not, serve(Victim::Fixed), BUB);
    let shun = Play::one(rule(&[], Place::Any, Victim::Distant, Act::Skip));
    table.add("MQ-5", "sends nothing to a distant one lenient".into(), not, shun, BUB);
    if let Some(strategy) = table.0.last_mut() {
        strategy.selfish.lenient = true;
    }
    table.add("MQ-4", "never serves one member, Async".into(), not, serve(Victim::Fixed), BUB);
    if let Some(strategy) = table.0.last_mut() {
        strategy.mode = Mode::Async;
    }
    table.skip("MQ-12", step, CATCHUP, Place::Any);
    for strategy in table.0.iter_mut().filter(|s| s.row == "MQ-12") {
        strategy.must.clear();
    }
    for (per_mille, p) in [(1000, "p=1"), (100, "p=0.1")] {
        let deaf = Rule { per_mille, ..rule(&[], Place::Any, Victim::All, Act::Ignore) };
        table.add("MQ-13", format!("{p} does not read"), not, Play::one(deaf), BUB);
    }
    let cell = Cell("agree", Column::NotSent);
    let idle = rule(AGREE, Place::First, Victim::All, Act::Skip);
    table.add("RS-1", "proposes nothing".into(), cell, Play::one(idle), BUB);
    let away = Play { away: Some((2_000, 60_000)), ..Play::default() };
    table.add("MQ-10", "away for a minute".into(), not, away, NONE);
}

/// Pairs of deviations within one step (10.3): one representative of each row, the lenient one if there is one.
pub fn pairs(singles: &[Strategy]) -> Vec<Strategy> {
    let base = representatives(singles);
    let mut found = Vec::new();
    for (index, one) in base.iter().enumerate() {
        for other in &base[index + 1..] {
            let bent = |s: &Strategy| Selfish { lenient: false, ..s.selfish } != Selfish::default();
            let inside = (bent(one), bent(other));
            let apart = one.step != other.step || one.mode != other.mode;
            if apart || one.row == other.row || inside == (true, true) {
                continue;
            }
            let lenient = one.selfish.lenient || other.selfish.lenient;
            let selfish = if inside.0 { one.selfish } else { other.selfish };
            found.push(Strategy {
                row: format!("{}+{}", one.row, other.row),
                variant: format!("{} / {}", one.variant, other.variant),
                step: one.step,
                column: one.column.max(other.column),
                play: one.play.and(&other.play),
                selfish: Selfish { lenient, ..selfish },
                mode: one.mode,
                must: Vec::new(),
                may: vec![
                    Consequence::Bubble,
                    Consequence::Penance,
                    Consequence::Drop,
                    Consequence::Null,
                    Consequence::Pom,
                ],
                unbuilt: None,
            });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Rows marked R (alone or with B) in specification 9.1 to 9.12.
    const RATIONAL: &[&str] = &[
        "ST-N1", "ST-N2", "ST-N3", "ST-N4", "ST-D1", "ST-D3", "ST-T1", "ST-T2", "RD-N1", "RD-T1",
        "RD-T3", "RA-N1", "RA-D1", "RA-D4", "RA-T1", "AG-N1", "AG-N2", "AG-N3", "AG-D3", "AG-D5",
        "AG-D6", "AG-T1", "AG-T2", "AG-T3", "AA-N1", "AA-D2", "AA-D3", "AA-T1", "WR-N1", "WR-T1",
        "WA-N1", "WA-D1", "WA-T1", "SQ-N1", "SQ-D2", "SQ-T1", "SD-N1", "SD-D2", "SD-T1", "RP-N1",
        "RP-D1", "RP-T1", "UN-N1", "UN-D1", "UN-D4", "PN-N1", "PN-D1", "PN-T1", "PN-R1", "BL-D1",
        "BL-N1", "MQ-1", "MQ-2", "MQ-3", "MQ-4", "MQ-5", "MQ-10", "MQ-12", "MQ-13", "RS-1", "RS-2",
        "RS-7", "RS-8",
    ];

    #[test]
    fn every_rational_row_is_played_or_said_to_be_elsewhere() {
        let played: BTreeSet<String> = all().into_iter().map(|s| s.row).collect();
        let elsewhere: BTreeSet<&str> = ELSEWHERE.iter().map(|e| e.row).collect();
        for row in RATIONAL {
            assert!(played.contains(*row) != elsewhere.contains(row), "{row}");
        }
        assert_eq!(played.len() + elsewhere.len(), RATIONAL.len());
    }

    #[test]
    fn names_of_strategies_are_distinct() {
        let all = all();
        let mut both = all.clone();
        both.extend(pairs(&all));
        let names: BTreeSet<String> = both.iter().map(Strategy::name).collect();
        assert_eq!(names.len(), both.len());
    }
}
