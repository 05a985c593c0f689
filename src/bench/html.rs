//! A report as one self-contained page: no script, nothing to be fetched.

use std::fmt::Write;

use super::plot::{escape, svg};
use super::report::{Report, number};

const STYLE: &str = "\
:root { --ink: #1d2733; --soft: #5b6b7c; --line: #dfe5ea; --paper: #fff;
  --s0: #1f6feb; --s1: #d9622b; --s2: #2a9d6f; --s3: #8a5cd1; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e9ee; --soft: #9aa8b5; --line: #33404c; --paper: #12181f; }
}
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 800px; margin: 3rem auto; padding: 0 1rem; }
h1 { font-size: 1.7rem; margin-bottom: 0; }
h2 { font-size: 1.1rem; margin: 2.2rem 0 .4rem; }
p, dd { color: var(--soft); margin: .3rem 0; }
code { font: .85rem ui-monospace, monospace; }
table { border-collapse: collapse; width: 100%; }
td { padding: .3rem 0; border-bottom: 1px solid var(--line); }
td.value { text-align: right; font-variant-numeric: tabular-nums; padding-right: .6rem; }
td.unit { color: var(--soft); width: 9rem; }
svg { width: 100%; height: auto; }
svg .grid { stroke: var(--line); }
svg text { fill: var(--soft); font: 12px system-ui, sans-serif; }
polyline { fill: none; stroke-width: 2; }
rect.s0, circle.s0 { fill: var(--s0); } polyline.s0 { stroke: var(--s0); }
rect.s1, circle.s1 { fill: var(--s1); } polyline.s1 { stroke: var(--s1); }
rect.s2, circle.s2 { fill: var(--s2); } polyline.s2 { stroke: var(--s2); }
rect.s3, circle.s3 { fill: var(--s3); } polyline.s3 { stroke: var(--s3); }
.legend span { margin-right: 1.2rem; }
.legend i { display: inline-block; width: .8rem; height: .8rem; margin-right: .4rem; border-radius: 2px; }
";

/// The page.
pub fn page(report: &Report) -> String {
    let title = escape(&format!("mainstem bench {}", report.kind));
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style></head><body>\n<h1>{title}</h1>\n"
    );
    head(report, &mut page);
    for plot in &report.plots {
        let _ = writeln!(page, "<h2>{}</h2>", escape(&plot.title));
        if plot.series.len() > 1 {
            legend(&plot.series, &mut page);
        }
        page.push_str(&svg(plot));
    }
    figures(report, &mut page);
    for note in &report.notes {
        let _ = writeln!(page, "<p>{}</p>", escape(note));
    }
    page.push_str("</body></html>\n");
    page
}

fn head(report: &Report, page: &mut String) {
    let machine = &report.machine;
    let _ = writeln!(
        page,
        "<p>{}, workers: {}</p>\n<p>mainstem {}{} on {}, {} cores, {} GiB, {}</p>\n<p><code>{}</code></p>",
        escape(&report.workload),
        report.workers,
        escape(&report.version),
        if machine.is_optimised {
            ""
        } else {
            " (not optimised: the figures mean nothing)"
        },
        escape(&machine.processor),
        machine.cores,
        machine.memory_bytes >> 30,
        escape(&machine.system),
        escape(&report.command)
    );
}

fn legend(series: &[(String, Vec<(f64, f64)>)], page: &mut String) {
    page.push_str("<p class=\"legend\">");
    for (position, (name, _)) in series.iter().enumerate() {
        let _ = write!(
            page,
            "<span><i style=\"background: var(--s{position})\"></i>{}</span>",
            escape(name)
        );
    }
    page.push_str("</p>\n");
}

fn figures(report: &Report, page: &mut String) {
    let mut group = None;
    for figure in &report.figures {
        if group != Some(&figure.group) {
            if group.is_some() {
                page.push_str("</table>\n");
            }
            let _ = writeln!(page, "<h2>{}</h2>\n<table>", escape(&figure.group));
            group = Some(&figure.group);
        }
        let _ = writeln!(
            page,
            "<tr><td>{}</td><td class=\"value\">{}</td><td class=\"unit\">{}</td></tr>",
            escape(&figure.name),
            number(figure.value),
            escape(&figure.unit)
        );
    }
    if group.is_some() {
        page.push_str("</table>\n");
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::Better;
    use super::*;

    #[test]
    fn a_page_is_whole_and_asks_for_nothing() {
        let mut report = Report::new("throughput", "retail <lines>", 2);
        report.figure("views", "rate", 1_000.0, "lines/s", Better::Higher);
        let page = page(&report);
        assert!(page.contains("retail &lt;lines&gt;"), "{page}");
        assert!(page.contains("1,000"), "{page}");
        for word in ["<script", "http://", "https://", "@import"] {
            assert!(!page.contains(word), "{word}");
        }
    }
}
