//! `pib pom` and `pib group roster`; a real group whose member signs two proposals.

mod common;

use common::Place;
use std::fs;

const MEMBERS: [&str; 5] = ["ada", "ben", "cleo", "dan", "eve"];

#[test]
fn equivocating_member_is_convicted_by_a_file_that_anybody_can_check() {
    let place = Place::new();
    let temporary = place.path("tmp");
    fs::create_dir(&temporary).unwrap();
    let mut command = place.command("x");
    command.env("TMPDIR", &temporary).args(["--json", "demo", "--scenario", "equivocate"]);
    command.args(["--nodes", "5", "--files", "60", "--seed", "7", "--keep"]);
    let done = common::finish(command.output().unwrap()).ok();
    let result = done.json("demo_result");
    for (key, value) in [("nodes", 5), ("f", 1), ("honest_convicted", 0)] {
        assert_eq!(result[key], value, "{key}: {result}");
    }
    let hostile = &result["hostile"];
    assert_eq!(result["convicted"][0]["member"], *hostile);
    assert_eq!(result["convicted"][0]["kind"], "TR1 SenderEquivocation");
    for key in ["restored_identical", "verified_offline", "expelled"] {
        assert_eq!(result[key], true, "{key}");
    }
    // Once more by hand, in a folder that holds nothing but proof and roster.
    let empty = place.path("empty");
    fs::create_dir(&empty).unwrap();
    let copy = |key: &str, name: &str| {
        fs::copy(result[key].as_str().unwrap(), empty.join(name)).unwrap();
    };
    copy("proof", "proof");
    copy("roster", "roster");
    let verify = |arguments: &[&str]| {
        let mut command = place.command("nobody");
        command.current_dir(&empty).args(["--json", "pom", "verify"]).args(arguments);
        common::finish(command.output().unwrap())
    };
    let verdict = verify(&["proof", "--roster", "roster"]).ok().json("pom_verdict");
    assert_eq!(verdict["member"], *hostile);
    assert_eq!(verdict["kind"], "TR1");
    let id = verdict["group_id"].as_str().unwrap().to_owned();
    verify(&["proof", "--roster", "roster", "--group", &id]).ok();
    let other = id.replace(|c: char| c.is_ascii_digit(), "0");
    let error = verify(&["proof", "--roster", "roster", "--group", &other]).error(15);
    assert!(error.contains("the roster is that of group"), "{error}");
    let proof = fs::read(empty.join("proof")).unwrap();
    for at in (0..proof.len()).step_by(17) {
        let mut changed = proof.clone();
        changed[at] ^= 0x10;
        fs::write(empty.join("changed"), changed).unwrap();
        verify(&["changed", "--roster", "roster"]).error(15);
    }
    fs::write(empty.join("other"), b"hello").unwrap();
    let error = verify(&["other", "--roster", "roster"]).error(15);
    assert!(error.contains("PIBPOM"), "{error}");
}

