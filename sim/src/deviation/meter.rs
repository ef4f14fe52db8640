//! What one member spends, counted at the queue boundary (specification 10.4).
//!
//! Guarantees: bytes are those of the real encoders, after padding, with a factor for framing and
//! transport; signatures are those of `sign()`, verifications those of `verify()` with cached ones
//! counted once, both taken from the core's own counters.

/// Bytes on the wire for each byte of a message, in hundredths.
pub const WIRE_PER_CENT: u64 = 103;

/// Expenses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Meter {
    /// Message bytes sent.
    pub sent: u64,
    /// Message bytes received.
    pub received: u64,
    /// Durable bytes written.
    pub written: u64,
    /// Signatures made.
    pub signatures: u64,
    /// Signatures verified.
    pub verifications: u64,
}

/// What things cost, in units of the cost of sending 1 KiB (specification 10.1).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prices {
    /// Sending 1 KiB.
    pub sent_kib: f64,
    /// Receiving 1 KiB.
    pub received_kib: f64,
    /// Writing 1 KiB.
    pub written_kib: f64,
    /// One signature.
    pub signature: f64,
    /// One verification.
    pub verification: f64,
}

impl Prices {
    /// The defaults of 10.1.
    pub const FULL: Self = Self {
        sent_kib: 1.0,
        received_kib: 0.5,
        written_kib: 0.001,
        signature: 0.02,
        verification: 0.04,
    };
    /// The report's model, in which verification is free.
    pub const PAPER: Self = Self { verification: 0.0, ..Self::FULL };

    /// The cost of bytes that are sent and bytes that are received, framing included.
    pub fn bytes(&self, sent: f64, received: f64) -> f64 {
        let wire = WIRE_PER_CENT as f64 / 100.0 / 1024.0;
        wire * (self.sent_kib * sent + self.received_kib * received)
    }

    /// The cost of all that a meter counted.
    pub fn cost(&self, meter: &Meter) -> f64 {
        self.bytes(meter.sent as f64, meter.received as f64)
            + self.written_kib * meter.written as f64 / 1024.0
            + self.signature * meter.signatures as f64
            + self.verification * meter.verifications as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cost_of_a_kibibyte_each_way_is_one_and_a_half_units_with_framing() {
        let meter = Meter { sent: 1024, received: 1024, ..Meter::default() };
        assert!((Prices::FULL.cost(&meter) - 1.03 * 1.5).abs() < 1e-9);
    }

    #[test]
    fn verification_is_free_in_the_report_s_model_only() {
        let meter = Meter { verifications: 100, signatures: 10, ..Meter::default() };
        assert!((Prices::FULL.cost(&meter) - 4.2).abs() < 1e-9);
        assert!((Prices::PAPER.cost(&meter) - 0.2).abs() < 1e-9);
    }
}
