//! Gives large buffers back to the system as soon as they are free.
//!
//! glibc raises its mmap threshold to the size of the largest freed buffer and then keeps such
//! buffers in the arena of each thread; with packs of several MiB going through a pool of threads
//! that is most of a daemon's resident memory. A fixed threshold and few arenas bound it.

/// Buffers from this size on are mapped on their own, bytes.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const MAPPED_FROM: i32 = 4 << 20;
/// Free bytes at the end of an arena that are kept. A fixed mmap threshold also freezes this at
/// 128 KiB, which would give back and fault in the same pages for every file of a backup.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const KEPT: i32 = 8 << 20;
/// Arenas for everything smaller.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const ARENAS: i32 = 4;

/// To be called once, before threads are started.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code)] // mallopt has no safe wrapper
pub fn bound() {
    // SAFETY: `mallopt` only sets parameters of the allocator; it is called before any other thread
    // exists. A refused parameter leaves the default, which is merely larger.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_FROM);
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT);
        libc::mallopt(libc::M_ARENA_MAX, ARENAS);
    }
}

/// Other allocators have no such settings.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn bound() {}
