//! Passing a call on and its answer back, unchanged but for what belongs to one connection (RFC 9110, section 7.6.1).

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use anyhow::{Context as _, Result};
use axum::body::{Body, Bytes, HttpBody, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version, header};
use axum::response::{IntoResponse as _, Response};
use http_body::{Frame, SizeHint};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{self, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde_json::{Value, json};

use super::guard::{Channel, Session, Verdict};
use super::record::{CALLER, CONTEXT, Call, Captured};
use super::{Inner, Proxy};
use crate::decode::api_calls::path;

pub(super) type Client = legacy::Client<HttpsConnector<HttpConnector>, Body>;

/// How long a connection to the service may take to come about. Everything after that is between caller and service.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Connections that nobody uses are closed before the service does.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long the service may take to say whether a recording lives.
const QUERY_TIMEOUT: Duration = Duration::from_secs(5);

/// With `--enforce` a body is read before it is passed on; a larger one is refused.
const JUDGED_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Names the reason of a refusal that is not the service's.
const REFUSED: HeaderName = HeaderName::from_static("tapetrail-refused");

/// What belongs to one connection, and what is meant for the proxy.
const NOT_PASSED: [HeaderName; 9] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static(CALLER),
    HeaderName::from_static(CONTEXT),
];

/// Returns the client of the service. It trusts the system's certificates (`SSL_CERT_FILE` names others).
pub(super) fn client() -> Result<Client> {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_connect_timeout(Some(CONNECT_TIMEOUT));
    let https = HttpsConnectorBuilder::new()
        .with_provider_and_native_roots(rustls::crypto::ring::default_provider())
        .context("cannot read the system's certificates")?
        .https_or_http()
        .enable_http1()
        .wrap_connector(http);
    Ok(legacy::Client::builder(TokioExecutor::new())
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_timer(TokioTimer::new())
        .build(https))
}

/// Passes a call on.
pub(super) async fn pass(State(Proxy(proxy)): State<Proxy>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Some(target) = parts.uri.path_and_query() else {
        let text = "use this address as the base URL of the API: CONNECT is not supported\n";
        return (StatusCode::METHOD_NOT_ALLOWED, text).into_response();
    };
    let url = format!("{}{target}", proxy.upstream);
    let mut recording = Recording::new(&proxy, &parts.method, &url, &parts.headers);
    let body = match &proxy.guard {
        Some(_) if parts.method == Method::POST => {
            let Ok(body) = to_bytes(body, JUDGED_BYTES_MAX).await else {
                let why = "the body broke off, or is too large to be looked at (--enforce)";
                return recording.refuse(StatusCode::PAYLOAD_TOO_LARGE, "body", why);
            };
            recording.call().request_body.push(&body);
            if let Some(refusal) = proxy.judge(&mut recording, &parts.headers, &body).await {
                return refusal;
            }
            Body::from(body)
        }
        _ => Body::new(Copied {
            inner: body,
            to: CopyOf::Request(Arc::clone(&recording.call)),
        }),
    };
    let Ok(uri) = url.parse::<Uri>() else {
        return recording.fail(StatusCode::BAD_REQUEST, "the path is no part of a URL");
    };
    let mut passed = Request::new(body);
    *passed.method_mut() = parts.method;
    *passed.uri_mut() = uri;
    *passed.version_mut() = Version::HTTP_11;
    *passed.headers_mut() = end_to_end(&parts.headers);
    passed.headers_mut().remove(header::HOST);
    match proxy.client.request(passed).await {
        Ok(answer) => recording.pass_back(answer.map(Body::new)),
        Err(error) => {
            let why = format!("{:#}", anyhow::Error::from(error));
            recording.fail(StatusCode::BAD_GATEWAY, &why)
        }
    }
}

/// Returns the headers that go on, in their order.
fn end_to_end(headers: &HeaderMap) -> HeaderMap {
    let mut passed = headers.clone();
    let named = headers.get_all(header::CONNECTION).iter();
    for name in named
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
    {
        if let Ok(name) = name.trim().parse::<HeaderName>() {
            passed.remove(name);
        }
    }
    for name in NOT_PASSED {
        passed.remove(name);
    }
    passed
}

