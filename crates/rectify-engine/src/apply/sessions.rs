//! The provider sessions of a run: one per target and provider, started when first needed.

use crate::{
    Engine, EngineError, Providers, identity,
    observe::{self, Place, ProviderSession, State},
    project_key,
    secrets::Values,
};
use rectify_base::{TargetName, TypeName};
use rectify_compile::Connection;
use rectify_protocol::message::Mode;
use std::{collections::BTreeMap, path::Path, sync::Arc};

/// Sessions that may change things.
pub struct Sessions<'e> {
    engine: &'e Engine,
    providers: &'e Providers,
    connections: &'e BTreeMap<TargetName, Connection>,
    project: &'e Path,
    /// Values of the secrets that the steps of each target name.
    secrets: BTreeMap<TargetName, Values>,
    open: BTreeMap<(TargetName, String), Arc<ProviderSession>>,
}

impl<'e> Sessions<'e> {
    /// No session is started yet.
    pub fn new(
        engine: &'e Engine,
        providers: &'e Providers,
        connections: &'e BTreeMap<TargetName, Connection>,
        project: &'e Path,
        secrets: BTreeMap<TargetName, Values>,
    ) -> Self {
        Self { engine, providers, connections, project, secrets, open: BTreeMap::new() }
    }

    /// How a target is reached.
    pub fn connection(&self, target: &TargetName) -> Result<&'e Connection, EngineError> {
        self.connections.get(target).ok_or_else(|| EngineError::UnknownTarget { target: target.clone() })
    }

    /// What can be started.
    pub fn providers(&self) -> &'e Providers {
        self.providers
    }

    /// Directory of the project.
    pub fn project(&self) -> &'e Path {
        self.project
    }

    /// The session for a type on a target.
    pub async fn of(
        &mut self,
        target: &TargetName,
        type_name: &TypeName,
    ) -> Result<Arc<ProviderSession>, EngineError> {
        let provider = self.providers.require(type_name)?;
        let key = (target.clone(), provider.manifest.name.clone());
        // A provider that died is no use to anybody; a fresh one can look at what it left.
        if let Some(session) = self.open.get(&key).filter(|session| !session.is_over()) {
            return Ok(Arc::clone(session));
        }
        let connection = self.connection(target)?;
        let root = super::root(connection, self.project);
        let identity = identity::observe(target, connection, self.project)?;
        let place = Place {
            root: root.as_deref(),
            digest_key: Some(project_key::of_target(self.engine, self.project, &identity)?),
            secrets: self.secrets.get(target).cloned().unwrap_or_default(),
            state: Some(State::of(&self.engine.places.state, &identity)?),
        };
        let session = Arc::new(observe::start(self.engine, provider, Mode::Apply, place, &[]).await?);
        self.engine.events.on(&crate::Event::ProviderStarted { provider: key.1.clone(), confinement: None });
        self.open.insert(key, Arc::clone(&session));
        Ok(session)
    }

    /// Forgets a session that failed, so that the next use starts a fresh process.
    pub fn forget(&mut self, target: &TargetName, type_name: &TypeName) {
        if let Some(provider) = self.providers.of_type(type_name) {
            self.open.remove(&(target.clone(), provider.manifest.name.clone()));
        }
    }

    /// Ends all sessions politely.
    pub async fn shutdown(self) {
        for (_, session) in self.open {
            if let Ok(session) = Arc::try_unwrap(session)
                && let Err(error) = session.shutdown().await
            {
                tracing::warn!(%error, "a provider did not end well");
            }
        }
    }

    /// Ends all providers now, and waits until nothing of them runs any more.
    pub async fn kill(&self) {
        for session in self.open.values() {
            session.kill().await;
        }
    }
}
