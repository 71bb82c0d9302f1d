//! Entries of the ledger for whoever may see them: pages of JSON, or all of them as CSV or JSON Lines.

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, Response, header};

use super::{Answer, Refusal, json};
use crate::{
    api::{UsagePage, UsageRow},
    app::App,
    store::{
        StoreError,
        query::{Filter, Owner},
    },
};

/// What both surfaces take, and what it does.
pub const PARAMETERS: &[(&str, &str)] = &[
    ("from", "Entries from this moment on: RFC 3339, or seconds since 1970"),
    ("to", "Entries before this moment"),
    ("key", "Of the key with this id"),
    ("provider", "Of this provider"),
    ("model", "Of this model, as it was asked for or as the provider knows it"),
    ("outcome", "`ok`, `failed_over`, `client_gone`, `upstream_broke`, `refused`, `panicked`"),
    ("status", "With this HTTP status"),
    ("client_type", "Of this kind of client"),
    ("tag", "With this tag of `x-torod-tag`"),
    ("conversation", "Of this conversation"),
    ("request_id", "With this request id"),
    ("limit", "Entries a page, 1 to 1000; 100 by default"),
    ("cursor", "`next` of the page before"),
    ("format", "`csv` or `jsonl`: all entries instead of a page"),
];

const PAGE: usize = 100;
const MAX_PAGE: usize = 1_000;

/// Answers a query for the entries of `owner`.
pub async fn answer(app: &Arc<App>, owner: Owner, query: Option<&str>) -> Answer {
    let (filter, limit, format) = read(owner, query)?;
    match format {
        Format::Page => {
            let rows = app.store.entries(filter, limit).await.map_err(|it| unavailable(&it))?;
            let next = rows.last().filter(|_| rows.len() == limit).map(|it| it.id.clone());
            json(&UsagePage { data: rows, next })
        }
        Format::Csv => Ok(export(app, filter, "text/csv; charset=utf-8", Some(csv_head()), csv)),
        Format::Lines => Ok(export(app, filter, "application/jsonl", None, line)),
    }
}

/// The database gave no answer.
pub fn unavailable(error: &StoreError) -> Refusal {
    let message = "the state database gives no answer now";
    let cause = match error {
        StoreError::Sqlite(why) => format!("{error}: {why}"),
        _ => error.to_string(),
    };
    Refusal::new(503, "server_error", "store_unavailable", message).because(cause)
}

#[derive(Debug, Clone, Copy)]
enum Format {
    Page,
    Csv,
    Lines,
}

fn read(owner: Owner, query: Option<&str>) -> Result<(Filter, usize, Format), Refusal> {
    let mut filter = Filter { owner, ..Filter::default() };
    let (mut limit, mut format) = (PAGE, Format::Page);
    for (name, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        let wrong = |wanted: &str| wrong(&name, wanted);
        let text = || Some(value.clone().into_owned());
        match &*name {
            "from" => filter.from = Some(moment(&name, &value)?),
            "to" => filter.to = Some(moment(&name, &value)?),
            "key" => filter.key = text(),
            "provider" => filter.provider = text(),
            "model" => filter.model = text(),
            "outcome" => filter.outcome = text(),
            "client_type" => filter.client_type = text(),
            "tag" => filter.tag = text(),
            "conversation" => filter.conversation = text(),
            "request_id" => filter.request_id = text(),
            "status" => {
                filter.status = Some(value.parse().map_err(|_| wrong("an HTTP status"))?);
            }
            "cursor" => {
                filter.before = Some(value.parse().map_err(|_| wrong("`next` of a page"))?);
            }
            "limit" => {
                let count = value.parse().ok().filter(|it| (1..=MAX_PAGE).contains(it));
                limit = count.ok_or_else(|| wrong("a number from 1 to 1000"))?;
            }
            "format" => {
                format = match &*value {
                    "json" => Format::Page,
                    "csv" => Format::Csv,
                    "jsonl" => Format::Lines,
                    _ => return Err(wrong("`json`, `csv` or `jsonl`")),
                }
            }
            _ => return Err(unknown(&name, PARAMETERS)),
        }
    }
    Ok((filter, limit, format))
}

/// A parameter that is not one: it would filter nothing, and look as if it had.
pub fn unknown(name: &str, known: &[(&str, &str)]) -> Refusal {
    let known: Vec<&str> = known.iter().map(|it| it.0).collect();
    let shown: String = name.chars().take(40).collect();
    let message = format!("there is no parameter `{shown}`; there are: {}", known.join(", "));
    Refusal::bad_request("unknown_parameter", message)
}

