//! Follows the protocol: a faulty member that has not failed yet.

use super::{Board, Entry, Strategy};
use types::Slot;

struct Follow;

impl Strategy for Follow {}

pub(super) const ENTRY: Entry = Entry {
    name: "follow",
    what: "does what the protocol says",
    make: |_: &mut Board, _: Slot| Box::new(Follow),
};
