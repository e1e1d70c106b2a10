use std::sync::{Arc, Mutex};

use arrow::array::{
    ArrayRef, Int64Array, ListBuilder, StringArray, StringBuilder, TimestampMicrosecondArray,
};

use super::*;

/// Two rows with a list, a number, an instant and text that tries to break out.
fn batch() -> RecordBatch {
    let mut sids = ListBuilder::new(StringBuilder::new());
    sids.append_value([Some("s1"), Some("s2")]);
    sids.append_null();
    let at = TimestampMicrosecondArray::from(vec![Some(1_763_805_600_123_000), None]);
    let text = "two starts\nraced | for \"room\" \u{1b}[31m, and the later one won the channel";
    RecordBatch::try_from_iter_with_nullable([
        (
            "id",
            Arc::new(Int64Array::from(vec![1, 200])) as ArrayRef,
            true,
        ),
        ("sids", Arc::new(sids.finish()), true),
        ("at", Arc::new(at.with_timezone("UTC")), true),
        (
            "explanation",
            Arc::new(StringArray::from(vec![Some(text), None])),
            true,
        ),
    ])
    .expect("is a batch")
}

/// What was written, to be read while a renderer still holds the other end.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("is not poisoned").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn rendered(
    make: impl FnOnce(Written) -> Box<dyn Render>,
    batches: &[RecordBatch],
) -> (String, Rendered) {
    let written = Written::default();
    let mut renderer = make(written.clone());
    for batch in batches {
        renderer.write(batch).expect("writes");
    }
    let rendered = renderer.finish().expect("finishes");
    let bytes = written.0.lock().expect("is not poisoned").clone();
    (String::from_utf8(bytes).expect("is text"), rendered)
}

fn table(width: Option<usize>, rows_max: usize) -> (String, Rendered) {
    let schema = batch().schema();
    rendered(
        |out| Box::new(TableRenderer::new(out, schema, width, rows_max)),
        &[batch()],
    )
}

#[test]
fn a_table_without_a_bound_does_not_wrap() {
    insta::assert_snapshot!(table(None, 10).0, @r#"
     id  sids    at                        explanation
    ───  ──────  ────────────────────────  ───────────────────────────────────────────────────────────
      1  s1, s2  2025-11-22T10:00:00.123Z  two starts
                                           raced | for "room" �[31m, and the later one won the channel
    200
    "#);
}

#[test]
fn a_narrow_table_wraps_its_widest_columns() {
    insta::assert_snapshot!(table(Some(70), 10).0, @r#"
     id  sids    at                        explanation
    ───  ──────  ────────────────────────  ───────────────────────────────
      1  s1, s2  2025-11-22T10:00:00.123Z  two starts
                                           raced | for "room" �[31m, and
                                           the later one won the channel
    200
    "#);
}

#[test]
fn a_very_narrow_table_is_a_block_a_row() {
    insta::assert_snapshot!(table(Some(40), 10).0, @r#"
    ── 1 ───────────────────────────────────
    id           1
    sids         s1, s2
    at           2025-11-22T10:00:00.123Z
    explanation  two starts
                 raced | for "room" �[31m,
                 and the later one won the
                 channel
    ── 2 ───────────────────────────────────
    id           200
    "#);
}

#[test]
fn rows_beyond_the_bound_are_not_shown_and_not_asked_for() {
    let (text, rendered) = table(None, 1);
    assert_eq!(
        rendered,
        Rendered {
            rows: 1,
            is_cut: true
        }
    );
    assert!(!text.contains("200"));
}

#[test]
fn json_writes_nulls_and_no_rows_are_an_empty_array() {
    let json =
        |batches: &[RecordBatch]| rendered(|out| Box::new(JsonRenderer::array(out)), batches).0;
    let rows: serde_json::Value =
        serde_json::from_str(&json(&[batch(), batch()])).expect("is JSON");
    assert_eq!(rows[0]["sids"], serde_json::json!(["s1", "s2"]));
    assert_eq!(rows[0]["at"], "2025-11-22T10:00:00.123Z");
    assert_eq!(
        rows[3],
        serde_json::json!({"id": 200, "sids": null, "at": null, "explanation": null})
    );
    assert_eq!(json(&[]), "[]\n");
}

#[test]
fn ndjson_is_an_object_a_line() {
    let (text, _) = rendered(|out| Box::new(JsonRenderer::lines(out)), &[batch()]);
    assert_eq!(text.lines().count(), 2);
    assert!(text.ends_with("}\n"));
    assert_eq!(
        rendered(|out| Box::new(JsonRenderer::lines(out)), &[]).0,
        ""
    );
}

#[test]
fn csv_has_a_header_even_without_rows() {
    let schema = batch().schema();
    let csv = |batches: &[RecordBatch]| {
        rendered(|out| Box::new(CsvRenderer::new(out, &schema)), batches).0
    };
    assert_eq!(csv(&[]), "id,sids,at,explanation\n");
    let text = csv(&[batch(), batch()]);
    assert!(
        text.starts_with("id,sids,at,explanation\n1,\"s1, s2\",2025-11-22T10:00:00.123Z,\"two")
    );
    assert_eq!(text.matches("id,sids").count(), 1);
    assert!(text.ends_with("\n200,,,\n"));
}

#[test]
fn markdown_keeps_values_in_their_cells() {
    let schema = batch().schema();
    let (text, _) = rendered(
        |out| Box::new(MarkdownRenderer::new(out, &schema).expect("writes")),
        &[batch()],
    );
    insta::assert_snapshot!(text, @r#"
    | id | sids | at | explanation |
    | ---: | --- | --- | --- |
    | 1 | s1, s2 | 2025-11-22T10:00:00.123Z | two starts<br>raced \| for "room" �\[31m, and the later one won the channel |
    | 200 |  |  |  |
    "#);
}
