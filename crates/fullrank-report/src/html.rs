//! Text as HTML that is well-formed XML too.

use std::fmt::Write;

use crate::Table;
use crate::plots;

const STYLE: &str = include_str!("style.css");

/// `text` with the characters that have a meaning in HTML written as references, and without those
/// that XML 1.0 does not allow. Safe in elements and in quoted attributes.
pub(crate) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\n' | '\t' => safe.push(c),
            c if c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}') => {}
            c => safe.push(c),
        }
    }
    safe
}

/// The whole document. `sections` are headings and the HTML below them.
pub(crate) fn page(title: &str, lead: &str, sections: &[(String, String)]) -> String {
    let title = escaped(title);
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <meta name=\"color-scheme\" content=\"light dark\"/>\n\
         <meta name=\"generator\" content=\"fullrank\"/>\n\
         <link rel=\"icon\" href=\"data:,\"/>\n<title>{title}</title>\n<style>\n{STYLE}{}</style>\n\
         </head>\n<body>\n<header>\n<h1>{title}</h1>\n{lead}</header>\n",
        plots::dark_style(),
    );
    if sections.len() > 1 {
        html += "<nav aria-label=\"Contents\">\n<ul>\n";
        for (index, (heading, _)) in sections.iter().enumerate() {
            let _ = writeln!(
                html,
                "<li><a href=\"#section-{}\">{}</a></li>",
                index + 1,
                escaped(heading)
            );
        }
        html += "</ul>\n</nav>\n";
    }
    html += "<main>\n";
    for (index, (heading, body)) in sections.iter().enumerate() {
        let _ = write!(
            html,
            "<section id=\"section-{}\">\n<h2>{}</h2>\n{body}</section>\n",
            index + 1,
            escaped(heading)
        );
    }
    html += "</main>\n</body>\n</html>\n";
    html
}

pub(crate) fn paragraph(text: &str) -> String {
    format!("<p>{}</p>\n", escaped(text))
}

/// A table whose first column names its rows.
pub(crate) fn table(data: &Table) -> String {
    table_of("numbers", data)
}

/// The same of a class that the style knows.
pub(crate) fn table_of(class: &str, table: &Table) -> String {
    let mut html = format!("<div class=\"scroll\">\n<table class=\"{class}\">\n");
    if !table.caption.is_empty() {
        let _ = writeln!(html, "<caption>{}</caption>", escaped(&table.caption));
    }
    html += "<thead><tr>";
    for header in &table.headers {
        let _ = write!(html, "<th scope=\"col\">{}</th>", escaped(header));
    }
    html += "</tr></thead>\n<tbody>\n";
    for row in &table.rows {
        html += "<tr>";
        for (column, cell) in row.iter().enumerate() {
            let cell = escaped(cell);
            let _ = match column {
                0 => write!(html, "<th scope=\"row\">{cell}</th>"),
                _ => write!(html, "<td>{cell}</td>"),
            };
        }
        html += "</tr>\n";
    }
    html += "</tbody>\n</table>\n</div>\n";
    html
}

/// The numbers behind a picture, closed until asked for.
pub(crate) fn details(summary: &str, data: &Table) -> String {
    format!(
        "<details>\n<summary>{}</summary>\n{}</details>\n",
        escaped(summary),
        table(data)
    )
}

/// A chart, which brings its own title and text alternative, and what belongs to it.
pub(crate) fn figure(svg: &str, below: &str) -> String {
    format!("<figure>\n{svg}{below}</figure>\n")
}

/// Charts side by side.
pub(crate) fn grid(figures: impl IntoIterator<Item = String>) -> String {
    let figures: String = figures.into_iter().collect();
    format!("<div class=\"grid\">\n{figures}</div>\n")
}
