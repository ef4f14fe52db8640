//! Compares two folders: names, kinds, contents, modes, owners, times, links, extended attributes.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// Differences that are named one by one.
const NAMED_MAX: usize = 50;
const BLOCK: usize = 256 << 10;

/// What to compare beyond names, kinds, contents, modes, link targets and hard links.
#[derive(Debug, Clone, Copy)]
pub struct Aspects {
    /// Owner and group.
    pub owners: bool,
    /// Extended attributes.
    pub xattrs: bool,
    /// Modification times, to the nanosecond.
    pub times: bool,
}

impl Aspects {
    /// Everything. Owners can be restored by root only.
    pub fn all() -> Self {
        Self { owners: nix::unistd::geteuid().is_root(), xattrs: true, times: true }
    }
}

/// The outcome.
#[derive(Debug, Clone, Default)]
pub struct Comparison {
    /// Regular files compared.
    pub files: u64,
    /// Bytes compared.
    pub bytes: u64,
    /// Folders, links and others compared.
    pub others: u64,
    /// The first differences, in words.
    pub differences: Vec<String>,
    /// How many there are.
    pub difference_count: u64,
}

impl Comparison {
    /// Whether nothing differs.
    pub fn identical(&self) -> bool {
        self.difference_count == 0
    }
}

/// Compares `actual` with `expected`.
pub fn compare(expected: &Path, actual: &Path, aspects: Aspects) -> io::Result<Comparison> {
    let mut comparer = Comparer {
        aspects,
        result: Comparison::default(),
        to_actual: BTreeMap::new(),
        to_expected: BTreeMap::new(),
    };
    let mut stack = vec![PathBuf::new()];
    while let Some(path) = stack.pop() {
        comparer.entry(expected, actual, &path, &mut stack)?;
    }
    Ok(comparer.result)
}

type FileId = (u64, u64);

struct Comparer {
    aspects: Aspects,
    result: Comparison,
    /// Which file of the one side is which of the other, for files with several names.
    to_actual: BTreeMap<FileId, FileId>,
    to_expected: BTreeMap<FileId, FileId>,
}

impl Comparer {
    fn differs(&mut self, path: &Path, what: impl Into<String>) {
        self.result.difference_count += 1;
        if self.result.differences.len() < NAMED_MAX {
            self.result.differences.push(format!("{}: {}", path.display(), what.into()));
        }
    }

    fn entry(
        &mut self,
        expected: &Path,
        actual: &Path,
        path: &Path,
        stack: &mut Vec<PathBuf>,
    ) -> io::Result<()> {
        let (left, right) = (expected.join(path), actual.join(path));
        let want = fs::symlink_metadata(&left)?;
        let got = match fs::symlink_metadata(&right) {
            Ok(got) => got,
            Err(error) => {
                self.differs(path, format!("cannot be looked at: {error}"));
                return Ok(());
            }
        };
        if kind(&want) != kind(&got) {
            self.differs(path, format!("is a {}, should be a {}", kind(&got), kind(&want)));
            return Ok(());
        }
        self.attributes(path, &left, &right, &want, &got);
        if want.is_dir() {
            self.result.others += 1;
            self.folder(path, &left, &right, stack)?;
        } else if want.is_file() {
            self.result.files += 1;
            self.names(path, &want, &got);
            self.content(path, &left, &right)?;
        } else {
            self.result.others += 1;
            if want.is_symlink() && fs::read_link(&left)? != fs::read_link(&right)? {
                self.differs(path, "the link points elsewhere");
            }
        }
        Ok(())
    }

