//! The limits of the policies in force, so that histories are kept for the longest window on them.
//!
//! The calls of one gate may look at a history through a shorter window than those of another gate, or than
//! calls that come later. So each run says what its policies look at before they judge any call, and a key's
//! `keep` is the longest window of any run. A run that ended is heard for as long as its own calls may
//! still have to count.

use crate::clock::micros;
use crate::counters::{amount_bytes, amount_of, stored, unstored};
use crate::error::Failure;
use callgate_core::amount::Amount;
use callgate_core::limit::{Bound, CalendarUnit, LimitInForce, StoreTime, Window};
use callgate_core::name::ServerName;
use callgate_core::program::Scope;
use rusqlite::{Connection, Row, params};
use std::time::Duration;

/// A policy that a run judges by.
#[derive(Debug, Clone)]
pub struct PolicyInForce {
    /// The server that it is for.
    pub server: ServerName,
    /// Its SHA-256.
    pub digest: [u8; 32],
    /// What it looks at.
    pub limits: Vec<LimitInForce>,
}

/// Which rows of `limit_in_force` are about a row of `limit_key`. A limit over all servers is every gate's.
macro_rules! about_key {
    () => {
        "limit_in_force.counter = limit_key.counter AND limit_in_force.scope = limit_key.scope
         AND (limit_in_force.tool IS NULL OR limit_in_force.tool = limit_key.tool)
         AND (limit_key.server IS NULL OR limit_in_force.server = limit_key.server)"
    };
}

/// Sets how long histories are kept: that of `?1`, or all where it is null. What no gate looks at stays.
const KEEP: &str = concat!(
    "UPDATE limit_key SET keep = coalesce((SELECT max(length) FROM limit_in_force WHERE ",
    about_key!(),
    "), keep) WHERE ?1 IS NULL OR id = ?1"
);

/// Forgets what runs that have ended looked at: where `?1`, which has just begun, looks as far, and where
/// their calls have left every window of theirs.
const FORGET: &str = "
DELETE FROM limit_in_force AS old WHERE run IN (SELECT id FROM run WHERE ended IS NOT NULL) AND (
  EXISTS (SELECT 1 FROM limit_in_force AS new WHERE new.run = ?1
    AND new.counter = old.counter AND new.scope = old.scope AND new.tool IS old.tool
    AND new.server = old.server AND new.length >= old.length)
  OR (SELECT ended FROM run WHERE id = old.run) + old.length / 1000 < ?2)";

const OF_KEY: &str = concat!(
    "SELECT DISTINCT length, calendar, max, places FROM limit_key, limit_in_force
     WHERE limit_key.id = ?1 AND ",
    about_key!(),
    " AND (run IN (SELECT id FROM run WHERE ended IS NULL)
       OR run = (SELECT max(run) FROM limit_in_force WHERE ",
    about_key!(),
    ")) ORDER BY length, max"
);

/// Says that `run` judges by a policy from now on, in place of what it judged that server's calls by.
pub(crate) fn put(
    conn: &Connection,
    run: i64,
    policy: &PolicyInForce,
    now: StoreTime,
) -> Result<(), Failure> {
    let server = policy.server.as_str();
    conn.execute(
        "DELETE FROM limit_in_force WHERE run = ?1 AND server = ?2",
        params![run, server],
    )?;
    let mut insert =
        conn.prepare("INSERT INTO limit_in_force VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?;
    for limit in &policy.limits {
        let (window, max, places) = match limit.bound {
            Bound::Window { window, max } => (Some(window), max.map(amount_bytes), None),
            Bound::InFlight { max } => (None, None, Some(max)),
        };
        insert.execute(params![
            run,
            server,
            limit.counter.as_str(),
            scope_text(&limit.scope),
            limit.tool,
            window.map(|window| length(window.length())).transpose()?,
            matches!(window, Some(Window::Calendar(_))),
            max,
            places
        ])?;
    }
    conn.execute(FORGET, params![run, stored(micros(now))?])?;
    keep(conn, None)
}

/// Sets how long the history of `key` is kept, of every key where it is `None`.
pub(crate) fn keep(conn: &Connection, key: Option<i64>) -> Result<(), Failure> {
    conn.prepare_cached(KEEP)?.execute([key])?;
    Ok(())
}

fn length(window: Duration) -> Result<i64, Failure> {
    stored(u64::try_from(window.as_nanos()).unwrap_or(u64::MAX))
}

/// A scope as keys have it.
fn scope_text(scope: &Scope) -> String {
    match scope {
        Scope::Grant => "grant".to_owned(),
        Scope::Session => "session".to_owned(),
        Scope::Tool => "tool".to_owned(),
        Scope::Server => "server".to_owned(),
        Scope::Global => "global".to_owned(),
        Scope::Argument(path) => path.to_string(),
    }
}

/// What gates look at a key for: those that run, else the one that ran last.
#[derive(Debug, Default)]
pub(crate) struct Looks {
    pub(crate) windows: Vec<(Window, Option<Amount>)>,
    pub(crate) places: Option<u32>,
}

impl Looks {
    pub(crate) fn at(conn: &Connection, key: i64) -> Result<Self, Failure> {
        let mut looks = Self::default();
        let mut select = conn.prepare_cached(OF_KEY)?;
        let mut rows = select.query([key])?;
        while let Some(row) = rows.next()? {
            if let Some(places) = row.get::<_, Option<u32>>(3)? {
                looks.places = Some(looks.places.map_or(places, |before| before.min(places)));
            }
            if let Some(window) = window_of(row)? {
                let max: Option<Vec<u8>> = row.get(2)?;
                looks
                    .windows
                    .push((window, max.as_deref().map(amount_of).transpose()?));
            }
        }
        // What is only looked at says nothing beside a limit on the same window.
        let bounded: Vec<Window> = looks
            .windows
            .iter()
            .filter(|(_, max)| max.is_some())
            .map(|(window, _)| *window)
            .collect();
        looks
            .windows
            .retain(|(window, max)| max.is_some() || !bounded.contains(window));
        Ok(looks)
    }
}

fn window_of(row: &Row<'_>) -> Result<Option<Window>, Failure> {
    let Some(length) = row.get::<_, Option<i64>>(0)? else {
        return Ok(None);
    };
    let length = Duration::from_nanos(unstored(length)?);
    if !row.get::<_, bool>(1)? {
        return Ok(Some(Window::Sliding(length)));
    }
    let units = [CalendarUnit::Minute, CalendarUnit::Hour, CalendarUnit::Day];
    let unit = units.into_iter().find(|unit| unit.length() == length);
    let unit = unit.ok_or(Failure::Damaged("the calendar has no such unit"))?;
    Ok(Some(Window::Calendar(unit)))
}
