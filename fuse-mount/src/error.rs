//! Why mounting failed, and what to do about it.

use std::path::PathBuf;

/// Why mounting failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MountError {
    /// The kernel has no FUSE, or a container hides it.
    #[error(
        "`/dev/fuse` is missing; load it with `modprobe fuse`, or give the container the device (docker: --device /dev/fuse --cap-add SYS_ADMIN)"
    )]
    NoFuseDevice,
    /// Only some users may use FUSE here.
    #[error(
        "you may not use `/dev/fuse`; ask the administrator to let you (usually it has mode 666), or mount as root"
    )]
    FuseNotPermitted,
    /// A plain user needs the helper program.
    #[error(
        "`fusermount3` is missing, which mounting without root needs; install the Debian package `fuse3`"
    )]
    NoFusermount,
    /// The mount point is no folder.
    #[error("`{}` is not a folder; name an empty folder to mount on", .0.display())]
    NotADirectory(PathBuf),
    /// The mount point has content that the mount would hide.
    #[error("`{}` is not empty; name an empty folder to mount on", .0.display())]
    NotEmpty(PathBuf),
    /// Others may only look in if the administrator allows it.
    #[error("mounting for other users needs the line `user_allow_other` in /etc/fuse.conf")]
    OthersNotAllowed,
    /// The kernel or the helper refused.
    #[error("cannot mount on `{}`: {source}", path.display())]
    Io {
        /// The mount point.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
}
