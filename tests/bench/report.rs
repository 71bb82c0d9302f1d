//! The findings as tables, and one line for each goal.

use crate::load::{Sample, percentile};
use crate::memory::{self, Memory};
use crate::plan::{CELLS, Cell, Findings, METERED};

/// CPU time of `torod` as a multiple of the bare proxy's.
const CPU_GOAL: f64 = 1.5;
const IDLE_GOAL_MB: f64 = 20.0;
const STREAM_GOAL_KB: f64 = 30.0;
const RELOAD_GOAL_MS: f64 = 250.0;

pub(crate) fn print(findings: &Findings) {
    println!("\nmachine  {}\nmethod   {}", findings.machine, findings.method);
    for cell in CELLS {
        println!("\n{}", cell.title());
        table(&cell_rows(findings, cell));
    }
    println!("\nmemory");
    table(&memory_rows(&findings.memory));
    let reloads = &findings.reloads;
    if !reloads.is_empty() {
        println!("\nreload, from the end of the write to the first reply that shows it");
        let edits = reloads.len().to_string();
        let [p50, p99] = [50.0, 99.0].map(|it| fixed(percentile(reloads, it) / 1e6, 1));
        table(&[row(&["", "edits", "p50 ms", "p99 ms"]), row(&["torod", &edits, &p50, &p99])]);
    }
    println!("\ngoals");
    table(&goal_rows(findings));
    for note in &findings.notes {
        println!("\nnote: {note}");
    }
}

fn cell_rows(findings: &Findings, cell: Cell) -> Vec<Vec<String>> {
    let (rate, first) =
        if cell.is_streamed() { ("events/s", "first ") } else { ("requests/s", "") };
    let spans = ["p50 us", "p99 us", "added p50", "added p99"].map(|it| format!("{first}{it}"));
    let mut rows = vec![row(&["", rate, "CPU us each", "x bare", "x nginx"])];
    rows[0].extend(spans);
    for series in findings.series.iter().filter(|it| it.cell == cell) {
        let value = |field: fn(&Sample) -> f64| median(findings, cell, series.name, field);
        let added = |field: fn(&Sample) -> f64| {
            let least = median(findings, cell, "direct", field).filter(|_| series.name != "direct");
            number(value(field).zip(least).map(|(own, least)| own - least), 0)
        };
        rows.push(vec![
            series.name.to_owned(),
            number(value(|it| it.items_per_second), 0),
            number(value(cpu), 2),
            number(cpu_ratio(findings, cell, series.name, "bare hyper"), 2),
            number(cpu_ratio(findings, cell, series.name, "nginx"), 2),
            number(value(|it| it.p50_us), 0),
            number(value(|it| it.p99_us), 0),
            added(|it| it.p50_us),
            added(|it| it.p99_us),
        ]);
    }
    rows
}

fn memory_rows(all: &[Memory]) -> Vec<Vec<String>> {
    let head = [
        "",
        "RSS idle MB",
        "1,000 streams MB",
        "KB a stream",
        "left, closed in ms",
        "after load MB",
    ];
    let mut rows = vec![row(&head)];
    for it in all {
        rows.push(vec![
            it.name.to_owned(),
            fixed(it.idle_mb(), 1),
            fixed(memory::mb(it.held_kb), 1),
            fixed(it.stream_kb(), 1),
            it.released.map_or("too long".to_owned(), |span| span.as_millis().to_string()),
            number(it.after_load_kb.map(memory::mb), 1),
        ]);
    }
    rows
}

fn goal_rows(findings: &Findings) -> Vec<Vec<String>> {
    let ratio = |cell, name| cpu_ratio(findings, cell, name, "bare hyper");
    let torod = findings.memory.iter().find(|it| it.name == "torod");
    let reload = Some(percentile(&findings.reloads, 99.0) / 1e6).filter(|it| !it.is_nan());
    let goals = [
        ("CPU of a request, x bare", ratio(Cell::Many, "torod"), CPU_GOAL),
        ("CPU of a streamed event, x bare", ratio(Cell::Paced, "torod"), CPU_GOAL),
        ("CPU of one with usage injected, x bare", ratio(Cell::Paced, METERED), CPU_GOAL),
        ("RSS idle, MB", torod.map(Memory::idle_mb), IDLE_GOAL_MB),
        ("RSS of an open stream, KB", torod.map(Memory::stream_kb), STREAM_GOAL_KB),
        ("reload p99, ms", reload, RELOAD_GOAL_MS),
    ];
    let mut rows = vec![row(&["", "found", "at most", ""])];
    for (what, found, most) in goals {
        let verdict = match found {
            Some(it) if it <= most => "met",
            Some(_) => "MISSED",
            None => "not measured",
        };
        rows.push(row(&[what, &number(found, 2), &fixed(most, 1), verdict]));
    }
    rows
}

fn cpu(sample: &Sample) -> f64 {
    sample.cpu_us.unwrap_or(f64::NAN)
}

/// A quotient of medians, so that it can be checked against the table.
fn cpu_ratio(findings: &Findings, cell: Cell, name: &str, base: &str) -> Option<f64> {
    Some(median(findings, cell, name, cpu)? / median(findings, cell, base, cpu)?)
}

/// Over the rounds; none where nothing was measured.
fn median(findings: &Findings, cell: Cell, name: &str, field: fn(&Sample) -> f64) -> Option<f64> {
    let series = findings.series.iter().find(|it| it.cell == cell && it.name == name)?;
    let mut values: Vec<f64> = series.samples.iter().map(field).filter(|it| !it.is_nan()).collect();
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        even if even.is_multiple_of(2) => Some(f64::midpoint(values[middle - 1], values[middle])),
        _ => Some(values[middle]),
    }
}

fn number(value: Option<f64>, decimals: usize) -> String {
    value.map_or("-".to_owned(), |it| fixed(it, decimals))
}

fn fixed(value: f64, decimals: usize) -> String {
    format!("{value:.decimals$}")
}

fn row(cells: &[&str]) -> Vec<String> {
    cells.iter().map(|it| (*it).to_owned()).collect()
}

/// Names to the left, numbers to the right.
fn table(rows: &[Vec<String>]) {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|it| it[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for cells in rows {
        let mut padded = vec![format!("{:<1$}", cells[0], widths[0])];
        padded.extend(cells.iter().zip(&widths).skip(1).map(|(it, width)| format!("{it:>width$}")));
        println!("  {}", padded.join("  ").trim_end());
    }
}
