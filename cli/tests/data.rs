//! `pib backup`, `snapshots`, `ls`, `restore`, `check`, `forget`, `prune`, `mount`, `status` and
//! `daemon` on a group of real processes.

use cli::harness::{Group, GroupSpec, Interrupt, Measured};
use cli::tree::{Aspects, compare, everyday};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

const OWNER: usize = 0;

struct World {
    group: Group,
    dir: PathBuf,
    /// Dropped last.
    _folder: tempfile::TempDir,
}

impl World {
    fn new(nodes: usize, faulty: usize, limits: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("pib-test-").tempdir().unwrap();
        let dir = folder.path().canonicalize().unwrap();
        let exe = env!("CARGO_BIN_EXE_pib").into();
        let spec = GroupSpec {
            exe,
            dir: dir.join("group"),
            nodes,
            faulty,
            limits: limits.into(),
            max_response_ms: None,
        };
        let mut group = Group::found(spec, Interrupt::default()).unwrap();
        group.start_all(Duration::from_secs(60)).unwrap();
        Self { group, dir, _folder: folder }
    }

    fn pib(&self, arguments: &[&str]) -> Measured {
        let arguments: Vec<&OsStr> = arguments.iter().map(OsStr::new).collect();
        self.group.run(OWNER, &arguments).unwrap()
    }

    fn ok(&self, arguments: &[&str]) -> Measured {
        self.pib(arguments).success(&format!("{arguments:?}")).unwrap()
    }

    fn summary(&self, arguments: &[&str]) -> serde_json::Value {
        self.ok(arguments).json("summary").unwrap()
    }

    fn error(&self, arguments: &[&str], code: i32) -> String {
        let done = self.pib(arguments);
        assert_eq!(done.code, code, "{done:?}");
        let line: serde_json::Value = serde_json::from_str(done.stderr.trim()).unwrap();
        assert_eq!(line["message_type"], "exit_error");
        assert!(!line["hint"].as_str().unwrap().is_empty(), "{line}");
        line.to_string()
    }

    fn path(&self, name: &str) -> String {
        self.dir.join(name).to_str().unwrap().to_owned()
    }

    fn source(&self, files: usize) -> String {
        everyday(&self.dir.join("source"), files, 11).unwrap();
        self.path("source")
    }

    fn inside(&self, target: &str) -> PathBuf {
        Path::new(target).join(self.path("source").trim_start_matches('/'))
    }
}

fn assert_same(left: &Path, right: &Path) {
    let found = compare(left, right, Aspects::all()).unwrap();
    assert!(found.identical() && found.files > 0, "{found:?}");
}

#[test]
fn what_was_backed_up_is_listed_checked_restored_forgotten_and_pruned() {
    let world = World::new(5, 1, "");
    let source = world.source(120);
    let first = world.summary(&["backup", &source, "--tag", "one"]);
    assert!(first["files_new"].as_u64().unwrap() >= 120);
    assert!(first["witnessed_in"].is_u64());
    let second = world.summary(&["backup", &source, "--tag", "two"]);
    assert_eq!(second["files_new"], 0, "{second}");
    assert!(second["bytes_stored"].as_u64().unwrap() < 100_000, "{second}");

    let listed = world.ok(&["snapshots"]);
    assert_eq!(listed.stdout.lines().count(), 2);
    assert_eq!(world.ok(&["snapshots", "--tag", "one"]).stdout.lines().count(), 1);
    let names = world.ok(&["ls", "latest", &source, "--recursive"]).stdout;
    assert!(names.contains("mostly hole"), "{names}");

    let target = world.path("restored");
    assert_eq!(world.summary(&["restore", "--target", &target])["error_count"], 0);
    assert_same(Path::new(&source), &world.inside(&target));
    let again = world.summary(&["restore", "--target", &target]);
    assert_eq!(again["bytes_restored"], 0, "{again}");

    let checked = world.summary(&["check", "--read-data"]);
    assert_eq!(checked["errors"].as_array().unwrap().len(), 0);
    let dry = world.summary(&["forget", "--keep-last", "1", "--dry-run"]);
    assert_eq!(dry["removed"].as_array().unwrap().len(), 1);
    assert_eq!(world.ok(&["snapshots"]).stdout.lines().count(), 2);
    world.ok(&["forget", "--keep-last", "1"]);
    assert_eq!(world.ok(&["snapshots"]).stdout.lines().count(), 1);
    world.ok(&["prune", "--instant-delete"]);
    world.summary(&["check", "--read-data"]);
    assert!(world.error(&["restore", "feedface", "--target", &target], 1).contains("feedface"));

    let status = world.ok(&["status"]).json("status").unwrap();
    assert_eq!((status["safe"].as_bool(), status["can_lose"].as_i64()), (Some(true), Some(1)));
    assert!(status["last_backup"]["snapshot"].is_string(), "{status}");
}

