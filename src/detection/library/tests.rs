use super::*;
use crate::engine::EngineOptions;

const DETECTION: &str = r#"-- ---
-- name        = "late"
-- title       = "A late call"
-- description = "Finds calls that took long."
-- severity    = "low"
-- status      = "stable"
-- response    = "Look at the network."
-- identity    = ["cname", "call"]
-- [params]
-- limit = { type = "duration", default = "5s", doc = "longest time that is fine" }
-- [columns]
-- call = { type = "string", doc = "id of the call" }
-- ---
SELECT
    NULL AS variant, app_id, cname, uid, [sid] AS sids,
    requested_at AS first_at, responded_at AS last_at,
    vendor_name AS expected_vendor, bucket AS expected_bucket,
    vendor_name AS actual_vendor, bucket AS actual_bucket,
    'service' AS root_cause, 'took long' AS explanation, [event_id] AS evidence, event_id AS call
FROM api_calls
WHERE responded_at - requested_at > $limit
ORDER BY first_at, call
"#;

fn query(sql: &str) -> Query {
    Query {
        name: "detections/late".to_string(),
        path: "late.sql".to_string(),
        sql: sql.into(),
        header: Header::parse("late.sql", sql).expect("parses"),
    }
}

fn refusal(from: &str, to: &str) -> String {
    assert!(DETECTION.contains(from), "{from}");
    let error = Detection::check("late", &query(&DETECTION.replace(from, to)), None);
    format!("{:#}", error.expect_err("is refused"))
}

fn library(sql: &str) -> Library {
    let mut library = Library::embedded().expect("loads");
    let detection = Detection::check("late", &query(sql), None).expect("is right");
    library.detections = vec![detection];
    library.investigations.clear();
    library.queries.retain(|name, _| name == "views/api_calls");
    library
}

async fn engine(library: &Library) -> Engine {
    let options = EngineOptions {
        views: library.views(),
        ..EngineOptions::default()
    };
    Engine::memory(Vec::new(), options).await.expect("opens")
}

#[test]
fn no_query_file_is_forgotten() {
    let directory = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/queries"));
    let on_disk: Vec<_> = read_directory(directory)
        .expect("reads")
        .into_keys()
        .collect();
    let embedded: Vec<_> = EMBEDDED.iter().map(|(path, _)| path.to_string()).collect();
    assert_eq!(
        embedded, on_disk,
        "the list EMBEDDED must be the files of queries/ in order"
    );
}

#[tokio::test]
async fn every_query_that_comes_with_the_program_is_right() {
    let library = Library::embedded().expect("loads");
    let engine = engine(&library).await;
    library
        .check_columns(&engine)
        .await
        .expect("columns are as declared");
    engine.catalog().await.expect("every view can be used");
}

