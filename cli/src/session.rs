//! What commands have in common: where things are, the member's secret, the daemon, the
//! repository, and Ctrl-C.

use crate::args::Global;
use crate::error::{CliError, Code};
use crate::files;
use crate::output::Output;
use crate::secret::Master;
use crate::store::ApiStore;
use node::client::Client;
use node::wire::Status;
use policy::{MemberConfig, Ticket};
use snapshot::{CancelToken, Repo, RepoOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::runtime::Runtime;
use zeroize::Zeroizing;

/// File name of the ticket in a data folder.
pub const TICKET: &str = "group.ticket";
/// File name of the configuration in a data folder.
pub const CONFIG: &str = "config.toml";
/// File name of the daemon's socket in a data folder.
pub const SOCKET: &str = "api.sock";

/// Where things are and how to talk.
pub struct Context {
    /// How to talk.
    pub output: Output,
    /// The data folder.
    pub data: PathBuf,
    config: PathBuf,
}

impl Context {
    /// Flags before environment before the standard places.
    pub fn new(global: &Global) -> Result<Self, CliError> {
        let data = match (&global.data_dir, &global.config) {
            (Some(data), _) => data.clone(),
            (None, Some(config)) => match data_of(config)? {
                Some(data) => data,
                None => standard_data()?,
            },
            (None, None) => standard_data()?,
        };
        let config = global.config.clone().unwrap_or_else(|| data.join(CONFIG));
        let output = Output { json: global.json, quiet: global.quiet, verbose: global.verbose };
        Ok(Self { output, data, config })
    }

    /// The file that holds this member's settings.
    pub fn config_path(&self) -> &Path {
        &self.config
    }

    /// This member's settings.
    pub fn config(&self) -> Result<MemberConfig, CliError> {
        // Whether there is a member at all is the better question when both are absent.
        Master::load(&self.data)?;
        let text = files::read_text(&self.config)?;
        MemberConfig::from_toml(&text)
            .map_err(|error| CliError::from(error).context(self.config.display()))
    }

    /// The ticket by which this member joined.
    pub fn ticket(&self) -> Result<Ticket, CliError> {
        let path = self.data.join(TICKET);
        if !path.exists() {
            Master::load(&self.data)?;
            return Err(CliError::new(Code::NoRepository, "this member has not joined a group")
                .hint("get a ticket from the group's admin and run `pib join TICKET`"));
        }
        Ticket::parse_joined(&files::read_text(&path)?)
            .map_err(|error| CliError::from(error).context(path.display()))
    }

    /// A client of the daemon, and a runtime to use it on.
    pub fn daemon(&self) -> Result<Daemon, CliError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(|error| CliError::new(Code::Failed, format!("cannot start: {error}")))?;
        // A member that has not joined has no daemon to reach: say that instead.
        self.ticket()?;
        Ok(Daemon { client: Client::new(self.data.join(SOCKET)), runtime })
    }
}

fn standard_data() -> Result<PathBuf, CliError> {
    let variable = |name| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    variable("XDG_DATA_HOME")
        .or_else(|| variable("HOME").map(|home| home.join(".local/share")))
        .map(|folder| folder.join("pib"))
        .ok_or_else(|| {
            CliError::new(Code::Usage, "neither XDG_DATA_HOME nor HOME is set")
                .hint("name the folder with --data-dir")
        })
}

/// The data folder that a configuration file names, or else the folder it lies in.
fn data_of(config: &Path) -> Result<Option<PathBuf>, CliError> {
    if !config.exists() {
        return Ok(None);
    }
    let text = files::read_text(config)?;
    let parsed = MemberConfig::from_toml(&text)
        .map_err(|error| CliError::from(error).context(config.display()))?;
    Ok(parsed.data.or_else(|| config.parent().map(Path::to_owned)))
}

/// A connection to the daemon.
pub struct Daemon {
    /// The client.
    pub client: Client,
    /// Where its futures run.
    pub runtime: Runtime,
}

impl Daemon {
    /// The daemon's state; tells quickly whether it runs at all.
    pub fn status(&self) -> Result<Status, CliError> {
        Ok(self.runtime.block_on(self.client.status())?)
    }
}

/// An open repository.
pub struct Session {
    /// The daemon behind it.
    pub daemon: Daemon,
    /// Set by Ctrl-C.
    pub cancel: CancelToken,
    /// This member's settings.
    pub config: MemberConfig,
    /// This member's secret.
    pub master: Master,
    store: Arc<ApiStore>,
}

impl Session {
    /// Reaches the daemon and arms Ctrl-C.
    pub fn open(context: &Context) -> Result<Self, CliError> {
        let config = context.config()?;
        let master = Master::load(&context.data)?;
        let daemon = context.daemon()?;
        daemon.status()?;
        let cancel = CancelToken::new();
        stop_on_signal(&daemon.runtime, cancel.clone());
        let handle = daemon.runtime.handle().clone();
        let store = Arc::new(ApiStore::new(daemon.client.clone(), handle, cancel.clone()));
        Ok(Self { daemon, cancel, config, master, store })
    }

    fn options(&self) -> RepoOptions {
        let limits = &self.config.limits;
        RepoOptions {
            // Validated to be at most 48 MiB.
            pack_bytes: u32::try_from(limits.pack_size).unwrap_or(u32::MAX),
            // Every blob is decrypted again before it is packed: a backup may be the only copy.
            extra_verify: true,
            ..RepoOptions::default()
        }
    }

    fn secret(&self) -> snapshot::RepoSecret {
        Zeroizing::new(*self.master.secrets().repository())
    }

    /// The repository, which must exist.
    pub fn repo(&self) -> Result<Repo, CliError> {
        let store = self.store.clone();
        Ok(Repo::open(store, self.secret(), self.options(), self.cancel.clone())?)
    }

    /// The repository; made if there is none.
    pub fn repo_or_new(&self) -> Result<Repo, CliError> {
        let store = self.store.clone();
        Ok(Repo::init_or_open(store, self.secret(), self.options(), self.cancel.clone())?)
    }
}

/// The first Ctrl-C or SIGTERM asks to stop; the second stops at once.
fn stop_on_signal(runtime: &Runtime, cancel: CancelToken) {
    runtime.spawn(async move {
        for round in 0_u8.. {
            if !stop_signal().await {
                return;
            }
            if round > 0 {
                std::process::exit(Code::Interrupted as i32);
            }
            cancel.cancel();
        }
    });
}

/// Waits for Ctrl-C or SIGTERM; false when signals cannot be received.
pub async fn stop_signal() -> bool {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return false };
    tokio::select! {
        interrupt = tokio::signal::ctrl_c() => interrupt.is_ok(),
        terminated = terminate.recv() => terminated.is_some(),
    }
}
