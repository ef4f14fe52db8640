//! Snapshots mounted read-only over FUSE
