//! What a runner drives: this crate's [`Core`], or another core that orders commands over the same links
//! and disk (a yardstick, an older version).

use crate::config::Now;
use crate::core::Core;
use crate::effect::{Input, Stats, Step};
use crate::layer::Layer;
use crate::message::Message;
use types::{Decode, Encode, Millis};

/// A pure core: inputs in, effects out, the time as an argument. [`Effect`](crate::Effect) says what
/// a runner owes it.
pub trait Machine: Send + 'static {
    /// What members say to each other.
    type Message: Encode + Decode + PartialEq + Send;

    /// The first call.
    fn start(&mut self, now: Now) -> Step<Self::Message>;

    /// Takes one input.
    fn handle(&mut self, now: Now, input: Input<Self::Message>) -> Step<Self::Message>;

    /// When the next [`Input::Tick`] is due.
    fn next_wakeup(&self) -> Option<Millis>;

    /// What it holds and did.
    fn stats(&self) -> Stats;

    /// Puts a layer between the log and the application, before the first call. False if this core has no place
    /// for one.
    fn attach(&mut self, layer: Box<dyn Layer>) -> bool {
        drop(layer);
        false
    }
}

impl Machine for Core {
    type Message = Message;

    fn start(&mut self, now: Now) -> Step {
        Core::start(self, now)
    }

    fn handle(&mut self, now: Now, input: Input) -> Step {
        Core::handle(self, now, input)
    }

    fn next_wakeup(&self) -> Option<Millis> {
        Core::next_wakeup(self)
    }

    fn stats(&self) -> Stats {
        Core::stats(self)
    }

    fn attach(&mut self, layer: Box<dyn Layer>) -> bool {
        Core::attach(self, layer)
    }
}
