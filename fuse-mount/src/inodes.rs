//! The inode table: what each inode number that the kernel knows stands for.
//!
//! Numbers are hashes of parent and name, so that a listing and a later lookup agree without keeping
//! anything, and a number that the kernel forgot comes back the same.
//! Bounds: entries are kept while the kernel counts lookups; [`Inodes::surplus`] says which ones the kernel
//! should be asked to forget.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::layout::Item;

pub(crate) const ROOT: u64 = 1;

/// What a number is made from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    /// An entry of a folder.
    Child(u64, OsString),
    /// A snapshot in a list: its id, not its name, which may change with its neighbours.
    Snapshot(u64, [u8; 32]),
    /// All names of a hard-linked file in a shown snapshot: snapshot's inode, device, inode.
    Linked(u64, u64, u64),
}

impl Key {
    fn number(&self) -> u64 {
        // A fixed hash: the numbers are the same in every run.
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }
}

#[derive(Debug)]
struct Entry {
    key: Key,
    item: Item,
    parent: u64,
    name: OsString,
    lookups: u64,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct Inodes {
    entries: HashMap<u64, Entry>,
}

impl Inodes {
    /// The number for a key; free of collisions with what is in the table.
    pub(crate) fn number(&self, key: &Key) -> u64 {
        let mut number = key.number();
        loop {
            if number > ROOT {
                match self.entries.get(&number) {
                    Some(entry) if entry.key != *key => {}
                    _ => return number,
                }
            }
            number = number.wrapping_add(1);
        }
    }

    /// Counts a lookup by the kernel.
    pub(crate) fn look_up(&mut self, key: Key, parent: u64, name: &OsStr, item: &Item) -> u64 {
        let number = self.number(&key);
        let entry = self.entries.entry(number).or_insert_with(|| Entry {
            key,
            item: item.clone(),
            parent,
            name: name.to_owned(),
            lookups: 0,
        });
        entry.lookups += 1;
        number
    }

    pub(crate) fn get(&self, number: u64) -> Option<Item> {
        if number == ROOT {
            return Some(Item::Root);
        }
        self.entries.get(&number).map(|entry| entry.item.clone())
    }

    pub(crate) fn forget(&mut self, number: u64, lookups: u64) {
        if let Some(entry) = self.entries.get_mut(&number) {
            entry.lookups = entry.lookups.saturating_sub(lookups);
            if entry.lookups == 0 {
                self.entries.remove(&number);
            }
        }
    }

    /// Entries beyond `most`, as parent and name, for the kernel to forget.
    pub(crate) fn surplus(&self, most: usize) -> Vec<(u64, OsString)> {
        let count = self.entries.len().saturating_sub(most);
        let entries = self.entries.values().take(count);
        entries.map(|e| (e.parent, e.name.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inode_forgotten_as_often_as_looked_up_is_gone_and_comes_back_the_same() {
        let mut inodes = Inodes::default();
        let key = || Key::Child(ROOT, "name".into());
        let first = inodes.look_up(key(), ROOT, OsStr::new("name"), &Item::ByTime);
        assert_eq!(inodes.number(&key()), first);
        assert_eq!(inodes.look_up(key(), ROOT, OsStr::new("name"), &Item::ByTime), first);
        inodes.forget(first, 1);
        assert!(inodes.get(first).is_some());
        inodes.forget(first, 1);
        assert!(inodes.get(first).is_none());
        assert_eq!(inodes.entries.len(), 0);
        assert_eq!(inodes.number(&key()), first);
        assert!(inodes.get(ROOT).is_some());
    }

    #[test]
    fn inode_surplus_names_only_what_is_too_much() {
        let mut inodes = Inodes::default();
        for i in 0..10 {
            let name = OsString::from(format!("{i}"));
            inodes.look_up(Key::Child(ROOT, name.clone()), ROOT, &name, &Item::ByTime);
        }
        assert_eq!(inodes.surplus(7).len(), 3);
        assert!(inodes.surplus(10).is_empty());
    }
}
