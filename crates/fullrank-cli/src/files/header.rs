//! The header text of .npy files: a Python dictionary, as its many writers put it.

use anyhow::{Context, Result, bail, ensure};

/// What a header says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Claims {
    /// The type: a string of numpy's array protocol with its byte order, or the text of another
    /// literal, that of a structured type.
    pub(super) descr: Descr,
    /// Whether the first index runs fastest.
    pub(super) fortran: bool,
    pub(super) shape: Vec<u64>,
}

/// The type of the entries.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Descr {
    /// Such as `<f4`.
    Plain(String),
    /// A list of fields, as written.
    Structured(String),
}

impl Claims {
    /// Reads what numpy's own reader does: the keys in any order, either quotes, spaces anywhere,
    /// the long integers of Python 2, types without a byte order; and the shapes of numpy integers
    /// that some writers left there.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let mut rest = Text(text.trim_matches(['\0', ' ', '\n', '\r', '\t']));
        let (mut descr, mut fortran, mut shape) = (None, None, None);
        rest.expect("{")?;
        while !rest.take("}") {
            let key = rest.string()?;
            rest.expect(":")?;
            match key {
                "descr" => descr = Some(rest.descr()?),
                "fortran_order" => fortran = Some(rest.boolean()?),
                "shape" => shape = Some(rest.shape()?),
                other => bail!("the header has an unknown key '{other}'"),
            }
            if !rest.take(",") {
                rest.expect("}")?;
                break;
            }
        }
        ensure!(rest.0.trim().is_empty(), "text after the header's end");
        Ok(Self {
            descr: descr.context("the header has no 'descr'")?,
            fortran: fortran.context("the header has no 'fortran_order'")?,
            shape: shape.context("the header has no 'shape'")?,
        })
    }

    /// The header in the words of numpy's own writer.
    pub(super) fn canonical(&self) -> String {
        let descr = match &self.descr {
            Descr::Plain(descr) => format!("'{descr}'"),
            Descr::Structured(fields) => fields.clone(),
        };
        let fortran = if self.fortran { "True" } else { "False" };
        let sizes: String = self.shape.iter().map(|size| format!("{size}, ")).collect();
        format!("{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': ({sizes}), }}")
            .replace(", )", ",)")
    }
}

/// What is left of a header.
struct Text<'a>(&'a str);

impl<'a> Text<'a> {
    /// Takes `token` from the start if it is there.
    fn take(&mut self, token: &str) -> bool {
        match self.0.trim_start().strip_prefix(token) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, token: &str) -> Result<()> {
        let found: String = self.0.trim_start().chars().take(12).collect();
        ensure!(
            self.take(token),
            "the header has '{found}' where '{token}' belongs"
        );
        Ok(())
    }

    /// A string in either quotes, without escapes.
    fn string(&mut self) -> Result<&'a str> {
        // Python 2's unicode strings and Python 3's bytes.
        if !self.0.trim_start().starts_with(['\'', '"']) {
            let _ = self.take("u") || self.take("b");
        }
        let text = self.0.trim_start();
        let quote = text
            .chars()
            .next()
            .filter(|c| ['\'', '"'].contains(c))
            .context("the header has no quote where a string belongs")?;
        let (string, rest) = text[1..]
            .split_once(quote)
            .context("a string in the header does not end")?;
        self.0 = rest;
        Ok(string)
    }

    fn boolean(&mut self) -> Result<bool> {
        if self.take("True") {
            Ok(true)
        } else {
            self.expect("False").map(|()| false)
        }
    }

    fn descr(&mut self) -> Result<Descr> {
        let text = self.0.trim_start();
        if !text.starts_with(['[', '(', '{']) {
            return Ok(Descr::Plain(with_byte_order(self.string()?)));
        }
        let (mut depth, mut quote) = (0, None);
        for (place, c) in text.char_indices() {
            match (quote, c) {
                (Some(open), c) if c == open => quote = None,
                (Some(_), _) => {}
                (None, '\'' | '"') => quote = Some(c),
                (None, '[' | '(' | '{') => depth += 1,
                (None, ']' | ')' | '}') => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                let (fields, rest) = text.split_at(place + c.len_utf8());
                self.0 = rest;
                return Ok(Descr::Structured(fields.to_owned()));
            }
        }
        bail!("the type in the header does not end")
    }

    fn shape(&mut self) -> Result<Vec<u64>> {
        let close = if self.take("[") {
            "]"
        } else {
            self.expect("(")?;
            ")"
        };
        let mut sizes = Vec::new();
        while !self.take(close) {
            sizes.push(self.size()?);
            if !self.take(",") {
                self.expect(close)?;
                break;
            }
        }
        Ok(sizes)
    }

    /// A size: `50`, `50L` of Python 2, or `np.int64(50)`.
    fn size(&mut self) -> Result<u64> {
        let text = self.0.trim_start();
        let named = ["numpy.", "np."]
            .iter()
            .find_map(|module| text.strip_prefix(module));
        if let Some(text) = named {
            let (name, rest) = text.split_once('(').context("no size in the shape")?;
            ensure!(
                name.trim_start_matches('u').starts_with("int"),
                "'{name}' is no size in the shape"
            );
            self.0 = rest;
        }
        let text = self.0.trim_start();
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, rest) = text.split_at(digits);
        let found: String = text.chars().take(12).collect();
        ensure!(
            !number.is_empty(),
            "the header has '{found}' where a size belongs"
        );
        self.0 = rest.strip_prefix(['L', 'l']).unwrap_or(rest);
        if named.is_some() {
            self.expect(")")?;
        }
        number
            .parse()
            .with_context(|| format!("the header says {number} entries, more than a file can hold"))
    }
}

