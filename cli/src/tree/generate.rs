//! Generated folders. The same seed gives the same bytes, names, modes and times.
//!
//! [`everyday`] has what a home folder may hold and backup programs get wrong: odd names, empty
//! files, symbolic links that lead nowhere, hard links, extended attributes, holes, set-uid bits,
//! times before 1970 and with nanoseconds.

use filetime::FileTime;
use nix::sys::stat::Mode;
use rand::{Rng as _, RngCore as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, Seek as _, SeekFrom, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

const FILES_PER_FOLDER: usize = 40;
const HOLE_BYTES: u64 = 24 << 20;
const BLOCK: usize = 1 << 20;

/// What was generated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Generated {
    /// Regular files, each name of a hard-linked one counted.
    pub files: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// Whether this file system took extended attributes.
    pub xattrs: bool,
}

/// `files` files of all sizes in nested folders, and the oddities. `root` must not exist.
pub fn everyday(root: &Path, files: usize, seed: u64) -> io::Result<Generated> {
    let mut maker = Maker::new(root, seed)?;
    let mut folders = vec![root.to_owned()];
    for index in 0..files {
        if index % FILES_PER_FOLDER == 0 {
            let parent = folders[maker.random.random_range(0..folders.len().min(30))].clone();
            let folder = parent.join(maker.name(index, "folder"));
            fs::create_dir(&folder)?;
            folders.push(folder);
        }
        let path = folders[folders.len() - 1].join(maker.name(index, "file"));
        let len = maker.everyday_len();
        maker.file(&path, len)?;
        maker.attributes(&path)?;
        if index % 10 == 3 {
            maker.links(&path, &folders)?;
        }
    }
    maker.oddities(root)?;
    // Times of folders last: making entries changes them.
    for folder in folders.iter().rev() {
        maker.folder_attributes(folder)?;
    }
    Ok(maker.made)
}

/// `files` files of up to 16 KiB in folders of a hundred: a source tree or a mail store.
pub fn small_files(root: &Path, files: usize, seed: u64) -> io::Result<Generated> {
    let mut maker = Maker::new(root, seed)?;
    let mut folder = root.to_owned();
    for index in 0..files {
        if index % 100 == 0 {
            folder =
                root.join(format!("d{:02}", index / 10_000)).join(format!("{:04}", index / 100));
            fs::create_dir_all(&folder)?;
        }
        let len = maker.random.random_range(0..16 << 10);
        maker.file(&folder.join(format!("{index:06}.txt")), len)?;
    }
    Ok(maker.made)
}

/// `bytes` bytes that cannot be compressed, in files of up to 64 MiB.
pub fn bulk(root: &Path, bytes: u64, seed: u64) -> io::Result<Generated> {
    let mut maker = Maker::new(root, seed)?;
    let mut left = bytes;
    let mut block = vec![0; BLOCK];
    while left > 0 {
        let mut file = File::create(root.join(format!("bulk-{:04}", maker.made.files)))?;
        let mut room = left.min(64 << 20);
        while room > 0 {
            let len = usize::try_from(room).unwrap_or(BLOCK).min(BLOCK);
            maker.random.fill_bytes(&mut block[..len]);
            file.write_all(&block[..len])?;
            room -= len as u64;
            left -= len as u64;
            maker.made.bytes += len as u64;
        }
        maker.made.files += 1;
    }
    Ok(maker.made)
}

struct Maker {
    random: ChaCha8Rng,
    made: Generated,
}

impl Maker {
    fn new(root: &Path, seed: u64) -> io::Result<Self> {
        fs::create_dir_all(root.parent().unwrap_or(root))?;
        fs::create_dir(root)?;
        let made = Generated { xattrs: true, ..Generated::default() };
        Ok(Self { random: ChaCha8Rng::seed_from_u64(seed), made })
    }

    fn name(&mut self, index: usize, stem: &str) -> PathBuf {
        match self.random.random_range(0..24) {
            0 => format!("{stem} with spaces {index}").into(),
            1 => format!("-{stem}-{index}").into(),
            2 => format!("größe-{index}-日本").into(),
            3 => format!(".{stem}{index}").into(),
            4 => format!("{stem}\\{index}\"'$*?").into(),
            _ => format!("{stem}{index:05}").into(),
        }
    }

    /// Most files are small, most bytes are in a few large ones.
    fn everyday_len(&mut self) -> usize {
        match self.random.random_range(0..1000) {
            0..60 => 0,
            60..700 => self.random.random_range(1..8 << 10),
            700..960 => self.random.random_range(8 << 10..64 << 10),
            960..998 => self.random.random_range(64 << 10..512 << 10),
            _ => self.random.random_range(1 << 20..6 << 20),
        }
    }