#[test]
fn storer_that_answers_falsely_is_convicted_by_its_answers_and_nothing_is_lost() {
    let place = Place::new();
    let temporary = place.path("tmp");
    fs::create_dir(&temporary).unwrap();
    let mut command = place.command("x");
    command.env("TMPDIR", &temporary).args(["--json", "demo", "--scenario", "liar"]);
    command.args(["--nodes", "5", "--files", "60", "--seed", "7", "--keep"]);
    let done = common::finish(command.output().unwrap()).ok();
    let result = done.json("demo_result");
    assert_eq!(result["honest_convicted"], 0, "{result}");
    for key in ["restored_identical", "verified_offline"] {
        assert_eq!(result[key], true, "{key}: {result}");
    }
    let convicted = result["convicted"].as_array().unwrap();
    assert!(convicted.iter().all(|one| one["member"] == result["hostile"]), "{result}");
    let kinds: Vec<_> = convicted.iter().map(|one| one["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["PB1 WrongChunk", "PB2 BadDeny"], "{result}");
    // Once more by hand, in a folder that holds nothing but proofs and roster.
    let empty = place.path("empty");
    fs::create_dir(&empty).unwrap();
    fs::copy(result["roster"].as_str().unwrap(), empty.join("roster")).unwrap();
    for (proof, kind) in result["proofs"].as_array().unwrap().iter().zip(["PB1", "PB2"]) {
        fs::copy(proof.as_str().unwrap(), empty.join("proof")).unwrap();
        let mut command = place.command("nobody");
        command
            .current_dir(&empty)
            .args(["--json", "pom", "verify", "proof", "--roster", "roster"]);
        let verdict = common::finish(command.output().unwrap()).ok().json("pom_verdict");
        assert_eq!((&verdict["member"], &verdict["kind"]), (&result["hostile"], &kind.into()));
    }
}

/// The last line that people and scripts read, and once more by hand in a folder with nothing but proof and roster.
#[test]
fn storer_that_refuses_is_convicted_by_the_group_that_waited_and_nothing_is_lost() {
    let place = Place::new();
    let temporary = place.path("tmp");
    fs::create_dir(&temporary).unwrap();
    let mut command = place.command("x");
    command.env("TMPDIR", &temporary).args(["--json", "demo", "--scenario", "refuser"]);
    command.args(["--nodes", "5", "--files", "40", "--seed", "7", "--keep"]);
    let done = common::finish(command.output().unwrap()).ok();
    let result = done.json("demo_result");
    assert_eq!(result["honest_convicted"], 0, "{result}");
    for key in ["restored_identical", "verified_offline"] {
        assert_eq!(result[key], true, "{key}: {result}");
    }
    let convicted = result["convicted"].as_array().unwrap();
    assert_eq!(convicted.len(), 1, "{result}");
    assert_eq!(convicted[0]["member"], result["hostile"]);
    assert_eq!(convicted[0]["kind"], "WR1 NoEvidence");
    let empty = place.path("empty");
    fs::create_dir(&empty).unwrap();
    for (from, to) in [("roster", "roster"), ("proof", "proof")] {
        fs::copy(result[from].as_str().unwrap(), empty.join(to)).unwrap();
    }
    let mut command = place.command("nobody");
    command.current_dir(&empty).args(["--json", "pom", "verify", "proof", "--roster", "roster"]);
    let verdict = common::finish(command.output().unwrap()).ok().json("pom_verdict");
    assert_eq!((&verdict["member"], &verdict["kind"]), (&result["hostile"], &"WR1".into()));
}

#[test]
fn roster_of_another_group_convicts_nobody_and_a_hostile_member_runs_nowhere_else() {
    let place = Place::new();
    let ticket = place.group(&MEMBERS, "", "7d");
    place.pib("ada", &["join", ticket.to_str().unwrap()]).ok();
    let file = place.path("roster");
    let out = file.to_str().unwrap();
    let written = place.pib("ada", &["group", "roster", "--out", out]).ok().json("group_roster");
    let text = fs::read_to_string(&file).unwrap();
    assert_eq!(written["roster"], text);
    assert!(text.contains("# slot 4 eve") && text.contains(written["group_id"].as_str().unwrap()));
    place.pib("ada", &["group", "roster", "--out", out]).error(1);
    let dir = place.path("authority");
    let dir = dir.to_str().unwrap();
    let admin = place.pib("admin", &["group", "roster", "--dir", dir]).ok().json("group_roster");
    assert_eq!(admin["roster"], text);
    let error = place.pib("nobody", &["pom", "verify", "nothing", "--roster", out]).error(1);
    assert!(error.contains("nothing"), "{error}");
    let error = place.pib("ada", &["hostile", "--second-to", "1"]).error(2);
    assert!(error.contains("demonstration"), "{error}");
    place.pib("ada", &["pom", "list"]).error(11);
}
