//! Secrets at every path of the list and in unknown places.

use super::*;

/// Messages with `MARK` where a secret is.
pub(super) const MESSAGES: [&str; 43] = [
    // domain/cloud-recording-api.md, section 3
    r#"{"request":{"body":{"clientRequest":{"token":"MARK","storageConfig":{"vendor":2,"accessKey":"MARK","secretKey":"MARK","stsToken":"MARK","bucket":"b"}}}}}"#,
    r#"{"request":{"body":{"clientRequest":{"startParameter":{"token":"MARK","storageConfig":{"accessKey":"MARK","secretKey":"MARK","stsToken":"MARK"},"recordingConfig":{"secret":"MARK","salt":"MARK","decryptionMode":7}}}}}}"#,
    r#"{"extensionServiceConfig":{"extensionServices":[{"serviceName":"web_recorder_service","serviceParam":{"url":"https://user:MARK@h.example/page?auth=MARK#MARK","outputs":[{"rtmpUrl":"rtmp://a.example/live/MARK"}]}}]}}"#,
    r#"{"serviceParam":{"apiData":{"videoData":{"title":"MARK","x":["MARK",{"y":"MARK"}]}},"url":"https:\/\/u:MARK@h.example\/p?q=MARK"}}"#,
    r#"{"transcodingConfig":{"backgroundImage":"https://h.example/a.png?X-Amz-Signature=MARK","defaultUserBackgroundImage":"http://h.example/b?k=MARK","backgroundConfig":[{"uid":"1","image_url":"https://h.example/c?s=MARK&t=MARK"}]}}"#,
    r#"{"clientRequest":{"rtmpPublishConfig":{"outputs":[{"rtmpUrl":"rtmps://h.example/app/MARK?x=MARK"}]}}}"#,
    r#"{"serverResponse":{"extensionServiceState":[{"serviceName":"rtmp_publish_service","payload":{"state":"inProgress","outputs":[{"rtmpUrl":"rtmp://x/y/MARK","status":"publishing"}]}}]}}"#,
    r#"{"noticeId":"n","eventType":100,"payload":{"details":{"msgName":"rtmp_publish_status","rtmpUrl":"rtmp://x/y/MARK","status":"onhold"}}}"#,
    r#"{"request":{"headers":{"Authorization":"Basic MARK","Agora-Signature-V2":"MARK","Cookie":"s=MARK"}}}"#,
    r#"{"Records":[{"event":{"requestParameters":{"requestHeaders":{"Authorization":"MARK"}}}}]}"#,
    r#"{"Message":"{\"event\":\"put\",\"access_key\":\"MARK\",\"bucket\":\"b\"}","Subject":"Qiniu KODO Notification"}"#,
    // Names in other spellings, and other kinds of values.
    r#"{"SECRETKEY":"MARK","my_api-key":["MARK"],"db.password":{"x":"MARK"},"Api Key":"MARK","client-secret":"MARK","sts":"MARK"}"#,
    r#"{"updateDescription":{"updatedFields":"{\"storage.sts\":\"MARK\",\"a.b.salt\":\"MARK\",\"storage.secretKey\":{\"x\":\"MARK\"}}"}}"#,
    r#"{"acc\u0065ssKey":"MARK","s\u0065cret":"MARK","\u0074oken":{"a":"MARK"}}"#,
    r#"{"token":"MARK","token":"MARK","a":{"token":"MARK"},"token":["MARK"]}"#,
    r#"{"token":"\u0071MARK\n\"MARK\\","x":1}"#,
    "{ \"token\" :\t\"MARK\" ,\n \"secretKey\"\r\n: [ \"MARK\" , { \"a\" : \"MARK\" } ] }",
    // JSON in strings.
    r#"{"Type":"Notification","Message":"{\"Records\":[{\"secretKey\":\"MARK\",\"n\":\"a\\\"b\"}]}"}"#,
    r#"{"body":"{\"Message\":\"{\\\"storageConfig\\\":{\\\"accessKey\\\":\\\"MARK\\\",\\\"secretKey\\\":\\\"MARK\\\"}}\"}"}"#,
    r#"{"raw_body":"\n {\"payload\":{\"token\":\"MARK\"}}","after":"\"{\\\"token\\\":\\\"MARK\\\"}\""}"#,
    r#"{"x":"[{\u0022token\u0022:\u0022MARK\u0022}]","y":"{\"token\":\"MARK\",\"cut\":"}"#,
    r#""{\"token\":\"MARK\"}""#,
    // Free text.
    r#"{"error":"POST https://u:MARK@h.example/x?token=MARK failed: secretKey=MARK, stsToken: 'MARK' (accessKey => \"MARK\")"}"#,
    r#"{"error":"Authorization: AWS4-HMAC-SHA256 Credential=MARK, SignedHeaders=host, Signature=MARK\nhost: x"}"#,
    r#"{"error":"sent Basic MARK and Bearer MARK, then token: Bearer MARK"}"#,
    r#"{"x":"Basic MARK","y":["Bearer MARK"],"z":"bearer MARK"}"#,
    r#"{"body":"a=1&secretKey=MARK&b=2&access_key=MARK","form":"data=%7B%22secretKey%22%3A%22MARK%22%7D"}"#,
    r#"{"error":"<Error><AWSAccessKeyId>MARK</AWSAccessKeyId><SignatureProvided>MARK</SignatureProvided></Error>"}"#,
    r#"{"error":"curl --secret-key MARK; params[token]=MARK secret key: MARK salt=MARK pwd: MARK"}"#,
    r#"{"error":"{'accessKey': 'MARK', 'secretKey': 'MARK'}","e":"accessKey=MARK"}"#,
    r#"{"url":"ftp://MARK:MARK@h.example/a and redis://:MARK@h.example:6379/0 and jdbc:mysql://h.example/db?user=MARK"}"#,
    r#"{"url":"https://a.example/?x=MARK,https://b.example/?y=MARK"}"#,
    r#"{"error":"at https://h.example/x?sig=MARK\\u0026more=MARK"}"#,
    r#"{"a=1&secretKey=MARK":"","https://u:MARK@h.example/":1}"#,
    r#"{"x":"https://a.example/token=MARK/https://u:MARK@b.example/c?d=MARK&e=MARK"}"#,
    // Pairs.
    r#"{"headers":[{"name":"Authorization","value":"MARK"},{"value":"MARK","name":"X-Token"}]}"#,
    r#"{"params":[{"key":"secretKey","value":"MARK"},{"Name":"accessKey","Value":"MARK"},{"k":"token","v":["MARK"]}]}"#,
    r#"{"attributes":[{"name":"sec\u0072et","type":"String","stringValue":"MARK"}]}"#,
    r#"{"headers":[["Authorization","MARK"],["Host","h"],["X-Api-Key",{"a":"MARK"}]]}"#,
    r#"{"x":"{\"headers\":[{\"name\":\"Authorization\",\"value\":\"MARK\"}]}"}"#,
    // Others.
    r#"{"storageConfig":{"vendor":11,"extensionParams":{"endpoint":"user:MARK@minio.example:9000"}}}"#,
    r#"{"jwt":"eyJhbGciOiJIUzI1NiJ9.MARK.MARK"}"#,
    r#"{"x":{"rtmp_url":"MARK","nested":[[[{"deep":{"passwd":"MARK"}}]]]},"stream":"rtmp://h.example/live/MARK"}"#,
];

