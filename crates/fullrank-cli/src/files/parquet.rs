//! Matrices of .parquet files: a column of lists, or a column for each dimension.

use std::io::{BufReader, Read, Seek, SeekFrom};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, anyhow, bail, ensure};
use half::f16;
use parquet::basic::{ConvertedType, LogicalType, Type};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::DataType;
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::reader::{
    ChunkReader, FileReader, Length, RowGroupReader, SerializedFileReader,
};
use parquet::schema::types::ColumnDescriptor;

use super::labels::{choose_labels, is_label_word, numbered};
use super::source::{ReadSeek, Source};
use super::{Element, Number, Sink, matrix_shape};

/// Entries handed on at once.
const BLOCK: usize = 1 << 19;
/// Rows read at once of lists whose length is not known yet.
const FIRST_ROWS: usize = 64;

/// Reads the matrix of a .parquet file: the column of lists of the name, or the only one; of a file without lists
/// its columns of floats, or if it has none of integers, a dimension each. What was left out, in words.
pub(super) fn read_matrix(
    source: Source,
    name: Option<&str>,
    sink: &mut dyn Sink,
) -> Result<Option<String>> {
    let file = File::open(source)?;
    let columns = file.columns();
    let is_matrix = |column: &&Column| column.is_list && column.number().is_some();
    let lists: Vec<&Column> = columns.iter().filter(is_matrix).collect();
    let chosen = match (name, &lists[..]) {
        (Some(wanted), _) => {
            let column = columns.iter().find(|column| column.name == wanted);
            let column = column.ok_or_else(|| none_of_the_name(wanted, &columns))?;
            ensure!(is_matrix(&column), "column {column} is no list of numbers");
            column
        }
        (None, []) => return read_dimensions(&file, &columns, sink),
        (None, [one]) => one,
        (None, _) => {
            let names = lists.iter().map(|column| column.name.clone());
            bail!(
                "several columns are lists, choose one with --tensor: {}",
                listed(names, "none")
            )
        }
    };
    read_lists(&file, chosen, sink)?;
    Ok(None)
}

/// Reads the labels of a .parquet file: the column of the name, or the only one of whole numbers or names, or of
/// several the one that is called label.
pub(super) fn read_labels(source: Source, name: Option<&str>) -> Result<Vec<i64>> {
    let file = File::open(source)?;
    let columns = file.columns();
    let may_be_labels = |column: &&Column| {
        !column.is_list
            && !column.is_index()
            && (column.is_text()
                || column.kind == Type::BOOLEAN
                || column.number().is_some_and(|number| !is_float(number)))
    };
    let mut vectors: Vec<String> = (columns.iter().filter(may_be_labels))
        .map(|column| column.name.clone())
        .collect();
    // Floats only if they are asked for.
    if let Some(wanted) = name
        && columns
            .iter()
            .any(|column| column.name == wanted && !column.is_list)
    {
        vectors.push(wanted.to_owned());
    }
    let all = listed(columns.iter().map(Column::to_string), "only nested ones");
    let chosen = choose_labels(&vectors, name, &[all])?;
    let column = (columns.iter().find(|column| column.name == chosen)).context("no such column")?;
    let mut labels = Vec::new();
    let mut names = Vec::new();
    let mut first_row = 0;
    for group in 0..file.reader.num_row_groups() {
        let group_reader = file.group(group)?;
        let count = usize::try_from(group_reader.metadata().num_rows())?;
        let mut read = || -> Result<()> {
            match group_reader.get_column_reader(column.leaf)? {
                ColumnReader::ByteArrayColumnReader(reader) => {
                    let texts = scalars(reader, count, column, first_row)?;
                    for text in texts {
                        names.push(text.as_utf8()?.to_owned());
                    }
                }
                ColumnReader::BoolColumnReader(reader) => {
                    labels.extend(
                        scalars(reader, count, column, first_row)?
                            .into_iter()
                            .map(i64::from),
                    );
                }
                // Not by way of f64, which has not all of them.
                ColumnReader::Int64ColumnReader(reader) if column.number() == Some(Number::I64) => {
                    labels.extend(scalars(reader, count, column, first_row)?);
                }
                reader => {
                    let mut numbers = Numbers::new(reader, column, first_row)?;
                    let read = numbers.read(count)?;
                    for (row, number) in read.iter().enumerate() {
                        let label = super::element::whole(*number);
                        labels.push(label.with_context(|| format!("row {}", first_row + row))?);
                    }
                }
            }
            Ok(())
        };
        read().with_context(|| column.place(group))?;
        first_row += count;
    }
    Ok(if names.is_empty() {
        labels
    } else {
        numbered(names)
    })
}

