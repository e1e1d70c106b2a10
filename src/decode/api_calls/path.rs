//! What the path of a call says: which operation it is, and on what (API facts, section 1).

use std::borrow::Cow;

use crate::vendor;

/// The parts of a call's URL. The host is apart: clients send one call to several hosts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Path<'u> {
    pub host: Option<Cow<'u, str>>,
    pub app_id: Option<&'u str>,
    pub operation: Operation,
    pub mode: Option<&'u str>,
    pub resource_id: Option<&'u str>,
    pub sid: Option<&'u str>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Operation {
    Acquire,
    Start,
    Update,
    UpdateLayout,
    Query,
    Stop,
    /// A call that this service does not know, or not in this place. It is kept as a row.
    #[default]
    Other,
}

impl Operation {
    pub const fn as_str(self) -> &'static str {
        match self {
            Operation::Acquire => "acquire",
            Operation::Start => "start",
            Operation::Update => "update",
            Operation::UpdateLayout => "update_layout",
            Operation::Query => "query",
            Operation::Stop => "stop",
            Operation::Other => "other",
        }
    }
}

/// Reads a path or a full URL, with or without a query. Paths are case sensitive.
pub fn parse(url: &str) -> Path<'_> {
    let url = url.trim_ascii();
    let end = memchr::memchr2(b'?', b'#', url.as_bytes()).unwrap_or(url.len());
    let (host, path) = split_host(&url[..end]);
    let mut parsed = Path {
        host,
        ..Path::default()
    };
    let mut steps = Steps { rest: Some(path) };
    // A gateway may put a path of its own in front of `/v1/apps/APP/cloud_recording`.
    let mut before = ["", ""];
    while let Some(step) = steps.next() {
        if step == "cloud_recording" {
            parsed.app_id = filled(before[1]).filter(|_| before[0] == "apps");
            read_steps(steps, &mut parsed);
            break;
        }
        before = [before[1], step];
    }
    parsed
}

/// Reads `resourceid/R/sid/S/mode/M/operation`, of which an operation needs what section 1 lists.
fn read_steps<'u>(mut steps: Steps<'u>, parsed: &mut Path<'u>) {
    let (mut has_resource_id, mut has_sid, mut has_mode) = (false, false, false);
    while let Some(step) = steps.next() {
        match step {
            "resourceid" => {
                has_resource_id = true;
                parsed.resource_id = steps.next().and_then(filled);
            }
            "sid" => {
                has_sid = true;
                parsed.sid = steps.next().and_then(filled);
            }
            "mode" => {
                has_mode = true;
                parsed.mode = steps.next().and_then(filled);
            }
            last => {
                // A slash at the end does no harm.
                let is_last = steps.all(str::is_empty);
                parsed.operation = match (last, has_resource_id, has_sid, has_mode) {
                    _ if !is_last => Operation::Other,
                    ("acquire", false, false, false) => Operation::Acquire,
                    ("start", true, false, true) => Operation::Start,
                    ("query", true, true, true) => Operation::Query,
                    ("update", true, true, true) => Operation::Update,
                    ("updateLayout", true, true, true) => Operation::UpdateLayout,
                    ("stop", true, true, true) => Operation::Stop,
                    _ => Operation::Other,
                };
                return;
            }
        }
    }
}

/// What stands between the slashes of a path. Searches bytes: this runs for every call, and `str::split` is slow.
struct Steps<'u> {
    rest: Option<&'u str>,
}

impl<'u> Iterator for Steps<'u> {
    type Item = &'u str;

    fn next(&mut self) -> Option<&'u str> {
        let rest = self.rest?;
        match memchr::memchr(b'/', rest.as_bytes()) {
            Some(slash) => {
                self.rest = Some(&rest[slash + 1..]);
                Some(&rest[..slash])
            }
            None => {
                self.rest = None;
                Some(rest)
            }
        }
    }
}

fn filled(step: &str) -> Option<&str> {
    (!step.is_empty()).then_some(step)
}

