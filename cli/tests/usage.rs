//! Exit codes and error lines of commands that cannot do their work.

mod common;

use common::Place;
use std::process::Command;

const DAEMON_COMMANDS: [&[&str]; 9] = [
    &["status"],
    &["backup", "/etc"],
    &["snapshots"],
    &["ls"],
    &["restore", "--target", "/tmp/never"],
    &["check"],
    &["prune"],
    &["forget", "--keep-last", "1"],
    &["mount", "/tmp"],
];

#[test]
fn commands_without_member_end_with_code_10() {
    let place = Place::new();
    for arguments in DAEMON_COMMANDS {
        assert!(place.pib("ada", arguments).error(10).contains("pib init"), "{arguments:?}");
    }
    place.pib("ada", &["daemon"]).error(10);
}

#[test]
fn commands_without_group_end_with_code_10() {
    let place = Place::new();
    place.init("ada");
    for arguments in DAEMON_COMMANDS {
        assert!(place.pib("ada", arguments).error(10).contains("pib join"), "{arguments:?}");
    }
    place.pib("ada", &["daemon"]).error(10);
}

#[test]
fn commands_without_daemon_end_with_code_11() {
    let place = Place::new();
    let ticket = place.group(&["ada", "ben"], "", "7d");
    place.pib("ada", &["join", ticket.to_str().unwrap()]).ok();
    for arguments in DAEMON_COMMANDS {
        assert!(place.pib("ada", arguments).error(11).contains("pib daemon"), "{arguments:?}");
    }
}

#[test]
fn malformed_configuration_is_refused_with_file_line_and_key() {
    let place = Place::new();
    let ticket = place.group(&["ada", "ben"], "", "7d");
    place.pib("ada", &["join", ticket.to_str().unwrap()]).ok();
    let config = place.path("ada/config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("upload =", "uplaod =")).unwrap();
    for arguments in [&["daemon"][..], &["backup"]] {
        let error = place.pib("ada", arguments).error(2);
        for part in ["config.toml", "line", "uplaod"] {
            assert!(error.contains(part), "{error}");
        }
    }
}

#[test]
fn wrong_usage_ends_with_code_2_in_words_and_in_json() {
    let place = Place::new();
    for arguments in [
        &["frobnicate"][..],
        &["restore"],
        &["forget"],
        &["demo", "--nodes", "5", "--faulty", "2"],
        &["demo", "--nodes", "1"],
        &["bench", "backup", "--size", "much"],
        &["bench", "rsm", "--nodes", "5", "--command-size", "1GiB"],
    ] {
        place.pib("ada", arguments).error(2);
    }
    let words = place.command("ada").arg("restore").output().unwrap();
    assert_eq!(words.status.code(), Some(2));
    assert!(String::from_utf8(words.stderr).unwrap().contains("--target"));
}

#[test]
fn demo_of_an_impossible_group_says_which_sizes_are_possible() {
    let place = Place::new();
    let error = place.pib("x", &["demo", "--nodes", "7", "--faulty", "2"]).error(2);
    assert!(error.contains("3f+2 = 8") && error.contains("--faulty 1"), "{error}");
}

#[test]
fn help_version_completions_and_manual_pages_are_there() {
    let place = Place::new();
    let pib = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_pib")).args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(pib(&["--help"]).contains("130 interrupted"));
    assert!(pib(&["--version"]).starts_with("pib "));
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(pib(&["completions", shell]).contains("snapshots"), "{shell}");
    }
    let pages = place.path("man1");
    pib(&["man", pages.to_str().unwrap()]);
    let names = common::names(&pages);
    for page in ["pib.1", "pib-backup.1", "pib-group-admit.1"] {
        assert!(names.contains(&page.to_owned()), "{names:?}");
    }
}

#[test]
fn process_that_should_end_with_a_stranger_refuses_to_start() {
    let place = Place::new();
    let done = place.pib("ada", &["--die-with", "1", "status"]);
    assert_eq!(done.code, 1, "{done:?}");
}