fn none_of_the_name(wanted: &str, columns: &[Column]) -> anyhow::Error {
    let names = columns.iter().map(|column| column.name.clone());
    anyhow!(
        "no column '{wanted}'; there are: {}",
        listed(names, "only nested ones")
    )
}

/// The first of some names, or what to say if there is none.
fn listed(mut names: impl Iterator<Item = String>, none: &str) -> String {
    const SHOWN: usize = 20;
    let mut shown: Vec<String> = names.by_ref().take(SHOWN).collect();
    match (shown.is_empty(), names.count()) {
        (true, _) => none.to_owned(),
        (_, 0) => shown.join(", "),
        (_, more) => {
            shown.push(format!("and {more} more"));
            shown.join(", ")
        }
    }
}

/// Reads a column of lists of one length.
fn read_lists(file: &File, column: &Column, sink: &mut dyn Sink) -> Result<()> {
    let mut dims = None;
    let mut first_row = 0;
    for group in 0..file.reader.num_row_groups() {
        let group_reader = file.group(group)?;
        let mut left = usize::try_from(group_reader.metadata().num_rows())?;
        let reader = group_reader.get_column_reader(column.leaf);
        let numbers = reader.map_err(anyhow::Error::from);
        let numbers = numbers.and_then(|reader| Numbers::new(reader, column, first_row));
        let mut numbers = numbers.with_context(|| column.place(group))?;
        while left > 0 {
            let rows = dims
                .map_or(FIRST_ROWS, |dims: usize| (BLOCK / dims).max(1))
                .min(left);
            let block = numbers.read_lists(rows, dims);
            let (length, entries) = block.with_context(|| column.place(group))?;
            if dims.is_none() {
                matrix_shape(&[1, length as u64]).with_context(|| column.place(group))?;
                sink.start(length, column.epsilon())?;
                dims = Some(length);
            }
            sink.rows(&entries)?;
            left -= rows;
            first_row += rows;
        }
    }
    ensure!(
        dims.is_some(),
        "expected a matrix with entries, found no rows"
    );
    Ok(())
}

/// Reads the columns that are one number a row, a dimension each. What was left out, in words.
fn read_dimensions(file: &File, columns: &[Column], sink: &mut dyn Sink) -> Result<Option<String>> {
    let scalars = || {
        columns
            .iter()
            .filter(|column| !column.is_list && !column.is_index())
    };
    let of = |float: bool| -> Vec<&Column> {
        let wanted = |column: &&Column| {
            (column.number()).is_some_and(|number| is_float(number) == float)
                && !is_label_word(&column.name)
        };
        scalars().filter(wanted).collect()
    };
    let mut dimensions = of(true);
    if dimensions.is_empty() {
        dimensions = of(false);
    }
    if dimensions.is_empty() {
        bail!(
            "no column is a list of numbers or a number a row; there are: {}",
            listed(columns.iter().map(Column::to_string), "only nested ones")
        );
    }
    let dims = dimensions.len();
    matrix_shape(&[file.rows()?, dims as u64])?;
    let epsilon = dimensions.iter().map(|column| column.epsilon());
    sink.start(dims, epsilon.fold(f64::EPSILON, f64::max))?;
    let block = (BLOCK / dims).max(1);
    let mut entries = Vec::new();
    let mut first_row = 0;
    for group in 0..file.reader.num_row_groups() {
        let group_reader = file.group(group)?;
        let mut left = usize::try_from(group_reader.metadata().num_rows())?;
        let mut readers = Vec::with_capacity(dims);
        for column in &dimensions {
            let reader = group_reader.get_column_reader(column.leaf);
            let numbers = reader.map_err(anyhow::Error::from);
            let numbers = numbers.and_then(|reader| Numbers::new(reader, column, first_row));
            readers.push(numbers.with_context(|| column.place(group))?);
        }
        while left > 0 {
            let rows = block.min(left);
            entries.clear();
            entries.resize(rows * dims, 0.0);
            for (j, (reader, column)) in readers.iter_mut().zip(&dimensions).enumerate() {
                let numbers = reader.read(rows).with_context(|| column.place(group))?;
                for (row, number) in entries.chunks_exact_mut(dims).zip(numbers) {
                    row[j] = *number;
                }
            }
            sink.rows(&entries)?;
            left -= rows;
            first_row += rows;
        }
    }
    let left_out: Vec<&str> = (columns.iter())
        .filter(|column| !dimensions.iter().any(|one| one.leaf == column.leaf))
        .map(|column| column.name.as_str())
        .collect();
    let names = left_out.iter().map(|name| (*name).to_owned());
    let told = format!(
        "{dims} columns are dimensions; left out: {}",
        listed(names, "none")
    );
    Ok((!left_out.is_empty()).then_some(told))
}

