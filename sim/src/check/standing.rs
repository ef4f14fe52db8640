//! Who takes part: all honest members come to the same rosters at the same places, nobody honest is taken out,
//! and n and f follow as the specification says (5.6). Written from the specification, not from the code
//! under test.

use super::{Check, Observation};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use types::{Epoch, Instance, Roster, Slot, Standing};

/// See the module.
#[derive(Debug)]
pub struct SameRosters {
    honest: BTreeSet<Slot>,
    founding_f: usize,
    epochs: BTreeMap<Epoch, (Instance, Arc<Roster>)>,
}

impl SameRosters {
    /// For a group of this size with these honest members.
    pub fn new(nodes: usize, honest: BTreeSet<Slot>) -> Self {
        Self { honest, founding_f: nodes.saturating_sub(2) / 3, epochs: BTreeMap::new() }
    }

    fn arithmetic(&self, roster: &Roster) -> Result<(), String> {
        let (n, f) = (roster.quorum().n(), roster.quorum().f());
        let counted = roster
            .all()
            .filter(|slot| {
                roster.member(*slot).is_some_and(|member| member.standing != Standing::Expelled)
            })
            .count();
        let before = self.epochs.range(..roster.epoch()).next_back();
        let before = before.map_or(self.founding_f, |(_, (_, roster))| roster.quorum().f());
        match n == counted && f == before.min(n.saturating_sub(2) / 3) {
            true => Ok(()),
            false => Err(format!("{counted} members count, f was {before}: n = {n}, f = {f}")),
        }
    }
}

impl Check for SameRosters {
    fn name(&self) -> &'static str {
        "same-rosters"
    }

    fn observe(&mut self, seen: &Observation<'_>) -> Result<(), String> {
        let Observation::Roster { slot, first, roster } = *seen else { return Ok(()) };
        if let Some(out) = self.honest.iter().find(|slot| !roster.is_live(**slot)) {
            return Err(format!("{slot} counts honest {out} out from {first} on"));
        }
        self.arithmetic(roster)?;
        let known = self.epochs.entry(roster.epoch()).or_insert((first, Arc::clone(roster)));
        match (known.0, &known.1) == (first, roster) {
            true => Ok(()),
            false => Err(format!(
                "{slot} begins {} at {first}, another member another one at {}",
                roster.epoch(),
                known.0
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::{GroupId, Hash, Ident, Member, Mode, SecretKey};

    fn roster(epoch: u32, f: usize, out: &[u16]) -> Arc<Roster> {
        let members = (0..5).map(|slot| Member {
            identities: vec![SecretKey::from_seed(&[slot as u8 + 1; 32]).public()],
            active: Ident(0),
            standing: match out.contains(&slot) {
                true => Standing::Expelled,
                false => Standing::Live,
            },
        });
        let group = GroupId(Hash::of(b"group"));
        Roster::new(group, Epoch(epoch), f, Mode::QuasiSync, members.collect()).unwrap().into()
    }

    fn told(check: &mut SameRosters, slot: u16, first: u64, roster: &Arc<Roster>) -> bool {
        let seen = Observation::Roster { slot: Slot(slot), first: Instance(first), roster };
        check.observe(&seen).is_ok()
    }

    #[test]
    fn rosters_that_differ_or_count_an_honest_member_out_are_seen() {
        let fresh = || SameRosters::new(5, (0..4).map(Slot).collect());
        let out = roster(1, 0, &[4]);
        let mut check = fresh();
        assert!(told(&mut check, 0, 9, &out) && told(&mut check, 1, 9, &out));
        assert!(!told(&mut check, 2, 10, &out), "at another place");
        assert!(!told(&mut check, 2, 9, &roster(1, 0, &[])), "another one");
        assert!(!told(&mut fresh(), 0, 9, &roster(1, 0, &[3])), "an honest member is out");
        assert!(!told(&mut fresh(), 0, 9, &roster(1, 0, &[])), "f fell for nothing");
    }
}
