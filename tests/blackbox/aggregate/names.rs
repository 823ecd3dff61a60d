//! Names, URIs and tasks of several servers, there and back; and lists of them.

use super::{begun, received, scripted_stage, sha256, words};
use crate::team::Stage;
use callgate_testkit::{Room, StdioServer};
use serde_json::{Value, json};
use std::collections::BTreeSet;

#[test]
fn a_name_of_more_than_64_characters_is_cut_and_found_again_and_two_that_meet_or_are_alike_are_hidden() {
    let long = "x".repeat(70);
    let met = format!("{}_met", "y".repeat(66));
    let cut = |own: &str| {
        let whole = format!("s__{own}");
        let (kept, hash) = (whole.get(..55).unwrap(), sha256(&whole));
        format!("{kept}_{}", hash.get(..8).unwrap())
    };
    // Another tool's own name is what the long one is cut to.
    let decoy = cut(&met).replacen("s__", "", 1);
    let exact = "z".repeat(61);
    let lines = format!(
        "if k == 'tools/list':\n    tools('{long}', '{met}', '{decoy}', '{exact}', 'short', 'short')\nif k == 'prompts/list':\n    answer({{'prompts': [{{'name': '{long}'}}]}})\nif k == 'prompts/get':\n    answer({{'messages': [], 'description': p['name']}})\nif k == 'tools/call':\n    text(p['name'])"
    );
    let (stage, team, mut client) = scripted_stage(&[("s", &lines)]);
    // Before anything was listed.
    assert_eq!(client.call(&cut(&long), json!({})).text(), long);
    let prompt = client.request("prompts/get", json!({"name": cut(&long)}));
    assert_eq!(prompt.result()["description"], long);
    let exact_name = format!("s__{exact}");
    assert_eq!(exact_name.len(), 64);
    let listed = client.request("tools/list", json!({})).tool_names();
    assert_eq!(listed, [cut(&long), exact_name.clone()]);
    let _ = team.process.stderr_line("two names are one at /mcp");
    assert_eq!(client.call(&exact_name, json!({})).text(), exact);
    let before = received(&stage.room, "s").len();
    for hidden in [
        cut(&met),
        format!("s__{decoy}"),
        format!("s__{long}"),
        format!("s__{met}"),
        // The server lists it twice.
        "s__short".to_owned(),
    ] {
        let denied = client.call(&hidden, json!({}));
        assert_eq!(
            denied.reason(),
            Some("tool_not_available"),
            "{hidden}: {}",
            denied.raw
        );
    }
    let sent = received(&stage.room, "s");
    let calls = sent[before..]
        .iter()
        .filter(|message| message["method"] == "tools/call");
    assert_eq!(calls.count(), 0);
}

