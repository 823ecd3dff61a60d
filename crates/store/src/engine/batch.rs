//! One transaction: calls checked and written one after the other, in the order of the log.

use super::open::{OpenBlocks, Turned, name_call, open_intents};
use super::{Engine, Open, Places, Run};
use crate::admission::{Admission, AdmitRequest, Admitted, Refund, Settlement};
use crate::clock::micros;
use crate::counters::{Limits, stored};
use crate::error::Failure;
use crate::event::{Event, Refused};
use crate::grants;
use crate::in_force::{self, PolicyInForce};
use crate::refusals::{Bound, Refusals, Space, Tally};
use crate::schema::FOLLOWING;
use crate::secrets::{FingerprintKey, random};
use callgate_core::limit::{StoreTime, Verdict, admit};
use callgate_ledger::record::{Body, Denial, Reload, Status};
use callgate_ledger::{CallId, Digest, Record, RunId, Uint53, leaf_hash};
use rusqlite::{Connection, OptionalExtension as _, params};
use sha2::{Digest as _, Sha256};
use std::collections::{HashMap, HashSet};

/// About what a refusal's record takes, for the budget of bytes.
const REFUSAL_BYTES: u64 = 1_024;

/// A transaction under way.
#[derive(Debug)]
pub(crate) struct Batch<'t> {
    pub(crate) conn: &'t Connection,
    limits: Limits<'t>,
    secret: &'t FingerprintKey,
    open: &'t HashMap<CallId, Open>,
    blocks: &'t OpenBlocks,
    turned: Turned,
    refusals: &'t mut Refusals,
    buffer: &'t mut Vec<u8>,
    run: Run,
    pub(super) now: StoreTime,
    next: i64,
    records: u64,
    space: Space,
    /// As it was read in this transaction.
    grants_generation: Option<u64>,
    opened: HashMap<CallId, Open>,
    closed: HashSet<CallId>,
    denied: HashMap<Tally, u64>,
}

/// What a committed transaction changed in memory.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) opened: HashMap<CallId, Open>,
    pub(crate) closed: HashSet<CallId>,
    pub(super) turned: Turned,
    /// How many records it added.
    pub(super) records: u64,
}

impl<'t> Batch<'t> {
    pub(super) fn new(engine: &'t mut Engine, now: StoreTime, next: i64, space: Space) -> Self {
        Self {
            conn: &engine.conn,
            limits: Limits::new(&engine.conn, &mut engine.known, &engine.secret, now),
            secret: &engine.secret,
            open: &engine.open,
            blocks: &engine.blocks,
            turned: Turned::default(),
            refusals: &mut engine.refusals,
            buffer: &mut engine.buffer,
            run: engine.run,
            now,
            next,
            records: 0,
            space,
            grants_generation: None,
            opened: HashMap::new(),
            closed: HashSet::new(),
            denied: HashMap::new(),
        }
    }

    /// This transaction's time, as tables hold it.
    pub(crate) fn at(&self) -> Result<i64, Failure> {
        stored(micros(self.now))
    }

    /// Admits a call and writes its intent, or refuses it and writes its denial.
    pub(crate) fn admit(&mut self, request: &AdmitRequest) -> Result<Admission, Failure> {
        if self.is_stale(request)? {
            return Ok(Admission::Stale);
        }
        self.limits.for_intent(self.next);
        match admit(&mut self.limits, self.now, &request.reservations, &request.slots)? {
            Verdict::Refused(refusal) => {
                self.refuse(request.denial(&refusal))?;
                Ok(Admission::Refused(refusal))
            }
            Verdict::Admitted { charges, shadow } => {
                let call = name_call(self.run.id, self.next)?;
                let values = match &request.values {
                    Some(content) => Some(self.keep_values(content)?),
                    None => None,
                };
                let intent = request.intent(call, &charges, &shadow, values, self.secret);
                let seq = self.append(intent, None)?;
                self.turned.turn(self.blocks, seq, true)?;
                let places = if request.slots.is_empty() {
                    Places::None
                } else {
                    Places::Held
                };
                self.opened.insert(call, Open { charges, places });
                Ok(Admission::Admitted(Admitted {
                    call,
                    at: self.now,
                    shadow,
                }))
            }
        }
    }

