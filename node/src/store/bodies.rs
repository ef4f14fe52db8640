//! Chunk bodies in plain files, `chunks/<first byte>/<name>`, readable with ordinary tools.
//!
//! A body is written under a temporary name, synced, renamed and its folder synced; only then may
//! a record promise it. A file without a record is rubbish from an interrupted write and is
//! removed at start ([`Bodies::sweep`]).

use crate::error::NodeError;
use bytes::Bytes;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Free space in bytes that a storer leaves alone, so that promises can still be written.
pub const FREE_RESERVE_BYTES: u64 = 64 * 1024 * 1024;

/// The folder of chunk bodies.
#[derive(Debug, Clone)]
pub struct Bodies {
    root: PathBuf,
}

impl Bodies {
    /// Opens the folder and makes its 256 sub-folders.
    pub fn open(data: &Path) -> Result<Self, NodeError> {
        let root = data.join("chunks");
        for byte in 0..=255u8 {
            let folder = root.join(format!("{byte:02x}"));
            fs::create_dir_all(&folder).map_err(|source| NodeError::Io {
                what: "create the folder",
                path: folder.clone(),
                source,
            })?;
        }
        sync_folder(&root).and_then(|()| sync_folder(data)).map_err(|source| NodeError::Io {
            what: "sync",
            path: root.clone(),
            source,
        })?;
        Ok(Self { root })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name.get(..2).unwrap_or("00")).join(name)
    }

    /// Writes a body durably: when this returns, the body survives a power cut.
    pub fn write(&self, name: &str, body: &Bytes) -> io::Result<()> {
        let free = free_bytes(&self.root)?;
        if free < FREE_RESERVE_BYTES + body.len() as u64 {
            return Err(io::Error::new(
                io::ErrorKind::StorageFull,
                format!("only {} MiB of disk space left", free >> 20),
            ));
        }
        let path = self.path(name);
        let temporary = path.with_extension("new");
        let outcome = (|| {
            let mut file = File::create(&temporary)?;
            file.write_all(body)?;
            file.sync_data()?;
            fs::rename(&temporary, &path)?;
            sync_folder(path.parent().unwrap_or(&self.root))
        })();
        if outcome.is_err() {
            // Here, while the name is still reserved, so that nothing of a later write is removed.
            let _ = fs::remove_file(&temporary);
            let _ = fs::remove_file(&path);
        }
        outcome
    }

    /// Reads a whole body of a known length.
    pub fn read(&self, name: &str, len: u64) -> io::Result<Bytes> {
        self.read_range(name, 0, len)
    }

    /// Reads part of a body.
    pub fn read_range(&self, name: &str, offset: u64, len: u64) -> io::Result<Bytes> {
        let len = usize::try_from(len).map_err(|_| io::ErrorKind::InvalidInput)?;
        let mut file = File::open(self.path(name))?;
        if offset > 0 {
            file.seek(SeekFrom::Start(offset))?;
        }
        let mut body = Vec::with_capacity(len);
        file.take(len as u64).read_to_end(&mut body)?;
        if body.len() != len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Bytes::from(body))
    }

    /// Removes a body; it is no error if it is gone already.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.path(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// Removes every file that no record promises. Returns how many.
    pub fn sweep(&self, promised: &BTreeSet<String>) -> io::Result<usize> {
        let mut removed = 0;
        for folder in fs::read_dir(&self.root)? {
            let folder = folder?;
            if !folder.file_type()?.is_dir() {
                continue;
            }
            for file in fs::read_dir(folder.path())? {
                let file = file?;
                let name = file.file_name();
                if !name.to_str().is_some_and(|name| promised.contains(name)) {
                    fs::remove_file(file.path())?;
                    removed += 1;
                }
            }
        }
        Ok(removed)
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Free bytes that an ordinary process may use on the file system of `path`.
#[allow(unsafe_code)] // statvfs has no safe wrapper in std
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    use std::os::unix::ffi::OsStrExt;
    let path = std::ffi::CString::new(path.as_os_str().as_bytes())?;
    let mut stat = std::mem::MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: `path` is a NUL-terminated string and `stat` is large enough for the result, which is
    // read only when the call says that it filled it.
    let stat = unsafe {
        if libc::statvfs(path.as_ptr(), stat.as_mut_ptr()) != 0 {
            return Err(io::Error::last_os_error());
        }
        stat.assume_init()
    };
    Ok(stat.f_bavail as u64 * stat.f_frsize as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn body_is_read_back_and_rubbish_is_swept() {
        let folder = tempfile::tempdir().unwrap();
        let bodies = Bodies::open(folder.path()).unwrap();
        bodies.write("abcd", &Bytes::from_static(b"0123456789")).unwrap();
        bodies.write("ab99", &Bytes::from_static(b"rubbish")).unwrap();
        assert_eq!(bodies.read("abcd", 10).unwrap(), "0123456789");
        assert_eq!(bodies.read_range("abcd", 3, 4).unwrap(), "3456");
        assert_eq!(bodies.sweep(&BTreeSet::from(["abcd".to_owned()])).unwrap(), 1);
        assert!(bodies.read("ab99", 7).is_err());
        assert!(bodies.read("abcd", 10).is_ok());
    }

    #[test]
    fn truncated_body_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let bodies = Bodies::open(folder.path()).unwrap();
        bodies.write("abcd", &Bytes::from_static(b"0123")).unwrap();
        let error = bodies.read("abcd", 10).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
