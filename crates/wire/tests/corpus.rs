//! Replays the corpus that fuzzing keeps, on the stable toolchain.

// The body is shared with the fuzz target.
#[path = "../../../fuzz/bodies/wire.rs"]
mod body;

#[test]
fn every_kept_input_still_holds() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/wire");
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder}: {error}"));
    let mut replayed = 0;
    for entry in entries {
        let path = entry.unwrap_or_else(|error| panic!("{folder}: {error}")).path();
        let data = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        body::fuzz_wire(&data);
        replayed += 1;
    }
    assert!(replayed >= 20, "only {replayed} inputs in {folder}");
}

#[test]
fn every_prefix_and_every_changed_byte_of_the_corpus_holds() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/wire");
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder}: {error}"));
    for entry in entries.flatten() {
        let data = std::fs::read(entry.path()).unwrap_or_default();
        if data.len() > 250 {
            continue;
        }
        for at in 0..data.len() {
            body::fuzz_wire(data.get(..at).unwrap_or_default());
            for byte in *b"\",{]0\\\n\xff" {
                let mut changed = data.clone();
                changed.splice(at..=at, [byte]);
                body::fuzz_wire(&changed);
            }
        }
    }
}
