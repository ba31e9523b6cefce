//! The flags of `inkling models`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Where the store is, and how its commands talk.
#[derive(Debug, Args)]
pub(crate) struct ModelsArgs {
    /// The store's folder [default: inkling/store in the user's data folder]
    #[arg(long, value_name = "DIR", global = true)]
    pub(crate) store: Option<PathBuf>,
    /// One JSON document on standard output
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: ModelsCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ModelsCommand {
    /// Install a model, or go on where an earlier pull stopped
    Pull(PullArgs),
    /// Say whether a model would run here, before it is fetched
    Fit(FitArgs),
    /// Show what is installed
    List,
    /// Read every byte of models and compare with their digests; `pull` repairs what is damaged
    Verify {
        /// Ids; all models without one
        ids: Vec<String>,
    },
    /// Keep a model whatever happens
    Pin {
        /// Its id
        id: String,
        /// Keep it no longer
        #[arg(long)]
        off: bool,
    },
    /// Remove a model and all its releases
    Rm {
        /// Its id
        id: String,
    },
    /// Remove what nobody needs
    Gc {
        /// Also downloads that somebody may still go on with
        #[arg(long)]
        all: bool,
    },
    /// Go back to the release before
    Rollback {
        /// The model's id
        id: String,
    },
    /// Show what takes how much space
    Usage,
    #[command(flatten)]
    Publish(super::publish::PublishCommand),
}

/// How the network is used.
#[derive(Debug, Args)]
pub(crate) struct NetArgs {
    // Not a documentation comment: rustdoc takes the brackets for a link.
    #[arg(
        value_name = "SOURCE",
        help = "owner/repo/file.gguf[@revision], https://…#sha256=…&size=…, catalog:URL#model, or a file"
    )]
    pub(crate) source: String,
    /// Where repositories live; its token, if it needs one, is in INKLING_HUB_TOKEN
    #[arg(long, value_name = "URL")]
    pub(crate) hub: Option<String>,
    /// The root document of the catalogue that SOURCE names: whose signatures count
    #[arg(long, value_name = "F")]
    pub(crate) root: Option<PathBuf>,
    /// Hosts, with all below them, to which an address may redirect
    #[arg(long, value_name = "HOST")]
    pub(crate) redirect_to: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct PullArgs {
    #[command(flatten)]
    pub(crate) net: NetArgs,
    /// Keep it under this id [default: made of the file's name]
    #[arg(long)]
    pub(crate) id: Option<String>,
    /// Ask whether there is a later release, also if one is installed
    #[arg(long)]
    pub(crate) update: bool,
    /// Take a release that failed here before
    #[arg(long)]
    pub(crate) insist: bool,
    /// Bytes that all models together may take; those that were not used for the longest time go first
    #[arg(long, value_name = "BYTES")]
    pub(crate) budget: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct FitArgs {
    #[command(flatten)]
    pub(crate) net: NetArgs,
    /// Context in tokens [default: the model's own, at most 4096]
    #[arg(long, value_name = "N")]
    pub(crate) ctx: Option<usize>,
    /// Type of keys and values in the cache: f32, f16, q8_0 or q4_0
    #[arg(long, value_name = "T", default_value = "f16")]
    pub(crate) kv: String,
}
