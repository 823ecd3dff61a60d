//! `callgate serve` under TLS: what clients see of the certificate, and how it is replaced.

use crate::support::until;
use crate::team::{Stage, initialize};
use callgate_testkit::Room;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

const UNTRUSTED: &str = "untrusted";

/// A certificate for 127.0.0.1 that signs itself, with its key, in PEM.
pub(crate) fn certificate(room: &Room, name: &str) -> (String, String) {
    let [key, certificate] = ["key", "pem"].map(|kind| room.at(&format!("{name}.{kind}")));
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
        ])
        .args(["-days", "2", "-subj", &format!("/CN={name}")])
        .args(["-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let [certificate, key] = [certificate, key].map(|path| std::fs::read_to_string(path).unwrap());
    (certificate, key)
}

/// A connection to the gateway, trusting one certificate.
pub(crate) fn trusting(authority: &str, trusted: &str) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(trusted.as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let socket = TcpStream::connect(authority).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    StreamOwned::new(connection, socket)
}

/// Posts `initialize` to a server of the gateway, trusting one certificate, and gives the status line; `untrusted`
/// where the client refuses the certificate.
fn status(authority: &str, trusted: &str, token: &str) -> String {
    let mut stream = trusting(authority, trusted);
    let body = initialize();
    let request = format!(
        "POST /mcp/notes HTTP/1.1\r\nhost: {authority}\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    if stream.write_all(request.as_bytes()).is_err() {
        return UNTRUSTED.to_owned();
    }
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn a_certificate_is_shown_and_replaced_while_the_gateway_runs() {
    let mut stage = Stage::new();
    let (first, first_key) = certificate(&stage.room, "first");
    let (second, second_key) = certificate(&stage.room, "second");
    stage.room.write("shown.pem", &first);
    stage.room.write("shown.key", &first_key);
    stage.config["tls"] = json!({"certificate": "shown.pem", "key": "shown.key"});
    let ana = stage.grant("ana", &["notes=open"]);
    let team = stage.serve();
    assert!(team.url.starts_with("https://"), "{}", team.url);
    let authority = team.url.trim_start_matches("https://");
    assert_eq!(status(authority, &first, &ana), "HTTP/1.1 200 OK");
    assert_eq!(status(authority, &second, &ana), UNTRUSTED);
    assert_eq!(status(authority, &first, "cg_wrong"), "HTTP/1.1 401 Unauthorized");
    // Who does not speak TLS is told nothing, and holds up nobody.
    let mut plain = TcpStream::connect(authority).unwrap();
    plain.write_all(b"GET /mcp/notes HTTP/1.1\r\n\r\n").unwrap();
    let mut told = Vec::new();
    let _ = plain.read_to_end(&mut told);
    assert!(!told.starts_with(b"HTTP"), "{told:?}");

    stage.room.write("shown.pem", &second);
    stage.room.write("shown.key", &second_key);
    until("the second certificate is shown", || {
        (status(authority, &second, &ana) != UNTRUSTED).then_some(())
    });
    assert_eq!(status(authority, &first, &ana), UNTRUSTED);
    // A file that is no certificate leaves the one that is shown.
    stage.room.write("shown.pem", "no certificate");
    let said = team.process.stderr_line("the certificate was not reloaded");
    assert!(said.contains("the one before stays"), "{said}");
    assert_eq!(status(authority, &second, &ana), "HTTP/1.1 200 OK");
    let key = second_key.lines().nth(1).unwrap();
    assert!(!team.process.stderr().contains(key), "the key was shown");
}

#[test]
fn a_certificate_that_cannot_be_used_keeps_the_gateway_from_starting() {
    let mut stage = Stage::new();
    let (first, first_key) = certificate(&stage.room, "first");
    let (_, second_key) = certificate(&stage.room, "second");
    stage.room.write("good.pem", &first);
    stage.room.write("good.key", &first_key);
    stage.room.write("other.key", &second_key);
    stage.room.write("empty.pem", "");
    for (tls, words) in [
        (
            json!({"certificate": "good.pem"}),
            "needs `certificate` and `key`",
        ),
        (
            json!({"certificate": "away.pem", "key": "good.key"}),
            "cannot read",
        ),
        (
            json!({"certificate": "empty.pem", "key": "good.key"}),
            "cannot be used: it holds no certificate",
        ),
        (
            json!({"certificate": "good.pem", "key": "good.pem"}),
            "it holds no private key",
        ),
        (
            json!({"certificate": "good.pem", "key": "other.key"}),
            "cannot be used together",
        ),
    ] {
        stage.config["tls"] = tls.clone();
        let config = stage.room.write("callgate.yaml", &stage.config.to_string());
        for command in [vec!["serve", "-c"], vec!["validate"]] {
            let output = Command::new(env!("CARGO_BIN_EXE_callgate"))
                .args(command)
                .arg(&config)
                .output()
                .unwrap();
            let told = [output.stdout, output.stderr].concat();
            let told = String::from_utf8_lossy(&told);
            assert!(!output.status.success(), "{tls}: {told}");
            assert!(told.contains(words), "{tls}: {told}");
            let key = first_key.lines().nth(1).unwrap();
            assert!(!told.contains(key), "the key was shown: {told}");
        }
    }
}
