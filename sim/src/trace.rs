//! What happened in a run: a running digest, by which two runs are compared, and on request the
//! story in words.

use types::Hash;

/// Lines kept at most; a run that tells more keeps the first ones.
const LINES_MAX: usize = 2_000_000;

/// The record of one run.
#[derive(Debug, Default)]
pub struct Trace {
    digest: Hash,
    lines: Option<Vec<String>>,
}

impl Trace {
    /// An empty trace; with `words`, one that keeps the story.
    pub fn new(words: bool) -> Self {
        Self { digest: Hash::ZERO, lines: words.then(Vec::new) }
    }

    /// Whether the story is kept.
    pub fn is_told(&self) -> bool {
        self.lines.is_some()
    }

    /// Mixes an event into the digest. `what` names the event, `bytes` its content.
    pub fn mix(&mut self, at_ms: u64, what: u8, from: u16, to: u16, bytes: &Hash) {
        let mut input = [0; 32 + 8 + 1 + 2 + 2 + 32];
        input[..32].copy_from_slice(self.digest.as_bytes());
        input[32..40].copy_from_slice(&at_ms.to_le_bytes());
        input[40] = what;
        input[41..43].copy_from_slice(&from.to_le_bytes());
        input[43..45].copy_from_slice(&to.to_le_bytes());
        input[45..].copy_from_slice(bytes.as_bytes());
        self.digest = Hash::of(&input);
    }

    /// Adds a line to the story. The words are made only if somebody wants them.
    pub fn tell(&mut self, at_ms: u64, words: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines
            && lines.len() < LINES_MAX
        {
            lines.push(format!("{:>10}.{:03} s  {}", at_ms / 1000, at_ms % 1000, words()));
        }
    }

    /// The digest of everything so far.
    pub fn digest(&self) -> Hash {
        self.digest
    }

    /// The story.
    pub fn into_lines(self) -> Vec<String> {
        self.lines.unwrap_or_default()
    }
}
