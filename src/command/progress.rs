//! How far a command has come, on stderr.

use std::cell::Cell;
use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

/// A bar on a terminal, else a line every tenth of the way.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    name: &'static str,
    total: u64,
    told: Cell<u64>,
}

impl Progress {
    pub(super) fn new(name: &'static str, total: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{msg} {bar:40} {pos}/{len} {elapsed}")
                .expect("the template is right");
            ProgressBar::new(total).with_style(style).with_message(name)
        });
        Progress {
            bar,
            name,
            total,
            told: Cell::new(0),
        }
    }

    pub(super) fn set(&self, done: u64) {
        if let Some(bar) = &self.bar {
            return bar.set_position(done);
        }
        let tenth = done * 10 / self.total.max(1);
        if tenth > self.told.get() {
            self.told.set(tenth);
            eprintln!("{}: {}0 %", self.name, tenth);
        }
    }

    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish();
        }
    }
}
