//! Programs that checks run, each in the version named here and installed below `target/tools`.

use crate::shell::{root, run};
use std::path::PathBuf;
use std::process::Command;

/// `cargo-deny`, built here: unoptimised, since it is built more often than it is waited for.
pub(crate) fn cargo_deny() -> anyhow::Result<PathBuf> {
    const VERSION: &str = "0.20.2";
    let folder = root()?.join("target/tools");
    let program = folder.join("bin/cargo-deny");
    if !is_version(&program, VERSION) {
        run(&[
            "cargo",
            "install",
            "--quiet",
            "--locked",
            "--debug",
            "--root",
            &folder.to_string_lossy(),
            "--version",
            VERSION,
            "cargo-deny",
        ])?;
    }
    Ok(program)
}

/// `typos`, which its package brings ready to run.
pub(crate) fn typos() -> anyhow::Result<PathBuf> {
    const VERSION: &str = "1.52.0";
    let folder = root()?.join("target/tools/typos");
    let program = folder.join("bin/typos");
    if !is_version(&program, VERSION) {
        run(&["python3", "-m", "venv", "--clear", &folder.to_string_lossy()])?;
        run(&[
            &folder.join("bin/python").to_string_lossy(),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--only-binary",
            ":all:",
            &format!("typos=={VERSION}"),
        ])?;
    }
    Ok(program)
}

fn is_version(program: &std::path::Path, version: &str) -> bool {
    let output = Command::new(program).arg("--version").output();
    output.is_ok_and(|output| {
        let said = String::from_utf8_lossy(&output.stdout);
        said.split_whitespace().any(|word| word == version)
    })
}
