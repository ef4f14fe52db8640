//! Starts and stops the parts of a member, in an order that loses nothing.

use crate::actor::{Acting, Actor};
use crate::api;
use crate::error::NodeError;
use crate::objects::{Objects, ObjectsConfig};
use crate::proofs::{self, Judge, rules, work_params};
use crate::rsm::{Rsm, Witnesses};
use crate::store::bodies::Bodies;
use crate::store::cache::ObjectCache;
use crate::store::lock::FolderLock;
use crate::store::promises::Promises;
use crate::storer::StorerService;
use crate::upkeep;
use crate::wire::{MemberStanding, MemberStatus, ProofEntry, Status, WitnessStatus};
use crate::work::{self, Assigner};
use net::{Listen, Net, NetConfig, Peer};
use policy::{MemberConfig, Ticket};
use replica::Clock;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use types::{Hash, Ident, SecretKey, Slot};

/// What a daemon is started with.
pub struct DaemonConfig {
    /// The data folder; it exists and belongs to this member.
    pub data: PathBuf,
    /// The master secret.
    pub master: [u8; 32],
    /// The group's ticket, verified.
    pub ticket: Ticket,
    /// The member's settings.
    pub config: MemberConfig,
    /// A socket that is bound already, instead of the address in `config`.
    pub listen: Option<std::net::TcpListener>,
    /// What a test actor makes of its messages; nothing for a member.
    pub acting: Acting,
}

/// The parts of a running member that the local API reaches.
pub struct Daemon {
    ticket: Ticket,
    slot: Slot,
    clock: Clock,
    net: Net,
    rsm: Rsm,
    objects: Arc<Objects>,
    storer: Arc<StorerService>,
    promises: Promises,
    assigner: Option<Arc<Assigner>>,
    stop: watch::Sender<bool>,
}

/// The linked identity that signs. Coming back as a later one is recovery, which the accountability
/// layer brings.
const IDENTITY: Ident = Ident(0);
/// How long open requests may take to finish once the daemon stops.
const DRAIN_MAX: Duration = Duration::from_secs(5);
/// Answers in work for one peer at once.
const IN_FLIGHT_PER_PEER: u16 = 8;

