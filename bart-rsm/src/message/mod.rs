//! Every message of the state machine (specification 3.3), one struct a kind.
//!
//! Assumes: the transport authenticates the author's slot; statements inside are checked by the core.
//! Guarantees: one canonical encoding, whose first byte is the kind. Bounds: decoders allocate no
//! more than their input; vectors have at most 64 entries, bodies at most `PROPOSAL_LEN_MAX`.

pub mod agree;
pub mod cert;
pub mod pad;
pub mod show;
pub mod side;
pub mod statement;
pub mod turn;
pub mod value;
pub mod write;

pub use agree::{Agree, AgreeAck, AgreeLater};
pub use cert::{
    AgreeCert, DecisionCert, DecisionEntry, Pol, ReadEntry, ReadQuorum, Signers, SlotSet,
    WriteEntry, WriteQuorum,
};
pub use pad::{PadKey, Padded};
pub use show::{ReportDecision, ShowDecision, ShowQuorum};
pub use side::{Catchup, Penance, Ping, Pong, Resume, Wake};
pub use statement::*;
pub use turn::{Read, ReadAck, SetTurn};
pub use value::{Value, null_digest, value_digest};
pub use write::{Write, WriteAck};

use types::{Decode, DecodeError, Encode, Header, Instance, Kind, Reader, Turn, Writer};

/// One message between two members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// An acceptor starts a turn.
    SetTurn(SetTurn),
    /// A leader proves its turn and asks.
    Read(Read),
    /// The answer to a READ.
    ReadAck(ReadAck),
    /// The sender puts its proposal forward.
    Agree(Agree),
    /// A leader puts forward what its read quorum forces.
    AgreeLater(AgreeLater),
    /// The answer to an AGREE.
    AgreeAck(AgreeAck),
    /// A value to store.
    Write(Write),
    /// The answer to a WRITE.
    WriteAck(WriteAck),
    /// The outcome of a turn.
    ShowQuorum(ShowQuorum),
    /// A decided leader answers a SET_TURN.
    ShowDecision(ShowDecision),
    /// An acceptor tells the sender.
    ReportDecision(ReportDecision),
    /// A fined member pays.
    Penance(Penance),
    /// Where the author stands.
    Resume(Resume),
    /// One decision with its proof.
    Catchup(Catchup),
    /// Nobody should idle.
    Wake(Wake),
    /// The dialer asks a silent peer.
    Ping(Ping),
    /// The peer has nothing to repeat.
    Pong(Pong),
}

impl Message {
    /// The header of the author's own statement; none for what the link alone authenticates.
    pub fn header(&self) -> Option<&Header> {
        Some(match self {
            Message::SetTurn(m) => &m.core.header,
            Message::Read(m) => &m.core.header,
            Message::ReadAck(m) => &m.core.header,
            Message::Agree(m) => &m.core.header,
            Message::AgreeLater(m) => &m.core.header,
            Message::AgreeAck(m) => &m.core.header,
            Message::Write(m) => &m.core.header,
            Message::WriteAck(m) => &m.core.header,
            Message::ShowQuorum(m) => &m.core.header,
            Message::ShowDecision(m) => &m.core.header,
            Message::ReportDecision(m) => &m.core.header,
            Message::Penance(m) => &m.core.header,
            Message::Wake(m) => &m.core.header,
            Message::Resume(_) | Message::Catchup(_) | Message::Ping(_) | Message::Pong(_) => {
                return None;
            }
        })
    }

    /// The kind.
    pub fn kind(&self) -> Kind {
        match self {
            Message::Resume(_) => Kind::Resume,
            Message::Catchup(_) => Kind::Catchup,
            Message::Ping(_) => Kind::Ping,
            Message::Pong(_) => Kind::Pong,
            other => other.header().map_or(Kind::Resume, |header| header.kind),
        }
    }

    /// The instance it belongs to; for RESUME the first one it asks for.
    pub fn inst(&self) -> Instance {
        match self {
            Message::Resume(resume) => resume.undecided,
            Message::Catchup(catchup) => catchup.inst,
            Message::Ping(ping) => ping.undecided,
            Message::Pong(pong) => pong.undecided,
            other => other.header().map_or(Instance(0), |header| header.inst),
        }
    }

    /// The turn it belongs to; 0 outside the turns.
    pub fn turn(&self) -> Turn {
        self.header().map_or(Turn(0), |header| header.turn)
    }

    /// Bytes of the encoding, for budgets.
    pub fn size(&self) -> usize {
        self.to_bytes().len()
    }
}

impl Encode for Message {
    fn encode(&self, out: &mut Writer) {
        match self {
            Message::SetTurn(m) => out.put(m),
            Message::Read(m) => out.put(m),
            Message::ReadAck(m) => out.put(m),
            Message::Agree(m) => out.put(m),
            Message::AgreeLater(m) => out.put(m),
            Message::AgreeAck(m) => out.put(m),
            Message::Write(m) => out.put(m),
            Message::WriteAck(m) => out.put(m),
            Message::ShowQuorum(m) => out.put(m),
            Message::ShowDecision(m) => out.put(m),
            Message::ReportDecision(m) => out.put(m),
            Message::Penance(m) => out.put(m),
            Message::Resume(m) => out.put(m),
            Message::Catchup(m) => out.put(m),
            Message::Wake(m) => out.put(m),
            Message::Ping(m) => out.put(m),
            Message::Pong(m) => out.put(m),
        }
    }
}

impl Decode for Message {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (kind, turn) = peek(input)?;
        Ok(match kind {
            Kind::SetTurn => Message::SetTurn(input.get()?),
            Kind::Read => Message::Read(input.get()?),
            Kind::ReadAck => Message::ReadAck(input.get()?),
            Kind::Agree if turn == Turn(0) => Message::Agree(input.get()?),
            Kind::Agree => Message::AgreeLater(input.get()?),
            Kind::AgreeAck => Message::AgreeAck(input.get()?),
            Kind::Write => Message::Write(input.get()?),
            Kind::WriteAck => Message::WriteAck(input.get()?),
            Kind::ShowQuorum => Message::ShowQuorum(input.get()?),
            Kind::ShowDecision => Message::ShowDecision(input.get()?),
            Kind::ReportDecision => Message::ReportDecision(input.get()?),
            Kind::Penance => Message::Penance(input.get()?),
            Kind::Resume => Message::Resume(input.get()?),
            Kind::Catchup => Message::Catchup(input.get()?),
            Kind::Wake => Message::Wake(input.get()?),
            Kind::Ping => Message::Ping(input.get()?),
            Kind::Pong => Message::Pong(input.get()?),
            _ => return Err(DecodeError::Malformed("message kind")),
        })
    }
}

/// Kind and turn of the message that follows, without consuming it. Every signed message starts
/// with its header.
fn peek(input: &Reader<'_>) -> Result<(Kind, Turn), DecodeError> {
    let mut ahead = input.fork();
    let kind: Kind = ahead.get()?;
    if matches!(kind, Kind::Resume | Kind::Catchup | Kind::Ping | Kind::Pong) {
        return Ok((kind, Turn(0)));
    }
    ahead.raw(4 + 8)?;
    Ok((kind, ahead.get()?))
}
