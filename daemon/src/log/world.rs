//! What a disk would hold if the power failed now: everything issued and everything synced, kept apart.
//!
//! The model is crueller than most file systems. An unsynced write may be there in any subset of its sectors, with zeros,
//! noise or old data between them; an unsynced change of a folder may be there or not whatever became of those around it.
//! After a failed sync the bytes count as clean and are not durable: no later sync helps them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::dice::Dice;

/// What a disk writes whole or not at all, in bytes.
const SECTOR: usize = 512;

/// One change that the disk was asked for.
#[derive(Clone, Debug)]
pub(super) enum Op {
    Write(usize, Arc<[u8]>),
    Cut(usize, u64),
    Sync(usize),
    SyncFailed(usize),
    Create(String),
    Mkdir(String),
    Rename(String, String),
    Remove(String),
    SyncDir(String),
}

/// The files and folders of a disk at rest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Image {
    pub(super) files: BTreeMap<String, Vec<u8>>,
    pub(super) folders: BTreeSet<String>,
}

/// How the power, or only the process, fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The process dies: everything issued is there.
    Process,
    /// Only what was synced is there.
    Synced,
    /// Folders lose what was not synced and files keep everything.
    Unlinked,
    /// Files lose what was not synced and folders keep everything.
    Emptied,
    /// Anything that was not synced is there or not, in parts.
    Torn,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    File(usize),
    Folder,
}

#[derive(Clone)]
enum Change {
    Write(usize, Arc<[u8]>),
    Cut(usize),
}

#[derive(Clone, Default)]
struct Inode {
    synced: Vec<u8>,
    issued: Vec<u8>,
    /// Not synced, with whether a sync failed since, so that no sync will help it.
    pending: Vec<(Change, bool)>,
}

#[derive(Clone)]
enum Link {
    Add(String, Node),
    Drop(String),
    Move(String, String, Node),
}

type Names = BTreeMap<String, Node>;

#[derive(Clone, Default)]
struct Folder {
    synced: Names,
    issued: Names,
    pending: Vec<Link>,
}

/// A disk in operation.
#[derive(Clone)]
pub(super) struct World {
    files: Vec<Inode>,
    folders: BTreeMap<String, Folder>,
}

/// The folder and the name in it.
fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

fn name(path: &str) -> String {
    split(path).1.to_owned()
}

fn link(names: &mut Names, link: &Link) {
    match link {
        Link::Add(name, node) => {
            names.insert(name.clone(), *node);
        }
        Link::Drop(name) => {
            names.remove(name);
        }
        Link::Move(from, to, node) => {
            if names.get(from) == Some(node) {
                names.remove(from);
            }
            names.insert(to.clone(), *node);
        }
    }
}

fn change(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write(at, data) => {
            let end = at + data.len();
            bytes.resize(bytes.len().max(end), 0);
            bytes[*at..end].copy_from_slice(data);
        }
        Change::Cut(length) => bytes.resize(*length, 0),
    }
}

impl Inode {
    fn add(&mut self, one: Change) {
        change(&mut self.issued, &one);
        self.pending.push((one, false));
    }

    fn sync(&mut self) {
        let mut lost: Vec<(Change, bool)> = Vec::new();
        for (one, limbo) in std::mem::take(&mut self.pending) {
            if limbo {
                lost.push((one, true));
                continue;
            }
            if let Change::Cut(length) = one {
                // What lay behind the cut is gone whether it ever got there or not.
                lost.retain(|(other, _)| matches!(other, Change::Write(at, data) if at + data.len() <= length));
            }
            change(&mut self.synced, &one);
        }
        self.pending = lost;
    }

    fn torn(&self, dice: &mut Dice) -> Vec<u8> {
        let mut bytes = self.synced.clone();
        for (one, _) in &self.pending {
            match (one, dice.below(4)) {
                (_, 0) => {}
                (Change::Write(at, data), 1 | 2) => tear(&mut bytes, *at, data, dice),
                _ => change(&mut bytes, one),
            }
        }
        bytes
    }
}

/// Writes some of the sectors and leaves zeros, noise or old data in the place of the others.
fn tear(bytes: &mut Vec<u8>, at: usize, data: &[u8], dice: &mut Dice) {
    let (first, end) = (at / SECTOR, at + data.len());
    let sectors = end.div_ceil(SECTOR) - first;
    let (way, edge, filling) = (dice.below(4), dice.below(sectors + 1), dice.below(3));
    // A length is a number of its own and may be written before the bytes.
    let length = if dice.one_in(2) { end } else { at + dice.below(data.len() + 1) };
    let old = bytes.clone();
    let before = bytes.len();
    bytes.resize(before.max(length), 0);
    for sector in 0..sectors {
        let keep = match way {
            0 => sector < edge,
            1 => sector >= edge,
            2 => dice.one_in(2),
            _ => sector != edge.min(sectors - 1),
        };
        let from = ((first + sector) * SECTOR).max(at);
        let to = ((first + sector + 1) * SECTOR).min(end);
        if keep {
            bytes.resize(bytes.len().max(to), 0);
            bytes[from..to].copy_from_slice(&data[from - at..to - at]);
        } else {
            let to = to.min(bytes.len());
            fill(&mut bytes[from.max(before).min(to)..to], filling, &old, dice);
        }
    }
}

/// What a block held before nobody knows.
fn fill(hole: &mut [u8], filling: usize, old: &[u8], dice: &mut Dice) {
    match filling {
        0 => {}
        1 => hole.fill_with(|| dice.roll() as u8),
        _ => {
            let from = dice.below(old.len() / SECTOR + 1) * SECTOR;
            for (to, byte) in hole.iter_mut().zip(&old[from.min(old.len())..]) {
                *to = *byte;
            }
        }
    }
}

