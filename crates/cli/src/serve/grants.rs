//! The grants of the state folder, under the policies of the configuration.

use callgate_core::program::Program;
use callgate_gateway::gate::PolicySlot;
use callgate_gateway::serve::http::{Access, Granted, Roll, Source};
use callgate_store::{PolicyName, Store, StoreError};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The policies by name, each where gates look for it.
pub(super) type Slots = BTreeMap<PolicyName, Arc<PolicySlot>>;

/// Denies everything.
pub(super) fn nothing() -> Arc<PolicySlot> {
    PolicySlot::new(Arc::new(Program::deny_all()))
}

/// The grants of the state folder, under the configuration's policies.
#[derive(Debug)]
pub(super) struct StoreGrants {
    pub(super) store: Arc<Store>,
    pub(super) slots: Arc<Slots>,
    /// Denies everything: for servers that a grant names without a policy, or with one that there is not.
    pub(super) nothing: Arc<PolicySlot>,
}

impl Source for StoreGrants {
    fn generation(&self) -> Result<u64, StoreError> {
        self.store.grants_generation()
    }

    fn roll(&self) -> Result<Roll, StoreError> {
        let snapshot = self.store.grants()?;
        // Of many grants that name a policy in vain, one is told of.
        let mut missing = BTreeMap::new();
        let mut grants = Vec::with_capacity(snapshot.grants.len());
        for live in snapshot.grants {
            let mut servers = Access::new();
            for (server, policy) in live.grant.servers {
                let slot = policy.as_ref().and_then(|policy| self.slots.get(policy));
                servers.insert(server, Arc::clone(slot.unwrap_or(&self.nothing)));
                if let (Some(policy), None) = (policy, slot) {
                    missing.entry(policy).or_insert_with(|| live.grant.label.clone());
                }
            }
            grants.push(Granted {
                id: live.grant.id,
                label: live.grant.label.as_str().into(),
                token: live.token,
                expires: live.grant.expires,
                servers,
                identities: live.grant.identities.into_iter().collect(),
            });
        }
        for (policy, label) in missing {
            tracing::warn!(
                "the grant `{label}` names the policy `{policy}`, which the configuration does not have; the calls that it is for are denied, and so are those of every other grant that names it"
            );
        }
        Ok(Roll {
            generation: snapshot.generation,
            grants,
            revoked: snapshot.revoked.into_iter().collect(),
        })
    }
}
