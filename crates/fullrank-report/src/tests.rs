use datasets::ImageSet;
use roxmltree::{Document, ParsingOptions};

use serde::Serialize;

use crate::plots::{Palette, Scatter, Series, Term};
use crate::*;

const HOSTILE: &str = "<b a=\"1\">&amp; 'x' </script>\u{1}";

/// Numbers without a pattern between -1 and 1.
fn noise(count: usize) -> Vec<f32> {
    let mut state = 1_u64;
    (0..count)
        .map(|_| {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            (state >> 40) as f32 / 8_388_608.0 - 1.0
        })
        .collect()
}

fn of_embedding(rows: &[f32], dims: usize) -> Result<String, Error> {
    let embedding = Embedding::new("E", rows, dims);
    Ok(Report::new("T")
        .with_embeddings("Embeddings", &[embedding])?
        .to_html())
}

fn images(channels: usize) -> ImageSet {
    let pixels = (0..6 * channels * 20)
        .map(|k| (k * 7 % 256) as u8)
        .collect();
    let classes = vec!["cat & dog".into(), HOSTILE.into()];
    ImageSet::new([channels, 4, 5], pixels, vec![0, 1, 0, 1, 0, 1], classes)
}

/// A report with every kind of section.
fn whole() -> Report {
    let labels: Vec<usize> = (0..90).map(|row| row % 3).collect();
    let classes = ["one".to_string(), HOSTILE.into()];
    let embedding = |name: &str, rows: Vec<f32>, dims| {
        Embedding::new(name.to_string(), rows, dims).with_labels(&labels, &classes)
    };
    let term = Term {
        name: HOSTILE.into(),
        y_label: "nats".into(),
        series: vec![Series {
            name: "SVMax".into(),
            points: vec![(0.0, 1.0), (1.0, 0.5)],
        }],
    };
    let images = images(3);
    let found = nearest_neighbours(&noise(6 * 4), images.labels(), 2, 3);
    Report::new(HOSTILE)
        .with_paragraph(HOSTILE)
        .with_settings("What was run", [("command", HOSTILE), (HOSTILE, "1")])
        .with_table(
            "Results",
            &Table::new(["", HOSTILE])
                .with_caption(HOSTILE)
                .with_row([HOSTILE, "0.5"]),
        )
        .with_terms("Training", "step", &[term], &Palette::new(["SVMax"]))
        .with_embeddings(
            "Embeddings",
            &[
                embedding("SVMax", noise(90 * 5), 5),
                embedding(HOSTILE, noise(90 * 2), 2),
            ],
        )
        .expect("the matrices are sound")
        .with_retrievals("Neighbours", HOSTILE, (&images, &images), &found)
        .expect("the images are there")
}

/// Parses a document as XML, which every report is too.
fn parsed(html: &str) -> Document<'_> {
    let options = ParsingOptions {
        allow_dtd: true,
        ..ParsingOptions::default()
    };
    Document::parse_with_options(html, options).expect("well-formed")
}

fn texts(document: &Document<'_>, tag: &str) -> Vec<String> {
    let elements = document.descendants().filter(|node| node.has_tag_name(tag));
    elements
        .map(|node| {
            let inner = node.descendants().filter(roxmltree::Node::is_text);
            inner.filter_map(|text| text.text()).collect::<String>()
        })
        .collect()
}

fn svgs<'a>(document: &'a Document<'a>) -> Vec<roxmltree::Node<'a, 'a>> {
    let name = ("http://www.w3.org/2000/svg", "svg");
    document
        .descendants()
        .filter(|node| node.has_tag_name(name))
        .collect()
}

