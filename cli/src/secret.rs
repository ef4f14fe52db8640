//! The master secret of a member: its file, its recovery code, the identities that follow from it.
//!
//! Guarantees: (1) the file is readable by its owner only, durable before anything that depends on
//! it is shown, and never replaced; (2) the 24 words are the secret itself (BIP-39), so the words
//! alone bring back identities and data.

use crate::error::{CliError, Code};
use crate::files;
use std::path::Path;
use types::{Ident, PublicKey, SecretKey};
use zeroize::Zeroizing;

/// Linked identities of a new member (paper section 7.2, three at first).
pub const IDENTITIES: u16 = 3;
const FIRST_LINE: &str = "pib master secret 1";
const NAME: &str = "master.secret";

/// The 32 bytes from which everything of a member follows.
#[derive(Clone)]
pub struct Master(Zeroizing<[u8; 32]>);

impl Master {
    /// A new one from the system's randomness.
    pub fn generate() -> Result<Self, CliError> {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(bytes.as_mut()).map_err(|error| {
            CliError::new(Code::Failed, format!("no random numbers from the system: {error}"))
        })?;
        Ok(Self(bytes))
    }

    /// The bytes, for the daemon.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The recovery code: 24 words.
    pub fn words(&self) -> Result<Zeroizing<String>, CliError> {
        let mnemonic = bip39::Mnemonic::from_entropy(self.0.as_ref())
            .map_err(|error| CliError::new(Code::Failed, format!("recovery code: {error}")))?;
        Ok(Zeroizing::new(mnemonic.words().collect::<Vec<_>>().join(" ")))
    }

    /// Reads a recovery code: words separated by anything, in either case.
    pub fn from_words(text: &str) -> Result<Self, CliError> {
        let words: Vec<String> = text
            .split(|c: char| !c.is_alphabetic())
            .filter(|word| !word.is_empty())
            .map(str::to_lowercase)
            .collect();
        let wrong = |message: String| {
            CliError::new(Code::WrongSecret, message)
                .hint("type the 24 words in the order in which `pib init` printed them")
        };
        if words.len() != 24 {
            return Err(wrong(format!("a recovery code has 24 words, this has {}", words.len())));
        }
        let line = Zeroizing::new(words.join(" "));
        let mnemonic = bip39::Mnemonic::parse_in_normalized(bip39::Language::English, &line)
            .map_err(|error| match error {
                bip39::Error::UnknownWord(at) => {
                    let word = words.get(at).map_or("", String::as_str);
                    wrong(format!("word {} of the recovery code, `{word}`, is not in the list", at + 1))
                }
                bip39::Error::InvalidChecksum => wrong(
                    "the recovery code is wrong: its check word does not fit; a word is wrong or in the wrong place".into(),
                ),
                other => wrong(format!("the recovery code is wrong: {other}")),
            })?;
        let entropy = Zeroizing::new(mnemonic.to_entropy());
        let mut bytes = Zeroizing::new([0; 32]);
        if entropy.len() != bytes.len() {
            return Err(wrong("the recovery code has the wrong length".into()));
        }
        bytes.copy_from_slice(&entropy);
        Ok(Self(bytes))
    }

    /// Stores it in a data folder that has none.
    pub fn store(&self, data: &Path) -> Result<(), CliError> {
        let mut text = Zeroizing::new(format!("{FIRST_LINE}\n"));
        for byte in self.0.iter() {
            text.push_str(&format!("{byte:02x}"));
        }
        text.push('\n');
        files::write_new(&data.join(NAME), text.as_bytes(), 0o600)
    }

    /// Whether a data folder has one.
    pub fn exists(data: &Path) -> bool {
        data.join(NAME).symlink_metadata().is_ok()
    }

    /// Reads it from a data folder.
    pub fn load(data: &Path) -> Result<Self, CliError> {
        if !Self::exists(data) {
            let message = format!("there is no member in {}", data.display());
            return Err(CliError::new(Code::NoRepository, message)
                .hint("run `pib init` first, or name its folder with --data-dir"));
        }
        let path = data.join(NAME);
        let text = Zeroizing::new(files::read_text(&path)?);
        let hex = text.strip_prefix(FIRST_LINE).map(str::trim);
        let bytes = hex.and_then(types::Hash::from_hex).ok_or_else(|| {
            CliError::new(Code::Failed, format!("{} is damaged", path.display()))
                .hint("move it away and run `pib init --from-recovery-code`")
        })?;
        Ok(Self(Zeroizing::new(bytes.0)))
    }

    /// Everything that follows from it.
    pub fn secrets(&self) -> pib::Secrets {
        pib::Secrets::from_master(&self.0)
    }

    /// The key of a linked identity.
    pub fn identity(&self, ident: u16) -> Result<SecretKey, CliError> {
        self.secrets()
            .identity(Ident(ident))
            .map_err(|error| CliError::new(Code::Failed, format!("identity {ident}: {error}")))
    }

    /// The public keys of a new member's linked identities.
    pub fn identities(&self) -> Result<Vec<PublicKey>, CliError> {
        (0..IDENTITIES).map(|ident| Ok(self.identity(ident)?.public())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_bring_the_same_secret_back() {
        let master = Master::generate().unwrap();
        let words = master.words().unwrap();
        assert_eq!(words.split(' ').count(), 24);
        let shouted = words.to_uppercase().replace(' ', "\n 7. ");
        assert_eq!(Master::from_words(&shouted).unwrap().bytes(), master.bytes());
    }

    #[test]
    fn wrong_recovery_codes_are_refused_with_code_12_and_say_where() {
        let words = Master(Zeroizing::new([5; 32])).words().unwrap();
        let mut list: Vec<&str> = words.split(' ').collect();
        let short = list[..23].join(" ");
        list[3] = "zebrafish";
        let unknown = list.join(" ");
        list[3] = "zebra";
        let swapped = list.join(" ");
        for (text, part) in [(short, "23"), (unknown, "word 4"), (swapped, "check word")] {
            let error = Master::from_words(&text).err().unwrap();
            assert_eq!(error.code, Code::WrongSecret);
            assert!(error.to_string().contains(part), "{error}");
        }
    }

    #[test]
    fn stored_secret_is_private_and_is_not_replaced() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let master = Master::generate().unwrap();
        master.store(folder.path()).unwrap();
        let mode = folder.path().join(NAME).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(Master::generate().unwrap().store(folder.path()).is_err());
        assert_eq!(Master::load(folder.path()).unwrap().bytes(), master.bytes());
    }

    #[test]
    fn absent_and_damaged_secrets_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Master::load(folder.path()).err().unwrap().code, Code::NoRepository);
        std::fs::write(folder.path().join(NAME), "junk").unwrap();
        assert_eq!(Master::load(folder.path()).err().unwrap().code, Code::Failed);
    }
}