/// Runs a member until `shutdown` completes, the API is asked to stop, or something fails that the
/// member must not survive (a promise that cannot be made durable, disagreement in the group).
pub async fn run(
    mut config: DaemonConfig,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), NodeError> {
    let clock = Clock::start();
    let _lock = FolderLock::take(&config.data)?;
    let promises = Promises::open(&config.data)?;
    let secrets = pib::Secrets::from_master(&config.master);
    let key = secrets.identity(IDENTITY).map_err(|error| NodeError::Group(error.to_string()))?;
    let roster = Arc::new(config.ticket.roster().clone());
    let slot = roster
        .slot_of(&key.public())
        .ok_or_else(|| NodeError::Group("this member's key is not in the group's roster".into()))?;
    let (net, control, requests) = start_net(&config, slot, &key)?;
    let rsm_config = rsm_config(&config.ticket, slot, roster.clone());
    let (work_events, work_heard) = tokio::sync::mpsc::unbounded_channel();
    let assigns = config.ticket.genesis().policy().work().enabled;
    let params = work_params(config.ticket.genesis());
    let parts = replica::Parts {
        config: rsm_config,
        key: key.clone(),
        store: promises.clone(),
        net: net.clone(),
        events: control,
        clock,
        work: assigns.then(|| replica::WorkParts {
            params: params.clone(),
            legal: legal(&config.ticket),
            events: work_events,
        }),
    };
    let (rsm, mut rsm_ended) = match config.acting.messages.take() {
        None => replica::start(parts, Witnesses::default())?,
        Some(outbound) => {
            replica::start_with(parts, Witnesses::default(), |config, key, records| {
                Actor::new(config, key, records, outbound)
            })?
        }
    };
    let storer = StorerService::open(
        storer_config(&config.ticket, slot, key.clone()),
        roster.clone(),
        promises.clone(),
        Bodies::open(&config.data)?,
        clock,
        config.acting.answers.take(),
        config.acting.silence,
    )?;
    let assigner =
        assigns.then(|| Arc::new(Assigner::new(rsm.clone(), config.ticket.gid(), &params)));
    let objects = Objects::open(ObjectsConfig {
        owner: owner_config(&config.ticket, slot, secrets),
        roster,
        patience: Duration::from_millis(config.config.limits.put_patience_ms),
        possession_check_ms: config.config.limits.possession_check_ms,
        names: config.ticket.genesis().members().iter().map(|m| m.name.clone()).collect(),
        promises: promises.clone(),
        cache: ObjectCache::open(&config.data)?,
        net: net.clone(),
        clock,
        assigner: assigner.clone(),
    })?;
    let failing = promises.clone();
    let (stop, stopped) = watch::channel(false);
    let daemon = Arc::new(Daemon {
        ticket: config.ticket,
        slot,
        clock,
        net: net.clone(),
        rsm: rsm.clone(),
        objects: objects.clone(),
        storer: storer.clone(),
        promises,
        assigner: assigner.clone(),
        stop,
    });
    let listener = api::bind(&config.data.join("api.sock"))?;
    tracing::info!(group = daemon.ticket.genesis().name(), %slot, "member is running");
    let answers = tokio::spawn(storer.clone().serve(requests));
    let working = assigner.map(|assigner| {
        // A member that is slow on the direct path has half of the time that the group waits.
        let patience = Duration::from_millis(params.max_response_ms / 2);
        let (objects, storer) = (objects.clone(), storer.clone());
        tokio::spawn(work::run(work_heard, assigner, objects, storer, patience))
    });
    let rosters = tokio::spawn(follow(rsm.rosters(), objects.clone()));
    let upkeep = tokio::spawn(upkeep::run(objects, storer, rsm, stopped.clone()));
    let api_stop = stopped.clone();
    let mut served = tokio::spawn(api::serve(listener, daemon.clone(), wait_for_stop(api_stop)));

    let outcome = tokio::select! {
        () = shutdown => Ok(()),
        () = wait_for_stop(stopped) => Ok(()),
        ended = &mut rsm_ended => match ended {
            Ok(ended) => ended.map_err(NodeError::from),
            Err(_) => Err(NodeError::Alarm("its thread died".into())),
        },
        error = failing.failed() => Err(error),
        served = &mut served => Err(NodeError::Net(format!("the local API ended: {served:?}"))),
    };
    tracing::info!("member is stopping");
    daemon.stop();
    if !served.is_finished() && tokio::time::timeout(DRAIN_MAX, &mut served).await.is_err() {
        tracing::warn!("open requests did not finish in time; they can be repeated");
    }
    upkeep.abort();
    rosters.abort();
    answers.abort();
    if let Some(working) = working {
        working.abort();
    }
    net.shutdown().await;
    // The socket is the sign of life for commands; it goes before the lock does.
    let _ = std::fs::remove_file(config.data.join("api.sock"));
    outcome
}

/// Tells the owner's part who takes part, whenever the log changes that.
async fn follow(mut rosters: watch::Receiver<Arc<types::Roster>>, objects: Arc<Objects>) {
    loop {
        let roster = rosters.borrow_and_update().clone();
        if let Err(error) = objects.follow_roster(roster).await {
            tracing::error!(%error, "the new roster is taken up at the next start");
        }
        if rosters.changed().await.is_err() {
            return;
        }
    }
}

async fn wait_for_stop(mut stopped: watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stop| *stop).await;
}

