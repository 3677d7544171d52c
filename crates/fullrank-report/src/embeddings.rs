//! The section on embeddings: figures in words and numbers, then one picture of each kind for every
//! embedding, side by side on the same scale.

use std::fmt::Write;

use fullrank::Bounds;
use fullrank::diagnostics::{
    Accumulator, DEAD_BELOW, Diagnostics, Finding, Health, random_spectrum, readable,
};

use crate::html::{details, escaped, figure, grid, paragraph, table_of};
use crate::plots::{
    self, BoundedSpectrum, Correlations, Palette, Scatter, Series, Spectrum, Term, Utilization,
};
use crate::table::{Table, of_columns};
use crate::{Embedding, Error};

/// Pairs of dimensions that are listed.
const PAIRS: usize = 10;

pub(crate) fn html(embeddings: &[Embedding<'_>]) -> Result<String, Error> {
    for embedding in embeddings {
        embedding.check()?;
    }
    let diagnosed: Vec<Diagnosed<'_, '_>> = embeddings
        .iter()
        .map(|embedding| {
            Ok(Diagnosed {
                embedding,
                diagnostics: diagnose(embedding)?,
            })
        })
        .collect::<Result<_, Error>>()?;
    let palette = Palette::new(embeddings.iter().map(|embedding| embedding.name.as_str()));
    let parts = [
        verdicts(&diagnosed),
        bounds(&diagnosed, &palette),
        unit_spectra(&diagnosed, &palette),
        projections(embeddings),
        deviations(&diagnosed, &palette),
        correlations(embeddings),
        raw_spectra(&diagnosed, &palette),
        figures(&diagnosed),
    ];
    Ok(parts.concat())
}

/// Of each embedding the figures that are shares, over its place in the list.
pub(crate) fn figures_over(embeddings: &[Embedding<'_>]) -> Result<Vec<Term>, Error> {
    let diagnosed: Vec<Diagnostics> = embeddings
        .iter()
        .map(diagnose)
        .collect::<Result<_, Error>>()?;
    let term = |name: &str, y_label: &str, figure: fn(&Diagnostics) -> Option<f64>| {
        let points = diagnosed.iter().enumerate();
        let points = points.filter_map(|(k, of)| Some(((k + 1) as f64, figure(of)?)));
        Term {
            name: name.into(),
            y_label: y_label.into(),
            series: vec![Series {
                name: "embedding".into(),
                points: points.collect(),
            }],
        }
    };
    Ok(vec![
        term("effective rank", "share of random rows'", |of| {
            Some(of.effective_rank? / of.random_effective_rank)
        }),
        term("spectral entropy", "H / log r", |of| of.spectral_entropy),
        term("utilization", "(s_mu - L) / (U - L)", |of| {
            Some(of.utilization)
        }),
        term("dead dimensions", "share", |of| {
            Some(of.dead_dimensions? as f64 / of.dims as f64)
        }),
    ])
}

struct Diagnosed<'a, 'b> {
    embedding: &'a Embedding<'b>,
    diagnostics: Diagnostics,
}

impl Diagnosed<'_, '_> {
    fn name(&self) -> &str {
        &self.embedding.name
    }
}

fn diagnose(embedding: &Embedding<'_>) -> Result<Diagnostics, Error> {
    if let Some(diagnostics) = &embedding.diagnostics {
        return Ok(diagnostics.clone());
    }
    let rows: Vec<f64> = embedding.rows.iter().map(|&x| f64::from(x)).collect();
    let mut accumulator = Accumulator::new(embedding.dims).entry_epsilon(f64::from(f32::EPSILON));
    let pushed = match embedding.label_numbers() {
        Some(labels) => accumulator.push_labelled(&rows, &labels),
        None => accumulator.push(&rows),
    };
    pushed
        .and_then(|()| accumulator.finish())
        .map_err(|source| Error::Diagnostics {
            name: embedding.name.clone(),
            source,
        })
}

fn verdicts(diagnosed: &[Diagnosed<'_, '_>]) -> String {
    let mut html = String::from("<ul class=\"verdicts\">\n");
    for subject in diagnosed {
        let verdict = (subject.diagnostics).verdict_by(&subject.embedding.thresholds);
        let class = match verdict.health {
            Health::Collapsed => "collapsed",
            Health::PartlyCollapsed => "partly-collapsed",
            Health::Healthy => "healthy",
            Health::Unknown => "unknown",
        };
        let _ = writeln!(
            html,
            "<li class=\"{class}\"><strong>{}</strong>: {}{}</li>",
            escaped(subject.name()),
            escaped(&verdict.text),
            findings(&verdict.findings)
        );
    }
    html + "</ul>\n"
}

/// What is wrong and what to do, an item each.
fn findings(findings: &[Finding]) -> String {
    let items: String = (findings.iter())
        .map(|finding| {
            format!(
                "<li><em>{}</em>: {}. What to do: {}.</li>\n",
                finding.kind.name(),
                escaped(&finding.text),
                escaped(&finding.remedy)
            )
        })
        .collect();
    if items.is_empty() {
        items
    } else {
        format!("\n<ul class=\"findings\">\n{items}</ul>\n")
    }
}

fn bounds(diagnosed: &[Diagnosed<'_, '_>], palette: &Palette) -> String {
    let subjects: Vec<Utilization> = diagnosed
        .iter()
        .map(|subject| {
            let diagnostics = &subject.diagnostics;
            let bounds = Bounds::new(diagnostics.rows, diagnostics.dims);
            Utilization {
                name: subject.name().into(),
                value: diagnostics.utilization,
                random: bounds.utilization(diagnostics.random_reference),
            }
        })
        .collect();
    let svg = plots::between_bounds(
        "The mean singular value between its bounds",
        &subjects,
        palette,
    );
    figure(&svg, "")
}

fn figures(diagnosed: &[Diagnosed<'_, '_>]) -> String {
    let names = diagnosed.iter().map(|subject| subject.name().to_string());
    let mut headers: Vec<String> = ["figure".to_string()].into_iter().chain(names).collect();
    headers.push("what it says".into());
    let columns: Vec<Vec<(&str, Option<f64>)>> = diagnosed
        .iter()
        .map(|subject| subject.diagnostics.figures())
        .collect();
    let mut figures = Table::new(headers);
    for (index, (name, _)) in columns.first().into_iter().flatten().enumerate() {
        if columns.iter().all(|column| column[index].1.is_none()) {
            continue;
        }
        let values = columns
            .iter()
            .map(|column| column[index].1.map_or("-".to_string(), readable));
        figures = figures.with_row(
            [name.trim().to_string()]
                .into_iter()
                .chain(values)
                .chain([meaning(name).to_string()]),
        );
    }
    format!("<h3>Figures</h3>\n{}", table_of("figures", &figures))
}

/// What a figure of [`Diagnostics::figures`] says.
pub(crate) fn meaning(name: &str) -> &'static str {
    match name {
        "rows" => "embeddings",
        "dimensions" => "numbers in each",
        "zero rows" => "rows without a direction",
        "mean singular value" => "s_mu, of the unit rows",
        "  lower bound" => "L: one direction",
        "  upper bound" => "U: a flat spectrum",
        "  utilization" => "(s_mu - L) / (U - L)",
        "  of random rows" => "what random rows of this shape reach",
        "effective rank" => "directions that the rows spread over about their mean",
        "RankMe" => "the same of the rows as they are: an offset is a direction",
        "spectral entropy" => "0 if all variance is along one direction, 1 if along all alike",
        "participation ratio" => "a harsher count, by variance",
        "numerical rank" => "directions above rounding, however weak",
        "condition number" => "the greatest singular value over the least",
        "alpha-ReQ" => "how fast the variances decay; 0: flat",
        "dead dimensions" => {
            "standard deviation at most 1 % of the root mean square of all entries"
        }
        "  about the mean" => "of the rows less their mean, beside the other dimensions",
        "duplicate rows" => "rows equal to an earlier one",
        "mean std" => "standard deviation of a dimension, on average; VICReg asks for 1",
        "std of unit rows" => "the same of unit rows; 0: all rows point one way",
        "  if isotropic" => "1 / sqrt(d)",
        "mean |correlation|" => "of pairs of dimensions; 0: none says what another says",
        "mean cosine" => "of pairs of rows; 1: all rows point one way, for an offset they share",
        "  without the mean" => "the same of the rows less their mean",
        "uniformity" => "0: all rows point one way; about -4: everywhere",
        "classes" => "different labels",
        "alignment" => "mean squared distance of unit rows of one class; 2: as far as any",
        "LiDAR rank" => "directions that tell the classes apart",
        _ => "",
    }
}

fn unit_spectra(diagnosed: &[Diagnosed<'_, '_>], palette: &Palette) -> String {
    let runs: Vec<BoundedSpectrum> = diagnosed
        .iter()
        .map(|subject| {
            let Diagnostics { rows, dims, .. } = subject.diagnostics;
            BoundedSpectrum {
                name: subject.name().into(),
                spectrum: Spectrum {
                    singular_values: subject.diagnostics.unit_singular_values.clone(),
                    rows,
                    columns: dims,
                },
                random: random_spectrum(rows, dims),
            }
        })
        .collect();
    let pictures = runs.iter().map(|run| {
        let title = format!("Spectrum of the unit rows: {}", run.name);
        let svg = plots::spectrum_in_bounds(&title, run, &runs, palette);
        let columns = [
            ("singular value", run.spectrum.singular_values.as_slice()),
            ("of random rows", &run.random),
        ];
        figure(
            &svg,
            &details("The numbers", &of_columns("index", &columns)),
        )
    });
    section(
        "Singular values of the unit rows",
        "Each row divided by its length. A curve near the dashed line U uses every dimension alike; one \
         that starts above it and falls away uses few. Random isotropic rows (gray) are what to expect of \
         an embedding without structure.",
        pictures,
    )
}

fn raw_spectra(diagnosed: &[Diagnosed<'_, '_>], palette: &Palette) -> String {
    let pictures = diagnosed.iter().map(|subject| {
        let (raw, centred) = (
            &subject.diagnostics.singular_values,
            &subject.diagnostics.centred_singular_values,
        );
        let title = format!("Spectrum as it is and centred: {}", subject.name());
        let svg = plots::raw_and_centred_spectrum(&title, subject.name(), raw, centred, palette);
        let columns = [("as it is", raw.as_slice()), ("centred", centred)];
        figure(
            &svg,
            &details("The numbers", &of_columns("index", &columns)),
        )
    });
    section(
        "Singular values of the matrix as it is and centred",
        "Where the first value falls once the mean is taken off, the rows share an offset. The axes differ from \
         picture to picture: the scale is the embedding's own.",
        pictures,
    )
}

fn deviations(diagnosed: &[Diagnosed<'_, '_>], palette: &Palette) -> String {
    let pictures = diagnosed.iter().map(|subject| {
        let diagnostics = &subject.diagnostics;
        let squares: f64 = diagnostics.singular_values.iter().map(|s| s * s).sum();
        let entries = diagnostics.rows as f64 * diagnostics.dims as f64;
        let dead = DEAD_BELOW * (squares / entries).sqrt();
        let title = format!("Standard deviation of each dimension: {}", subject.name());
        let level = Some((dead, "dead at or below".to_string()));
        let std = &diagnostics.dimension_std;
        let svg = plots::sorted_std(&title, subject.name(), std, level, palette);
        let mut sorted = std.clone();
        sorted.sort_by(|a, b| b.total_cmp(a));
        let columns = [("standard deviation", sorted.as_slice())];
        figure(
            &svg,
            &details("The numbers", &of_columns("place", &columns)),
        )
    });
    section(
        "Standard deviation of each dimension",
        "Of the rows as they are, sorted. A dimension at zero is the same for every row: it has collapsed. \
         Alive dimensions can still copy one another, which the correlations show.",
        pictures,
    )
}

fn correlations(embeddings: &[Embedding<'_>]) -> String {
    let pictures = embeddings.iter().map(|embedding| {
        let (data, words) = embedding.correlations();
        let title = format!("Correlation of the dimensions: {}", embedding.name);
        let svg = plots::correlation_heat_map(&title, &data);
        let pairs = details("The strongest pairs", &strongest(&data, embedding.dims));
        figure(&svg, &(caption(&words) + &pairs))
    });
    section(
        "Correlation of the dimensions",
        "Each pair of dimensions, over the rows; the diagonal is 1. Away from it, strong colour means dimensions \
         that say the same.",
        pictures,
    )
}

fn strongest(data: &Correlations, dims: usize) -> Table {
    let side = data.side;
    let mut pairs: Vec<(usize, usize, f64)> = (0..side)
        .flat_map(|i| (0..i).map(move |j| (j, i, data.values[i * side + j])))
        .filter(|pair| !pair.2.is_nan())
        .collect();
    pairs.sort_by(|a, b| {
        b.2.abs()
            .total_cmp(&a.2.abs())
            .then((a.0, a.1).cmp(&(b.0, b.1)))
    });
    let mut table = Table::new(["dimension", "dimension", "correlation"]);
    for (i, j, value) in pairs.into_iter().take(PAIRS) {
        let name = |cell: usize| (cell * dims / side).to_string();
        table = table.with_row([name(i), name(j), format!("{value:.4}")]);
    }
    table
}

fn projections(embeddings: &[Embedding<'_>]) -> String {
    let drawn: Vec<(Scatter, String)> = embeddings.iter().map(Embedding::projection).collect();
    let extent = drawn
        .iter()
        .map(|(scatter, _)| scatter.extent())
        .chain(embeddings.iter().map(Embedding::least_extent))
        .fold(0.0, f64::max);
    let pictures = embeddings
        .iter()
        .zip(&drawn)
        .map(|(embedding, (data, words))| {
            let title = format!("In two dimensions: {}", embedding.name);
            let svg = plots::scatter(&title, data, extent);
            let numbers = details("The classes", &classes(data));
            figure(&svg, &(caption(words) + &numbers))
        });
    section(
        "In two dimensions",
        "The unit rows in the plane in which they vary most, their mean at the origin; rows of one or two dimensions \
         as they are. All pictures have the same scale, so that a collapsed embedding is a small spot or \
         a line. Classes that lie on one another here may be apart in other directions.",
        pictures,
    )
}

fn classes(data: &Scatter) -> Table {
    let mut table = Table::new(["class", "points", "mean x", "mean y"]);
    for class in data.classes.iter().take(2 * Scatter::CLASSES) {
        let count = class.points.len() as f64;
        let mean = |of: fn(&(f64, f64)) -> f64| class.points.iter().map(of).sum::<f64>() / count;
        table = table.with_row([
            class.name.clone(),
            class.points.len().to_string(),
            readable(mean(|point| point.0)),
            readable(mean(|point| point.1)),
        ]);
    }
    table
}

fn caption(words: &str) -> String {
    format!(
        "<figcaption class=\"note\">Drawn: {}.</figcaption>\n",
        escaped(words)
    )
}

fn section(heading: &str, note: &str, pictures: impl Iterator<Item = String>) -> String {
    format!(
        "<h3>{}</h3>\n{}{}",
        escaped(heading),
        paragraph(note),
        grid(pictures)
    )
}
