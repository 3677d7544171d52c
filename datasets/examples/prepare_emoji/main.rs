//! Builds the emoji retrieval set from the icon sets that seven npm packages hold: the same emoji
//! as several vendors drew it. The part that ships with this crate is what the command writes with
//! no option but the two folders.
//!
//! ```text
//! npm install --prefix DIR --ignore-scripts --no-save @iconify-json/emojione@1.2.3 \
//!     @iconify-json/fluent-emoji-flat@1.2.6 @iconify-json/fxemoji@1.2.2 @iconify-json/noto@1.2.9 \
//!     @iconify-json/noto-v1@1.2.5 @iconify-json/twemoji@1.2.5 @iconify-json/openmoji@1.2.29
//! cargo run --release -p fullrank-datasets --example prepare_emoji -- \
//!     DIR/node_modules datasets/data/emoji-mini
//! cargo run --release -p fullrank-datasets --example prepare_emoji -- \
//!     DIR/node_modules emoji-64 --openmoji --min-drawings 5 --side 64
//! ```

mod matching;
mod package;
mod render;
mod sheet;

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Parser;

use matching::Class;
use package::{Package, VENDORS};
use sheet::NamedFile;

/// Build the emoji retrieval set from npm packages
#[derive(Parser)]
struct Arguments {
    /// The folder node_modules in which @iconify-json/noto and the other packages lie
    packages: PathBuf,
    /// The folder to write the sheets, the tables and SHA256SUMS to
    out: PathBuf,
    /// Height and width of a drawing in pixels
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(8..=128))]
    side: u32,
    /// Keep the classes that at least this many vendors drew [default: all vendors]
    #[arg(long)]
    min_drawings: Option<usize>,
    /// Add OpenMoji's drawings, whose licence (CC BY-SA 4.0) asks the same of what is made of them
    #[arg(long)]
    openmoji: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let packages = VENDORS
        .iter()
        .filter(|vendor| arguments.openmoji || !vendor.share_alike)
        .map(|vendor| Package::read(&arguments.packages, vendor))
        .collect::<Result<Vec<_>>>()?;
    let min_drawings = arguments.min_drawings.unwrap_or(packages.len());
    ensure!(
        (2..=packages.len()).contains(&min_drawings),
        "--min-drawings is {min_drawings}, not 2 to the number of vendors, {}",
        packages.len()
    );

    sheet::write(
        &arguments.out,
        &prepare(&packages, min_drawings, arguments.side)?,
    )
}

