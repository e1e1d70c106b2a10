//! A real database in the loop: what PostgreSQL's log says, as Debezium reads it, becomes session records, and the lake says
//! of each row what the database says of it.

use tapetrail::event::Stream;

use crate::broker::Broker;
use crate::consumer::Deployment;
use crate::customer::{Connector, Database};
use crate::eventually;

/// The mappings that users begin with.
const MAPPINGS: &str = include_str!("../../schemas/session_records.mappings.toml");

/// The table of the first of them, and beside it a witness of our own: each change, as the database makes it.
const TABLES: &str = "
CREATE TYPE recording_status AS ENUM ('recording', 'stopped', 'uploaded', 'failed');
CREATE TABLE recordings (
    id bigint PRIMARY KEY,
    app_id text NOT NULL DEFAULT '0123456789abcdef0123456789abcdef',
    channel text NOT NULL,
    rec_uid bigint NOT NULL DEFAULT 527841,
    resource_id text,
    sid text,
    vendor text,
    bucket varchar(63),
    region text,
    prefix text,
    recording_url text,
    status recording_status NOT NULL DEFAULT 'recording',
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    details jsonb NOT NULL DEFAULT '{}'
);
-- A long value is kept apart, and left out of the log where it did not change.
ALTER TABLE recordings ALTER COLUMN recording_url SET STORAGE EXTERNAL;
CREATE TABLE changes (id bigint, change text);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.id = OLD.id THEN
        INSERT INTO changes VALUES (NEW.id, 'update');
        RETURN NULL;
    END IF;
    -- Another key is another row.
    IF TG_OP <> 'INSERT' THEN
        INSERT INTO changes VALUES (OLD.id, 'delete');
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO changes VALUES (NEW.id, 'insert');
    END IF;
    RETURN NULL;
END $$;
";

/// Rows that are there before anybody reads the log; the first has a value that is kept apart.
const BEFORE: &str = "
INSERT INTO recordings (id, channel, sid, vendor, bucket, recording_url)
SELECT n, 'room_' || n, md5(n::text), CASE WHEN n % 2 = 0 THEN 'primary' ELSE 's3' END, 'acme-rec',
    'https://acme-rec.oss-cn-hangzhou.aliyuncs.com/' || repeat('a/', CASE WHEN n = 1 THEN 2000 ELSE 1 END)
        || md5(n::text) || '_room.m3u8'
FROM generate_series(1, 50) AS n;
CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON recordings FOR EACH ROW EXECUTE FUNCTION note();
";

/// What an application does in its days: number `$` of them.
const CHANGES: &str = "
INSERT INTO recordings (id, channel, vendor)
SELECT $ * 1000 + n, 'room_' || $ || '_' || n, 'oss' FROM generate_series(1, 40) AS n;
UPDATE recordings SET sid = md5(id::text), resource_id = 'r' || id, updated_at = clock_timestamp()
WHERE id BETWEEN $ * 1000 AND $ * 1000 + 30;
UPDATE recordings SET status = 'uploaded', bucket = 'acme-' || $, prefix = 'calls/2026', region = 'cn-hangzhou',
    updated_at = clock_timestamp()
WHERE id % 3 = $ % 3;
-- An application that forgets to say when.
UPDATE recordings SET vendor = 'fallback', details = '{\"by\": \"hand\"}' WHERE id % 7 = $;
UPDATE recordings SET status = 'failed' WHERE id = 1;
-- What was believed and is no more.
UPDATE recordings SET sid = NULL, vendor = NULL, recording_url = NULL, bucket = NULL WHERE id = 20 + $;
DELETE FROM recordings WHERE id % 10 = 5 + $ AND status <> 'uploaded';
UPDATE recordings SET id = id + 500000 WHERE id = $ * 1000 + 2;
-- A key that comes back as another recording.
DELETE FROM recordings WHERE id = 10 * $;
INSERT INTO recordings (id, channel) VALUES (10 * $, 'room_again');
";

/// What each row says, by PostgreSQL. A row that names no bucket has the one that its URL names.
const ROWS: &str = "
SELECT id, app_id, channel, rec_uid, resource_id, sid,
    CASE WHEN vendor IN ('oss', 'primary') THEN 'oss' WHEN vendor IN ('s3', 'fallback') THEN 's3' ELSE vendor END,
    coalesce(bucket, substring(recording_url from '^https://([^.]+)[.]')), region, status, md5(recording_url)
