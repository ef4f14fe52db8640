//! Judging proofs of misbehavior of every family with nothing but the group's founding document
//! (specification 8.1), for the daemon's list and for `pib pom verify`.
//!
//! Guarantees: 1. a pure function of file and founding document; 2. a family that this program cannot
//! judge convicts nobody.

use policy::Genesis;
use types::{Envelope, EnvelopeError, Epoch, Family, Hash, Ident, Instance, Slot, Turn};

/// Why a file convicts nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotProven {
    /// It is not even the envelope of a proof.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// The state machine's verifier refuses it.
    #[error(transparent)]
    StateMachine(#[from] bart_rsm::pom::PomError),
    /// The verifier of assigned work refuses it.
    #[error(transparent)]
    Work(#[from] work_assign::pom::PomError),
    /// The backup service's verifier refuses it.
    #[error(transparent)]
    Backup(#[from] pib::PomError),
    /// The ledger's verifier refuses it.
    #[error(transparent)]
    Credits(#[from] ledger::pom::PomError),
}

/// Where in the log it happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The roster of that time.
    pub epoch: Epoch,
    /// The instance.
    pub inst: Instance,
    /// The turn.
    pub turn: Turn,
}

/// What a proof that verifies establishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Digest of the file.
    pub id: Hash,
    /// The row of the catalogue: `TR1`, `PB3`.
    pub row: String,
    /// The row's name.
    pub name: &'static str,
    /// What the accused did, after its name.
    pub words: &'static str,
    /// Which rule was broken.
    pub rule: &'static str,
    /// By whom.
    pub accused: Slot,
    /// Under which linked identity.
    pub ident: Ident,
    /// Where in the log; statements about stored chunks stand outside it.
    pub place: Option<Place>,
}

/// The bytes of the longest proof of any family.
pub const PROOF_LEN_MAX: usize = pib::pom::POM_LEN_MAX;
const _: () = assert!(bart_rsm::pom::POM_LEN_MAX <= PROOF_LEN_MAX);
const _: () = assert!(work_assign::pom::POM_LEN_MAX <= PROOF_LEN_MAX);
const _: () = assert!(ledger::pom::POM_LEN_MAX <= PROOF_LEN_MAX);

/// What decides whether a storer's answer is legal in this group.
pub fn rules(genesis: &Genesis) -> pib::Rules {
    let storage = genesis.policy().storage();
    pib::Rules {
        lease_ms: storage.lease_ms,
        skew_ms: storage.skew_ms,
        // Each member gives as much as it may use (paper section 7).
        contribution_bytes: storage.quota_bytes,
    }
}

/// Deadlines, prices and quotas of assigned work in this group.
pub fn work_params(genesis: &Genesis) -> work_assign::Params {
    let (policy, work) = (genesis.policy(), genesis.policy().work());
    let storage = policy.storage().quota_bytes;
    work_assign::Params {
        max_response_ms: policy.timing().max_response_ms,
        margin_ms: work.margin_ms,
        rotation_ms: work.rotation_ms,
        open_ms: work.open_ms,
        request_life_ms: work.request_life_ms,
        quota_period_ms: work.quota_period_ms,
        // Specification 6.4: twice the storage quota.
        quota_bytes: work.quota_bytes.unwrap_or(2 * storage),
        mandatory_bytes: work.mandatory_bytes,
        pipeline: policy.pipeline() as u64,
        ..work_assign::Params::default()
    }
}

/// Judges many proofs of one group; remembers the signatures of the state machine that it has checked.
pub struct Judge<'a> {
    genesis: &'a Genesis,
    state_machine: bart_rsm::pom::Judge,
}

impl<'a> Judge<'a> {
    /// A judge with a group's founding document.
    pub fn new(genesis: &'a Genesis) -> Self {
        Self { genesis, state_machine: bart_rsm::pom::Judge::new(genesis.roster()) }
    }