impl Inner {
    /// Returns the refusal of a call that `--enforce` does not let pass.
    async fn judge(
        &self,
        recording: &mut Recording,
        headers: &HeaderMap,
        body: &Bytes,
    ) -> Option<Response> {
        let guard = self.guard.as_ref()?;
        let body: Value = serde_json::from_slice(body).ok()?;
        let url = recording.call().url.clone();
        let path = path::parse(&url);
        let mut verdict = guard.judge(&path, &body, self.clock.now());
        if let Verdict::Conflict {
            channel, sessions, ..
        } = &verdict
            && !sessions.is_empty()
        {
            let login = headers.get(header::AUTHORIZATION);
            for session in sessions {
                match self.lives(&channel.0, session, login).await {
                    Some(true) => {}
                    Some(false) => guard.is_over(&session.sid, self.clock.now()),
                    None => {
                        tracing::warn!(
                            sid = session.sid,
                            cname = channel.1,
                            "a start with other storage passes: the service does not say whether the recording lives"
                        );
                        guard.open(channel);
                    }
                }
            }
            verdict = guard.judge(&path, &body, self.clock.now());
        }
        match verdict {
            Verdict::Pass => None,
            Verdict::Follow(channel) => {
                recording.channel = Some(channel);
                None
            }
            Verdict::Forbidden(why) => {
                Some(recording.refuse(StatusCode::FORBIDDEN, "storage", &why))
            }
            Verdict::Conflict { why, .. } => {
                Some(recording.refuse(StatusCode::CONFLICT, "conflict", &why))
            }
        }
    }

    /// Asks the service whether a recording lives, with the login of the call in hand; none where it does not say.
    async fn lives(
        &self,
        app: &str,
        session: &Session,
        login: Option<&HeaderValue>,
    ) -> Option<bool> {
        let Session {
            resource_id,
            sid,
            mode,
        } = session;
        let url = format!(
            "{}/v1/apps/{app}/cloud_recording/resourceid/{resource_id}/sid/{sid}/mode/{mode}/query",
            self.upstream
        );
        let mut query = axum::http::Request::get(url);
        if let Some(login) = login {
            query = query.header(header::AUTHORIZATION, login);
        }
        let query = query.body(Body::empty()).ok()?;
        let answered = async {
            let answer = self.client.request(query).await.ok()?;
            match answer.status().as_u16() {
                404 => Some(false),
                200 => {
                    let body = to_bytes(Body::new(answer.into_body()), JUDGED_BYTES_MAX)
                        .await
                        .ok()?;
                    let body: Value = serde_json::from_slice(&body).ok()?;
                    // 7 stopped, 8 exited, 20 exited abnormally (API facts, section 4).
                    let status = body
                        .pointer("/serverResponse/status")
                        .and_then(Value::as_i64);
                    Some(!matches!(status, Some(7 | 8 | 20)))
                }
                _ => None,
            }
        };
        tokio::time::timeout(QUERY_TIMEOUT, answered).await.ok()?
    }
}

type SharedCall = Arc<Mutex<Call>>;

fn lock(call: &SharedCall) -> MutexGuard<'_, Call> {
    call.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A call under way. It is kept when it ends, in whatever way: dropped, its caller has gone away.
struct Recording {
    proxy: Arc<Inner>,
    call: SharedCall,
    /// Of a start that the guard follows.
    channel: Option<Channel>,
    is_kept: bool,
}

impl Recording {
    fn new(proxy: &Arc<Inner>, method: &Method, url: &str, headers: &HeaderMap) -> Recording {
        let call = Call {
            event_id: uuid::Uuid::new_v4().to_string(),
            requested_at: proxy.clock.now(),
            responded_at: None,
            method: method.clone(),
            url: url.to_string(),
            request_headers: headers.clone(),
            request_body: Captured::default(),
            status: None,
            response_headers: HeaderMap::new(),
            response_body: Captured::default(),
            error: None,
        };
        Recording {
            proxy: Arc::clone(proxy),
            call: Arc::new(Mutex::new(call)),
            channel: None,
            is_kept: false,
        }
    }

