//! `plimsoll store`: is all that is kept as it was written, and if not, what
//! then; copies of it, and how they come back.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand};
use reqwest::Method;

use super::BadUsage;
use super::client::Server;
use crate::app::{disk_kind, disk_settings};
use crate::config::Config;
use crate::ports::{StoreCheck, StoreFinding};
use crate::store::{StoppedStore, verify_backup};

/// The command's arguments.
#[derive(Debug, Args)]
pub struct Store {
    #[command(flatten)]
    server: Server,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Name every part of state and history that is not as it was written
    ///
    /// Nothing is changed. Ends with 1 where it finds any.
    Check {
        #[command(flatten)]
        config: ConfigFile,
        /// Ask the running daemon, which then reads all that it holds
        #[arg(long)]
        live: bool,
    },
    /// Set damaged parts aside, keep the rest, and say what is lost
    ///
    /// The daemon must be stopped. Nothing is removed. Ends with 1 where
    /// something was damaged.
    Repair {
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Copy state and history, as they are at one moment, into one file
    ///
    /// The file is verified, and holds secrets: keep it where only you can read
    /// it. Ends with 1 where something could not be read and is left out.
    Backup {
        #[command(flatten)]
        config: ConfigFile,
        /// Ask the running daemon, which goes on meanwhile; needs a token of the role ADMIN
        #[arg(long)]
        live: bool,
        /// The file
        #[arg(short, long)]
        output: PathBuf,
    },
    /// Bring a backup back, into a folder that is empty or not there
    ///
    /// The backup is verified first. It may come from another kind of store.
    Restore {
        #[command(flatten)]
        config: ConfigFile,
        /// The file that `plimsoll store backup` has written
        #[arg(short, long)]
        input: PathBuf,
    },
}

/// Where the config is that names the store.
#[derive(Debug, Args)]
struct ConfigFile {
    /// The config file, whose store.path and store.kind count
    #[arg(long = "config.file", default_value = "config/plimsoll.toml")]
    file: PathBuf,
}

/// Runs the command; gives whether all is as it was written.
///
/// # Errors
/// Where the store is in use or can't be used, or the daemon can't be reached.
pub fn run(arguments: &Store, out: &mut impl Write) -> anyhow::Result<bool> {
    match &arguments.what {
        What::Check { live: true, .. } => {
            let answer = arguments.server.call(Method::GET, "/v1/store/check", &[], None)?;
            tell(&serde_json::from_value(answer)?, "read", out)
        }
        What::Check { config, .. } => tell(&stopped(config)?.check().context(LIVE)?, "read", out),
        What::Repair { config } => repair(&stopped(config)?, out),
        What::Backup { config, live, output } => {
            let server = live.then_some(&arguments.server);
            tell(&back_up(config, server, output)?, "copied", out)
        }
        What::Restore { config, input } => tell(&stopped(config)?.restore(input)?, "restored", out),
    }
}

/// What one can do about a store that is in use.
const LIVE: &str = "failed to use the store; of a running daemon, ask with --live";

fn stopped(config: &ConfigFile) -> anyhow::Result<StoppedStore> {
    let config = Config::load(&config.file)?;
    let in_memory = || BadUsage("find a store: store.kind is \"memory\", which keeps nothing".to_owned());
    Ok(StoppedStore {
        folder: config.store.path.clone(),
        state: config.store.state_path(),
        history: config.store.history_path(),
        kind: disk_kind(&config).ok_or_else(in_memory)?,
        settings: disk_settings(&config),
    })
}

fn back_up(config: &ConfigFile, live: Option<&Server>, output: &Path) -> anyhow::Result<StoreCheck> {
    let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    // Nobody else may read it; and it is whole, or not there.
    let named = || format!("failed to write {}", output.display());
    let mut file = tempfile::NamedTempFile::new_in(folder).with_context(named)?;
    match live {
        Some(server) => server.download("/v1/store/backup", &mut file)?,
        None => drop(stopped(config)?.back_up(&mut file).context(LIVE)?),
    }
    file.as_file().sync_all().with_context(named)?;
    let check = verify_backup(file.path())?;
    file.persist(output).with_context(named)?;
    Ok(check)
}

fn repair(store: &StoppedStore, out: &mut impl Write) -> anyhow::Result<bool> {
    let repaired = store.repair().context(LIVE)?;
    write_findings(&repaired.findings, out)?;
    match repaired.set_aside {
        Some(folder) => writeln!(out, "what was damaged lies in {} now", folder.display())?,
        None => writeln!(out, "nothing is damaged; nothing was changed")?,
    }
    Ok(repaired.findings.is_empty())
}

fn tell(check: &StoreCheck, done: &str, out: &mut impl Write) -> anyhow::Result<bool> {
    write_findings(&check.findings, out)?;
    let verdict = match check.findings.len() {
        0 => "all as it was written".to_owned(),
        count => format!("{count} NOT as it was written"),
    };
    writeln!(out, "{done}: {} values and {} files, {verdict}", check.values, check.files)?;
    Ok(check.findings.is_empty())
}

fn write_findings(findings: &[StoreFinding], out: &mut impl Write) -> anyhow::Result<()> {
    for finding in findings {
        writeln!(out, "{}: {}", finding.place, finding.message)?;
    }
    Ok(())
}