    /// Half of the files are text that compresses, half are random.
    fn file(&mut self, path: &Path, len: usize) -> io::Result<()> {
        let mut bytes = vec![0; len];
        if self.random.random_bool(0.5) {
            self.random.fill_bytes(&mut bytes);
        } else {
            for byte in &mut bytes {
                *byte = b"etaoin shrdlu\n.,"[self.random.random_range(0..16)];
            }
        }
        fs::write(path, &bytes)?;
        self.made.files += 1;
        self.made.bytes += len as u64;
        Ok(())
    }

    fn time(&mut self) -> FileTime {
        let seconds = match self.random.random_range(0..40) {
            0 => -self.random.random_range(1..1_000_000_000),
            1 => self.random.random_range(2_200_000_000..4_000_000_000),
            _ => self.random.random_range(900_000_000..1_700_000_000),
        };
        FileTime::from_unix_time(seconds, self.random.random_range(0..1_000_000_000))
    }

    /// Modes keep the owner's read bit, so that a plain user can back the tree up.
    fn attributes(&mut self, path: &Path) -> io::Result<()> {
        if self.random.random_range(0..12) == 0 {
            self.xattr(path)?;
        }
        let modes = [0o644, 0o644, 0o644, 0o600, 0o640, 0o755, 0o444, 0o400, 0o4755, 0o2711, 0o777];
        let mode = modes[self.random.random_range(0..modes.len())];
        fs::set_permissions(path, Permissions::from_mode(mode))?;
        filetime::set_file_mtime(path, self.time())
    }

    fn folder_attributes(&mut self, path: &Path) -> io::Result<()> {
        let modes = [0o755, 0o755, 0o700, 0o750, 0o1777];
        let mode = modes[self.random.random_range(0..modes.len())];
        fs::set_permissions(path, Permissions::from_mode(mode))?;
        filetime::set_file_mtime(path, self.time())
    }

    fn xattr(&mut self, path: &Path) -> io::Result<()> {
        let mut value = vec![0; self.random.random_range(0..200)];
        self.random.fill_bytes(&mut value);
        let set = xattr::set(path, "user.pib.note", &value)
            .and_then(|()| xattr::set(path, "user.empty", b""));
        match set {
            Err(error) if error.raw_os_error() == Some(nix::libc::ENOTSUP) => {
                self.made.xattrs = false;
                Ok(())
            }
            other => other,
        }
    }

    fn links(&mut self, path: &Path, folders: &[PathBuf]) -> io::Result<()> {
        let folder = &folders[self.random.random_range(0..folders.len())];
        let number = self.made.files;
        fs::hard_link(path, folder.join(format!("hard-{number}")))?;
        let link = folder.join(format!("soft-{number}"));
        match self.random.random_range(0..3) {
            0 => symlink("nowhere/at all", &link)?,
            1 => symlink(path, &link)?,
            _ => symlink(path.file_name().unwrap_or(OsStr::new(".")), &link)?,
        }
        let time = self.time();
        filetime::set_symlink_file_times(&link, time, time)?;
        self.made.files += 1;
        self.made.bytes += fs::metadata(path)?.len();
        Ok(())
    }

    fn oddities(&mut self, root: &Path) -> io::Result<()> {
        let odd = root.join("oddities");
        fs::create_dir(&odd)?;
        fs::create_dir(odd.join("empty folder"))?;
        self.file(&odd.join("two\nlines"), 10)?;
        self.file(&odd.join(OsStr::from_bytes(b"not-utf8-\xff\xfe")), 10)?;
        self.file(&odd.join("n".repeat(255)), 10)?;
        self.hole(&odd.join("mostly hole"))?;
        nix::unistd::mkfifo(&odd.join("pipe"), Mode::from_bits_truncate(0o640))?;
        let mut deep = odd.clone();
        for level in 0..40 {
            deep.push(format!("level{level}"));
        }
        fs::create_dir_all(&deep)?;
        self.file(&deep.join("at the bottom"), 1000)?;
        self.folder_attributes(&odd.join("empty folder"))?;
        // From the inside out: making an entry changes its folder's time. Without opening anything:
        // a pipe would wait for its other end.
        for entry in walkdir::WalkDir::new(&odd).contents_first(true).sort_by_file_name() {
            let time = self.time();
            filetime::set_symlink_file_times(entry?.path(), time, time)?;
        }
        Ok(())
    }

    fn hole(&mut self, path: &Path) -> io::Result<()> {
        let mut file = BufWriter::new(File::create(path)?);
        file.write_all(b"start")?;
        file.seek(SeekFrom::Start(HOLE_BYTES))?;
        file.write_all(b"end")?;
        file.flush()?;
        self.made.files += 1;
        self.made.bytes += HOLE_BYTES + 3;
        Ok(())
    }
}
