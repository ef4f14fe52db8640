//! Mounting and unmounting.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fuser::{BackgroundSession, Config, MountOption, SessionACL};
use nix::mount::{MntFlags, umount2};
use nix::unistd::AccessFlags;
use snapshot::SnapshotFs;

use crate::error::MountError;
use crate::filesystem::SnapshotMount;
use crate::shared::{Core, lock};

/// How a repository is mounted.
#[derive(Clone, Debug)]
pub struct MountOptions {
    /// An operation that takes longer ends in `EIO`. Default 30 seconds.
    pub timeout: Duration,
    /// How often to look for new snapshots without being asked. Default 30 seconds.
    pub refresh: Duration,
    /// Let other users look in, under the permissions of the snapshot. Default false.
    pub allow_other: bool,
    /// Threads that may wait for the store, for folders and for files each. Default 64.
    pub threads_max: usize,
    /// Beyond this many inodes the kernel is asked to forget some. Default 200,000.
    pub inodes_max: usize,
}

impl Default for MountOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            refresh: Duration::from_secs(30),
            allow_other: false,
            threads_max: 64,
            inodes_max: 200_000,
        }
    }
}

/// A mounted repository. Dropping it unmounts.
#[derive(Debug)]
pub struct MountHandle {
    mount_point: PathBuf,
    session: Mutex<Option<BackgroundSession>>,
}

impl MountHandle {
    /// Where it is mounted.
    #[must_use]
    pub fn mount_point(&self) -> &Path {
        &self.mount_point
    }

    /// Takes the mount away; [`MountHandle::wait`] then returns. Programs that still have files open in
    /// it keep them until they close them.
    ///
    /// # Errors
    /// When the kernel or `fusermount3` refuses.
    pub fn unmount(&self) -> Result<(), MountError> {
        detach(&self.mount_point)
    }

    /// Waits until it is unmounted, by [`MountHandle::unmount`] from another thread or by `umount`.
    ///
    /// # Errors
    /// When the connection to the kernel broke.
    pub fn wait(&self) -> Result<(), MountError> {
        let session = lock(&self.session).take();
        let Some(session) = session else {
            return Ok(());
        };
        session.join().map_err(|source| MountError::Io { path: self.mount_point.clone(), source })
    }
}

impl Drop for MountHandle {
    fn drop(&mut self) {
        if lock(&self.session).is_some()
            && let Err(error) = self.unmount()
        {
            tracing::warn!(%error, "the mount stays");
        }
    }
}

/// Whether this machine can mount at all.
///
/// # Errors
/// [`MountError::NoFuseDevice`], [`MountError::FuseNotPermitted`] or [`MountError::NoFusermount`].
pub fn availability() -> Result<(), MountError> {
    if fs::metadata("/dev/fuse").is_err() {
        return Err(MountError::NoFuseDevice);
    }
    let use_it = AccessFlags::R_OK | AccessFlags::W_OK;
    if nix::unistd::access("/dev/fuse", use_it).is_err() {
        return Err(MountError::FuseNotPermitted);
    }
    if !nix::unistd::geteuid().is_root() && fusermount().is_none() {
        return Err(MountError::NoFusermount);
    }
    Ok(())
}

fn fusermount() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path)
        .chain(["/bin", "/usr/bin", "/sbin", "/usr/sbin"].map(PathBuf::from));
    let folders: Vec<PathBuf> = folders.collect();
    ["fusermount3", "fusermount"]
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
        .find(|program| program.is_file())
}

/// Mounts all snapshots of the view, read-only.
///
/// # Errors
/// See [`MountError`].
pub fn mount(
    view: Arc<SnapshotFs>,
    mount_point: &Path,
    options: MountOptions,
) -> Result<MountHandle, MountError> {
    availability()?;
    let mount_point = prepare(mount_point)?;
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::PermissionDenied if source.to_string().contains("user_allow_other") => {
            MountError::OthersNotAllowed
        }
        _ => MountError::Io { path: mount_point.clone(), source },
    };
    let core = Arc::new(Core::new(view, &options).map_err(failed)?);
    let spawned = fuser::spawn_mount(SnapshotMount(core.clone()), &mount_point, &config(&options));
    let session = match spawned {
        Ok(session) => session,
        Err(error) => {
            core.close();
            return Err(failed(error));
        }
    };
    let notifier = session.notifier();
    let watcher = core.clone();
    let thread = std::thread::Builder::new().name("pib-mount-news".to_owned());
    let spawned = thread.spawn(move || {
        watcher.watch_for_news(options.refresh.max(Duration::from_millis(100)), |core| {
            let surplus = lock(&core.inodes).surplus(options.inodes_max);
            for (parent, name) in surplus {
                // Refused when in use, or when the kernel has just forgotten it: both are fine.
                let _ = notifier.inval_entry(fuser::INodeNo(parent), &name);
            }
        });
    });
    let handle =
        MountHandle { mount_point: mount_point.clone(), session: Mutex::new(Some(session)) };
    match spawned {
        Ok(_) => Ok(handle),
        Err(error) => {
            core.close();
            Err(failed(error))
        }
    }
}

fn config(options: &MountOptions) -> Config {
    let mut config = Config::default();
    config.mount_options = vec![
        MountOption::FSName("pib".to_owned()),
        MountOption::Subtype("pib".to_owned()),
        MountOption::RO,
        MountOption::NoSuid,
        MountOption::NoDev,
        MountOption::NoAtime,
    ];
    if options.allow_other {
        // With others inside, the kernel must check permissions.
        config.mount_options.push(MountOption::DefaultPermissions);
        config.acl = SessionACL::All;
    }
    config.n_threads = Some(2);
    config
}

/// An empty folder, after a stale mount on it was taken away.
fn prepare(mount_point: &Path) -> Result<PathBuf, MountError> {
    let failed = |source| MountError::Io { path: mount_point.to_path_buf(), source };
    let mut meta = fs::metadata(mount_point);
    // A process that was killed leaves a mount behind that nobody answers for.
    if let Err(error) = &meta
        && matches!(error.raw_os_error(), Some(libc::ENOTCONN | libc::ECONNABORTED))
    {
        tracing::info!(path = %mount_point.display(), "taking away a stale mount");
        detach(mount_point)?;
        meta = fs::metadata(mount_point);
    }
    if !meta.map_err(failed)?.is_dir() {
        return Err(MountError::NotADirectory(mount_point.to_path_buf()));
    }
    let mount_point = mount_point.canonicalize().map_err(failed)?;
    let mut entries = fs::read_dir(&mount_point).map_err(failed)?;
    if entries.next().is_some() {
        return Err(MountError::NotEmpty(mount_point));
    }
    Ok(mount_point)
}

fn detach(mount_point: &Path) -> Result<(), MountError> {
    let failed = |source| MountError::Io { path: mount_point.to_path_buf(), source };
    match umount2(mount_point, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
        // Not mounted any more is what was wanted.
        Ok(()) | Err(nix::errno::Errno::EINVAL) => Ok(()),
        Err(nix::errno::Errno::EPERM) => {
            let program = fusermount().ok_or(MountError::NoFusermount)?;
            let output = Command::new(program)
                .args(["-u", "-z", "--"])
                .arg(mount_point)
                .stdin(Stdio::null())
                .output()
                .map_err(failed)?;
            let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            if output.status.success() || text.contains("not found in /etc/mtab") {
                return Ok(());
            }
            Err(failed(io::Error::other(text)))
        }
        Err(error) => Err(failed(error.into())),
    }
}
