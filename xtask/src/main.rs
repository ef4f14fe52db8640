//! Development tasks: test, lint, bench
fn main() {}