/// The files of the set: the classes that at least `min_drawings` of `packages` drew.
fn prepare(packages: &[Package], min_drawings: usize, side: u32) -> Result<Vec<NamedFile>> {
    let classes = matching::classes(packages, min_drawings);
    let rendered = render::all(packages, &classes, side)?;
    let (classes, rendered) = render::without_repeats(classes, rendered);
    ensure!(
        classes.len() >= 2,
        "{} classes, too few to split",
        classes.len()
    );
    for (index, package) in packages.iter().enumerate() {
        let drawn = classes
            .iter()
            .filter(|class| class.drawings[index].is_some());
        println!("{}: {} drawings", package.vendor.name, drawn.count());
    }

    let train = classes.len().div_ceil(2);
    let vendors: Vec<&str> = packages.iter().map(|package| package.vendor.name).collect();
    let mut files = Vec::new();
    for (part, classes, rendered) in [
        ("train", &classes[..train], &rendered[..train]),
        ("test", &classes[train..], &rendered[train..]),
    ] {
        let drawings: usize = classes.iter().map(Class::drawing_count).sum();
        println!("{part}: {} classes, {drawings} drawings", classes.len());
        files.extend(sheet::encode(part, &vendors, classes, rendered, side)?);
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use fullrank_datasets::emoji;

    use super::*;

    /// A package of square drawings, each a body in a box of 4 x 4.
    fn package(name: &str, icons: &str, aliases: &str, chars: &str) -> Package {
        let vendor = VENDORS.iter().find(|vendor| vendor.name == name).unwrap();
        let icons = format!(
            r#"{{"prefix": "{name}", "icons": {{{icons}}}, "aliases": {{{aliases}}},
                "width": 4, "height": 4, "lastModified": 0}}"#
        );
        let chars = format!("{{{chars}}}");
        Package::parse(
            vendor,
            (Path::new("icons.json"), icons.as_bytes()),
            (Path::new("chars.json"), chars.as_bytes()),
        )
        .unwrap()
    }

    /// A drawing whose left half has this colour.
    fn left(name: &str, colour: &str) -> String {
        format!(r##""{name}": {{"body": "<path fill=\"#{colour}\" d=\"M0 0h2v4H0z\"/>"}}"##)
    }

    /// Two vendors by code points, one by name, one by Unicode name. SNAIL, ANT and BUG are drawn
    /// by all.
    fn packages() -> Vec<Package> {
        let icons = |colours: [&str; 5]| {
            let names = ["snail", "ant", "bug", "cricket", "cricket-game"];
            let icons = names.iter().zip(colours);
            icons
                .map(|(name, colour)| left(name, colour))
                .collect::<Vec<_>>()
                .join(",")
        };
        let chars = r#""1f40c": "snail", "1f41c": "ant", "1f41b-fe0f": "bug", "1f997": "cricket",
            "1f3cf": "cricket-game""#;
        vec![
            package(
                "fxemoji",
                &icons(["010000", "020000", "030000", "040000", "050000"]),
                "",
                "",
            ),
            package(
                "noto",
                &icons(["100000", "200000", "300000", "400000", "500000"]),
                "",
                chars,
            ),
            package(
                "noto-v1",
                &[
                    left("snail", "aa0000"),
                    left("cricket-game", "bb0000"),
                    left("emmet", "cc0000"),
                ]
                .join(","),
                r#""cricket": {"parent": "cricket-game"}, "ant": {"parent": "emmet", "hFlip": true},
                    "bug": {"parent": "snail"}"#,
                "",
            ),
            package(
                "twemoji",
                &icons(["001000", "002000", "003000", "004000", "005000"]),
                "",
                chars,
            ),
        ]
    }

    fn matched(packages: &[Package], min_drawings: usize) -> Vec<(String, Vec<Option<String>>)> {
        let classes = matching::classes(packages, min_drawings).into_iter();
        classes
            .map(|class| {
                let drawings = class.drawings.into_iter();
                (
                    class.name,
                    drawings.map(|d| d.map(|(icon, _)| icon)).collect(),
                )
            })
            .collect()
    }

    #[test]
    fn drawings_are_matched_by_exact_names_only() {
        let own = |name: &str| Some(name.to_owned());
        let row = |name: &str, fxemoji: bool, noto_v1: Option<&str>| {
            let drawings = vec![
                fxemoji.then(|| name.to_owned()),
                own(name),
                noto_v1.map(String::from),
                own(name),
            ];
            (name.to_owned(), drawings)
        };
        // Noto-v1 has one drawing under cricket and cricket-game and one under snail and bug:
        // nobody's. The Unicode name of U+1F3CF is not CRICKET GAME, and U+1F997 is CRICKET.
        assert_eq!(
            matched(&packages(), 2),
            [
                row("cricket-game", false, None),
                row("snail", true, None),
                row("bug", true, None),
                row("ant", true, Some("emmet")),
                row("cricket", true, None),
            ]
        );
        assert_eq!(matched(&packages(), 4), [row("ant", true, Some("emmet"))]);
    }

    #[test]
    fn flags_keycaps_skin_tones_and_broken_drawings_are_no_classes() {
        let two = |drawings: &str| {
            ["noto", "twemoji"].map(|name| {
                let chars = r#""1f1e9-1f1ea": "a", "23-fe0f-20e3": "a", "1f44b-1f3fb": "a",
                    "1f40c": "a""#;
                package(name, drawings, "", chars)
            })
        };
        assert_eq!(matched(&two(&left("a", "000000")), 2).len(), 1);
        let styled = r#""a": {"body": "<path class='st0' d='M0 0h2v4H0z'/>"}"#;
        assert_eq!(matched(&two(styled), 1), []);
        let hidden = r#""a": {"body": "<path d='M0 0h2v4H0z'/>", "hidden": true}"#;
        assert_eq!(matched(&two(hidden), 1), []);
    }

    #[test]
    fn files_are_the_same_each_time_and_the_loader_reads_them() {
        let files = prepare(&packages(), 2, 8).unwrap();
        assert_eq!(prepare(&packages(), 2, 8).unwrap(), files);
        let dir = tempfile::tempdir().unwrap();
        sheet::write(dir.path(), &files).unwrap();
        let set = emoji::load(dir.path()).unwrap();
        assert_eq!(set.vendors, ["fxemoji", "noto", "noto-v1", "twemoji"]);
        let (train, test) = (&set.images.train, &set.images.test);
        assert_eq!(train.shape(), [3, 8, 8]);
        assert_eq!(train.classes(), ["cricket-game", "snail", "bug"]);
        assert_eq!(test.classes(), ["ant", "cricket"]);
        assert_eq!(set.train_vendors, [1, 3, 0, 1, 3, 0, 1, 3]);
        assert_eq!(set.test_vendors, [0, 1, 2, 3, 0, 1, 3]);

        // Noto's snail: the left half has its colour, the right half is white.
        let halves = |left: u8, right: u8| [[left; 4], [right; 4]].concat().repeat(8);
        let snail = [halves(0x10, 255), halves(0, 255), halves(0, 255)].concat();
        assert_eq!(train.image(3), snail);
        // Noto-v1's ant is mirrored.
        let ant = [halves(255, 0xcc), halves(255, 0), halves(255, 0)].concat();
        assert_eq!(test.image(2), ant);
    }

    #[test]
    fn of_two_emoji_drawn_alike_the_first_stays() {
        let pair = |name: &str, ant: &str| {
            let icons = [
                left("snail", "100000"),
                left("bug", "200000"),
                left("ant", ant),
            ];
            let chars = r#""1f40c": "snail", "1f41b": "bug", "1f41c": "ant""#;
            package(name, &icons.join(","), "", chars)
        };
        let packages = [pair("noto", "200000"), pair("twemoji", "300000")];
        let files = prepare(&packages, 2, 8);
        let names: Vec<String> = files
            .unwrap()
            .into_iter()
            .filter(|(name, _)| name.ends_with(".csv"))
            .map(|(_, bytes)| String::from_utf8(bytes).unwrap())
            .collect();
        assert_eq!(
            names,
            [
                "code_points,name,noto,twemoji\n1f40c,snail,1,1\n",
                "code_points,name,noto,twemoji\n1f41b,bug,1,1\n"
            ]
        );
    }

    #[test]
    fn other_versions_of_a_package_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let message = || {
            Package::read(dir.path(), &VENDORS[3])
                .err()
                .unwrap()
                .to_string()
        };
        let folder = dir.path().join("@iconify-json/noto");
        assert_eq!(message(), folder.join("package.json").display().to_string());
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("package.json"), r#"{"version": "1.2.8"}"#).unwrap();
        assert!(
            message().ends_with("version 1.2.8, expected 1.2.9"),
            "{}",
            message()
        );
        std::fs::write(folder.join("package.json"), r#"{"version": "1.2.9"}"#).unwrap();
        for name in ["icons.json", "chars.json"] {
            std::fs::write(folder.join(name), "{}").unwrap();
        }
        assert!(
            message().contains("icons.json: SHA-256 44136fa3"),
            "{}",
            message()
        );
    }
}
