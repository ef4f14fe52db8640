//! `pib init`: makes this machine a member.
//!
//! The recovery code is confirmed before anything is stored, so that an aborted init leaves
//! nothing behind, and the secret is durable before the join request is shown.

use crate::error::{CliError, Code};
use crate::files;
use crate::secret::Master;
use crate::session::Context;
use clap::Args;
use policy::{JoinRequest, MemberConfig};
use serde::Serialize;
use std::io::{BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;

/// How many words are asked back.
const WORDS_ASKED: usize = 3;
const TRIES: usize = 3;
const CODE_LEN_MAX: u64 = 64 * 1024;

/// Flags of `pib init`.
#[derive(Debug, Args)]
pub struct Flags {
    /// How this member is called in its group [default: the host's name]
    #[arg(long)]
    name: Option<String>,
    /// Where the daemon listens
    #[arg(long, value_name = "IP:PORT", default_value = "0.0.0.0:7420")]
    listen: SocketAddr,
    /// Where others reach this member (repeat for several) [default: the host's name and port]
    #[arg(long = "address", value_name = "HOST:PORT")]
    addresses: Vec<String>,
    /// Make the same member again from its recovery code, after the disk was lost
    #[arg(long)]
    from_recovery_code: bool,
    /// Write the recovery code to this new file, or with --from-recovery-code read it from there
    #[arg(long, value_name = "FILE")]
    recovery_code_file: Option<PathBuf>,
    /// Do not ask for words of the recovery code
    #[arg(long, short)]
    yes: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    message_type: &'static str,
    name: &'a str,
    data_dir: &'a std::path::Path,
    identity: String,
    join_request: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    recovery_code: Option<&'a str>,
}

/// Runs the command.
pub fn run(context: &Context, flags: &Flags) -> Result<Code, CliError> {
    let output = context.output;
    if Master::exists(&context.data) || context.config_path().exists() {
        let message = format!("there is a member in {} already", context.data.display());
        return Err(CliError::new(Code::Failed, message)
            .hint("nothing was changed; use another --data-dir for another member"));
    }
    let config = config(flags)?;
    // Everything that can be refused is refused before a secret exists.
    let reader_of_code = reader_of_code(flags, output.json)?;
    let master = match flags.from_recovery_code {
        true => read_code(flags)?,
        false => Master::generate()?,
    };
    let identities = master.identities()?;
    let request = JoinRequest::sign(
        &master.identity(0)?,
        config.name.clone(),
        config.addresses.clone(),
        identities.clone(),
    )
    .map_err(|error| CliError::new(Code::Usage, error).hint("see --name and --address"))?;
    let words = master.words()?;
    match reader_of_code {
        Reader::Nobody => {}
        Reader::File(path) => files::write_new(path, format!("{}\n", *words).as_bytes(), 0o600)?,
        Reader::Screen => show(&words),
        Reader::ScreenAndConfirm => {
            show(&words);
            confirm(&words)?;
        }
        Reader::Json => {}
    }
    files::private_folder(&context.data)?;
    master.store(&context.data)?;
    files::write_new(context.config_path(), config.to_toml().as_bytes(), 0o600)?;
    output.say(format!("Member `{}` is set up in {}.", config.name, context.data.display()));
    output.say("Send this join request to your group's admin, then `pib join` the ticket that comes back:\n");
    output.result(request.line());
    output.json(&Report {
        message_type: "init",
        name: &config.name,
        data_dir: &context.data,
        identity: identity_hex(&identities),
        join_request: request.line(),
        recovery_code: matches!(reader_of_code, Reader::Json).then_some(words.as_str()),
    });
    Ok(Code::Done)
}

fn identity_hex(identities: &[types::PublicKey]) -> String {
    identities.first().map_or(String::new(), |key| types::Hash(*key.as_bytes()).to_hex())
}

fn config(flags: &Flags) -> Result<MemberConfig, CliError> {
    let host = || {
        nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default()
    };
    let name = flags.name.clone().unwrap_or_else(host);
    let addresses = match &flags.addresses[..] {
        [] if flags.listen.ip().is_unspecified() => {
            vec![format!("{}:{}", host(), flags.listen.port())]
        }
        [] => vec![flags.listen.to_string()],
        given => given.to_vec(),
    };
    Ok(MemberConfig::new(name, flags.listen, addresses))
}

/// Who gets to see a new recovery code.
enum Reader<'a> {
    /// It was typed in: its owner has it.
    Nobody,
    File(&'a std::path::Path),
    Screen,
    ScreenAndConfirm,
    Json,
}

fn reader_of_code(flags: &Flags, json: bool) -> Result<Reader<'_>, CliError> {
    if flags.from_recovery_code {
        return Ok(Reader::Nobody);
    }
    if let Some(path) = &flags.recovery_code_file {
        if path.symlink_metadata().is_ok() {
            let message = format!("{} exists already", path.display());
            return Err(CliError::new(Code::Failed, message)
                .hint("it may hold another member's recovery code; choose another file"));
        }
        return Ok(Reader::File(path));
    }
    let terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    match (flags.yes, json, terminal) {
        (true, true, _) => Ok(Reader::Json),
        (true, false, _) => Ok(Reader::Screen),
        (false, false, true) => Ok(Reader::ScreenAndConfirm),
        (false, ..) => Err(CliError::new(
            Code::Usage,
            "nobody is at a terminal to write down and confirm the recovery code",
        )
        .hint("give --recovery-code-file FILE, or --yes to have it printed")),
    }
}

