use serde_json::{Value, json};

use super::*;

fn document(stream: Stream) -> Value {
    serde_json::from_str(text(stream)).expect("a schema is JSON")
}

/// Calls `visit` with every schema that stands for a field or for an item of a list.
fn visit_fields(path: &str, schema: &Value, visit: &mut impl FnMut(&str, &Value)) {
    let Some(object) = schema.as_object() else {
        return;
    };
    for (keyword, value) in object {
        let here = format!("{path}/{keyword}");
        match keyword.as_str() {
            "properties" | "$defs" => {
                for (name, field) in value.as_object().expect("an object of schemas") {
                    visit(&format!("{here}/{name}"), field);
                    visit_fields(&format!("{here}/{name}"), field, visit);
                }
            }
            "items" | "additionalProperties" => {
                visit(&here, value);
                visit_fields(&here, value, visit);
            }
            "if" | "then" | "else" | "not" => visit_fields(&here, value, visit),
            "anyOf" | "oneOf" | "allOf" => {
                for schema in value.as_array().expect("a list of schemas") {
                    visit_fields(&here, schema, visit);
                }
            }
            _ => {}
        }
    }
}

#[test]
fn every_field_has_a_description() {
    for stream in Stream::TABLES {
        let document = document(stream);
        let mut missing = Vec::new();
        visit_fields("", &document, &mut |path, field| {
            // A condition looks at a field that is described elsewhere.
            if field["description"].as_str().is_none_or(str::is_empty) && !path.contains("/if/") {
                missing.push(path.to_string());
            }
        });
        assert!(
            missing.is_empty(),
            "{stream}: no description at {missing:#?}"
        );
    }
}

#[test]
fn every_definition_has_a_title_and_every_schema_an_identity() {
    for stream in Stream::TABLES {
        let document = document(stream);
        assert_eq!(
            document["$schema"],
            "https://json-schema.org/draft/2020-12/schema"
        );
        assert_eq!(document["$id"], format!("urn:tapetrail:schema:{stream}:v1"));
        for (name, definition) in document["$defs"].as_object().expect("definitions") {
            assert!(
                definition["title"].is_string(),
                "{stream}: no title at $defs/{name}"
            );
        }
    }
}

#[test]
fn every_example_fits_its_field() {
    for stream in Stream::TABLES {
        let document = document(stream);
        let mut wrong = Vec::new();
        visit_fields("", &document, &mut |path, field| {
            let examples = field["examples"].as_array().into_iter().flatten();
            let validator = compile(&json!({"$defs": document["$defs"], "allOf": [field]}));
            wrong.extend(
                examples
                    .filter(|example| !validator.is_valid(example))
                    .map(|_| path.to_string()),
            );
        });
        assert!(
            wrong.is_empty(),
            "{stream}: an example does not fit at {wrong:#?}"
        );
    }
}

#[test]
fn unknown_fields_are_allowed_everywhere() {
    for stream in Stream::TABLES {
        assert!(
            !text(stream).contains("\"additionalProperties\": false"),
            "{stream}"
        );
        assert!(!text(stream).contains("unevaluatedProperties"), "{stream}");
    }
}

