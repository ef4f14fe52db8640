//! Quorum arithmetic (specification 3.2).
//!
//! The voting population is the `n - 1` non-senders. Any two quorums of size `q` must share
//! `f + 1` of them (`2q - (n - 1) >= f + 1`), and `n - f - 1` live ones must suffice. Both hold
//! exactly when `n >= 3f + 2`.

/// Which of the two legal quorum sizes a group uses. They are never mixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// `n - f - 1`: no time-based listing, unbounded backlog.
    Async,
    /// `ceil((n + f) / 2)`: the default for PIB.
    QuasiSync,
}

/// Why `(n, f)` is no group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QuorumError {
    /// Too many faults for the size.
    #[error("a group of {n} cannot tolerate {f} Byzantine members: n must be at least 3f+2 = {}", 3 * f + 2)]
    TooFew {
        /// Members.
        n: usize,
        /// Faults.
        f: usize,
    },
    /// Larger than one state machine serves.
    #[error("a group of {n} is larger than the limit of {max} members")]
    TooMany {
        /// Members.
        n: usize,
        /// The limit.
        max: usize,
    },
}

/// The sizes that follow from `n` and `f`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quorum {
    n: usize,
    f: usize,
    mode: Mode,
}

impl Quorum {
    /// Checks `n >= 3f + 2` and the limit on members.
    pub fn new(n: usize, f: usize, mode: Mode) -> Result<Self, QuorumError> {
        let max = crate::limits::MEMBERS_MAX;
        if n > max {
            return Err(QuorumError::TooMany { n, max });
        }
        if f > max || n < 3 * f + 2 {
            return Err(QuorumError::TooFew { n, f });
        }
        Ok(Self { n, f, mode })
    }

    /// The largest `f` that `n` members tolerate; 0 for fewer than 5.
    pub fn largest_f(n: usize) -> usize {
        n.saturating_sub(2) / 3
    }

    /// Members.
    pub fn n(&self) -> usize {
        self.n
    }

    /// Byzantine members tolerated.
    pub fn f(&self) -> usize {
        self.f
    }

    /// The mode.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The one size of POL, read, agree and write quorums.
    pub fn size(&self) -> usize {
        match self.mode {
            Mode::Async => self.enough_write_acks(),
            Mode::QuasiSync => (self.n + self.f).div_ceil(2),
        }
    }

    /// `n - f - 1`: with so many write-acks a leader stops waiting for an all-good quorum (L4).
    pub fn enough_write_acks(&self) -> usize {
        self.n - self.f - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::int_plus_one)] // written as in the specification
    fn quorums_intersect_in_an_honest_member_and_stay_reachable() {
        for n in 2..=crate::limits::MEMBERS_MAX {
            for f in 0..=Quorum::largest_f(n) {
                for mode in [Mode::Async, Mode::QuasiSync] {
                    let quorum = Quorum::new(n, f, mode).unwrap();
                    let q = quorum.size();
                    assert!(2 * q >= (n - 1) + f + 1, "{n} {f} {mode:?}");
                    assert!(q <= n - f - 1, "{n} {f} {mode:?}");
                }
            }
        }
    }

    #[test]
    fn quorum_below_3f_plus_2_is_refused() {
        assert_eq!(Quorum::new(4, 1, Mode::QuasiSync), Err(QuorumError::TooFew { n: 4, f: 1 }));
        assert!(Quorum::new(5, 1, Mode::QuasiSync).is_ok());
    }

    #[test]
    fn sizes_match_the_table_of_section_3_3() {
        for (n, f, q) in [(5, 1, 3), (8, 2, 5), (20, 6, 13)] {
            assert_eq!(Quorum::new(n, f, Mode::QuasiSync).unwrap().size(), q);
        }
    }
}