/// A file whose footer was read.
struct File {
    reader: SerializedFileReader<Chunks>,
}

impl File {
    fn open(source: Source) -> Result<Self> {
        let chunks = Chunks {
            length: source.length,
            reader: Arc::new(Mutex::new(source.reader)),
        };
        let length = chunks.length;
        let reader = SerializedFileReader::new(chunks).context("not a .parquet file")?;
        let groups = reader.metadata().row_groups();
        let (rows, of_groups) = (
            reader.metadata().file_metadata().num_rows(),
            groups
                .iter()
                .map(|group| i128::from(group.num_rows()))
                .sum::<i128>(),
        );
        ensure!(
            i128::from(rows) == of_groups,
            "not a .parquet file: its footer says {rows} rows, and {of_groups} in row groups"
        );
        // The reader takes it for granted that parts have a beginning and a length.
        for (group, metadata) in groups.iter().enumerate() {
            for column in metadata.columns() {
                let start = column.dictionary_page_offset();
                let start = u64::try_from(start.unwrap_or(column.data_page_offset()));
                let bytes = u64::try_from(column.compressed_size());
                ensure!(
                    start.is_ok_and(|start| start <= length)
                        && bytes.is_ok_and(|bytes| bytes <= length),
                    "column '{}', row group {group}: the footer places it outside of the file",
                    column.column_path().string()
                );
            }
        }
        Ok(Self { reader })
    }

    fn rows(&self) -> Result<u64> {
        let rows = self.reader.metadata().file_metadata().num_rows();
        u64::try_from(rows).context("the file says a negative number of rows")
    }

    fn group(&self, group: usize) -> Result<Box<dyn RowGroupReader + '_>> {
        let reader = self.reader.get_row_group(group);
        reader.with_context(|| format!("row group {group}"))
    }

    /// The columns that are a value or a list of values a row.
    fn columns(&self) -> Vec<Column> {
        let schema = self.reader.metadata().file_metadata().schema_descr();
        let flat = |(leaf, descriptor): (usize, &Arc<ColumnDescriptor>)| {
            let parts = descriptor.path().parts();
            let is_list = descriptor.max_rep_level() == 1;
            let is_flat = is_list || (descriptor.max_rep_level() == 0 && parts.len() == 1);
            is_flat.then(|| Column {
                leaf,
                name: parts[0].clone(),
                is_list,
                kind: descriptor.physical_type(),
                logical: descriptor.logical_type_ref().cloned(),
                converted: descriptor.converted_type(),
                length: descriptor.type_length(),
                most: descriptor.max_def_level(),
                list: descriptor.repeated_ancestor_def_level(),
            })
        };
        schema
            .columns()
            .iter()
            .enumerate()
            .filter_map(flat)
            .collect()
    }
}

/// A column, and how a row of it is stored.
struct Column {
    /// Its place among all leaves of the schema.
    leaf: usize,
    name: String,
    is_list: bool,
    kind: Type,
    logical: Option<LogicalType>,
    converted: ConvertedType,
    /// Bytes, of a type of fixed length.
    length: i32,
    /// The definition level of a value that is there.
    most: i16,
    /// That of a value of a list, there or not.
    list: i16,
}

