//! What all sessions of one server share: the policy in force, the store, the bounds.

use crate::recorder::Recorder;
use crate::settings::Settings;
use arc_swap::ArcSwap;
use callgate_core::call::{Caller, ListedTool, Scene, WallTime};
use callgate_core::name::{ServerName, SessionId};
use callgate_core::program::Program;
use std::sync::Arc;
use std::time::SystemTime;
use tokio::sync::watch;

/// One server behind one policy, for one caller.
#[derive(Debug)]
pub struct Gate {
    /// The server's configured name.
    pub server: ServerName,
    /// Who calls.
    pub caller: Caller,
    /// Bounds and deadlines.
    pub settings: Settings,
    program: ArcSwap<Program>,
    recorder: Recorder,
    lists: watch::Sender<Vec<Arc<ListedTool>>>,
}

impl Gate {
    /// A gate with its first policy.
    #[must_use]
    pub fn new(
        server: ServerName,
        caller: Caller,
        program: Program,
        recorder: Recorder,
        settings: Settings,
    ) -> Self {
        Self {
            server,
            caller,
            settings,
            program: ArcSwap::from_pointee(program),
            recorder,
            lists: watch::Sender::new(Vec::new()),
        }
    }

    /// The policy in force.
    #[must_use]
    pub fn program(&self) -> Arc<Program> {
        self.program.load_full()
    }

    /// Puts another policy in force, from the next call on.
    pub fn replace_program(&self, program: Program) {
        self.program.store(Arc::new(program));
    }

    /// The server's tools as they were last listed, for whoever compares a policy with them.
    #[must_use]
    pub fn lists(&self) -> watch::Receiver<Vec<Arc<ListedTool>>> {
        self.lists.subscribe()
    }

    pub(crate) fn publish_list(&self, tools: Vec<Arc<ListedTool>>) {
        self.lists.send_replace(tools);
    }

    /// What writes the record.
    #[must_use]
    pub const fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// What stands around a call of this gate, as of now.
    #[must_use]
    pub fn scene<'a>(&'a self, session: Option<&'a SessionId>) -> Scene<'a> {
        Scene {
            server: &self.server,
            caller: &self.caller,
            session,
            now: wall_time(),
        }
    }
}

fn wall_time() -> WallTime {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    WallTime(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