fn start_net(
    config: &DaemonConfig,
    slot: Slot,
    key: &SecretKey,
) -> Result<(Net, net::ControlReceiver, net::RequestReceiver), NodeError> {
    let genesis = config.ticket.genesis();
    let timing = genesis.policy().timing();
    let listen = match &config.listen {
        Some(socket) => Listen::Socket(socket.try_clone().map_err(|source| NodeError::Io {
            what: "use the listening socket of",
            path: config.data.clone(),
            source,
        })?),
        None => Listen::Address(config.config.listen.to_string()),
    };
    let mut net = NetConfig::new(slot, *genesis.gid().0.as_bytes(), key.seed(), listen);
    let limits = &config.config.limits;
    net.upload_limit = limits.upload_rate.and_then(NonZeroU64::new);
    net.download_limit = limits.download_rate.and_then(NonZeroU64::new);
    net.bulk_frame_max = types::limits::BULK_FRAME_MAX;
    net.bulk_incoming_bytes = types::limits::BULK_FRAME_MAX;
    net.bulk_outgoing_bytes = types::limits::BULK_FRAME_MAX;
    net.bulk_in_flight_in = IN_FLIGHT_PER_PEER;
    net.bulk_in_flight_out = IN_FLIGHT_PER_PEER;
    // Section 4.3: the first redial after 2 * Gamma, then doubling.
    net.redial_first = Duration::from_millis(2 * timing.gamma_ms).min(net.redial_max);
    let peers = genesis.members().iter().enumerate().filter_map(|(index, member)| {
        let peer = Slot(index as u16);
        let key = *member.identities.get(usize::from(IDENTITY.0))?;
        (peer != slot).then(|| Peer { slot: peer, key, addresses: member.addresses.clone() })
    });
    Net::start(net, peers.collect()).map_err(|error| NodeError::Net(error.to_string()))
}

fn rsm_config(ticket: &Ticket, slot: Slot, roster: Arc<types::Roster>) -> bart_rsm::Config {
    let policy = ticket.genesis().policy();
    let timing = policy.timing();
    bart_rsm::Config {
        roster,
        slot,
        ident: IDENTITY,
        params: bart_rsm::Params {
            v_max: policy.proposal_len_max(),
            t0_min_ms: timing.t0_min_ms,
            t0_max_ms: timing.t0_max_ms,
            idle_first_ms: timing.idle_first_ms,
            idle_max_ms: timing.idle_max_ms,
            gamma_ms: timing.gamma_ms,
            resend_max_ms: timing.resend_max_ms,
            pipeline: policy.pipeline() as u64,
            authority: Some(*ticket.genesis().authority()),
            ..bart_rsm::Params::default()
        },
        rules: bart_rsm::Rules::default(),
    }
}

/// Which requests an honest member can always answer: by the founding document and the log's time alone.
fn legal(ticket: &Ticket) -> replica::Legal {
    let (roster, rules) = (ticket.roster().clone(), rules(ticket.genesis()));
    Arc::new(move |request, tau| pib::assigned::is_legal(&roster, &rules, tau, request))
}

fn standing(roster: &types::Roster, slot: Slot) -> MemberStanding {
    match roster.member(slot).map(|member| member.standing) {
        Some(types::Standing::Live) => MemberStanding::Live,
        Some(types::Standing::Suspended) => MemberStanding::Suspended,
        Some(types::Standing::Expelled) | None => MemberStanding::Expelled,
    }
}

fn storer_config(ticket: &Ticket, slot: Slot, key: SecretKey) -> pib::StorerConfig {
    pib::StorerConfig {
        group: ticket.gid(),
        slot,
        ident: IDENTITY,
        key,
        rules: rules(ticket.genesis()),
    }
}

fn owner_config(ticket: &Ticket, slot: Slot, secrets: pib::Secrets) -> pib::OwnerConfig {
    let sizes = ticket.genesis().sizes();
    pib::OwnerConfig {
        group: ticket.gid(),
        slot,
        ident: IDENTITY,
        secrets,
        quota_bytes: ticket.genesis().policy().storage().quota_bytes,
        x: sizes.chunks,
        f: sizes.f(),
        rules: rules(ticket.genesis()),
    }
}

impl Daemon {
    /// This member's own objects.
    pub fn objects(&self) -> &Arc<Objects> {
        &self.objects
    }

    /// The state machine.
    pub fn rsm(&self) -> &Rsm {
        &self.rsm
    }

