//! Matrices in tables of text, as spreadsheets, pandas, numpy and R write them.

use std::borrow::Cow;
use std::collections::VecDeque;

use anyhow::{Result, bail, ensure};

use super::lines::Lines;
use super::source::Source;
use super::{Sink, matrix_shape};

/// What stands between two fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Delimiter {
    Character(char),
    /// Any number of spaces or tabs.
    Spaces,
}

/// How the numbers of a table are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Dialect {
    delimiter: Delimiter,
    decimal_comma: bool,
}

/// What a field is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Field {
    Number(f64),
    /// Nothing, or a word for it.
    Missing,
    Text,
}

impl Dialect {
    fn new(character: char) -> Self {
        Self {
            delimiter: Delimiter::Character(character),
            decimal_comma: false,
        }
    }

    /// All that are tried, the likelier first.
    fn all() -> impl Iterator<Item = Self> {
        [false, true].into_iter().flat_map(|decimal_comma| {
            let delimiters = [',', ';', '\t', '|'].map(Delimiter::Character);
            let delimiters = delimiters.into_iter().chain([Delimiter::Spaces]);
            delimiters.map(move |delimiter| Self {
                delimiter,
                decimal_comma,
            })
        })
    }

    /// The dialect in which the most records are rows of numbers, all equally long.
    ///
    /// Only where there is none may their first field be text.
    fn of(records: &[(u64, String)]) -> Self {
        // The first may be a header.
        let body = if records.len() > 1 {
            &records[1..]
        } else {
            records
        };
        for text_first in [false, true] {
            let rows = |dialect: Self| {
                let mut widths: Vec<usize> = (body.iter())
                    .filter_map(|(_, record)| dialect.width_of_row(record, text_first))
                    .collect();
                widths.sort_unstable();
                let most = widths.chunk_by(|a, b| a == b).map(<[usize]>::len).max();
                most.unwrap_or(0)
            };
            let mut best = (0, Self::new(','));
            for dialect in Self::all() {
                let rows = rows(dialect);
                if rows > best.0 {
                    best = (rows, dialect);
                }
            }
            if best.0 > 0 {
                return best.1;
            }
        }
        let (_, first) = &body[0];
        let count = |c: char| first.matches(c).count();
        let most = [',', ';', '\t', '|'].into_iter().rev();
        match most.max_by_key(|&c| count(c)) {
            Some(c) if count(c) > 0 => Self::new(c),
            _ if first.trim().contains(char::is_whitespace) => Self {
                delimiter: Delimiter::Spaces,
                decimal_comma: false,
            },
            _ => Self::new(','),
        }
    }

    /// The number of fields of a row of numbers, if that is what a record is.
    fn width_of_row(self, record: &str, text_first: bool) -> Option<usize> {
        let fields = self.fields(record);
        let mut numbers = 0;
        for (column, field) in fields.iter().enumerate() {
            match self.field(field) {
                Field::Number(_) => numbers += 1,
                Field::Missing => {}
                Field::Text => {
                    let other = |c: char| matches!(c, ',' | ';' | '\t' | '|');
                    if !(text_first && column == 0 && !field.contains(other)) {
                        return None;
                    }
                }
            }
        }
        // A single column leaves it open what a comma in it is.
        let least = if self.decimal_comma { 2 } else { 1 };
        (numbers > 0 && fields.len() >= least).then_some(fields.len())
    }

