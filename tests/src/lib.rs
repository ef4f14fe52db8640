//! What the end-to-end tests share: founding a group of real `pib` processes, and objects whose
//! contents follow from their names, so that any of them can be checked later.

use bytes::Bytes;
use cli::harness::{Group, GroupSpec, Interrupt};
use node::Client;
use rand::{RngCore, SeedableRng, rngs::SmallRng};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Longest wait for links and convergence. A test that needs longer has found a bug; nothing is
/// measured with it.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// The `pib` program of this build; `cargo xtask test` builds it first.
pub fn pib() -> PathBuf {
    let here = std::env::current_exe().expect("the test knows its own path");
    let profile = here.parent().and_then(Path::parent).expect("tests lie in <profile>/deps");
    let exe = profile.join("pib");
    assert!(exe.exists(), "{} is missing: run `cargo build --release` first", exe.display());
    exe
}

/// A founded group; nothing runs yet.
pub fn found(dir: &Path, nodes: usize, faulty: usize) -> Group {
    found_with(dir, nodes, faulty, "")
}

/// As [`found`], with more lines for the `[limits]` of every member.
pub fn found_with(dir: &Path, nodes: usize, faulty: usize, limits: &str) -> Group {
    let limits = format!("put_patience = \"20s\"\n{limits}");
    let spec =
        GroupSpec { exe: pib(), dir: dir.to_owned(), nodes, faulty, limits, max_response_ms: None };
    Group::found(spec, Interrupt::default()).expect("the group is founded")
}

/// A founded group that assigns work, which may take so long to be answered.
pub fn found_with_work(dir: &Path, nodes: usize, faulty: usize, max_response_ms: u64) -> Group {
    let limits = "put_patience = \"5s\"".to_owned();
    let max_response_ms = Some(max_response_ms);
    let spec =
        GroupSpec { exe: pib(), dir: dir.to_owned(), nodes, faulty, limits, max_response_ms };
    Group::found(spec, Interrupt::default()).expect("the group is founded")
}

/// A folder that is kept when the test fails, so that logs can be read.
pub struct Folder(Option<tempfile::TempDir>);

impl Folder {
    /// A new one.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self(Some(tempfile::tempdir().expect("a temporary folder")))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.as_ref().expect("taken only when dropped").path()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let path = self.0.take().map(tempfile::TempDir::keep);
            eprintln!("the members' folders and logs are kept in {path:?}");
        }
    }
}

/// An object: its contents follow from its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blob {
    number: u64,
    len: usize,
}

impl Blob {
    /// The blob with this number, of `len` bytes.
    pub fn new(number: u64, len: usize) -> Self {
        Self { number, len }
    }

    /// Its name: the SHA-256 of its contents, as the snapshot library names objects.
    pub fn id(&self) -> String {
        use sha2::Digest;
        let digest = sha2::Sha256::digest(self.body());
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Its contents.
    pub fn body(&self) -> Bytes {
        let mut body = vec![0; self.len];
        SmallRng::seed_from_u64(self.number).fill_bytes(&mut body);
        Bytes::from(body)
    }

    /// Fails with its number if it cannot be fetched or is not what was stored.
    pub async fn check(&self, client: &Client) {
        match client.get("data", &self.id(), None).await {
            Ok(body) => assert!(body == self.body(), "object {} came back different", self.number),
            Err(error) => panic!("acknowledged object {} is lost: {error}", self.number),
        }
    }
}

/// Waits until all running members stand at the same instance with the same state, and returns
/// the number of commands in it.
pub fn agreed_commands(group: &Group) -> u64 {
    let start = Instant::now();
    loop {
        let running = (0..group.len()).filter(|member| group.is_running(*member));
        let stats: Vec<_> = running.map(|member| group.rsm_stats(member)).collect();
        let stats: Option<Vec<_>> = stats.into_iter().map(Result::ok).collect();
        if let Some(stats) = stats {
            for one in &stats {
                for other in stats.iter().filter(|other| other.instances == one.instances) {
                    assert_eq!(one.state_digest, other.state_digest, "members disagree");
                }
            }
            if stats.iter().all(|one| one.instances == stats[0].instances) {
                return stats[0].state_commands;
            }
        }
        assert!(start.elapsed() < PATIENCE, "the members do not come to the same instance");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What the state machines of running members say that peers did wrong.
pub fn faults(group: &Group) -> u64 {
    let running = (0..group.len()).filter(|member| group.is_running(*member));
    running.map(|member| group.rsm_stats(member).expect("it runs").faults).sum()
}
