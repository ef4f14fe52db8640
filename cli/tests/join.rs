//! `pib join`.

mod common;

use common::{Place, names};

const MEMBERS: [&str; 5] = ["ada", "ben", "cleo", "dan", "eve"];

#[test]
fn join_by_file_and_by_line_stores_the_ticket() {
    let place = Place::new();
    let ticket = place.group(&MEMBERS, "", "7d");
    let line = std::fs::read_to_string(&ticket).unwrap();
    let joined = place.pib("cleo", &["join", ticket.to_str().unwrap()]).ok().json("joined");
    assert_eq!(joined["slot"], 2);
    place.pib("dan", &["join", line.trim()]).ok();
    for member in ["cleo", "dan"] {
        assert!(names(&place.path(member)).contains(&"group.ticket".to_owned()));
        let shown = place.pib(member, &["group", "show"]).ok().json("group");
        assert_eq!(shown["group"], "dorm");
    }
    // The same ticket once more does no harm.
    place.pib("cleo", &["join", ticket.to_str().unwrap()]).ok();
}

#[test]
fn expired_forged_truncated_and_foreign_tickets_are_refused_and_not_stored() {
    let place = Place::new();
    let ticket = place.group(&MEMBERS, "", "1ms");
    std::thread::sleep(std::time::Duration::from_millis(20));
    let join = |member: &str, ticket: &str| place.pib(member, &["join", ticket]).error(1);
    assert!(join("ada", ticket.to_str().unwrap()).contains("expired"));

    let dir = place.path("authority");
    let renew = ["group", "admit", "--final", "--dir", dir.to_str().unwrap()];
    let sealed = place.pib("admin", &renew).ok().json("group_sealed");
    let line = sealed["ticket"].as_str().unwrap();
    assert!(join("ada", &line[..line.len() / 2]).contains("truncated"));
    let missing = join("ada", dir.join("no-such-file").to_str().unwrap());
    assert!(missing.contains("no-such-file"), "{missing}");
    place.init("mallory");
    assert!(join("mallory", line).contains("not for this member"));
    assert!(join("ada", &forged(line)).contains("forged"));
    assert!(!place.path("ada/group.ticket").exists());
    let other = place.pib("ada", &["join", line, "--group-id", "0000000000"]);
    assert!(other.error(1).contains("not for 0000000000"));
    place.pib("ada", &["join", line]).ok();
}

/// The same group with a later expiry, by an authority that has the wrong key: parsed, changed in
/// its signed bytes, wrapped again with a fitting digest.
fn forged(line: &str) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let mut bytes = URL_SAFE_NO_PAD.decode(line.strip_prefix("pib-ticket1-").unwrap()).unwrap();
    let end = bytes.len() - 4;
    // Length, then the header of 20 bytes, then the expiry.
    bytes[4 + 20 + 5] ^= 1;
    let digest = types::Hash::tagged("pib-ticket1-", &bytes[4..end]);
    bytes[end..].copy_from_slice(&digest.as_bytes()[..4]);
    format!("pib-ticket1-{}", URL_SAFE_NO_PAD.encode(bytes))
}

#[test]
fn member_of_one_group_does_not_join_another() {
    let place = Place::new();
    let ticket = place.group(&MEMBERS, "", "7d");
    place.pib("ada", &["join", ticket.to_str().unwrap()]).ok();
    let first = std::fs::read(place.path("ada/group.ticket")).unwrap();
    // The same members found another group.
    place.pib("boss", &["group", "create", "other"]).ok();
    let requests: Vec<String> = std::fs::read_to_string(place.path("authority/requests"))
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect();
    let mut arguments = vec!["group", "admit", "--final"];
    arguments.extend(requests.iter().map(String::as_str));
    let sealed = place.pib("boss", &arguments).ok().json("group_sealed");
    let error = place.pib("ada", &["join", sealed["ticket"].as_str().unwrap()]).error(1);
    assert!(error.contains("dorm"), "{error}");
    assert_eq!(std::fs::read(place.path("ada/group.ticket")).unwrap(), first);
}

#[test]
fn join_without_init_ends_with_code_10() {
    let place = Place::new();
    assert!(place.pib("ada", &["join", "pib-ticket1-x"]).error(10).contains("pib init"));
}