#[test]
fn every_form_that_can_be_recognized_is_in_the_schema() {
    for (stream, message, form) in [
        (Stream::ApiCalls, json!({}), "call"),
        (Stream::Webhooks, json!({"raw_body": ""}), "wrapped_raw"),
        (Stream::Webhooks, json!({"body": {}}), "wrapped"),
        (Stream::Webhooks, json!({"eventType": 1}), "notification"),
        (Stream::StorageEvents, json!({"Records": []}), "s3"),
        (
            Stream::StorageEvents,
            json!({"Records": [{"eventSource": "minio:s3"}]}),
            "minio",
        ),
        (
            Stream::StorageEvents,
            json!({"Records": [{"body": ""}]}),
            "sqs_batch",
        ),
        (
            Stream::StorageEvents,
            json!({"Records": [{"Sns": {}}]}),
            "sns_batch",
        ),
        (Stream::StorageEvents, json!({"MessageBody": ""}), "mns"),
        (Stream::StorageEvents, json!({"body": ""}), "sqs_message"),
        (
            Stream::StorageEvents,
            json!({"Body": ""}),
            "sqs_api_message",
        ),
        (Stream::StorageEvents, json!({"TopicArn": ""}), "sns"),
        (
            Stream::StorageEvents,
            json!({"source": "aws.s3"}),
            "s3_eventbridge",
        ),
        (
            Stream::StorageEvents,
            json!({"Event": "s3:TestEvent"}),
            "s3_test",
        ),
        (
            Stream::StorageEvents,
            json!({"Records": [{"eventSource": "ceph:s3"}]}),
            "ceph",
        ),
        (
            Stream::StorageEvents,
            json!({"Messages": []}),
            "sqs_api_batch",
        ),
        (
            Stream::StorageEvents,
            json!({"eventSource": "aws:s3"}),
            "s3_record",
        ),
        (
            Stream::StorageEvents,
            json!({"eventSource": "minio:s3"}),
            "minio_record",
        ),
        (
            Stream::StorageEvents,
            json!({"eventSource": "ceph:s3"}),
            "ceph_record",
        ),
        (
            Stream::StorageEvents,
            json!({"eventSource": "acs:oss"}),
            "oss_record",
        ),
        (Stream::StorageEvents, json!({"events": []}), "oss"),
        (
            Stream::StorageEvents,
            json!({"source": "acs.oss"}),
            "oss_eventbridge",
        ),
        (
            Stream::StorageEvents,
            json!({"bucket": "", "key": ""}),
            "neutral",
        ),
        (
            Stream::StorageEvents,
            json!({"Records": [{"eventSource": "ctyun:s3"}]}),
            "zos",
        ),
        (
            Stream::StorageEvents,
            json!({"eventSource": "ctyun:s3"}),
            "zos_record",
        ),
        (
            Stream::StorageEvents,
            json!({"Records": [{"cos": {}}]}),
            "cos",
        ),
        (
            Stream::StorageEvents,
            json!({"cos": {}, "event": {}}),
            "cos_record",
        ),
        (
            Stream::StorageEvents,
            json!({"Records": [{"eventSource": "OBS"}]}),
            "obs",
        ),
        (
            Stream::StorageEvents,
            json!({"eventSource": "OBS"}),
            "obs_record",
        ),
        (
            Stream::StorageEvents,
            json!({"topic_urn": "", "message": ""}),
            "smn",
        ),
        (
            Stream::StorageEvents,
            json!({"source": "HC.OBS.DWR"}),
            "obs_eventgrid",
        ),
        (
            Stream::StorageEvents,
            json!({"eventType": "Microsoft.Storage.BlobCreated"}),
            "azure_eventgrid",
        ),
        (
            Stream::StorageEvents,
            json!({"type": "Microsoft.Storage.BlobCreated"}),
            "azure_cloudevent",
        ),
        (
            Stream::StorageEvents,
            json!({"eventType": "Microsoft.EventGrid.SubscriptionValidationEvent"}),
            "azure_validation",
        ),
        (
            Stream::StorageEvents,
            json!({"message": {"attributes": {}}, "subscription": ""}),
            "gcs_push",
        ),
        (
            Stream::StorageEvents,
            json!({"attributes": {}, "messageId": ""}),
            "gcs_message",
        ),
        (
            Stream::StorageEvents,
            json!({"eventType": "OBJECT_FINALIZE"}),
            "gcs_fields",
        ),
        (
            Stream::StorageEvents,
            json!({"kind": "storage#object"}),
            "gcs_object",
        ),
        (
            Stream::StorageEvents,
            json!({"type": "google.cloud.storage.object.v1.finalized"}),
            "gcs_eventarc",
        ),
        (
            Stream::StorageEvents,
            json!({"events": [{"eventOrigin": ""}]}),
            "bos",
        ),
        (
            Stream::StorageEvents,
            json!({"eventOrigin": "bos:realtime"}),
            "bos_record",
        ),
        (
            Stream::StorageEvents,
            json!({"Message": "", "Subject": "Qiniu KODO Notification"}),
            "qiniu",
        ),
        (
            Stream::StorageEvents,
            json!({"event": "put", "bucket": "", "key": ""}),
            "qiniu_event",
        ),
        (
            Stream::StorageEvents,
            json!({"TopicOwner": "", "Message": ""}),
            "mns_topic",
        ),
        (
            Stream::StorageEvents,
            json!({"specversion": "1.0"}),
            "cloudevent",
        ),
        (
            Stream::StorageEvents,
            json!({"schema": null, "payload": ""}),
            "connect",
        ),
        (
            Stream::SessionRecords,
            json!({"schema": null, "payload": null}),
            "debezium_with_schema",
        ),
        (
            Stream::SessionRecords,
            json!({"op": "c", "after": {}}),
            "debezium",
        ),
        (
            Stream::SessionRecords,
            json!({"__op": "c"}),
            "debezium_flattened",
        ),
        (
            Stream::SessionRecords,
            json!({"database": "", "table": "", "type": "insert", "data": {}}),
            "maxwell",
        ),
        (
            Stream::SessionRecords,
            json!({"database": "", "type": "INSERT", "data": []}),
            "canal",
        ),
        (Stream::SessionRecords, json!({}), "plain"),
    ] {
        assert_eq!(recognize::form(stream, &message), Ok(form), "{message}");
        let known = &contract(stream).forms;
        assert!(
            known.iter().any(|known| known.name == form),
            "{stream} has no form {form}"
        );
    }
}

