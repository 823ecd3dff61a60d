//! Credentials that are written out. What is found is named by where it stands, never by its value.

/// Beginnings by which issuers mark their tokens.
const PREFIXES: &[&str] = &[
    "ghp_",
    "gho_",
    "ghs_",
    "ghu_",
    "github_pat_",
    "glpat-",
    "sk-ant-",
    "sk-proj-",
    "sk_live_",
    "sk_test_",
    "rk_live_",
    "whsec_",
    "xoxb-",
    "xoxp-",
    "xoxa-",
    "xapp-",
    "AKIA",
    "ASIA",
    "AIza",
    "ya29.",
    "npm_",
    "pypi-",
    "hf_",
    "SG.",
    "shpat_",
    "dop_v1_",
    "figd_",
    "lin_api_",
    "ntn_",
    "sntrys_",
    "glsa_",
    "eyJhbGciOi",
];

/// So long is what stands behind such a beginning, at least.
const TOKEN_CHARS_MIN: usize = 12;

/// Words of a name that say that its value is a credential.
const SECRET_WORDS: &[&str] = &[
    "password",
    "passwd",
    "pwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "credential",
    "credentials",
    "auth",
    "authorization",
    "bearer",
    "jwt",
    "pat",
    "sig",
    "signature",
];

/// Pairs of words that say so together.
const SECRET_PAIRS: &[(&str, &str)] = &[
    ("api", "key"),
    ("access", "key"),
    ("private", "key"),
    ("secret", "key"),
    ("auth", "key"),
    ("service", "key"),
    ("account", "key"),
    ("app", "key"),
];

/// Words that say that a name is about something else, such as where a token is kept.
const OTHER_WORDS: &[&str] = &[
    "file", "path", "url", "uri", "endpoint", "type", "limit", "max", "name", "id", "ttl", "server",
    "method", "mode", "cmd", "command", "port", "scope", "helper",
];

/// Whether a value under this name is a credential.
pub(crate) fn is_secret_name(name: &str) -> bool {
    let words = words(name);
    let has = |word: &str| words.iter().any(|other| other == word);
    if words
        .last()
        .is_some_and(|last| OTHER_WORDS.contains(&last.as_str()))
    {
        return false;
    }
    SECRET_WORDS.iter().any(|word| has(word))
        || words
            .iter()
            .any(|word| word.ends_with("apikey") || word.ends_with("accesstoken"))
        || words.windows(2).any(
            |pair| matches!(pair, [left, right] if SECRET_PAIRS.contains(&(left.as_str(), right.as_str()))),
        )
        || words == ["key"]
}

/// The words of a name, in lower case: `--apiKey` and `API_KEY` alike.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for c in name.chars().take(256) {
        if !c.is_alphanumeric() || c.is_uppercase() && was_lower {
            words.push(String::new());
        }
        if c.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(c.to_lowercase());
        }
        was_lower = c.is_lowercase() || c.is_ascii_digit();
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Whether a value stands for itself: not empty, and no reference to a variable or a file.
pub(crate) fn is_written_out(value: &str) -> bool {
    let value = value.trim();
    let bare = value
        .strip_prefix("Bearer ")
        .or_else(|| value.strip_prefix("Basic "))
        .or_else(|| value.strip_prefix("token "))
        .unwrap_or(value)
        .trim();
    let is_reference = bare.starts_with('$') || bare.starts_with('%') && bare.ends_with('%');
    let is_blank = bare.is_empty()
        || bare.starts_with('<') && bare.ends_with('>')
        || bare.chars().all(|c| matches!(c, '*' | 'x' | 'X' | '.' | '…'))
        || matches!(bare, "true" | "false" | "none" | "null");
    !is_reference && !is_blank
}

/// The beginning by which a token anywhere in a text is known.
pub(crate) fn token_in(text: &str) -> Option<&'static str> {
    PREFIXES.iter().copied().find(|prefix| {
        text.match_indices(prefix).any(|(at, _)| {
            let before = text.get(..at).and_then(|before| before.chars().next_back());
            let rest = text.get(at.saturating_add(prefix.len())..).unwrap_or_default();
            !before.is_some_and(|c| c.is_ascii_alphanumeric()) && is_long_enough(rest)
        })
    })
}

