//! Builds the emoji retrieval set from the icon sets that seven npm packages hold: the same emoji
//! as several vendors drew it. The part that ships with this crate is what the command writes with
//! no option but the two folders.
//!
//! ```text
//! npm install --prefix DIR --ignore-scripts --no-save @iconify-json/emojione@1.2.3 \
//!     @iconify-json/fluent-emoji-flat@1.2.6 @iconify-json/fxemoji@1.2.2 @iconify-json/noto@1.2.9 \
//!     @iconify-json/noto-v1@1.2.5 @iconify-json/twemoji@1.2.5 @iconify-json/openmoji@1.2.29
//! cargo run --release -p datasets --example prepare_emoji -- \
//!     DIR/node_modules datasets/data/emoji-mini
//! cargo run --release -p datasets --example prepare_emoji -- \
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

    let classes = matching::classes(&packages, min_drawings);
    for (index, package) in packages.iter().enumerate() {
        let drawn = classes
            .iter()
            .filter(|class| class.drawings[index].is_some());
        println!("{}: {} drawings", package.vendor.name, drawn.count());
    }
    let rendered = render::all(&packages, &classes, arguments.side)?;
    let (classes, rendered) = render::without_repeats(classes, rendered);
    ensure!(
        classes.len() >= 2,
        "{} classes, too few to split",
        classes.len()
    );

    let train = classes.len().div_ceil(2);
    let vendors: Vec<&str> = packages.iter().map(|package| package.vendor.name).collect();
    let files = [
        ("train", &classes[..train], &rendered[..train]),
        ("test", &classes[train..], &rendered[train..]),
    ]
    .into_iter()
    .map(|(part, classes, rendered)| {
        let drawings: usize = classes.iter().map(Class::drawing_count).sum();
        println!("{part}: {} classes, {drawings} drawings", classes.len());
        sheet::encode(part, &vendors, classes, rendered, arguments.side)
    })
    .collect::<Result<Vec<_>>>()?
    .concat();
    sheet::write(&arguments.out, &files)
}
