//! How large the samples of the sampled broadcast must be, and whether they pay.
//!
//! Source: sections 4.3.3, 4.4.3 and 4.5.3 of the thesis. It gives the arguments; the formulas in
//! `bounds.rs` write them out.
//! Assumes: the adversary chose its members before the samples were drawn and does not know them.
//! Guarantees: (1) every elementary bound of a [`Plan`] is at most a third of epsilon; (2) hence validity,
//! consistency of one broadcast each fail with a chance of at most epsilon, and so does totality against an
//! adversary that learns nothing from who subscribes to its members; (3) a sample is
//! never larger than [`SIZES_MAX_TIMES`] times the members.
//! Bounds: [`MEMBERS_MAX`].
//! Deviations: samples of distinct members (the default here) are smaller than those with replacement of
//! the thesis. The totality bound leaves out that the adversary knows who subscribed to its own members.

mod bounds;
mod search;
mod tail;

use bounds::Model;
use search::Search;

/// Members of one system that sizes are computed for.
pub const MEMBERS_MAX: usize = 20_000;
/// Entries of one sample, in multiples of the members: a larger one never pays.
pub const SIZES_MAX_TIMES: usize = 2;

/// How a sample is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sampling {
    /// Distinct members.
    Distinct,
    /// Members may be drawn again, and then count again, as in the thesis.
    WithReplacement,
}

/// Why no sizes can be computed.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum ParamsError {
    /// Too few or too many members.
    #[error("{0} members: give 4 to {MEMBERS_MAX}")]
    Members(usize),
    /// Not a fraction below one third.
    #[error("a Byzantine fraction of {0}: give at least 0 and less than 1/3")]
    Byzantine(f64),
    /// Not a probability that says something.
    #[error("an epsilon of {0}: give at least 1e-30 and less than 1")]
    Epsilon(f64),
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Target {
    /// Members, N.
    pub members: usize,
    /// The fraction f of them that may be Byzantine; floor(f N) members.
    pub byzantine: f64,
    /// The chance of a violation of each property in one broadcast.
    pub epsilon: f64,
}

/// The sizes and thresholds of the three layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// G, the expected gossip sample.
    pub gossip: usize,
    /// E, the echo sample.
    pub echo: usize,
    /// How many entries of the echo sample must agree.
    pub echo_threshold: usize,
    /// R, the ready sample.
    pub ready: usize,
    /// How many entries of the ready sample infect.
    pub ready_threshold: usize,
    /// D, the delivery sample.
    pub delivery: usize,
    /// How many entries of the delivery sample deliver.
    pub delivery_threshold: usize,
}

impl Sizes {
    /// Sends of one member for one broadcast: gossip to both directions of its links, one echo and one
    /// ready to each who sampled it.
    pub fn sends(&self) -> usize {
        2 * self.gossip + self.echo + self.ready + self.delivery
    }
}

/// Bounds on the chance of each elementary failure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// Gossip does not reach everybody.
    pub gossip: f64,
    /// An echo sample starves.
    pub echo_validity: f64,
    /// The echo layer delivers two messages.
    pub echo_consistency: f64,
    /// Byzantine members alone infect, or make somebody deliver.
    pub ready_consistency: f64,
    /// A delivery sample starves.
    pub delivery: f64,
    /// The contagion stops after somebody delivered and before all did.
    pub contagion: f64,
}

impl Bounds {
    /// On a violation of validity.
    pub fn validity(&self) -> f64 {
        self.gossip + self.echo_validity + self.delivery
    }

    /// On a violation of consistency.
    pub fn consistency(&self) -> f64 {
        self.echo_consistency + self.ready_consistency
    }

    /// On a violation of totality.
    pub fn totality(&self) -> f64 {
        self.echo_consistency + self.contagion + self.delivery
    }
}

/// Sizes with what they guarantee and cost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// The sizes.
    pub sizes: Sizes,
    /// What they leave to chance.
    pub bounds: Bounds,
}

impl Target {
    /// Checks that the question has a meaning.
    fn check(&self) -> Result<(), ParamsError> {
        if !(4..=MEMBERS_MAX).contains(&self.members) {
            return Err(ParamsError::Members(self.members));
        }
        if !(self.byzantine >= 0.0 && self.byzantine < 1.0 / 3.0) {
            return Err(ParamsError::Byzantine(self.byzantine));
        }
        if !(self.epsilon >= 1e-30 && self.epsilon < 1.0) {
            return Err(ParamsError::Epsilon(self.epsilon));
        }
        Ok(())
    }

    /// Byzantine members.
    pub fn byzantine_members(&self) -> usize {
        // 0.1 times 30 must be 3, whatever the binary fraction says.
        (self.byzantine * self.members as f64 + 1e-9).floor() as usize
    }

    /// Sends of one member in Bracha's broadcast: one echo and one ready to everybody.
    pub fn bracha_sends(&self) -> usize {
        2 * self.members
    }

    /// To how many others a member hands a certificate on in certified broadcast, so that it reaches all honest
    /// members but with a chance of at most epsilon; who is left out still hears of it by statuses.
    pub fn fanout(&self) -> Result<usize, ParamsError> {
        self.check()?;
        let model =
            Model::new(self.members, self.byzantine_members(), Sampling::Distinct, self.members);
        let found = (1..self.members).find(|size| model.unreached(*size) <= self.epsilon);
        Ok(found.unwrap_or(self.members - 1))
    }

    /// The sizes; `None` when no samples up to the limit reach epsilon.
    pub fn plan(&self, sampling: Sampling) -> Result<Option<Plan>, ParamsError> {
        self.check()?;
        let size_max = match sampling {
            Sampling::Distinct => self.members,
            Sampling::WithReplacement => SIZES_MAX_TIMES * self.members,
        };
        let model = Model::new(self.members, self.byzantine_members(), sampling, size_max);
        let search = Search { model: &model, share: self.epsilon / 3.0, size_max };
        let found = search.echo().zip(search.ready());
        Ok(found.map(|(echo, (ready, delivery))| {
            let sizes = Sizes {
                gossip: search.gossip(),
                echo: echo.0,
                echo_threshold: echo.1,
                ready: ready.0,
                ready_threshold: ready.1,
                delivery: delivery.0,
                delivery_threshold: delivery.1,
            };
            Plan { sizes, bounds: bounds_of(&model, &sizes) }
        }))
    }

    /// Whether a plan sends less than Bracha's broadcast.
    pub fn pays(&self, plan: &Plan) -> bool {
        plan.sizes.sends() < self.bracha_sends()
    }
}

fn bounds_of(model: &Model, sizes: &Sizes) -> Bounds {
    let stuck = model.stuck(sizes.ready, sizes.ready_threshold);
    Bounds {
        gossip: model.gossip(sizes.gossip),
        echo_validity: model.starved(sizes.echo, sizes.echo_threshold),
        echo_consistency: model.echo_consistency(sizes.echo, sizes.echo_threshold),
        ready_consistency: model.captured(sizes.ready, sizes.ready_threshold)
            + model.captured(sizes.delivery, sizes.delivery_threshold),
        delivery: model.starved(sizes.delivery, sizes.delivery_threshold),
        contagion: model.totality(&stuck, sizes.delivery, sizes.delivery_threshold, 1.0),
    }
}

#[cfg(test)]
mod tests;