#[test]
fn a_list_in_a_list_is_refused_as_the_schema_refuses_it() {
    for stream in Stream::TABLES {
        assert!(validate(stream, &json!([])).is_empty());
        assert!(fits_published(stream, &json!([])));
        assert_eq!(validate(stream, &json!([[]])).len(), 1);
        assert!(!fits_published(stream, &json!([[]])));
    }
}

#[test]
fn no_sentence_quotes_a_value() {
    let planted = "PLANTED-SECRET-0123";
    for (stream, message) in [
        (
            Stream::ApiCalls,
            json!({"requested_at": planted, "request": planted}),
        ),
        (
            Stream::ApiCalls,
            json!({"requested_at": 1, "request": {"url": "/x", "body": [planted]}}),
        ),
        (
            Stream::Webhooks,
            json!({"eventType": planted, "payload": planted}),
        ),
        (
            Stream::Webhooks,
            json!({"raw_body": format!("{{\"token\":\"{planted}")}),
        ),
        (
            Stream::StorageEvents,
            json!({"occurred_at": planted, "kind": planted, "bucket": 1, "key": [planted]}),
        ),
        (
            Stream::StorageEvents,
            json!({"Records": [{"eventSource": planted}]}),
        ),
        (
            Stream::SessionRecords,
            json!({"op": planted, "source": planted}),
        ),
        (Stream::SessionRecords, json!(planted)),
    ] {
        let problems = validate(stream, &message);
        assert!(!problems.is_empty(), "{message} should not fit");
        for problem in problems.into_iter().chain(warnings(stream, &message)) {
            assert!(!format!("{problem:?}").contains(planted), "{problem:?}");
        }
    }
}

fn warned(stream: Stream, message: Value) -> Vec<String> {
    assert_eq!(
        validate(stream, &message),
        [],
        "the message fits the schema"
    );
    warnings(stream, &message)
        .into_iter()
        .map(|warning| warning.path)
        .collect()
}

