//! Where files are when nobody says: the XDG directories.

use std::path::PathBuf;

use anyhow::Context as _;
use etcetera::choose_base_strategy;

/// The three places of a torod.
#[derive(Debug, Clone)]
pub(super) struct Paths {
    pub(super) config: PathBuf,
    pub(super) state_dir: PathBuf,
    pub(super) cache_dir: PathBuf,
}

impl Paths {
    /// Where a running torod listens to its own user.
    pub(super) fn control_socket(&self) -> PathBuf {
        self.state_dir.join("control.sock")
    }
}

/// What the command line may say of them.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct PathArgs {
    /// The config file [default: `$XDG_CONFIG_HOME/tokenrouter/torod.toml`]
    #[arg(long, value_name = "FILE", global = true, help_heading = "Files")]
    config: Option<PathBuf>,
    /// Where torod keeps what it learned [default: `$XDG_STATE_HOME/tokenrouter`]
    #[arg(long, value_name = "DIR", global = true, help_heading = "Files")]
    state_dir: Option<PathBuf>,
    /// Where torod keeps what may be deleted [default: `$XDG_CACHE_HOME/tokenrouter`]
    #[arg(long, value_name = "DIR", global = true, help_heading = "Files")]
    cache_dir: Option<PathBuf>,
}

impl PathArgs {
    pub(super) fn resolve(&self) -> anyhow::Result<Paths> {
        let base = choose_base_strategy();
        let below =
            |given: &Option<PathBuf>, found: Option<PathBuf>, name: &str| match (given, found) {
                (Some(given), _) => Ok(given.clone()),
                (None, Some(found)) => Ok(found.join("tokenrouter").join(name)),
                (None, None) => anyhow::bail!(
                    "no home directory; say where with `--config`, `--state-dir` and `--cache-dir`"
                ),
            };
        let base = base.ok();
        let config = below(
            &self.config,
            base.as_ref().map(etcetera::BaseStrategy::config_dir),
            "torod.toml",
        )?;
        Ok(Paths {
            config: std::path::absolute(&config)
                .with_context(|| format!("`{}` is no path", config.display()))?,
            state_dir: below(
                &self.state_dir,
                base.as_ref().and_then(etcetera::BaseStrategy::state_dir),
                "",
            )?,
            cache_dir: below(
                &self.cache_dir,
                base.as_ref().map(etcetera::BaseStrategy::cache_dir),
                "",
            )?,
        })
    }
}
