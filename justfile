# Short names for what is typed often: `just test`. Each is a command of cargo's or a step of `.ci/run`.

default: check

check:
    .ci/run format clippy

test *args:
    cargo test --workspace {{args}}

# Rewrites the texts that tests compare; look at the diff.
bless *args:
    DIAG_BLESS=1 cargo test --workspace {{args}}
    DIAG_BLESS=1 cargo run -p diag-test-support --bin public_api

doc:
    .ci/run doc

demo:
    cargo run --release --bin demo

loom:
    .ci/run loom_all

asan:
    .ci/run asan

# Instructions of a spawn, a poll, a round trip and an allocation, against the committed ones.
gate:
    .ci/run gate

# The tables of diag/peers/TABLES.md; takes an hour.
peers:
    cargo run --release --manifest-path diag/peers/Cargo.toml -- tasks
    cargo run --release --manifest-path diag/peers/Cargo.toml -- heap
    cargo run --release --manifest-path diag/peers/Cargo.toml -- service

ci *steps:
    .ci/run {{steps}}
