//! Two bursts, one on each side of the moment at which a limit begins anew.

use crate::commands::attacks::case::{Call, Case, Server, tool};
use crate::commands::attacks::record::{Done, Recorder};
use crate::commands::attacks::scene::Scene;
use anyhow::bail;
use async_trait::async_trait;
use serde_json::{Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(super) struct BoundaryBurst;

/// How long the window is, in milliseconds.
const WINDOW: u64 = 2_000;
/// So many runs may be started within it.
const RUNS_MAX: usize = 5;
/// From so many on it is harm. A call reaches the server a little after it was counted, so one or two more than may be
/// would prove nothing.
const HARMFUL: usize = 8;
/// How long before the boundary the first burst begins, in milliseconds.
const AHEAD: u64 = 400;
/// So often it is tried, where the machine is too busy for both bursts to come where they should.
const TRIES: usize = 10;

#[async_trait(?Send)]
impl Case for BoundaryBurst {
    fn id(&self) -> &'static str {
        "boundary-burst"
    }

    fn server(&self, _: &str) -> Box<dyn Server> {
        Box::new(Runs::default())
    }

    async fn attack(&self, scene: &mut Scene) -> anyhow::Result<()> {
        let mut rest = 0;
        for _ in 0..TRIES {
            let begins = (now() + rest + AHEAD).next_multiple_of(WINDOW) - AHEAD;
            sleep_until(begins).await;
            burst(scene).await?;
            let boundary = begins + AHEAD;
            let was_before = now() < boundary;
            sleep_until(boundary).await;
            burst(scene).await?;
            if was_before && now() < begins + WINDOW {
                return Ok(());
            }
            // Far enough from this try that its runs are in no window of the next.
            rest = WINDOW;
        }
        bail!("the machine is too busy for two bursts within two seconds")
    }

    async fn ordinary(&self, scene: &mut Scene) -> anyhow::Result<()> {
        for branch in ["main", "release", "hotfix"] {
            let arguments = json!({ "branch": branch });
            scene.agent().call("start_run", arguments).await?;
        }
        Ok(())
    }

    fn harm(&self, done: &Done) -> Option<String> {
        let times: Vec<u64> = done.effects.iter().map(|effect| effect.at).collect();
        let within = |end: &u64| {
            let after = end.saturating_sub(WINDOW);
            times.iter().filter(|time| (after..=*end).contains(time)).count()
        };
        let most = times.iter().map(within).max().unwrap_or(0);
        (most >= HARMFUL).then(|| format!("started {most} runs within two seconds"))
    }
}

async fn burst(scene: &mut Scene) -> anyhow::Result<()> {
    for _ in 0..RUNS_MAX {
        let arguments = json!({ "branch": "main" });
        scene.agent().call("start_run", arguments).await?;
    }
    Ok(())
}

async fn sleep_until(time: u64) {
    // A sleep may end a little early by the clock that is looked at here.
    while let Some(left) = time.checked_sub(now()).filter(|left| *left > 0) {
        tokio::time::sleep(Duration::from_millis(left)).await;
    }
}

/// Milliseconds since the Unix epoch.
fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

/// A server with a limit of its own, whose windows are the clock's.
#[derive(Default)]
struct Runs {
    window: u64,
    started: usize,
}

impl Server for Runs {
    fn tools(&self) -> Vec<Value> {
        vec![tool(
            "start_run",
            "Starts a run of a branch.",
            &[("branch", "string")],
        )]
    }

    fn call(&mut self, call: &Call<'_>, recorder: &mut Recorder) -> Result<String, String> {
        let window = now() / WINDOW;
        if window != self.window {
            *self = Self { window, started: 0 };
        }
        if self.started == RUNS_MAX {
            return Err("five runs in two seconds; try again".to_owned());
        }
        self.started += 1;
        recorder.did("started", format!("a run of {}", call.text("branch")));
        Ok("started".to_owned())
    }
}
