//! `pib ledger`.

mod common;

use common::Place;

#[test]
fn ledger_params_prints_sizes_and_says_whether_sampling_pays() {
    let place = Place::new();
    let ask = |members, byzantine| {
        let words = ["ledger", "params", "--members", members, "--byzantine", byzantine];
        place.pib("ada", &[&words[..], &["--epsilon", "1e-6"]].concat())
    };
    let large = ask("100", "0.1").ok().json("ledger_params");
    let distinct = &large["rows"][0];
    assert_eq!(distinct["gossip"], 11, "{large}");
    assert_eq!(distinct["echo"], serde_json::json!([48, 38]), "{large}");
    assert_eq!(distinct["pays"], true, "{large}");
    assert!(distinct["consistency"].as_f64().unwrap() <= 1e-6, "{large}");
    let small = ask("30", "0.1").ok().json("ledger_params");
    assert!(small["advice"].as_str().unwrap().contains("use certified broadcast"), "{small}");
    assert!(ask("100", "0.4").error(2).contains("less than 1/3"));
}
