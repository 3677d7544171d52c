//! The packages and the drawings in them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

/// How the drawings of a package are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// By code points, in `chars.json`.
    CodePoints,
    /// By the name that a package with code points gives them.
    Name,
    /// By the character's name in the Unicode standard, without spaces and hyphens.
    UnicodeName,
}

/// A vendor's drawings and the package that holds them.
#[derive(Debug)]
pub(crate) struct Vendor {
    /// The vendor's column in the tables, and its package below `@iconify-json`.
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    pub(crate) key: Key,
    pub(crate) share_alike: bool,
    /// SHA-256 of `icons.json` and of `chars.json`.
    pub(crate) sha256: [&'static str; 2],
}

const NO_CHARS: &str = "ca3d163bab055381827226140568f3bef7eaac187cebd76878e0b63e9e442356";

/// Every vendor, in the order of the columns.
pub(crate) const VENDORS: [Vendor; 7] = [
    Vendor {
        name: "emojione",
        version: "1.2.3",
        key: Key::Name,
        share_alike: false,
        sha256: [
            "e9a865faed523a7c3535b5319ae533d09fac1a62b4e96920eb178bb60e707e80",
            NO_CHARS,
        ],
    },
    Vendor {
        name: "fluent-emoji-flat",
        version: "1.2.6",
        key: Key::CodePoints,
        share_alike: false,
        sha256: [
            "f5f4cf457c0db2ad5a2e42e033e02e0c87d10e43d0164cfffb3bb84914970a63",
            "7f084c5a95807edb4702a7c9f6f18e74d59026d1c34ceb8cae85df0b9a9f0a10",
        ],
    },
    Vendor {
        name: "fxemoji",
        version: "1.2.2",
        key: Key::UnicodeName,
        share_alike: false,
        sha256: [
            "d8ef67b94a32d0abcd314d1c35db56178eaa8fa8ad71130e312f3460e307c2bf",
            NO_CHARS,
        ],
    },
    Vendor {
        name: "noto",
        version: "1.2.9",
        key: Key::CodePoints,
        share_alike: false,
        sha256: [
            "9eac6ef4e7ec122b6f0e7ac281d61008afdbc720d0ce861e398b939daaa347c6",
            "91485653ca890bff640f2a6c2d7be62d625a90527b6b4d816b41593675bf5c8f",
        ],
    },
    Vendor {
        name: "noto-v1",
        version: "1.2.5",
        key: Key::Name,
        share_alike: false,
        sha256: [
            "ce70d8aa90345cf389875c3571ecd245bd943401822a0c5a0f62336bf8487333",
            NO_CHARS,
        ],
    },
    Vendor {
        name: "openmoji",
        version: "1.2.29",
        key: Key::CodePoints,
        share_alike: true,
        sha256: [
            "7075331faab544067dbff4236471dd378bb5410aa05799a8a343c9ebf5c5984c",
            "8583c4c65723c22c043a50a27038c43d3d12de336ad409872b23356f4c3e3825",
        ],
    },
    Vendor {
        name: "twemoji",
        version: "1.2.5",
        key: Key::CodePoints,
        share_alike: false,
        sha256: [
            "5d5d820790565b764f2728675d487c9ee4c1fc83916d8567d5aca8ba7527c242",
            "8e6a83d5a3ac185b2446154b9c4ee07c983bd4a5b2a21aa4b9ff04af9831eefe",
        ],
    },
];

/// One vendor's drawings.
pub(crate) struct Package {
    pub(crate) vendor: &'static Vendor,
    icons: BTreeMap<String, Icon>,
    aliases: BTreeMap<String, Alias>,
    /// The name of the drawing of each emoji, by its code points without U+FE0F; empty for a
    /// package that is not keyed by them.
    pub(crate) names: BTreeMap<Vec<u32>, String>,
    /// The width and the height of a drawing that states none.
    size: [f64; 2],
}

/// A drawing as the package describes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Icon {
    body: String,
    width: Option<f64>,
    height: Option<f64>,
    #[serde(default)]
    hidden: bool,
}

