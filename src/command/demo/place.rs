//! The directory of the demo's lake: made anew by every demo, and never one that is somebody's.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::generate::Truth;

/// Lies in every lake that a demo made.
const MARK: &str = "demo.json";

/// What was planted, for whoever wants to compare.
const TRUTH: &str = "truth.ndjson";

#[derive(Debug)]
pub(super) struct Place {
    directory: PathBuf,
}

impl Place {
    /// Takes a directory for a demo: a new one, an empty one, or one that an earlier demo left, which is emptied.
    pub(super) fn claim(lake: &str) -> Result<Self> {
        if lake.contains("://") {
            bail!("--lake {lake}: the demo's lake is a directory on this machine");
        }
        let directory = PathBuf::from(lake);
        if !is_free(&directory)? {
            if !directory.join(MARK).is_file() {
                bail!(
                    "`{lake}` holds something that no demo made, and is left alone\nhint: name another directory with --lake"
                );
            }
            fs::remove_dir_all(&directory)
                .with_context(|| format!("cannot remove the earlier demo in `{lake}`"))?;
        }
        fs::create_dir_all(&directory).with_context(|| format!("cannot create `{lake}`"))?;
        let place = Place { directory };
        place.write(MARK, "{\"made_by\": \"tapetrail demo\"}\n")?;
        Ok(place)
    }

    /// Returns the lake as `--lake` takes it.
    pub(super) fn lake(&self) -> String {
        self.directory.display().to_string()
    }

    pub(super) fn write_truth(&self, truth: &Truth) -> Result<()> {
        let mut lines = Vec::new();
        truth.write(&mut lines).context("the truth is plain data")?;
        self.write(TRUTH, &String::from_utf8_lossy(&lines))
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.directory.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write `{}`", path.display()))
    }
}

/// Says whether there is nothing at `directory` yet.
fn is_free(directory: &Path) -> Result<bool> {
    match fs::read_dir(directory) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error).with_context(|| format!("cannot use `{}`", directory.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(directory: &Path) -> Result<Place> {
        Place::claim(directory.to_str().expect("a plain path"))
    }

    #[test]
    fn a_demo_replaces_a_demo_and_nothing_else() {
        let root = tempfile::tempdir().expect("a directory");
        let lake = root.path().join("lake");
        claim(&lake).expect("a new directory is free");
        fs::write(lake.join("old"), "").expect("written");
        claim(&lake).expect("an earlier demo is replaced");
        assert!(!lake.join("old").exists());

        fs::remove_file(lake.join(MARK)).expect("removed");
        fs::write(lake.join("years of recordings"), "").expect("written");
        let refused = claim(&lake).expect_err("somebody's lake").to_string();
        assert!(refused.contains("is left alone"));
        assert!(lake.join("years of recordings").exists());
        assert!(Place::claim("s3://bucket/lake").is_err());
    }
}
