//! The two broadcasts with certificates, as counts: the owner shows its message to all, all answer, and the
//! certificate goes to all, or from each member that has it to a few others.

use super::samples::Draw;

/// What one broadcast of one of them does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Spread {
    /// Honest members that no certificate reaches, statuses left out.
    pub missed: u64,
    /// Messages of honest members.
    pub messages: u64,
    /// Messages of the owner.
    pub owner: u64,
}

/// The owner sends the certificate to all.
pub(super) fn quorum(members: usize, honest: usize) -> Spread {
    let (others, echoes) = (members as u64 - 1, honest as u64 - 1);
    Spread { missed: 0, messages: 2 * others + echoes, owner: 2 * others }
}

/// Each honest member sends it to `fanout` others, when it first has it.
pub(super) fn gossip(draw: &mut Draw, members: usize, honest: usize, fanout: usize) -> Spread {
    let mut reached = vec![false; honest];
    let mut stack = vec![0];
    reached[0] = true;
    let mut sent = 0;
    while let Some(member) = stack.pop() {
        // One more than needed, for it may have drawn itself.
        let chosen: Vec<u16> = draw.distinct(fanout + 1).to_vec();
        let others = chosen.into_iter().map(usize::from).filter(|other| *other != member);
        for other in others.take(fanout) {
            sent += 1;
            if other < honest && !reached[other] {
                reached[other] = true;
                stack.push(other);
            }
        }
    }
    let missed = reached.iter().filter(|reached| !**reached).count() as u64;
    let (others, echoes) = (members as u64 - 1, honest as u64 - 1);
    Spread { missed, messages: others + echoes + sent, owner: others + fanout as u64 }
}