impl Folder {
    fn add(&mut self, one: Link) {
        link(&mut self.issued, &one);
        self.pending.push(one);
    }

    fn sync(&mut self) {
        (self.synced, self.pending) = (self.issued.clone(), Vec::new());
    }

    fn torn(&self, dice: &mut Dice) -> Names {
        let mut names = self.synced.clone();
        let prefix = dice.one_in(2).then(|| dice.below(self.pending.len() + 1));
        for (index, one) in self.pending.iter().enumerate() {
            if prefix.map_or_else(|| dice.one_in(2), |prefix| index < prefix) {
                link(&mut names, one);
            }
        }
        names
    }
}

impl World {
    /// A disk that holds this and nothing unsynced.
    pub(super) fn new(image: &Image) -> Self {
        let mut world = Self { files: Vec::new(), folders: BTreeMap::from([(String::new(), Folder::default())]) };
        for folder in &image.folders {
            world.apply(&Op::Mkdir(folder.clone()));
        }
        for (name, bytes) in &image.files {
            world.apply(&Op::Create(name.clone()));
            let file = Inode { synced: bytes.clone(), issued: bytes.clone(), pending: Vec::new() };
            world.files.pop();
            world.files.push(file);
        }
        world.folders.values_mut().for_each(Folder::sync);
        world
    }

    /// Does what was asked; the caller made sure that it can be done.
    pub(super) fn apply(&mut self, op: &Op) {
        match op {
            Op::Write(file, bytes) => {
                let end = self.files[*file].issued.len();
                self.files[*file].add(Change::Write(end, bytes.clone()));
            }
            Op::Cut(file, length) => self.files[*file].add(Change::Cut(*length as usize)),
            Op::Sync(file) => self.files[*file].sync(),
            Op::SyncFailed(file) => self.files[*file].pending.iter_mut().for_each(|(_, limbo)| *limbo = true),
            Op::Create(path) => {
                self.files.push(Inode::default());
                self.link(path, Link::Add(name(path), Node::File(self.files.len() - 1)));
            }
            Op::Mkdir(path) => {
                self.folders.entry(path.clone()).or_default();
                self.link(path, Link::Add(name(path), Node::Folder));
            }
            Op::Rename(from, to) => {
                if let Some(node) = self.node(from) {
                    self.link(from, Link::Move(name(from), name(to), node));
                }
            }
            Op::Remove(path) => self.link(path, Link::Drop(name(path))),
            Op::SyncDir(path) => {
                self.folders.get_mut(path).map(Folder::sync);
            }
        }
    }

    fn link(&mut self, path: &str, one: Link) {
        if let Some(folder) = self.folders.get_mut(split(path).0) {
            folder.add(one);
        }
    }

    fn node(&self, path: &str) -> Option<Node> {
        let (folder, name) = split(path);
        self.folders.get(folder)?.issued.get(name).copied()
    }

    /// The file at a path.
    pub(super) fn file(&self, path: &str) -> Option<usize> {
        match self.node(path)? {
            Node::File(file) => Some(file),
            Node::Folder => None,
        }
    }

    /// What the process reads from a file.
    pub(super) fn bytes(&self, file: usize) -> &[u8] {
        &self.files[file].issued
    }

    /// The names in a folder.
    pub(super) fn names(&self, folder: &str) -> Option<Vec<String>> {
        Some(self.folders.get(folder)?.issued.keys().cloned().collect())
    }

    /// Bytes in all files that have a name.
    pub(super) fn used(&self) -> u64 {
        let nodes = self.folders.values().flat_map(|folder| folder.issued.values());
        nodes.map(|node| if let Node::File(file) = node { self.files[*file].issued.len() as u64 } else { 0 }).sum()
    }

    /// Whether an ending can differ from another.
    pub(super) fn is_settled(&self) -> bool {
        self.folders.values().all(|folder| folder.pending.is_empty())
            && self.files.iter().all(|file| file.pending.is_empty())
    }

    /// What a process that starts now finds.
    pub(super) fn image(&self) -> Image {
        self.ending(Ending::Process, &mut Dice::new(0))
    }

    /// The disk that the next process gets. Where only the process died, what was not synced still is not.
    pub(super) fn after(&self, ending: Ending, dice: &mut Dice) -> Self {
        match ending {
            Ending::Process => self.clone(),
            _ => Self::new(&self.ending(ending, dice)),
        }
    }

    /// What is there after the power fails now.
    fn ending(&self, ending: Ending, dice: &mut Dice) -> Image {
        let files: Vec<Vec<u8>> = self
            .files
            .iter()
            .map(|file| match ending {
                Ending::Process | Ending::Unlinked => file.issued.clone(),
                Ending::Synced | Ending::Emptied => file.synced.clone(),
                Ending::Torn => file.torn(dice),
            })
            .collect();
        let mut image = Image::default();
        let mut open = vec![String::new()];
        while let Some(path) = open.pop() {
            let Some(folder) = self.folders.get(&path) else { continue };
            let names = match ending {
                Ending::Process | Ending::Emptied => folder.issued.clone(),
                Ending::Synced | Ending::Unlinked => folder.synced.clone(),
                Ending::Torn => folder.torn(dice),
            };
            for (name, node) in names {
                let path = if path.is_empty() { name } else { format!("{path}/{name}") };
                match node {
                    Node::File(file) => drop(image.files.insert(path, files[file].clone())),
                    Node::Folder => {
                        image.folders.insert(path.clone());
                        open.push(path);
                    }
                }
            }
        }
        image
    }
}
