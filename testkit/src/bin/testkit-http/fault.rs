//! What a server in the wild, or what stands in front of it, answers in place of MCP.

use crate::body::Answer;
use crate::serve::{Server, status};
use clap::ValueEnum;
use hyper::{Response, StatusCode};
use tokio::sync::mpsc;

/// One way to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Fault {
    /// 401 with a challenge and a cookie, which must not pass down.
    Unauthorized,
    /// 403 with a cookie.
    Forbidden,
    /// 402 with a body that tells what to pay.
    Payment,
    /// 429 as HTML, without a word of when to come back.
    RateHtml,
    /// 307 to another address.
    Redirect,
    /// 500 with plain text.
    ServerError,
    /// 200 with HTML.
    Html,
    /// 200 with broken JSON.
    BadJson,
    /// 200 with JSON that answers another request.
    WrongId,
    /// The answer comes late.
    Slow,
    /// No answer comes, and the connection stays open.
    Hang,
    /// The connection is closed without an answer.
    Reset,
    /// The connection is closed within the answer.
    CutBody,
    /// 17 MiB of JSON.
    Oversized,
    /// Notifications are answered by 200 and a JSON-RPC error.
    AnswersNotifications,
    /// A stream that ends before the answer.
    SseWithoutAnswer,
    /// A stream with an event of 17 MiB.
    SseOversized,
}

/// The answer of a fault; `None` where the request is served after all.
pub(crate) async fn strike(
    fault: Fault,
    server: &Server,
    id: Option<&str>,
) -> std::io::Result<Option<Response<Answer>>> {
    let answer = match fault {
        Fault::Unauthorized => {
            let mut answer = page(
                StatusCode::UNAUTHORIZED,
                "application/json",
                r#"{"error":"invalid_token"}"#,
            );
            insert(
                &mut answer,
                "www-authenticate",
                r#"Bearer realm="upstream-realm", error="invalid_token""#,
            );
            insert(&mut answer, "set-cookie", "upstream=secret; Path=/");
            answer
        }
        Fault::Forbidden => {
            let mut answer = page(StatusCode::FORBIDDEN, "text/plain", "forbidden");
            insert(&mut answer, "set-cookie", "upstream=secret; Path=/");
            answer
        }
        Fault::Payment => {
            let body = r#"{"x402Version":2,"accepts":[],"status":"payment_required","denial":{"reason":"no_payment"}}"#;
            page(StatusCode::PAYMENT_REQUIRED, "application/json", body)
        }
        Fault::RateHtml => page(
            StatusCode::TOO_MANY_REQUESTS,
            "text/html",
            "<html><head><title>429 Too Many Requests</title></head><body><h1>429 Too Many Requests</h1></body></html>",
        ),
        Fault::Redirect => {
            let mut answer = page(StatusCode::TEMPORARY_REDIRECT, "text/plain", "");
            insert(&mut answer, "location", &server.redirect_to);
            answer
        }
        Fault::ServerError => page(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", "internal error"),
        Fault::Html => page(StatusCode::OK, "text/html", "<html><body>Welcome</body></html>"),
        Fault::BadJson => page(
            StatusCode::OK,
            "application/json",
            r#"{"jsonrpc":"2.0","id":1,"result":{"#,
        ),
        Fault::WrongId => page(
            StatusCode::OK,
            "application/json",
            r#"{"jsonrpc":"2.0","id":"nobody-asked","result":{"content":[{"type":"text","text":"wrong"}]}}"#,
        ),
        Fault::Slow => {
            tokio::time::sleep(server.slow).await;
            return Ok(None);
        }
        Fault::Hang => std::future::pending().await,
        Fault::Reset => return Err(std::io::ErrorKind::ConnectionReset.into()),
        Fault::CutBody => cut_body().await,
        Fault::Oversized => json_of(oversized(id)),
        Fault::AnswersNotifications => return Ok(None),
        Fault::SseWithoutAnswer => {
            let (stream, body) = server.streams.open();
            stream.raw(": nothing\n\n".into()).await;
            events(body)
        }
        Fault::SseOversized => {
            let (mut stream, body) = server.streams.open();
            let message = oversized(id);
            tokio::spawn(async move { stream.event(&message).await });
            events(body)
        }
    };
    Ok(Some(answer))
}

/// Half of an answer, then the end of the connection.
async fn cut_body() -> Response<Answer> {
    let (sender, receiver) = mpsc::channel(2);
    let _ = sender.send(Ok(r#"{"jsonrpc":"2.0","id":1,"re"#.into())).await;
    let _ = sender.send(Err(std::io::ErrorKind::ConnectionReset.into())).await;
    let mut answer = Response::new(Answer::Pieces(receiver));
    insert(&mut answer, "content-type", "application/json");
    answer
}

fn oversized(id: Option<&str>) -> Vec<u8> {
    let text = "x".repeat(17 << 20);
    let result = format!(r#"{{"content":[{{"type":"text","text":"{text}"}}]}}"#);
    callgate_testkit::protocol::response(id.unwrap_or("null"), &result)
}

pub(crate) fn json_of(body: Vec<u8>) -> Response<Answer> {
    let mut answer = Response::new(Answer::from(body));
    insert(&mut answer, "content-type", "application/json");
    answer
}

pub(crate) fn events(body: Answer) -> Response<Answer> {
    let mut answer = Response::new(body);
    insert(&mut answer, "content-type", "text/event-stream");
    insert(&mut answer, "cache-control", "no-store");
    answer
}

pub(crate) fn page(code: StatusCode, content_type: &str, body: &'static str) -> Response<Answer> {
    let mut answer = status(code, body);
    insert(&mut answer, "content-type", content_type);
    answer
}

pub(crate) fn insert(answer: &mut Response<Answer>, name: &'static str, value: &str) {
    if let Ok(value) = value.parse() {
        answer.headers_mut().insert(name, value);
    }
}
