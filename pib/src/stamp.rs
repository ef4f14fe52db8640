//! Stamps: wall-clock milliseconds that also serve as sequence numbers (issue P18).
//!
//! Guarantees: strictly increasing, also across a crash, because a mark above every stamp given
//! out is among the records that precede the stamped statement; the mark runs [`GAP_MS`] ahead, so
//! that not every stamp costs a write. One identity acts as owner and as storer; the two sources
//! never meet because their stamps differ in the lowest bit.

use crate::Error;
use crate::record::{Record, Table, read};
use types::{Decode, DecodeError, Encode, Reader, Stamp, Writer};

/// How far the persisted mark runs ahead of the last stamp; after a crash stamps start there, until the clock has
/// caught up, and so much further after each crash that comes sooner. It must stay far below the permitted
/// clock difference: beside it, honest clocks may be apart by what it leaves of that, and answers of a member
/// whose clock is further ahead count as no answer for as long.
pub const GAP_MS: u64 = 10_000;

/// Which of the two sources of one identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// What the member signs as an owner: even stamps.
    Owner,
    /// What it signs as a storer: odd stamps.
    Storer,
}

impl Encode for Lane {
    fn encode(&self, out: &mut Writer) {
        out.u8(self.bit() as u8);
    }
}

impl Decode for Lane {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match input.u8()? {
            0 => Ok(Self::Owner),
            1 => Ok(Self::Storer),
            _ => Err(DecodeError::Malformed("lane")),
        }
    }
}

impl Lane {
    fn bit(self) -> u64 {
        match self {
            Self::Owner => 0,
            Self::Storer => 1,
        }
    }
}

/// Gives out stamps.
#[derive(Debug, Clone)]
pub struct StampSource {
    lane: Lane,
    /// The lowest value that may be given out next.
    next: u64,
    /// Persisted: everything given out lies below.
    mark: u64,
}

impl StampSource {
    /// A source that never gave out a stamp.
    pub fn new(lane: Lane) -> Self {
        Self { lane, next: 0, mark: 0 }
    }

    /// Continues above the mark if the record is this lane's mark.
    pub(crate) fn restore(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        let Some((Table::Stamp, rest)) = Table::of(key) else { return Ok(()) };
        if read::<Lane>(key, rest)? == self.lane {
            self.mark = read::<Stamp>(key, value)?.0;
            self.next = self.mark;
        }
        Ok(())
    }

    /// The next stamp: `now`, or later if `now` was already used. Pushes the record that must be
    /// durable before the stamp is seen outside, if one is needed.
    pub fn take(&mut self, now: Stamp, records: &mut Vec<Record>) -> Stamp {
        let least = self.next.max(now.0);
        let stamp = (least & !1).saturating_add(self.lane.bit());
        let stamp = if stamp < least { stamp.saturating_add(2) } else { stamp };
        if stamp >= self.mark {
            self.mark = stamp.saturating_add(GAP_MS);
            records.push(Record::set(Table::Stamp, &self.lane, &Stamp(self.mark)));
        }
        self.next = stamp.saturating_add(1);
        Stamp(stamp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_with_a_standing_clock_increase_and_lanes_never_meet() {
        let (mut owner, mut storer) =
            (StampSource::new(Lane::Owner), StampSource::new(Lane::Storer));
        let mut records = Vec::new();
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..100 {
            assert!(seen.insert(owner.take(Stamp(7000), &mut records)));
            assert!(seen.insert(storer.take(Stamp(7000), &mut records)));
        }
        assert_eq!(records.len(), 2, "one write each covers the whole gap");
    }

    #[test]
    fn stamps_after_a_crash_start_above_every_stamp_given_out() {
        let mut source = StampSource::new(Lane::Storer);
        let mut records = Vec::new();
        let mut last = Stamp(0);
        for step in 0..30 {
            last = source.take(Stamp(1000 + step * 900), &mut records);
        }
        assert!(records.len() > 1);
        let mut again = StampSource::new(Lane::Storer);
        for record in &records {
            again.restore(&record.key, record.value.as_ref().unwrap()).unwrap();
        }
        // The clock was set back meanwhile.
        assert!(again.take(Stamp(0), &mut Vec::new()) > last);
    }

    #[test]
    fn mark_of_the_other_lane_is_ignored() {
        let mut records = Vec::new();
        StampSource::new(Lane::Owner).take(Stamp(50_000), &mut records);
        let mut storer = StampSource::new(Lane::Storer);
        storer.restore(&records[0].key, records[0].value.as_ref().unwrap()).unwrap();
        assert_eq!(storer.take(Stamp(10), &mut Vec::new()), Stamp(11));
    }
}