pub fn wrong(name: &str, wanted: &str) -> Refusal {
    Refusal::bad_request("bad_parameter", format!("`{name}` must be {wanted}"))
}

/// Seconds since 1970.
pub fn moment(name: &str, text: &str) -> Result<i64, Refusal> {
    let seconds = text.parse::<i64>().ok().or_else(|| {
        // A plus that nobody escaped has become a space.
        text.replace(' ', "+").parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second)
    });
    let years = seconds.filter(|it| (0..=253_402_300_799).contains(it));
    years.ok_or_else(|| wrong(name, "a moment: RFC 3339, or seconds since 1970"))
}

/// All entries of a filter, page by page: neither memory nor a reader is held for all of it.
fn export(
    app: &Arc<App>,
    filter: Filter,
    kind: &'static str,
    head: Option<String>,
    write: fn(&UsageRow) -> String,
) -> Response<Body> {
    let store = app.store.clone();
    let start = (Some(filter), head);
    let pages = stream::unfold(start, move |(filter, head)| {
        let store = store.clone();
        async move {
            let mut filter = filter?;
            let rows = match store.entries(filter.clone(), MAX_PAGE).await {
                Ok(rows) => rows,
                Err(error) => return Some((Err(error), (None, None))),
            };
            filter.before = rows.last().and_then(|it| it.id.parse().ok());
            let more = rows.len() == MAX_PAGE && filter.before.is_some();
            let text = rows.iter().fold(head.unwrap_or_default(), |text, it| text + &write(it));
            Some((Ok(Bytes::from(text)), (more.then_some(filter), None)))
        }
    });
    let mut response = Response::new(Body::from_stream(pages));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn line(row: &UsageRow) -> String {
    serde_json::to_string(row).unwrap_or_default() + "\n"
}

/// The columns are the fields of a row, those of its tokens after them.
fn cells(row: &UsageRow) -> Vec<(String, String)> {
    let row = UsageRow { tokens: Some(row.tokens.clone().unwrap_or_default()), ..row.clone() };
    let Ok(serde_json::Value::Object(fields)) = serde_json::to_value(row) else {
        return Vec::new();
    };
    let mut cells = Vec::new();
    for (name, value) in fields {
        match value {
            serde_json::Value::Object(tokens) => {
                let token = |(name, count): (String, serde_json::Value)| {
                    (format!("tokens_{name}"), count.to_string())
                };
                cells.extend(tokens.into_iter().map(token));
            }
            serde_json::Value::String(text) => cells.push((name, cell(&text))),
            serde_json::Value::Null => cells.push((name, String::new())),
            other => cells.push((name, cell(&other.to_string()))),
        }
    }
    cells
}

fn csv_head() -> String {
    let names: Vec<String> = cells(&UsageRow::default()).into_iter().map(|it| it.0).collect();
    names.join(",") + "\r\n"
}

fn csv(row: &UsageRow) -> String {
    let values: Vec<String> = cells(row).into_iter().map(|it| it.1).collect();
    values.join(",") + "\r\n"
}

/// A text as one cell. Callers choose some of them, and a spreadsheet would calculate what begins
/// like a formula.
fn cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\n', '\r', '\'']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_one_cell_and_no_formula() {
        for (text, wanted) in [
            ("gpt", "gpt"),
            ("a,b", "\"a,b\""),
            ("say \"x\"\r\n", "\"say \"\"x\"\"\r\n\""),
            ("=1+1", "\"'=1+1\""),
            ("@x", "\"'@x\""),
        ] {
            assert_eq!(cell(text), wanted);
        }
        let row = UsageRow { user_agent: Some("a,\"b\"".to_owned()), ..UsageRow::default() };
        assert_eq!(cells(&row).len(), csv_head().trim().split(',').count());
    }

    #[test]
    fn a_bad_parameter_is_named() {
        for (query, code) in [
            ("form=1", "unknown_parameter"),
            ("from=yesterday", "bad_parameter"),
            ("from=-1", "bad_parameter"),
            ("limit=0", "bad_parameter"),
            ("limit=1001", "bad_parameter"),
            ("cursor=x", "bad_parameter"),
            ("status=many", "bad_parameter"),
            ("format=xml", "bad_parameter"),
        ] {
            let refusal = read(Owner::Anybody, Some(query)).unwrap_err();
            assert_eq!((refusal.fault.status, refusal.fault.code), (400, Some(code)), "{query}");
        }
        let (filter, limit, _) =
            read(Owner::Anybody, Some("from=2026-01-01T00:00:00+00:00&limit=7")).unwrap();
        assert_eq!((filter.from, limit), (Some(1_767_225_600), 7));
    }
}
