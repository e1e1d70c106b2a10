//! The command line as a person meets it: what it refuses and how, what it answers, how it ends.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

/// Runs the program in `directory` with an environment of its own.
pub fn tapetrail(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tapetrail"));
    for (name, _) in std::env::vars() {
        if name.starts_with("TAPETRAIL_") || name == "RUST_LOG" {
            command.env_remove(name);
        }
    }
    command
        .current_dir(directory)
        .env("COLUMNS", "110")
        .args(arguments)
        .output()
        .expect("the program is built")
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn directory() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn webhooks(count: usize) -> String {
    let messages = crate::lake::messages(count);
    let lines = messages
        .iter()
        .map(|message| String::from_utf8_lossy(message));
    lines.map(|line| format!("{line}\n")).collect()
}

fn count(directory: &Path) -> String {
    let sql = "SELECT count(*) AS n FROM log_webhooks";
    stdout(&tapetrail(
        directory,
        &["sql", "--format", "csv", "-c", sql],
    ))
    .trim()
    .to_string()
}

#[test]
fn the_same_file_adds_nothing_whatever_it_is_called_and_however_it_is_packed() {
    let directory = directory();
    let at = |name: &str| directory.path().join(name);
    let text = webhooks(14);
    fs::write(at("a.ndjson"), &text).unwrap();
    fs::write(at("renamed.ndjson"), &text).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    fs::write(at("a.ndjson.gz"), gzip.finish().unwrap()).unwrap();
    fs::write(
        at("packed-without-a-suffix"),
        zstd::encode_all(text.as_bytes(), 1).unwrap(),
    )
    .unwrap();

    let first = tapetrail(
        directory.path(),
        &["import", "--stream", "webhooks", "a.ndjson"],
    );
    assert_eq!(first.status.code(), Some(0), "{}", stderr(&first));
    assert_eq!(
        stderr(&first).trim(),
        "a.ndjson: 14 lines, 14 events, 1 dead letter, 1 skipped; version 1 of webhooks"
    );
    let before = count(directory.path());
    assert_eq!(before, "n\n16");
    for name in [
        "a.ndjson",
        "renamed.ndjson",
        "a.ndjson.gz",
        "packed-without-a-suffix",
    ] {
        let again = tapetrail(directory.path(), &["import", "--stream", "webhooks", name]);
        assert_eq!(again.status.code(), Some(0));
        assert_eq!(
            stderr(&again).trim(),
            format!("{name}: already in the lake, nothing added")
        );
    }
    assert_eq!(count(directory.path()), before);
    let verified = tapetrail(directory.path(), &["verify"]);
    assert_eq!(
        verified.status.code(),
        Some(0),
        "{}{}",
        stdout(&verified),
        stderr(&verified)
    );
}

/// Each wrong setting gets one sentence on stderr, which names it and says what to do; nothing on stdout, exit 2.
#[test]
fn a_wrong_setting_gets_one_sentence_with_its_name_and_the_cure() {
    let directory = directory();
    let mut said = String::new();
    for config in [
        "[consume]\ncommit_interval = \"soon\"",
        "[consume]\ncommit_interval = \"1ms\"",
        "[consume]\nmemory_bytes = \"1MB\"",
        "[consume]\nmemory_bytes = \"much\"",
        "[consume]\nfile_bytes = \"1kB\"",
        "[consume]\non_gap = \"ignore\"",
        "[consume]\nintervall = \"30s\"",
        "[consumer]\non_gap = \"stop\"",
        "durability = \"maybe\"",
        "lake = 7",
        "[kafka]\nbrokers = ",
        "[kafka.topics]\napi_call = \"x\"",
        "[kafka.topics]\nwebhooks = \"recording.api-calls\"",
        "[kafka.properties]\n\"group.id\" = \"mine\"",
        "[kafka.properties]\n\"auto.offset.reset\" = \"latest\"",
        "[kafka.properties]\n\"enable.auto.commit\" = \"true\"",
        "[maintain]\nfile_bytes = \"64kB\"",
        "[maintain]\nmin_files = 1",
        "[maintain]\nmemory_bytes = \"1MB\"",
        "[maintain]\nhistory = \"1m\"",
        "[maintain]\nhistory = 30",
        "[maintain]\nretention = \"7d\"",
        "[maintain]\nretention = \"for ever\"",
        "[maintain]\nvacuum = true",
        "[redact]\nfingerprint_key_id = \"my key\"",
        "[redact]\nfingerprint_key = \"x\"",
        "[consume]\nfile_bytes = true",
        "[consume]\nmemory_bytes = -1",
        "[consume]\ncommit_interval = 30",
        "[consume]\ncommit_interval = \"30 parsecs\"",
        "[consume]\nstart = \"newest\"",
        "[consume]\nhttp = \"9464\"",
        "[kafka]\ngroup = \"\"",
        "[[session_records.mappings]]\nfields = { channel = \"room\" }",
        "[[session_records.mappings]]\nfields = { cname = \"\" }",
        "[[session_records.mappings]]\nfield = { cname = \"channel\" }",
        "[[session_records.mappings]]\n[[session_records.mappings]]\nvendors = { aliyun = 12 }",
        "[[session_records.mappings]]\nvendors = { aliyun = \"ali\" }",
        "[[session_records.mappings]]\nhosts = { \"cdn.acme.example\" = true }",
        "[proxy.storage]\nabc = [{ vendor = 99, bucket = \"b\" }]",
        "[detect.params.missing_upload]\ndead_line = \"24h\"",
        "[detect.params.missing_uploads]\ndeadline = \"24h\"",
        "[detect.params.missing_upload]\nmissing_after = 24",
        "[kafka.properties]\n\"sasl.password\" = QzSecretMarkQz",
        "[kafka.properties]\n\"sasl.password\" = 12345",
    ] {
        fs::write(directory.path().join("t.toml"), config).unwrap();
        let output = tapetrail(directory.path(), &["--config", "t.toml", "detect"]);
        said += &refused(config, &output);
    }
    for arguments in [
        &["--config", "none.toml", "sql", "-c", "SELECT 1"][..],
        &["--lake", "ftp://host/lake", "sql", "-c", "SELECT 1"],
        &["--lake", "none", "sql", "-c", "SELEC 1"],
        &["--lake", "none", "sql", "-c", "SELECT sidd FROM webhooks"],
        &["--lake", "none", "sql", "-c", "DROP TABLE log_webhooks"],
        &["import", "--stream", "webhook", "x"],
        &["import", "--stream", "webhooks", "none.ndjson"],
        &["import", "--stream", "webhooks", "s3://bucket/x.ndjson"],
        &["sql", "--query", "session_of_channel"],
        &["sql", "--query", "files_of_session"],
        &["sql", "-q", "files_of_session", "--param", "sidd=x"],
        &["sql", "-q", "dead_letters_by_reason", "--param", "n=1"],
        &[
            "sql",
            "-q",
            "starts_close_together",
            "--param",
            "within=soon",
        ],
        &["sql", "-c", "SELECT 1", "--since", "1d", "--until", "2d"],
        &["investigate", "--cname", "x", "--until", "soon"],
        &["detect", "--only", "conflicting_start"],
        &["detect", "--since", "soon"],
        &["detect", "--param", "missing_upload.missing_after=soon"],
        &["maintain", "--every", "1s"],
        &["maintain", "--every", "soon"],
        &["maintain", "--every", "1h", "--dry-run"],
        &["maintain", "--retention", "7d"],
        &["maintain", "--file-bytes", "huge"],
        &["consume", "--http", "9464", "-b", "127.0.0.1:1"],
        &["consume", "--start", "newest", "-b", "127.0.0.1:1"],
        &["consume", "-b", "", "--http", ""],
        &["consume", "-X", "sasl.mechanism", "-b", "127.0.0.1:1"],
        &["consum"],
        &["generate", "--sessions", "10"],
        &["generate", "--start", "soon"],
        &["generate", "--noise", "101"],
        &["generate", "--score", "truth.ndjson", "--seed", "8"],
        &["generate", "--score", "truth.ndjson"],
        &["generate", "--mistakes"],
    ] {
        said += &refused(
            &arguments.join(" "),
            &tapetrail(directory.path(), arguments),
        );
    }
    insta::assert_snapshot!("refusals", said);
}

fn refused(what: &str, output: &Output) -> String {
    assert_eq!(output.status.code(), Some(2), "{what}: {}", stderr(output));
    assert!(output.stdout.is_empty(), "{what}: {}", stdout(output));
    let shows_password = ["QzSecretMarkQz", "12345"]
        .iter()
        .any(|it| stderr(output).contains(it));
    assert!(!shows_password, "{what}: {}", stderr(output));
    format!(
        "## {}\n{}\n\n",
        what.replace('\n', " "),
        stderr(output).trim_end()
    )
}

#[test]
fn the_help_of_every_command_is_as_published() {
    let directory = directory();
    let top = tapetrail(directory.path(), &["--help"]);
    let top = stdout(&top);
    let commands: Vec<&str> = top
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        // A wrapped description is deeper than a name.
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(
        commands.contains(&"consume") && commands.contains(&"help"),
        "{top}"
    );
    insta::assert_snapshot!("help", top);
    for command in commands.into_iter().filter(|command| *command != "help") {
        let help = tapetrail(directory.path(), &[command, "--help"]);
        assert_eq!(help.status.code(), Some(0));
        insta::assert_snapshot!(format!("help-{command}"), stdout(&help));
    }
}

/// One process maintains for as long as it lives, and ends when it is asked to.
#[test]
fn maintain_runs_again_and_again_until_it_is_told_to_stop() {
    let directory = directory();
    for number in 0..4 {
        let name = format!("{number}.ndjson");
        fs::write(directory.path().join(&name), webhooks(14 + number)).unwrap();
        tapetrail(directory.path(), &["import", "--stream", "webhooks", &name]);
    }
    let log = fs::File::create(directory.path().join("log")).unwrap();
    let mut process = Command::new(env!("CARGO_BIN_EXE_tapetrail"))
        .current_dir(directory.path())
        .args(["maintain", "--every", "1h", "--log-format", "json"])
        .stderr(log)
        .spawn()
        .expect("the program is built");
    let said = || fs::read_to_string(directory.path().join("log")).unwrap();
    while !said().contains("files 1") && process.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    let pid = process.id().to_string();
    Command::new("kill").args(["-TERM", &pid]).status().unwrap();
    assert_eq!(process.wait().unwrap().code(), Some(0), "{}", said());
    assert!(
        said().contains("stopping after the step in hand"),
        "{}",
        said()
    );
    let verified = tapetrail(directory.path(), &["verify"]);
    assert_eq!(verified.status.code(), Some(0), "{}", stderr(&verified));
}

#[test]
fn the_exit_code_tells_findings_from_failures() {
    let directory = directory();
    let code = |arguments: &[&str]| tapetrail(directory.path(), arguments).status.code();
    assert_eq!(
        code(&["sql", "-c", "SELECT 1"]),
        Some(0),
        "a lake that is not there is empty"
    );
    assert_eq!(code(&["sql", "-c", "SELECT 1 / 0"]), Some(2));
    fs::write(directory.path().join("good.ndjson"), webhooks(2)).unwrap();
    fs::write(directory.path().join("bad.ndjson"), "{\"noticeId\": 7}\n").unwrap();
    assert_eq!(
        code(&["check", "--stream", "webhooks", "good.ndjson"]),
        Some(0)
    );
    assert_eq!(
        code(&["check", "--stream", "webhooks", "bad.ndjson"]),
        Some(1)
    );
    assert_eq!(
        code(&["check", "--stream", "webhooks", "none.ndjson"]),
        Some(2)
    );
}

/// Each query that people start from runs, on a lake that holds something and with the values it needs.
#[test]
fn queries_to_start_from_are_listed_and_run() {
    let directory = directory();
    fs::write(directory.path().join("a.ndjson"), webhooks(14)).unwrap();
    let import = ["import", "--stream", "webhooks", "a.ndjson"];
    assert!(tapetrail(directory.path(), &import).status.success());
    let list = tapetrail(directory.path(), &["sql", "--list", "--format", "ndjson"]);
    let list = stdout(&list);
    let names: Vec<String> = (list.lines())
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("is JSON"))
        .map(|row| row["query"].as_str().expect("a name").to_string())
        .collect();
    assert!(names.len() >= 8, "{list}");
    let sid = format!("5f0a{:028}", 1);
    let asked = [
        ("sessions_of_channel", "cname=room-1", sid.as_str()),
        (
            "timeline_of_session",
            &format!("sid={sid}"),
            "recorder_started",
        ),
        ("dead_letters_by_reason", "", "invalid_json"),
        ("believed_and_actual_by_day", "", "2026-09-2"),
    ];
    for (name, param, shows) in asked {
        assert!(names.iter().any(|known| known == name), "{name}: {names:?}");
        let mut arguments = vec!["sql", "--format", "csv", "--query", name];
        if !param.is_empty() {
            arguments.extend(["--param", param]);
        }
        let output = tapetrail(directory.path(), &arguments);
        assert!(output.status.success(), "{name}: {}", stderr(&output));
        assert!(
            stdout(&output).contains(shows),
            "{name}: {}",
            stdout(&output)
        );
    }
    // Five messages of the first day, one with two events. What is dead has no time of its own: it counts as of the
    // import.
    let old = ["sql", "--until", "2026-09-22", "--format", "csv", "-c"];
    let old = [&old[..], &["SELECT count(*) AS n FROM webhooks"]].concat();
    let old = stdout(&tapetrail(directory.path(), &old));
    assert_eq!(old.trim(), "n\n6", "the events of the first day");
}
