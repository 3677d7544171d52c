use super::*;

fn palette() -> Palette {
    Palette::new(["invariance only", "variance only", "VICReg", "SVMax"])
}

fn run(name: &str, values: impl Fn(usize) -> f64) -> SpectrumRun {
    let spectrum = |columns: usize| Spectrum {
        singular_values: (0..columns).map(&values).collect(),
        rows: 256,
        columns,
    };
    SpectrumRun {
        name: name.into(),
        embedding: spectrum(64),
        representation: spectrum(96),
    }
}

fn spectrum_runs() -> Vec<SpectrumRun> {
    vec![
        run("invariance only", |i| if i == 0 { 16.0 } else { 1e-4 }),
        run("variance only", |i| 5.0 * (-(i as f64) / 9.0).exp()),
        run("SVMax", |i| 2.3 - 0.006 * i as f64),
    ]
}

fn terms() -> Vec<Term> {
    let series = |name: &str, rate: f64| Series {
        name: name.into(),
        points: (0..=100)
            .map(|i| (f64::from(i), (-rate * f64::from(i)).exp()))
            .collect(),
    };
    ["Invariance", "Variance", "Covariance"]
        .map(|name| Term {
            name: name.into(),
            y_label: "loss term".into(),
            series: vec![series("VICReg", 0.05), series("SVMax", 0.02)],
        })
        .into()
}

fn std_runs() -> Vec<DimensionStdRun> {
    let values = |scale: f64| {
        (0..64)
            .map(|i| scale * (1.0 + f64::from(i * 37 % 64)))
            .collect()
    };
    ["VICReg", "SVMax"]
        .map(|name| DimensionStdRun {
            name: name.into(),
            embedding: values(0.02),
            representation: values(0.01),
        })
        .into()
}

fn chart() -> BarChart {
    let group = |name: &str, values: [f64; 2]| BarGroup {
        name: name.into(),
        values: values.into(),
    };
    BarChart {
        title: "Accuracy & baselines".into(),
        axis_label: "test accuracy (%)".into(),
        axis_min: 40.0,
        metrics: vec!["k-NN".into(), "linear probe".into()],
        groups: vec![
            group("SVMax", [81.25, 84.0]),
            group("VICReg", [80.0, f64::NAN]),
            group("raw <pixels>", [75.5, 20.0]),
        ],
    }
}

fn bounded(values: Vec<f64>) -> BoundedSpectrum {
    BoundedSpectrum {
        name: "SVMax".into(),
        spectrum: Spectrum {
            rows: 256,
            columns: values.len(),
            singular_values: values,
        },
        random: vec![2.2, 2.0, 1.8],
    }
}

fn correlations(values: Vec<f64>) -> Correlations {
    let side = values.len().isqrt();
    Correlations {
        values,
        side,
        axis_label: "dimension".into(),
        ends: (0, side.saturating_sub(1)),
    }
}

fn points(classes: usize, values: &[f64]) -> Scatter {
    Scatter {
        x_label: "component 1".into(),
        y_label: "component 2".into(),
        classes: (0..classes)
            .map(|class| ScatterClass {
                name: format!("class {class}"),
                points: values.iter().map(|&value| (value, -value)).collect(),
            })
            .collect(),
        circle: Some((0.25, "a circle".into())),
    }
}

/// Every kind of plot of one embedding, of `values`.
fn of_one_embedding(values: &[f64]) -> Vec<String> {
    let palette = palette();
    let run = bounded(values.to_vec());
    let level = Some((0.1, "dead at or below".to_string()));
    let utilization = Utilization {
        name: "SVMax".into(),
        value: values.first().copied().unwrap_or(f64::NAN),
        random: 0.9,
    };
    let data = points(25, values);
    vec![
        spectrum_in_bounds("Unit rows", &run, std::slice::from_ref(&run), &palette),
        raw_and_centred_spectrum("As it is", "SVMax", values, values, &palette),
        sorted_std("Deviations", "SVMax", values, level, &palette),
        correlation_heat_map("Correlations", &correlations(values.to_vec())),
        scatter("Projection", &data, data.extent()),
        between_bounds("Bounds", &[utilization], &palette),
    ]
}

