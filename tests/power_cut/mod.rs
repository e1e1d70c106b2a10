//! A disk whose power can fail at any moment: it keeps what a process asked it to sync, and loses all the rest.
//!
//! The process runs with `shim.c` between it and the C library, so what is seen are the system calls that it
//! makes, whoever makes them. At a sync of a file the disk takes the bytes that the file has at that moment; at a sync
//! of a directory, the names that it has at that moment and what they stand for. A file keeps nothing else of
//! its bytes, and of names there are the two extremes that a journaling file system can leave ([`Names`]).

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::SystemTime;

use tempfile::TempDir;

/// What becomes of names (links, renames, removals) that no sync of their directory confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// They are as at the directory's last sync.
    Late,
    /// They reached the disk by themselves, though what they name may be empty.
    Early,
}

/// A file or directory, whatever it is called. The time of birth tells apart those that share a number in turn.
type Identity = (u64, Option<SystemTime>);

/// The names in a directory, and whether each is of a directory.
type Listing = BTreeMap<OsString, (Identity, bool)>;

/// What a disk holds after a power cut: directories (without content) and files, by path from the root.
pub type Picture = BTreeMap<PathBuf, Option<Arc<[u8]>>>;

/// What happens at a sync that does not do its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instead {
    /// The process dies, as by `kill -9`.
    Death,
    /// It hears of an error; the next sync works again.
    Error,
}

/// The disk at one call of the process, before the call had any effect.
pub struct Moment {
    /// All that the process had said on stderr.
    pub said: String,
    pub late: Picture,
    pub early: Picture,
}

pub struct Disk {
    state: Arc<Mutex<State>>,
    /// The shim and the socket at which it finds us.
    tools: TempDir,
}

struct State {
    root: PathBuf,
    files: HashMap<Identity, Arc<[u8]>>,
    directories: HashMap<Identity, Listing>,
    said: Vec<u8>,
    syncs: usize,
    instead: Option<(usize, Instead)>,
    moments: Option<Vec<Moment>>,
}

impl Disk {
    /// A disk that holds what is under `root` now.
    pub fn new(root: &Path) -> Disk {
        let tools = tempfile::tempdir().expect("a directory");
        build_shim(&tools.path().join("shim.so"));
        let mut state = State {
            root: root.canonicalize().expect("the root is there"),
            files: HashMap::new(),
            directories: HashMap::new(),
            said: Vec::new(),
            syncs: 0,
            instead: None,
            moments: None,
        };
        state.hold_all(root);
        let state = Arc::new(Mutex::new(state));
        let listener = UnixListener::bind(tools.path().join("socket")).expect("a socket");
        let theirs = Arc::clone(&state);
        // Ends with the test's process.
        std::thread::spawn(move || {
            for call in listener.incoming() {
                answer(&theirs, call.expect("a call"));
            }
        });
        Disk { state, tools }
    }

    /// Has a process write to this disk.
    pub fn carry(&self, command: &mut Command) {
        command
            .env("LD_PRELOAD", self.tools.path().join("shim.so"))
            .env("POWER_CUT_SOCKET", self.tools.path().join("socket"));
    }

    /// Lets sync number `sync`, counted from 1, not do its work.
    pub fn disturb(&self, sync: usize, instead: Instead) {
        self.state().instead = Some((sync, instead));
    }

    /// Starts to keep every moment.
    pub fn record(&self) {
        self.state().moments = Some(Vec::new());
    }

    /// Returns the moments since [`Disk::record`], and the one at the end.
    pub fn moments(&self) -> Vec<Moment> {
        let mut state = self.state();
        let end = state.moment();
        let mut moments = state.moments.take().expect("moments are recorded");
        moments.push(end);
        moments
    }

    /// Returns what is left if the power fails now.
    pub fn after_power_cut(&self, names: Names) -> Picture {
        self.state().picture(names)
    }

    /// Counts the syncs so far.
    pub fn syncs(&self) -> usize {
        self.state().syncs
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("the listener does not panic")
    }
}

/// Writes a picture into a directory, as the machine would find it when it is on again.
pub fn restore(picture: &Picture, root: &Path) {
    for (path, content) in picture {
        let path = root.join(path);
        match content {
            None => fs::create_dir_all(path).expect("a directory is made"),
            Some(bytes) => fs::write(path, bytes).expect("a file is written"),
        }
    }
}