    /// Whether the grants have changed since the caller was let in. Whoever changes them needs the lock that
    /// this transaction holds, so the answer stands until it commits.
    fn is_stale(&mut self, request: &AdmitRequest) -> Result<bool, Failure> {
        let Some(known) = request.grants_generation else {
            return Ok(false);
        };
        let generation = match self.grants_generation {
            Some(generation) => generation,
            None => grants::generation(self.conn)?,
        };
        self.grants_generation = Some(generation);
        Ok(generation != known)
    }

    fn keep_values(&self, content: &str) -> Result<Digest, Failure> {
        let salt: [u8; 16] = random()?;
        self.conn
            .prepare_cached("INSERT INTO recorded VALUES (?1, ?2, ?3)")?
            .execute(params![self.next, salt, content])?;
        Ok(salted(&salt, content))
    }

    /// Writes what became of a call, once. A call that is not open here is left alone.
    pub(crate) fn settle(&mut self, call: CallId, settlement: &Settlement) -> Result<(), Failure> {
        let Some(open) = self.open.get(&call).filter(|_| !self.closed.contains(&call)) else {
            tracing::warn!(%call, "a call was settled that is not open");
            return Ok(());
        };
        let intent = intent_of(call)?;
        if settlement.refund == Refund::Release {
            for charge in &open.charges {
                self.limits.refund(charge)?;
            }
        }
        self.turned.turn(self.blocks, intent, false)?;
        if open.places == Places::Held {
            self.free_places(intent)?;
        }
        self.append(settlement.body(call), Some(intent))?;
        self.closed.insert(call);
        Ok(())
    }

    /// Closes the calls of a run that is gone.
    pub(super) fn close_gone(&mut self, row: i64, run: RunId) -> Result<(), Failure> {
        for intent in open_intents(self.conn, row)? {
            self.free_places(intent)?;
            let body = Settlement::unknown("process_gone").body(name_call(run, intent)?);
            self.append(body, Some(intent))?;
        }
        self.conn
            .prepare_cached("DELETE FROM open_call WHERE run = ?1")?
            .execute([row])?;
        Ok(())
    }

    fn free_places(&self, intent: i64) -> Result<(), Failure> {
        self.conn
            .prepare_cached("DELETE FROM slot WHERE intent = ?1")?
            .execute([intent])?;
        Ok(())
    }

    /// Records an event, or counts it where it is a refusal beyond the bounds.
    pub(crate) fn record(&mut self, event: &Event) -> Result<(), Failure> {
        if let Event::Denial(denial) = event {
            return self.refuse(denial.clone());
        }
        if let Some(refused) = event.refused() {
            return match self.bound(&refused) {
                Bound::Record => self.append(event.body(), None).map(drop),
                Bound::Count => Ok(()),
            };
        }
        let intent = match event.call() {
            None => None,
            Some(call) => match self.followed(call, event)? {
                Follow::Yes(intent) => Some(intent),
                Follow::No => return Ok(()),
            },
        };
        self.append(event.body(), intent).map(drop)
    }

    /// Records a reload, and judges calls to come by what it put in force.
    pub(crate) fn reload(&mut self, policies: &[PolicyInForce], records: &[Reload]) -> Result<(), Failure> {
        for policy in policies {
            in_force::put(self.conn, self.run.row, policy, self.now)?;
        }
        for record in records {
            self.append(record.clone().into(), None)?;
        }
        Ok(())
    }

    fn refuse(&mut self, denial: Denial) -> Result<(), Failure> {
        let tally = Tally::of(&denial);
        let event = Event::Denial(denial);
        let Some(refused) = event.refused() else {
            return Ok(());
        };
        match self.bound(&refused) {
            Bound::Record => {
                *self.denied.entry(tally).or_default() += 1;
                self.append(event.body(), None).map(drop)
            }
            Bound::Count => {
                self.refusals.tally(tally);
                Ok(())
            }
        }
    }

    fn bound(&mut self, refused: &Refused) -> Bound {
        self.refusals.offer(refused, REFUSAL_BYTES, self.now, self.space)
    }