#[test]
fn a_report_is_well_formed_and_every_picture_has_words() {
    let html = whole().to_html();
    let document = parsed(&html);
    assert_eq!(
        texts(&document, "h2"),
        [
            "What was run",
            "Results",
            "Training",
            "Embeddings",
            "Neighbours"
        ]
    );
    // Terms, bounds, and five kinds of chart of two embeddings.
    let svgs = svgs(&document);
    assert_eq!(svgs.len(), 1 + 1 + 5 * 2);
    for svg in svgs {
        assert_eq!(svg.attribute("role"), Some("img"));
        for word in ["title", "desc"] {
            let child = svg.children().find(|child| child.tag_name().name() == word);
            let text = child.and_then(|child| child.text()).unwrap_or_default();
            assert!(text.trim().len() > 3, "{word}: {text:?}");
        }
    }
    let images: Vec<_> = document
        .descendants()
        .filter(|node| node.has_tag_name("img"))
        .collect();
    assert_eq!(images.len(), 2 * (1 + 3));
    for image in images {
        let alt = image.attribute("alt").expect("an alternative");
        assert!(
            alt.starts_with("query: ") || alt.starts_with("neighbour "),
            "{alt}"
        );
    }
    assert!(html.contains("<th scope=\"col\">"));
}

#[test]
fn text_of_users_stays_text() {
    let html = whole().to_html();
    let document = parsed(&html);
    let shown = HOSTILE.replace('\u{1}', "");
    for tag in ["h1", "title", "dd", "dt", "caption", "p", "li"] {
        let texts = texts(&document, tag);
        let found = texts.iter().any(|text| text.contains(&shown));
        assert!(found, "{tag}: {texts:?}");
    }
    assert!(
        document
            .descendants()
            .all(|node| !node.has_tag_name("b") || node.attribute("aria-hidden") == Some("true"))
    );
    assert!(!html.contains('\u{1}') && !html.contains("</script"));
    let options = [("a", "x\" onload=\"y")];
    let html = Report::new("T").with_settings("S", options).to_html();
    assert!(!html.contains("onload=\""));
}

#[test]
fn nothing_is_fetched_and_nothing_runs() {
    let html = whole().to_html();
    let document = parsed(&html);
    for node in document.descendants() {
        assert!(!["script", "iframe", "object"].contains(&node.tag_name().name()));
        for attribute in node.attributes() {
            let value = attribute.value();
            match attribute.name() {
                "href" | "src" => assert!(
                    value.starts_with('#') || value.starts_with("data:"),
                    "{value}"
                ),
                name => assert!(!name.starts_with("on"), "{name}"),
            }
        }
    }
    let style = texts(&document, "style").concat();
    assert!(!style.contains("url(") && !style.contains("@import"));
    assert_eq!(
        html.matches("://").count(),
        html.matches("http://www.w3.org/2000/svg").count()
    );
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    assert_eq!(whole().to_html(), whole().to_html());
    let rows = noise(3000 * 40);
    assert_eq!(
        of_embedding(&rows, 40).expect("sound"),
        of_embedding(&rows, 40).expect("sound")
    );
}

#[test]
fn the_figures_are_those_of_the_diagnostics() {
    let rows = noise(200 * 6);
    let html = of_embedding(&rows, 6).expect("sound");
    let exact: Vec<f64> = rows.iter().map(|&x| f64::from(x)).collect();
    let diagnostics = fullrank::Diagnostics::new(&exact, 6, None).expect("sound");
    let document = parsed(&html);
    let cells = texts(&document, "td");
    for (name, value) in diagnostics.figures() {
        let shown = value.map(fullrank::diagnostics::readable);
        assert!(shown.is_none_or(|value| cells.contains(&value)), "{name}");
        assert!(!embeddings::meaning(name).is_empty(), "{name}");
    }
    assert!(
        texts(&document, "li")
            .concat()
            .contains(&diagnostics.verdict().text)
    );
}

#[test]
fn edge_cases_have_a_report() {
    let constant = vec![0.5; 30 * 4];
    let zero = vec![0.0; 30 * 4];
    let huge: Vec<f32> = noise(120).iter().map(|x| x * 1e38).collect();
    let tiny: Vec<f32> = noise(120).iter().map(|x| x * 1e-38).collect();
    let line = noise(50);
    let wide = noise(2 * 300);
    for (rows, dims) in [
        (&constant, 4),
        (&zero, 4),
        (&huge, 4),
        (&tiny, 4),
        (&line, 1),
        (&line, 25),
        (&wide, 300),
        (&wide, 3),
        (&line, 2),
    ] {
        let html = of_embedding(rows, dims).expect("there is a report");
        let document = parsed(&html);
        assert_eq!(svgs(&document).len(), 6);
        assert!(!html.contains("NaN") && !html.contains("inf\""), "{dims}");
    }
    let none = Report::new("T")
        .with_embeddings("E", &[])
        .expect("none is fine");
    parsed(&none.to_html());
    parsed(&Report::new("").to_html());
}

