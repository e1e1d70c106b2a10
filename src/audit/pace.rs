//! How often stores are asked.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

/// Lets requests through one after the other, no more than so many a second.
pub struct Pace {
    gap: Duration,
    next: Mutex<Instant>,
}

impl Pace {
    pub fn new(requests_per_second: u32) -> Self {
        Pace {
            gap: Duration::from_secs(1) / requests_per_second.max(1),
            next: Mutex::new(Instant::now()),
        }
    }

    /// Waits for one's turn.
    pub async fn wait(&self) {
        let at = {
            let mut next = self.next.lock().await;
            let at = (*next).max(Instant::now());
            *next = at + self.gap;
            at
        };
        tokio::time::sleep_until(at).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_more_requests_a_second_pass_than_allowed() {
        let pace = Pace::new(200);
        let begin = Instant::now();
        for _ in 0..11 {
            pace.wait().await;
        }
        assert!(begin.elapsed() >= Duration::from_millis(50));
    }
}
