//! How a group begins: its name, its authority, its rules and its founding members.
//!
//! The group id is the hash of the encoding (specification section 1), so every later statement is
//! bound to exactly these rules and these members.

use crate::group::{GroupPolicy, Sizes, SizesError};
use types::limits::{ADDRESS_LEN_MAX, ADDRESSES_MAX, IDENTITIES_MAX, MEMBERS_MAX, NAME_LEN_MAX};
use types::{
    Decode, DecodeError, Encode, Epoch, GroupId, Hash, Ident, Member, PublicKey, Reader, Roster,
    RosterError, Slot, Stamp, Standing, Writer,
};

/// One founding member. Its place in the list is its slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Founder {
    /// The name by which people know it.
    pub name: String,
    /// Where it listens, `host:port`, the preferred one first; may be empty for a member that
    /// only dials.
    pub addresses: Vec<String>,
    /// Its linked identities in order (paper section 7.2).
    pub identities: Vec<PublicKey>,
}

/// Why founders and rules make no group.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GenesisError {
    /// A name or an address is not usable.
    #[error("{0}")]
    Text(String),
    /// Two members of one name would be confused by people.
    #[error("two members are called `{0}`")]
    DuplicateName(String),
    /// The number of members does not fit the policy.
    #[error(transparent)]
    Sizes(#[from] SizesError),
    /// Keys are missing or used twice.
    #[error(transparent)]
    Roster(#[from] RosterError),
}

/// Checks a name that people will read: 1 to `NAME_LEN_MAX` bytes, printable, no outer spaces.
pub fn check_name(what: &str, name: &str) -> Result<(), String> {
    if name.is_empty() || name.len() > NAME_LEN_MAX {
        return Err(format!("the {what} must have 1 to {NAME_LEN_MAX} bytes"));
    }
    if name.trim() != name || name.chars().any(char::is_control) {
        return Err(format!("the {what} {name:?} has control characters or outer spaces"));
    }
    Ok(())
}

/// Checks the shape `host:port`.
pub fn check_address(address: &str) -> Result<(), String> {
    let shape = address.rsplit_once(':').filter(|(host, port)| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._:[]%".contains(c);
        !host.is_empty() && host.chars().all(plain) && port.parse::<u16>().is_ok_and(|p| p > 0)
    });
    match shape {
        Some(_) if address.len() <= ADDRESS_LEN_MAX => Ok(()),
        _ => Err(format!("the address {address:?} is not of the form host:port")),
    }
}

impl Founder {
    pub(crate) fn check(&self) -> Result<(), String> {
        check_name("member name", &self.name)?;
        if self.addresses.len() > ADDRESSES_MAX {
            return Err(format!("`{}` has more than {ADDRESSES_MAX} addresses", self.name));
        }
        self.addresses.iter().try_for_each(|address| check_address(address))?;
        if self.identities.is_empty() || self.identities.len() > IDENTITIES_MAX {
            return Err(format!("`{}` must have 1 to {IDENTITIES_MAX} identities", self.name));
        }
        Ok(())
    }
}

/// The founding configuration of a group. It can be built and decoded only when valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Genesis {
    name: String,
    authority: PublicKey,
    founded: Stamp,
    policy: GroupPolicy,
    members: Vec<Founder>,
    sizes: Sizes,
    gid: GroupId,
    roster: Roster,
}

impl Genesis {
    /// Checks everything and computes group id, sizes and the roster of epoch 0.
    pub fn new(
        name: String,
        authority: PublicKey,
        founded: Stamp,
        policy: GroupPolicy,
        members: Vec<Founder>,
    ) -> Result<Self, GenesisError> {
        check_name("group name", &name).map_err(GenesisError::Text)?;
        let mut names = std::collections::BTreeSet::new();
        for member in &members {
            member.check().map_err(GenesisError::Text)?;
            if !names.insert(member.name.as_str()) {
                return Err(GenesisError::DuplicateName(member.name.clone()));
            }
        }
        let sizes = policy.sizes(members.len())?;
        let mut out = Writer::new();
        encode_parts(&mut out, &name, &authority, founded, &policy, &members);
        let gid = GroupId(Hash::tagged("pib genesis 1", &out.finish()));
        let standings = members.iter().map(|member| Member {
            identities: member.identities.clone(),
            active: Ident(0),
            standing: Standing::Live,
        });
        let roster = Roster::new(gid, Epoch(0), sizes.f(), policy.mode(), standings.collect())?;
        Ok(Self { name, authority, founded, policy, members, sizes, gid, roster })
    }

    /// The group's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key that admits members.
    pub fn authority(&self) -> &PublicKey {
        &self.authority
    }

    /// When the group was founded, by the authority's clock.
    pub fn founded(&self) -> Stamp {
        self.founded
    }

    /// The rules.
    pub fn policy(&self) -> &GroupPolicy {
        &self.policy
    }

    /// The founding members in slot order.
    pub fn members(&self) -> &[Founder] {
        &self.members
    }

    /// n, f, q and x.
    pub fn sizes(&self) -> Sizes {
        self.sizes
    }

    /// The group id.
    pub fn gid(&self) -> GroupId {
        self.gid
    }

    /// The roster of epoch 0: every founder live with its first identity.
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// The slot whose first identity this is.
    pub fn slot_of(&self, key: &PublicKey) -> Option<Slot> {
        self.roster.slot_of(key)
    }
}

fn encode_parts(
    out: &mut Writer,
    name: &str,
    authority: &PublicKey,
    founded: Stamp,
    policy: &GroupPolicy,
    members: &[Founder],
) {
    out.bytes(name.as_bytes());
    out.put(authority);
    out.put(&founded);
    out.put(policy);
    out.list(members);
}

impl Encode for Genesis {
    fn encode(&self, out: &mut Writer) {
        let Self { name, authority, founded, policy, members, .. } = self;
        encode_parts(out, name, authority, *founded, policy, members);
    }
}

impl Decode for Genesis {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let name = input.string("group name", NAME_LEN_MAX)?;
        let authority = input.get()?;
        let founded = input.get()?;
        let policy = input.get()?;
        let members = input.list("members", MEMBERS_MAX)?;
        Self::new(name, authority, founded, policy, members)
            .map_err(|_| DecodeError::Malformed("genesis"))
    }
}

impl Encode for Founder {
    fn encode(&self, out: &mut Writer) {
        out.bytes(self.name.as_bytes());
        out.count(self.addresses.len());
        for address in &self.addresses {
            out.bytes(address.as_bytes());
        }
        out.list(&self.identities);
    }
}

impl Decode for Founder {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let name = input.string("member name", NAME_LEN_MAX)?;
        let count = input.count("addresses", ADDRESSES_MAX)?;
        let addresses = (0..count)
            .map(|_| input.string("address", ADDRESS_LEN_MAX))
            .collect::<Result<_, _>>()?;
        let identities = input.list("identities", IDENTITIES_MAX)?;
        Ok(Self { name, addresses, identities })
    }
}
