//! The rows of the deviation catalogue (specification 9.1 to 9.12), and what plays each of them.
//!
//! Guarantees, held by the tests below: every row is here once, in order; every row is played by an
//! adversary or says where else; every adversary plays a row. Agreement, integrity, termination and
//! no residual duty among honest members are checked in every run, whatever the row. Rows that a
//! rational member plays are weighed in the deviation experiment besides.

use std::fmt::Write as _;

/// Who plays a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Rational members.
    R,
    /// Byzantine members.
    B,
    /// Both.
    RB,
}

/// One row.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Its name in the specification.
    pub id: &'static str,
    /// Who plays it.
    pub who: Who,
    /// What it is.
    pub deviation: &'static str,
    /// The adversaries that play it.
    pub adversaries: &'static [&'static str],
    /// Where else it is played; empty if the adversaries are all.
    pub elsewhere: &'static str,
    /// What must come of it: BUB (shunned until done), PEN (penance mark), LIST (accusation), DROP
    /// (ignored), NULL (own proposal lost), a proof's kind, or none.
    pub consequence: &'static str,
}

const fn row(
    id: &'static str,
    who: Who,
    deviation: &'static str,
    adversaries: &'static [&'static str],
    elsewhere: &'static str,
    consequence: &'static str,
) -> Row {
    Row { id, who, deviation, adversaries, elsewhere, consequence }
}

use Who::{B, R, RB};

