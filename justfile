# What CI runs, too: green here is green there.

# Formatting, lints with warnings denied, documentation.
check:
    cargo fmt --check
    cargo clippy --locked --all-targets -- -D warnings
    cargo clippy --locked --test kafka --test browser -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps

# Everything that needs no broker.
test:
    cargo test --locked

# Against a real Apache Kafka, MinIO and PostgreSQL, which the tests start by themselves (Java and Maven; curl, Go and postgresql).
test-kafka:
    cargo test --locked --test kafka -- --test-threads 3

# The report's page in a real browser (Chromium).
test-browser:
    cargo test --locked --test browser

# Speed of the parts, then of the consumer beside kcat on the same topic, then of the webhook receiver.
bench:
    cargo bench --locked
    benches/throughput.sh
    benches/webhooks.sh

# The detections over a lake in DuckDB, side by side (Python 3.11, `pip install duckdb`).
bench-duckdb lake:
    cargo build --release --locked
    benches/beside_duckdb.py {{lake}} --tapetrail target/release/tapetrail

# The whole thing, with nothing installed.
demo:
    cargo run --locked --release -- demo
