use fullrank::diagnostics::readable;

use super::Palette;
use super::axis::Axis;
use super::canvas::{INK, document};
use super::legend::{self, Entry, Sample};
use super::panel::{ABOVE, BELOW, Frame, LEFT, Panel};
use super::spectrum_in_bounds::figure;

/// The standard deviation of each dimension over the samples, of one run.
#[derive(Debug, Clone, PartialEq)]
pub struct DimensionStdRun {
    /// The method.
    pub name: String,
    /// Of the embedding, in any order.
    pub embedding: Vec<f64>,
    /// Of the representation, in any order.
    pub representation: Vec<f64>,
}

/// The standard deviation of each dimension, sorted descending, of the embedding (left) and of the
/// representation (right), one line for each run.
///
/// `margin` is the γ of VICReg's variance term (Bardes et al. 2022, eq. 1), drawn dashed in the
/// panel of the embedding, the only one it acts on.
pub fn dimension_std(
    title: &str,
    runs: &[DimensionStdRun],
    margin: Option<f64>,
    palette: &Palette,
) -> String {
    let margin = margin.filter(|&margin| super::drawable(margin));
    let mut entries: Vec<Entry> = runs
        .iter()
        .map(|run| Entry {
            text: run.name.clone(),
            color: palette.color(&run.name),
            sample: Sample::Line,
        })
        .collect();
    entries.extend(margin.map(|margin| Entry {
        text: format!("margin γ = {margin}"),
        color: INK,
        sample: Sample::Dashes,
    }));

    let (width, head, frame_height) = (1000.0, 38.0, 250.0);
    let cell_width = (width - 18.0) / 2.0;
    let legend_width = width - 40.0;
    let legend_top = head + ABOVE + frame_height + BELOW + 6.0;
    let height = (legend_top + legend::height(&entries, legend_width) + 10.0).ceil();
    let names: Vec<&str> = runs.iter().map(|run| run.name.as_str()).collect();
    let description = format!(
        "Standard deviation of each dimension, sorted descending, of the embedding and of the \
         representation, one line for each of {}.",
        names.join(", "),
    );
    document((width, height), title, &description, |canvas| {
        let embedding = |run: &DimensionStdRun| sorted(&run.embedding);
        let representation = |run: &DimensionStdRun| sorted(&run.representation);
        let panels: [(&str, Vec<_>, Option<f64>); 2] = [
            ("Embedding", runs.iter().map(embedding).collect(), margin),
            (
                "Representation",
                runs.iter().map(representation).collect(),
                None,
            ),
        ];
        for (column, (name, values, level)) in panels.into_iter().enumerate() {
            let frame = Frame {
                left: column as f64 * cell_width + LEFT,
                top: head + ABOVE,
                width: cell_width - LEFT - 6.0,
                height: frame_height,
            };
            let longest = values.iter().map(Vec::len).max().unwrap_or(0);
            let drawn = values.iter().flatten().map(|point| point.1);
            let panel = Panel {
                title: name,
                x_label: "dimension, largest first",
                y_label: "standard deviation",
                x: Axis::indices(longest, 6),
                y: Axis::rounded(drawn.chain(level).chain([0.0]), 5),
                lines: runs
                    .iter()
                    .map(|run| palette.color(&run.name))
                    .zip(values)
                    .collect(),
                levels: level.map(|level| (INK, level)).into_iter().collect(),
            };
            panel.draw(canvas, frame);
        }
        legend::draw(canvas, &entries, (20.0, legend_top), legend_width, true);
    })
}

/// The standard deviation of each dimension of one embedding, sorted descending. `level`, with its
/// name, is drawn dashed.
pub fn sorted_std(
    title: &str,
    name: &str,
    std: &[f64],
    level: Option<(f64, String)>,
    palette: &Palette,
) -> String {
    let color = palette.color(name);
    let level = level.filter(|(level, _)| super::drawable(*level));
    let mut entries = vec![Entry {
        text: format!("{} dimensions of {name}", std.len()),
        color,
        sample: Sample::Line,
    }];
    entries.extend(level.iter().map(|(level, name)| Entry {
        text: format!("{name} = {}", readable(*level)),
        color: INK,
        sample: Sample::Dashes,
    }));
    let points = sorted(std);
    let drawn = points.iter().map(|point| point.1);
    let ends = (points.first(), points.last());
    let description = match ends {
        (Some(greatest), Some(least)) => format!(
            "Standard deviation of each of {} dimensions, sorted descending, from {} down to {}.",
            std.len(),
            readable(greatest.1),
            readable(least.1),
        ),
        _ => "No standard deviations.".to_string(),
    };
    let level = level.map(|(level, _)| level);
    let panel = Panel {
        title: "",
        x_label: "dimension, largest first",
        y_label: "standard deviation",
        x: Axis::indices(points.len(), 6),
        y: Axis::rounded(drawn.chain(level).chain([0.0]), 5),
        lines: vec![(color, points.clone())],
        levels: level.map(|level| (INK, level)).into_iter().collect(),
    };
    figure(title, &description, &panel, &entries, |_, _| {})
}

fn sorted(values: &[f64]) -> Vec<(f64, f64)> {
    let mut values: Vec<f64> = values
        .iter()
        .copied()
        .filter(|&value| super::drawable(value))
        .collect();
    values.sort_by(|a, b| b.total_cmp(a));
    (1_u32..).map(f64::from).zip(values).collect()
}