/// What two methods reach at each setting, with a level.
fn trend_panel(settings: &[f64], values: &[f64]) -> TrendPanel {
    let trend = |name: &str| Trend {
        name: name.into(),
        points: settings.iter().map(|&x| (x, values.to_vec())).collect(),
    };
    TrendPanel {
        name: "contrastive".into(),
        y_label: "Recall@1".into(),
        trends: vec![trend("SVMax"), trend("VICReg")],
        levels: vec![Level {
            name: "raw pixels".into(),
            points: settings.iter().map(|&x| (x, 0.3)).collect(),
        }],
    }
}

/// The same circle twice in a row.
fn circle_row(values: &[f64]) -> (String, Vec<Circle>) {
    let circle = Circle {
        name: "step 10".into(),
        points: values.iter().map(|&x| (0, [x, 0.5])).collect(),
    };
    ("SVMax".into(), vec![circle.clone(), circle])
}

/// Every kind of plot, of realistic data.
fn gallery() -> Vec<String> {
    let palette = palette();
    let mut plots = of_one_embedding(&[0.9, 0.5, -0.25, 0.1, 1.0, 0.0, 0.2, -0.5, 1.0]);
    plots.splice(
        0..0,
        [
            terms_over_time("Loss terms", "epoch", &terms(), &palette),
            singular_value_spectrum("Spectra", &spectrum_runs(), &palette),
            dimension_std("Standard deviations", &std_runs(), Some(1.0), &palette),
            bars(&chart(), &palette),
            headline("Rank and accuracy", &spectrum_runs(), &chart(), &palette),
        ],
    );
    let panel = trend_panel(&[0.01, 0.1, 1.0], &[0.2, 0.25]);
    plots.push(trends("Rates", "learning rate", &[panel], &palette));
    let row = circle_row(&[0.5, -0.5, 0.0]);
    plots.push(circles("Circles", &[row], &["violin".into()], &palette));
    plots
}

/// The text of each text element, entities resolved, and all attribute values of a document whose
/// tags are found to match.
fn parse(svg: &str) -> (Vec<String>, Vec<(String, String)>) {
    let (mut open, mut texts, mut attributes) = (Vec::<String>::new(), vec![], vec![]);
    let mut rest = svg;
    while let Some(start) = rest.find('<') {
        let text = rest[..start].trim();
        assert!(!text.contains('>'), "a bare > in {text:?}");
        if !text.is_empty() {
            assert!(!open.is_empty(), "text outside the root: {text:?}");
            let resolved = ["lt", "gt", "quot", "apos", "amp"]
                .into_iter()
                .zip("<>\"'&".chars());
            let resolved = resolved.fold(text.to_string(), |t, (name, c)| {
                t.replace(&format!("&{name};"), &c.to_string())
            });
            texts.push(resolved);
        }
        let end = start + rest[start..].find('>').expect("an open tag ends");
        let tag = &rest[start + 1..end];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name));
        } else {
            let body = tag.strip_suffix('/').unwrap_or(tag);
            let (name, mut list) = body.split_once(' ').unwrap_or((body, ""));
            while let Some((key, tail)) = list.split_once("=\"") {
                let (value, tail) = tail.split_once('"').expect("an attribute's value ends");
                attributes.push((key.trim().to_string(), value.to_string()));
                list = tail;
            }
            assert_eq!(list.trim(), "", "{tag}");
            if body == tag {
                open.push(name.to_string());
            }
        }
        rest = &rest[end + 1..];
    }
    assert_eq!(open, Vec::<String>::new());
    assert_eq!(rest.trim(), "");
    (texts, attributes)
}

/// Checks that the document is well formed and that its numbers lie on the page.
fn check(svg: &str) -> Vec<String> {
    let (texts, attributes) = parse(svg);
    let value = |key: &str| {
        &attributes
            .iter()
            .find(|(k, _)| k == key)
            .expect("the key is there")
            .1
    };
    let page: Vec<f64> = value("viewBox")
        .split(' ')
        .map(|n| n.parse().expect("a number"))
        .collect();
    for (key, value) in &attributes {
        let limit = match key.as_str() {
            "x" | "x1" | "x2" | "cx" => page[2],
            "y" | "y1" | "y2" | "cy" => page[3],
            "points" => {
                for point in value.split_whitespace() {
                    let (x, y) = point.split_once(',').expect("x,y");
                    let (x, y): (f64, f64) = (x.parse().expect("x"), y.parse().expect("y"));
                    assert!(
                        (0.0..=page[2]).contains(&x) && (0.0..=page[3]).contains(&y),
                        "{point}"
                    );
                }
                continue;
            }
            "d" => {
                for mark in value.split('M').filter(|mark| !mark.is_empty()) {
                    let end = mark.find(|c: char| c.is_ascii_alphabetic());
                    let (x, y) = mark[..end.expect("a path goes on")]
                        .split_once(' ')
                        .expect("x y");
                    let (x, y): (f64, f64) = (x.parse().expect("x"), y.parse().expect("y"));
                    assert!(
                        (0.0..=page[2]).contains(&x) && (0.0..=page[3]).contains(&y),
                        "{mark}"
                    );
                }
                continue;
            }
            _ => continue,
        };
        let number: f64 = value.parse().expect("a coordinate is a number");
        assert!((0.0..=limit).contains(&number), "{key}={value}");
    }
    assert!(
        !svg.contains("NaN") && !svg.contains("inf\""),
        "a number that is none"
    );
    texts
}

