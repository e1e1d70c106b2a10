//! The report's page in a real browser: it draws its charts, without an error and without asking the network for
//! anything, in light, in dark, on a phone and on paper. Needs `chromium` (or what `CHROMIUM` names).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use tempfile::TempDir;

/// Charts of a page that has something to draw for each.
const CHARTS: usize = 10;

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

/// Opens the page as `arguments` say. The browser's own errands are switched off, so that what is in its net log is
/// the page's.
fn visit(arguments: &[&str]) -> Visit {
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
        .arg(format!("file://{}", PAGE.1.display()))
        .output()
        .unwrap_or_else(|error| panic!("cannot run `{program}`, the browser: {error}"));
    Visit { directory, output }
}

impl Visit {
    fn page(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).into_owned()
    }

    /// Neither an error nor a warning on the console, and no request but for the page itself.
    fn is_quiet(&self) {
        let told = String::from_utf8_lossy(&self.output.stderr);
        let console: Vec<&str> = told
            .lines()
            .filter(|line| line.contains(":CONSOLE"))
            .collect();
        assert!(console.is_empty(), "{console:#?}");
        let log = fs::read_to_string(self.directory.path().join("net.json")).expect("has a log");
        let asked: Vec<&str> = log
            .split("\"url\":\"")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .filter(|url| !url.starts_with("file:") && !url.starts_with("data:"))
            .collect();
        assert!(asked.is_empty(), "{asked:#?}");
    }
}

/// Every chart has drawn shapes, and none is left over.
fn all_are_drawn(page: &str, theme: &str) {
    assert!(
        page.contains(&format!("data-charts=\"{CHARTS}\"")),
        "charts"
    );
    assert!(page.contains(&format!("data-theme=\"{theme}\"")), "{theme}");
    let places: Vec<&str> = page.split("data-chart=\"").skip(1).collect();
    assert_eq!(places.len(), CHARTS);
    for place in places {
        let name = place.split('"').next().unwrap_or_default();
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
