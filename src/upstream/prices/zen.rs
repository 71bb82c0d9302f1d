//! The prices of `OpenCode` Zen, which only its page for people has: two tables, one with the id of
//! each name and one with the price.
//!
//! Unverified live: made after a description of the page and tested against a page of ours.

use std::collections::HashMap;

use scraper::{ElementRef, Html, Selector};

use super::{Prices, Source};
use crate::catalog::{Price, PriceSource, Provider, Rate, Rates};

#[derive(Debug)]
pub(super) struct Zen;

impl Source for Zen {
    fn kind(&self) -> PriceSource {
        PriceSource::OpencodeZen
    }

    fn url(&self, provider: &Provider) -> Option<String> {
        let base = provider.base_url.as_ref().filter(|_| provider.preset.name == "opencode-zen")?;
        Some(base.join("/docs/zen/").ok()?.to_string())
    }

    fn is_private(&self) -> bool {
        false
    }

    fn read(&self, bytes: &[u8], _: &Provider) -> Option<Prices> {
        prices(std::str::from_utf8(bytes).ok()?)
    }
}

/// A table as texts, its first row the heads of its columns.
struct Table(Vec<Vec<String>>);

impl Table {
    fn column(&self, names: &[&str]) -> Option<usize> {
        self.0.first()?.iter().position(|it| names.contains(&key(it).as_str()))
    }
}

fn prices(page: &str) -> Option<Prices> {
    let tables = tables(page)?;
    let ids: HashMap<String, String> =
        tables
            .iter()
            .filter_map(|it| Some((it, it.column(&["model"])?, it.column(&["modelid", "id"])?)))
            .flat_map(|(table, name, id)| {
                table.0.iter().skip(1).filter_map(move |row| {
                    Some((key(row.get(name)?), row.get(id)?.trim().to_owned()))
                })
            })
            .collect();
    let priced = tables
        .iter()
        .find(|it| it.column(&["input"]).is_some() && it.column(&["output"]).is_some())?;
    let name = priced.column(&["model"])?;
    let cells = |names: &[&str]| priced.column(names);
    let columns = [
        cells(&["input"]),
        cells(&["output"]),
        cells(&["cachedread", "cacheread", "cachedinput"]),
        cells(&["cachedwrite", "cachewrite"]),
    ];
    let mut found = Prices::new();
    for row in priced.0.iter().skip(1) {
        let Some(label) = row.get(name) else { continue };
        // A row for long prompts only, or of a model that has no id, is not guessed at.
        let Some(id) = ids.get(&key(label)) else { continue };
        let [input, output, read, written] =
            columns.map(|at| at.and_then(|it| row.get(it)).and_then(|it| amount(it)));
        let rates = Rates {
            input_per_1m: input,
            output_per_1m: output,
            cache_read_per_1m: read,
            cache_write_per_1m: written,
            ..Rates::default()
        };
        let price = Price { rates, ..Price::default() };
        if price.is_known() {
            found.entry(id.clone()).or_insert(price);
        }
    }
    Some(found)
}

fn tables(page: &str) -> Option<Vec<Table>> {
    let [table, row, cell] = ["table", "tr", "th, td"].map(|it| Selector::parse(it).ok());
    let (table, row, cell) = (table?, row?, cell?);
    let text = |it: ElementRef<'_>| it.text().collect::<String>().trim().to_owned();
    let cells = |it: ElementRef<'_>| it.select(&cell).map(text).collect::<Vec<_>>();
    let page = Html::parse_document(page);
    Some(page.select(&table).map(|it| Table(it.select(&row).map(cells).collect())).collect())
}

/// Letters and digits alone, in lower case: how labels are compared.
fn key(label: &str) -> String {
    label.chars().filter(char::is_ascii_alphanumeric).map(|it| it.to_ascii_lowercase()).collect()
}

/// `$1.25`, or `Free`.
fn amount(cell: &str) -> Option<Rate> {
    if cell.trim().eq_ignore_ascii_case("free") {
        return Some(Rate::default());
    }
    Rate::parse(&cell.trim().strip_prefix('$')?.replace(',', ""), 6)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = r#"<!doctype html><html><body><h2 id="endpoints">Endpoints</h2>
<table><thead><tr><th>Model</th><th>Model ID</th><th>Endpoint</th></tr></thead><tbody>
<tr><td>GPT 5</td><td><code>gpt-5</code></td><td>https://opencode.ai/zen/v1/responses</td></tr>
<tr><td>Claude Sonnet 4.5</td><td>claude-sonnet-4-5</td><td>x</td></tr>
<tr><td>Big Pickle</td><td>big-pickle</td><td>x</td></tr>
<tr><td>Not priced</td><td>not-priced</td><td>x</td></tr></tbody></table>
<h2 id="pricing">Pricing</h2>
<table><thead><tr><th>Model</th><th>Input</th><th>Output</th><th>Cached Read</th><th>Cached Write</th></tr></thead>
<tbody><tr><td>GPT 5</td><td>$1.07</td><td>$8.50</td><td>$0.107</td><td>-</td></tr>
<tr><td>Claude Sonnet 4.5 (≤ 200K tokens)</td><td>$3.00</td><td>$15.00</td><td>$0.30</td><td>$3.75</td></tr>
<tr><td>Claude Sonnet 4.5</td><td>$3.00</td><td>$15.00</td><td>$0.30</td><td>$3.75</td></tr>
<tr><td>Big Pickle</td><td>Free</td><td>Free</td><td>Free</td><td>-</td></tr>
<tr><td>Nobody's</td><td>$1</td><td>$1</td><td>-</td><td>-</td></tr>
<tr><td>Not priced</td><td>soon</td><td>soon</td><td>-</td><td>-</td></tr></tbody></table>
<script>"<table>"</script></body></html>"#;

    #[test]
    fn a_page_for_people_is_read() {
        let found = prices(PAGE).unwrap();
        let told: Vec<_> = found
            .iter()
            .map(|it| format!("{} {}", it.0, serde_json::to_string(it.1).unwrap()))
            .collect();
        assert_eq!(
            told,
            [
                r#"big-pickle {"input_per_1m":0.0,"output_per_1m":0.0,"cache_read_per_1m":0.0}"#,
                r#"claude-sonnet-4-5 {"input_per_1m":3.0,"output_per_1m":15.0,"cache_read_per_1m":0.3,"cache_write_per_1m":3.75}"#,
                r#"gpt-5 {"input_per_1m":1.07,"output_per_1m":8.5,"cache_read_per_1m":0.107}"#,
            ]
        );
        for page in ["", "<html>", "<table><tr><td>x</td></tr></table>", "{\"data\":[]}"] {
            assert!(prices(page).is_none(), "{page}");
        }
    }
}