    /// The fields of a record, without the spaces and quotes around them.
    fn fields(self, record: &str) -> Vec<Cow<'_, str>> {
        let delimiter = match self.delimiter {
            Delimiter::Spaces if !record.contains('"') => {
                return record.split_whitespace().map(Cow::Borrowed).collect();
            }
            Delimiter::Spaces => None,
            Delimiter::Character(c) if !record.contains('"') => {
                return (record.split(c))
                    .map(|field| Cow::Borrowed(field.trim()))
                    .collect();
            }
            Delimiter::Character(c) => Some(c),
        };
        let mut fields: Vec<Cow<'_, str>> = Vec::new();
        let (mut field, mut quoted, mut any) = (String::new(), false, false);
        let mut characters = record.chars().peekable();
        while let Some(c) = characters.next() {
            let ends = match delimiter {
                Some(delimiter) => c == delimiter,
                None => c.is_whitespace(),
            };
            if c == '"' && quoted && characters.peek() == Some(&'"') {
                characters.next();
                field.push('"');
            } else if c == '"' {
                quoted = !quoted;
                any = true;
            } else if ends && !quoted {
                if delimiter.is_some() || any {
                    fields.push(Cow::Owned(std::mem::take(&mut field)));
                }
                any = false;
            } else {
                field.push(c);
                any = true;
            }
        }
        if delimiter.is_some() || any {
            fields.push(Cow::Owned(field));
        }
        for field in &mut fields {
            if field.trim().len() < field.len() {
                *field = Cow::Owned(field.trim().to_owned());
            }
        }
        fields
    }

    fn field(self, field: &str) -> Field {
        const MISSING: [&str; 10] = [
            "", "na", "n/a", "#n/a", "<na>", "null", "none", "nil", "?", "-",
        ];
        let number = if self.decimal_comma {
            decimal_comma(field)
        } else {
            field.parse().ok()
        };
        match number {
            Some(number) => Field::Number(number),
            None if MISSING.iter().any(|word| field.eq_ignore_ascii_case(word)) => Field::Missing,
            None => Field::Text,
        }
    }

    /// The dialect in words, where it is not the plainest.
    fn told(self) -> Option<String> {
        let delimiter = match self.delimiter {
            Delimiter::Character(',') if !self.decimal_comma => return None,
            Delimiter::Character(',') => "commas",
            Delimiter::Character(';') => "semicolons",
            Delimiter::Character('\t') => "tabs",
            Delimiter::Character(_) => "bars",
            Delimiter::Spaces => "spaces",
        };
        let decimal = if self.decimal_comma {
            ", with decimal commas"
        } else {
            ""
        };
        Some(format!("the fields are separated by {delimiter}{decimal}"))
    }
}

/// `1,5`: a comma between digits, and no point.
fn decimal_comma(field: &str) -> Option<f64> {
    let Some((whole, rest)) = field.split_once(',') else {
        return (!field.contains('.')).then(|| field.parse().ok()).flatten();
    };
    let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    let plain = !field.contains('.') && !rest.contains(',');
    (plain && digit(whole.chars().last()) && digit(rest.chars().next()))
        .then(|| format!("{whole}.{rest}").parse().ok())
        .flatten()
}

/// Whether a field is a whole number without a point or exponent.
fn is_whole(field: &str) -> bool {
    let digits = field.strip_prefix(['-', '+']).unwrap_or(field);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

/// Where some fields count up by one from 0 or 1: the first of the numbers.
fn counts_from<'a>(fields: impl IntoIterator<Item = &'a str>) -> Option<u64> {
    let mut fields = fields.into_iter();
    let first: u64 = fields
        .next()
        .filter(|field| is_whole(field))?
        .parse()
        .ok()?;
    let follow = (first + 1..).zip(fields);
    let mut follow =
        follow.map(|(expected, field)| is_whole(field) && field.parse() == Ok(expected));
    (first <= 1 && follow.all(|is| is)).then_some(first)
}

/// Whether whole numbers grow from field to field, as wavelengths or years over columns do.
fn ascend(fields: &[Cow<'_, str>]) -> bool {
    let numbers: Option<Vec<i64>> = fields.iter().map(|field| field.parse().ok()).collect();
    numbers.is_some_and(|numbers| numbers.is_sorted_by(|a, b| a < b))
}

/// What the first fields of the rows are, if they are no dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Index {
    /// They count the rows from this number on.
    Counting(u64),
    /// Names of any kind, in a column without a name.
    Names,
}

/// How a table is read, as far as its first records say.
struct Layout {
    dialect: Dialect,
    /// Whether the first record is no row.
    header: bool,
    index: Option<Index>,
    /// Whether each row ends in a delimiter.
    trailing: bool,
    /// Fields of a row, the index among them, the empty one behind the last delimiter not.
    width: usize,
    /// What was guessed.
    notes: Vec<String>,
}

impl Layout {
    fn of(records: &[(u64, String)], dialect: Dialect) -> Result<Self> {
        let mut fields: Vec<Vec<Cow<'_, str>>> = (records.iter())
            .map(|(_, record)| dialect.fields(record))
            .collect();
        let width = fields.get(1).unwrap_or(&fields[0]).len();
        let trailing = Self::ends_in_delimiters(&fields);
        if trailing {
            for fields in fields.iter_mut().filter(|fields| fields.len() == width) {
                fields.pop();
            }
        }
        let width = width - usize::from(trailing);
        let mut layout = Self {
            dialect,
            header: false,
            index: None,
            trailing,
            width,
            notes: dialect.told().into_iter().collect(),
        };
        let (first, body) = fields.split_first().expect("records");
        layout.check_commas(body)?;
        layout.read_header(first, body, records[0].0)?;
        layout.read_index(if layout.header { Some(first) } else { None }, &fields)?;
        layout.notes.extend(layout.doubt_commas(&fields));
        Ok(layout)
    }

