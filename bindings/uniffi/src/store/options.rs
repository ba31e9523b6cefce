//! What a store is made of, and what the platform brings to it.

use std::sync::Arc;

use inkling::store::{NetOptions, StoreOptions};

use crate::transport::Ours;
use crate::{FfiError, FfiSignals, FfiTransport, FfiTransportError};

/// A catalogue that the app trusts.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct FfiCatalog {
    /// Its address.
    pub url: String,
    /// The root document that came with the app.
    pub root: Vec<u8>,
}

/// What a store is made of.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct FfiStoreOptions {
    /// Its folder, which is made if need be.
    pub folder: String,
    /// Where repositories live; `None` is the usual hub.
    #[uniffi(default = None)]
    pub hub: Option<String>,
    /// Said to the hub, and to nobody else.
    #[uniffi(default = None)]
    pub token: Option<String>,
    /// Domains, with all below them, to which addresses may redirect.
    #[uniffi(default = [])]
    pub redirect_domains: Vec<String>,
    /// Bytes that all models together may take.
    #[uniffi(default = None)]
    pub budget: Option<u64>,
    /// Bytes that stay free on the disk for others.
    #[uniffi(default = None)]
    pub keep_free: Option<u64>,
    /// Catalogues whose signatures are checked.
    #[uniffi(default = [])]
    pub catalogs: Vec<FfiCatalog>,
    /// Take models from these catalogues only.
    #[uniffi(default = false)]
    pub only_signed: bool,
}

/// How a model is to be had.
#[derive(Debug, Clone, Default, PartialEq, Eq, uniffi::Record)]
pub struct FfiEnsureOptions {
    /// The id under which it is kept; `None` makes one of the file's name.
    #[uniffi(default = None)]
    pub id: Option<String>,
    /// Wait for a network whose bytes cost nothing; `false` expressly allows any, also to a download that is on its way
    /// and was told to wait. `None` leaves it to those who want the same model; any network if they say nothing either.
    #[uniffi(default = None)]
    pub unmetered_only: Option<bool>,
    /// Those with greater numbers come first.
    #[uniffi(default = 0)]
    pub priority: i32,
    /// Take a release that failed here before.
    #[uniffi(default = false)]
    pub insist: bool,
    /// Ask whether there is a later release, also if one is installed.
    #[uniffi(default = false)]
    pub update: bool,
}

/// Has the keys of encrypted models: the Keychain, the Keystore. Called on the thread that loads.
#[uniffi::export(with_foreign)]
pub trait FfiKeyProvider: Send + Sync {
    /// The 32 bytes of the key with this name.
    fn key(&self, id: String) -> Result<Vec<u8>, FfiTransportError>;
}

/// What the platform brings to a store.
#[derive(Clone, Default, uniffi::Record)]
pub struct FfiStoreServices {
    /// Its HTTP. Without one only files on this device can be installed.
    #[uniffi(default = None)]
    pub transport: Option<Arc<dyn FfiTransport>>,
    /// What it says of the device; the network above all.
    pub signals: FfiSignals,
    /// The keys of encrypted models.
    #[uniffi(default = None)]
    pub keys: Option<Arc<dyn FfiKeyProvider>>,
}

pub(super) fn inner(options: FfiStoreOptions, services: FfiStoreServices) -> Result<StoreOptions, FfiError> {
    let mut net = NetOptions::default();
    if let Some(hub) = options.hub {
        net.hub = hub;
    }
    net.token = options.token;
    net.hub_domains.extend(options.redirect_domains.iter().cloned());
    net.domains = options.redirect_domains;
    let mut inner = StoreOptions::new(options.folder).net(net).signals(Arc::new(services.signals));
    if let Some(transport) = services.transport {
        inner = inner.transport(Arc::new(Ours::new(transport)));
    }
    if let Some(keys) = services.keys {
        inner = inner.keys(move |id| {
            let bytes = keys.key(id.to_owned()).map_err(|error| error.to_string())?;
            let length = bytes.len();
            bytes.try_into().map_err(|_| format!("it has {length} bytes, a key has 32"))
        });
    }
    if let Some(budget) = options.budget {
        inner = inner.budget(budget);
    }
    if let Some(bytes) = options.keep_free {
        inner = inner.keep_free(bytes);
    }
    for catalog in options.catalogs {
        inner = inner.catalog(catalog.url, catalog.root);
    }
    Ok(if options.only_signed { inner.only_signed() } else { inner })
}