pub(super) fn planted(message: &str) -> String {
    message.replace("MARK", MARK)
}

#[test]
fn no_planted_secret_survives() {
    for message in MESSAGES {
        let message = planted(message);
        assert_clean(&json(&message), &message);
    }
}

#[test]
fn no_planted_secret_survives_in_strings_of_any_level() {
    for message in MESSAGES {
        let mut message = planted(message);
        for _ in 0..3 {
            message = format!("{{\"wrapped\":{}}}", escape::escape(&message));
            assert_clean(&json(&message), &message);
        }
        let cut = &message[..message.len() - 2];
        assert_clean(&redactor().bytes(cut.as_bytes()), cut);
    }
}

#[test]
fn base64_of_json_is_redacted_inside() {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
    let inner = planted(r#"{"kind":"storage#object","secretKey":"MARK","é":"?????"}"#);
    for alphabet in [STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
        let data = alphabet.encode(&inner);
        let message = format!(r#"{{"message":{{"data":"{data}","messageId":"1"}}}}"#);
        let out: serde_json::Value = serde_json::from_str(&json(&message)).expect("JSON");
        let data = out["message"]["data"]
            .as_str()
            .expect("a string")
            .trim_end_matches('=');
        let data = STANDARD_NO_PAD
            .decode(data.replace('-', "+").replace('_', "/"))
            .expect("base64");
        let data = String::from_utf8(data).expect("UTF-8");
        assert_eq!(data, inner.replace(MARK, "[redacted]"));
        let cut = &message.as_bytes()[..message.len() - 30];
        assert!(
            redactor()
                .bytes(cut)
                .starts_with(r#"{"message":{"data":"[redacted]"#)
        );
    }
}

#[test]
fn secrets_are_replaced_whole_and_absence_stays() {
    assert_eq!(
        json(r#"{"token":"x","secret":0,"salt":[1,{"a":2}],"apiData":{"a":[]},"vendor":1}"#),
        r#"{"token":"[redacted]","secret":"[redacted]","salt":"[redacted]","apiData":"[redacted]","vendor":1}"#
    );
    let absent =
        r#"{"token":null,"secret":"","has_token":false,"stsToken":"[redacted]","x":{"salt":true}}"#;
    assert_eq!(json(absent), absent);
}

#[test]
fn an_access_key_leaves_one_fingerprint() {
    let out = json(r#"{"storageConfig":{"accessKey":"AKIAEXAMPLE","secretKey":"s"}}"#);
    let value: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    let config = &value["storageConfig"];
    let fingerprint = config["access_key_fingerprint"]
        .as_str()
        .expect("a fingerprint");
    assert!(
        fingerprint::is_fingerprint(fingerprint.as_bytes()),
        "{fingerprint}"
    );
    assert_eq!(config["accessKey"], REDACTED);

    // The same key in another spelling and wrapping has the same fingerprint.
    for message in [
        r#"{"AccessKey":"AKIA\u0045XAMPLE"}"#,
        r#"{"access_key":"AKIAEXAMPLE","access_key_fingerprint":"mine"}"#,
        r#"{"x":"{\"accessKey\":\"AKIAEXAMPLE\"}"}"#,
        r#"{"accessKey":"AKIAEXAMPLE","accessKey":"other"}"#,
    ] {
        let out = json(message);
        assert_eq!(out.matches(fingerprint).count(), 1, "{out}");
        assert_eq!(out.matches("access_key_fingerprint").count(), 1, "{out}");
    }
    for message in [
        r#"{"accessKey":""}"#,
        r#"{"accessKey":null}"#,
        r#"{"accessKey":{"a":1}}"#,
        r#"{"accessKeyId":"x"}"#,
    ] {
        assert!(!json(message).contains("fingerprint"), "{message}");
    }
    let mut out = String::new();
    let message = br#"{"accessKey":"AKIAEXAMPLE","b":1}"#;
    Redactor::new(None).json(message, &mut out).expect("JSON");
    assert_eq!(out, r#"{"accessKey":"[redacted]","b":1}"#);
}

#[test]
fn a_stored_fingerprint_stays_and_nothing_else_in_its_place() {
    let stored = r#"{"accessKey":"[redacted]","access_key_fingerprint":"old:f7bc83f430538424b13298e6aa6fb143"}"#;
    assert_eq!(json(stored), stored);
    assert_eq!(
        json(r#"{"access_key_fingerprint":"AKIA"}"#),
        r#"{"access_key_fingerprint":"[redacted]"}"#
    );
    let first =
        r#"{"access_key_fingerprint":"old:f7bc83f430538424b13298e6aa6fb143","accessKey":"x"}"#;
    assert_eq!(json(first).matches("fingerprint").count(), 1);
    // Objects beside and inside have their own.
    let out = json(r#"[{"accessKey":"a","in":{"accessKey":"b"}},{"accessKey":"c"}]"#);
    assert_eq!(out.matches("fingerprint").count(), 3, "{out}");
}

#[test]
fn headers_are_redacted_by_name_and_by_content() {
    let redactor = redactor();
    let url = planted("https://u:MARK@h.example/?MARK");
    let nested = planted(r#"{"token":"MARK"}"#);
    let headers: Vec<(&str, Option<&[u8]>)> = vec![
        ("Authorization", Some(MARK.as_bytes())),
        ("trace", Some(b"t-1")),
        ("url", Some(url.as_bytes())),
        ("none", None),
        ("json", Some(nested.as_bytes())),
        ("trace", Some(b"t-2")),
        ("bin", Some(&[0, 1, 2, 255])),
    ];
    let out = redactor.headers(headers.into_iter()).expect("headers");
    assert_clean(&out, "headers");
    let value: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(value["Authorization"], REDACTED);
    assert_eq!(value["trace"], serde_json::json!(["t-1", "t-2"]));
    assert_eq!(value["url"], "https://h.example/?[redacted]");
    assert_eq!(value["none"], serde_json::Value::Null);
    assert!(
        value["bin"]
            .as_str()
            .is_some_and(|text| text.starts_with("[4 bytes, sha256 "))
    );
    assert_eq!(redactor.headers(std::iter::empty()), None);
}
