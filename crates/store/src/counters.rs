//! Limits in the database: `core`'s `Counters` over the rows of one transaction.
//!
//! A key's row holds running totals of exactly the rows that its entries have, so a call costs the same
//! however many entries are live, and each entry is taken out once. What a transaction changes is kept in
//! memory and written when it ends, so the calls of a batch share the writing.

use crate::error::Failure;
use crate::secrets::FingerprintKey;
use callgate_core::amount::Amount;
use callgate_core::limit::{Charge, Counters, LimitKey, ScopeValue, StoreTime, Totals};
use rusqlite::{Connection, OptionalExtension as _, params};
use std::collections::{BTreeMap, HashMap};

/// How many keys' numbers are remembered between transactions.
const KNOWN_KEYS_MAX: usize = 16_384;
/// How many keys are looked at in one sweep.
const SWEPT_KEYS_MAX: i64 = 64;

/// The numbers of keys, remembered between transactions. A transaction that is undone has to forget them.
#[derive(Debug, Default)]
pub(crate) struct KnownKeys(HashMap<LimitKey, i64>);

impl KnownKeys {
    pub(crate) fn forget(&mut self) {
        self.0.clear();
    }

    fn learn(&mut self, key: &LimitKey, id: i64) {
        if self.0.len() >= KNOWN_KEYS_MAX {
            self.0.clear();
        }
        self.0.insert(key.clone(), id);
    }
}

/// The limits inside one transaction.
#[derive(Debug)]
pub(crate) struct Limits<'t> {
    conn: &'t Connection,
    known: &'t mut KnownKeys,
    secret: &'t FingerprintKey,
    now: StoreTime,
    /// The intent that places are taken for.
    intent: i64,
    histories: HashMap<i64, History>,
}

/// One key's history, as far as this transaction knows and changed it.
#[derive(Debug)]
struct History {
    /// How long entries are kept: as far back as any policy in force looks.
    keep: u64,
    used: Amount,
    entries: u64,
    /// Entries at or before this time did not count when it was looked at last.
    cutoff: u64,
    /// Whether entries that nobody looks back to are taken out already.
    expired: Expired,
    /// What was summed up in windows shorter than `keep`.
    sums: Vec<Sum>,
    /// Entries that were changed, and their amounts.
    changed: BTreeMap<u64, Amount>,
    row: Row,
}

