//! HTTP by hand: a client that keeps its connection, and a stand-in for the Cloud Recording API.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A connection that is kept, as Agora's sender keeps it.
pub struct Client {
    connection: BufReader<TcpStream>,
}

impl Client {
    pub fn connect(address: &str) -> Option<Client> {
        let stream = TcpStream::connect(address).ok()?;
        let timeout = Some(Duration::from_secs(20));
        stream.set_read_timeout(timeout).ok()?;
        let connection = BufReader::new(stream);
        Some(Client { connection })
    }

    /// Returns status and body of the answer; none where the connection breaks before it is whole.
    pub fn post(&mut self, path: &str, header: &str, body: &str) -> Option<(u16, String)> {
        let length = body.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: test\r\n{header}\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        self.connection
            .get_mut()
            .write_all(request.as_bytes())
            .ok()?;
        let mut line = || {
            let mut line = String::new();
            let read = self.connection.read_line(&mut line).ok()?;
            (read > 0).then(|| line.trim_end().to_ascii_lowercase())
        };
        let status = line()?.split(' ').nth(1)?.parse().ok()?;
        let mut length = 0;
        loop {
            let header = line()?;
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        self.connection.read_exact(&mut body).ok()?;
        Some((status, String::from_utf8(body).ok()?))
    }
}

/// Says that a load is over when it is dropped, so that a test that fails ends, too.
pub struct Over<'a>(pub &'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Answers every call with a session of its own, for as long as the test runs.
pub struct Api {
    pub address: String,
}

impl Api {
    pub fn start() -> Api {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address").to_string();
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                std::thread::spawn(move || answer_all(connection));
            }
        });
        Api { address }
    }
}

/// Answers request after request until the connection ends.
fn answer_all(connection: TcpStream) -> Option<()> {
    let mut connection = BufReader::new(connection);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if connection.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let line = line.trim_end().to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        connection.read_exact(&mut body).ok()?;
        let sid = uuid::Uuid::new_v4().simple();
        let body = format!(r#"{{"resourceId":"R","sid":"{sid}"}}"#);
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        connection.get_mut().write_all(answer.as_bytes()).ok()?;
    }
}