    /// Whether each row of several fields has nothing behind its last delimiter, and the header no
    /// name for it.
    fn ends_in_delimiters(fields: &[Vec<Cow<'_, str>>]) -> bool {
        let (first, body) = fields.split_first().expect("records");
        let body = if body.is_empty() { fields } else { body };
        let width = body[0].len();
        let ends = |fields: &Vec<Cow<'_, str>>| fields.last().is_some_and(|last| last.is_empty());
        width > 1
            && body.iter().all(ends)
            && (first.len() + 1 == width || (first.len() == width && ends(first)))
    }

    /// Whether the first record is a header.
    fn read_header(
        &mut self,
        first: &[Cow<'_, str>],
        body: &[Vec<Cow<'_, str>>],
        line: u64,
    ) -> Result<()> {
        /// Fewer may well be a row.
        const LEAST_COUNTED: usize = 3;
        let kinds: Vec<Field> = first
            .iter()
            .map(|field| self.dialect.field(field))
            .collect();
        let numbers = kinds.iter().any(|kind| matches!(kind, Field::Number(_)));
        let text = kinds.contains(&Field::Text);
        let counted = |fields: &[Cow<'_, str>]| counts_from(fields.iter().map(|f| &**f)).is_some();
        let numbered =
            first.len() > 1 && !matches!(kinds[0], Field::Number(_)) && counted(&first[1..]);
        if numbered || (text && !numbers) {
            self.header = true;
        } else if !body.is_empty() && first.iter().all(|field| is_whole(field)) {
            let shorter = first.len() + 1 == self.width;
            let mut rest = body
                .iter()
                .flat_map(|fields| &fields[usize::from(shorter).min(fields.len())..]);
            let fractional = !rest.any(|field| is_whole(field));
            let long = first.len() >= LEAST_COUNTED;
            if counted(first) && (fractional || shorter) {
                self.header = true;
                self.notes.push(format!(
                    "line {line} ({}) is a header, no row",
                    shown(first)
                ));
            } else if long && (counted(first) || (fractional && ascend(first))) {
                bail!(
                    "line {line} ({}) may be a header or a row: delete it, name the columns, or \
                     write its numbers with a point (0.0) to keep it",
                    shown(first)
                );
            }
        }
        Ok(())
    }

    /// Refuses decimal commas between commas: numbers that are all whole, of which some start with
    /// a zero.
    fn check_commas(&self, body: &[Vec<Cow<'_, str>>]) -> Result<()> {
        let all = || body.iter().flatten();
        let padded = |field: &str| {
            let digits = field.strip_prefix('-').unwrap_or(field);
            field == "-0" || (digits.len() > 1 && digits.starts_with('0'))
        };
        if self.dialect == Dialect::new(',')
            && all().all(|field| is_whole(field))
            && let Some(field) = all().find(|field| padded(field))
        {
            bail!(
                "whole numbers such as '{field}': are these decimal commas between commas? write \
                 decimal points, or semicolons between the fields"
            );
        }
        Ok(())
    }

    /// What to say of two whole numbers a line, which may be one with a decimal comma.
    fn doubt_commas(&self, fields: &[Vec<Cow<'_, str>>]) -> Option<String> {
        let doubtful = self.dialect == Dialect::new(',')
            && self.width == 2
            && self.index.is_none()
            && !self.header
            && fields.iter().flatten().all(|field| is_whole(field));
        doubtful.then(|| {
            "two columns of whole numbers: if each line is one number with a decimal comma, write \
             decimal points"
                .to_owned()
        })
    }

    /// Whether the first column is an index.
    fn read_index(
        &mut self,
        header: Option<&Vec<Cow<'_, str>>>,
        fields: &[Vec<Cow<'_, str>>],
    ) -> Result<()> {
        /// Fewer rows may count by chance.
        const LEAST_ROWS: usize = 3;
        /// Rows that count although the other columns are whole numbers too.
        const LEAST_WHOLE_ROWS: usize = 10;
        let body = &fields[usize::from(header.is_some())..];
        if let (Some(names), false) = (header, body.is_empty()) {
            ensure!(
                names.len() == self.width || names.len() + 1 == self.width,
                "the header has {} fields, the first row {}",
                names.len(),
                self.width
            );
        }
        if self.width < 2 || body.is_empty() {
            return Ok(());
        }
        let columns = |k: usize| body.iter().filter_map(move |row| row.get(k).map(|f| &**f));
        let counting = counts_from(columns(0)).map(Index::Counting);
        let whole = |k: usize| columns(k).all(is_whole);
        let found = match header {
            Some(names) if names.len() + 1 == self.width => Some(Index::Names),
            Some(names) if names[0].is_empty() => Some(Index::Names),
            Some(names) => {
                let numbered = counts_from(names[1..].iter().map(|f| &**f)).is_some();
                let is_named = |name: &str, those: &[&str]| {
                    those.iter().any(|other| name.eq_ignore_ascii_case(other))
                };
                const INDEX: [&str; 9] = [
                    "id",
                    "ids",
                    "idx",
                    "index",
                    "row",
                    "row_id",
                    "rowid",
                    "image_id",
                    "Unnamed: 0",
                ];
                const LABEL: [&str; 6] =
                    ["label", "labels", "class", "classes", "target", "targets"];
                let other = numbered || is_named(&names[0], &INDEX);
                if other && counting.is_none() && whole(0) {
                    bail!(
                        "column 1, '{}', has whole numbers and may be no dimension: delete the \
                         column, or give it another name",
                        names[0]
                    );
                }
                let label = (0..names.len()).find(|&k| is_named(&names[k], &LABEL) && whole(k));
                if let Some(k) = label {
                    bail!(
                        "column {}, '{}', has whole numbers and is hardly a dimension: delete the \
                         column, or give it another name (labels are a file of their own)",
                        k + 1,
                        names[k]
                    );
                }
                counting.filter(|_| other)
            }
            None => {
                let others_whole = body
                    .iter()
                    .any(|row| row.iter().skip(1).any(|f| is_whole(f)));
                let least = if others_whole {
                    LEAST_WHOLE_ROWS
                } else {
                    LEAST_ROWS
                };
                counting.filter(|_| body.len() >= least)
            }
        };
        self.index = found;
        match found {
            Some(Index::Counting(from)) => self.notes.push(format!(
                "column 1 ({from}, {}, ..) is an index, no dimension{}",
                from + 1,
                if header.is_some() {
                    ""
                } else {
                    " (to keep it, name the columns in a first line)"
                }
            )),
            Some(Index::Names) => {
                let names: Vec<_> = columns(0).take(2).collect();
                self.notes.push(format!(
                    "column 1 ({}, ..) has no name and is an index, no dimension",
                    names.join(", ")
                ));
            }
            None => {
                let last = self.width - 1;
                let others_fractional =
                    |k: usize| (0..=last).all(|other| other == k || !columns(other).any(is_whole));
                if self.width > 2 && body.len() >= LEAST_ROWS {
                    for k in [0, last] {
                        if whole(k) && others_fractional(k) {
                            self.notes.push(format!(
                                "column {} alone has whole numbers: it is read as a dimension; if \
                                 it holds labels or an index, delete it",
                                k + 1
                            ));
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Appends the numbers of a record, row `row` of the matrix.
    fn row(&self, line: u64, record: &str, row: u64, numbers: &mut Vec<f64>) -> Result<()> {
        let mut fields = self.dialect.fields(record);
        if self.trailing
            && fields.len() == self.width + 1
            && fields.last().is_some_and(|last| last.is_empty())
        {
            fields.pop();
        }
        ensure!(
            fields.len() == self.width,
            "line {line} has {} fields, the first row {}",
            fields.len(),
            self.width
        );
        if let Some(Index::Counting(from)) = self.index
            && fields[0].parse() != Ok(from + row)
        {
            bail!(
                "line {line}, column 1: '{}' after the column counted {from}, {}, .. to {}: an index \
                 that starts again, or a dimension? delete the column, or name the columns in a \
                 first line",
                shortened(&fields[0]),
                from + 1,
                (from + row).saturating_sub(1)
            );
        }
        for (column, field) in fields.iter().enumerate().skip(self.index.iter().len()) {
            match self.dialect.field(field) {
                Field::Number(number) => numbers.push(number),
                Field::Missing if field.is_empty() => bail!(
                    "line {line}, column {}: the field is empty: fill it in, or delete the row or \
                     the column",
                    column + 1
                ),
                Field::Missing => bail!(
                    "line {line}, column {}: '{field}' is a missing number: fill it in, or delete \
                     the row or the column",
                    column + 1
                ),
                Field::Text => bail!(
                    "line {line}, column {}: '{}' is not a number{}",
                    column + 1,
                    shortened(field),
                    self.hint(column, field)
                ),
            }
        }
        Ok(())
    }

    /// What to do about a text where a number belongs.
    fn hint(&self, column: usize, field: &str) -> &'static str {
        if field.starts_with(['[', '(']) {
            ": a list in one field; write a column for each dimension"
        } else if field.matches(',').count() == 1 && !self.dialect.decimal_comma {
            ": write decimal points"
        } else if self.width == 1 && field.contains(char::is_whitespace) {
            ": no delimiter fits all lines"
        } else if column == 0 && self.index.is_none() && self.width > 1 {
            ": if the column names the rows, leave its own name in the first line empty"
        } else {
            ""
        }
    }
}

/// The start of a field.
fn shortened(field: &str) -> String {
    field.chars().take(40).collect()
}

/// Some fields in short: all of a few, or the first two and the last.
fn shown(fields: &[Cow<'_, str>]) -> String {
    match fields {
        [first, second, .., last] if fields.len() > 3 => format!("{first}, {second}, .., {last}"),
        few => few.join(", "),
    }
}

/// The records that [`Layout`] is found from.
fn first_records(lines: &mut Lines) -> Result<VecDeque<(u64, String)>> {
    const MOST: usize = 64;
    const LEAST: usize = 4;
    /// Bytes, once there are the least.
    const ENOUGH: usize = 1 << 20;
    let mut records = VecDeque::new();
    let mut bytes = 0;
    while records.len() < LEAST || (records.len() < MOST && bytes < ENOUGH) {
        let Some(record) = lines.record()? else {
            break;
        };
        bytes += record.1.len();
        records.push_back(record);
    }
    Ok(records)
}

/// The delimiter that a first line `sep=;` tells spreadsheets.
fn told_delimiter(records: &mut VecDeque<(u64, String)>) -> Option<char> {
    let (_, first) = records.front()?;
    let mut rest = first.strip_prefix("sep=")?.chars();
    let (delimiter, end) = (rest.next()?, rest.next());
    end.is_none().then(|| {
        records.pop_front();
        delimiter
    })
}

/// Reads the matrix of a table, a row a line. What was guessed of its layout.
///
/// The delimiter, the decimal point or comma, a header and an index are told from the first
/// records. A number that is missing, or is none, is refused with its place.
pub(super) fn read_matrix(source: Source, sink: &mut dyn Sink) -> Result<Vec<String>> {
    /// Entries handed on at once.
    const BLOCK: usize = 1 << 16;
    let mut lines = Lines::new(source.reader)?;
    let mut records = first_records(&mut lines)?;
    let told = told_delimiter(&mut records);
    let records = records.make_contiguous();
    ensure!(
        !records.is_empty(),
        "expected a matrix with entries, found no rows"
    );
    let mut dialect = Dialect::of(records);
    if let Some(told) = told
        && dialect.delimiter != Delimiter::Character(told)
    {
        dialect = Dialect::new(told);
    }
    let mut layout = Layout::of(records, dialect)?;
    let dims = layout.width - layout.index.iter().len();
    matrix_shape(&[1, dims as u64])?;
    let rest = std::iter::from_fn(|| lines.record().transpose());
    let first = records.iter().cloned().map(Ok);
    let mut rows = Vec::new();
    let mut row = 0;
    let header = layout.header.then(|| records[0].1.clone());
    for record in first.skip(usize::from(layout.header)).chain(rest) {
        let (line, record) = record?;
        ensure!(
            header.as_ref() != Some(&record),
            "line {line} is the header again: are these several tables in one file?"
        );
        if row == 0 {
            sink.start(dims, f64::EPSILON)?;
        }
        layout.row(line, &record, row, &mut rows)?;
        row += 1;
        if rows.len() >= BLOCK {
            sink.rows(&rows)?;
            rows.clear();
        }
    }
    ensure!(row > 0, "expected a matrix with entries, found no rows");
    sink.rows(&rows)?;
    Ok(std::mem::take(&mut layout.notes))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    /// The numbers of a text, the length of its rows, and what was guessed.
    fn read(text: impl AsRef<[u8]>) -> Result<(Vec<f64>, usize, Vec<String>)> {
        #[derive(Default)]
        struct Rows(Vec<f64>, usize);
        impl Sink for Rows {
            fn start(&mut self, dims: usize, _: f64) -> Result<()> {
                self.1 = dims;
                Ok(())
            }
            fn rows(&mut self, rows: &[f64]) -> Result<()> {
                self.0.extend_from_slice(rows);
                Ok(())
            }
        }
        let folder = TempDir::new()?;
        let path = folder.path().join("e.csv");
        fs::write(&path, text)?;
        let mut rows = Rows::default();
        let notes = read_matrix(Source::open(&path)?, &mut rows)?;
        Ok((rows.0, rows.1, notes))
    }

    const MATRIX: [f64; 12] = [
        0.5, -1.25, 3.5, 2.5, 1e-3, -7.5, 0.25, 8.5, 1.5, -2.5, 4.75, 6.125,
    ];

    /// The matrix of four rows in a dialect.
    fn written(delimiter: &str, index: bool, end: &str) -> String {
        let line = |(i, row): (usize, &[f64])| {
            let fields: Vec<String> = row.iter().map(f64::to_string).collect();
            let index = if index {
                format!("{i}{delimiter}")
            } else {
                String::new()
            };
            format!("{index}{}{end}\n", fields.join(delimiter))
        };
        MATRIX.chunks(3).enumerate().map(line).collect()
    }

    #[test]
    fn a_table_in_many_hands() {
        let plain = written(",", false, "");
        let with_index = written(",", true, "");
        let tabs = written("\t", false, "");
        for (text, notes) in [
            (plain.clone(), 0),
            (plain.trim_end().to_owned(), 0),
            (format!("{plain}\n  \n"), 0),
            (format!("a,b,c\n{plain}"), 0),
            (format!("# a b c\n\n{plain}"), 0),
            (format!("sep=,\n{plain}"), 0),
            (plain.replace(',', " , "), 0),
            (plain.replace("0.5", "\"0.5\"").replace("8.5", "8.5E0"), 0),
            (format!("a,b,c\n{}", written(",", false, ",")), 0),
            (written(",", false, ","), 0),
            // pandas: no index; an index; an index and no header; R's row names.
            (format!("0,1,2\n{plain}"), 1),
            (format!(",0,1,2\n{with_index}"), 1),
            (format!(",a,b,c\n{with_index}"), 1),
            (format!("id,0,1,2\n{with_index}"), 1),
            (format!("Index,a,b,c\n{with_index}"), 1),
            (with_index.clone(), 1),
            (format!("\"a\" \"b\" \"c\"\n{}", written(" ", true, "")), 2),
            (tabs.clone(), 1),
            (format!("\t0\t1\t2\n{}", written("\t", true, "")), 2),
            (written(";", false, ""), 1),
            (written("|", false, ""), 1),
            (written("  ", false, " "), 1),
            (written(";", false, "").replace('.', ","), 1),
            (
                format!(
                    "sep=;\na;b;c\n{}",
                    written(";", false, "").replace('.', ",")
                ),
                1,
            ),
            (written("\t", false, "").replace('.', ","), 1),
            (
                written("\",\"", false, "\"")
                    .replace('.', ",")
                    .replace('\n', "\n\""),
                1,
            ),
        ] {
            let text = match text.strip_suffix("\n\"") {
                Some(text) => format!("\"{text}"),
                None => text,
            };
            for end in ["\n", "\r\n", "\r"] {
                let text = text.replace('\n', end);
                let (numbers, dims, found) = read(&text).unwrap();
                assert_eq!((&numbers[..], dims), (&MATRIX[..], 3), "{text}");
                assert_eq!(found.len(), notes, "{text}: {found:?}");
            }
        }
        let names = format!(",a,b,c\n{plain}");
        let names = names
            .replace("\n0.5", "\nx.png,0.5")
            .replace("\n2.5", "\ny.png,2.5");
        let names = names
            .replace("\n0.25", "\nz.png,0.25")
            .replace("\n-2.5", "\nw.png,-2.5");
        assert_eq!(read(names).unwrap().0, MATRIX);
    }

    #[test]
    fn a_name_keeps_a_column_that_counts() {
        let text = format!("time,a,b,c\n{}", written(",", true, ""));
        let (numbers, dims, notes) = read(text).unwrap();
        assert_eq!((numbers.len(), dims), (16, 4));
        assert_eq!(
            notes,
            [
                "column 1 alone has whole numbers: it is read as a dimension; if it holds labels or \
              an index, delete it"
            ]
        );
        // Whole numbers all over: no column is told from the others.
        let (numbers, dims, notes) = read("0,1\n1,0\n2,5\n").unwrap();
        assert_eq!((numbers, dims), (vec![0.0, 1.0, 1.0, 0.0, 2.0, 5.0], 2));
        assert_eq!(notes.len(), 1, "{notes:?}");
        assert!(notes[0].starts_with("two columns of whole numbers"));
        // Three can be no numbers with decimal commas.
        let (_, dims, notes) = read("0,1,4\n1,0,4\n2,5,4\n").unwrap();
        assert_eq!((dims, notes), (3, Vec::new()));
    }

    #[test]
    fn notes_say_what_was_guessed() {
        let (_, _, notes) = read(format!("0;1;2\n{}", written(";", false, ""))).unwrap();
        assert_eq!(
            notes,
            [
                "the fields are separated by semicolons",
                "line 1 (0, 1, 2) is a header, no row"
            ]
        );
        let (_, _, notes) = read(written(",", true, "")).unwrap();
        assert_eq!(
            notes,
            [
                "column 1 (0, 1, ..) is an index, no dimension (to keep it, name the columns in a \
              first line)"
            ]
        );
        let (numbers, dims, notes) = read("0,5\n1,25\n3,7\n").unwrap();
        assert_eq!((numbers.len(), dims), (6, 2));
        assert_eq!(
            notes,
            [
                "two columns of whole numbers: if each line is one number with a decimal comma, \
              write decimal points"
            ]
        );
        let (_, _, notes) = read("0,5\n1.5,25\n3,7\n").unwrap();
        assert_eq!(notes, [""; 0]);
    }

    #[test]
    fn what_may_be_misread_is_refused() {
        for (text, message) in [
            ("1,2\n\n# x\n3,\n", "line 4, column 2: the field is empty"),
            ("NA,NA\n1,2\n", "line 1, column 1: 'NA' is a missing number"),
            (
                "a,b\n1,2\n3,null\n",
                "line 3, column 2: 'null' is a missing number",
            ),
            ("a,b\n1,2\n3\n", "line 3 has 1 fields, the first row 2"),
            (
                "a,b,c\n1,2\n3,4\n",
                "the header has 3 fields, the first row 2",
            ),
            ("a,b\n1.5,x\n", "line 2, column 2: 'x' is not a number"),
            (
                "x.png,0.5,1.5\ny.png,2.5,3.5\n",
                "leave its own name in the first line empty",
            ),
            ("e\n\"[0.5, 1.5]\"\n", "a list in one field"),
            (
                "0,1,2\n1,2,3\n",
                "line 1 (0, 1, 2) may be a header or a row",
            ),
            (
                "id,a,b\n17,0.5,1.5\n4,2.5,3.5\n",
                "column 1, 'id', has whole numbers",
            ),
            (
                "a,b,label\n0.5,1.5,3\n2.5,3.5,1\n",
                "column 3, 'label', has whole numbers",
            ),
            ("1,2\n\"3,4\n", "line 2: a quote is not closed"),
            ("a,b\n", "found no rows"),
            ("", "found no rows"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(message), "{text}: {error}");
        }
    }

    #[test]
    fn a_header_that_comes_again_is_refused() {
        let rows: String = (0..100).map(|i| format!("{i}.5,{i}.25,0.5\n")).collect();
        let error = read(format!("0,1,2\n{rows}0,1,2\n{rows}")).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("line 102 is the header again"),
            "{error}"
        );
        let error = read("a,b\n1,2\na,b\n3,4\n").unwrap_err().to_string();
        assert!(error.starts_with("line 3 is the header again"), "{error}");
    }

    #[test]
    fn an_index_that_starts_again_is_refused() {
        let text: String = (0..100).map(|i| format!("{},{}.5\n", i % 80, i)).collect();
        let error = read(text).unwrap_err().to_string();
        assert!(
            error.starts_with("line 81, column 1: '0' after the column counted 0, 1, .. to 79"),
            "{error}"
        );
    }
}
