//! Verification of each kind (specification 8.2, rows WR1 to WR5, VW1, QT1).
//!
//! The rules of VW1 and QT1 are those of the format predicate itself (`account.rs`).

use super::{Conviction, DecidedProposal, Evidence, Pom, PomError};
use crate::account::{Ledger, View};
use crate::cert::{Cert, DenialCert, Rosters};
use crate::command::Command;
use crate::params::Params;
use crate::request::{Aid, To};
use crate::state::FormFlaw;
use crate::statement::*;
use crate::witness::name_of;
use bart_rsm::Proposal;
use bart_rsm::message::Value;
use std::sync::Arc;
use types::{Decode, Encode, Hash, Roster, Signed, SignedPayload};

type Rule = Result<&'static str, PomError>;

/// Checks a proof with the roster of its epoch and the group's rules.
pub fn verify(pom: &Pom, roster: &Roster, params: &Params) -> Result<Conviction, PomError> {
    if pom.group != roster.group() {
        return Err(PomError::OtherGroup { pom: pom.group, roster: roster.group() });
    }
    if let Some(epoch) = pom.roster_epoch()
        && epoch != roster.epoch()
    {
        return Err(PomError::OtherEpoch { pom: epoch, roster: roster.epoch() });
    }
    if *pom != Pom::new(pom.group, pom.evidence.clone()) {
        return Err(PomError::NotCanonical("the envelope says what the objects say"));
    }
    let rosters = Rosters::new(Arc::new(roster.clone()));
    let judge = Judge { roster, rosters, params };
    let (place, rule) = match &pom.evidence {
        Evidence::NoEvidence { assigned, denials } => {
            (Some(denials.aid), judge.no_evidence(assigned, denials)?)
        }
        Evidence::TwoAnswers(pair) => (None, judge.two_answers(&pair.0, &pair.1)?),
        Evidence::FalseNoEvidence { denial, ack } => {
            (Some(Aid::of(&denial.header)), judge.false_denial(denial, ack)?)
        }
        Evidence::BadWitness { word, answer } => {
            (Some(Aid::of(&word.header)), judge.bad_witness(word, answer)?)
        }
        Evidence::BadShare(pair) => {
            (Some(Aid::of(&pair.0.header)), judge.two_shares(&pair.0, &pair.1)?)
        }
        Evidence::VowBreach { value, view, cert } => {
            let rule = "an overdue vow is kept or paid for in every proposal";
            (Some(cert.aid), judge.proposal(value, view, cert, FormFlaw::VowBroken, rule)?)
        }
        Evidence::OverQuota { value, view, cert } => {
            let rule = "a proposal asks for no more than the quota leaves";
            (Some(cert.aid), judge.proposal(value, view, cert, FormFlaw::OverQuota, rule)?)
        }
    };
    let (kind, accused, ident) = (pom.kind(), pom.accused, pom.ident);
    Ok(Conviction { kind, accused, ident, place, rule })
}

struct Judge<'a> {
    roster: &'a Roster,
    rosters: Rosters,
    params: &'a Params,
}