impl Column {
    /// What numbers it holds, if it holds numbers.
    fn number(&self) -> Option<Number> {
        let unsigned = match &self.logical {
            Some(LogicalType::Integer(integer)) => !integer.is_signed,
            Some(LogicalType::Float16) => {
                let is_two = self.kind == Type::FIXED_LEN_BYTE_ARRAY && self.length == 2;
                return is_two.then_some(Number::F16);
            }
            // Dates, times, decimals.
            Some(_) => return None,
            None => match self.converted {
                ConvertedType::UINT_8
                | ConvertedType::UINT_16
                | ConvertedType::UINT_32
                | ConvertedType::UINT_64 => true,
                ConvertedType::NONE
                | ConvertedType::INT_8
                | ConvertedType::INT_16
                | ConvertedType::INT_32
                | ConvertedType::INT_64 => false,
                _ => return None,
            },
        };
        match (self.kind, unsigned) {
            (Type::FLOAT, _) => Some(Number::F32),
            (Type::DOUBLE, _) => Some(Number::F64),
            (Type::INT32, false) => Some(Number::I32),
            (Type::INT32, true) => Some(Number::U32),
            (Type::INT64, false) => Some(Number::I64),
            (Type::INT64, true) => Some(Number::U64),
            _ => None,
        }
    }

    fn is_text(&self) -> bool {
        let is_text = matches!(self.logical, Some(LogicalType::String | LogicalType::Enum));
        let converted = matches!(self.converted, ConvertedType::UTF8 | ConvertedType::ENUM);
        self.kind == Type::BYTE_ARRAY && (is_text || converted)
    }

    /// Whether pandas wrote it as the names of the rows.
    fn is_index(&self) -> bool {
        self.name.starts_with("__index_level_")
    }

    fn epsilon(&self) -> f64 {
        let number = self.number().unwrap_or(Number::F64);
        Element::little_endian(number).epsilon()
    }

    fn place(&self, group: usize) -> String {
        format!("column '{}', row group {group}", self.name)
    }
}

impl std::fmt::Display for Column {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let list = if self.is_list { "list of " } else { "" };
        let kind = match &self.logical {
            _ if self.is_text() => "text".to_owned(),
            Some(logical) => format!("{logical:?}"),
            None => self.kind.to_string(),
        };
        write!(f, "{} ({list}{kind})", self.name)
    }
}

fn is_float(number: Number) -> bool {
    matches!(number, Number::F16 | Number::F32 | Number::F64)
}

/// The numbers of a column of a row group, as f64.
struct Numbers {
    reader: Typed,
    /// The definition level of a value that is there.
    most: i16,
    /// That of a value of a list, there or not.
    list: i16,
    /// The next row, counted from the first of the file.
    row: usize,
    definitions: Vec<i16>,
    repetitions: Vec<i16>,
    numbers: Vec<f64>,
}

enum Typed {
    F32(ColumnReaderImpl<parquet::data_type::FloatType>),
    F64(ColumnReaderImpl<parquet::data_type::DoubleType>),
    I32(ColumnReaderImpl<parquet::data_type::Int32Type>),
    U32(ColumnReaderImpl<parquet::data_type::Int32Type>),
    I64(ColumnReaderImpl<parquet::data_type::Int64Type>),
    U64(ColumnReaderImpl<parquet::data_type::Int64Type>),
    F16(ColumnReaderImpl<parquet::data_type::FixedLenByteArrayType>),
}

impl Numbers {
    fn new(reader: ColumnReader, column: &Column, first_row: usize) -> Result<Self> {
        let reader = match (reader, column.number()) {
            (ColumnReader::FloatColumnReader(reader), _) => Typed::F32(reader),
            (ColumnReader::DoubleColumnReader(reader), _) => Typed::F64(reader),
            (ColumnReader::Int32ColumnReader(reader), Some(Number::U32)) => Typed::U32(reader),
            (ColumnReader::Int32ColumnReader(reader), Some(_)) => Typed::I32(reader),
            (ColumnReader::Int64ColumnReader(reader), Some(Number::U64)) => Typed::U64(reader),
            (ColumnReader::Int64ColumnReader(reader), Some(_)) => Typed::I64(reader),
            (ColumnReader::FixedLenByteArrayColumnReader(reader), Some(Number::F16)) => {
                Typed::F16(reader)
            }
            _ => bail!("{column} is no column of numbers"),
        };
        Ok(Self {
            reader,
            most: column.most,
            list: column.list,
            row: first_row,
            definitions: Vec::new(),
            repetitions: Vec::new(),
            numbers: Vec::new(),
        })
    }