    fn attributes(
        &mut self,
        path: &Path,
        left: &Path,
        right: &Path,
        want: &Metadata,
        got: &Metadata,
    ) {
        // The mode of a symbolic link means nothing.
        if !want.is_symlink() && want.mode() != got.mode() {
            self.differs(path, format!("mode {:o}, should be {:o}", got.mode(), want.mode()));
        }
        if self.aspects.owners && (want.uid(), want.gid()) != (got.uid(), got.gid()) {
            let owner = format!("{}:{}", got.uid(), got.gid());
            self.differs(path, format!("owner {owner}, should be {}:{}", want.uid(), want.gid()));
        }
        let times = |of: &Metadata| (of.mtime(), of.mtime_nsec());
        if self.aspects.times && times(want) != times(got) {
            self.differs(path, format!("time {:?}, should be {:?}", times(got), times(want)));
        }
        if self.aspects.xattrs && !want.is_symlink() {
            match (xattrs(left), xattrs(right)) {
                (Ok(want), Ok(got)) if want == got => {}
                (Ok(want), Ok(got)) => {
                    let names = |of: &BTreeMap<OsString, _>| format!("{:?}", of.keys());
                    let text = format!("attributes {}, should be {}", names(&got), names(&want));
                    self.differs(path, text);
                }
                (Err(error), _) | (_, Err(error)) => {
                    self.differs(path, format!("attributes cannot be read: {error}"));
                }
            }
        }
    }

    fn folder(
        &mut self,
        path: &Path,
        left: &Path,
        right: &Path,
        stack: &mut Vec<PathBuf>,
    ) -> io::Result<()> {
        let want = entries(left)?;
        let got = match entries(right) {
            Ok(got) => got,
            Err(error) => {
                self.differs(path, format!("cannot be listed: {error}"));
                return Ok(());
            }
        };
        for extra in got.difference(&want) {
            self.differs(&path.join(extra), "should not be there");
        }
        for missing in want.difference(&got) {
            self.differs(&path.join(missing), "is missing");
        }
        stack.extend(want.intersection(&got).map(|name| path.join(name)));
        Ok(())
    }

    /// Two names must lead to one file on both sides or on neither.
    fn names(&mut self, path: &Path, want: &Metadata, got: &Metadata) {
        if want.nlink() == 1 && got.nlink() == 1 {
            return;
        }
        let (left, right) = ((want.dev(), want.ino()), (got.dev(), got.ino()));
        let there = *self.to_actual.entry(left).or_insert(right);
        let back = *self.to_expected.entry(right).or_insert(left);
        if there != right || back != left {
            self.differs(path, "shares its content with other names than it should");
        }
    }

    fn content(&mut self, path: &Path, left: &Path, right: &Path) -> io::Result<()> {
        let mut left = File::open(left)?;
        let mut right = match File::open(right) {
            Ok(file) => file,
            Err(error) => {
                self.differs(path, format!("cannot be opened: {error}"));
                return Ok(());
            }
        };
        let (mut want, mut got) = (vec![0; BLOCK], vec![0; BLOCK]);
        let mut offset = 0_u64;
        loop {
            let wanted = fill(&mut left, &mut want)?;
            let gotten = match fill(&mut right, &mut got) {
                Ok(gotten) => gotten,
                Err(error) => {
                    self.differs(path, format!("cannot be read at {offset}: {error}"));
                    return Ok(());
                }
            };
            if want[..wanted] != got[..gotten] {
                self.differs(path, format!("the content differs at or after byte {offset}"));
                return Ok(());
            }
            self.result.bytes += wanted as u64;
            offset += wanted as u64;
            if wanted < want.len() {
                return Ok(());
            }
        }
    }
}

fn fill(file: &mut File, block: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < block.len() {
        match file.read(&mut block[filled..])? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

fn entries(folder: &Path) -> io::Result<BTreeSet<OsString>> {
    fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name())).collect()
}

fn xattrs(path: &Path) -> io::Result<BTreeMap<OsString, Option<Vec<u8>>>> {
    let names = match xattr::list(path) {
        Ok(names) => names,
        Err(error) if error.raw_os_error() == Some(nix::libc::ENOTSUP) => {
            return Ok(BTreeMap::new());
        }
        Err(error) => return Err(error),
    };
    names.map(|name| Ok((name.clone(), xattr::get(path, &name)?))).collect()
}

fn kind(of: &Metadata) -> &'static str {
    let kind = of.file_type();
    match () {
        () if kind.is_dir() => "folder",
        () if kind.is_file() => "file",
        () if kind.is_symlink() => "symbolic link",
        () if kind.is_fifo() => "pipe",
        () if kind.is_socket() => "socket",
        () if kind.is_char_device() => "character device",
        () if kind.is_block_device() => "block device",
        () => "unknown thing",
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
