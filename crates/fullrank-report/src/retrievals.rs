//! Pictures and the pictures found nearest to them.

use std::fmt::Write;

use datasets::ImageSet;
use image::imageops::FilterType;
use image::{DynamicImage, GrayImage, RgbImage};
use rand::SeedableRng;
use rand::seq::index;
use rand_chacha::ChaCha8Rng;

use crate::html::escaped;
use crate::plots::data_uri;
use crate::{Error, SEED};

/// The greatest side of a thumbnail in pixels; larger images are made smaller.
const SIDE: u32 = 72;

/// An image and what was found for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Retrieval {
    /// Index of the image in the queries.
    pub query: usize,
    /// What was found, nearest first.
    pub neighbours: Vec<Neighbour>,
}

/// One image that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// Its index in the gallery.
    pub index: usize,
    /// Whether it is what was looked for.
    pub hit: bool,
}

/// The `k` nearest neighbours, by cosine, of `count` rows drawn with a fixed seed among the other
/// rows of the same embedding. A hit has the label of its query.
///
/// `rows` hold `labels.len()` rows of equal length. Rows of zero length are nobody's neighbour
/// before others; ties go to the lower index.
///
/// # Panics
///
/// If `rows` does not hold whole rows, one for each label.
pub fn nearest_neighbours(
    rows: &[f32],
    labels: &[usize],
    count: usize,
    k: usize,
) -> Vec<Retrieval> {
    if labels.is_empty() {
        return vec![];
    }
    assert!(
        rows.len().is_multiple_of(labels.len()),
        "{} numbers are not {} rows of equal length",
        rows.len(),
        labels.len()
    );
    let dims = rows.len() / labels.len();
    let row = |index: usize| &rows[index * dims..][..dims];
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter()
            .zip(b)
            .map(|(&a, &b)| f64::from(a) * f64::from(b))
            .sum()
    };
    let norms: Vec<f64> = (0..labels.len())
        .map(|index| dot(row(index), row(index)).sqrt().max(f64::MIN_POSITIVE))
        .collect();
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    let queries = index::sample(&mut random, labels.len(), count.min(labels.len()));
    queries
        .into_iter()
        .map(|query| {
            let mut others: Vec<(f64, usize)> = (0..labels.len())
                .filter(|&other| other != query)
                .map(|other| (dot(row(query), row(other)) / norms[other], other))
                .collect();
            others.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            let neighbours = others
                .into_iter()
                .take(k)
                .map(|(_, index)| Neighbour {
                    index,
                    hit: labels[index] == labels[query],
                })
                .collect();
            Retrieval { query, neighbours }
        })
        .collect()
}

/// The table of thumbnails. The queries and what was found may be of one set.
pub(crate) fn html(
    queries: &ImageSet,
    gallery: &ImageSet,
    retrievals: &[Retrieval],
) -> Result<String, Error> {
    let longest = retrievals
        .iter()
        .map(|retrieval| retrieval.neighbours.len())
        .max()
        .unwrap_or(0);
    let found = retrievals
        .iter()
        .flat_map(|retrieval| &retrieval.neighbours);
    let hits = found.clone().filter(|neighbour| neighbour.hit).count();
    let mut html = format!(
        "<p class=\"note\">{hits} of {} neighbours are hits. ✓ and a solid frame: a hit; ✗ and a \
         dashed frame: a miss.</p>\n<div class=\"scroll\">\n<table class=\"neighbours\">\n\
         <thead><tr><th scope=\"col\">Query</th>",
        found.count()
    );
    for rank in 1..=longest {
        let _ = write!(html, "<th scope=\"col\">{rank}</th>");
    }
    html += "</tr></thead>\n<tbody>\n";
    for Retrieval { query, neighbours } in retrievals {
        let (image, class) = picture(queries, *query)?;
        let _ = write!(
            html,
            "<tr><th scope=\"row\" class=\"query\"><img src=\"{image}\" alt=\"query: {class}\"/>\
             <span>{class}</span></th>"
        );
        for (rank, neighbour) in (1..).zip(neighbours) {
            let (image, class) = picture(gallery, neighbour.index)?;
            let (name, sign) = match neighbour.hit {
                true => ("hit", "✓"),
                false => ("miss", "✗"),
            };
            let _ = write!(
                html,
                "<td class=\"{name}\"><img src=\"{image}\" alt=\"neighbour {rank}, {name}: \
                 {class}\"/><span><b aria-hidden=\"true\">{sign}</b> {class}</span></td>"
            );
        }
        html += "</tr>\n";
    }
    html += "</tbody>\n</table>\n</div>\n";
    Ok(html)
}

/// An image as a data URI, and the name of its class.
fn picture(set: &ImageSet, index: usize) -> Result<(String, String), Error> {
    if index >= set.len() {
        return Err(Error::Image {
            index,
            images: set.len(),
        });
    }
    let [channels, height, width] = set.shape();
    let planar = set.image(index);
    let plane = height * width;
    let size = (width as u32, height as u32);
    let at = |x: u32, y: u32| y as usize * width + x as usize;
    let image: DynamicImage = match channels {
        3 => RgbImage::from_fn(size.0, size.1, |x, y| {
            image::Rgb([0, 1, 2].map(|channel| planar[channel * plane + at(x, y)]))
        })
        .into(),
        // The first channel of anything else.
        _ => GrayImage::from_fn(size.0, size.1, |x, y| image::Luma([planar[at(x, y)]])).into(),
    };
    let image = match size.0.max(size.1) > SIDE {
        true => image.resize(SIDE, SIDE, FilterType::Triangle),
        false => image,
    };
    let class = escaped(&set.classes()[set.label(index)]);
    Ok((data_uri(image), class))
}