/// Splits `scheme://host/path`, `//host/path` and `host/path`; what begins with a slash has no host.
fn split_host(url: &str) -> (Option<Cow<'_, str>>, &str) {
    let authority_at = vendor::authority_at(url);
    let slash = memchr::memchr(b'/', &url.as_bytes()[authority_at..]);
    let path_at = slash.map_or(url.len(), |slash| authority_at + slash);
    let authority = &url[authority_at..path_at];
    // `v1/apps/..` is a path that lost its slash, `api.example/v1/apps/..` a URL that lost its scheme.
    let is_host = authority_at > 0 || memchr::memchr2(b'.', b':', authority.as_bytes()).is_some();
    match is_host {
        true => (vendor::host(authority), &url[path_at..]),
        false => (None, url),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, operation: &str, app_id: Option<&str>, rest: [Option<&str>; 3]) {
        let path = parse(url);
        assert_eq!(path.operation.as_str(), operation, "{url}");
        assert_eq!(path.app_id, app_id, "{url}");
        assert_eq!([path.resource_id, path.sid, path.mode], rest, "{url}");
    }

    #[test]
    fn the_six_operations_are_known() {
        let app = Some("app1");
        let prefix = "/v1/apps/app1/cloud_recording";
        let started = [Some("r-1"), None, Some("mix")];
        let running = [Some("r-1"), Some("S1"), Some("web")];
        check(&format!("{prefix}/acquire"), "acquire", app, [None; 3]);
        check(
            &format!("{prefix}/resourceid/r-1/mode/mix/start"),
            "start",
            app,
            started,
        );
        for (last, operation) in [
            ("query", "query"),
            ("update", "update"),
            ("updateLayout", "update_layout"),
            ("stop", "stop"),
        ] {
            let url = format!("{prefix}/resourceid/r-1/sid/S1/mode/web/{last}");
            check(&url, operation, app, running);
        }
    }

    #[test]
    fn host_query_and_a_gateways_prefix_do_not_matter() {
        for (url, host) in [
            (
                "https://API.agora.io/v1/apps/a/cloud_recording/acquire?x=/y",
                Some("api.agora.io"),
            ),
            (
                "https://u:p@api.agora.io:443/v1/apps/a/cloud_recording/acquire/",
                Some("api.agora.io:443"),
            ),
            (
                "api.sd-rtn.com/v1/apps/a/cloud_recording/acquire#f",
                Some("api.sd-rtn.com"),
            ),
            (
                "//api.sd-rtn.com/gate/v1/apps/a/cloud_recording/acquire",
                Some("api.sd-rtn.com"),
            ),
            ("v1/apps/a/cloud_recording/acquire", None),
            (" /v1/apps/a/cloud_recording/acquire ", None),
        ] {
            check(url, "acquire", Some("a"), [None; 3]);
            assert_eq!(parse(url).host.as_deref(), host, "{url}");
        }
    }

    #[test]
    fn near_misses_are_other() {
        let app = Some("a");
        let prefix = "/v1/apps/a/cloud_recording";
        check("/v1/ncs/ip", "other", None, [None; 3]);
        check("", "other", None, [None; 3]);
        check("https://", "other", None, [None; 3]);
        check(&format!("{prefix}/Acquire"), "other", app, [None; 3]);
        check(&format!("{prefix}/start"), "other", app, [None; 3]);
        check(
            &format!("{prefix}/resourceid/r/mode/mix/start/x"),
            "other",
            app,
            [Some("r"), None, Some("mix")],
        );
        check(
            &format!("{prefix}/resourceid/r/sid"),
            "other",
            app,
            [Some("r"), None, None],
        );
        check(&format!("{prefix}/"), "other", app, [None; 3]);
        check(
            "/v1/apps//cloud_recording/acquire",
            "acquire",
            None,
            [None; 3],
        );
        check(
            &format!("{prefix}/resourceid/r/sid//mode/mix/query"),
            "query",
            app,
            [Some("r"), None, Some("mix")],
        );
    }
}