#[test]
fn plots_are_well_formed_and_lie_on_the_page() {
    for svg in gallery() {
        check(&svg);
        assert!(svg.contains("\n<title>") && svg.contains("\n<desc>"));
    }
}

#[test]
fn plots_are_the_same_each_time() {
    assert_eq!(gallery(), gallery());
}

#[test]
fn plots_name_their_methods_and_axes() {
    let expected: [&[&str]; 13] = [
        &[
            "Loss terms",
            "epoch",
            "loss term",
            "Invariance",
            "Covariance",
            "VICReg",
            "SVMax",
        ],
        &[
            "Embedding",
            "Representation",
            "singular value σᵢ / U",
            "invariance only: mean σ = 12.5 % of U",
        ],
        &[
            "standard deviation",
            "dimension, largest first",
            "margin γ = 1",
            "SVMax",
            "VICReg",
        ],
        &[
            "test accuracy (%)",
            "k-NN",
            "linear probe",
            "raw <pixels>",
            "81.2",
            "20.0",
            "n/a",
            "SVMax",
        ],
        &[
            "Rank and accuracy",
            "singular value σᵢ / U",
            "test accuracy (%)",
            "Accuracy & baselines",
            "k-NN",
        ],
        &[
            "singular value σᵢ / U",
            "U",
            "L",
            "s_mu",
            "upper bound U = 5.333: a flat spectrum",
            "SVMax",
        ],
        &[
            "singular value σᵢ",
            "rows as they are",
            "rows minus their mean",
        ],
        &[
            "standard deviation",
            "9 dimensions of SVMax",
            "dead at or below = 0.1000",
        ],
        &["dimension", "correlation", "−1.0", "1.0", "2"],
        &[
            "component 1",
            "component 2",
            "class 19",
            "5 other classes",
            "a circle",
        ],
        &[
            "SVMax",
            "0.900",
            "of random isotropic rows of the same shape",
        ],
        &[
            "Rates",
            "contrastive",
            "learning rate",
            "Recall@1",
            "raw pixels",
            "0.01",
            "VICReg",
        ],
        &["Circles", "SVMax", "step 10", "violin"],
    ];
    for (svg, expected) in gallery().iter().zip(expected) {
        let texts = check(svg);
        for text in expected {
            assert!(
                texts.iter().any(|t| t == text),
                "{text} is not in {texts:?}"
            );
        }
    }
}

#[test]
fn a_method_keeps_its_color_and_baselines_are_gray() {
    let svg = bars(&chart(), &palette());
    let rects = |color: &str| {
        svg.lines()
            .filter(|l| l.starts_with("<rect") && l.contains(color))
            .count()
    };
    assert_eq!(
        rects("#CC79A7"),
        1,
        "k-NN of SVMax, the fourth of the palette"
    );
    assert_eq!(rects("#009E73"), 1, "k-NN of VICReg, the third");
    assert_eq!(rects("#808080"), 1, "k-NN of the baseline");
}

