//! `pib group create`, `admit` and `show`.

mod common;

use common::Place;

const MEMBERS: [&str; 5] = ["ada", "ben", "cleo", "dan", "eve"];

#[test]
fn group_of_five_is_sealed_with_f_1_and_shown() {
    let place = Place::new();
    place.group(&MEMBERS, "", "7d");
    let dir = place.path("authority");
    let shown = place.pib("admin", &["group", "show", "--dir", dir.to_str().unwrap()]).ok();
    let group = shown.json("group");
    assert_eq!((group["n"].as_u64(), group["f"].as_u64()), (Some(5), Some(1)));
    assert_eq!((group["chunks"].as_u64(), group["chunks_needed"].as_u64()), (Some(4), Some(3)));
    assert_eq!(group["members"].as_array().unwrap().len(), 5);
}

#[test]
fn group_below_3f_plus_2_is_refused_and_keeps_its_members() {
    let place = Place::new();
    let requests: Vec<String> = MEMBERS[..4].iter().map(|member| place.init(member)).collect();
    let policy = place.path("policy.toml");
    std::fs::write(&policy, "[group]\nbyzantine_max = 1\n").unwrap();
    place.pib("admin", &["group", "create", "dorm", "--policy", policy.to_str().unwrap()]).ok();
    let mut arguments = vec!["group", "admit", "--final"];
    arguments.extend(requests.iter().map(String::as_str));
    let error = place.pib("admin", &arguments).error(1);
    assert!(error.contains("3f+2 = 5"), "{error}");
    let draft = place.pib("admin", &["group", "show"]).ok().json("group_draft");
    assert_eq!(draft["members"].as_array().unwrap().len(), 4);
    assert_eq!(draft["sealable"], false);
    let fifth = place.init("eve");
    place.pib("admin", &["group", "admit", &fifth, "--final"]).ok();
}

#[test]
fn sealed_group_admits_nobody_but_gives_new_tickets() {
    let place = Place::new();
    place.group(&MEMBERS, "", "7d");
    let dir = place.path("authority");
    let dir = dir.to_str().unwrap();
    let show = || place.pib("admin", &["group", "show", "--dir", dir]).ok().json("group");
    let before = show();
    let late = place.init("late");
    let error = place.pib("admin", &["group", "admit", "--dir", dir, &late]).error(1);
    assert!(error.contains("reconfiguration"), "{error}");
    place.pib("admin", &["group", "admit", "--dir", dir, "--final", "--expires", "30d"]).ok();
    let after = show();
    assert_eq!(before["group_id"], after["group_id"]);
    assert!(before["expires_ms"].as_u64() < after["expires_ms"].as_u64());
}

#[test]
fn one_member_or_one_name_twice_is_refused() {
    let place = Place::new();
    let ada = place.init("ada");
    place.pib("admin", &["group", "create", "dorm"]).ok();
    place.pib("admin", &["group", "admit", &ada]).ok();
    assert!(place.pib("admin", &["group", "admit", &ada]).error(1).contains("already"));
    let code = place.path("other.code");
    let other = place
        .pib("other", &["init", "--name", "ada", "--recovery-code-file", code.to_str().unwrap()])
        .ok()
        .json("init");
    let other = other["join_request"].as_str().unwrap();
    assert!(place.pib("admin", &["group", "admit", other]).error(1).contains("ada"));
}

#[test]
fn damaged_requests_are_refused_with_the_reason() {
    let place = Place::new();
    let ada = place.init("ada");
    place.pib("admin", &["group", "create", "dorm"]).ok();
    let admit = |request: &str| place.pib("admin", &["group", "admit", request]).error(1);
    assert!(admit(&ada[..ada.len() - 9]).contains("truncated"));
    assert!(admit(&ada.replace("join1", "join9")).contains("version 9"));
    assert!(admit("hello").contains("no join request"));
    let file = place.path("requests");
    std::fs::write(&file, format!("{ada}\n\nrubbish\n")).unwrap();
    assert!(admit(file.to_str().unwrap()).contains("requests"));
}

#[test]
fn malformed_policy_is_refused_with_file_line_and_key() {
    let place = Place::new();
    let policy = place.path("policy.toml");
    std::fs::write(&policy, "[timing]\nt0_min_ms = 1\nt0_mox_ms = 2\n").unwrap();
    let done =
        place.pib("admin", &["group", "create", "dorm", "--policy", policy.to_str().unwrap()]);
    let error = done.error(2);
    for part in ["policy.toml", "line 3", "t0_mox_ms"] {
        assert!(error.contains(part), "{error}");
    }
    assert!(!place.path("admin").exists());
}

#[test]
fn authority_key_is_private_and_not_replaced() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new();
    place.pib("admin", &["group", "create", "dorm"]).ok();
    let key = place.path("admin/authority/authority.secret");
    assert_eq!(key.metadata().unwrap().permissions().mode() & 0o077, 0);
    let before = std::fs::read(&key).unwrap();
    assert!(place.pib("admin", &["group", "create", "other"]).error(1).contains("already"));
    assert_eq!(std::fs::read(&key).unwrap(), before);
}

#[test]
fn admit_without_a_group_ends_with_code_10() {
    let place = Place::new();
    place.pib("admin", &["group", "admit", "--final"]).error(10);
    place.pib("admin", &["group", "show"]).error(10);
}