    fn call(&self) -> MutexGuard<'_, Call> {
        lock(&self.call)
    }

    /// Returns the service's answer, which is copied as it passes.
    fn pass_back(self, answer: Response<Body>) -> Response {
        {
            let mut call = self.call();
            call.status = Some(answer.status());
            call.response_headers = answer.headers().clone();
            call.responded_at = Some(self.proxy.clock.now());
        }
        let (mut parts, inner) = answer.into_parts();
        parts.headers = end_to_end(&parts.headers);
        parts.version = Version::HTTP_11;
        let is_empty = inner.is_end_stream();
        let mut copied = Copied {
            inner,
            to: CopyOf::Response(self),
        };
        if is_empty {
            copied.to.finish(None);
        }
        Response::from_parts(parts, Body::new(copied))
    }

    /// Answers in the service's place, which was not reached.
    fn fail(&mut self, status: StatusCode, why: &str) -> Response {
        self.finish(Some(why.to_string()));
        let message = format!("tapetrail proxy: {why}");
        answer(status, json!({"message": message}).to_string())
    }

    /// Answers in the service's place, in its form: the call is not passed on. The refusal is what the event tells.
    fn refuse(&mut self, status: StatusCode, reason: &'static str, why: &str) -> Response {
        self.proxy
            .metrics
            .refused
            .with_label_values(&[reason])
            .inc();
        tracing::warn!(reason, "a call is refused: {why}");
        let text = format!("refused by tapetrail proxy --enforce: {why}");
        let body = json!({"code": status.as_u16(), "reason": text}).to_string();
        {
            let mut call = self.call();
            call.status = Some(status);
            call.responded_at = Some(self.proxy.clock.now());
            call.response_body.push(&Bytes::from(body.clone()));
        }
        self.finish(None);
        let mut response = answer(status, body);
        let headers = response.headers_mut();
        headers.insert(REFUSED, HeaderValue::from_static(reason));
        response
    }

    /// Keeps the call, once.
    fn finish(&mut self, error: Option<String>) {
        if !std::mem::replace(&mut self.is_kept, true) {
            let mut call = lock(&self.call);
            call.error = error;
            self.proxy.keep(&call, self.channel.as_ref());
        }
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        let error = match self.call().status {
            None => "the caller gave up before an answer came",
            Some(_) => "the caller gave up before the answer was through",
        };
        self.finish(Some(error.to_string()));
    }
}

fn answer(status: StatusCode, body: String) -> Response {
    let json = HeaderValue::from_static("application/json");
    (status, [(header::CONTENT_TYPE, json)], body).into_response()
}

/// A body that is copied as it passes.
struct Copied {
    inner: Body,
    to: CopyOf,
}

enum CopyOf {
    Request(SharedCall),
    Response(Recording),
}

impl CopyOf {
    fn push(&mut self, chunk: &Bytes) {
        match self {
            CopyOf::Request(call) => lock(call).request_body.push(chunk),
            CopyOf::Response(recording) => recording.call().response_body.push(chunk),
        }
    }

    /// Nothing more comes: an answer is kept before its end is handed on.
    fn finish(&mut self, error: Option<String>) {
        if let CopyOf::Response(recording) = self {
            recording.finish(error);
        }
    }
}

impl HttpBody for Copied {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(chunk) = frame.data_ref() {
                    let chunk = chunk.clone();
                    self.to.push(&chunk);
                }
                if self.inner.is_end_stream() {
                    self.to.finish(None);
                }
            }
            Poll::Ready(Some(Err(error))) => {
                let error = format!("the answer broke off: {error}");
                self.to.finish(Some(error));
            }
            Poll::Ready(None) => self.to.finish(None),
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
