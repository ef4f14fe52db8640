//! SHOW_QUORUM, SHOW_DECISION and REPORT_DECISION: outcomes and their proofs.

use super::cert::{DecisionCert, Pol, WriteQuorum};
use super::pad::Padded;
use super::statement::{
    ReportStatement, ShowDecisionStatement, ShowQuorumStatement, ValueStatement,
};
use super::value::{get_statement, put_statement};
use std::sync::Arc;
use types::{Decode, DecodeError, Encode, Reader, Signed, Writer};

/// SHOW_QUORUM(t), sender or leader to acceptors. Success and failure have one size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShowQuorum {
    /// The statement.
    pub core: Signed<ShowQuorumStatement>,
    /// `b`: a quorum answered the WRITE of this turn.
    pub acks: Arc<WriteQuorum>,
    /// Proof of the latest turn that one of them knew; null on success.
    pub pol: Arc<Pol>,
}

/// SHOW_DECISION(t), leader(t) that had decided to acceptors that started its turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShowDecision {
    /// The statement.
    pub core: Signed<ShowDecisionStatement>,
    /// The proof.
    pub cert: Arc<DecisionCert>,
    /// The sender's statement about the body, unless NULL was decided.
    pub statement: Option<Signed<ValueStatement>>,
    /// The body, padded to V_MAX plus the balance pad of 3.10.
    pub body: Padded,
}

/// REPORT_DECISION, acceptor to sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportDecision {
    /// The statement.
    pub core: Signed<ReportStatement>,
    /// The proof.
    pub cert: Arc<DecisionCert>,
}

impl Encode for ShowQuorum {
    fn encode(&self, out: &mut Writer) {
        out.put(&self.core);
        out.put(&*self.acks);
        out.put(&*self.pol);
    }
}

impl Decode for ShowQuorum {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { core: input.get()?, acks: Arc::new(input.get()?), pol: Arc::new(input.get()?) })
    }
}

impl Encode for ShowDecision {
    fn encode(&self, out: &mut Writer) {
        out.put(&self.core);
        out.put(&*self.cert);
        put_statement(out, &self.statement);
        out.put(&self.body);
    }
}

impl Decode for ShowDecision {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            core: input.get()?,
            cert: Arc::new(input.get()?),
            statement: get_statement(input)?,
            body: input.get()?,
        })
    }
}

impl Encode for ReportDecision {
    fn encode(&self, out: &mut Writer) {
        out.put(&self.core);
        out.put(&*self.cert);
    }
}

impl Decode for ReportDecision {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { core: input.get()?, cert: Arc::new(input.get()?) })
    }
}
