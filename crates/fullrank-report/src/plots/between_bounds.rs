use plotters::style::text_anchor::HPos;

use super::axis::Axis;
use super::canvas::{AXIS, GRID, INK, Text, document, text_width};
use super::legend::{self, Entry, Sample};
use super::palette::BASELINE;
use super::panel::{BELOW, Frame, x_axis};
use super::{Palette, drawable};

/// Where one mean singular value lies between its bounds.
#[derive(Debug, Clone, PartialEq)]
pub struct Utilization {
    /// Whose it is.
    pub name: String,
    /// (s_mu - L) / (U - L).
    pub value: f64,
    /// The same of random isotropic rows.
    pub random: f64,
}

/// One bar for each mean singular value, from its lower bound (0: one direction) to its upper
/// (1: a flat spectrum), with a mark where random isotropic rows lie.
pub fn between_bounds(title: &str, subjects: &[Utilization], palette: &Palette) -> String {
    let (width, head, slot) = (760.0, 40.0, 30.0);
    let names = subjects
        .iter()
        .map(|subject| text_width(&subject.name, 12.0))
        .fold(60.0, f64::max)
        .min(0.4 * width);
    let frame = Frame {
        left: 20.0 + names,
        top: head,
        width: width - names - 80.0,
        height: slot * subjects.len().max(1) as f64,
    };
    let entries = [
        Entry {
            text: "of the embedding".into(),
            color: BASELINE,
            sample: Sample::Box,
        },
        Entry {
            text: "of random isotropic rows of the same shape".into(),
            color: INK,
            sample: Sample::Tick,
        },
    ];
    let legend_top = frame.bottom() + BELOW + 4.0;
    let height = (legend_top + legend::height(&entries, width - 40.0) + 8.0).ceil();
    let sentences: Vec<String> = subjects
        .iter()
        .map(|subject| {
            format!(
                "{}: {} (random {})",
                subject.name,
                figure(subject.value),
                figure(subject.random)
            )
        })
        .collect();
    let description = format!(
        "Where the mean singular value lies between its bounds, 0 for one direction and 1 for a \
         flat spectrum. {}.",
        sentences.join("; ")
    );
    document((width, height), title, &description, |canvas| {
        let axis = Axis::exact([0.0, 1.0].into_iter(), 5);
        let label = "(s_mu − L) / (U − L): 0 = one direction, 1 = every dimension alike";
        x_axis(canvas, frame, &axis, label);
        for (index, subject) in subjects.iter().enumerate() {
            let middle = frame.top + (index as f64 + 0.5) * slot;
            let name = Text::new(12.0, HPos::Right).fit(&subject.name, names);
            canvas.text(&subject.name, (frame.left - 8.0, middle), name);
            let (top, bottom) = (middle - 8.0, middle + 8.0);
            canvas.rect((frame.left, top), (frame.right(), bottom), GRID);
            let share = |value: f64| {
                if drawable(value) {
                    axis.place(value)
                } else {
                    0.0
                }
            };
            let (right, _) = frame.at(share(subject.value), 0.0);
            if right > frame.left {
                canvas.rect(
                    (frame.left, top),
                    (right, bottom),
                    palette.color(&subject.name),
                );
            }
            if drawable(subject.random) {
                let (x, _) = frame.at(axis.place(subject.random), 0.0);
                canvas.rect((x - 1.5, top - 3.0), (x + 1.5, bottom + 3.0), INK);
            }
            let at = (frame.right() + 8.0, middle);
            canvas.text(
                &figure(subject.value),
                at,
                Text::new(12.0, HPos::Left).bold(),
            );
        }
        canvas.line(frame.at(0.0, 0.0), frame.at(0.0, 1.0), AXIS, 1.0);
        legend::draw(canvas, &entries, (20.0, legend_top), width - 40.0, true);
    })
}

fn figure(value: f64) -> String {
    match drawable(value) {
        true => format!("{value:.3}"),
        false => "n/a".into(),
    }
}