#[test]
fn what_has_no_figures_is_refused_by_name() {
    let mut rows = noise(40);
    rows[23] = f32::NAN;
    let message = |rows: &[f32], dims| of_embedding(rows, dims).expect_err("refused").to_string();
    assert_eq!(message(&rows, 4), "E: the entry at row 5, column 3 is NaN");
    rows[23] = f32::NEG_INFINITY;
    assert_eq!(message(&rows, 4), "E: the entry at row 5, column 3 is -inf");
    assert_eq!(message(&rows, 3), "E: 40 numbers do not make up rows of 3");
    assert_eq!(message(&rows, 0), "E: 40 numbers do not make up rows of 0");
    assert_eq!(
        message(&rows[..4], 4),
        "E: a report needs at least two rows, got 1"
    );
    let labelled = Embedding::new("E", noise(40), 4).with_labels(&[0; 9], &[]);
    let error = Report::new("T")
        .with_embeddings("E", &[labelled])
        .expect_err("refused");
    assert_eq!(error.to_string(), "E: 10 rows but 9 labels");
    let (images, found) = (
        images(1),
        [Retrieval {
            query: 6,
            neighbours: vec![],
        }],
    );
    let report = Report::new("T").with_retrievals("R", "", (&images, &images), &found);
    assert_eq!(
        report.expect_err("refused").to_string(),
        "image 6 of a set of 6"
    );
}

#[test]
fn many_classes_are_told_apart_as_far_as_that_goes() {
    // Of 40 classes, the last has the most rows.
    let labels: Vec<i64> = (0..300)
        .map(|row: i64| if row < 39 { row } else { 39 })
        .collect();
    let embedding = Embedding::new("E", noise(300 * 8), 8).with_numbered_labels(&labels);
    let (scatter, _) = embedding.projection();
    assert_eq!(scatter.classes.len(), 2 * Scatter::CLASSES);
    assert_eq!(scatter.classes[0].name, "class 39");
    assert_eq!(scatter.classes[0].points.len(), 261);
    let labels: Vec<i64> = (0..300).map(|row| row % 40 - 3).collect();
    let embedding = Embedding::new("E", noise(300 * 8), 8).with_numbered_labels(&labels);
    let html = Report::new("T")
        .with_embeddings("E", &[embedding])
        .expect("sound")
        .to_html();
    assert!(html.contains("20 other classes") && html.contains("class -3"));
}

#[test]
fn a_large_embedding_has_a_small_report() {
    let rows = noise(5000 * 512);
    let labels: Vec<i64> = (0..5000).map(|row| row % 10).collect();
    let embedding = Embedding::new("E", rows, 512).with_numbered_labels(&labels);
    let html = Report::new("T")
        .with_embeddings("E", &[embedding])
        .expect("sound")
        .to_html();
    assert!(html.len() < 500_000, "{} bytes", html.len());
    assert!(html.contains("128 of 512 dimensions") && html.contains("1500 of 5000 rows"));
}

