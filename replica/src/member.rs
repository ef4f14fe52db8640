//! A whole member from a few values: links, disk, clock, core and application.

use crate::app::Application;
use crate::clock::Clock;
use crate::error::Error;
use crate::file_store::FileStore;
use crate::handle::{Ended, Parts, Replica, start_with};
use bart_rsm::{Machine, Record};
use net::{Listen, Net, NetConfig, Peer};
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use types::{Epoch, GroupId, Hash, Ident, Mode, PublicKey, Quorum, Roster, SecretKey, Standing};

/// Who is in the group and where they listen; equal at all members, in the same order.
#[derive(Debug, Clone)]
pub struct Group {
    /// Keys and sizes.
    pub roster: Arc<Roster>,
    /// One entry a slot: `host:port`, best first. Not used for ourselves.
    pub addresses: Vec<Vec<String>>,
}

impl Group {
    /// A group of these members, slot 0 first, that tolerates as many Byzantine ones as its size allows
    /// (`n >= 3f + 2`). The name keeps groups apart: what is signed for one is worth nothing in another.
    pub fn new(name: &str, members: Vec<(PublicKey, Vec<String>)>) -> Result<Self, Error> {
        let (keys, addresses): (Vec<_>, Vec<_>) = members.into_iter().unzip();
        let f = Quorum::largest_f(keys.len());
        let member = |key| types::Member {
            identities: vec![key],
            active: Ident(0),
            standing: Standing::Live,
        };
        let id = GroupId(Hash::tagged("replica group", name.as_bytes()));
        let members = keys.into_iter().map(member).collect();
        let roster = Roster::new(id, Epoch(0), f, Mode::QuasiSync, members)
            .map_err(|error| Error::Config(error.to_string()))?;
        Ok(Self { roster: Arc::new(roster), addresses })
    }
}

/// What [`open`] needs.
pub struct MemberConfig {
    /// The group.
    pub group: Group,
    /// Our signing key; its place in the roster is our slot.
    pub key: SecretKey,
    /// Where we listen.
    pub listen: Listen,
    /// A folder of our own, which exists. It holds what we signed: without it this member must not run
    /// again under this key, because it would sign again.
    pub data: PathBuf,
    /// Timing and sizes; mostly equal in the whole group.
    pub params: bart_rsm::Params,
}

/// A running member. It ends without waiting when this and all handles are dropped.
pub struct Member<A: Application> {
    replica: Replica<A>,
    net: Net,
    ended: Ended,
}

/// Starts a member: connects to the others as they come up, and goes on from where it stopped. Must be
/// called inside a tokio runtime that drives I/O and time.
pub fn open<A: Application>(config: MemberConfig, app: A) -> Result<Member<A>, Error> {
    open_with(config, app, crate::restore::core)
}

/// As [`open`], with another core: see [`start_with`].
pub fn open_with<M: Machine, A: Application>(
    config: MemberConfig,
    app: A,
    build: impl FnOnce(bart_rsm::Config, SecretKey, Vec<Record>) -> Result<M, Error>,
) -> Result<Member<A>, Error> {
    let MemberConfig { group, key, listen, data, params } = config;
    let roster = group.roster;
    let slot = roster
        .slot_of(&key.public())
        .ok_or_else(|| Error::Config("this member's key is not in the group's roster".into()))?;
    let store = FileStore::open(&data.join("replica.redb"))?;
    let mut links = NetConfig::new(slot, *roster.group().0.as_bytes(), key.seed(), listen);
    // Section 4.3: the first redial after 2 * Gamma, then doubling.
    links.redial_first = Duration::from_millis(2 * params.gamma_ms).min(links.redial_max);
    let peers = roster.all().filter(|peer| *peer != slot).filter_map(|peer| {
        let addresses = group.addresses.get(usize::from(peer.0)).cloned().unwrap_or_default();
        Some(Peer { slot: peer, key: *roster.active_key(peer)?, addresses })
    });
    let (net, events, _requests) =
        Net::start(links, peers.collect()).map_err(|error| Error::Net(error.to_string()))?;
    let config = bart_rsm::Config {
        roster: Arc::clone(&roster),
        slot,
        ident: roster.member(slot).map_or(Ident(0), |member| member.active),
        params,
        rules: bart_rsm::Rules::default(),
    };
    let parts =
        Parts { config, key, store, net: net.clone(), events, clock: Clock::start(), work: None };
    let (replica, ended) = start_with(parts, app, build)?;
    Ok(Member { replica, net, ended })
}

impl<A: Application> Member<A> {
    /// A handle that can be cloned and moved to where commands come from.
    pub fn replica(&self) -> &Replica<A> {
        &self.replica
    }

    /// Our slot's links.
    pub fn net(&self) -> &Net {
        &self.net
    }

    /// Waits until the member ends by itself, which it does only on an error.
    pub async fn ended(&mut self) -> Result<(), Error> {
        (&mut self.ended).await.unwrap_or_else(|_| Err(Error::Alarm("its thread died".into())))
    }

    /// Stops the member and waits until it has: the address and the folder are free again.
    pub async fn shutdown(mut self) -> Result<(), Error> {
        self.net.shutdown().await;
        self.ended().await
    }
}

impl<A: Application> Deref for Member<A> {
    type Target = Replica<A>;
    fn deref(&self) -> &Replica<A> {
        &self.replica
    }
}