/// The words go to standard error: they must not end up in a pipe with the join request.
fn show(words: &str) {
    eprintln!(
        "\nRECOVERY CODE. Write these 24 words on paper and keep them safe. They are all that is"
    );
    eprintln!(
        "needed to get everything back after this disk is lost, and all that a thief needs, too."
    );
    eprintln!("They are shown this once.\n");
    let words: Vec<&str> = words.split(' ').collect();
    for (row, chunk) in words.chunks(4).enumerate() {
        let cells: Vec<String> = chunk
            .iter()
            .enumerate()
            .map(|(column, word)| format!("{:>2}. {word:<10}", row * 4 + column + 1))
            .collect();
        eprintln!("   {}", cells.join(" "));
    }
    eprintln!();
}

fn confirm(words: &str) -> Result<(), CliError> {
    let words: Vec<&str> = words.split(' ').collect();
    let mut random = [0_u8; WORDS_ASKED];
    getrandom::fill(&mut random)
        .map_err(|error| CliError::new(Code::Failed, format!("no random numbers: {error}")))?;
    // One from each third of the list, so that nobody can stop writing early.
    let third = words.len() / WORDS_ASKED;
    for (part, byte) in random.iter().enumerate() {
        let at = part * third + usize::from(*byte) % third;
        let expected = words.get(at).copied().unwrap_or_default();
        ask_word(at + 1, expected)?;
    }
    Ok(())
}

fn ask_word(number: usize, expected: &str) -> Result<(), CliError> {
    for _ in 0..TRIES {
        eprint!("Word {number}, from your paper: ");
        // A terminal that cannot be flushed shows the question with the next output.
        let _ = std::io::stderr().flush();
        let mut line = String::new();
        let read = std::io::stdin().lock().read_line(&mut line);
        if !matches!(read, Ok(1..)) {
            break;
        }
        if line.trim().eq_ignore_ascii_case(expected) {
            return Ok(());
        }
        eprintln!("That is not word {number}.");
    }
    Err(CliError::new(Code::WrongSecret, "the recovery code was not confirmed; nothing was stored")
        .hint("run `pib init` again; it makes a new code"))
}

fn read_code(flags: &Flags) -> Result<Master, CliError> {
    let text = match &flags.recovery_code_file {
        Some(path) => files::read_text(path)?,
        None => {
            if std::io::stdin().is_terminal() {
                eprintln!("Type the 24 words of the recovery code, then Enter and Ctrl-D:");
            }
            let mut text = String::new();
            std::io::stdin().lock().take(CODE_LEN_MAX).read_to_string(&mut text).map_err(
                |error| CliError::new(Code::Failed, format!("cannot read the code: {error}")),
            )?;
            text
        }
    };
    let text = zeroize::Zeroizing::new(text);
    Master::from_words(&text)
}
