//! libFuzzer's entry: runs the target that the environment variable `FUZZ_TARGET` names, after
//! writing its seeds into the folder that `FUZZ_SEEDS` names. `list` prints the targets.

#![no_main]
// The macro below exports the two symbols that libFuzzer calls.
#![allow(unsafe_code)]

use libfuzzer_sys::fuzz_target;
use std::sync::OnceLock;

static TARGET: OnceLock<&'static fuzz::Target> = OnceLock::new();

fuzz_target!(
    init: {
        let name = std::env::var("FUZZ_TARGET").expect("FUZZ_TARGET names the target");
        if name == "list" {
            fuzz::TARGETS.iter().for_each(|target| println!("target {}", target.name));
            std::process::exit(0);
        }
        let target = fuzz::find(&name).expect("a known target");
        if let Ok(folder) = std::env::var("FUZZ_SEEDS") {
            for (at, seed) in (target.seeds)().iter().enumerate() {
                let path = format!("{folder}/seed-{at}");
                std::fs::write(path, seed).expect("the folder of the corpus can be written");
            }
        }
        let _ = TARGET.set(target);
    },
    |data: &[u8]| {
        if let Some(target) = TARGET.get() {
            fuzz::run_bounded(target, data);
        }
    }
);
