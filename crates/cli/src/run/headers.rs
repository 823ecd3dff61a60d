//! Headers for the server, with references to secrets resolved.

use crate::reference::{self, Part};
use crate::words::warn;
use anyhow::{Context, bail};
use http::{HeaderMap, HeaderName, HeaderValue};
use std::path::{Path, PathBuf};

/// Names that Callgate sets itself, or that would break the framing of a request.
pub(crate) const RESERVED: [&str; 9] = [
    "accept",
    "connection",
    "content-length",
    "content-type",
    "host",
    "mcp-protocol-version",
    "mcp-session-id",
    "te",
    "transfer-encoding",
];

/// Reads `--header` and `--header-file`.
pub(crate) fn read(lines: &[String], files: &[PathBuf]) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for line in lines {
        if !line.contains("${") {
            let name = line.split(':').next().unwrap_or_default();
            warn(&format!(
                "the value of --header `{name}` can be seen in the list of processes; use ${{env:NAME}} or --header-file"
            ));
        }
        add(&mut headers, line).with_context(|| "--header")?;
    }
    for file in files {
        let text =
            std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        for (index, line) in text.lines().enumerate() {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            add(&mut headers, line)
                .with_context(|| format!("{}:{}", file.display(), index.saturating_add(1)))?;
        }
    }
    Ok(headers)
}

/// Reads `--header-env`: headers whose values are those of variables, as they are.
pub(crate) fn of_variables(lines: &[String], headers: &mut HeaderMap) -> anyhow::Result<()> {
    for line in lines {
        let Some((name, variable)) = line.split_once(':') else {
            bail!("--header-env: a header has to read `Name: VARIABLE`");
        };
        let value = reference::variable(variable.trim(), &|name| std::env::var_os(name));
        let value = value.context("--header-env")?;
        append(headers, name, value.trim()).context("--header-env")?;
    }
    Ok(())
}

fn add(headers: &mut HeaderMap, line: &str) -> anyhow::Result<()> {
    let Some((name, value)) = line.split_once(':') else {
        bail!("a header has to read `Name: value`");
    };
    append(headers, name, &expand(value.trim())?)
}

/// Adds a header, whose value is a secret.
pub(crate) fn append(headers: &mut HeaderMap, name: &str, value: &str) -> anyhow::Result<()> {
    let name: HeaderName = name.trim().parse().context("the name is no header name")?;
    if RESERVED.contains(&name.as_str()) {
        bail!("`{name}` is set by Callgate itself");
    }
    // The message of the error would hold the value, which may be a secret.
    let Ok(mut value) = HeaderValue::try_from(value) else {
        bail!("the value of `{name}` has characters that no header may have");
    };
    value.set_sensitive(true);
    headers.append(name, value);
    Ok(())
}

/// Puts environment variables and files in place of `${env:X}` and `${file:X}`.
fn expand(text: &str) -> anyhow::Result<String> {
    let mut out = String::new();
    for (part, _) in reference::parts(text) {
        match part {
            Part::Text(text) => out.push_str(text),
            Part::Env(name) => out.push_str(&reference::variable(name, &|name| std::env::var_os(name))?),
            Part::File(path) => out.push_str(&reference::file(Path::new(path))?),
            Part::Unclosed => bail!("`${{` has no `}}`"),
            Part::Unknown(_) => bail!("a reference reads `${{env:NAME}}` or `${{file:PATH}}`"),
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("headers");
        std::fs::write(&path, text).unwrap();
        (dir, path)
    }

    #[test]
    fn references_are_resolved_and_values_are_marked_as_secret() {
        let (_dir, secret) = file("s3cret\n");
        let line = format!("Authorization: Bearer ${{file:{}}}", secret.display());
        let headers = read(&[line], &[]).unwrap();
        let value = headers.get("authorization").unwrap();
        assert_eq!(value, "Bearer s3cret");
        assert!(value.is_sensitive());
        assert!(!format!("{headers:?}").contains("s3cret"));
    }

    #[test]
    fn a_header_file_has_comments_and_empty_lines() {
        let (_dir, path) = file("# the key\n\nX-Key: 1\nX-Other: 2\n");
        let headers = read(&[], &[path]).unwrap();
        assert_eq!(
            (headers.len(), headers.get("x-key").unwrap().to_str().unwrap()),
            (2, "1")
        );
    }

    #[test]
    fn a_header_of_a_variable_has_its_value_as_it_is() {
        let mut headers = HeaderMap::new();
        // Cargo sets it for every test.
        of_variables(&["X-Package:CARGO_PKG_NAME".to_owned()], &mut headers).unwrap();
        let value = headers.get("x-package").unwrap();
        assert_eq!(value, "callgate");
        assert!(value.is_sensitive());
        for (line, said) in [
            ("X-Package", "`Name: VARIABLE`"),
            ("X: CALLGATE_TEST_NOT_SET", "CALLGATE_TEST_NOT_SET is not set"),
            ("Host: CARGO_PKG_NAME", "`host` is set by Callgate itself"),
        ] {
            let error = format!(
                "{:#}",
                of_variables(&[line.to_owned()], &mut headers).unwrap_err()
            );
            assert!(
                error.starts_with("--header-env: ") && error.contains(said),
                "{error}"
            );
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_the_value() {
        for (line, said) in [
            ("no colon s3cret", "`Name: value`"),
            ("Host: s3cret", "`host` is set by Callgate itself"),
            ("X: s3cret\u{7f}", "characters that no header may have"),
            ("X: ${env:CALLGATE_TEST_NOT_SET}s3cret", "CALLGATE_TEST_NOT_SET"),
            ("X: ${other:x}s3cret", "`${env:NAME}`"),
        ] {
            let error = format!("{:#}", read(&[line.to_owned()], &[]).unwrap_err());
            assert!(error.contains(said), "{error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
