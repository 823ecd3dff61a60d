//! Runs that are gone: their calls are closed as unknown, once, and their places freed.

use super::{Engine, remove_quietly};
use crate::error::Failure;
use callgate_ledger::RunId;
use rusqlite::{OptionalExtension as _, params};
use std::fs::{File, TryLockError};
use std::io;

/// Whether a run's process still is there.
#[derive(Debug)]
pub(crate) enum Life {
    Lives,
    /// It is gone. Whoever holds this file may close what it left.
    Gone(Option<File>),
}

/// Asks the kernel: a process holds its lock file for as long as it lives, however long it is silent.
pub(crate) fn life(path: &std::path::Path) -> io::Result<Life> {
    let file = match File::options().read(true).write(true).open(path) {
        Ok(file) => file,
        // A run's row is written after its lock file, and the file is removed only after the run ended.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Life::Gone(None)),
        Err(error) => return Err(error),
    };
    match file.try_lock() {
        Ok(()) => Ok(Life::Gone(Some(file))),
        Err(TryLockError::WouldBlock) => Ok(Life::Lives),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

impl Engine {
    /// Closes what runs that are gone have left.
    pub(crate) fn reap(&mut self) -> Result<(), Failure> {
        for (row, run) in self.other_runs()? {
            let path = self.folder.run_lock_path(run);
            match life(&path)? {
                Life::Lives => {}
                Life::Gone(lock) => {
                    self.close_run(row, run)?;
                    if lock.is_some() {
                        remove_quietly(&path);
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes out some of the limits that are not used any more, such as those of sessions that have ended.
    pub(crate) fn sweep(&mut self) -> Result<(), Failure> {
        let after = self.swept;
        self.swept = self.transact(|batch| batch.sweep(after))?;
        Ok(())
    }

    fn other_runs(&self) -> Result<Vec<(i64, RunId)>, Failure> {
        let mut select = self
            .conn
            .prepare_cached("SELECT id, run FROM run WHERE ended IS NULL AND id != ?1")?;
        let rows = select.query_map([self.run.row], |row| Ok((row.get(0)?, RunId(row.get(1)?))))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn close_run(&mut self, row: i64, run: RunId) -> Result<(), Failure> {
        self.transact(|batch| {
            let ended: Option<Option<i64>> = batch
                .conn
                .prepare_cached("SELECT ended FROM run WHERE id = ?1")?
                .query_row([row], |row| row.get(0))
                .optional()?;
            // Another process may have been here between the look and the lock.
            if ended != Some(None) {
                return Ok(());
            }
            batch.close_gone(row, run)?;
            batch
                .conn
                .prepare_cached("UPDATE run SET ended = ?2, how = 'gone' WHERE id = ?1")?
                .execute(params![row, batch.at()?])?;
            Ok(())
        })
    }

    /// Ends this run in order: what is still open is closed as unknown, then comes `stop`.
    pub(crate) fn end_run(&mut self, reason: &'static str) -> Result<(), Failure> {
        let open = self.open_calls();
        let row = self.run.row;
        let suppressed = self.refusals.all();
        self.transact(|batch| {
            for call in open {
                batch.settle(call, &crate::admission::Settlement::unknown("process_gone"))?;
            }
            batch.write_suppressed(&suppressed)?;
            let stop = callgate_ledger::record::Stop {
                reason: reason.into(),
            };
            batch.append(stop.into(), None)?;
            batch
                .conn
                .prepare_cached("UPDATE run SET ended = ?2, how = ?3 WHERE id = ?1")?
                .execute(params![row, batch.at()?, reason])?;
            Ok(())
        })?;
        self.refusals.written(&suppressed);
        Ok(())
    }
}
