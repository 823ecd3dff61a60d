//! The fuzzer's corpus, replayed by the stable tests, and cut and flipped a little.

#![expect(clippy::unwrap_used, reason = "a corpus that cannot be read has failed")]

use std::path::PathBuf;

use callgate_ledger::fuzzing::fuzz_ledger;
use proptest::prelude::*;

fn corpus() -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/ledger");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    files
        .into_iter()
        .map(|file| std::fs::read(file).unwrap())
        .collect()
}

#[test]
fn the_corpus_is_read_without_a_panic() {
    let corpus = corpus();
    assert!(corpus.len() >= 8, "the corpus is there");
    corpus.iter().for_each(|data| fuzz_ledger(data));
}

proptest! {
    #[test]
    fn so_is_what_lies_near_it(
        file in any::<proptest::sample::Index>(),
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..4),
        end in any::<proptest::sample::Index>(),
    ) {
        let corpus = corpus();
        let mut data = file.get(&corpus).clone();
        prop_assume!(!data.is_empty());
        for (at, byte) in changes {
            let at = at.index(data.len());
            data.splice(at..=at, [byte]);
        }
        data.truncate(end.index(data.len() + 1));
        fuzz_ledger(&data);
    }

    #[test]
    fn so_is_anything(data in proptest::collection::vec(any::<u8>(), 0..200)) {
        fuzz_ledger(&data);
    }
}
