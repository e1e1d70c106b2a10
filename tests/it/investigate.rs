//! `investigate` as a support engineer meets it: from files to the answer, in every form, and what it says when there
//! is no answer.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use tempfile::TempDir;

use crate::cli::tapetrail;

const FAILED_THEN_SWITCHED: &str = "5b1de9c07a2f4e6c8d90b1a2c3d4e5f6";

/// A lake with three channels: one that failed into OSS and went to S3 while its record says OSS; one that is well,
/// and one of the same name in another app whose only start was never answered.
fn lake() -> &'static Path {
    static LAKE: OnceLock<TempDir> = OnceLock::new();
    let lake = LAKE.get_or_init(|| {
        let directory = tempfile::tempdir().expect("a temporary directory");
        for stream in ["api_calls", "webhooks", "storage_events", "session_records"] {
            let file = case_file(stream);
            let path = file.to_str().expect("is text");
            let import = tapetrail(directory.path(), &["import", "--stream", stream, path]);
            let said = String::from_utf8_lossy(&import.stderr);
            assert!(
                import.status.success() && said.contains(" 0 dead letters"),
                "{said}"
            );
        }
        directory
    });
    lake.path()
}

fn case_file(stream: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/investigate");
    directory.join(format!("{stream}.ndjson"))
}

/// Returns the exit code and what stands on stdout, else on stderr.
fn investigate(arguments: &[&str]) -> (Option<i32>, String) {
    let output = tapetrail(lake(), &[&["investigate"], arguments].concat());
    let code = output.status.code();
    let text = match code {
        Some(0) => output.stdout,
        _ => {
            assert!(output.stdout.is_empty(), "talk goes to stderr");
            output.stderr
        }
    };
    (code, String::from_utf8(text).expect("is text"))
}

fn answer(arguments: &[&str]) -> String {
    let (code, text) = investigate(arguments);
    assert_eq!(code, Some(0), "{text}");
    text
}

#[test]
fn the_page_names_the_place_the_call_and_the_next_step() {
    insta::assert_snapshot!("investigate-table", answer(&["--cname", "room_42"]));
}

#[test]
fn the_markdown_page_says_the_same() {
    let sid = ["--sid", FAILED_THEN_SWITCHED, "--format", "markdown"];
    insta::assert_snapshot!("investigate-markdown", answer(&sid));
}

#[test]
fn the_object_says_the_same() {
    let ticket = ["--resource-id", "ticket-2", "--format", "json"];
    insta::assert_snapshot!("investigate-json", answer(&ticket));
}

#[test]
fn the_objects_a_line_say_the_same() {
    let key = format!("tenantA/{FAILED_THEN_SWITCHED}_room_42.m3u8");
    let lines = answer(&["--key", &key, "--format", "ndjson"]);
    insta::assert_snapshot!("investigate-ndjson", lines);
}

#[test]
fn what_is_well_is_called_well() {
    let app = "8f14e45fceea167a5a36dedd4bea2543";
    let page = answer(&["--cname", "lobby", "--app", app]);
    assert!(
        page.contains("Its files are where the customer's record says"),
        "{page}"
    );
    assert!(
        page.contains("None: what is known fits together."),
        "{page}"
    );
}

#[test]
fn a_start_without_an_answer_is_not_called_lost() {
    let app = "1a5e0c4f7b3d4e2a9c8f6d1b0e7a3c01";
    let page = answer(&["--cname", "lobby", "--app", app]);
    assert!(page.contains("may have left a session behind"), "{page}");
    assert!(page.contains("Nothing of this case came by"), "{page}");
    assert!(
        page.contains("Not judged by ghost_start: the outcome of the start of 2024-06-03 11:30:00"),
        "{page}"
    );
}

#[test]
fn what_has_no_answer_gets_a_sentence_and_exit_code_2() {
    let mut said = String::new();
    for arguments in [
        &["--sid", "00000000000000000000000000000000"][..],
        &["--cname", "lobby"],
        &["--cname", "lobby", "--app", "none"],
        &["--cname", "room_42", "--at", "yesterday"],
        &["--app", "8f14e45fceea167a5a36dedd4bea2543"],
    ] {
        let (code, text) = investigate(arguments);
        assert_eq!(code, Some(2), "{text}");
        said += &format!("## {}\n{}\n\n", arguments.join(" "), text.trim_end());
    }
    insta::assert_snapshot!("investigate-refusals", said);
}
