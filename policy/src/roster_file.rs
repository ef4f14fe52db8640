//! The roster as a file that anybody may keep: who signs in a group, without a daemon or network.
//!
//! Lines that start with `#` are for people. The one other line is the group's founding
//! configuration, of which the group id is the hash: whoever knows the id notices a false roster.
//! It says nothing secret and admits nobody.

use crate::genesis::Genesis;
use crate::text_line::{self, CredentialError, ROSTER};
use std::fmt::Write as _;
use types::{Decode, Encode, Hash, Roster, Slot};

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterFile(Genesis);

impl RosterFile {
    /// The roster of a group.
    pub fn new(genesis: Genesis) -> Self {
        Self(genesis)
    }

    /// Reads a file; keys and sizes are checked, and the group id is computed anew.
    pub fn parse(text: &str) -> Result<Self, CredentialError> {
        let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
        let bytes = text_line::read(ROSTER, &lines.collect::<Vec<_>>().join("\n"))?;
        let genesis = Genesis::from_bytes(&bytes);
        genesis.map(Self).map_err(|error| text_line::malformed(ROSTER.what, error))
    }

    /// The file.
    pub fn text(&self) -> String {
        let genesis = &self.0;
        let sizes = genesis.sizes();
        let mut out = format!(
            "# Roster of the group `{}`, epoch 0: {} members, of which {} may be Byzantine.\n# Group id {}\n",
            genesis.name(),
            sizes.n(),
            sizes.f(),
            genesis.gid().0.to_hex()
        );
        for (slot, member) in genesis.members().iter().enumerate() {
            let key = member.identities.first().map(|key| Hash(*key.as_bytes()).to_hex());
            // Writing to a string cannot fail.
            let _ = writeln!(out, "# slot {slot} {} {}", member.name, key.unwrap_or_default());
        }
        let _ = writeln!(out, "{}", text_line::write(ROSTER, &genesis.to_bytes()));
        out
    }

    /// How the group begins.
    pub fn genesis(&self) -> &Genesis {
        &self.0
    }

    /// The roster of epoch 0.
    pub fn roster(&self) -> &Roster {
        self.0.roster()
    }

    /// What people call a slot.
    pub fn name(&self, slot: Slot) -> Option<&str> {
        self.0.members().get(usize::from(slot.0)).map(|member| member.name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Founder, GroupPolicy};
    use types::{SecretKey, Stamp};

    fn genesis(name: &str) -> Genesis {
        let key = |seed| SecretKey::from_seed(&[seed; 32]).public();
        let founders = (1..=5).map(|seed| Founder {
            name: format!("m{seed}"),
            addresses: Vec::new(),
            identities: vec![key(seed)],
        });
        let policy = GroupPolicy::default();
        Genesis::new(name.into(), key(9), Stamp(1), policy, founders.collect()).unwrap()
    }

    #[test]
    fn roster_file_reads_back_whatever_its_comments_say() {
        let file = RosterFile::new(genesis("dorm"));
        let text = file.text();
        assert!(text.contains(&file.genesis().gid().0.to_hex()) && text.contains("# slot 4 m5"));
        assert_eq!(RosterFile::parse(&text), Ok(file.clone()));
        // A false comment changes nothing: names and id come from the line.
        let lied = text.replace("# slot 4 m5", "# slot 4 somebody else");
        assert_eq!(RosterFile::parse(&lied).unwrap().name(Slot(4)), Some("m5"));
        let other = RosterFile::new(genesis("other"));
        assert_ne!(other.genesis().gid(), file.genesis().gid());
    }

    #[test]
    fn changed_or_cut_roster_file_is_refused() {
        let text = RosterFile::new(genesis("dorm")).text();
        let start = text.rfind("pib-roster1-").unwrap();
        for at in (start + 12..text.len() - 1).step_by(7) {
            let mut changed = text.clone().into_bytes();
            changed[at] = if changed[at] == b'B' { b'C' } else { b'B' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(RosterFile::parse(&changed).is_err(), "{at}");
            assert!(RosterFile::parse(&text[..at]).is_err(), "{at}");
        }
        assert!(matches!(RosterFile::parse("# nothing"), Err(CredentialError::OtherText { .. })));
    }
}
