//! `inkling models`: the model store.

pub(crate) mod args;
mod list;
pub(crate) mod publish;
mod pull;

use inkling::ErrorKind;
use inkling::store::{ModelId, ModelStore, NetOptions, Source, StoreOptions};

use self::args::{ModelsArgs, ModelsCommand, NetArgs};
use crate::output::{Failure, file_error, print, print_json};
use crate::store::default_folder;

/// The hub's token, if it needs one: not a flag, because others can read those.
const TOKEN: &str = "INKLING_HUB_TOKEN";

pub(crate) fn run(args: &ModelsArgs) -> Result<(), Failure> {
    let folder = || args.store.clone().map_or_else(default_folder, Ok);
    let open = || Ok::<_, Failure>(ModelStore::open(StoreOptions::new(folder()?))?);
    match &args.command {
        ModelsCommand::Pull(pull) => {
            let mut options = with_net(StoreOptions::new(folder()?), &pull.net)?;
            if let Some(budget) = pull.budget {
                options = options.budget(budget);
            }
            pull::run(&ModelStore::open(options)?, pull, args.json)
        }
        ModelsCommand::Fit(fit) => {
            pull::fit(&ModelStore::open(with_net(StoreOptions::new(folder()?), &fit.net)?)?, fit, args.json)
        }
        ModelsCommand::List => list::list(&open()?, args.json),
        ModelsCommand::Verify { ids } => match list::verify(&open()?, ids, args.json)? {
            true => Ok(()),
            false => Err(Failure::Found),
        },
        ModelsCommand::Pin { id: name, off } => {
            open()?.pin(&id(name)?, !off)?;
            done(args.json, name, if *off { "is kept no longer than others" } else { "is kept whatever happens" })
        }
        ModelsCommand::Rm { id: name } => {
            open()?.remove(&id(name)?)?;
            done(args.json, name, "is removed")
        }
        ModelsCommand::Gc { all } => list::gc(&open()?, *all, args.json),
        ModelsCommand::Rollback { id: name } => {
            let number = open()?.rollback(&id(name)?)?;
            done(args.json, name, &format!("is at release {number} again"))
        }
        ModelsCommand::Usage => list::usage(&open()?, args.json),
        ModelsCommand::Publish(command) => publish::run(command, args.json),
    }
}

/// A model id from a flag.
pub(crate) fn id(text: &str) -> Result<ModelId, Failure> {
    text.parse()
        .map_err(|error: inkling::store::NoModelId| Failure::Engine(ErrorKind::invalid("id", error.to_string()).into()))
}

fn done(as_json: bool, id: &str, what: &str) -> Result<(), Failure> {
    if as_json { print_json(&serde_json::json!({ "id": id })) } else { print(&format!("{id} {what}\n")) }
}

fn with_net(mut options: StoreOptions, args: &NetArgs) -> Result<StoreOptions, Failure> {
    let mut net = NetOptions::default();
    if let Some(hub) = &args.hub {
        net.hub.clone_from(hub);
    }
    net.token = std::env::var(TOKEN).ok().filter(|token| !token.is_empty());
    net.hub_domains.extend(args.redirect_to.iter().cloned());
    net.domains.extend(args.redirect_to.iter().cloned());
    if let Some(root) = &args.root {
        let bytes = std::fs::read(root).map_err(|error| file_error("root", root, &error))?;
        match args.source.parse::<Source>().map_err(inkling::Error::from)? {
            Source::Catalog { url, .. } => options = options.catalog(url, bytes),
            _ => return Err(Failure::Engine(ErrorKind::invalid("root", "only a catalogue has one").into())),
        }
    }
    Ok(options.net(net))
}