/// Every row of sections 9.1 to 9.12.
#[rustfmt::skip] // A table: one line a row.
pub const ROWS: &[Row] = &[
    row("ST-N1", R, "no set-turn to one honest leader", &["withhold-set-turn-from-one", "selective-silence"], "", "BUB at that leader once READ was sent; PEN"),
    row("ST-N2", R, "no set-turn to anybody", &["withhold-set-turn", "silent"], "", "BUB at every leader"),
    row("ST-N3", R, "set-turn only after a proof", &["set-turn-after-proof"], "", "PEN"),
    row("ST-N4", R, "no set-turn in turns that never elect", &["set-turn-if-elected"], "", "PEN when a later proof shows"),
    row("ST-D1", RB, "wrong turn number", &["set-turn-wrong"], "", "DROP"),
    row("ST-D2", B, "signed by the sender's slot", &["early-set-turn"], "", "DROP, TR8"),
    row("ST-D3", RB, "twice, or to a non-leader", &["set-turn-wrong"], "", "DROP"),
    row("ST-D4", B, "signature of another instance or group", &["set-turn-wrong", "replay"], "", "DROP"),
    row("ST-D5", B, "far-future turns", &["flood"], "", "DROP, bounded"),
    row("ST-T1", R, "early by 1 or 10 windows", &["set-turn-before-timer"], "", "PEN; no proof without f+1 honest"),
    row("ST-T2", R, "late by 1.1, 3 or 10 windows", &["late-set-turn"], "", "PEN"),
    row("ST-T3", B, "turns 1..n at the start", &["early-set-turn"], "", "none until honest members join"),
    row("ST-T4", B, "timed to split the honest members", &["split-the-group"], "", "extra turns only"),
    row("RD-N1", R, "elected leader never reads", &["withhold-read"], "", "BUB at all who sent set-turn; PEN; LIST"),
    row("RD-N2", B, "reads from some only", &["selective-read", "lonely-read", "hidden-proof", "selective-silence"], "", "duty O4 at the others"),
    row("RD-D1", B, "proof with q-1 signers, the sender, a wrong turn", &["short-quorum", "wrong-turn-proof"], "", "DROP, TR9"),
    row("RD-D2", B, "two valid proofs", &["two-proofs", "equivocate"], "", "none"),
    row("RD-D3", B, "proof of another instance or group", &["replay"], "", "DROP"),
    row("RD-T1", R, "waits beyond its quorum", &["late-read"], "", "none"),
    row("RD-T2", B, "holds its proof back and shows it later", &["held-proof"], "", "one extra turn"),
    row("RD-T3", R, "reads before its own timer", &["follow"], "legal: a leader with q-1 foreign set-turns starts its turn", "none"),
    row("RA-N1", R, "no read-ack", &["withhold-read-ack"], "", "BUB"),
    row("RA-D1", RB, "\"accepted nothing\" although it did", &["lying-read"], "", "TR7 with a fitting write-ack"),
    row("RA-D2", B, "later turn without a certificate", &["inflated-read"], "", "DROP, TR8"),
    row("RA-D3", B, "an older accepted pair", &["lying-read"], "", "TR7 with a fitting write-ack"),
    row("RA-D4", R, "short or compressible pad", &["short-pad", "garbage"], "", "DROP, BUB"),
    row("RA-D5", B, "body of another digest", &["wrong-body"], "", "DROP, BUB"),
    row("RA-D6", B, "two read-acks to one leader", &["two-answers", "double-vote", "equivocate"], "", "second one DROP"),
    row("RA-T1", R, "late", &["late-read-ack"], "", "none"),
    row("AG-N1", R, "sender proposes nothing", &["withhold-proposal", "silent"], "", "NULL, BUB at all"),
    row("AG-N2", R, "leader silent after its reads", &["withhold-agree"], "", "BUB; next turn"),
    row("AG-N3", R, "sender omits n-1-q members", &["omit-from-proposal"], "", "BUB at those"),
    row("AG-D1", B, "two values", &["equivocate", "double-vote", "amnesia"], "", "TR1"),
    row("AG-D2", B, "value is not the latest read", &["forced-value"], "", "DROP, TR3"),
    row("AG-D3", RB, "chooses its read quorum", &["favour-null"], "", "none"),
    row("AG-D4", B, "two valid read quorums", &["equivocate", "amnesia"], "", "TR2"),
    row("AG-D5", R, "unpadded agree", &["short-pad"], "", "DROP, BUB"),
    row("AG-D6", R, "vectors of a wrong length", &["wrong-vectors"], "", "TR8, NULL"),
    row("AG-D7", B, "forged value, or of another instance", &["forced-value", "replay"], "", "DROP, TR3"),
    row("AG-D8", B, "body too long, undecodable or withheld", &["wrong-encoding", "wrong-body", "garbage"], "", "DROP, NULL"),
    row("AG-D9", B, "commands that fail", &["failing-commands"], "", "decided, no-ops"),
    row("AG-T1", RB, "just inside the timeout", &["just-in-time-proposal", "slow"], "", "none"),
    row("AG-T2", R, "after the timeout", &["late-proposal", "slow"], "", "NULL; PEN"),
    row("AG-T3", R, "waits for more read-acks", &["late-agree"], "", "none"),
    row("AA-N1", R, "no agree-ack", &["withhold-agree-ack"], "", "BUB"),
    row("AA-D1", B, "acknowledges two values", &["two-answers", "double-vote", "equivocate"], "", "TR4"),
    row("AA-D2", RB, "another value than asked", &["wrong-ack"], "", "DROP, BUB"),
    row("AA-D3", R, "acknowledges without verifying", &["lazy-ack"], "", "TR5 when a leader plays an invalid agree"),
    row("AA-T1", R, "late", &["late-agree-ack"], "", "none"),
    row("WR-N1", R, "stops before the write", &["withhold-write"], "", "BUB, NULL possible"),
    row("WR-N2", B, "writes to some only", &["write-to-some", "selective-silence"], "", "none"),
    row("WR-D1", B, "certificate of q-1, of the sender, of another instance", &["short-quorum", "replay"], "", "DROP, TR9"),
    row("WR-D2", B, "certificate for another value than was agreed", &["equivocate", "double-vote"], "", "DROP"),
    row("WR-T1", R, "waits for more agree-acks", &["late-write"], "", "none"),
    row("WA-N1", R, "no write-ack", &["withhold-write-ack"], "", "BUB"),
    row("WA-D1", RB, "max-pol below a read that it answered", &["stale-max-pol"], "", "TR7 when provable"),
    row("WA-D2", B, "invented proof of a later turn", &["invented-proof"], "", "DROP, TR8"),
    row("WA-D3", B, "max-pol below the turn, or another value", &["wrong-ack"], "", "DROP, TR8"),
    row("WA-D4", B, "acknowledges a write that it did not store", &["lying-read"], "", "TR7"),
    row("WA-T1", R, "late", &["late-write-ack"], "", "none"),
    row("SQ-N1", R, "shows its quorum to nobody", &["withhold-show-quorum"], "", "BUB everywhere"),
    row("SQ-N2", B, "shows it to exactly one honest member", &["selective-show-quorum"], "the control literal-reading, where it halts the group", "none"),
    row("SQ-D1", B, "write quorum of an older instance", &["replay"], "the control unsigned-instance, where honest members disagree", "DROP"),
    row("SQ-D2", R, "a failing quorum although a good one exists", &["failing-quorum"], "", "extra turn"),
    row("SQ-D3", B, "fewer than q signers, or one of them wrong", &["short-quorum"], "", "DROP, TR9"),
    row("SQ-T1", RB, "after the others timed out", &["late-show-quorum"], "", "PEN"),
    row("SD-N1", R, "decided leader ignores set-turns", &["withhold-show-decision"], "", "BUB"),
    row("SD-D1", B, "invalid certificate or body", &["wrong-report", "wrong-body"], "", "DROP, TR9"),
    row("SD-D2", R, "short pad", &["short-pad"], "", "DROP, BUB"),
    row("SD-T1", R, "late", &["late-show-decision"], "", "none"),
    row("RP-N1", R, "no report-decision", &["withhold-report"], "", "BUB at the sender"),
    row("RP-D1", R, "certificate of another turn, or smaller", &["wrong-report", "short-quorum"], "", "DROP, BUB"),
    row("RP-T1", R, "late", &["late-report"], "", "none"),
    row("UN-N1", R, "publishes zeros", &["no-fines"], "", "none"),
    row("UN-D1", RB, "fines everybody each time", &["fine-all"], "", "bounded PEN"),
    row("UN-D2", B, "fines one victim", &["fine-one"], "", "bounded PEN"),
    row("UN-D3", B, "above the cap, or its own entry", &["wrong-fines"], "", "TR8, NULL"),
    row("UN-D4", R, "does not subtract what it published", &["fine-all"], "the same marks again and again", "bounded PEN"),
    row("PN-N1", R, "no penance", &["withhold-penance"], "", "BUB"),
    row("PN-D1", R, "short or repeated pad", &["short-pad"], "", "DROP, BUB"),
    row("PN-T1", R, "late", &["late-penance"], "", "gate closed until paid"),
    row("PN-R1", R, "receiver does not insist", &[], "sends nothing else: the deviation experiment", "none"),
    row("BL-D1", R, "lists an innocent member", &["list-one", "list-all"], "", "discharge, or TR11"),
    row("BL-D2", B, "f members list a victim for ever", &["list-one"], "", "none"),
    row("BL-N1", R, "never lists who is overdue", &["no-listing"], "", "none"),
    row("BL-T1", B, "lists before the deadline", &["list-one"], "", "none"),
    row("BL-D3", B, "f lists and one honest member that really waits", &["list-one"], "with absences of a seeded run", "none before the deadline; then discharge"),
    row("MQ-1", R, "repeats unasked", &["repeat"], "", "none"),
    row("MQ-2", R, "dialer never redials or pings", &["shun-one"], "links of the simulator are never restored by their ends: tests of `net`", "own expects starve"),
    row("MQ-3", R, "dialer waits longer than the back-off", &["absent"], "as MQ-2", "slower itself"),
    row("MQ-4", R, "never serves one honest peer, Async", &["shun-one"], "", "own proposals fail"),
    row("MQ-5", R, "never serves one honest peer, QuasiSync", &["shun-one"], "", "LIST"),
    row("MQ-6", B, "floods with future messages", &["flood", "garbage"], "", "DROP, bounded"),
    row("MQ-7", B, "endless RESUME", &["flood"], "", "DROP at a rate"),
    row("MQ-8", B, "replays old messages", &["repeat", "replay"], "", "none"),
    row("MQ-9", B, "impersonation, wrong certificate, downgrade", &[], "transport: tests of `net`", "refused"),
    row("MQ-10", R, "strategic absence", &["absent"], "", "none"),
    row("MQ-11", B, "restart with a rolled-back disk", &["amnesia"], "", "TR1, TR4, TR6"),
    row("MQ-12", R, "withholds CATCHUP", &["withhold-catchup"], "", "none"),
    row("MQ-13", R, "does not read what arrives", &["deaf"], "", "BUB"),
    row("RS-1", R, "idle sender stays silent", &["withhold-proposal"], "", "NULL, BUB at all"),
    row("RS-2", R, "always waits the full pace", &["just-in-time-proposal"], "", "none"),
    row("RS-3", B, "WAKE spam", &["wake-spam", "flood"], "", "one per rotation; PEN"),
    row("RS-4", B, "closed_upto too high or too low", &["wrong-closed"], "", "own harm"),
    row("RS-5", B, "wrong checkpoint", &["wrong-checkpoint"], "", "none"),
    row("RS-6", B, "stamps at the extremes", &["wild-stamps"], "", "none: the median is bounded"),
    row("RS-7", R, "leaves out proofs against others", &[], "what goes into a batch is the application's choice: the deviation experiment", "next sender includes it"),
    row("RS-8", RB, "exceeds a quota", &[], "quotas belong to work assignment, above this state machine", "NULL"),
    row("RS-9", B, "spam of proofs", &["failing-commands"], "", "no-ops"),
    row("RS-10", B, "crashes and returns in sequence", &["amnesia", "absent"], "", "none"),
    row("RS-11", B, "long partition of f+1 honest members", &["follow"], "partitions of a seeded run", "never disagreement"),
];

