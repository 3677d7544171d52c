//! The labels of rows: whole numbers, or names that are numbered.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};

use super::element::whole;
use super::lines::Lines;
use super::source::Source;

/// The one to read of the arrays of a file: that of the name wanted, or the only vector of
/// integers, or of several the one called labels.
pub(super) fn choose_labels<'a>(
    vectors: &'a [String],
    wanted: Option<&str>,
    all: &[String],
) -> Result<&'a str> {
    const LABELS: [&str; 6] = ["labels", "label", "targets", "target", "y", "classes"];
    if let Some(wanted) = wanted {
        let found = vectors.iter().find(|name| *name == wanted);
        return found.map(String::as_str).with_context(|| {
            format!(
                "no vector of labels '{wanted}'; there are: {}",
                all.join(", ")
            )
        });
    }
    if let [one] = vectors {
        return Ok(one);
    }
    let named = LABELS
        .iter()
        .find_map(|label| vectors.iter().find(|name| name == label));
    match named {
        Some(name) => Ok(name),
        None if vectors.is_empty() => {
            bail!(
                "no array is a vector of labels; there are: {}",
                all.join(", ")
            )
        }
        None => bail!(
            "several vectors, choose one as FILE:NAME: {}",
            vectors.join(", ")
        ),
    }
}

/// Names by their place among all that there are, sorted.
pub(super) fn numbered(names: Vec<String>) -> Vec<i64> {
    let mut numbers: BTreeMap<&str, i64> = names.iter().map(|name| (name.as_str(), 0)).collect();
    for (number, (_, of)) in (0..).zip(&mut numbers) {
        *of = number;
    }
    names.iter().map(|name| numbers[name.as_str()]).collect()
}

/// The labels of a text, one a line; in a table of several columns the one that holds them.
pub(super) fn read_text(source: Source, has_columns: bool) -> Result<Vec<i64>> {
    let mut lines = Lines::new(source.reader)?;
    let mut records = Vec::new();
    while let Some((line, record)) = lines.record()? {
        records.push((line, record.trim().to_owned()));
    }
    if has_columns {
        records = column(records)?;
    }
    for (_, label) in &mut records {
        if label.len() > 1 && label.starts_with('"') && label.ends_with('"') {
            *label = label[1..label.len() - 1].replace("\"\"", "\"");
        }
    }
    let is_number = |label: &str| label.parse::<f64>().is_ok_and(|x| !x.is_nan());
    let Some(((_, first), rest)) = records.split_first() else {
        return Ok(Vec::new());
    };
    let numbers = |records: &[(u64, String)]| records.iter().all(|(_, l)| is_number(l));
    // A word above numbers, or the word for labels above names.
    let is_header = !is_number(first)
        && !rest.is_empty()
        && (numbers(rest)
            || (is_label_word(first) && rest.iter().all(|(_, label)| label != first)));
    if is_header && !is_missing(first) {
        records.remove(0);
    }
    let some_numbers = records.iter().any(|(_, label)| is_number(label));
    if some_numbers && let Some((line, label)) = records.iter().find(|(_, l)| is_missing(l)) {
        bail!(
            "line {line}: '{label}' is a missing label: give it one, or delete the row everywhere"
        );
    }
    if !numbers(&records) {
        return Ok(numbered(records.into_iter().map(|(_, l)| l).collect()));
    }
    (records.iter())
        .map(|(line, label)| match label.parse::<i64>() {
            Ok(label) => Ok(label),
            Err(_) => whole(label.parse()?).with_context(|| format!("line {line}")),
        })
        .collect()
}

fn is_missing(label: &str) -> bool {
    const MISSING: [&str; 6] = ["", "na", "nan", "n/a", "null", "none"];
    MISSING.iter().any(|word| label.eq_ignore_ascii_case(word))
}

pub(super) fn is_label_word(label: &str) -> bool {
    const WORDS: [&str; 9] = [
        "label", "labels", "class", "classes", "target", "targets", "y", "category", "name",
    ];
    WORDS.iter().any(|word| label.eq_ignore_ascii_case(word))
}

