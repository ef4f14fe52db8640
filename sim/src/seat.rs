//! A seat: one running engine with its disk and its clocks. An honest member has one seat; a
//! faulty member may have several under one key.

use crate::app::App;
use crate::clock::Clock;
use crate::disk::Disk;
use crate::rng::Random;
use crate::scenario::CrashPoint;
use bart_rsm::{Compose, Config, Core, Now, Step};
use types::{SecretKey, Slot};

/// One engine.
pub struct Seat {
    /// The member.
    pub slot: Slot,
    /// Which of the member's seats.
    pub ordinal: usize,
    /// The engine; `None` while the machine is down.
    pub core: Option<Core>,
    /// The application that the engine feeds; it survives crashes.
    pub app: App,
    /// Its disk.
    pub disk: Disk,
    /// Counts restarts; what was scheduled for an earlier life is void.
    pub life: u32,
    /// Effects left before an armed crash.
    pub fuse: Option<u64>,
    /// Effects carried out so far, in all lives; see [`CrashPoint::effect`].
    pub effects: u64,
    /// A crash at one of them.
    pub crash_point: Option<CrashPoint>,
    /// How long to stay down after the armed crash.
    pub down_ms: u64,
    /// The wake-up that is in the queue, in virtual time.
    pub wake_ms: Option<u64>,
    /// For each peer: the connection it was last told about, and whether that was up.
    pub told: Vec<(u32, bool)>,
    /// What a saved disk looked like, for a faulty member's roll-back.
    pub saved: Option<Disk>,
    config: Config,
    key: SecretKey,
    mono_start_ms: u64,
    clock: Clock,
    started_ms: u64,
}

impl Seat {
    /// A machine that has not been started.
    pub fn new(ordinal: usize, config: Config, key: SecretKey, clock: Clock, peers: usize) -> Self {
        Self {
            slot: config.slot,
            ordinal,
            core: None,
            app: App::default(),
            disk: Disk::default(),
            life: 0,
            fuse: None,
            effects: 0,
            crash_point: None,
            down_ms: 0,
            wake_ms: None,
            told: vec![(0, false); peers],
            saved: None,
            config,
            key,
            mono_start_ms: 0,
            clock,
            started_ms: 0,
        }
    }

    /// The member's clocks. The monotonic one starts anew with each life.
    pub fn now(&self, now_ms: u64) -> Now {
        self.clock.now(now_ms, self.mono_start_ms, now_ms - self.started_ms)
    }

    /// Starts the engine from whatever the disk holds; a faulty one may alter its proposals.
    pub fn boot(
        &mut self,
        now_ms: u64,
        compose: Option<Compose>,
        rng: &mut Random,
    ) -> Result<Step, String> {
        self.life += 1;
        self.fuse = None;
        self.wake_ms = None;
        self.told.fill((0, false));
        self.started_ms = now_ms;
        self.mono_start_ms = rng.between(0, 10_000_000);
        let (config, key) = (self.config.clone(), self.key.clone());
        let mut core = if self.disk.is_empty() {
            Core::new(config, key).map_err(|error| error.to_string())?
        } else {
            Core::restore(config, key, self.disk.records()).map_err(|error| error.to_string())?
        };
        if let Some(compose) = compose {
            core.compose_with(compose);
        }
        let step = core.start(self.now(now_ms));
        self.core = Some(core);
        Ok(step)
    }

    /// Stops the machine at once.
    pub fn stop(&mut self, rng: &mut Random) {
        self.core = None;
        self.wake_ms = None;
        self.fuse = None;
        self.life += 1;
        self.disk.crash(rng);
    }

    /// Counts one effect; true if the machine stops before it.
    pub fn burn(&mut self) -> bool {
        self.effects += 1;
        if let Some(point) = self.crash_point.take_if(|point| point.effect <= self.effects) {
            self.disk.settle(point.keep);
            return true;
        }
        match &mut self.fuse {
            Some(0) => true,
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        }
    }

    /// When the engine wants to be woken, in virtual time; never in the past.
    pub fn next_wake_ms(&self, now_ms: u64) -> Option<u64> {
        let mono = self.core.as_ref()?.next_wakeup()?;
        let elapsed = mono.0.saturating_sub(self.mono_start_ms);
        Some((self.started_ms + self.clock.until_mono(elapsed)).max(now_ms + 1))
    }
}