fn build_shim(library: &Path) {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/power_cut/shim.c");
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_string());
    let built = Command::new(&compiler)
        .args(["-shared", "-fPIC", "-O1", "-Wall", "-o"])
        .arg(library)
        .arg(source)
        .status();
    let built = built.unwrap_or_else(|error| panic!("the C compiler `{compiler}` runs: {error}"));
    assert!(built.success(), "{source} does not compile");
}

/// Hears one call of the process and lets it go on, or not.
fn answer(state: &Mutex<State>, mut call: UnixStream) {
    let mut message = Vec::new();
    if call.read_to_end(&mut message).is_err() {
        // The process was killed in the middle of it.
        return;
    }
    let mut state = state.lock().expect("only this thread works on it");
    let instead = match message.split_at_checked(5) {
        Some((b"sync ", path)) => state.sync(String::from_utf8_lossy(path).trim_end()),
        Some((b"said\n", text)) => {
            state.said.extend_from_slice(text);
            state.keep_moment();
            None
        }
        _ => return,
    };
    let _ = call.write_all(match instead {
        None => b"y",
        Some(Instead::Death) => b"d",
        Some(Instead::Error) => b"e",
    });
}

impl State {
    /// Takes what is synced, or says what happens instead.
    fn sync(&mut self, handle: &str) -> Option<Instead> {
        // A process that was killed has no handles any more, and a file without a name is lost in any case.
        let path = fs::read_link(handle).ok()?;
        if !path.starts_with(&self.root) {
            return None;
        }
        self.keep_moment();
        self.syncs += 1;
        if let Some((_, instead)) = self.instead.filter(|(sync, _)| *sync == self.syncs) {
            return Some(instead);
        }
        if let Ok(metadata) = fs::metadata(handle) {
            self.hold(Path::new(handle), &metadata);
        }
        None
    }

    /// Takes the bytes of a file or the names of a directory.
    fn hold(&mut self, path: &Path, metadata: &Metadata) {
        if metadata.is_dir() {
            let names = listing(path);
            self.directories.insert(identity(metadata), names);
        } else {
            let mut bytes = Vec::new();
            let read = File::open(path).and_then(|mut file| file.read_to_end(&mut bytes));
            read.expect("what a process has open can be read");
            self.files.insert(identity(metadata), bytes.into());
        }
    }

    fn hold_all(&mut self, path: &Path) {
        let metadata = fs::metadata(path).expect("is there");
        self.hold(path, &metadata);
        if metadata.is_dir() {
            for name in listing(path).into_keys() {
                self.hold_all(&path.join(name));
            }
        }
    }

    fn keep_moment(&mut self) {
        let moment = self.moments.is_some().then(|| self.moment());
        if let (Some(moments), Some(moment)) = (&mut self.moments, moment) {
            moments.push(moment);
        }
    }

    fn moment(&self) -> Moment {
        Moment {
            said: String::from_utf8_lossy(&self.said).into_owned(),
            late: self.picture(Names::Late),
            early: self.picture(Names::Early),
        }
    }

    fn picture(&self, names: Names) -> Picture {
        let root = identity(&fs::metadata(&self.root).expect("the root stays"));
        let mut picture = Picture::new();
        self.draw(names, root, Path::new(""), &mut picture);
        picture
    }

    fn draw(&self, names: Names, directory: Identity, path: &Path, picture: &mut Picture) {
        let entries = match names {
            Names::Late => self.directories.get(&directory).cloned(),
            Names::Early => Some(listing(&self.root.join(path))),
        };
        for (name, (identity, is_directory)) in entries.unwrap_or_default() {
            let path = path.join(name);
            if is_directory {
                picture.insert(path.clone(), None);
                self.draw(names, identity, &path, picture);
            } else {
                let synced = self.files.get(&identity).cloned();
                picture.insert(path, Some(synced.unwrap_or_default()));
            }
        }
    }
}

fn identity(metadata: &Metadata) -> Identity {
    (metadata.ino(), metadata.created().ok())
}

fn listing(directory: &Path) -> Listing {
    let entries = fs::read_dir(directory).into_iter().flatten();
    entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            // What another thread removes in between was not there.
            let metadata = entry.metadata().ok()?;
            Some((entry.file_name(), (identity(&metadata), metadata.is_dir())))
        })
        .collect()
}
