//! Small files that must survive a crash and must not be replaced by accident.

use crate::error::{CliError, Code, io};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

/// Bytes of the largest small file that is read whole.
const SMALL_FILE_MAX: u64 = 4 << 20;

/// Makes a folder and those above it, readable by the owner only.
pub fn private_folder(path: &Path) -> Result<(), CliError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| io("make the folder", path, &error))
}

/// Writes a new file: durable, complete or absent, and refused when the name is taken.
pub fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<(), CliError> {
    write(path, bytes, mode, |from, to| {
        // A hard link, unlike a rename, never replaces what is there.
        fs::hard_link(from, to)?;
        fs::remove_file(from)
    })
}

/// Writes a file in place of what is there, atomically and durably.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<(), CliError> {
    write(path, bytes, mode, |from, to| fs::rename(from, to))
}

fn write(
    path: &Path,
    bytes: &[u8],
    mode: u32,
    publish: impl Fn(&Path, &Path) -> std::io::Result<()>,
) -> Result<(), CliError> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let name = path
        .file_name()
        .ok_or_else(|| CliError::new(Code::Usage, format!("{} names no file", path.display())))?;
    let mut temporary = name.to_owned();
    temporary.push(format!(".new-{}", std::process::id()));
    let temporary = folder.join(temporary);
    let written = (|| {
        // What an earlier crash of a process with our number left behind.
        let _ = fs::remove_file(&temporary);
        let mut file =
            fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        publish(&temporary, path)?;
        fs::File::open(folder)?.sync_all()
    })();
    written.map_err(|error| {
        let _ = fs::remove_file(&temporary);
        if error.kind() == std::io::ErrorKind::AlreadyExists {
            return CliError::new(Code::Failed, format!("{} exists already", path.display()))
                .hint("nothing was overwritten; choose another place");
        }
        io("write", path, &error)
    })
}

/// Reads a small text file.
pub fn read_text(path: &Path) -> Result<String, CliError> {
    check_small(path)?;
    fs::read_to_string(path).map_err(|error| io("read", path, &error))
}

/// Reads a small file.
pub fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    check_small(path)?;
    fs::read(path).map_err(|error| io("read", path, &error))
}

fn check_small(path: &Path) -> Result<(), CliError> {
    let length = fs::metadata(path).map_err(|error| io("read", path, &error))?.len();
    if length > SMALL_FILE_MAX {
        return Err(CliError::new(
            Code::Usage,
            format!("{} has {length} bytes, far more than what belongs there", path.display()),
        )
        .hint("check which file was given"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn write_new_refuses_to_replace_and_leaves_no_rest() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        write_new(&path, b"one", 0o600).unwrap();
        assert!(write_new(&path, b"two", 0o600).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"one");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn replace_replaces() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        replace(&path, b"one", 0o600).unwrap();
        replace(&path, b"two", 0o600).unwrap();
        assert_eq!(read_text(&path).unwrap(), "two");
    }
}
