//! The folders above the snapshots, and how snapshots are named in them.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::sync::Arc;

use snapshot::{Node, SnapshotInfo};

/// What an inode stands for.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    Root,
    ByTime,
    ByTags,
    ByTag(String),
    ByHosts,
    ByHost(String),
    /// The link to the newest snapshot.
    Latest,
    /// The root of a snapshot.
    Snapshot(Arc<SnapshotInfo>),
    /// Something in a snapshot; the number is the inode of the snapshot's root.
    Node(Arc<Node>, u64),
}

impl Item {
    /// Whether it is one of the folders (or the link) that change with the snapshots.
    pub(crate) const fn is_list(&self) -> bool {
        !matches!(self, Self::Snapshot(_) | Self::Node(..))
    }
}

/// A name in one of these folders.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) name: OsString,
    pub(crate) item: Item,
}

fn named(name: impl Into<OsString>, item: Item) -> Named {
    Named { name: name.into(), item }
}

/// A tag or host as a file name; none when nothing is left of it.
fn file_name(text: &str) -> Option<String> {
    let name: String =
        text.chars().map(|c| if c == '/' || c == '\0' { '_' } else { c }).take(200).collect();
    (!name.is_empty() && name != "." && name != "..").then_some(name)
}

/// The snapshots as they were named when this was made.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    /// By name; the names sort by time.
    by_time: Vec<Named>,
    tags: BTreeMap<String, Vec<Named>>,
    hosts: BTreeMap<String, Vec<Named>>,
}

impl Layout {
    /// `snapshots` are sorted by time.
    pub(crate) fn new(snapshots: &[SnapshotInfo]) -> Self {
        let mut layout = Self::default();
        let mut used: BTreeMap<String, usize> = BTreeMap::new();
        for info in snapshots {
            let time = info.time.format("%Y-%m-%dT%H-%M-%SZ").to_string();
            let count = used.entry(time.clone()).or_default();
            *count += 1;
            let name = match *count {
                1 => time,
                n => format!("{time}-{n}"),
            };
            let entry = named(name, Item::Snapshot(Arc::new(info.clone())));
            // A set, because two tags may become the same file name.
            let tags: BTreeSet<String> = info.tags.iter().filter_map(|t| file_name(t)).collect();
            for tag in tags {
                layout.tags.entry(tag).or_default().push(entry.clone());
            }
            if let Some(host) = file_name(&info.host) {
                layout.hosts.entry(host).or_default().push(entry.clone());
            }
            layout.by_time.push(entry);
        }
        layout
    }

    /// What one of the folders holds; nothing for other items.
    pub(crate) fn children(&self, item: &Item) -> Vec<Named> {
        match item {
            Item::Root => {
                let mut all = vec![
                    named("by-host", Item::ByHosts),
                    named("by-tag", Item::ByTags),
                    named("by-time", Item::ByTime),
                ];
                if !self.by_time.is_empty() {
                    all.push(named("latest", Item::Latest));
                }
                all
            }
            Item::ByTime => self.by_time.clone(),
            Item::ByTags => keys(&self.tags, Item::ByTag),
            Item::ByHosts => keys(&self.hosts, Item::ByHost),
            Item::ByTag(tag) => self.tags.get(tag).cloned().unwrap_or_default(),
            Item::ByHost(host) => self.hosts.get(host).cloned().unwrap_or_default(),
            Item::Latest | Item::Snapshot(_) | Item::Node(..) => Vec::new(),
        }
    }

    pub(crate) fn child(&self, item: &Item, name: &OsStr) -> Option<Item> {
        let children = self.children(item);
        let found = children.into_iter().find(|child| child.name == name)?;
        Some(found.item)
    }

    /// Where `latest` points to.
    pub(crate) fn latest(&self) -> Option<OsString> {
        let newest = self.by_time.last()?;
        let mut target = OsString::from("by-time/");
        target.push(&newest.name);
        Some(target)
    }
}

fn keys(map: &BTreeMap<String, Vec<Named>>, item: impl Fn(String) -> Item) -> Vec<Named> {
    map.keys().map(|key| named(key, item(key.clone()))).collect()
}