impl Judge<'_> {
    fn placed<P: SignedPayload + Clone>(&self, signed: &Signed<P>) -> Result<(), PomError> {
        self.rosters.placed(signed).map(|_| ()).ok_or(PomError::NotGenuine(P::KIND))
    }

    fn outside(&self, core: &Signed<ResponseCore>) -> Result<(), PomError> {
        let genuine = self.rosters.outside(core);
        genuine.map(|_| ()).ok_or(PomError::NotGenuine(ResponseCore::KIND))
    }

    /// WR1. An honest target answers every live member within the time, so at most the `f` Byzantine ones deny it; the
    /// decided assignment shows that it was asked.
    fn no_evidence(&self, assigned: &DecidedProposal, denials: &DenialCert) -> Rule {
        let header = assigned.value.statement.header;
        let proposal = assigned.verify(self.roster)?;
        if header.inst != denials.aid.inst || header.slot != denials.requester {
            return Err(PomError::NotProven("the assignment is another"));
        }
        let command = proposal.commands.get(denials.aid.index as usize);
        let Some(Ok(Command::Assign(work))) = command.and_then(|bytes| Command::read(bytes)) else {
            return Err(PomError::NotProven("nothing is assigned there"));
        };
        if work.to() != To::Member(denials.target)
            || work.root(self.roster.group()) != denials.request
            || work.requester() != denials.requester
        {
            return Err(PomError::NotProven("the assignment is another"));
        }
        if !self.roster.is_live(denials.target) {
            return Err(PomError::NotProven("the target was not a live member"));
        }
        match denials.verify(self.roster) {
            true => Ok("assigned work is answered in time"),
            false => Err(PomError::NotCertified),
        }
    }

    /// WR2. An honest target caches its answer by the request's name, durably, before it leaves.
    fn two_answers(&self, one: &Signed<ResponseCore>, other: &Signed<ResponseCore>) -> Rule {
        if other.to_bytes() <= one.to_bytes() {
            return Err(PomError::NotCanonical("the smaller of two alike comes first"));
        }
        self.outside(one)?;
        self.outside(other)?;
        if one.header != other.header {
            return Err(PomError::NotProven("the answers are of different identities"));
        }
        if one.payload.request != other.payload.request {
            return Err(PomError::NotProven("the answers are to different requests"));
        }
        match one.payload == other.payload {
            true => Err(PomError::NotProven("both say the same")),
            false => Ok("one request has one answer"),
        }
    }

    /// WR3. Who has acknowledged holds the answer, durably, and never denies it afterwards.
    fn false_denial(&self, denial: &Signed<NoEvidence>, ack: &Signed<WorkAck>) -> Rule {
        self.placed(denial)?;
        self.placed(ack)?;
        let (one, other) = (denial.header, ack.header);
        if (one.slot, one.ident, Aid::of(&one)) != (other.slot, other.ident, Aid::of(&other)) {
            return Err(PomError::NotProven("they are of different members or assignments"));
        }
        if denial.payload.request != ack.payload.request {
            return Err(PomError::NotProven("they are about different work"));
        }
        match ack.payload.stamp < denial.payload.stamp {
            true => Ok("what is acknowledged is not denied"),
            false => Err(PomError::NotProven("the acknowledgement is not the earlier one")),
        }
    }

    /// WR4. A witness checks what it forwards; its word names the answer with its signature. Only rules without local
    /// state count: author, name, signature.
    fn bad_witness(&self, word: &Signed<WitnessStatement>, answer: &Signed<ResponseCore>) -> Rule {
        self.placed(word)?;
        if word.payload.answer != name_of(answer) {
            return Err(PomError::NotProven("the witness names another answer"));
        }
        if answer.header.slot != word.payload.target
            || answer.payload.request != word.payload.request
        {
            return Ok("a witness forwards the answer that it says it forwards");
        }
        match self.outside(answer) {
            Err(_) => Ok("a witness checks the signature of what it forwards"),
            Ok(()) => Err(PomError::NotProven("the answer verifies")),
        }
    }

    /// WR5. All members execute another machine's work alike and once, and sign the result once.
    fn two_shares(&self, one: &Signed<ResultShare>, other: &Signed<ResultShare>) -> Rule {
        if other.to_bytes() <= one.to_bytes() {
            return Err(PomError::NotCanonical("the smaller of two alike comes first"));
        }
        self.placed(one)?;
        self.placed(other)?;
        let work = |share: &Signed<ResultShare>| (share.payload.origin, share.payload.aid);
        if one.header != other.header || work(one) != work(other) {
            return Err(PomError::NotProven("they are of different members or work"));
        }
        match one.payload == other.payload {
            true => Err(PomError::NotProven("both say the same")),
            false => Ok("one piece of work has one result"),
        }
    }

    /// VW1, QT1. The sender knew its account at that prefix exactly; an honest one proposes within it.
    fn proposal(
        &self,
        value: &Value,
        view: &View,
        cert: &Cert<AccountShare>,
        flaw: FormFlaw,
        rule: &'static str,
    ) -> Rule {
        self.placed(&value.statement)?;
        let header = value.statement.header;
        if value.statement.payload.body != Hash::of(&value.body) {
            return Err(PomError::NotProven("the body is not the one that was signed for"));
        }
        if !cert.verify(self.roster) {
            return Err(PomError::NotCertified);
        }
        let place = cert.aid == Aid { inst: cert.aid.inst, index: 0 };
        let said = &cert.payload;
        if !place || header.inst.back(self.params.pipeline) != Some(cert.aid.inst) {
            return Err(PomError::NotProven("the account is that of another place"));
        }
        if said.member != header.slot || said.member != view.member || said.view != view.digest() {
            return Err(PomError::NotProven("the account is another"));
        }
        let Ok(proposal) = Proposal::from_bytes(&value.body) else {
            return Err(PomError::NotProven("a proposal that does not decode is another kind"));
        };
        let mut ledger = Ledger::new(view.clone());
        let found = ledger.check(&self.rosters, self.params, said.tau, &proposal.commands);
        match found {
            Err(found) if found == flaw => Ok(rule),
            Err(_) => Err(PomError::NotProven("the proposal breaks another rule")),
            Ok(()) => Err(PomError::NotProven("the proposal is legal")),
        }
    }
}
