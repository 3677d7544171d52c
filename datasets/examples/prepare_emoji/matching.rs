//! Which drawings of different vendors show the same emoji.

use std::collections::{BTreeMap, BTreeSet};

use unic_ucd_name::Name;

use crate::package::{Drawing, Key, Package};

/// Drawings that show something else than their name says, as a look at the sheets found them.
const OTHER_THINGS: [(&str, &str); 1] = [
    // A piano's keyboard, not a computer's.
    ("fxemoji", "keyboard"),
];

/// One emoji, drawn by several vendors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Class {
    /// Its code points, without U+FE0F.
    pub(crate) code_points: Vec<u32>,
    /// Its name, unique among the classes.
    pub(crate) name: String,
    /// The drawing of each package, where it has one.
    pub(crate) drawings: Vec<Option<Drawing>>,
}

impl Class {
    pub(crate) fn drawing_count(&self) -> usize {
        self.drawings.iter().flatten().count()
    }
}

/// The emoji that at least `min_drawings` packages drew, in the order of their code points.
///
/// Flags, keycaps and skin tones are no classes: the first two are hardly drawings, the last are
/// near copies of one another. A package without code points takes part by name, and only by an
/// exact one: the name that a package with code points gives to this emoji and no other, or for
/// Firefox OS the Unicode name. Names change over the years, so names that lead to two drawings are
/// no match, and neither is a drawing that two emoji lead to.
pub(crate) fn classes(packages: &[Package], min_drawings: usize) -> Vec<Class> {
    let mut names: BTreeMap<&[u32], BTreeSet<&str>> = BTreeMap::new();
    let mut owners: BTreeMap<&str, BTreeSet<&[u32]>> = BTreeMap::new();
    for package in packages {
        for (code_points, name) in &package.names {
            names.entry(code_points).or_default().insert(name);
            owners.entry(name).or_default().insert(code_points);
        }
    }
    let mut classes: Vec<Class> = names
        .iter()
        .filter(|(code_points, _)| is_pictorial(code_points))
        .map(|(&code_points, names)| {
            let own: Vec<&str> = names
                .iter()
                .copied()
                .filter(|name| owners[name].len() == 1)
                .collect();
            let drawings = packages
                .iter()
                .map(|package| drawing(package, code_points, &own))
                .collect();
            Class {
                code_points: code_points.to_vec(),
                name: class_name(packages, code_points),
                drawings,
            }
        })
        .collect();
    for (index, package) in packages.iter().enumerate() {
        if package.vendor.key != Key::CodePoints {
            without_contested(&mut classes, index);
        }
    }
    classes.retain(|class| class.drawing_count() >= min_drawings);
    classes
}

fn drawing(package: &Package, code_points: &[u32], names: &[&str]) -> Option<Drawing> {
    let candidates: BTreeSet<Drawing> = match package.vendor.key {
        Key::CodePoints => return package.drawing(package.names.get(code_points)?),
        Key::Name => names
            .iter()
            .filter_map(|name| package.drawing(name))
            .collect(),
        Key::UnicodeName => unicode_name(code_points)
            .and_then(|name| package.drawing(&name))
            .into_iter()
            .collect(),
    };
    let only = (candidates.len() == 1).then(|| candidates.into_iter().next())?;
    only.filter(|(icon, _)| !OTHER_THINGS.contains(&(package.vendor.name, icon)))
}

/// Takes the drawings of package `index` that more than one class leads to from all of them.
fn without_contested(classes: &mut [Class], index: usize) {
    let mut claims: BTreeMap<Drawing, usize> = BTreeMap::new();
    for drawing in classes
        .iter()
        .filter_map(|class| class.drawings[index].clone())
    {
        *claims.entry(drawing).or_default() += 1;
    }
    for class in classes {
        class.drawings[index].take_if(|drawing| claims[drawing] > 1);
    }
}

/// The name by Noto, else by the first package that has the emoji.
fn class_name(packages: &[Package], code_points: &[u32]) -> String {
    let by_noto = packages
        .iter()
        .filter(|package| package.vendor.name == "noto");
    by_noto
        .chain(packages)
        .find_map(|package| package.names.get(code_points))
        .cloned()
        .unwrap_or_default()
}

/// The name of a single character in the Unicode standard: small letters and digits only.
fn unicode_name(code_points: &[u32]) -> Option<String> {
    let &[code_point] = code_points else {
        return None;
    };
    let name = Name::of(char::from_u32(code_point)?)?.to_string();
    let squashed = name.chars().filter(char::is_ascii_alphanumeric);
    Some(squashed.map(|c| c.to_ascii_lowercase()).collect())
}

/// Whether an emoji is neither a flag nor a keycap nor of a chosen skin tone.
fn is_pictorial(code_points: &[u32]) -> bool {
    let flag = |c: u32| (0x1f1e6..=0x1f1ff).contains(&c) || (0xe0020..=0xe007f).contains(&c);
    let skin_tone = |c: u32| (0x1f3fb..=0x1f3ff).contains(&c);
    let keycap = |c: u32| c == 0x20e3 || c < 0x80;
    !code_points
        .iter()
        .any(|&c| flag(c) || skin_tone(c) || keycap(c))
}