    /// Judges a file.
    pub fn judge(&mut self, bytes: &[u8]) -> Result<Verdict, NotProven> {
        match Envelope::family(bytes)? {
            Family::StateMachine => {
                let pom = bart_rsm::pom::Pom::from_bytes(bytes)?;
                let found = self.state_machine.verify(&pom)?;
                let place = Place { epoch: found.epoch, inst: found.inst, turn: found.turn };
                Ok(Verdict {
                    id: pom.digest(),
                    row: format!("TR{}", found.kind as u8),
                    name: found.kind.name(),
                    words: found.kind.words(),
                    rule: found.rule,
                    accused: found.accused,
                    ident: found.ident,
                    place: Some(place),
                })
            }
            Family::Backup => {
                let pom = pib::Pom::from_bytes(bytes)?;
                let found = pib::pom::verify(&pom, self.genesis.roster(), &rules(self.genesis))?;
                Ok(Verdict {
                    id: pom.digest(),
                    row: format!("PB{}", found.kind.row()),
                    name: found.kind.name(),
                    words: found.kind.words(),
                    rule: found.rule,
                    accused: found.accused,
                    ident: found.ident,
                    place: None,
                })
            }
            Family::Credits => {
                let pom = ledger::pom::Pom::from_bytes(bytes)?;
                let found = ledger::pom::verify(&pom, self.genesis.roster())?;
                Ok(Verdict {
                    id: pom.digest(),
                    row: format!("LD{}", found.kind.row()),
                    name: found.kind.name(),
                    words: found.kind.words(),
                    rule: "one statement for each account and number",
                    accused: found.accused,
                    ident: found.ident,
                    place: None,
                })
            }
            Family::Work => {
                let pom = work_assign::pom::Pom::from_bytes(bytes)?;
                let params = work_params(self.genesis);
                let found = work_assign::pom::verify(&pom, self.genesis.roster(), &params)?;
                let place = |aid: work_assign::Aid| Place {
                    epoch: pom.epoch,
                    inst: aid.inst,
                    turn: Turn(0),
                };
                Ok(Verdict {
                    id: pom.digest(),
                    row: found.kind.row().to_owned(),
                    name: found.kind.name(),
                    words: found.kind.words(),
                    rule: found.rule,
                    accused: found.accused,
                    ident: found.ident,
                    place: found.place.map(place),
                })
            }
        }
    }

    /// The name that the founding document gives a slot.
    pub fn name(&self, slot: Slot) -> Option<&'a str> {
        let member = self.genesis.members().get(usize::from(slot.0))?;
        Some(member.name.as_str())
    }
}

/// The name of a proof: digest of its file, which has one form only.
pub(crate) fn id(bytes: &[u8]) -> Hash {
    Hash::tagged("proof of misbehavior", bytes)
}

