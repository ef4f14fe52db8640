//! The facade: one member's repository on one store.
//!
//! Assumes: one process at a time writes (the daemon sees to that); any number may read.
//! Guarantees: (1) a snapshot exists only when everything it names is stored; (2) what an interrupted
//! backup stored is found again by the next one; (3) an error carries the store's own error when that was
//! the cause; (4) nothing here panics on what a store returns: the library's panics become errors.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rustic_core::repofile::MasterKey;
use rustic_core::{
    ConfigOptions, Credentials, KeyOptions, OpenStatus, Repository, RepositoryBackends,
    RepositoryOptions,
};
use zeroize::Zeroizing;

use crate::backend::{Backend, BackendOptions};
use crate::control::{CancelToken, Meter, MeterBars, ProgressSink, with_progress};
use crate::error::SnapshotError;
use crate::object::{ObjectKind, ObjectStore};

/// The 32 bytes everything of a repository is encrypted under. Wiped from memory when dropped.
pub type RepoSecret = Zeroizing<[u8; 32]>;

/// How a repository is used. What shapes the format (`pack_bytes`, `zstd_level`, `extra_verify`) counts
/// only when the repository is made.
#[derive(Clone, Debug)]
pub struct RepoOptions {
    /// Size at which a pack of file content is closed, in bytes. Default 8 MiB. Larger packs mean fewer
    /// objects; each is held in memory while it is uploaded.
    pub pack_bytes: u32,
    /// Compression level of zstd; `None` is its default (3).
    pub zstd_level: Option<i32>,
    /// Decrypt and compare each blob before it is packed. Default true; costs about a fifth of the
    /// processor time, finds a faulty memory or processor before it ruins a backup.
    pub extra_verify: bool,
    /// Packs uploaded at once. Default 4.
    pub upload_threads: usize,
    /// Bytes of packs held while they wait for or are in upload. Default 48 MiB.
    pub stage_bytes_max: u64,
    /// Upload limit in bytes a second; default none.
    pub upload_bytes_per_second: Option<u64>,
    /// Download limit in bytes a second; default none.
    pub download_bytes_per_second: Option<u64>,
    /// Threads that fetch, decrypt and write in a restore. Default 4.
    pub restore_threads: usize,
}

impl Default for RepoOptions {
    fn default() -> Self {
        Self {
            pack_bytes: 8 << 20,
            zstd_level: None,
            extra_verify: true,
            upload_threads: 4,
            stage_bytes_max: 48 << 20,
            upload_bytes_per_second: None,
            download_bytes_per_second: None,
            restore_threads: 4,
        }
    }
}

impl RepoOptions {
    /// No object of this repository is larger: a pack that lacks one byte may take one more blob of up to
    /// 8 MiB, its encryption, and a header. The one exception is the pack that holds the listing of a
    /// single folder with hundreds of thousands of entries (about 100 bytes each).
    #[must_use]
    pub fn object_bytes_max(&self) -> u64 {
        u64::from(self.pack_bytes) + (8 << 20) + (1 << 20)
    }
}

pub(crate) type OpenRepo = Repository<OpenStatus>;

/// A member's repository. See the module's documentation.
pub struct Repo {
    pub(crate) backend: Arc<Backend>,
    secret: RepoSecret,
    pub(crate) options: RepoOptions,
    /// One operation at a time: failures and progress are kept per backend.
    operation: Mutex<()>,
}