#[test]
fn a_sample_does_not_depend_on_the_blocks() {
    let rows: Vec<f64> = (0..3 * 12_000).map(f64::from).collect();
    let labels: Vec<i64> = (0..12_000).collect();
    let diagnostics = fullrank::Diagnostics::new(&rows, 3, None).expect("sound");
    let sample = |block: usize| {
        let mut sample = RowSample::new(3);
        rows.chunks(3 * block).for_each(|rows| sample.push(rows));
        sample.into_embedding("E", diagnostics.clone(), Some(&labels))
    };
    let (one, other) = (sample(12_000), sample(7));
    assert_eq!(one.rows(), other.rows());
    assert_eq!(one.rows().len(), 3 * 10_000);
    // Rows stay in their order, and rows from everywhere are kept.
    assert!(one.rows().is_sorted());
    let late = one.rows().iter().filter(|&&x| x >= 3.0 * 11_000.0).count() / 3;
    assert!((780..890).contains(&late), "{late} of 833");
    let (_, words) = one.projection();
    assert!(words.starts_with("1500 of 12000 rows"), "{words}");
    assert_eq!(one.label_numbers(), other.label_numbers());

    let mut sample = RowSample::new(2);
    sample.push(&[1e100, -2e100, 3e99, 0.0]);
    assert_eq!(
        sample.into_embedding("E", diagnostics, None).rows(),
        [0.5, -1.0, 0.15, 0.0]
    );
}

#[test]
fn neighbours_are_nearest_by_direction() {
    let rows = [1.0, 0.0, 9.0, 1.0, 0.0, 2.0, 0.1, 3.0, 0.0, 0.0];
    let found = nearest_neighbours(&rows, &[0, 0, 1, 1, 1], 5, 2);
    let of = |query: usize| {
        let found = found
            .iter()
            .find(|found| found.query == query)
            .expect("all are queries");
        found
            .neighbours
            .iter()
            .map(|n| (n.index, n.hit))
            .collect::<Vec<_>>()
    };
    assert_eq!(of(0), [(1, true), (3, false)]);
    assert_eq!(of(2), [(3, true), (1, false)]);
    assert_eq!(nearest_neighbours(&[], &[], 3, 3), []);
}

#[test]
fn images_keep_their_colors_and_large_ones_are_made_small() {
    let decode = |html: &str| {
        use base64::Engine;
        let (_, rest) = html.split_once("base64,").expect("an image");
        let (text, _) = rest.split_once('"').expect("its end");
        let bytes = base64::engine::general_purpose::STANDARD.decode(text);
        image::load_from_memory(&bytes.expect("base64")).expect("a PNG")
    };
    let found = [Retrieval {
        query: 0,
        neighbours: vec![],
    }];
    let html = |set: &ImageSet| retrievals::html(set, set, &found).expect("the image is there");
    let color = ImageSet::new([3, 1, 2], vec![1, 2, 3, 4, 5, 6], vec![0], vec!["c".into()]);
    assert_eq!(
        decode(&html(&color)).into_rgb8().into_raw(),
        [1, 3, 5, 2, 4, 6]
    );
    let large = ImageSet::new([1, 100, 200], vec![9; 20_000], vec![0], vec!["c".into()]);
    let small = decode(&html(&large)).into_luma8();
    assert_eq!((small.dimensions(), small.into_raw()[0]), ((72, 36), 9));
}

#[test]
fn a_configuration_has_names_with_dots() {
    #[derive(Serialize)]
    struct Part {
        rate: f64,
        seeds: [u8; 2],
    }
    #[derive(Serialize)]
    struct Whole {
        name: &'static str,
        part: Part,
        none: Option<u8>,
    }
    let part = Part {
        rate: 0.5,
        seeds: [1, 2],
    };
    let flat = settings::flat(&Whole {
        name: "x",
        part,
        none: None,
    });
    let expected = [
        ("name", "x"),
        ("part.rate", "0.5"),
        ("part.seeds", "1, 2"),
        ("none", "none"),
    ];
    assert_eq!(
        flat,
        expected.map(|(key, value)| (key.to_string(), value.to_string()))
    );
}

#[test]
fn reports_are_written_whole_and_errors_name_the_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("report.html");
    let report = Report::new("T");
    report.write(&path).expect("the file is written");
    assert_eq!(
        std::fs::read_to_string(&path).expect("it is read"),
        report.to_html()
    );
    let missing = folder.path().join("missing").join("report.html");
    let error = report.write(&missing).expect_err("the folder is missing");
    assert!(error.to_string().contains("report.html"), "{error}");
}
