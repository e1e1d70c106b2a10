//! `/metrics`, `/healthz`, `/readyz`: the same for every process that runs for long.

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;

use crate::metrics::Vitals;

/// Returns the three routes.
pub fn routes(vitals: &Vitals) -> Router {
    let (metrics, readiness) = (vitals.clone(), vitals.clone());
    Router::new()
        .route("/metrics", get(async move || metrics.render()))
        .route("/healthz", get(async || "alive\n"))
        .route(
            "/readyz",
            get(async move || {
                let why = readiness.why_unready();
                match why.is_empty() {
                    true => (StatusCode::OK, "ready\n".to_string()),
                    false => (StatusCode::SERVICE_UNAVAILABLE, why.join("\n") + "\n"),
                }
            }),
        )
}