#[test]
fn prompts_resources_links_and_completions_lead_to_their_server_and_back() {
    let lines = r#"
if k == 'tools/list': tools('link', 'plain')
elif k == 'prompts/list': answer({'prompts': [{'name': 'greet', 'x': 1.0}]})
elif k == 'resources/list': answer({'resources': [{'uri': 'file:///a', 'name': 'a'}]})
elif k == 'resources/templates/list': answer({'resourceTemplates': [{'uriTemplate': 'file:///{x}', 'name': 't'}]})
elif k == 'resources/read' and p['uri'] == 'file:///none': say({'jsonrpc': '2.0', 'id': m['id'], 'error': {'code': -32002, 'message': 'no', 'data': {'uri': p['uri']}}})
elif k == 'resources/read': answer({'contents': [{'uri': p['uri'], 'text': 'of ' + p['uri']}]})
elif k == 'resources/subscribe':
    answer({})
    tell('notifications/resources/updated', {'uri': p['uri']})
elif k == 'prompts/get': answer({'messages': [{'role': 'user', 'content': {'type': 'resource_link', 'uri': 'file:///p', 'name': p['name']}}]})
elif k == 'completion/complete': answer({'completion': {'values': [json.dumps(p['ref'])]}})
elif k == 'tools/call' and p['name'] == 'link': answer({'content': [
    {'type': 'text', 'text': '"uri":"file:///no"', 'uri': 'file:///stays'},
    {'type': 'resource_link', 'uri': 'file:///l', 'name': 'l', 'v': 1e2},
    {'type': 'resource', 'resource': {'uri': 'file:///e', 'text': 't'}}], 'structuredContent': {'uri': 'file:///stays'}})
elif k == 'tools/call': text('plain')
"#
    .trim();
    let (stage, _team, mut client) = scripted_stage(&[("one", lines), ("two", lines)]);
    let prompts = client.request("prompts/list", json!({}));
    assert_eq!(
        prompts.result()["prompts"],
        json!([{"name": "one__greet", "x": 1.0}, {"name": "two__greet", "x": 1.0}])
    );
    let resources = client.request("resources/list", json!({}));
    let uris = ["one", "two"].map(|server| json!({"uri": format!("mcp+{server}:file:///a"), "name": "a"}));
    assert_eq!(resources.result()["resources"], json!(uris));
    let templates = client.request("resources/templates/list", json!({}));
    assert_eq!(
        templates.result()["resourceTemplates"][1]["uriTemplate"],
        "mcp+two:file:///{x}"
    );
    let read = client.request("resources/read", json!({"uri": "mcp+two:file:///a"}));
    assert_eq!(
        read.result()["contents"],
        json!([{"uri": "mcp+two:file:///a", "text": "of file:///a"}])
    );
    let missing = client.request("resources/read", json!({"uri": "mcp+one:file:///none"}));
    assert_eq!(missing.json["error"]["data"]["uri"], "mcp+one:file:///none");
    for nowhere in ["file:///a", "mcp+three:file:///a", "mcp+one", ""] {
        let missing = client.request("resources/read", json!({"uri": nowhere}));
        assert_eq!(missing.error_code(), Some(-32_002), "{nowhere}: {}", missing.raw);
    }
    let prompt = client.request("prompts/get", json!({"name": "one__greet"}));
    assert_eq!(
        prompt.result()["messages"][0]["content"],
        json!({"type": "resource_link", "uri": "mcp+one:file:///p", "name": "greet"})
    );
    let nobody = client.request("prompts/get", json!({"name": "three__greet"}));
    assert_eq!(nobody.error_code(), Some(-32_602), "{}", nobody.raw);
    for (asked, own) in [
        (
            json!({"type": "ref/prompt", "name": "two__greet", "title": "x"}),
            json!({"type": "ref/prompt", "name": "greet", "title": "x"}),
        ),
        (
            json!({"type": "ref/resource", "uri": "mcp+two:file:///{x}"}),
            json!({"type": "ref/resource", "uri": "file:///{x}"}),
        ),
    ] {
        let params = json!({"ref": asked, "argument": {"name": "x", "value": "v"}});
        let completed = client.request("completion/complete", params);
        let value = completed.result()["completion"]["values"][0].as_str().unwrap();
        assert_eq!(serde_json::from_str::<Value>(value).unwrap(), own);
    }
    let linked = client.call("two__link", json!({"uri": "mcp+two:file:///argument"}));
    let content = &linked.result()["content"];
    assert_eq!(content[0]["uri"], "file:///stays");
    assert_eq!(content[0]["text"], "\"uri\":\"file:///no\"");
    assert_eq!(content[1]["uri"], "mcp+two:file:///l");
    assert!(linked.raw.contains("\"v\": 100.0"), "{}", linked.raw);
    assert_eq!(content[2]["resource"]["uri"], "mcp+two:file:///e");
    assert_eq!(linked.result()["structuredContent"]["uri"], "file:///stays");
    let calls = received(&stage.room, "two");
    let call = calls
        .iter()
        .find(|message| message["method"] == "tools/call")
        .unwrap();
    assert_eq!(call["params"]["name"], "link");
    assert_eq!(
        call["params"]["arguments"]["uri"], "mcp+two:file:///argument",
        "arguments are as they came"
    );
    // What a server tells unasked comes on the stream, under the names of the whole.
    let mut stream = client.listen();
    assert_eq!(stream.status(), 200);
    let subscribed = client.request("resources/subscribe", json!({"uri": "mcp+one:file:///a"}));
    assert_eq!(subscribed.result(), &json!({}));
    let told = stream.event();
    assert_eq!(told.json["params"]["uri"], "mcp+one:file:///a", "{}", told.raw);
    let all = received(&stage.room, "two");
    assert!(
        !all.iter()
            .any(|message| message["method"] == "resources/subscribe")
    );
}

#[test]
fn a_list_of_many_tools_comes_in_pages_whose_cursors_are_good_for_their_own_session_alone() {
    let mut stage = Stage::new();
    let other = Room::new();
    let many = StdioServer::echo(&other).tools(1_500);
    stage.config["servers"]["many"] = json!({"command": words(&many)});
    let ana = stage.grant("ana", &["notes=open", "many=open"]);
    let team = stage.serve();
    let mut client = begun(&team, &ana);
    let mut names = Vec::new();
    let mut cursors = Vec::new();
    let mut params = json!({});
    loop {
        let page = client.request("tools/list", params);
        names.extend(page.tool_names());
        match page.result().get("nextCursor") {
            Some(cursor) => {
                params = json!({"cursor": cursor});
                cursors.push(cursor.clone());
            }
            None => break,
        }
    }
    assert_eq!(cursors.len(), 1);
    assert!(names.contains(&"many__tool_1499".to_owned()) && names.contains(&"notes__echo".to_owned()));
    let unique: BTreeSet<&String> = names.iter().collect();
    assert_eq!(unique.len(), names.len());
    let mut other = begun(&team, &ana);
    for wrong in [cursors[0].clone(), json!(""), json!("x"), json!(7)] {
        let refused = other.request("tools/list", json!({"cursor": wrong}));
        assert_eq!(refused.error_code(), Some(-32_602), "{}", refused.raw);
    }
    let refused = client.request("prompts/list", json!({"cursor": cursors[0]}));
    assert_eq!(refused.error_code(), Some(-32_602), "{}", refused.raw);
    assert!(
        client
            .request("tools/list", json!({"cursor": cursors[0]}))
            .json
            .get("result")
            .is_some()
    );
}

