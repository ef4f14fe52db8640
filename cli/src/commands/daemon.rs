//! `pib daemon`: runs this member until SIGTERM or Ctrl-C.

use crate::error::{CliError, Code};
use crate::secret::Master;
use crate::session::{Context, stop_signal};
use clap::Args;
use node::DaemonConfig;

/// Threads that serve the network and the disk.
const WORKERS_MAX: usize = 4;

/// Flags of `pib daemon`.
#[derive(Debug, Args)]
pub struct Flags {
    /// Stay in the foreground (which it always does; a service manager puts it in the background)
    #[arg(long)]
    foreground: bool,
}

/// Runs the command.
pub fn run(context: &Context, _flags: &Flags) -> Result<Code, CliError> {
    serve(context, node::Acting::default())
}

/// Runs a member; `acting` is what a test actor makes of its messages.
pub fn serve(context: &Context, acting: node::Acting) -> Result<Code, CliError> {
    let config = context.config()?;
    let master = Master::load(&context.data)?;
    let ticket = context.ticket()?;
    ticket.slot_for(&master.identities()?)?;
    super::log(match context.output.verbose {
        0 => &config.log_level,
        1 => "debug",
        _ => "trace",
    });
    let workers = std::thread::available_parallelism().map_or(2, usize::from).min(WORKERS_MAX);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .enable_all()
        .build()
        .map_err(|error| CliError::new(Code::Failed, format!("cannot start: {error}")))?;
    let daemon = DaemonConfig {
        data: context.data.clone(),
        master: *master.bytes(),
        ticket,
        config,
        listen: None,
        acting,
    };
    runtime.block_on(node::run(daemon, async {
        if !stop_signal().await {
            // Without signals there is nothing to wait for but the API's shutdown call.
            std::future::pending::<()>().await;
        }
    }))?;
    Ok(Code::Done)
}
