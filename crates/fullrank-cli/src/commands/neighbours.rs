//! `fullrank score --neighbours`: who is found by whom, in words.

use fullrank_retrieval::scores::{NEAR_DUPLICATE_WITHIN, Neighbours};
use serde::Serialize;
use serde_json::{Value, json};

/// Hubness is a finding from this skewness on; text models of 1000 dimensions lie at 1 to 1.6.
const SKEWNESS_ABOVE: f64 = 2.0;
/// Rows that are never found are one if they are more than this share.
const NEVER_RETRIEVED_ABOVE: f64 = 0.1;
/// Near-duplicates are one if they are more than this share of the queries.
const NEAR_DUPLICATES_ABOVE: f64 = 0.01;
/// Rows and pairs that are listed in JSON; their number is told all the same.
const LISTED: usize = 1000;
/// Rows and pairs that are named in a sentence.
const NAMED: usize = 5;

/// What is wrong with the neighbours, and what to do about it.
#[derive(Serialize)]
struct Finding {
    kind: &'static str,
    figure: f64,
    threshold: f64,
    text: String,
    remedy: &'static str,
}

pub(crate) fn explained() -> String {
    format!(
        "--neighbours tells, of the whole file, how unevenly rows are found: the skewness of how often a row is \
         among the k nearest of another (hubness, a finding above {SKEWNESS_ABOVE}), the row that is found most \
         often, the rows that are never found (a finding above {} %), and near-duplicates: rows whose nearest is \
         at most {} % of the root mean square of all distances away, a cosine of 0.99 where rows point everywhere \
         (a finding above {} %). Row numbers count from 0.",
        100.0 * NEVER_RETRIEVED_ABOVE,
        100.0 * NEAR_DUPLICATE_WITHIN,
        100.0 * NEAR_DUPLICATES_ABOVE,
    )
}

pub(crate) fn report(found: &Neighbours) -> Value {
    let (row, times) = found.largest_hub();
    let never: Vec<usize> = found.never_retrieved().collect();
    let pairs = found.near_duplicates.iter().take(LISTED);
    json!({
        "k": found.k,
        "rows": found.occurrences.len(),
        "queries": found.queries,
        "skewness": found.skewness(),
        "largest_in_degree": { "row": row, "times": times },
        "never_retrieved": never.len(),
        "never_retrieved_rows": &never[..never.len().min(LISTED)],
        "near_duplicates": found.near_duplicate_queries,
        "near_duplicate_pairs": pairs
            .map(|pair| json!([pair.row, pair.of, pair.distance]))
            .collect::<Vec<_>>(),
        "findings": findings(found),
    })
}

pub(crate) fn text(found: &Neighbours) -> String {
    let (row, times) = found.largest_hub();
    let skewness = found
        .skewness()
        .map_or("-".to_owned(), |skewness| format!("{skewness:.4}"));
    let lines = [
        (
            "nearest",
            format!("{} of {} rows", found.k, found.occurrences.len()),
        ),
        ("hub_skewness", skewness),
        ("largest_hub", format!("row {row}, found {times} times")),
        (
            "never_retrieved",
            found.never_retrieved().count().to_string(),
        ),
        ("near_duplicates", found.near_duplicate_queries.to_string()),
    ];
    let mut text: String = (lines.iter())
        .map(|(name, value)| format!("{name:<16} {value}\n"))
        .collect();
    for Finding {
        kind,
        text: what,
        remedy,
        ..
    } in findings(found)
    {
        text += &format!("  - {}: {what}; {remedy}\n", kind.replace('-', " "));
    }
    text
}

fn findings(found: &Neighbours) -> Vec<Finding> {
    let mut findings = Vec::new();
    let (row, times) = found.largest_hub();
    if let Some(skewness) = found.skewness()
        && skewness > SKEWNESS_ABOVE
    {
        findings.push(Finding {
            kind: "hubness",
            figure: skewness,
            threshold: SKEWNESS_ABOVE,
            text: format!(
                "the skewness of how often a row is found is {skewness:.2} (above {SKEWNESS_ABOVE}): row {row} is \
                 among the {} nearest of {times} of {}",
                found.k, found.queries
            ),
            remedy: "subtract the mean of the rows or rank by the cosine, or count only neighbours that find each other",
        });
    }
    let never: Vec<usize> = found.never_retrieved().collect();
    let share = never.len() as f64 / found.occurrences.len() as f64;
    if share > NEVER_RETRIEVED_ABOVE {
        findings.push(Finding {
            kind: "never-retrieved",
            figure: share,
            threshold: NEVER_RETRIEVED_ABOVE,
            text: format!(
                "{} of {} rows are among the {} nearest of none (more than {} %), rows {}",
                never.len(),
                found.occurrences.len(),
                found.k,
                100.0 * NEVER_RETRIEVED_ABOVE,
                named(never.iter().map(usize::to_string), never.len())
            ),
            remedy: "look at what they are: empty or foreign inputs are to be removed, else hubs take their place",
        });
    }
    let share = found.near_duplicate_queries as f64 / found.queries as f64;
    if share > NEAR_DUPLICATES_ABOVE {
        let pairs = found.near_duplicates.iter();
        let pairs = pairs.map(|pair| format!("{} and {}", pair.row, pair.of));
        findings.push(Finding {
            kind: "near-duplicates",
            figure: share,
            threshold: NEAR_DUPLICATES_ABOVE,
            text: format!(
                "{} of {} rows are nearly their nearest (more than {} %), rows {}",
                found.near_duplicate_queries,
                found.queries,
                100.0 * NEAR_DUPLICATES_ABOVE,
                named(pairs, found.near_duplicates.len())
            ),
            remedy: "remove repeated inputs before anything is scored: they are each other's neighbours",
        });
    }
    findings
}

/// The first of some names, and that there are more.
fn named(names: impl Iterator<Item = String>, count: usize) -> String {
    let mut names: Vec<String> = names.take(NAMED).collect();
    if count > NAMED {
        names.push("...".to_owned());
    }
    names.join(", ")
}
