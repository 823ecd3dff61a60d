//! Each version of a client before each version of a server: begin, list, call, and fail.

use super::{over_http, over_stdio};
use crate::support::OPEN;
use callgate_testkit::client::modern;
use callgate_testkit::{Http, Stdio};
use serde_json::{Value, json};

const VERSIONS: [&str; 5] = [
    "2024-11-05",
    "2025-03-26",
    "2025-06-18",
    "2025-11-25",
    "2026-07-28",
];

/// A client of some version.
enum Side {
    Stdio(Box<Stdio>),
    Http(Http),
}

impl Side {
    /// Begins as its version has it, and gives what the server says of itself.
    fn begin(&mut self, version: &str) -> Value {
        if version == super::MODERN {
            return self.ask(version, "server/discover", json!({}))["result"].clone();
        }
        let answer = match self {
            Self::Stdio(client) => client.initialize(version),
            Self::Http(client) => client.initialize(version),
        };
        answer.json["result"].clone()
    }

    fn ask(&mut self, version: &str, method: &str, params: Value) -> Value {
        match self {
            Self::Stdio(client) if version == super::MODERN => client.request(method, modern(params)).json,
            Self::Stdio(client) => client.request(method, params).json,
            Self::Http(client) => client.request(method, params).json,
        }
    }
}

fn pair(client: &str, server: &str, side: &mut Side) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut check = |what: &str, holds: bool, told: &Value| {
        if !holds {
            wrong.push(format!("{what}: {told}"));
        }
    };
    let is_modern = client == super::MODERN;
    let begun = side.begin(client);
    check(
        "tools are offered",
        begun["capabilities"]["tools"].is_object(),
        &begun,
    );
    if is_modern {
        let versions = begun["supportedVersions"].as_array().cloned().unwrap_or_default();
        check(
            "the version is offered",
            versions.contains(&json!(client)),
            &begun,
        );
        let name = &begun["_meta"]["io.modelcontextprotocol/serverInfo"]["name"];
        check("the server is named", name == "testkit", &begun);
    } else {
        check(
            "the server is named",
            begun["serverInfo"]["name"] == "testkit",
            &begun,
        );
        let agreed = if server == super::MODERN { client } else { server };
        check(
            "the version is agreed on",
            begun["protocolVersion"] == agreed,
            &begun,
        );
    }
    let mut told_in_its_words = |what: &str, told: &Value, is_list: bool| {
        let result = &told["result"];
        check(
            &format!("{what} is marked"),
            result.get("resultType").is_some() == is_modern,
            told,
        );
        check(
            &format!("{what} is cacheable"),
            result.get("ttlMs").is_some() == (is_modern && is_list),
            told,
        );
    };
    let list = side.ask(client, "tools/list", json!({}));
    told_in_its_words("the list", &list, true);
    let called = side.ask(
        client,
        "tools/call",
        callgate_testkit::client::call("mirror", &json!({"a": 1.50, "b": "é"})),
    );
    told_in_its_words("the result", &called, false);
    let names = list["result"]["tools"].as_array().map_or(0, Vec::len);
    check("tools are listed", names > 5, &list);
    check(
        "arguments arrive",
        called["result"]["structuredContent"] == json!({"a": 1.50, "b": "é"}),
        &called,
    );
    let failed = side.ask(
        client,
        "tools/call",
        callgate_testkit::client::call("boom", &json!({})),
    );
    check(
        "an error is the server's",
        failed["error"]["code"] == -32_000,
        &failed,
    );
    let unknown = side.ask(
        client,
        "tools/call",
        callgate_testkit::client::call("none", &json!({})),
    );
    check(
        "an unknown tool is denied",
        unknown["result"]["isError"] == true,
        &unknown,
    );
    wrong
}

fn all_pairs(mut side: impl FnMut(&str, &str) -> Vec<String>) {
    let mut wrong = Vec::new();
    let mut count = 0;
    for client in VERSIONS {
        for server in VERSIONS {
            count += 1;
            let found = side(client, server);
            wrong.extend(
                found
                    .into_iter()
                    .map(|found| format!("{client} before {server}: {found}")),
            );
        }
    }
    assert_eq!(count, 25);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_version_of_a_client_works_before_every_version_of_a_server_over_stdio() {
    all_pairs(|client, server| {
        let between = over_stdio(OPEN, server);
        pair(client, server, &mut Side::Stdio(Box::new(between.client)))
    });
}

#[test]
fn every_version_of_a_client_works_before_every_version_of_a_server_over_http() {
    all_pairs(|client, server| {
        let between = over_http(OPEN, server);
        let http = between.gate.client();
        let http = if client == super::MODERN {
            http.modern()
        } else {
            http
        };
        pair(client, server, &mut Side::Http(http))
    });
}
