//! The report's page in a real browser: it draws its charts, without an error and without asking the network for
//! anything, in light, in dark, on a phone and on paper. Needs `chromium` (or what `CHROMIUM` names).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use serde_json::Value;
use tempfile::TempDir;

/// Charts of the page; the fixtures have no competing starts, so that one has nothing to draw.
const CHARTS: usize = 10;
const EMPTY: &str = "gaps";

/// A lake, and the report about it.
static PAGE: LazyLock<(TempDir, PathBuf)> = LazyLock::new(|| {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/investigate");
    for stream in ["api_calls", "webhooks", "storage_events", "session_records"] {
        let file = fixtures.join(format!("{stream}.ndjson"));
        let file = file.to_str().expect("is text");
        tapetrail(directory.path(), &["import", "--stream", stream, file]);
    }
    tapetrail(directory.path(), &["report", "-o", "report.html"]);
    let page = directory.path().join("report.html");
    (directory, page)
});

fn tapetrail(directory: &Path, arguments: &[&str]) {
    let output = Command::new(env!("CARGO_BIN_EXE_tapetrail"))
        .current_dir(directory)
        .args(arguments)
        .output()
        .expect("the program is built");
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {told}");
}

/// What the browser left behind.
struct Visit {
    directory: TempDir,
    output: Output,
}

fn visit(arguments: &[&str]) -> Visit {
    visit_page(&PAGE.1, arguments)
}

/// Opens a page as `arguments` say.
fn visit_page(page: &Path, arguments: &[&str]) -> Visit {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let program = std::env::var("CHROMIUM").unwrap_or_else(|_| "chromium".to_string());
    let output = Command::new(&program)
        .current_dir(directory.path())
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-extensions",
            "--enable-logging=stderr",
            "--virtual-time-budget=5000",
            "--log-net-log=net.json",
        ])
        .arg(format!(
            "--user-data-dir={}",
            directory.path().join("profile").display()
        ))
        .args(arguments)
        .arg(format!("file://{}", page.display()))
        .output()
        .unwrap_or_else(|error| panic!("cannot run `{program}`, the browser: {error}"));
    Visit { directory, output }
}

impl Visit {
    fn page(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).into_owned()
    }

    /// Returns what the page wrote to the console, its errors above all.
    fn console(&self) -> Vec<String> {
        let told = String::from_utf8_lossy(&self.output.stderr);
        let lines = told.lines().filter(|line| line.contains(":CONSOLE"));
        lines.map(str::to_string).collect()
    }

    /// Returns what the page asked the network for. The browser runs errands of its own, which no page began.
    fn requests(&self) -> Vec<String> {
        let log = fs::read(self.directory.path().join("net.json")).expect("has a log");
        let log: Value = serde_json::from_slice(&log).expect("is JSON");
        let events = log["events"].as_array().expect("has events");
        let params = events.iter().map(|event| &event["params"]);
        params
            .filter(|params| {
                let initiator = params["initiator"].as_str();
                initiator.is_some_and(|initiator| initiator != "not an origin")
            })
            .filter_map(|params| params["url"].as_str().map(str::to_string))
            .collect()
    }

    fn is_quiet(&self) {
        assert_eq!(self.console(), [] as [String; 0]);
        assert_eq!(self.requests(), [] as [String; 0]);
    }
}

#[test]
fn a_page_that_fails_or_asks_the_network_is_noticed() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let page = directory.path().join("page.html");
    let html = "<!doctype html><img src=\"http://127.0.0.1:9/x.png\"><script>none.of()</script>";
    fs::write(&page, html).expect("writes");
    let visit = visit_page(&page, &["--dump-dom"]);
    assert!(visit.console()[0].contains("none is not defined"));
    assert_eq!(visit.requests(), ["http://127.0.0.1:9/x.png"]);
}

/// Every chart has drawn shapes, and none is left over.
fn all_are_drawn(page: &str, theme: &str) {
    let drawn = format!("data-charts=\"{}\"", CHARTS - 1);
    assert!(page.contains(&drawn), "{drawn}");
    assert!(page.contains(&format!("data-theme=\"{theme}\"")), "{theme}");
    let places: Vec<&str> = page.split("data-chart=\"").skip(1).collect();
    assert_eq!(places.len(), CHARTS);
    for place in places {
        let name = place.split('"').next().unwrap_or_default();
        let is_hidden = place
            .split('>')
            .next()
            .unwrap_or_default()
            .contains("hidden");
        assert_eq!(is_hidden, name == EMPTY, "{name}");
        if is_hidden {
            continue;
        }
        let drawing = place.split("<svg").nth(1).expect("is an image");
        let drawing = drawing.split("</svg>").next().unwrap_or_default();
        assert!(drawing.matches("<path").count() >= 3, "{name}: {drawing}");
        assert!(drawing.contains("<text"), "{name} has no labels");
    }
}

#[test]
fn the_page_draws_its_charts_in_light_and_asks_nobody() {
    let visit = visit(&["--blink-settings=preferredColorScheme=1", "--dump-dom"]);
    visit.is_quiet();
    all_are_drawn(&visit.page(), "light");
}

#[test]
fn the_page_draws_its_charts_in_dark() {
    let visit = visit(&["--blink-settings=preferredColorScheme=0", "--dump-dom"]);
    visit.is_quiet();
    all_are_drawn(&visit.page(), "dark");
}

#[test]
fn the_page_draws_its_charts_on_a_phone() {
    let visit = visit(&[
        "--blink-settings=preferredColorScheme=1",
        "--window-size=390,844",
        "--dump-dom",
    ]);
    visit.is_quiet();
    all_are_drawn(&visit.page(), "light");
}

#[test]
fn the_page_is_printed_with_its_charts() {
    let visit = visit(&[
        "--blink-settings=preferredColorScheme=0",
        "--print-to-pdf=page.pdf",
    ]);
    visit.is_quiet();
    let pdf = fs::read(visit.directory.path().join("page.pdf")).expect("is printed");
    assert!(pdf.starts_with(b"%PDF"));
    let pages = String::from_utf8_lossy(&pdf)
        .matches("/Type /Page\n")
        .count();
    assert!((4..40).contains(&pages), "{pages} pages");
}