/// Key of a kept proof: accused slot (2 bytes, big-endian), code of the kind, digest of the file.
pub(crate) fn kept_key(pom: &pib::Pom) -> Vec<u8> {
    let mut key = pom.evidence.accused.0.to_be_bytes().to_vec();
    key.push(pom.kind().code());
    key.extend_from_slice(pom.digest().as_bytes());
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use pib::{Evidence, EvidenceKind, Op, Statement, StoreInfo};
    use policy::{Founder, GroupPolicy};
    use types::{Header, Kind, SecretKey, Signed, Size, Stamp};

    fn key(slot: u8) -> SecretKey {
        SecretKey::from_seed(&[slot + 1; 32])
    }

    fn genesis(name: &str) -> Genesis {
        let founders = (0..5).map(|slot| Founder {
            name: format!("member {slot}"),
            addresses: Vec::new(),
            identities: vec![key(slot).public()],
        });
        let (policy, founders) = (GroupPolicy::default(), founders.collect());
        Genesis::new(name.into(), key(9).public(), Stamp(1), policy, founders).unwrap()
    }

    fn info(genesis: &Genesis, size: u64) -> Statement {
        let (epoch, inst, turn) = (Epoch(0), Instance(0), Turn(0));
        let (slot, ident) = (Slot(3), Ident(0));
        let header = Header { kind: Kind::StoreInfo, epoch, inst, turn, slot, ident };
        let (name, hash) = (Hash::of(b"name"), Hash::of(b"chunk"));
        let (op, storer, size) = (Op::Put, Slot(1), Size(size));
        let info = StoreInfo { op, storer, name, hash, size, stamp: Stamp(77) };
        Statement::Info(Signed::new(&key(3), &genesis.gid(), header, info).into_inner())
    }

    fn reused_stamp(genesis: &Genesis) -> Vec<u8> {
        let evidence = Evidence {
            kind: EvidenceKind::StampReuse,
            accused: Slot(3),
            ident: Ident(0),
            objects: vec![info(genesis, 1), info(genesis, 2)],
        };
        use types::Encode as _;
        pib::Pom::new(genesis.gid(), evidence).to_bytes()
    }

    #[test]
    fn proof_about_stored_chunks_is_judged_by_the_founding_document_alone() {
        let genesis = genesis("garden");
        let mut judge = Judge::new(&genesis);
        let file = reused_stamp(&genesis);
        let verdict = judge.judge(&file).unwrap();
        assert_eq!((verdict.row.as_str(), verdict.name), ("PB9", "StampReuse"));
        assert_eq!((verdict.accused, verdict.place), (Slot(3), None));
        assert_eq!(judge.name(verdict.accused), Some("member 3"));
        assert_eq!(verdict.id, id(&file));
        let other = self::genesis("street");
        assert!(matches!(Judge::new(&other).judge(&file), Err(NotProven::Backup(_))));
    }

    #[test]
    fn double_spend_is_judged_by_the_founding_document_alone() {
        use ledger::{Account, Amount, Committee, Order, Payment, Place, Seq, Transfer};
        use types::Encode as _;
        let genesis = genesis("garden");
        let committee = Committee::of(genesis.roster()).unwrap();
        let order = |to| {
            let payments = vec![Payment { to: Account(to), amount: Amount(5) }];
            let place = Place { account: Account(3), seq: Seq(1) };
            let (base, deps, about) = (0, Vec::new(), Hash::ZERO);
            let transfer = Transfer { place, payments, base, deps, about };
            Order::sign(&committee, &key(3), Slot(3), transfer).payload()
        };
        let place = Place { account: Account(3), seq: Seq(1) };
        let (first, second) = (order(1), order(2));
        let evidence = ledger::broadcast::Evidence::TwoPayloads { place, first, second };
        let file = ledger::pom::Pom::of(&committee, &evidence)[0].to_bytes();
        let verdict = Judge::new(&genesis).judge(&file).unwrap();
        assert_eq!((verdict.row.as_str(), verdict.name), ("LD1", "DoubleSpend"));
        assert_eq!((verdict.accused, verdict.ident), (Slot(3), Ident(0)));
        let other = self::genesis("street");
        assert!(matches!(Judge::new(&other).judge(&file), Err(NotProven::Credits(_))));
    }

    #[test]
    fn two_answers_to_one_request_are_judged_by_the_founding_document_alone() {
        use types::Encode as _;
        use work_assign::pom::{Evidence, Pom};
        use work_assign::statement::ResponseCore;
        use work_assign::{Blob, Code};
        let genesis = genesis("garden");
        let answer = |fields: &[u8]| {
            let (epoch, inst, turn) = (Epoch(0), Instance(0), Turn(0));
            let (slot, ident) = (Slot(2), Ident(0));
            let header = Header { kind: Kind::WorkResponse, epoch, inst, turn, slot, ident };
            let said = ResponseCore {
                request: Hash::of(b"request"),
                kind: Code(1),
                body: Hash::ZERO,
                body_len: Size(0),
                stamp: Stamp(5),
                fields: Blob(fields.to_vec()),
            };
            Signed::new(&key(2), &genesis.gid(), header, said).into_inner()
        };
        let evidence = Evidence::two_answers(answer(b"yes"), answer(b"no"));
        let file = Pom::new(genesis.gid(), evidence).to_bytes();
        let verdict = Judge::new(&genesis).judge(&file).unwrap();
        assert_eq!((verdict.row.as_str(), verdict.name), ("WR2", "TwoAnswers"));
        assert_eq!((verdict.accused, verdict.place), (Slot(2), None));
        assert_eq!(verdict.id, id(&file));
        let same = Evidence::two_answers(answer(b"yes"), answer(b"yes"));
        let same = Pom::new(genesis.gid(), same).to_bytes();
        assert!(matches!(Judge::new(&genesis).judge(&same), Err(NotProven::Work(_))));
        let other = self::genesis("street");
        assert!(matches!(Judge::new(&other).judge(&file), Err(NotProven::Work(_))));
    }

    #[test]
    fn code_of_another_family_or_none_convicts_nobody() {
        let genesis = genesis("garden");
        let mut judge = Judge::new(&genesis);
        let file = reused_stamp(&genesis);
        // Behind magic, form, group, epoch, slot and identity.
        let at = 6 + 1 + 32 + 4 + 2 + 2;
        assert_eq!(file[at], Family::Backup.base() + 9);
        let with = |code| {
            let mut file = file.clone();
            file[at] = code;
            file
        };
        // The pair is no proof of another kind, and none that the state machine could read.
        assert!(matches!(judge.judge(&with(64)), Err(NotProven::Backup(_))));
        assert!(matches!(judge.judge(&with(1)), Err(NotProven::StateMachine(_))));
        assert!(matches!(judge.judge(&with(33)), Err(NotProven::Work(_))));
        assert!(matches!(judge.judge(&with(0)), Err(NotProven::Envelope(_))));
        assert!(matches!(judge.judge(b""), Err(NotProven::Envelope(_))));
    }
}