/// A type with its byte order, that of this machine where there is none, in the short form.
fn with_byte_order(descr: &str) -> String {
    const NAMES: [(&str, &str); 16] = [
        ("float16", "f2"),
        ("float32", "f4"),
        ("float64", "f8"),
        ("half", "f2"),
        ("single", "f4"),
        ("double", "f8"),
        ("float", "f8"),
        ("int8", "i1"),
        ("int16", "i2"),
        ("int32", "i4"),
        ("int64", "i8"),
        ("uint8", "u1"),
        ("uint16", "u2"),
        ("uint32", "u4"),
        ("uint64", "u8"),
        ("bool", "b1"),
    ];
    let (order, name) = match descr.split_at_checked(1) {
        Some((order @ ("<" | ">" | "=" | "|"), name)) => (order, name),
        _ => ("=", descr),
    };
    let short = NAMES.iter().find(|(long, _)| *long == name);
    let short = match name {
        "?" => "b1",
        name => short.map_or(name, |(_, short)| short),
    };
    let native = if cfg!(target_endian = "big") {
        ">"
    } else {
        "<"
    };
    let (kind, width) = short.split_at_checked(1).unwrap_or((short, ""));
    let order = match (kind, order) {
        // Bytes have no order.
        ("S" | "a" | "V" | "O", _) => "|",
        _ if width == "1" && kind != "U" => "|",
        (_, "<" | ">") => order,
        _ => native,
    };
    format!("{order}{short}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Claims {
        Claims::parse(text).unwrap()
    }

    #[test]
    fn one_header_in_many_hands() {
        let expected = Claims {
            descr: Descr::Plain("<f4".to_owned()),
            fortran: false,
            shape: vec![50, 6],
        };
        for text in [
            "{'descr': '<f4', 'fortran_order': False, 'shape': (50, 6), }          \n",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (50L, 6L), }",
            "{'descr':'<f4','fortran_order':False,'shape':(50,6,)}",
            "{\"descr\": \"<f4\", \"fortran_order\": False, \"shape\": (50, 6)}",
            "{\"descr\": \"<f4\", \"fortran_order\": False, \"shape\": [50, 6]}\n\n",
            "{'shape': (np.int64(50), numpy.uint32(6)), 'fortran_order': False, 'descr': '<f4'}",
            "{u'descr': u'<f4', 'fortran_order': False, 'shape': ( 50 , 6 )\t}",
        ] {
            assert_eq!(parsed(text), expected, "{text}");
            assert_eq!(parsed(&parsed(text).canonical()), expected, "{text}");
        }
    }

    #[test]
    fn types_without_an_order_have_the_machines() {
        let native = if cfg!(target_endian = "big") {
            '>'
        } else {
            '<'
        };
        for (descr, expected) in [
            ("f4", format!("{native}f4")),
            ("=f8", format!("{native}f8")),
            ("|f4", format!("{native}f4")),
            ("float32", format!("{native}f4")),
            (">f4", ">f4".to_owned()),
            ("<i1", "|i1".to_owned()),
            ("?", "|b1".to_owned()),
            ("O", "|O".to_owned()),
            ("U1", format!("{native}U1")),
            ("|S1", "|S1".to_owned()),
            ("", "<".replace('<', &native.to_string())),
        ] {
            assert_eq!(with_byte_order(descr), expected, "{descr}");
        }
    }

    #[test]
    fn structured_types_are_kept_as_written() {
        let text = "{'descr': [('id', '<i8'), ('e]', '<f4', (6,))], 'fortran_order': False, 'shape': (50,), }";
        let fields = "[('id', '<i8'), ('e]', '<f4', (6,))]";
        assert_eq!(parsed(text).descr, Descr::Structured(fields.to_owned()));
        assert_eq!(parsed(text).shape, [50]);
    }

    #[test]
    fn what_is_no_header_is_refused() {
        for (text, message) in [
            ("", "where '{' belongs"),
            ("{'descr': '<f4'", "where '}' belongs"),
            ("{'descr': '<f4', 'shape': (3,)}", "no 'fortran_order'"),
            ("{'descr': '<f4', 'colour': 3}", "unknown key 'colour'"),
            (
                "{'descr': '<f4', 'fortran_order': False, 'shape': (x,)}",
                "where a size belongs",
            ),
            (
                "{'descr': '<f4', 'fortran_order': False, 'shape': (-3,)}",
                "'-3,)}' where a size",
            ),
            (
                "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
                "more than a file can hold",
            ),
            ("{'descr': [('a', '<f4'", "does not end"),
            ("{'descr: '<f4'}", "where ':' belongs"),
            (
                "{'descr': '<f4', 'fortran_order': False, 'shape': (3,)} x",
                "after the header's end",
            ),
        ] {
            let error = Claims::parse(text).unwrap_err().to_string();
            assert!(error.contains(message), "{text}: {error}");
        }
    }
}
