//! Packs the data files of `crates/catalog` with what the classifier says of each tool.

use anyhow::Context;
use std::path::{Path, PathBuf};

/// Where the data files are.
const SERVERS: &str = "../catalog/data/servers";

fn main() -> anyhow::Result<()> {
    let here = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").context("no CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(std::env::var_os("OUT_DIR").context("no OUT_DIR")?);
    let packed = pack(&here.join(SERVERS))?;
    let path = out.join("catalogue.bin");
    std::fs::write(&path, packed).with_context(|| format!("cannot write {}", path.display()))?;
    let mut stdout = std::io::stdout();
    std::io::Write::write_all(
        &mut stdout,
        format!("cargo::rerun-if-changed={SERVERS}\ncargo::rerun-if-changed=build.rs\n").as_bytes(),
    )?;
    Ok(())
}

fn pack(folder: &Path) -> anyhow::Result<Vec<u8>> {
    let cannot = || format!("cannot read {}", folder.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(cannot)? {
        let path = entry.with_context(cannot)?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let name = path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let text =
                std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            files.push((name, text));
        }
    }
    let files = files.iter().map(|(name, text)| (name.as_str(), text.as_str()));
    Ok(callgate_catalog::catalogue::pack(files)?)
}
