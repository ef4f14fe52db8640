//! Running the `pib` program in a folder of its own.
#![allow(dead_code, reason = "each test file uses a part of it")]

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A place with members, and what they run.
pub struct Place {
    pub folder: tempfile::TempDir,
}

/// A finished command.
#[derive(Debug)]
pub struct Done {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Done {
    /// The last line of standard output of a type.
    pub fn json(&self, message_type: &str) -> Value {
        let lines =
            self.stdout.lines().rev().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.into_iter().find(|line| line["message_type"] == message_type).unwrap_or_else(|| {
            panic!("no {message_type} in {self:?}");
        })
    }

    /// The error line; fails the test unless code, message and hint are all there.
    pub fn error(&self, code: i32) -> String {
        assert_eq!(self.code, code, "{self:?}");
        let line: Value = serde_json::from_str(self.stderr.trim()).unwrap();
        assert_eq!(line["message_type"], "exit_error");
        assert_eq!(line["code"], code);
        let hint = line["hint"].as_str().unwrap();
        assert!(!hint.is_empty(), "an error without a next step: {self:?}");
        format!("{} ({hint})", line["message"].as_str().unwrap())
    }

    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }
}

impl Place {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn command(&self, member: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pib"));
        command.env_remove("PIB_CONFIG").env_remove("PIB_DATA_DIR").env_remove("PIB_LOG");
        command.arg("--data-dir").arg(self.path(member)).stdin(Stdio::null());
        command
    }

    /// Runs with `--json`.
    pub fn pib(&self, member: &str, arguments: &[&str]) -> Done {
        let mut command = self.command(member);
        finish(command.arg("--json").args(arguments).output().unwrap())
    }

    /// Makes a member; gives its join request.
    pub fn init(&self, member: &str) -> String {
        let code = self.path(&format!("{member}.code"));
        let code = code.to_str().unwrap();
        let port = 20_000 + member.bytes().map(u32::from).sum::<u32>();
        let listen = format!("127.0.0.1:{port}");
        let done = self
            .pib(
                member,
                &["init", "--name", member, "--listen", &listen, "--recovery-code-file", code],
            )
            .ok();
        done.json("init")["join_request"].as_str().unwrap().to_owned()
    }

    /// A sealed group of these members; gives the ticket's file.
    pub fn group(&self, members: &[&str], policy: &str, expires: &str) -> PathBuf {
        let requests: Vec<String> = members.iter().map(|member| self.init(member)).collect();
        let dir = self.path("authority");
        let dir = dir.to_str().unwrap();
        let policy_file = self.path("policy.toml");
        std::fs::write(&policy_file, policy).unwrap();
        let policy_file = policy_file.to_str().unwrap();
        self.pib("admin", &["group", "create", "dorm", "--dir", dir, "--policy", policy_file]).ok();
        let ticket = self.path("ticket");
        let mut arguments = vec!["group", "admit", "--dir", dir, "--final", "--expires", expires];
        arguments.extend(["--out", ticket.to_str().unwrap()]);
        arguments.extend(requests.iter().map(String::as_str));
        self.pib("admin", &arguments).ok();
        ticket
    }
}

pub fn finish(output: Output) -> Done {
    Done {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Names of everything in a folder.
pub fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