/// The sum and number of the entries later than `cutoff`.
#[derive(Debug, Clone, Copy)]
struct Sum {
    cutoff: u64,
    used: Amount,
    entries: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expired {
    /// Everything at or before this time is taken out.
    UpTo(u64),
    No,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Row {
    AsStored,
    Changed,
}

impl<'t> Limits<'t> {
    pub(crate) fn new(
        conn: &'t Connection,
        known: &'t mut KnownKeys,
        secret: &'t FingerprintKey,
        now: StoreTime,
    ) -> Self {
        Self {
            conn,
            known,
            secret,
            now,
            intent: 0,
            histories: HashMap::new(),
        }
    }

    /// Names the intent that places are taken for from now on.
    pub(crate) const fn for_intent(&mut self, intent: i64) {
        self.intent = intent;
    }

    /// Takes a charge back, at its own time. An entry that has expired has nothing to give back.
    pub(crate) fn refund(&mut self, charge: &Charge) -> Result<(), Failure> {
        let id = self.resolve(&charge.key)?;
        let entry = self.entry(id, charge.at.0)?;
        let Some(entry) = entry else {
            return Ok(());
        };
        let history = self.history(id)?;
        let (Some(rest), Some(used)) = (entry.minus(charge.amount), history.used.minus(charge.amount)) else {
            return Err(Failure::Damaged("a refund is larger than its entry"));
        };
        history.used = used;
        if rest == Amount::ZERO {
            history.entries = history.entries.saturating_sub(1);
        }
        history.sums.clear();
        history.changed.insert(charge.at.0, rest);
        history.row = Row::Changed;
        Ok(())
    }

    /// Writes what was changed.
    pub(crate) fn write(mut self) -> Result<(), Failure> {
        let ids: Vec<i64> = self.histories.keys().copied().collect();
        for id in ids {
            self.write_one(id)?;
        }
        Ok(())
    }

    fn write_one(&mut self, id: i64) -> Result<(), Failure> {
        let Some(history) = self.histories.get_mut(&id) else {
            return Ok(());
        };
        for (at, amount) in std::mem::take(&mut history.changed) {
            let at = stored(at)?;
            if amount == Amount::ZERO {
                self.conn
                    .prepare_cached("DELETE FROM limit_entry WHERE key = ?1 AND at = ?2")?
                    .execute(params![id, at])?;
            } else {
                self.conn
                    .prepare_cached(
                        "INSERT INTO limit_entry VALUES (?1, ?2, ?3)
                         ON CONFLICT (key, at) DO UPDATE SET amount = excluded.amount",
                    )?
                    .execute(params![id, at, amount_bytes(amount)])?;
            }
        }
        if history.row == Row::Changed {
            self.conn
                .prepare_cached("UPDATE limit_key SET keep = ?2, used = ?3, entries = ?4 WHERE id = ?1")?
                .execute(params![
                    id,
                    stored(history.keep)?,
                    amount_bytes(history.used),
                    stored(history.entries)?
                ])?;
            history.row = Row::AsStored;
        }
        Ok(())
    }

    /// The number of `key`, whose history is loaded afterwards.
    fn resolve(&mut self, key: &LimitKey) -> Result<i64, Failure> {
        if let Some(id) = self.known.0.get(key).copied()
            && (self.histories.contains_key(&id) || self.load(id)?)
        {
            return Ok(id);
        }
        let parts = KeyParts::new(key, self.secret);
        let digest = parts.digest(self.secret);
        let found = self
            .conn
            .prepare_cached("SELECT id FROM limit_key WHERE digest = ?1")?
            .query_row([digest], |row| row.get(0))
            .optional()?;
        let id = match found {
            Some(id) => id,
            None => parts.insert(self.conn, &digest)?,
        };
        self.known.learn(key, id);
        if self.histories.contains_key(&id) || self.load(id)? {
            Ok(id)
        } else {
            Err(Failure::Damaged("a limit's row vanished inside a transaction"))
        }
    }

    /// Loads a history; false where the key's row is gone because it was swept away.
    fn load(&mut self, id: i64) -> Result<bool, Failure> {
        let row = self
            .conn
            .prepare_cached("SELECT keep, used, entries FROM limit_key WHERE id = ?1")?
            .query_row([id], |row| {
                Ok((row.get(0)?, row.get::<_, Vec<u8>>(1)?, row.get(2)?))
            })
            .optional()?;
        let Some((keep, used, entries)) = row else {
            return Ok(false);
        };
        let history = History {
            keep: unstored(keep)?,
            used: amount_of(&used)?,
            entries: unstored(entries)?,
            cutoff: 0,
            expired: Expired::No,
            sums: Vec::new(),
            changed: BTreeMap::new(),
            row: Row::AsStored,
        };
        if cfg!(debug_assertions) && sum_after(self.conn, id, None)? != (history.used, history.entries) {
            return Err(Failure::Damaged("a limit's totals are not those of its entries"));
        }
        self.histories.insert(id, history);
        Ok(true)
    }

    fn history(&mut self, id: i64) -> Result<&mut History, Failure> {
        self.histories
            .get_mut(&id)
            .ok_or(Failure::Damaged("a limit's history is not loaded"))
    }

    /// The amount of one entry; `None` where there is none.
    fn entry(&mut self, id: i64, at: u64) -> Result<Option<Amount>, Failure> {
        if let Some(amount) = self.history(id)?.changed.get(&at).copied() {
            return Ok(Some(amount).filter(|amount| *amount > Amount::ZERO));
        }
        let bytes: Option<Vec<u8>> = self
            .conn
            .prepare_cached("SELECT amount FROM limit_entry WHERE key = ?1 AND at = ?2")?
            .query_row(params![id, stored(at)?], |row| row.get(0))
            .optional()?;
        bytes.as_deref().map(amount_of).transpose()
    }

    /// Takes out the entries at or before `floor`.
    fn expire(&mut self, id: i64, floor: u64) -> Result<(), Failure> {
        match self.history(id)?.expired {
            Expired::UpTo(done) if done >= floor => return Ok(()),
            Expired::UpTo(_) | Expired::No => {}
        }
        if self.history(id)?.changed.range(..=floor).next().is_some() {
            self.write_one(id)?;
        }
        let mut gone = (Amount::ZERO, 0_u64);
        {
            let mut select = self
                .conn
                .prepare_cached("SELECT amount FROM limit_entry WHERE key = ?1 AND at <= ?2")?;
            let mut rows = select.query(params![id, stored(floor)?])?;
            while let Some(row) = rows.next()? {
                let amount = amount_of(row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?)?;
                gone = (gone.0.plus(amount).ok_or(OUT_OF_RANGE)?, gone.1 + 1);
            }
        }
        if gone.1 > 0 {
            self.conn
                .prepare_cached("DELETE FROM limit_entry WHERE key = ?1 AND at <= ?2")?
                .execute(params![id, stored(floor)?])?;
        }
        let history = self.history(id)?;
        history.expired = Expired::UpTo(floor);
        if gone.1 > 0 {
            let rest = (history.used.minus(gone.0), history.entries.checked_sub(gone.1));
            let (Some(used), Some(entries)) = rest else {
                return Err(Failure::Damaged("a limit's totals are not those of its entries"));
            };
            (history.used, history.entries) = (used, entries);
            history.row = Row::Changed;
        }
        Ok(())
    }
}

impl Limits<'_> {
    /// What a window holds that is shorter than the history: summed up once a transaction, and then kept.
    fn sum(&mut self, id: i64, cutoff: u64) -> Result<Totals, Failure> {
        let known = self.history(id)?.sums.iter().find(|sum| sum.cutoff == cutoff);
        if let Some(Sum { used, entries, .. }) = known.copied() {
            return Ok(Totals { used, entries });
        }
        self.write_one(id)?;
        let (used, entries) = sum_after(self.conn, id, Some(cutoff))?;
        self.history(id)?.sums.push(Sum {
            cutoff,
            used,
            entries,
        });
        Ok(Totals { used, entries })
    }
}

const OUT_OF_RANGE: Failure = Failure::Damaged("a limit's sum is out of range");

impl Counters for Limits<'_> {
    type Error = Failure;