FROM recordings
ORDER BY id
";

/// What each row says, by the lake. A row that names no vendor has the one that its URL names.
const BELIEVED: &str = "
SELECT CAST(split_part(record_id, '#', 2) AS BIGINT) AS id, app_id, cname, uid, resource_id, sid, vendor_name, bucket, region,
    status, md5(url)
FROM believed
ORDER BY id
";

/// What happens while the connector is away that begins anew.
const MEANWHILE: &str = "
UPDATE recordings SET sid = NULL, bucket = NULL, updated_at = clock_timestamp() WHERE id = 3;
INSERT INTO recordings (id, channel, vendor) VALUES (90001, 'room_late', 's3');
";

/// Changes by kind, each once: as the lake has them, and as the database noted them.
const EVENTS: &str = "
SELECT change, count(DISTINCT event_id) FROM session_records WHERE change <> 'snapshot' GROUP BY change ORDER BY change
";
const NOTED: &str = "SELECT change, count(*) FROM changes GROUP BY change ORDER BY change";

const SNAPSHOTS: &str =
    "SELECT count(DISTINCT event_id) FROM session_records WHERE change = 'snapshot'";
const DELETES: &str = "SELECT count(*) FROM session_records WHERE change = 'delete'";
const DISTINCT_DELETES: &str =
    "SELECT count(DISTINCT event_id) FROM session_records WHERE change = 'delete'";
const TOMBSTONES: &str = "SELECT count(*) FROM log_session_records WHERE disposition = 'skipped' AND reason = 'tombstone'";
const DEAD: &str = "SELECT count(*) FROM log_session_records WHERE disposition = 'dead'";

#[test]
fn what_a_database_says_of_its_rows_the_lake_says_too() {
    let broker = Broker::shared();
    let mut deployment = Deployment::new(broker, &[(Stream::SessionRecords, 3)]);
    let mappings: toml::Table = toml::from_str(MAPPINGS).expect("the mappings parse");
    deployment.set(&["session_records"], mappings["session_records"].clone());
    let topic = deployment.topic(Stream::SessionRecords);
    let database = Database::start();
    database.sql(TABLES);
    database.sql(BEFORE);
    let mut connector = Connector::start(broker, &database, topic);
    let mut consumer = deployment.consume();
    let lake = |sql: &str| query(&deployment, sql);
    eventually("the rows that were there are read", || {
        lake(SNAPSHOTS) == "50"
    });
    let agree = || lake(BELIEVED) == database.sql(ROWS);

    // Stopped in good order it notes how far it read, and goes on from there.
    connector.stop();
    connector.start_again();
    database.sql(&CHANGES.replace('$', "1"));
    eventually("lake and database say the same of each row", agree);

    // Killed it goes on from what it noted last, and sends again what it has sent since.
    connector.kill();
    database.sql(&CHANGES.replace('$', "2"));
    connector.start_again();
    eventually("what was changed meanwhile is there", agree);
    assert_eq!(lake(EVENTS), database.sql(NOTED));
    assert!(
        lake(DELETES) != lake(DISTINCT_DELETES),
        "nothing was sent again"
    );
    eventually("each delete is followed by its tombstone", || {
        lake(TOMBSTONES) == lake(DELETES)
    });

    // Told to, it begins with the whole table again: with rows that changed while nobody read the log, and one that came.
    connector.stop();
    connector.set("snapshot.mode", "always");
    connector.set("value.converter.schemas.enable", "true");
    database.sql(MEANWHILE);
    connector.start_again();
    eventually("the new snapshot is there", agree);
    database.sql("UPDATE recordings SET status = 'stopped' WHERE id = 90001");
    eventually("what comes after the snapshot is there", agree);
    consumer.stop();
    assert_eq!(lake(DEAD), "0");
    deployment.expect_verified();
}

fn query(deployment: &Deployment, sql: &str) -> String {
    let output = deployment
        .command(&["sql", "--format", "csv", "-c", sql])
        .output()
        .expect("sql runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let rows: Vec<&str> = text.lines().skip(1).collect();
    rows.join("\n")
}
