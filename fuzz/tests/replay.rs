//! Replays the corpus and a fixed number of mutations: what runs without an engine.

use fuzz::{Mutations, TARGETS, find, run_bounded};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// One test, so that nothing else allocates at the same time.
#[test]
fn corpus_and_mutations_break_no_guarantee() {
    for target in TARGETS {
        let mut inputs = (target.seeds)();
        inputs.extend(corpus(target.name));
        let count = if target.decoder { 5_000 } else { 60 };
        let mutations = Mutations::new(inputs.clone(), 0x5eed).take(count);
        for input in inputs.iter().cloned().chain(mutations) {
            let run = catch_unwind(AssertUnwindSafe(|| run_bounded(target, &input)));
            assert!(run.is_ok(), "target {} fails on {input:02x?}", target.name);
        }
    }
}

#[test]
fn targets_have_distinct_names_and_seeds_that_are_accepted() {
    let names: BTreeSet<&str> = TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(names.len(), TARGETS.len());
    for target in TARGETS {
        assert!(find(target.name).is_some() && !(target.seeds)().is_empty(), "{}", target.name);
    }
    let messages = find("message").unwrap();
    // The kinds that a run brings, so that mutations start deep inside each decoder.
    let kinds: BTreeSet<u8> = (messages.seeds)().iter().map(|bytes| bytes[0]).collect();
    assert!(kinds.len() >= 10, "{kinds:?}");
}