    /// Whether a record may follow a call: a late answer its outcome, a task's end its acceptance.
    fn followed(&self, call: CallId, event: &Event) -> Result<Follow, Failure> {
        let intent = intent_of(call)?;
        let first: Option<i64> = self
            .conn
            .prepare_cached("SELECT seq FROM ledger ORDER BY seq LIMIT 1")?
            .query_row([], |row| row.get(0))
            .optional()?;
        if first.is_some_and(|first| intent < first) {
            return Ok(Follow::Yes(intent));
        }
        let mut accepted = false;
        let (mut outcome, mut ended) = (false, false);
        let mut select = self.conn.prepare_cached(FOLLOWING)?;
        let mut rows = select.query([intent])?;
        while let Some(row) = rows.next()? {
            let bytes = row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?;
            let record =
                Record::decode(bytes).map_err(|_| Failure::Damaged("a record cannot be read back"))?;
            if record.body.call() != Some(call) {
                return Ok(Follow::No);
            }
            if let Body::Outcome(body) = &record.body {
                outcome = true;
                accepted = body.status == Status::Accepted;
            }
            ended |= matches!(&record.body, Body::TaskEnd(_));
        }
        let follows = if matches!(event, Event::TaskEnd(_)) {
            accepted && !ended
        } else {
            outcome
        };
        if !follows {
            tracing::warn!(%call, "a record was dropped that follows no call");
        }
        Ok(if follows { Follow::Yes(intent) } else { Follow::No })
    }

    /// Appends a record and gives its number.
    pub(crate) fn append(&mut self, body: Body, intent: Option<i64>) -> Result<i64, Failure> {
        let seq = self.next;
        let number = u64::try_from(seq).ok().and_then(|seq| Uint53::new(seq).ok());
        let record = Record {
            seq: number.ok_or(Failure::Damaged("the ledger is full"))?,
            at: Uint53::saturating(micros(self.now)),
            run: self.run.id,
            body,
        };
        self.buffer.clear();
        record.encode_into(self.buffer);
        let leaf = leaf_hash(self.buffer);
        self.conn
            .prepare_cached("INSERT INTO ledger VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![
                seq,
                self.at()?,
                intent,
                leaf.as_bytes(),
                &self.buffer[..]
            ])?;
        self.next += 1;
        self.records += 1;
        Ok(seq)
    }

    /// Writes what is kept to the end: limits, and counts of denials.
    pub(super) fn finish(self) -> Result<Ended, Failure> {
        let conn = self.conn;
        self.limits.write()?;
        self.turned.write(conn, self.run.row)?;
        for (tally, count) in self.denied {
            count_denied(conn, &tally, count)?;
        }
        Ok(Ended {
            opened: self.opened,
            closed: self.closed,
            turned: self.turned,
            records: self.records,
        })
    }

    /// Writes the counts of refusals that were not recorded.
    pub(crate) fn write_suppressed(
        &mut self,
        suppressed: &[callgate_ledger::record::Suppressed],
    ) -> Result<(), Failure> {
        for record in suppressed {
            self.append(record.clone().into(), None)?;
        }
        for (tally, count) in self.refusals.tallies() {
            count_denied(self.conn, tally, count)?;
        }
        Ok(())
    }

    /// Takes out limits that are not used any more; gives where the next sweep goes on.
    pub(super) fn sweep(&self, after: i64) -> Result<i64, Failure> {
        crate::counters::sweep(self.conn, self.now, after)
    }

    /// Writes something, to find out whether that is possible again.
    pub(crate) fn probe(&self) -> Result<(), Failure> {
        crate::schema::set_meta(self.conn, "probe", &self.at()?)
    }

    /// How many records the ledger has, those of this transaction included.
    pub(crate) const fn size(&self) -> i64 {
        self.next
    }

    pub(crate) fn suppressed_due(&self) -> Vec<callgate_ledger::record::Suppressed> {
        self.refusals.due(self.now)
    }
}

enum Follow {
    Yes(i64),
    No,
}

/// The number of the intent that a call is named by.
pub(crate) fn intent_of(call: CallId) -> Result<i64, Failure> {
    let number = call.as_bytes().last_chunk::<8>().copied().unwrap_or_default();
    stored(u64::from_be_bytes(number))
}

/// The salted hash that a leaf has of recorded values.
pub(crate) fn salted(salt: &[u8], content: &str) -> Digest {
    Digest(
        Sha256::new()
            .chain_update(salt)
            .chain_update(content)
            .finalize()
            .into(),
    )
}

fn count_denied(conn: &Connection, tally: &Tally, count: u64) -> Result<(), Failure> {
    conn.prepare_cached(
        "INSERT INTO denied VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (server, rule, reason) DO UPDATE SET count = count + excluded.count",
    )?
    .execute(params![
        tally.server.as_str(),
        tally.rule.as_str(),
        tally.reason.as_str(),
        stored(count)?
    ])?;
    Ok(())
}
