//! Calls without an outcome, as the database holds them: a bit for each record of the log, in rows of
//! [`BLOCK_RECORDS`]. The calls of a batch lie close together, so most batches change one row or two.

use crate::error::Failure;
use callgate_ledger::{CallId, RunId};
use rusqlite::{Connection, params};
use std::collections::BTreeMap;

/// For how many records of the log a row tells which are intents without an outcome.
const BLOCK_RECORDS: i64 = 512;
const BLOCK_BYTES: usize = 64;

/// The bits of one block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Block([u8; BLOCK_BYTES]);

impl Block {
    const EMPTY: Self = Self([0; BLOCK_BYTES]);

    /// Turns the bit of `intent`; false where that is how it was.
    fn turn(&mut self, intent: i64, open: bool) -> bool {
        let place = usize::try_from(intent % BLOCK_RECORDS).unwrap_or_default();
        let (byte, bit) = (self.0.get_mut(place / 8), 1_u8 << (place % 8));
        match byte {
            Some(byte) if (*byte & bit != 0) != open => {
                *byte ^= bit;
                true
            }
            Some(_) | None => false,
        }
    }

    fn count(&self) -> u32 {
        self.0.iter().map(|byte| byte.count_ones()).sum()
    }

    fn intents(self, number: i64) -> impl Iterator<Item = i64> {
        (0..BLOCK_RECORDS)
            .filter(move |place| {
                let place = usize::try_from(*place).unwrap_or_default();
                self.0
                    .get(place / 8)
                    .is_some_and(|byte| (byte >> (place % 8)) & 1 == 1)
            })
            .map(move |place| number * BLOCK_RECORDS + place)
    }
}

/// The rows of this run.
#[derive(Debug, Default)]
pub(super) struct OpenBlocks(BTreeMap<i64, Block>);

/// What a transaction makes of them.
#[derive(Debug, Default)]
pub(crate) struct Turned(BTreeMap<i64, (Block, Block)>);

impl OpenBlocks {
    /// Takes over what was committed.
    pub(super) fn commit(&mut self, turned: Turned) {
        for (number, (_, block)) in turned.0 {
            if block == Block::EMPTY {
                self.0.remove(&number);
            } else {
                self.0.insert(number, block);
            }
        }
    }
}

impl Turned {
    /// Marks `intent` as open, or as closed.
    pub(super) fn turn(&mut self, before: &OpenBlocks, intent: i64, open: bool) -> Result<(), Failure> {
        let number = intent / BLOCK_RECORDS;
        let known = || before.0.get(&number).copied().unwrap_or(Block::EMPTY);
        let (_, block) = self.0.entry(number).or_insert_with(|| (known(), known()));
        if block.turn(intent, open) {
            Ok(())
        } else {
            Err(Failure::Damaged("a call is closed that is not open"))
        }
    }

    /// Writes what was turned.
    ///
    /// INVARIANT: where the rows are not as this run left them, another process has closed its calls, and
    /// they must not get a second outcome: the transaction fails.
    pub(super) fn write(&self, conn: &Connection, run: i64) -> Result<(), Failure> {
        for (number, (before, after)) in &self.0 {
            if before == after {
                continue;
            }
            let changed = if *before == Block::EMPTY {
                conn.prepare_cached("INSERT INTO open_call VALUES (?1, ?2, ?3)")?
                    .execute(params![run, number, after.0])?
            } else if *after == Block::EMPTY {
                conn.prepare_cached("DELETE FROM open_call WHERE run = ?1 AND block = ?2 AND calls = ?3")?
                    .execute(params![run, number, before.0])?
            } else {
                conn.prepare_cached(
                    "UPDATE open_call SET calls = ?4 WHERE run = ?1 AND block = ?2 AND calls = ?3",
                )?
                .execute(params![run, number, before.0, after.0])?
            };
            if changed != 1 {
                return Err(Failure::Damaged("an open call is missing"));
            }
        }
        Ok(())
    }
}

fn blocks(conn: &Connection, run: i64) -> Result<Vec<(i64, Block)>, Failure> {
    let mut select =
        conn.prepare_cached("SELECT block, calls FROM open_call WHERE run = ?1 ORDER BY block")?;
    let rows = select.query_map([run], |row| Ok((row.get(0)?, Block(row.get(1)?))))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// How many calls of a run have no outcome.
pub(crate) fn count_open(conn: &Connection, run: i64) -> Result<u64, Failure> {
    Ok(blocks(conn, run)?
        .iter()
        .map(|(_, block)| u64::from(block.count()))
        .sum())
}

/// The intents of a run without an outcome.
pub(super) fn open_intents(conn: &Connection, run: i64) -> Result<Vec<i64>, Failure> {
    Ok(blocks(conn, run)?
        .into_iter()
        .flat_map(|(number, block)| block.intents(number))
        .collect())
}

/// Half of a call's name is its run's, half its intent's number, so it is found without an index and never
/// given twice: a number that is given again after a failure was not seen by anyone.
pub(super) fn name_call(run: RunId, intent: i64) -> Result<CallId, Failure> {
    let mut name = *run.as_bytes();
    let number = u64::try_from(intent).map_err(|_| Failure::Damaged("a record's number is negative"))?;
    for (to, from) in name.iter_mut().skip(8).zip(number.to_be_bytes()) {
        *to = from;
    }
    Ok(CallId(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_tells_its_intents_in_the_order_of_the_log() {
        let (mut rows, mut turned) = (OpenBlocks::default(), Turned::default());
        for intent in [512, 513, 519, 520, 1_023] {
            turned.turn(&rows, intent, true).unwrap();
        }
        assert!(turned.turn(&rows, 519, true).is_err(), "it is open already");
        rows.commit(turned);
        let mut turned = Turned::default();
        turned.turn(&rows, 513, false).unwrap();
        assert!(turned.turn(&rows, 513, false).is_err(), "it is closed already");
        rows.commit(turned);
        let block = rows.0[&1];
        assert_eq!(block.count(), 4);
        assert_eq!(block.intents(1).collect::<Vec<_>>(), [512, 519, 520, 1_023]);
    }

    #[test]
    fn a_row_that_another_process_changed_is_not_written_over() {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(crate::schema::TABLES).unwrap();
        let (mut rows, mut turned) = (OpenBlocks::default(), Turned::default());
        turned.turn(&rows, 7, true).unwrap();
        turned.turn(&rows, 8, true).unwrap();
        turned.write(&conn, 1).unwrap();
        rows.commit(turned);
        assert_eq!(count_open(&conn, 1).unwrap(), 2);
        conn.execute("DELETE FROM open_call", []).unwrap();
        let mut turned = Turned::default();
        turned.turn(&rows, 7, false).unwrap();
        assert!(turned.write(&conn, 1).is_err());
    }
}
