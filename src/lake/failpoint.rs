//! Places where a test can make the process die, as `kill -9` would, to prove that nothing is lost or repeated.
//! Release builds have none of it.

/// Aborts the process when the environment says `TAPETRAIL_FAILPOINT=<name>`; debug builds only.
#[inline]
pub fn failpoint(name: &str) {
    #[cfg(debug_assertions)]
    if std::env::var("TAPETRAIL_FAILPOINT").is_ok_and(|wanted| wanted == name) {
        std::process::abort();
    }
    #[cfg(not(debug_assertions))]
    let _ = name;
}