impl std::fmt::Debug for Repo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Repo").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Repo {
    /// Opens the repository, making it when the store holds none.
    ///
    /// # Errors
    /// When the store fails or the repository belongs to another secret.
    pub fn init_or_open(
        store: Arc<dyn ObjectStore>,
        secret: RepoSecret,
        options: RepoOptions,
        cancel: CancelToken,
    ) -> Result<Self, SnapshotError> {
        let repo = Self::new(store, secret, options, cancel);
        repo.run(|| {
            if repo.listed(ObjectKind::Config)? == 0 {
                repo.init()?;
            } else {
                repo.open_rustic()?;
            }
            repo.ensure_key()
        })?;
        Ok(repo)
    }

    /// Opens the repository.
    ///
    /// # Errors
    /// [`SnapshotError::NoRepository`] when there is none; otherwise as [`Repo::init_or_open`].
    pub fn open(
        store: Arc<dyn ObjectStore>,
        secret: RepoSecret,
        options: RepoOptions,
        cancel: CancelToken,
    ) -> Result<Self, SnapshotError> {
        let repo = Self::new(store, secret, options, cancel);
        repo.run(|| repo.open_rustic().map(|_| ()))?;
        Ok(repo)
    }

    /// Whether the store holds a repository.
    ///
    /// # Errors
    /// When the store fails.
    pub fn exists(store: &dyn ObjectStore) -> Result<bool, SnapshotError> {
        match store.list(ObjectKind::Config) {
            Ok(found) => Ok(!found.is_empty()),
            Err(source) => Err(SnapshotError::store("looking for a repository", source)),
        }
    }

    /// The password with which stock restic opens the repository, once its objects are in a folder.
    #[must_use]
    pub fn restic_password(secret: &RepoSecret) -> Zeroizing<String> {
        let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        Zeroizing::new(hex)
    }

    fn new(
        store: Arc<dyn ObjectStore>,
        secret: RepoSecret,
        options: RepoOptions,
        cancel: CancelToken,
    ) -> Self {
        let backend_options = BackendOptions {
            upload_threads: options.upload_threads,
            stage_bytes_max: options.stage_bytes_max,
            upload_bytes_per_second: options.upload_bytes_per_second,
            download_bytes_per_second: options.download_bytes_per_second,
        };
        let meter = Arc::new(Meter::default());
        Self {
            backend: Arc::new(Backend::new(store, &backend_options, cancel, meter)),
            secret,
            options,
            operation: Mutex::new(()),
        }
    }

    pub(crate) fn listed(&self, kind: ObjectKind) -> Result<usize, SnapshotError> {
        let listed = self.backend.list(kind);
        listed
            .map(|found| found.len())
            .map_err(|failure| SnapshotError::store(failure.what, failure.source))
    }

    fn unopened(&self) -> Result<Repository<()>, SnapshotError> {
        let options = RepositoryOptions::default().no_cache(true);
        let backends = RepositoryBackends::new(self.backend.clone(), None);
        let bars = MeterBars(self.backend.meter().clone());
        Ok(Repository::new_with_progress(&options, &backends, bars)?)
    }

    fn credentials(&self) -> Result<Credentials, SnapshotError> {
        Ok(Credentials::Masterkey(master_key(&self.secret)?))
    }

    /// A fresh handle on the library's repository: its index is read when it is opened, never later.
    pub(crate) fn open_rustic(&self) -> Result<OpenRepo, SnapshotError> {
        if self.listed(ObjectKind::Config)? == 0 {
            return Err(SnapshotError::NoRepository);
        }
        let opened = self.unopened()?.open(&self.credentials()?);
        opened.map_err(|error| match SnapshotError::from(error) {
            // The config object is authenticated with the key: a failure there is a wrong key.
            SnapshotError::Corrupt(_) => SnapshotError::WrongSecret,
            other => other,
        })
    }

    fn init(&self) -> Result<(), SnapshotError> {
        let pack_bytes = u64::from(self.options.pack_bytes.clamp(1 << 20, 128 << 20));
        let tree_bytes = pack_bytes.min(4 << 20);
        let mut config = ConfigOptions::default()
            .set_version(2_u32)
            .set_datapack_growfactor(0_u32)
            .set_treepack_growfactor(0_u32)
            .set_extra_verify(self.options.extra_verify);
        config.set_datapack_size = Some(size(pack_bytes)?);
        config.set_datapack_size_limit = Some(size(pack_bytes)?);
        config.set_treepack_size = Some(size(tree_bytes)?);
        config.set_treepack_size_limit = Some(size(tree_bytes)?);
        config.set_compression = self.options.zstd_level;
        let credentials = self.credentials()?;
        self.unopened()?.init(&credentials, &KeyOptions::default(), &config)?;
        Ok(())
    }

    /// Stores the key under a password for stock restic; repeated when an earlier try was cut off.
    fn ensure_key(&self) -> Result<(), SnapshotError> {
        if self.listed(ObjectKind::Key)? == 0 {
            let password = Self::restic_password(&self.secret);
            self.open_rustic()?.add_key(&password, &KeyOptions::default())?;
        }
        Ok(())
    }

    /// Runs one operation: alone, with a clean slate, the library's panics caught, and with the store's
    /// first failure as the error when there was one.
    pub(crate) fn run<T>(
        &self,
        work: impl FnOnce() -> Result<T, SnapshotError>,
    ) -> Result<T, SnapshotError> {
        let _alone = self.operation.lock().unwrap_or_else(PoisonError::into_inner);
        self.backend.begin();
        self.backend.meter().reset();
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        if !matches!(caught, Ok(Ok(_))) || self.backend.cancel().is_cancelled() {
            self.backend.settle();
        }
        let failure = self.backend.take_failure();
        if self.backend.cancel().is_cancelled() {
            return Err(SnapshotError::Cancelled);
        }
        match (caught, failure) {
            (Ok(Ok(value)), _) => Ok(value),
            (Ok(Err(error @ SnapshotError::Store { .. })), _) => Err(error),
            (_, Some(failure)) => Err(SnapshotError::store(failure.what, failure.source)),
            (Ok(Err(error)), None) => Err(error),
            (Err(panic), None) => Err(SnapshotError::Internal(panic_text(&*panic))),
        }
    }

    /// As [`Repo::run`], with progress shown.
    pub(crate) fn run_shown<T>(
        &self,
        sink: &dyn ProgressSink,
        work: impl FnOnce() -> Result<T, SnapshotError>,
    ) -> Result<T, SnapshotError> {
        let meter = self.backend.meter().clone();
        self.run(|| with_progress(&meter, sink, work))
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "the snapshot library panicked".to_owned())
}