#[test]
fn tasks_of_2025_11_25_lead_to_their_servers_and_back() {
    let lines = r#"
if k == 'tools/list': tools('job')
elif k == 'tools/call':
    answer({'task': {'taskId': 'same', 'status': 'working'}})
    tell('notifications/tasks/status', {'taskId': 'same', 'status': 'working'})
elif k == 'tasks/get' or k == 'tasks/cancel': answer({'taskId': p['taskId'], 'status': 'working'})
elif k == 'tasks/result': answer({'content': [{'type': 'resource_link', 'uri': 'file:///r', 'name': 'r'}],
    '_meta': {'io.modelcontextprotocol/related-task': {'taskId': p['taskId']}}})
elif k == 'tasks/list': answer({'tasks': [{'taskId': 'same', 'status': 'working'}]})
"#
    .trim();
    let (stage, _team, mut client) = scripted_stage(&[("one", lines), ("two", lines)]);
    let mut stream = client.listen();
    assert_eq!(stream.status(), 200);
    let made = client.request(
        "tools/call",
        json!({"name": "two__job", "arguments": {}, "task": {}}),
    );
    assert_eq!(made.result()["task"]["taskId"], "two:same", "{}", made.raw);
    assert_eq!(stream.event().json["params"]["taskId"], "two:same");
    for method in ["tasks/get", "tasks/cancel"] {
        let got = client.request(method, json!({"taskId": "two:same"}));
        assert_eq!(got.result()["taskId"], "two:same", "{}", got.raw);
    }
    let result = client.request("tasks/result", json!({"taskId": "two:same"}));
    assert_eq!(result.result()["content"][0]["uri"], "mcp+two:file:///r");
    let related = &result.result()["_meta"]["io.modelcontextprotocol/related-task"];
    assert_eq!(related["taskId"], "two:same");
    for nobody in ["same", "three:same", ":same"] {
        let missing = client.request("tasks/get", json!({"taskId": nobody}));
        assert_eq!(missing.error_code(), Some(-32_602), "{nobody}: {}", missing.raw);
    }
    // Servers that declare no lists of tasks are not asked for them.
    let listed = client.request("tasks/list", json!({}));
    assert_eq!(listed.result()["tasks"], json!([]));
    let of_one = received(&stage.room, "one");
    assert!(
        !of_one
            .iter()
            .any(|message| message["method"].as_str().unwrap_or("").starts_with("tasks/"))
    );
}

#[test]
fn a_name_that_is_spelt_oddly_leads_to_no_other_server_and_past_no_policy() {
    let stage = Stage::new();
    let ana = stage.grant("ana", &["notes=echo-only"]);
    let team = stage.serve();
    let mut client = begun(&team, &ana);
    for odd in [
        "notes__add",
        "notes__ echo",
        "notes__echo ",
        "notes__ECHO",
        "notes__notes__echo",
        "notes___echo",
        "NOTES__echo",
        " notes__echo",
        "notes __echo",
        "notes_\u{200b}_echo",
        "notes__../mail__echo",
        "mail__echo",
        "mail__notes__echo",
        "notes__echo\u{0}",
        "notes\u{ff3f}\u{ff3f}echo",
        "notes.echo",
        "notes:echo",
        "mcp+notes:echo",
        "echo",
    ] {
        let denied = client.call(odd, json!({"text": "x"}));
        assert_eq!(
            denied.reason(),
            Some("tool_not_available"),
            "{odd:?}: {}",
            denied.raw
        );
    }
    assert!(stage.notes.calls().is_empty() && stage.mail.log().calls().is_empty());
    // Escapes mean what they mean everywhere, and what goes on is the server's own name.
    let escaped = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"notes\u005f_ech\u006f","arguments":{"text":"\u0078"}}}"#;
    assert_eq!(client.post(escaped).answer().text(), "x");
    let line = stage
        .notes
        .lines()
        .into_iter()
        .find(|line| line.contains("tools/call"));
    let expected = escaped.replace("notes\\u005f_ech\\u006f", "echo");
    assert_eq!(line.as_deref(), Some(expected.as_str()));
    for (method, params) in [
        ("resources/read", json!({"uri": "mcp+mail:test://one"})),
        ("resources/read", json!({"uri": "MCP+notes:test://one"})),
        ("prompts/get", json!({"name": "mail__greet"})),
        ("tasks/get", json!({"taskId": "mail:1"})),
    ] {
        let refused = client.request(method, params);
        assert!(refused.error_code().is_some(), "{method}: {}", refused.raw);
    }
    let answered = stage.mail.log().messages();
    assert!(answered.is_empty(), "{answered:?}");
}