/// The records of the column that holds the labels; without their header if the columns have one.
fn column(records: Vec<(u64, String)>) -> Result<Vec<(u64, String)>> {
    let Some((_, first)) = records.first() else {
        return Ok(records);
    };
    let width = |delimiter: char, record: &str| fields(record, delimiter).len();
    let is_delimiter = |delimiter: &char| {
        let columns = width(*delimiter, first);
        columns > 1
            && records
                .iter()
                .all(|(_, record)| width(*delimiter, record) == columns)
    };
    let Some(delimiter) = ['\t', ';', ','].into_iter().find(is_delimiter) else {
        return Ok(records);
    };
    let names = fields(first, delimiter);
    let named: Vec<usize> = (0..names.len())
        .filter(|&k| is_label_word(&names[k]))
        .collect();
    let first_column = |(_, record): &(u64, String)| fields(record, delimiter).swap_remove(0);
    let (column, header) = match named[..] {
        [column] => (column, true),
        // An index, under no name or counting, and the labels.
        [] if names.len() == 2 => {
            let body: Vec<String> = records.iter().skip(1).map(first_column).collect();
            let counts = |from: usize| (from..).zip(&body).all(|(i, f)| *f == i.to_string());
            let follows = names[0].parse().is_ok_and(|first: usize| counts(first + 1));
            let is_number = names[0].parse::<f64>().is_ok();
            let is_index =
                names[0].is_empty() || (!is_number && !body.is_empty() && (counts(0) || counts(1)));
            ensure!(
                is_index || follows,
                "two columns: which holds the labels? keep one, or name it 'label'"
            );
            (1, is_index)
        }
        _ => bail!(
            "{} columns: which holds the labels? keep one, or name it 'label'",
            names.len()
        ),
    };
    Ok((records.iter().skip(usize::from(header)))
        .map(|(line, record)| (*line, fields(record, delimiter).swap_remove(column)))
        .collect())
}

/// The fields of a record, without their quotes.
fn fields(record: &str, delimiter: char) -> Vec<String> {
    let (mut fields, mut field, mut quoted) = (Vec::new(), String::new(), false);
    for c in record.chars() {
        match c {
            '"' => quoted = !quoted,
            c if c == delimiter && !quoted => fields.push(std::mem::take(&mut field)),
            c => field.push(c),
        }
    }
    fields.push(field);
    fields.iter().map(|field| field.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    fn labels(name: &str, text: &str) -> Result<Vec<i64>> {
        let folder = TempDir::new()?;
        let path = folder.path().join(name);
        fs::write(&path, text)?;
        crate::files::read_labels(&path)
    }

    #[test]
    fn a_label_a_line() {
        for (name, text, expected) in [
            ("l.txt", "3\n-1\n3\n", &[3, -1, 3][..]),
            ("l.csv", "label\r\n3\r\n1\r\n", &[3, 1]),
            (
                "l.txt",
                "3.0\n1e0\n9007199254740993\n",
                &[3, 1, 9_007_199_254_740_993],
            ),
            ("l.txt", "dog\ncat\ndog\nant\n", &[2, 1, 2, 0]),
            ("l.txt", "Chrysler, 300\nAudi, A4\n", &[1, 0]),
            ("l.csv", "class\ndog\ncat\n", &[1, 0]),
            ("l.csv", ",label\n0,dog\n1,cat\n", &[1, 0]),
            ("l.csv", ",0\n0,5\n1,3\n", &[5, 3]),
            ("l.csv", "0,5\n1,3\n2,5\n", &[5, 3, 5]),
            ("l.tsv", "image\tlabel\nx.png\t5\ny.png\t7\n", &[5, 7]),
            ("l.csv", "\"a, b\"\n\"a\"\"c\"\n\"a, b\"\n", &[1, 0, 1]),
        ] {
            assert_eq!(labels(name, text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_may_be_no_label_is_refused() {
        for (name, text, message) in [
            ("l.csv", "", "found none"),
            ("l.csv", "1\n2.5\n", "line 2: 2.5 is not a whole number"),
            ("l.txt", "1\nNA\n2\n", "line 2: 'NA' is a missing label"),
            (
                "l.csv",
                "5,6\n3,1\n",
                "two columns: which holds the labels?",
            ),
            ("l.csv", "1,2,3\n4,5,6\n", "3 columns"),
            ("l.jsonl", "[1]\n", "labels are read from"),
        ] {
            let error = format!("{:#}", labels(name, text).unwrap_err());
            assert!(error.contains(message), "{text}: {error}");
        }
    }
}