#[tokio::test]
async fn every_header_names_what_its_query_takes_and_gives() {
    let library = Library::embedded().expect("loads");
    let engine = engine(&library).await;
    let mut wrong = Vec::new();
    for folder in ["audit/", "investigations/", "verify/", "views/"] {
        for (name, query) in in_folder(&library.queries, folder) {
            let Some(header) = &query.header else {
                wrong.push(format!("{}: no header", query.path));
                continue;
            };
            let statement = Statement::parse_one(&query.sql).expect("parses");
            if let Err(error) = check_params(header, &statement, None) {
                wrong.push(format!("{}: {error:#}", query.path));
                continue;
            }
            let params = header.params.iter();
            let params: Params = params
                .map(|(name, param)| (name.clone(), param.kind.null()))
                .collect();
            let schema = engine.output_schema(&statement, &params).await;
            let schema = schema.expect("plans");
            let columns = header.columns.iter();
            let columns = columns
                .map(|(name, column)| (name.clone(), column.kind))
                .collect();
            if header.name != name {
                wrong.push(format!("{}: is called `{}`", query.path, header.name));
            }
            if let Err(error) = findings::check_columns(&schema, &columns) {
                wrong.push(format!("{}: {error:#}", query.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_right_detection_passes() {
    let library = library(DETECTION);
    library
        .check_columns(&engine(&library).await)
        .await
        .expect("columns are as declared");
}

#[test]
fn a_header_that_lies_is_refused() {
    assert!(refusal("\"late\"", "\"early\"").contains("the file's `late`"));
    assert!(refusal("-- severity    = \"low\"\n", "").contains("needs `severity`"));
    assert!(refusal("$limit", "INTERVAL '1 second'").contains("`$limit` is not used"));
    assert!(refusal("> $limit", "> $limit + $more").contains("`$more` is used"));
    assert!(refusal("\"5s\"", "5").contains("is no duration"));
    assert!(refusal("ORDER BY first_at, call", "").contains("ORDER BY"));
    assert!(refusal("$limit", "$limit AND now() > requested_at").contains("`now`"));
    assert!(refusal("[\"cname\", \"call\"]", "[\"cname\", \"last_at\"]").contains("may change"));
    assert!(refusal("[\"cname\", \"call\"]", "[\"other\"]").contains("neither"));
}

#[tokio::test]
async fn columns_that_differ_from_those_declared_are_refused() {
    for (from, to, says) in [
        (
            ", event_id AS call",
            ", event_id AS call, 1 AS more",
            "`more`",
        ),
        ("uid, [sid] AS sids", "[sid] AS sids", "`uid`"),
        ("[sid] AS sids", "sid AS sids", "`sids`"),
    ] {
        let library = library(&DETECTION.replace(from, to));
        let error = library
            .check_columns(&engine(&library).await)
            .await
            .expect_err(says);
        assert!(format!("{error:#}").contains(says), "{error:#}");
    }
}

#[test]
fn overrides_are_typed_and_flags_win() {
    let library = library(DETECTION);
    let value = toml::Value::String("7s".to_string());
    let configured = BTreeMap::from([(
        "late".to_string(),
        BTreeMap::from([("limit".to_string(), value)]),
    )]);
    let seconds = |seconds: i64| ScalarValue::DurationMicrosecond(Some(seconds * 1_000_000));
    let overrides = library.overrides(&configured, &[]).expect("fits");
    assert_eq!(overrides["late"]["limit"], seconds(7));
    let flags = ["late.limit=1m".to_string()];
    let overrides = library.overrides(&configured, &flags).expect("fits");
    assert_eq!(overrides["late"]["limit"], seconds(60));
    for flag in [
        "late.limit",
        "late.limits=1m",
        "lates.limit=1m",
        "late.limit=soon",
    ] {
        library
            .overrides(&configured, &[flag.to_string()])
            .expect_err(flag);
    }
}

#[test]
fn a_directory_extends_and_replaces() {
    let directory = tempfile::tempdir().expect("makes a directory");
    Library::with_directory(Some(directory.path())).expect_err("has no queries");
    let write = |path: &str, sql: &str| {
        let path = directory.path().join(path);
        std::fs::create_dir_all(path.parent().expect("has a parent")).expect("makes a directory");
        std::fs::write(path, sql).expect("writes");
    };
    write("detections/late.sql", DETECTION);
    write("views/webhooks.sql", "SELECT * FROM log_webhooks");
    let library = Library::with_directory(Some(directory.path())).expect("loads");
    assert!(
        library
            .detections()
            .iter()
            .any(|detection| detection.name == "late")
    );
    let webhooks = library
        .views()
        .into_iter()
        .find(|view| view.name == "webhooks");
    assert_eq!(
        &*webhooks.expect("is there").sql,
        "SELECT * FROM log_webhooks"
    );
    write("not_judged/none.sql", "SELECT 1 ORDER BY 1");
    Library::with_directory(Some(directory.path())).expect_err("belongs to no detection");
}

#[test]
fn a_run_of_several_queries_keeps_the_views_that_they_share() {
    let library = Library::embedded().expect("loads");
    let all = library.kept_views(&[]).expect("is SQL").views;
    assert!(all.contains("accepted_starts"), "{all:?}");
    assert!(!all.contains("api_calls"), "it does not ask to be kept");
    let one = library.kept_views(&["conflicting_starts".to_string()]);
    let one = one.expect("is SQL").views;
    assert!(one.contains("starts"), "named more than once: {one:?}");
    assert!(!one.contains("session_uploads"), "not read: {one:?}");
    let read_once = library.kept_views(&["record_before_response".to_string()]);
    let read_once = read_once.expect("is SQL").views;
    assert!(
        !read_once.contains("session_ends"),
        "by `accepted_starts` alone, which is kept: {read_once:?}"
    );
}
