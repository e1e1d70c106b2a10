# What CI runs, too: green here is green there.

# Formatting, lints with warnings denied, documentation.
check:
    cargo fmt --check
    cargo clippy --locked --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps

# Everything that needs no broker.
test:
    cargo test --locked

# Against a real Apache Kafka, which the tests start by themselves.
test-kafka:
    cargo test --locked --test kafka

# Speed of the parts, and of the whole.
bench:
    cargo bench --locked

# The whole thing, with nothing installed.
demo:
    cargo run --locked --release -- demo
