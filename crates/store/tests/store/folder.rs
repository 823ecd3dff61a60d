//! What a state folder must be, and what is said where it is not.

use crate::support::{admitted, call, folder, ok, options, until, verified, wait};
use callgate_store::{OpenError, ReadError, Reader, StopReason, Store, StoreError};
use rusqlite::Connection;
use std::fs::{Permissions, create_dir, set_permissions, write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

fn refused(dir: &Path) -> OpenError {
    Store::open(options(dir)).expect_err("the folder must not open")
}

fn opened_once(dir: &Path) {
    Store::open(options(dir)).unwrap().close(StopReason::Exit);
}

#[test]
fn a_newer_schema_is_refused_and_left_alone() {
    let (_outer, dir) = folder();
    opened_once(&dir);
    let database = dir.join("callgate.db");
    Connection::open(&database)
        .unwrap()
        .pragma_update(None, "user_version", 99)
        .unwrap();
    let before = std::fs::read(&database).unwrap();
    let error = refused(&dir);
    assert!(
        matches!(
            error,
            OpenError::Newer {
                found: 99,
                known: 2,
                ..
            }
        ),
        "{error}"
    );
    assert!(error.to_string().contains("update callgate"), "{error}");
    assert_eq!(std::fs::read(&database).unwrap(), before);
    assert!(matches!(
        Reader::open(&dir),
        Err(ReadError::Open(OpenError::Newer { .. }))
    ));
}

#[test]
fn a_damaged_database_is_refused() {
    let (_outer, dir) = folder();
    opened_once(&dir);
    let database = dir.join("callgate.db");
    let whole = std::fs::read(&database).unwrap();
    let mut scribbled = whole.clone();
    for byte in scribbled.iter_mut().skip(100).take(4_000) {
        *byte = 0xa5;
    }
    for bytes in [vec![0x55; 20_000], whole[..700].to_vec(), scribbled] {
        write(&database, &bytes).unwrap();
        let error = refused(&dir);
        assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
        assert!(error.to_string().contains("restore it from a backup"), "{error}");
    }
}

#[test]
fn the_database_of_another_program_is_refused() {
    let (_outer, dir) = folder();
    create_dir(&dir).unwrap();
    set_permissions(&dir, Permissions::from_mode(0o700)).unwrap();
    let database = Connection::open(dir.join("callgate.db")).unwrap();
    database.execute_batch("CREATE TABLE theirs (x)").unwrap();
    drop(database);
    assert!(matches!(refused(&dir), OpenError::Damaged { .. }));
}

#[test]
fn what_is_no_private_local_folder_is_refused() {
    let (outer, dir) = folder();
    write(&dir, "a file").unwrap();
    assert!(matches!(refused(&dir), OpenError::NotADirectory { .. }));
    assert!(matches!(
        refused(&dir.join("below")),
        OpenError::NotADirectory { .. }
    ));
    let open = outer.path().join("open");
    create_dir(&open).unwrap();
    set_permissions(&open, Permissions::from_mode(0o777)).unwrap();
    let error = refused(&open);
    assert!(
        matches!(error, OpenError::WritableByOthers { mode: 0o777, .. }),
        "{error}"
    );
    assert!(error.to_string().contains("chmod 700"), "{error}");
    assert!(matches!(
        refused(Path::new("/proc/callgate")),
        OpenError::Make { .. }
    ));
}

#[test]
fn a_read_only_folder_is_refused() {
    if rustix::process::geteuid().is_root() {
        return; // Permission bits do not bind root.
    }
    let (_outer, dir) = folder();
    create_dir(&dir).unwrap();
    set_permissions(&dir, Permissions::from_mode(0o500)).unwrap();
    assert!(matches!(refused(&dir), OpenError::ReadOnly { .. }));
    set_permissions(&dir, Permissions::from_mode(0o700)).unwrap();
    opened_once(&dir);
    set_permissions(dir.join("callgate.db"), Permissions::from_mode(0o400)).unwrap();
    assert!(matches!(refused(&dir), OpenError::ReadOnly { .. }));
}

#[test]
fn a_key_that_is_none_is_refused() {
    let (outer, dir) = folder();
    let mut with_key = options(&dir);
    let key = outer.path().join("key");
    with_key.ledger_key = Some(key.clone());
    let missing = Store::open(with_key.clone()).unwrap_err();
    assert!(matches!(missing, OpenError::Unreadable { .. }), "{missing}");
    write(&key, [1; 31]).unwrap();
    assert!(matches!(
        Store::open(with_key.clone()),
        Err(OpenError::Key { .. })
    ));
    write(&key, [1; 32]).unwrap();
    Store::open(with_key).unwrap().close(StopReason::Exit);
    assert!(!dir.join("ledger.key").exists(), "the given key is used instead");
    assert_eq!(verified(&dir).unsigned(), 0);
}

#[test]
fn a_folder_without_state_is_told_to_the_reader() {
    let (outer, dir) = folder();
    for missing in [dir.as_path(), outer.path()] {
        assert!(matches!(Reader::open(missing), Err(ReadError::Missing { .. })));
    }
}

#[test]
fn while_an_outcome_cannot_be_written_calls_are_denied_and_then_it_is_written() {
    let (_outer, dir) = folder();
    let store = Store::open(options(&dir)).unwrap();
    let held = admitted(&store, call()).unwrap();
    let other = Connection::open(dir.join("callgate.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    store.settle(held.call, ok());
    until("the failure to be noticed", || !store.healthy());
    let refused = wait(store.admit(call()));
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    other.execute_batch("ROLLBACK").unwrap();
    until("the store to be back", || store.healthy());
    let records = Reader::open(&dir).unwrap().call(held.call).unwrap().unwrap();
    assert_eq!(records.following.len(), 1);
    assert!(admitted(&store, call()).is_some());
    store.close(StopReason::Exit);
    assert!(matches!(wait(store.admit(call())), Err(StoreError::Closed)));
}

#[test]
fn a_database_that_is_moved_away_is_noticed() {
    let (_outer, dir) = folder();
    let store = Store::open(options(&dir)).unwrap();
    assert!(admitted(&store, call()).is_some());
    std::fs::rename(dir.join("callgate.db"), dir.join("gone.db")).unwrap();
    until("the loss to be noticed", || wait(store.admit(call())).is_err());
    assert!(!store.healthy());
    std::fs::rename(dir.join("gone.db"), dir.join("callgate.db")).unwrap();
    until("the store to be back", || store.healthy());
    store.close(StopReason::Exit);
    verified(&dir);
}
