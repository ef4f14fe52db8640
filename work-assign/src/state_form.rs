//! The form of the replicated state, for snapshots: maps as sorted lists, so that one state has one encoding.

use crate::request::Aid;
use crate::state::{Executed, State};
use crate::vow::Pending;
use std::collections::BTreeMap;
use types::limits::{FOREIGN_EXECUTED_MAX, MEMBERS_MAX, VOWS_MAX};
use types::{Decode, DecodeError, Encode, Reader, Writer};

impl Encode for State {
    fn encode(&self, out: &mut Writer) {
        out.put(&self.next);
        out.put(&self.tau);
        out.count(self.accounts.len());
        for (slot, account) in &self.accounts {
            out.put(slot);
            out.put(account);
        }
        out.count(self.pending.len());
        for pending in self.pending.values() {
            out.put(pending);
        }
        out.count(self.foreign.len());
        for ((group, slot), account) in &self.foreign {
            out.put(group);
            out.put(slot);
            out.put(account);
        }
        out.count(self.executed.len());
        for (group, executed) in &self.executed {
            out.put(group);
            out.put(&executed.floor);
            out.count(executed.above.len());
            for aid in &executed.above {
                out.put(aid);
            }
        }
    }
}

/// Reads a sorted list of distinct keys with values.
fn sorted<K: Ord + Copy, V>(
    input: &mut Reader<'_>,
    max: usize,
    read: impl Fn(&mut Reader<'_>) -> Result<(K, V), DecodeError>,
) -> Result<BTreeMap<K, V>, DecodeError> {
    let mut map = BTreeMap::new();
    for _ in 0..input.count("entries of the state", max)? {
        let (key, value) = read(input)?;
        if map.last_key_value().is_some_and(|(last, _)| *last >= key) {
            return Err(DecodeError::Malformed("order of the state"));
        }
        map.insert(key, value);
    }
    Ok(map)
}

/// Members of foreign machines with an account.
const FOREIGN_MAX: usize = MEMBERS_MAX * 1024;

impl Decode for State {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (next, tau) = (input.get()?, input.get()?);
        let accounts = sorted(input, MEMBERS_MAX, |input| Ok((input.get()?, input.get()?)))?;
        let pending = sorted(input, MEMBERS_MAX * VOWS_MAX, |input| {
            let pending: Pending = input.get()?;
            Ok((pending.id, pending))
        })?;
        let foreign =
            sorted(input, FOREIGN_MAX, |input| Ok(((input.get()?, input.get()?), input.get()?)))?;
        let executed = sorted(input, types::limits::LINKS_MAX, |input| {
            let (group, floor) = (input.get()?, input.get()?);
            let above = sorted(input, FOREIGN_EXECUTED_MAX, |input| Ok((input.get::<Aid>()?, ())))?;
            Ok((group, Executed { floor, above: above.into_keys().collect() }))
        })?;
        Ok(Self { next, tau, accounts, pending, foreign, executed })
    }
}
