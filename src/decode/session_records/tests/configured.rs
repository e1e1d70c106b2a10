//! Rows read by a configured mapping.

use super::*;

fn mapping(toml: &str) -> Mapping {
    toml::from_str(toml).expect("a mapping")
}

const NESTED: &str = r#"
table = "public.rooms"
fields = { sid = "agora.sid", cname = "room_name | name", vendor = "config.storage.kind", url = "file", recorded_at = "at" }
vendors = { "CN store" = 2, "US store" = 1 }
hosts = { "cdn.acme.example" = 3 }
"#;

fn envelope(table: &str, after: Value) -> String {
    json!({"op": "u", "before": null, "after": after, "source": {"db": "app", "schema": "public", "table": table, "lsn": 7}})
        .to_string()
}

#[test]
fn paths_alternatives_and_json_in_text_are_followed() {
    let config = json!({"storage": {"kind": "cn STORE"}}).to_string();
    let after = json!({"agora": {"sid": SID}, "room_name": "", "name": "room_42", "config": config, "at": 1_764_000_606_000_000_i64,
        "vendor": 1, "bucket": "not mapped"});
    let (_, occurred_at, row) = one_of(&envelope("rooms", after), None, &[mapping(NESTED)]);
    assert_eq!(occurred_at, Some(1_764_000_606_000_000));
    let expected = SessionRecordRow {
        source_table: text("app.public.rooms"),
        change: text("update"),
        sid: text(SID),
        cname: text("room_42"),
        vendor: Some(2),
        vendor_name: text("oss"),
        recorded_at: Some(1_764_000_606_000_000),
        ..SessionRecordRow::default()
    };
    assert_eq!(row, expected);
}

#[test]
fn a_configured_host_says_the_vendor() {
    let after = json!({"name": "room_42", "file": format!("https://CDN.acme.example:443/t/{SID}_room_42_0.mp4")});
    let (_, _, row) = one_of(&envelope("rooms", after), None, &[mapping(NESTED)]);
    assert_eq!(
        (row.vendor, row.vendor_name, row.prefix),
        (Some(3), text("cos"), text("t"))
    );
}

#[test]
fn what_fits_no_mapping_is_read_by_usual_names() {
    let after = json!({"sid": SID, "vendor": 1});
    let (_, _, row) = one_of(&envelope("recordings", after), None, &[mapping(NESTED)]);
    assert_eq!((row.sid, row.vendor), (text(SID), Some(1)));
    let users = envelope("users", json!({"id": 1, "name": "someone"}));
    assert_eq!(
        given(&users, None, &[mapping(NESTED)]),
        Err(RejectCode::NoMapping)
    );
}

#[test]
fn the_first_mapping_that_fits_is_used() {
    let any = mapping("fields = { cname = \"name\" }");
    let other = mapping("table = \"rooms\"\nfields = { cname = \"room_name\" }");
    let message = envelope("rooms", json!({"name": "a", "room_name": "b"}));
    assert_eq!(
        one_of(&message, None, &[other.clone(), any.clone()])
            .2
            .cname,
        text("b")
    );
    assert_eq!(one_of(&message, None, &[any, other]).2.cname, text("a"));
}

#[test]
fn a_mapping_without_fields_takes_usual_names_and_its_own_vendors() {
    let vendors = mapping("vendors = { \"9\" = 2 }");
    let row = one_of(
        &json!({"sid": SID, "vendor": 9}).to_string(),
        None,
        &[vendors],
    )
    .2;
    assert_eq!((row.vendor, row.vendor_name), (Some(2), text("oss")));
}

#[test]
fn a_configured_row_may_know_its_session_only_later() {
    let row = one_of(
        &envelope("rooms", json!({"id": 3})),
        None,
        &[mapping(NESTED)],
    )
    .2;
    assert_eq!((row.row_key, row.sid, row.cname), (text("3"), None, None));
}