#[test]
fn values_that_cannot_be_drawn_do_no_harm() {
    let palette = Palette::new(["a"]);
    let lists: [Vec<f64>; 11] = [
        vec![],
        vec![f64::NAN],
        vec![f64::INFINITY, f64::NEG_INFINITY],
        vec![0.0],
        vec![0.0; 5],
        vec![-2.0, -2.0],
        vec![1.0],
        vec![1.0, f64::NAN, 3.0, f64::INFINITY],
        vec![f64::MAX, f64::MIN],
        vec![1e100, -1e100, 1e-300],
        vec![f64::MIN_POSITIVE, 5e-324],
    ];
    for values in lists {
        for (rows, columns) in [(4, 4), (0, 0), (1, 9), (7, 0)] {
            let spectrum = Spectrum {
                singular_values: values.clone(),
                rows,
                columns,
            };
            let runs = [SpectrumRun {
                name: "a".into(),
                embedding: spectrum.clone(),
                representation: spectrum,
            }];
            check(&singular_value_spectrum("t", &runs, &palette));
            for axis_min in [0.0, 50.0, -1e300, f64::NAN] {
                let chart = BarChart {
                    title: "t".into(),
                    axis_label: "x".into(),
                    axis_min,
                    metrics: vec!["k-NN".into()],
                    groups: vec![BarGroup {
                        name: "a".into(),
                        values: values.clone(),
                    }],
                };
                check(&bars(&chart, &palette));
                check(&headline("t", &runs, &chart, &palette));
            }
        }
        let stds = [DimensionStdRun {
            name: "a".into(),
            embedding: values.clone(),
            representation: vec![],
        }];
        check(&dimension_std("t", &stds, Some(f64::NAN), &palette));
        for svg in of_one_embedding(&values) {
            check(&svg);
        }
        check(&trends(
            "t",
            "x",
            &[trend_panel(&values, &values)],
            &palette,
        ));
        check(&trends("t", "x", &[], &palette));
        check(&circles("t", &[circle_row(&values)], &[], &palette));
        let points = values.iter().map(|&value| (value, value)).collect();
        let series = vec![Series {
            name: "a".into(),
            points,
        }];
        let term = Term {
            name: "t".into(),
            y_label: "y".into(),
            series,
        };
        check(&terms_over_time("t", "x", &[term], &palette));
    }
}

#[test]
fn plots_of_nothing_say_so() {
    let palette = Palette::new(Vec::<String>::new());
    let chart = BarChart {
        title: String::new(),
        axis_label: String::new(),
        axis_min: 0.0,
        metrics: vec![],
        groups: vec![],
    };
    check(&terms_over_time("", "", &[], &palette));
    check(&bars(&chart, &palette));
    for svg in [
        singular_value_spectrum("", &[], &palette),
        dimension_std("", &[], None, &palette),
        headline("", &[], &chart, &palette),
    ] {
        assert!(check(&svg).iter().any(|text| text == "no data"));
    }
}

#[test]
fn long_and_hostile_names_stay_on_the_page() {
    let palette = Palette::new(["a"]);
    let name = "\u{1}<&>\"' method ".repeat(12);
    let runs = [run(&name, |_| 1.0)];
    let chart = BarChart {
        title: name.clone(),
        groups: vec![BarGroup {
            name: name.clone(),
            values: vec![1.0, 2.0],
        }],
        ..chart()
    };
    let texts = check(&headline(&name, &runs, &chart, &palette));
    assert!(
        texts
            .iter()
            .any(|text| *text == name.replace('\u{1}', "").trim())
    );
}

#[test]
fn a_long_title_takes_two_lines() {
    let svg = |title: &str| sorted_std(title, "SVMax", &[1.0, 0.5], None, &palette());
    let texts = check(&svg("Deviations: short"));
    assert!(texts.iter().any(|text| text == "Deviations: short"));
    let name = "runs/a-long-name/epoch-100/embedding.npy";
    let texts = check(&svg(&format!("Deviations of the dimensions: {name}")));
    assert!(
        texts
            .iter()
            .any(|text| text == "Deviations of the dimensions")
    );
    assert!(texts.iter().any(|text| text == name));
}

#[test]
fn save_writes_the_text_and_names_a_file_it_cannot_write() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("bars.svg");
    let svg = bars(&chart(), &palette());
    save(&path, &svg).expect("the file is written");
    assert_eq!(
        std::fs::read_to_string(&path).expect("the file is read"),
        svg
    );

    let missing = folder.path().join("missing").join("bars.svg");
    let error = save(&missing, &svg).expect_err("the folder is missing");
    assert!(error.to_string().contains("bars.svg"), "{error}");
}

/// Two measurements at each of three settings and a line through their means, for each method.
#[test]
fn a_trend_shows_every_measurement() {
    let panel = trend_panel(&[0.01, 0.1, 1.0], &[0.2, 0.25]);
    let svg = trends("Rates", "learning rate", &[panel], &palette());
    let dots = |color: &str| {
        let circles = svg.lines().filter(|line| line.starts_with("<circle"));
        circles.filter(|line| line.contains(color)).count()
    };
    assert_eq!(dots("#CC79A7"), 6);
    assert_eq!(dots("#009E73"), 6);
}
