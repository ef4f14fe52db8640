//! `pib init`.

mod common;

use common::{Place, finish, names};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

#[test]
fn init_makes_a_member_with_private_secret_and_valid_join_request() {
    let place = Place::new();
    let line = place.init("ada");
    let request = policy::JoinRequest::parse(&line).unwrap();
    assert_eq!(request.founder().name, "ada");
    assert_eq!(request.founder().identities.len(), 3);
    assert_eq!(names(&place.path("ada")), ["config.toml", "master.secret"]);
    for private in ["ada", "ada/master.secret", "ada.code"] {
        let mode = place.path(private).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{private}");
    }
    let words = std::fs::read_to_string(place.path("ada.code")).unwrap();
    assert_eq!(words.split_whitespace().count(), 24);
}

/// Guarantee 3.
#[test]
fn init_on_a_folder_with_a_member_changes_nothing() {
    let place = Place::new();
    place.init("ada");
    let secret = std::fs::read(place.path("ada/master.secret")).unwrap();
    let again = place.pib("ada", &["init", "--name", "eve", "--yes"]);
    assert!(again.error(1).contains("already"));
    assert_eq!(std::fs::read(place.path("ada/master.secret")).unwrap(), secret);
}

#[test]
fn init_does_not_replace_a_file_with_another_recovery_code() {
    let place = Place::new();
    place.init("ada");
    let code = place.path("ada.code");
    let done = place.pib("ben", &["init", "--recovery-code-file", code.to_str().unwrap()]);
    assert!(done.error(1).contains("exists"));
    assert!(!place.path("ben").exists());
}

#[test]
fn init_without_terminal_and_without_file_is_refused_before_a_secret_exists() {
    let place = Place::new();
    assert!(place.pib("ada", &["init"]).error(2).contains("recovery code"));
    assert!(!place.path("ada").exists());
}

#[test]
fn init_with_yes_and_json_prints_the_code() {
    let place = Place::new();
    let done = place.pib("ada", &["init", "--name", "ada", "--yes"]).ok();
    let code = done.json("init")["recovery_code"].as_str().unwrap().to_owned();
    assert_eq!(code.split(' ').count(), 24);
}

/// The words alone make the same identities again.
#[test]
fn init_from_recovery_code_makes_the_same_member() {
    let place = Place::new();
    let identity =
        |line: &str| policy::JoinRequest::parse(line).unwrap().founder().identities.clone();
    let first = identity(&place.init("ada"));
    let code = place.path("ada.code");
    let arguments = [
        "init",
        "--name",
        "ada",
        "--from-recovery-code",
        "--recovery-code-file",
        code.to_str().unwrap(),
    ];
    let done = place.pib("again", &arguments).ok();
    assert_eq!(identity(done.json("init")["join_request"].as_str().unwrap()), first);
    let read = |member: &str| std::fs::read(place.path(member).join("master.secret")).unwrap();
    assert_eq!(read("ada"), read("again"));
}

#[test]
fn wrong_recovery_code_ends_with_code_12_and_stores_nothing() {
    let place = Place::new();
    place.init("ada");
    let code = std::fs::read_to_string(place.path("ada.code")).unwrap();
    let mut words: Vec<&str> = code.split_whitespace().collect();
    words.swap(0, 23);
    let wrong = words.join(" ");
    for text in [wrong.as_str(), "too few words", "", &code.replace(words[1], "xyzzy")] {
        let mut command = place.command("again");
        command.args(["--json", "init", "--from-recovery-code"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let done = finish(child.wait_with_output().unwrap());
        assert!(done.error(12).contains("recovery code"), "{text}");
        assert!(!place.path("again").exists());
    }
}

#[test]
fn init_with_bad_name_or_address_is_wrong_usage() {
    let place = Place::new();
    for arguments in [["--name", " x"], ["--address", "nowhere"], ["--listen", "nowhere"]] {
        let done = place.pib("ada", &[&["init", "--yes"], &arguments[..]].concat());
        done.error(2);
        assert!(!place.path("ada").exists(), "{arguments:?}");
    }
}
