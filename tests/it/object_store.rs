//! Lakes on object stores that must not be: the store is found out before anything is written, and the person told.
//! What works is tested beside a real server (`tests/kafka/object_store.rs`).

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};

use crate::cli::stderr;

/// A server that speaks S3, takes every object, and passes over the condition of a PUT, as some do.
struct Careless {
    endpoint: String,
    puts: Arc<Mutex<Vec<String>>>,
}

impl Careless {
    fn start() -> Careless {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let puts = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&puts);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let noted = Arc::clone(&noted);
                std::thread::spawn(move || answer(stream, &noted));
            }
        });
        Careless { endpoint, puts }
    }
}

fn answer(mut stream: TcpStream, puts: &Mutex<Vec<String>>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let line = line.trim().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let mut words = first.split(' ');
    let (method, path) = (words.next()?, words.next()?);
    let (status, content) = match method {
        "PUT" => {
            puts.lock().expect("no panic").push(path.to_string());
            ("200 OK", "")
        }
        "GET" if path.contains("list-type=2") => (
            "200 OK",
            "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>",
        ),
        _ => ("404 Not Found", ""),
    };
    let length = content.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nETag: \"1\"\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{content}"
    )
    .ok()
}

#[test]
fn a_store_that_writes_over_what_is_there_is_refused_before_anything_is_written() {
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(directory.path().join("a.ndjson"), "{}\n").expect("written");
    let server = Careless::start();
    for command in [
        &["import", "--stream", "webhooks", "a.ndjson"][..],
        &["maintain"],
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_tapetrail"))
            .current_dir(directory.path())
            .env("AWS_ENDPOINT", &server.endpoint)
            .env("AWS_ALLOW_HTTP", "true")
            .env("AWS_ACCESS_KEY_ID", "key")
            .env("AWS_SECRET_ACCESS_KEY", "QzSecret")
            .args(["--lake", "s3://bucket/lake"])
            .args(command)
            .output()
            .expect("the program is built");
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(
            said.contains("writes over what is there") && said.contains("s3://bucket/lake"),
            "{said}"
        );
        assert!(!said.contains("QzSecret"), "{said}");
    }
    let puts = server.puts.lock().expect("no panic");
    assert!(!puts.is_empty());
    let foreign = puts
        .iter()
        .find(|put| !put.ends_with("/lake/_put_if_absent"));
    assert_eq!(foreign, None, "only the question itself was written");
}

#[test]
fn a_place_that_is_no_lake_is_named_with_what_could_be_one() {
    let directory = tempfile::tempdir().expect("a directory");
    for (lake, said) in [
        ("ftp://host/lake", "s3://, gs:// or az://"),
        ("s3://key:QzSecret@bucket/lake", "environment"),
    ] {
        let output = crate::cli::tapetrail(directory.path(), &["--lake", lake, "verify"]);
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains(said), "{}", stderr(&output));
        assert!(!stderr(&output).contains("QzSecret"));
    }
}