impl Icon {
    /// Whether the classes that the drawing names, if any, come with the style that defines them;
    /// without it every shape of them is black.
    fn has_styles(&self) -> bool {
        !self.body.contains(" class=") || self.body.contains("<style")
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Alias {
    parent: String,
    #[serde(default, rename = "hFlip")]
    h_flip: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct IconSet {
    prefix: String,
    icons: BTreeMap<String, Icon>,
    #[serde(default)]
    aliases: BTreeMap<String, Alias>,
    width: f64,
    height: f64,
    #[serde(rename = "lastModified")]
    _last_modified: u64,
}

#[derive(Deserialize)]
struct Manifest {
    version: String,
}

/// Which drawing a name leads to: the icon at the end of its aliases, and whether it is mirrored.
pub(crate) type Drawing = (String, bool);

impl Package {
    /// Reads a vendor's package below `node_modules`.
    ///
    /// # Errors
    ///
    /// If a file is missing, is not what the format says, or is not the file of that version.
    pub(crate) fn read(node_modules: &Path, vendor: &'static Vendor) -> Result<Self> {
        let folder = node_modules.join("@iconify-json").join(vendor.name);
        let manifest_path = folder.join("package.json");
        let manifest: Manifest = parse(&manifest_path, &read(&manifest_path)?)?;
        ensure!(
            manifest.version == vendor.version,
            "{}: version {}, expected {}",
            manifest_path.display(),
            manifest.version,
            vendor.version
        );
        let [icons, chars] = ["icons.json", "chars.json"].map(|name| folder.join(name));
        let [icon_bytes, char_bytes] = [read(&icons)?, read(&chars)?];
        for (path, bytes, expected) in [
            (&icons, &icon_bytes, vendor.sha256[0]),
            (&chars, &char_bytes, vendor.sha256[1]),
        ] {
            let found = sha256(bytes);
            if found != expected {
                bail!("{}: SHA-256 {found}, expected {expected}", path.display());
            }
        }
        Self::parse(vendor, (&icons, &icon_bytes), (&chars, &char_bytes))
    }

    /// A package from the content of its two files, each with the path that names it in errors.
    pub(crate) fn parse(
        vendor: &'static Vendor,
        icons: (&Path, &[u8]),
        chars: (&Path, &[u8]),
    ) -> Result<Self> {
        let set: IconSet = parse(icons.0, icons.1)?;
        ensure!(
            set.prefix == vendor.name,
            "{}: prefix {:?}, expected {:?}",
            icons.0.display(),
            set.prefix,
            vendor.name
        );
        let listed: BTreeMap<String, String> = parse(chars.0, chars.1)?;
        let mut names = BTreeMap::new();
        for (key, name) in listed {
            let code_points = key
                .split('-')
                .map(|hex| u32::from_str_radix(hex, 16))
                .collect::<Result<Vec<u32>, _>>()
                .with_context(|| format!("{}: key {key:?}", chars.0.display()))?;
            let code_points: Vec<u32> = code_points.into_iter().filter(|&c| c != 0xfe0f).collect();
            if let Some(other) = names.insert(code_points, name.clone()) {
                ensure!(
                    other == name,
                    "{}: {key} is both {other:?} and {name:?}",
                    chars.0.display()
                );
            }
        }
        let package = Self {
            vendor,
            icons: set.icons,
            aliases: set.aliases,
            names,
            size: [set.width, set.height],
        };
        for name in package.names.values() {
            ensure!(
                package.resolve(name).is_some(),
                "{}: {name:?} is no icon of {}",
                chars.0.display(),
                icons.0.display()
            );
        }
        Ok(package)
    }

    /// The drawing of this name, through aliases; none if the package has it not, or has withdrawn
    /// it, or if its colours are lost.
    pub(crate) fn drawing(&self, name: &str) -> Option<Drawing> {
        self.resolve(name)
            .filter(|(icon, _)| !self.icons[icon].hidden && self.icons[icon].has_styles())
    }

    /// The drawing of this name, through aliases, whatever its state.
    fn resolve(&self, name: &str) -> Option<Drawing> {
        let (mut name, mut mirrored) = (name, false);
        // An alias may name an alias; a circle ends when all have been followed.
        for _ in 0..=self.aliases.len() {
            match self.aliases.get(name) {
                Some(alias) => {
                    mirrored ^= alias.h_flip;
                    name = &alias.parent;
                }
                None => {
                    return self
                        .icons
                        .contains_key(name)
                        .then(|| (name.to_owned(), mirrored));
                }
            }
        }
        None
    }

    /// The drawing as an SVG document of `side` x `side` pixels.
    ///
    /// # Panics
    ///
    /// If the package has no such drawing.
    pub(crate) fn svg(&self, drawing: &Drawing, side: u32) -> String {
        let icon = &self.icons[&drawing.0];
        let width = icon.width.unwrap_or(self.size[0]);
        let height = icon.height.unwrap_or(self.size[1]);
        let body = if drawing.1 {
            format!(
                "<g transform=\"translate({width} 0) scale(-1 1)\">{}</g>",
                icon.body
            )
        } else {
            icon.body.clone()
        };
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\" \
             width=\"{side}\" height=\"{side}\" viewBox=\"0 0 {width} {height}\">{body}</svg>"
        )
    }
}

/// The SHA-256 of `bytes` in lower-case hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn read(path: &PathBuf) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| path.display().to_string())
}

fn parse<T: DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).with_context(|| path.display().to_string())
}