/// The table in Markdown.
pub fn markdown() -> String {
    let mut out = String::from(
        "# Who plays which deviation\n\n\
         Rows 9.1 to 9.12 of the specification. R: rational, B: Byzantine. Printed by\n\
         `cargo run --release -p sim -- list --rows`; an adversary's name can be given to\n\
         `sim run --adversary`, `all` goes through all of them. Its file is in\n\
         `sim/src/adversary/`. Agreement, integrity, termination and no residual duty among\n\
         honest members are checked in every run.\n\n\
         | row | who | deviation | adversaries | consequence |\n\
         | --- | --- | --- | --- | --- |\n",
    );
    for row in ROWS {
        let names: Vec<String> = row.adversaries.iter().map(|name| format!("`{name}`")).collect();
        let mut by = names.join(", ");
        if !row.elsewhere.is_empty() {
            by += if by.is_empty() { "" } else { "; " };
            by += row.elsewhere;
        }
        let (id, deviation, consequence) = (row.id, row.deviation, row.consequence);
        let _ = writeln!(out, "| {id} | {:?} | {deviation} | {by} | {consequence} |", row.who);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adversary;
    use std::collections::BTreeSet;

    /// The catalogue's families with their rows, as the specification counts them.
    const FAMILIES: &[(&str, &str)] = &[
        ("ST", "N1 N2 N3 N4 D1 D2 D3 D4 D5 T1 T2 T3 T4"),
        ("RD", "N1 N2 D1 D2 D3 T1 T2 T3"),
        ("RA", "N1 D1 D2 D3 D4 D5 D6 T1"),
        ("AG", "N1 N2 N3 D1 D2 D3 D4 D5 D6 D7 D8 D9 T1 T2 T3"),
        ("AA", "N1 D1 D2 D3 T1"),
        ("WR", "N1 N2 D1 D2 T1"),
        ("WA", "N1 D1 D2 D3 D4 T1"),
        ("SQ", "N1 N2 D1 D2 D3 T1"),
        ("SD", "N1 D1 D2 T1"),
        ("RP", "N1 D1 T1"),
        ("UN", "N1 D1 D2 D3 D4"),
        ("PN", "N1 D1 T1 R1"),
        ("BL", "D1 D2 N1 T1 D3"),
        ("MQ", "1 2 3 4 5 6 7 8 9 10 11 12 13"),
        ("RS", "1 2 3 4 5 6 7 8 9 10 11"),
    ];

    #[test]
    fn rows_are_those_of_the_catalogue_in_order() {
        let wanted: Vec<String> = FAMILIES
            .iter()
            .flat_map(|(family, rows)| rows.split(' ').map(move |row| format!("{family}-{row}")))
            .collect();
        let have: Vec<&str> = ROWS.iter().map(|row| row.id).collect();
        assert_eq!(have, wanted);
    }

    #[test]
    fn every_row_is_played_and_every_adversary_plays_a_row() {
        let mut playing = BTreeSet::from([adversary::MIX, adversary::FIRST_MIX]);
        for row in ROWS {
            assert!(!row.adversaries.is_empty() || !row.elsewhere.is_empty(), "{}", row.id);
            for name in row.adversaries {
                assert!(adversary::find(name).is_some(), "{} names {name:?}", row.id);
                playing.insert(name);
            }
        }
        for entry in adversary::ALL {
            assert!(playing.contains(entry.name), "{} plays no row", entry.name);
        }
    }

    #[test]
    fn written_table_is_the_printed_one() {
        assert_eq!(include_str!("../../docs/results/adversaries.md"), markdown());
    }
}
