//! Paths that look as if they lay in the folder that is allowed.

use crate::commands::attacks::case::{Call, Case, Server, tool};
use crate::commands::attacks::record::{Done, Recorder};
use crate::commands::attacks::scene::Scene;
use async_trait::async_trait;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

pub(super) struct PathSmuggling;

#[async_trait(?Send)]
impl Case for PathSmuggling {
    fn id(&self) -> &'static str {
        "path-smuggling"
    }

    fn server(&self, _: &str) -> Box<dyn Server> {
        Box::new(Files)
    }

    async fn attack(&self, scene: &mut Scene) -> anyhow::Result<()> {
        for path in [
            "/srv/data-private/key",
            "/srv/data/../data-private/key",
            "/srv/data/%2e%2e/data-private/key",
            "/srv/data/reports/../../data-private/key",
        ] {
            scene.agent().call("read_file", json!({ "path": path })).await?;
        }
        Ok(())
    }

    async fn ordinary(&self, scene: &mut Scene) -> anyhow::Result<()> {
        for path in ["/srv/data/notes.txt", "/srv/data/reports/q3.txt"] {
            scene.agent().call("read_file", json!({ "path": path })).await?;
        }
        Ok(())
    }

    fn harm(&self, done: &Done) -> Option<String> {
        let read = done
            .all("read")
            .filter(|path| path.starts_with("srv/data-private/"))
            .count();
        (read > 0).then(|| format!("given out /srv/data-private/key, {read} times"))
    }

    fn beyond(&self) -> Option<&'static str> {
        Some("a symbolic link below the folder, which leads out of it")
    }

    async fn attack_beyond(&self, scene: &mut Scene) -> anyhow::Result<()> {
        let path = json!({ "path": "/srv/data/shortcut/key" });
        scene.agent().call("read_file", path).await?;
        Ok(())
    }
}

/// A server whose check compares beginnings, before anything is decoded. `/srv` lies in its folder.
struct Files;

impl Server for Files {
    fn tools(&self) -> Vec<Value> {
        vec![tool(
            "read_file",
            "Reads a file below /srv/data.",
            &[("path", "string")],
        )]
    }

    fn call(&mut self, call: &Call<'_>, recorder: &mut Recorder) -> Result<String, String> {
        let path = call.text("path");
        if !path.starts_with("/srv/data") {
            return Err(format!("{path} does not lie below /srv/data"));
        }
        let root = set_up(recorder.folder()).map_err(|error| error.to_string())?;
        let decoded = percent_decode_str(path).decode_utf8_lossy();
        let file = root.join(decoded.trim_start_matches('/'));
        let file = std::fs::canonicalize(file).map_err(|error| error.to_string())?;
        // Whatever the attack, nothing of the machine itself is read.
        let real = file.strip_prefix(&root).map_err(|error| error.to_string())?;
        let text = std::fs::read_to_string(&file).map_err(|error| error.to_string())?;
        recorder.did("read", real.display().to_string());
        Ok(text)
    }
}

/// Lays out the files: the root that stands for `/`.
fn set_up(folder: &Path) -> std::io::Result<PathBuf> {
    let root = std::fs::canonicalize(folder)?;
    let link = root.join("srv/data/shortcut");
    for (file, text) in [
        ("srv/data/notes.txt", "buy milk"),
        ("srv/data/reports/q3.txt", "all went well"),
        ("srv/data-private/key", "the private key"),
    ] {
        let file = root.join(file);
        std::fs::create_dir_all(file.parent().unwrap_or(&root))?;
        std::fs::write(file, text)?;
    }
    if !link.is_symlink() {
        std::os::unix::fs::symlink("../data-private", link)?;
    }
    Ok(root)
}
