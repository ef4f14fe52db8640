//! The bound on connections that did not prove who they are yet.
//!
//! Guarantees: at most `max` in total and `per_source` from one source, so that one host that
//! opens connections and stays silent cannot keep the others out.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use crate::lock;

pub(crate) struct HalfOpen {
    max: usize,
    per_source: usize,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    total: usize,
    by_source: BTreeMap<[u8; 8], usize>,
}

/// A place among the half-open connections; dropping it frees the place.
pub(crate) struct Place {
    table: Arc<HalfOpen>,
    source: [u8; 8],
}

impl HalfOpen {
    pub(crate) fn new(max: usize, per_source: usize) -> Arc<Self> {
        Arc::new(Self { max, per_source, counts: Mutex::default() })
    }

    /// A place for a connection from `address`, if there is one.
    pub(crate) fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let source = source_of(address);
        let mut counts = lock(&self.counts);
        let of_source = counts.by_source.get(&source).copied().unwrap_or(0);
        if counts.total >= self.max || of_source >= self.per_source {
            return None;
        }
        counts.total += 1;
        counts.by_source.insert(source, of_source + 1);
        Some(Place { table: Arc::clone(self), source })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = lock(&self.table.counts);
        counts.total = counts.total.saturating_sub(1);
        let left = counts.by_source.get(&self.source).map_or(0, |count| count.saturating_sub(1));
        if left == 0 {
            counts.by_source.remove(&self.source);
        } else {
            counts.by_source.insert(self.source, left);
        }
    }
}

/// An IPv4 address, or the /64 that one IPv6 host usually has to itself.
fn source_of(address: IpAddr) -> [u8; 8] {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            [0, 0, 0, 0, a, b, c, d]
        }
        IpAddr::V6(v6) => {
            let [a, b, c, d, e, f, g, h, ..] = v6.octets();
            [a, b, c, d, e, f, g, h]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_open_one_source_full_leaves_room_for_others() {
        let table = HalfOpen::new(3, 2);
        let (one, two) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let first = table.admit(one).expect("empty table");
        let _second = table.admit(one).expect("below the source's limit");
        assert!(table.admit(one).is_none(), "source limit");
        let _third = table.admit(two).expect("another source");
        assert!(table.admit(two).is_none(), "total limit");
        drop(first);
        assert!(table.admit(two).is_some());
    }

    #[test]
    fn half_open_ipv6_neighbours_count_as_one_source() {
        let table = HalfOpen::new(8, 1);
        let a: IpAddr = "2001:db8::1".parse().expect("address");
        let b: IpAddr = "2001:db8::2".parse().expect("address");
        let _place = table.admit(a).expect("empty table");
        assert!(table.admit(b).is_none());
    }
}