#[test]
fn calls_that_cannot_be_audited_are_warned_of() {
    let start = |response: Value, body: Value| {
        json!({"requested_at": 1_795_341_600_000_i64, "responded_at": 1_795_341_600_500_i64, "response": response,
            "request": {"url": "/v1/apps/a/cloud_recording/resourceid/r/mode/mix/start", "body": body}})
    };
    let stored = json!({"clientRequest": {"storageConfig": {"vendor": 1, "bucket": "acme-rec"}}});
    let ok = json!({"status": 200, "body": {"sid": "s"}});
    assert_eq!(
        warned(Stream::ApiCalls, start(ok.clone(), stored.clone())),
        [""; 0]
    );
    assert_eq!(
        warned(
            Stream::ApiCalls,
            start(ok.clone(), json!(stored.to_string()))
        ),
        [""; 0]
    );
    assert_eq!(
        warned(
            Stream::ApiCalls,
            start(ok.clone(), json!({"clientRequest": {}}))
        ),
        ["/request/body/clientRequest/storageConfig"]
    );
    assert_eq!(
        warned(
            Stream::ApiCalls,
            start(json!({"status": 200, "body": {"sid": ""}}), stored.clone())
        ),
        ["/response/body/sid"]
    );
    assert_eq!(
        warned(
            Stream::ApiCalls,
            start(json!({"body": {"sid": "s"}}), stored.clone())
        ),
        ["/response/status"]
    );
    let mut late = start(ok.clone(), stored.clone());
    late["requested_at"] = json!("2026-11-22T23:00:00Z");
    assert_eq!(warned(Stream::ApiCalls, late), ["/responded_at"]);
    let mut open = start(ok, stored.clone());
    open["responded_at"] = Value::Null;
    assert_eq!(warned(Stream::ApiCalls, open), ["/responded_at"]);
    let mut silent = start(Value::Null, stored);
    assert_eq!(warned(Stream::ApiCalls, silent.clone()), ["/response"]);
    silent["error"] = json!("connect timeout");
    silent["requested_at"] = json!(1_795_341_600);
    assert_eq!(warned(Stream::ApiCalls, silent), ["/requested_at"]);
}

#[test]
fn a_stream_is_guessed_by_content() {
    for (message, stream) in [
        (
            json!({"requested_at": 1, "request": {}}),
            Some(Stream::ApiCalls),
        ),
        (
            json!({"eventType": 31, "payload": {}}),
            Some(Stream::Webhooks),
        ),
        (
            json!([{"eventType": 31, "payload": {}}]),
            Some(Stream::Webhooks),
        ),
        (
            json!({"body": {"eventType": 31, "noticeId": "n"}}),
            Some(Stream::Webhooks),
        ),
        (json!({"Records": []}), Some(Stream::StorageEvents)),
        (
            json!({"op": "c", "after": {}}),
            Some(Stream::SessionRecords),
        ),
        (
            json!({"id": 7, "sid": "s", "bucket": "b"}),
            Some(Stream::SessionRecords),
        ),
        (json!({"hello": "world"}), None),
        (json!(7), None),
    ] {
        assert_eq!(guess(&message), stream, "{message}");
    }
}

#[test]
fn the_samples_of_the_page_for_producers_fit_without_a_warning() {
    let page = include_str!("../../schemas/README.md");
    for stream in Stream::INPUTS {
        let heading = format!("\n## {stream}\n");
        let (_, section) = page.split_once(&heading).expect("a section a stream");
        let section = section.split("\n## ").next().unwrap_or_default();
        let sample = section
            .split("```json\n")
            .nth(1)
            .expect("a sample a section");
        let sample = sample.split("```").next().unwrap_or_default();
        let sample: Value = serde_json::from_str(sample).expect("a sample is JSON");
        assert_eq!(validate(stream, &sample), [], "{stream}");
        assert_eq!(warnings(stream, &sample), [], "{stream}");
        assert_eq!(guess(&sample), Some(stream));
    }
}