    fn totals(&mut self, key: &LimitKey, cutoff: StoreTime) -> Result<Totals, Failure> {
        let id = self.resolve(key)?;
        let look_back = self.now.0.saturating_sub(cutoff.0);
        let now = self.now.0;
        let history = self.history(id)?;
        history.cutoff = cutoff.0;
        // Whoever looks further than any policy said must not lose what comes from now on.
        if look_back > history.keep {
            history.keep = look_back;
            history.row = Row::Changed;
        }
        let floor = now.saturating_sub(history.keep);
        self.expire(id, floor)?;
        if cutoff.0 > floor {
            return self.sum(id, cutoff.0);
        }
        let history = self.history(id)?;
        Ok(Totals {
            used: history.used,
            entries: history.entries,
        })
    }

    fn add(&mut self, key: &LimitKey, at: StoreTime, amount: Amount) -> Result<(), Failure> {
        let id = self.resolve(key)?;
        let entry = self.entry(id, at.0)?;
        let sum = entry.unwrap_or_default().plus(amount).ok_or(OUT_OF_RANGE)?;
        let history = self.history(id)?;
        history.used = history.used.plus(amount).ok_or(OUT_OF_RANGE)?;
        let new = u64::from(entry.is_none());
        history.entries += new;
        for known in history.sums.iter_mut().filter(|known| at.0 > known.cutoff) {
            known.used = known.used.plus(amount).ok_or(OUT_OF_RANGE)?;
            known.entries += new;
        }
        history.changed.insert(at.0, sum);
        history.row = Row::Changed;
        Ok(())
    }

    fn freed_by(&mut self, key: &LimitKey, need: Amount) -> Result<Option<StoreTime>, Failure> {
        let id = self.resolve(key)?;
        self.write_one(id)?;
        let cutoff = stored(self.history(id)?.cutoff)?;
        let mut select = self
            .conn
            .prepare_cached("SELECT at, amount FROM limit_entry WHERE key = ?1 AND at > ?2 ORDER BY at")?;
        let mut rows = select.query([id, cutoff])?;
        let mut sum = Amount::ZERO;
        while let Some(row) = rows.next()? {
            let amount = amount_of(row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?)?;
            sum = sum.plus(amount).ok_or(OUT_OF_RANGE)?;
            if sum >= need {
                return Ok(Some(StoreTime(unstored(row.get(0)?)?)));
            }
        }
        Ok(None)
    }

    fn in_flight(&mut self, key: &LimitKey) -> Result<u32, Failure> {
        let id = self.resolve(key)?;
        let places: i64 = self
            .conn
            .prepare_cached("SELECT coalesce(sum(places), 0) FROM slot WHERE key = ?1")?
            .query_row([id], |row| row.get(0))?;
        Ok(u32::try_from(places).unwrap_or(u32::MAX))
    }

    fn occupy(&mut self, key: &LimitKey) -> Result<(), Failure> {
        let id = self.resolve(key)?;
        self.conn
            .prepare_cached(
                "INSERT INTO slot VALUES (?1, ?2, 1) ON CONFLICT (key, intent) DO UPDATE SET places = places + 1",
            )?
            .execute([id, self.intent])?;
        Ok(())
    }
}