/// Whether a text begins as the tokens of a known issuer do.
pub(crate) fn begins_token(text: &str) -> bool {
    PREFIXES
        .iter()
        .any(|prefix| text.strip_prefix(prefix).is_some_and(is_long_enough))
}

/// Whether what stands behind a beginning makes a token of it.
fn is_long_enough(rest: &str) -> bool {
    let length = rest
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
        .count();
    length >= TOKEN_CHARS_MIN
}

/// Where in a URL a credential is written out, in words.
pub(crate) fn in_url(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if let Some((user, _)) = authority.rsplit_once('@') {
        let (_, password) = user.split_once(':').unwrap_or((user, ""));
        if is_written_out(password) {
            return Some("a password before the host".to_owned());
        }
        if let Some(prefix) = token_in(user) {
            return Some(format!("a token that begins `{prefix}` before the host"));
        }
    }
    let query = rest.split_once('?').map(|(_, query)| query).unwrap_or_default();
    for pair in query.split(['&', ';', '#']) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if is_secret_name(name) && is_written_out(value) {
            return Some(format!("the value of `{name}` in the query"));
        }
    }
    token_in(rest).map(|prefix| format!("a token that begins `{prefix}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_credentials_are_known_in_any_spelling() {
        for name in [
            "--api-key",
            "API_KEY",
            "apiKey",
            "apikey",
            "GITHUB_TOKEN",
            "--token",
            "X-Auth-Token",
            "password",
            "Authorization",
            "AWS_SECRET_ACCESS_KEY",
            "key",
            "accessToken",
            "OPENAI_APIKEY",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in [
            "--token-file",
            "TOKEN_PATH",
            "AUTH_URL",
            "keyboard",
            "monkey",
            "--max-tokens",
            "client_id",
            "PATH",
            "tokenizer",
            "AUTH_TYPE",
            "--host",
        ] {
            assert!(!is_secret_name(name), "{name}");
        }
    }

    #[test]
    fn a_reference_is_not_the_value() {
        for value in [
            "${TOKEN}",
            "$TOKEN",
            "Bearer ${TOKEN}",
            "%TOKEN%",
            "",
            "<your key>",
            "xxxx",
            "true",
        ] {
            assert!(!is_written_out(value), "{value}");
        }
        for value in ["hunter2", "Bearer abc", "a${b}"] {
            assert!(is_written_out(value), "{value}");
        }
    }

    #[test]
    fn tokens_are_known_by_how_they_begin() {
        assert_eq!(token_in("--x=ghp_0123456789abcdef"), Some("ghp_"));
        assert_eq!(token_in("sk-ant-0123456789abcdef"), Some("sk-ant-"));
        for text in [
            "ghp_short",
            "task_live_0123456789abcdef",
            "npm_config",
            "high_hf_x",
        ] {
            assert_eq!(token_in(text), None, "{text}");
        }
    }

    #[test]
    fn credentials_in_urls_are_named_without_their_value() {
        let cases = [
            ("postgres://me:s3cret@host/db", Some("a password before the host")),
            (
                "https://host/mcp?api_key=s3cret",
                Some("the value of `api_key` in the query"),
            ),
            (
                "https://host/mcp#x?token=s3cret",
                Some("the value of `token` in the query"),
            ),
            (
                "https://ghp_0123456789abcdef@host/x",
                Some("a token that begins `ghp_` before the host"),
            ),
            (
                "https://host/ghp_0123456789abcdef/mcp",
                Some("a token that begins `ghp_`"),
            ),
            ("https://host/mcp?api_key=${KEY}", None),
            ("postgres://me:${PASSWORD}@host/db", None),
            ("postgres://me@host/db?sslmode=require", None),
            ("https://host/mcp?page=2", None),
            ("no url", None),
        ];
        for (url, wanted) in cases {
            let found = in_url(url);
            assert_eq!(found.as_deref(), wanted, "{url}");
            assert!(!found.unwrap_or_default().contains("s3cret"));
        }
    }
}