#[test]
fn restore_survives_f_dead_members_and_fails_clearly_with_one_more() {
    let mut world = World::new(5, 1, "put_patience = \"3s\"");
    let source = world.source(40);
    world.ok(&["backup", &source]);
    world.group.kill(3).unwrap();
    let target = world.path("restored");
    world.ok(&["restore", "--target", &target]);
    assert_same(Path::new(&source), &world.inside(&target));
    std::fs::write(Path::new(&source).join("new"), "new").unwrap();
    let few = world.error(&["backup", &source], 13);
    assert!(few.contains("members"), "{few}");
    world.group.kill(4).unwrap();
    // A fresh daemon has nothing in its caches.
    world.group.stop(OWNER).unwrap();
    world.group.start(OWNER).unwrap();
    world.group.wait_links(Duration::from_secs(60)).unwrap();
    world.error(&["restore", "--target", &world.path("second")], 13);
    // Nothing is lost: both come back, and so does everything.
    world.group.start(3).unwrap();
    world.group.start(4).unwrap();
    world.group.wait_links(Duration::from_secs(60)).unwrap();
    world.ok(&["backup", &source]);
    world.ok(&["restore", "--target", &world.path("third")]);
    assert_same(Path::new(&source), &world.inside(&world.path("third")));
}

/// Guarantee: an interrupted backup ends with 130 and the next one goes on.
#[test]
fn interrupted_backup_ends_with_code_130_and_the_next_run_finishes_it() {
    let world = World::new(2, 0, "upload = \"6 MiB/s\"\npack_size = \"1 MiB\"");
    cli::tree::bulk(&world.dir.join("source"), 24 << 20, 5).unwrap();
    let source = world.path("source");
    let mut command = world.group.command(OWNER);
    command.args(["--json", "backup", &source]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let started = Instant::now();
    while world.group.status(OWNER).unwrap().objects < 6 {
        assert!(started.elapsed() < Duration::from_secs(60), "nothing was stored");
        std::thread::sleep(Duration::from_millis(20));
    }
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    let stored = world.group.status(OWNER).unwrap().objects;
    let summary = world.summary(&["backup", &source]);
    assert!(summary["packs_recovered"].as_u64().unwrap() >= 1, "{stored} objects: {summary}");
    assert!(summary["bytes_stored"].as_u64().unwrap() < 24 << 20, "{summary}");
    world.ok(&["restore", "--target", &world.path("restored")]);
    assert_same(Path::new(&source), &world.inside(&world.path("restored")));
}

#[test]
fn unreadable_file_is_named_and_the_rest_is_backed_up_with_code_3() {
    let world = World::new(2, 0, "");
    let source = world.source(10);
    let locked = Path::new(&source).join("locked");
    std::fs::write(&locked, "secret").unwrap();
    std::fs::set_permissions(&locked, std::os::unix::fs::PermissionsExt::from_mode(0o000)).unwrap();
    // Root reads every file but those of the kernel that can only be written.
    let (path, name) = match nix::unistd::geteuid().is_root() {
        true => ("/proc/self/clear_refs", "clear_refs"),
        false => (source.as_str(), "locked"),
    };
    let done = world.pib(&["backup", &source, path]);
    assert_eq!(done.code, 3, "{done:?}");
    let summary = done.json("summary").unwrap();
    assert!(summary["unreadable"].to_string().contains(name), "{summary}");
    assert!(summary["snapshot_id"].is_string());
    let target = world.path("restored");
    world.ok(&["restore", "--target", &target]);
    assert!(world.inside(&target).join("oddities/mostly hole").exists());
}

#[test]
fn second_daemon_on_one_data_folder_is_refused() {
    let world = World::new(2, 0, "");
    let error = world.error(&["daemon"], 1);
    assert!(error.contains("in use"), "{error}");
    world.ok(&["status"]);
}

#[test]
fn mount_shows_the_latest_snapshot_and_ends_with_the_signal() {
    let world = World::new(2, 0, "");
    if let Err(why) = fuse_mount::availability() {
        eprintln!("skipped: {why}");
        return;
    }
    let source = world.source(30);
    world.ok(&["backup", &source]);
    let point = world.dir.join("mounted");
    std::fs::create_dir(&point).unwrap();
    let mut child =
        world.group.command(OWNER).args(["--json", "mount"]).arg(&point).spawn().unwrap();
    let started = Instant::now();
    while point.join("latest").symlink_metadata().is_err() {
        assert!(started.elapsed() < Duration::from_secs(30), "not mounted");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_same(Path::new(&source), &world.inside(point.join("latest").to_str().unwrap()));
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(std::fs::read_dir(&point).unwrap().count(), 0);
}

#[test]
fn daemon_ends_cleanly_on_sigterm_and_with_its_parent() {
    let mut world = World::new(2, 0, "");
    let started = Instant::now();
    world.group.stop_all().unwrap();
    assert!(started.elapsed() < Duration::from_secs(10));
    assert!(world.error(&["status"], 11).contains("pib daemon"));
}