/// The library takes sizes as a type of a crate that it does not re-export, but which parses from text.
fn size<T: std::str::FromStr>(bytes: u64) -> Result<T, SnapshotError> {
    let parsed = format!("{bytes}B").parse();
    parsed.map_err(|_| SnapshotError::Internal(format!("{bytes} is no size")))
}

/// The repository's key from the secret, so that opening needs neither a key object nor its slow scrypt.
fn master_key(secret: &RepoSecret) -> Result<MasterKey, SnapshotError> {
    let encrypt = Zeroizing::new(blake3::derive_key(
        "PIB 2026 snapshot repository encryption key",
        &**secret,
    ));
    let mut mac = Zeroizing::new(blake3::derive_key(
        "PIB 2026 snapshot repository authentication key",
        &**secret,
    ));
    // Poly1305 requires these bits of r to be clear.
    for i in [3, 7, 11, 15] {
        mac[16 + i] &= 0x0f;
    }
    for i in [4, 8, 12] {
        mac[16 + i] &= 0xfc;
    }
    let json = serde_json::json!({
        "mac": { "k": base64(&mac[..16]), "r": base64(&mac[16..]) },
        "encrypt": base64(&encrypt[..]),
    });
    serde_json::from_value(json)
        .map_err(|error| SnapshotError::Internal(format!("cannot make the key: {error}")))
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let mut word = [0; 3];
        word[..group.len()].copy_from_slice(group);
        let bits = u32::from_be_bytes([0, word[0], word[1], word[2]]);
        for i in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * i)) as usize & 63];
            text.push(if i <= group.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

/// Absolute, without links and dots, sorted, none below another.
pub(crate) fn clean_sources(sources: &[PathBuf]) -> Result<Vec<PathBuf>, SnapshotError> {
    let mut clean = Vec::with_capacity(sources.len());
    for source in sources {
        let found = source.canonicalize().map_err(|e| SnapshotError::BadSource {
            path: source.clone(),
            reason: e.to_string(),
        })?;
        if found.to_str().is_none() {
            return Err(SnapshotError::BadSource {
                path: source.clone(),
                reason: "the path of a source must be UTF-8; back up the folder above it"
                    .to_owned(),
            });
        }
        clean.push(found);
    }
    clean.sort();
    clean.dedup();
    let all = clean.clone();
    clean.retain(|path| !all.iter().any(|other| other != path && path.starts_with(other)));
    if clean.is_empty() {
        let text = "name at least one folder or file to back up";
        return Err(SnapshotError::BadOption(text.to_owned()));
    }
    Ok(clean)
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base64_known_texts_match_rfc_4648() {
        for (plain, coded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }
}