/// The sum and number of a key's entries later than `cutoff`, of all where it is `None`.
pub(crate) fn sum_after(conn: &Connection, id: i64, cutoff: Option<u64>) -> Result<(Amount, u64), Failure> {
    let after = cutoff.map_or(Ok(-1), stored)?;
    let mut select = conn.prepare_cached("SELECT amount FROM limit_entry WHERE key = ?1 AND at > ?2")?;
    let mut rows = select.query(params![id, after])?;
    let mut sum = (Amount::ZERO, 0);
    while let Some(row) = rows.next()? {
        let amount = amount_of(row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?)?;
        sum = (sum.0.plus(amount).ok_or(OUT_OF_RANGE)?, sum.1 + 1);
    }
    Ok(sum)
}

/// Takes out keys whose history has nothing left to keep, among some that follow `after`. Gives
/// where to go on, and 0 at the end.
pub(crate) fn sweep(conn: &Connection, now: StoreTime, after: i64) -> Result<i64, Failure> {
    let keys: Vec<(i64, i64)> = conn
        .prepare_cached("SELECT id, keep FROM limit_key WHERE id > ?1 ORDER BY id LIMIT ?2")?
        .query_map([after, SWEPT_KEYS_MAX], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    for (id, keep) in &keys {
        let floor = stored(now.0.saturating_sub(unstored(*keep)?))?;
        let used: bool = conn
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM limit_entry WHERE key = ?1 AND at > ?2)
                   OR EXISTS (SELECT 1 FROM slot WHERE key = ?1)",
            )?
            .query_row([*id, floor], |row| row.get(0))?;
        if !used {
            conn.prepare_cached("DELETE FROM limit_entry WHERE key = ?1")?
                .execute([id])?;
            conn.prepare_cached("DELETE FROM limit_key WHERE id = ?1")?
                .execute([id])?;
        }
    }
    Ok(keys.last().map_or(0, |(id, _)| *id))
}

/// A key's parts as they are stored. An argument's value is there only as its fingerprint.
struct KeyParts<'k> {
    server: Option<&'k str>,
    scope: &'k str,
    value: Option<String>,
    tool: &'k str,
    counter: &'k str,
}

impl<'k> KeyParts<'k> {
    fn new(key: &'k LimitKey, secret: &FingerprintKey) -> Self {
        let (scope, value) = match &key.scope {
            ScopeValue::Grant(grant) => ("grant", Some(grant.as_str().to_owned())),
            ScopeValue::Session(session) => ("session", Some(session.as_str().to_owned())),
            ScopeValue::Tool => ("tool", None),
            ScopeValue::Server => ("server", None),
            ScopeValue::Global => ("global", None),
            ScopeValue::Argument { path, value } => {
                (&**path, Some(secret.scope_value(path, value).to_string()))
            }
        };
        Self {
            server: key.server.as_ref().map(|server| server.as_str()),
            scope,
            value,
            tool: &key.tool,
            counter: key.counter.as_str(),
        }
    }

    fn digest(&self, secret: &FingerprintKey) -> [u8; 32] {
        let optional = |text: Option<&str>| text.map_or_else(|| "-".to_owned(), |text| format!("+{text}"));
        secret.of(
            "limit",
            &[
                optional(self.server).as_bytes(),
                self.scope.as_bytes(),
                optional(self.value.as_deref()).as_bytes(),
                self.tool.as_bytes(),
                self.counter.as_bytes(),
            ],
        )
    }

    fn insert(&self, conn: &Connection, digest: &[u8; 32]) -> Result<i64, Failure> {
        conn.prepare_cached(
            "INSERT INTO limit_key (digest, server, scope, value, tool, counter, keep, used, entries)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, ?7, 0)",
        )?
        .execute(params![
            digest,
            self.server,
            self.scope,
            self.value,
            self.tool,
            self.counter,
            amount_bytes(Amount::ZERO)
        ])?;
        let id = conn.last_insert_rowid();
        crate::in_force::keep(conn, Some(id))?;
        Ok(id)
    }
}

pub(crate) const fn amount_bytes(amount: Amount) -> [u8; 16] {
    amount.billionths().to_be_bytes()
}

pub(crate) fn amount_of(bytes: &[u8]) -> Result<Amount, Failure> {
    <[u8; 16]>::try_from(bytes)
        .ok()
        .and_then(|bytes| Amount::from_billionths(u128::from_be_bytes(bytes)))
        .ok_or(Failure::Damaged("an amount is out of range"))
}

/// SQLite's integers are signed: what does not fit fails the transaction, which denies.
pub(crate) fn stored(value: u64) -> Result<i64, Failure> {
    i64::try_from(value).map_err(|_| Failure::Damaged("a number is out of range"))
}

pub(crate) fn unstored(value: i64) -> Result<u64, Failure> {
    u64::try_from(value).map_err(|_| Failure::Damaged("a number is negative"))
}