    /// Reads so many rows and their levels.
    fn next(&mut self, rows: usize) -> Result<()> {
        fn read<T: DataType>(
            reader: &mut ColumnReaderImpl<T>,
            rows: usize,
            levels: [&mut Vec<i16>; 2],
            to_f64: impl Fn(&T::T) -> f64,
            numbers: &mut Vec<f64>,
        ) -> Result<()> {
            let [definitions, repetitions] = levels;
            let mut values = Vec::new();
            let mut left = rows;
            while left > 0 {
                let (definitions, repetitions) = (Some(&mut *definitions), Some(&mut *repetitions));
                let (read, ..) =
                    reader.read_records(left, definitions, repetitions, &mut values)?;
                ensure!(
                    read > 0,
                    "the column ends {left} rows before the row group does"
                );
                left -= read;
            }
            numbers.extend(values.iter().map(to_f64));
            Ok(())
        }
        self.definitions.clear();
        self.repetitions.clear();
        self.numbers.clear();
        let levels = [&mut self.definitions, &mut self.repetitions];
        let numbers = &mut self.numbers;
        match &mut self.reader {
            Typed::F32(reader) => read(reader, rows, levels, |x| f64::from(*x), numbers),
            Typed::F64(reader) => read(reader, rows, levels, |x| *x, numbers),
            Typed::I32(reader) => read(reader, rows, levels, |x| f64::from(*x), numbers),
            Typed::U32(reader) => read(reader, rows, levels, |x| f64::from(*x as u32), numbers),
            Typed::I64(reader) => read(reader, rows, levels, |x| *x as f64, numbers),
            Typed::U64(reader) => read(reader, rows, levels, |x| *x as u64 as f64, numbers),
            Typed::F16(reader) => {
                let to_f64 = |x: &parquet::data_type::FixedLenByteArray| match *x.data() {
                    [low, high] => f16::from_le_bytes([low, high]).to_f64(),
                    _ => f64::NAN,
                };
                read(reader, rows, levels, to_f64, numbers)
            }
        }
    }

    /// The numbers of the next rows, one each.
    fn read(&mut self, rows: usize) -> Result<&[f64]> {
        self.next(rows)?;
        if let Some(row) = self.definitions.iter().position(|&level| level < self.most) {
            bail!("row {} is missing (null)", self.row + row);
        }
        ensure!(
            self.numbers.len() == rows,
            "{} numbers in {rows} rows",
            self.numbers.len()
        );
        self.row += rows;
        Ok(&self.numbers)
    }

    /// The numbers of the next lists, and how many each has: `dims`, if it is known.
    fn read_lists(&mut self, rows: usize, dims: Option<usize>) -> Result<(usize, Vec<f64>)> {
        self.next(rows)?;
        // A list begins where the repetition level is 0.
        let starts = (0..self.repetitions.len()).filter(|&at| self.repetitions[at] == 0);
        let mut ends: Vec<usize> = starts.clone().skip(1).collect();
        ends.push(self.repetitions.len());
        let mut expected = dims;
        for (row, (start, end)) in starts.zip(ends).enumerate() {
            let row = self.row + row;
            let levels = &self.definitions[start..end];
            if let Some(column) = levels.iter().position(|&level| level < self.most) {
                match levels[column] {
                    level if level >= self.list => {}
                    level if level + 1 == self.list => bail!("row {row}: the list is empty"),
                    _ => bail!("row {row}: the list is missing (null)"),
                }
                bail!("row {row}, entry {column}: the number is missing (null)");
            }
            let length = *expected.get_or_insert(levels.len());
            ensure!(
                levels.len() == length,
                "row {row}: {} numbers, the rows before have {length}",
                levels.len()
            );
        }
        let length = expected.unwrap_or(0);
        ensure!(
            self.numbers.len() == rows * length,
            "{} numbers in {rows} rows of {length}",
            self.numbers.len()
        );
        self.row += rows;
        Ok((length, std::mem::take(&mut self.numbers)))
    }
}

