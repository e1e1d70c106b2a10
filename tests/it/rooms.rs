//! The order of the rooms (ARCHITECTURE.md): data moves one way, so a room uses only rooms above it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Returns the rooms in the order of `src/lib.rs`.
fn rooms() -> Vec<String> {
    read(Path::new("src/lib.rs"))
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
        .map(str::to_string)
        .collect()
}

fn read(path: &Path) -> String {
    fs::read_to_string(Path::new(ROOT).join(path)).expect("is a file of this project")
}

/// Returns all Rust files under `directory`, relative to the project.
fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(Path::new(ROOT).join(directory)).expect("is a directory") {
        let name = entry.expect("is readable").file_name();
        let path = directory.join(name);
        if Path::new(ROOT).join(&path).is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// Returns the room that a file of `src/` belongs to; `main.rs` and `lib.rs` are above all rooms.
fn room_of(path: &Path) -> Option<String> {
    let first = path.strip_prefix("src").ok()?.iter().next()?.to_str()?;
    let room = first.strip_suffix(".rs").unwrap_or(first);
    (room != "main" && room != "lib").then(|| room.to_string())
}

/// Returns the rooms that `crate::` paths in a file name. Comments and strings do not count.
fn used_rooms(source: &str) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for line in source
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
    {
        for rest in line.split("crate::").skip(1) {
            // `use crate::{a::b, c};` is written as one line per room in this project.
            assert!(
                !rest.starts_with('{'),
                "write one `use crate::<room>` per room: {line}"
            );
            let name: String = rest
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            used.insert(name);
        }
    }
    used
}

/// Says which uses of a file look at a room that comes after its own.
fn looks_downstream(rooms: &[String], room: &str, source: &str) -> Vec<String> {
    let place = |name: &str| rooms.iter().position(|known| known == name);
    let own = place(room).unwrap_or_else(|| panic!("src/lib.rs does not name the room `{room}`"));
    used_rooms(source)
        .into_iter()
        .filter(|used| place(used).is_some_and(|place| place > own))
        .collect()
}

#[test]
fn a_room_uses_only_rooms_above_it() {
    let rooms = rooms();
    let mut wrong = Vec::new();
    for path in sources(Path::new("src")) {
        let Some(room) = room_of(&path) else { continue };
        for used in looks_downstream(&rooms, &room, &read(&path)) {
            wrong.push(format!(
                "{}: `{room}` uses `{used}`, which comes after it",
                path.display()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_look_downstream_is_seen() {
    let rooms = ["event", "lake", "engine"].map(str::to_string);
    let source = "// crate::engine is only talked about\nuse crate::event::Stream;\nlet x = crate::engine::open();";
    assert_eq!(looks_downstream(&rooms, "lake", source), ["engine"]);
    assert!(looks_downstream(&rooms, "engine", source).is_empty());
}

#[test]
fn the_architecture_lists_the_rooms_in_their_order() {
    let text = read(Path::new("ARCHITECTURE.md"));
    let listed: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` |"))
        .map(|(room, _)| room.to_string())
        .collect();
    assert_eq!(listed, rooms(), "ARCHITECTURE.md and src/lib.rs differ");
}
