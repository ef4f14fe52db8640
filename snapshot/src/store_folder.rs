//! A store in a plain folder, laid out as restic's local backend does, so that stock restic can use it.
//!
//! Layout: `config`, `keys/ID`, `snapshots/ID`, `index/ID`, `data/AB/ID`, `locks/` (restic's own).
//! Guarantees: an object appears under its name only when complete (written aside, then renamed);
//! with `sync`, only when it is on disk.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use crate::object::{ObjectId, ObjectKind, ObjectStore, StoreError};

/// Objects as files below one folder.
#[derive(Debug)]
pub struct FolderStore {
    root: PathBuf,
    sync: bool,
    next_temp: AtomicU64,
}

impl FolderStore {
    /// Opens the folder, making it and its parts when missing.
    ///
    /// # Errors
    /// When a folder cannot be made.
    pub fn open(root: impl Into<PathBuf>, sync: bool) -> Result<Self, StoreError> {
        let root = root.into();
        for part in ["keys", "snapshots", "index", "data", "locks", "tmp"] {
            let path = root.join(part);
            fs::create_dir_all(&path).map_err(|e| io_error(&path, &e))?;
        }
        Ok(Self { root, sync, next_temp: AtomicU64::new(0) })
    }

    fn path(&self, kind: ObjectKind, id: ObjectId) -> PathBuf {
        let name = id.to_hex();
        match kind {
            ObjectKind::Config => self.root.join("config"),
            ObjectKind::Pack => self.root.join("data").join(&name[..2]).join(name),
            _ => self.root.join(kind.as_str()).join(name),
        }
    }

    fn list_folder(folder: &Path, found: &mut Vec<(ObjectId, u64)>) -> Result<(), StoreError> {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(io_error(folder, &e)),
        };
        for entry in entries {
            let entry = entry.map_err(|e| io_error(folder, &e))?;
            let Some(id) = entry.file_name().to_str().and_then(|n| n.parse().ok()) else {
                continue;
            };
            let meta = entry.metadata().map_err(|e| io_error(&entry.path(), &e))?;
            found.push((id, meta.len()));
        }
        Ok(())
    }

    fn write(&self, temp: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = File::create_new(temp)?;
        file.write_all(bytes)?;
        if self.sync {
            file.sync_all()?;
        }
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::rename(temp, path)?;
        if self.sync
            && let Some(folder) = path.parent()
        {
            File::open(folder)?.sync_all()?;
        }
        Ok(())
    }
}

fn io_error(path: &Path, error: &io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::NotFound => StoreError::NotFound,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::Full,
        io::ErrorKind::UnexpectedEof => StoreError::Corrupt,
        _ => StoreError::Other(format!("{}: {error}", path.display())),
    }
}

impl ObjectStore for FolderStore {
    fn list(&self, kind: ObjectKind) -> Result<Vec<(ObjectId, u64)>, StoreError> {
        let mut found = Vec::new();
        match kind {
            ObjectKind::Config => {
                let path = self.path(kind, ObjectId::CONFIG);
                match fs::metadata(&path) {
                    Ok(meta) => found.push((ObjectId::CONFIG, meta.len())),
                    Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                    Err(e) => return Err(io_error(&path, &e)),
                }
            }
            ObjectKind::Pack => {
                let data = self.root.join("data");
                for entry in fs::read_dir(&data).map_err(|e| io_error(&data, &e))? {
                    let entry = entry.map_err(|e| io_error(&data, &e))?;
                    if entry.file_type().is_ok_and(|t| t.is_dir()) {
                        Self::list_folder(&entry.path(), &mut found)?;
                    }
                }
            }
            _ => Self::list_folder(&self.root.join(kind.as_str()), &mut found)?,
        }
        Ok(found)
    }

    fn get(
        &self,
        kind: ObjectKind,
        id: ObjectId,
        range: Option<(u64, u64)>,
    ) -> Result<Bytes, StoreError> {
        let path = self.path(kind, id);
        let Some((offset, length)) = range else {
            return fs::read(&path).map(Bytes::from).map_err(|e| io_error(&path, &e));
        };
        let file = File::open(&path).map_err(|e| io_error(&path, &e))?;
        let size = file.metadata().map_err(|e| io_error(&path, &e))?.len();
        if offset.checked_add(length).is_none_or(|end| end > size) {
            return Err(StoreError::Corrupt);
        }
        let length = usize::try_from(length).map_err(|_| StoreError::Corrupt)?;
        let mut bytes = vec![0; length];
        file.read_exact_at(&mut bytes, offset).map_err(|e| io_error(&path, &e))?;
        Ok(bytes.into())
    }

    fn put(&self, kind: ObjectKind, id: ObjectId, bytes: Bytes) -> Result<(), StoreError> {
        let path = self.path(kind, id);
        let number = self.next_temp.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{number}-{id}", std::process::id());
        let temp = self.root.join("tmp").join(name);
        self.write(&temp, &path, &bytes).map_err(|e| {
            // The temporary file is worthless; that it may stay behind is no second error.
            let _ = fs::remove_file(&temp);
            io_error(&path, &e)
        })
    }

    fn remove(&self, kind: ObjectKind, id: ObjectId) -> Result<(), StoreError> {
        let path = self.path(kind, id);
        fs::remove_file(&path).map_err(|e| io_error(&path, &e))
    }
}