/// The values of a column of a row group, one a row.
fn scalars<T: DataType>(
    mut reader: ColumnReaderImpl<T>,
    rows: usize,
    column: &Column,
    first_row: usize,
) -> Result<Vec<T::T>> {
    let (mut definitions, mut values) = (Vec::new(), Vec::new());
    let mut left = rows;
    while left > 0 {
        let (read, ..) = reader.read_records(left, Some(&mut definitions), None, &mut values)?;
        ensure!(
            read > 0,
            "the column ends {left} rows before the row group does"
        );
        left -= read;
    }
    if let Some(row) = definitions.iter().position(|&level| level < column.most) {
        bail!(
            "row {} is a missing label: give it one, or delete the row everywhere",
            first_row + row
        );
    }
    Ok(values)
}

/// A source as the parquet crate reads it: parts at any place.
struct Chunks {
    length: u64,
    reader: Arc<Mutex<Box<dyn ReadSeek>>>,
}

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for Chunks {
    type T = BufReader<From>;

    fn get_read(&self, start: u64) -> ParquetResult<Self::T> {
        Ok(BufReader::new(From {
            position: start,
            reader: Arc::clone(&self.reader),
        }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<bytes::Bytes> {
        let inside = start
            .checked_add(length as u64)
            .is_some_and(|end| end <= self.length);
        if !inside {
            return Err(ParquetError::EOF(format!(
                "the file says {length} bytes at byte {start}, but has {}",
                self.length
            )));
        }
        let mut bytes = vec![0; length];
        let mut from = self.get_read(start)?;
        from.read_exact(&mut bytes)?;
        Ok(bytes.into())
    }
}

/// What is read from a place on.
struct From {
    position: u64,
    reader: Arc<Mutex<Box<dyn ReadSeek>>>,
}

impl Read for From {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        reader.seek(SeekFrom::Start(self.position))?;
        let count = reader.read(to)?;
        self.position += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use parquet::basic::{Compression, ZstdLevel};
    use parquet::data_type::{
        BoolType, ByteArray, ByteArrayType, DoubleType, FloatType, Int32Type, Int64Type,
    };
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;
    use tempfile::TempDir;

    use super::super::{Entries, read, read_labels};
    use super::*;

    /// The values of a column in a row group.
    enum Values {
        F32(Vec<f32>),
        F64(Vec<f64>),
        I32(Vec<i32>),
        I64(Vec<i64>),
        Bool(Vec<bool>),
        Text(Vec<&'static str>),
    }

    /// With definition and repetition levels, if it has them.
    type Part = (Values, Option<Vec<i16>>, Option<Vec<i16>>);

    fn plain(values: Values) -> Part {
        (values, None, None)
    }

    /// Lists of three levels, as every writer makes them: 3 is a number.
    const LISTS: &str =
        "message m { optional group e (LIST) { repeated group list { optional float element; } } }";

    fn lists(rows: &[Vec<f32>]) -> Part {
        let values: Vec<f32> = rows.concat();
        let repetitions = rows
            .iter()
            .flat_map(|row| (0..row.len()).map(|j| i16::from(j > 0)));
        let repetitions = repetitions.collect();
        (
            Values::F32(values.clone()),
            Some(vec![3; values.len()]),
            Some(repetitions),
        )
    }

    struct Place {
        folder: TempDir,
    }

    impl Place {
        fn new() -> Self {
            Self {
                folder: TempDir::new().unwrap(),
            }
        }

        fn write(&self, schema: &str, codec: Compression, groups: &[Vec<Part>]) -> PathBuf {
            let path = self.folder.path().join("e.parquet");
            let schema = Arc::new(parse_message_type(schema).unwrap());
            let properties = WriterProperties::builder().set_compression(codec).build();
            let file = fs::File::create(&path).unwrap();
            let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties)).unwrap();
            for group in groups {
                let mut row_group = writer.next_row_group().unwrap();
                for (values, definitions, repetitions) in group {
                    let mut column = row_group.next_column().unwrap().unwrap();
                    let (d, r) = (definitions.as_deref(), repetitions.as_deref());
                    match values {
                        Values::F32(x) => column.typed::<FloatType>().write_batch(x, d, r),
                        Values::F64(x) => column.typed::<DoubleType>().write_batch(x, d, r),
                        Values::I32(x) => column.typed::<Int32Type>().write_batch(x, d, r),
                        Values::I64(x) => column.typed::<Int64Type>().write_batch(x, d, r),
                        Values::Bool(x) => column.typed::<BoolType>().write_batch(x, d, r),
                        Values::Text(x) => {
                            let x: Vec<ByteArray> = x.iter().map(|x| ByteArray::from(*x)).collect();
                            column.typed::<ByteArrayType>().write_batch(&x, d, r)
                        }
                    }
                    .unwrap();
                    column.close().unwrap();
                }
                row_group.close().unwrap();
            }
            writer.close().unwrap();
            path
        }

        fn error(&self, schema: &str, groups: &[Vec<Part>], name: Option<&str>) -> String {
            let path = self.write(schema, Compression::UNCOMPRESSED, groups);
            format!("{:#}", read(&path, name).unwrap_err())
        }
    }

    fn rows(count: usize, dims: usize) -> Vec<Vec<f32>> {
        let row = |i: usize| (0..dims).map(|j| ((i * dims + j) as f32).sin()).collect();
        (0..count).map(row).collect()
    }

    #[test]
    fn lists_in_row_groups_of_every_codec() {
        let place = Place::new();
        let all = rows(300, 5);
        for codec in [
            Compression::UNCOMPRESSED,
            Compression::SNAPPY,
            Compression::GZIP(Default::default()),
            Compression::ZSTD(ZstdLevel::default()),
            Compression::LZ4_RAW,
        ] {
            let groups = [vec![lists(&all[..170])], vec![lists(&all[170..])]];
            let path = place.write(LISTS, codec, &groups);
            let matrix = read(&path, None).unwrap();
            assert_eq!((matrix.rows, matrix.dims), (300, 5), "{codec}");
            assert_eq!(matrix.entries, Entries::F32(all.concat()));
        }
    }

    #[test]
    fn a_column_for_each_dimension() {
        let place = Place::new();
        let schema = "message m { required float a; required double b; required int64 label; \
                      optional float c; optional binary __index_level_0__ (UTF8); }";
        let group = |from: i64| {
            let values = |k: i64| (from..from + 3).map(move |i| (10 * i + k) as f64);
            vec![
                plain(Values::F32(values(1).map(|x| x as f32).collect())),
                plain(Values::F64(values(2).collect())),
                plain(Values::I64(vec![from; 3])),
                (
                    Values::F32(values(3).map(|x| x as f32).collect()),
                    Some(vec![1; 3]),
                    None,
                ),
                (Values::Text(vec!["x", "y", "z"]), Some(vec![1; 3]), None),
            ]
        };
        let path = place.write(schema, Compression::SNAPPY, &[group(0), group(3)]);
        let matrix = read(&path, None).unwrap();
        assert_eq!((matrix.rows, matrix.dims), (6, 3));
        let expected: Vec<f32> = (0..6)
            .flat_map(|i| (1..4).map(move |k| (10 * i + k) as f32))
            .collect();
        assert_eq!(matrix.entries, Entries::F32(expected));
        assert_eq!(read_labels(&path).unwrap(), [0, 0, 0, 3, 3, 3]);
        let error = format!("{:#}", read(&path, Some("label")).unwrap_err());
        assert!(
            error.contains("column label (INT64) is no list of numbers"),
            "{error}"
        );

        // Integers are dimensions where there are no floats; unsigned ones as they are meant.
        let schema = "message m { required int32 a (INTEGER(32, false)); required int64 b; }";
        let group = vec![
            plain(Values::I32(vec![-1, 7])),
            plain(Values::I64(vec![-1, 7])),
        ];
        let path = place.write(schema, Compression::UNCOMPRESSED, &[group]);
        let matrix = read(&path, None).unwrap();
        assert_eq!(
            matrix.entries,
            Entries::F64(vec![4_294_967_295.0, -1.0, 7.0, 7.0])
        );
    }

    #[test]
    fn labels_of_every_kind() {
        let place = Place::new();
        let labels = |schema: &str, group: Vec<Part>, name: Option<&str>| {
            let path = place.write(schema, Compression::SNAPPY, &[group]);
            let name = name.map_or(String::new(), |name| format!(":{name}"));
            let path = PathBuf::from(format!("{}{name}", path.display()));
            read_labels(&path).map_err(|error| format!("{error:#}"))
        };
        let text = "message m { optional binary class (STRING); }";
        let names = (
            Values::Text(vec!["dog", "cat", "dog"]),
            Some(vec![1; 3]),
            None,
        );
        assert_eq!(labels(text, vec![names], None).unwrap(), [1, 0, 1]);
        let flags = plain(Values::Bool(vec![true, false]));
        assert_eq!(
            labels("message m { required boolean y; }", vec![flags], None).unwrap(),
            [1, 0]
        );
        let most = i64::MAX - 1;
        let two = "message m { required int64 id; required int64 y; required double score; }";
        let group = || {
            vec![
                plain(Values::I64(vec![0, 1])),
                plain(Values::I64(vec![most, -3])),
                plain(Values::F64(vec![2.0, 0.5])),
            ]
        };
        assert_eq!(labels(two, group(), None).unwrap(), [most, -3]);
        assert_eq!(labels(two, group(), Some("id")).unwrap(), [0, 1]);
        let error = labels(two, group(), Some("score")).unwrap_err();
        assert!(
            error.contains("column 'score', row group 0: row 1: 0.5 is not a whole number"),
            "{error}"
        );
        let missing = (Values::Text(vec!["dog"]), Some(vec![1, 0]), None);
        let error = labels(text, vec![missing], None).unwrap_err();
        assert!(
            error.contains("'class', row group 0: row 1 is a missing label"),
            "{error}"
        );
    }

    #[test]
    fn errors_name_column_group_and_row() {
        let place = Place::new();
        let part = |values: &[f32], definitions: &[i16], repetitions: &[i16]| {
            let levels = |levels: &[i16]| Some(levels.to_vec());
            vec![(
                Values::F32(values.to_vec()),
                levels(definitions),
                levels(repetitions),
            )]
        };
        let good = || vec![lists(&rows(3, 2))];
        for (second, message) in [
            (
                part(&[1.0, 2.0, 3.0], &[3; 3], &[0, 1, 0]),
                "row 4: 1 numbers, the rows before have 2",
            ),
            (part(&[], &[0], &[0]), "row 3: the list is missing (null)"),
            (part(&[], &[1], &[0]), "row 3: the list is empty"),
            (
                part(&[1.0], &[3, 2], &[0, 1]),
                "row 3, entry 1: the number is missing (null)",
            ),
        ] {
            let error = place.error(LISTS, &[good(), second], None);
            assert!(
                error.contains(&format!("column 'e', row group 1: {message}")),
                "{error}"
            );
            assert!(
                error.contains("e.parquet") && error.lines().count() == 1,
                "{error}"
            );
        }
        let scalars = "message m { optional double a; optional double b; }";
        let column = |levels: &[i16]| {
            let values = levels
                .iter()
                .filter(|level| **level == 1)
                .map(|_| 1.5)
                .collect();
            (Values::F64(values), Some(levels.to_vec()), None)
        };
        let groups = [
            vec![column(&[1, 1]), column(&[1, 1])],
            vec![column(&[1, 1]), column(&[1, 0])],
        ];
        let error = place.error(scalars, &groups, None);
        assert!(
            error.contains("column 'b', row group 1: row 3 is missing (null)"),
            "{error}"
        );
        let error = place.error(scalars, &groups, Some("z"));
        assert!(error.ends_with("no column 'z'; there are: a, b"), "{error}");
        let text = "message m { required binary s (UTF8); }";
        let error = place.error(text, &[vec![plain(Values::Text(vec!["x"]))]], None);
        assert!(error.ends_with("there are: s (text)"), "{error}");
        let error = place.error(LISTS, &[], None);
        assert!(error.contains("found no rows"), "{error}");
    }

    /// Cut anywhere, a file is an error that names it.
    #[test]
    fn damaged_files() {
        let place = Place::new();
        let path = place.write(LISTS, Compression::SNAPPY, &[vec![lists(&rows(40, 3))]]);
        let whole = fs::read(&path).unwrap();
        for length in 1..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            let error = format!("{:#}", read(&path, None).unwrap_err());
            assert!(
                error.contains("e.parquet: not a .parquet file"),
                "{length}: {error}"
            );
        }
        // In the footer, which is read first: an error, or what does not matter.
        for at in whole.len().saturating_sub(400)..whole.len() {
            for bit in 0..8 {
                let mut bytes = whole.clone();
                bytes[at] ^= 1 << bit;
                fs::write(&path, &bytes).unwrap();
                if let Ok(matrix) = read(&path, None) {
                    assert_eq!(matrix.rows * matrix.dims, 120);
                }
            }
        }
    }
}