    /// Proofs of misbehavior that are kept here and verify.
    pub fn proofs(&self) -> Result<Vec<ProofEntry>, NodeError> {
        let genesis = self.ticket.genesis();
        let proofs = self.promises.proofs()?;
        let mut judge = Judge::new(genesis);
        let entries = proofs.iter().filter_map(|bytes| {
            let verdict = judge.judge(bytes).ok()?;
            Some(ProofEntry {
                id: verdict.id.to_hex(),
                kind: format!("{} {}", verdict.row, verdict.name),
                member: judge.name(verdict.accused)?.to_owned(),
                slot: verdict.accused.0,
                identity: verdict.ident.0,
                instance: verdict.place.map(|place| place.inst.0),
                turn: verdict.place.map(|place| place.turn.0),
                rule: verdict.rule.to_owned(),
                bytes: bytes.len() as u64,
            })
        });
        Ok(entries.collect())
    }

    /// The file of a kept proof.
    pub fn proof(&self, id: Hash) -> Result<Option<Vec<u8>>, NodeError> {
        let mut kept = self.promises.proofs()?.into_iter();
        Ok(kept.find(|bytes| proofs::id(bytes) == id))
    }

    /// Begins a clean stop.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// A picture of everything that a member wants to know at a glance.
    pub fn status(&self) -> Status {
        let genesis = self.ticket.genesis();
        let code = self.objects.sizes();
        let peers = self.net.peer_status();
        let roster = self.rsm.rosters().borrow().clone();
        let (totals, tombstones) = self.objects.totals();
        let own = self.objects.summary();
        let up: Vec<Slot> = peers.iter().filter(|p| p.bulk_up).map(|p| p.slot).collect();
        let work = self.assigner.as_ref().map(|assigner| assigner.counts()).unwrap_or_default();
        let members = peers.iter().map(|peer| MemberStatus {
            work_open: work.open.get(&peer.slot).copied().unwrap_or(0),
            work_denied: work.denied.get(&peer.slot).copied().unwrap_or(0),
            slot: peer.slot.0,
            name: genesis.members()[usize::from(peer.slot.0)].name.clone(),
            up: peer.control_up && peer.bulk_up,
            bytes_held_for_me: own.bytes_at(peer.slot),
            bytes_held_by_me: self.storer.bytes_of(peer.slot),
            bad_chunks: self.objects.bad_chunks_of(peer.slot),
            standing: standing(&roster, peer.slot),
            last_error: if peer.bulk_up { None } else { peer.last_error.clone() },
        });
        let witness = self
            .rsm
            .read(|app| app.0.latest(self.slot).copied())
            .map(|witness| WitnessStatus { objects: witness.objects, stamp_ms: witness.stamp.0 });
        let possession = self.objects.possession();
        let link_faults: u64 = peers.iter().flat_map(|peer| peer.faults.values()).sum();
        Status {
            group: genesis.name().to_owned(),
            group_id: genesis.gid().0.to_hex(),
            name: genesis.members()[usize::from(self.slot.0)].name.clone(),
            slot: self.slot.0,
            n: roster.quorum().n(),
            f: roster.quorum().f(),
            x: code.0,
            needed: code.0 - code.1,
            takes_part: roster.is_live(self.slot),
            members: members.collect(),
            decided: self.rsm.decided(),
            quota_bytes: genesis.policy().storage().quota_bytes,
            used_bytes: totals.held_bytes,
            pending_bytes: totals.pending_bytes,
            held_for_others_bytes: self.storer.bytes_held(),
            objects: own.objects,
            incomplete_objects: own.incomplete,
            can_lose: self.objects.can_lose(&up),
            tombstones_to_deliver: tombstones,
            first_lease_end_ms: own.first_lease_end.map(|stamp| stamp.0),
            last_witness: witness,
            uptime_ms: self.clock.mono().0,
            pid: std::process::id(),
            faults: self.rsm.faults() + self.storer.faults() + self.objects.faults() + link_faults,
            bad_chunks: self.objects.bad_chunks(),
            possession_checks_passed: possession.passed,
            possession_checks_failed: possession.failed,
            chunks_mended: possession.mended,
            work_answered: work.answered,
            work_late: work.late,
            evidence: self.promises.evidence().unwrap_or_default(),
            bulk_bytes_sent: peers.iter().map(|peer| peer.bytes_out).sum(),
            bulk_bytes_received: peers.iter().map(|peer| peer.bytes_in).sum(),
        }
    }
}
