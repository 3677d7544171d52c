//! The report on embeddings of any origin.

use crate::{Embedding, Error, Report};

/// A report on embeddings of any origin, such as files, side by side: figures and pictures, and no run.
///
/// `settings` are names and values that say what was looked at, such as the command and the files; none
/// are needed.
///
/// # Errors
///
/// As [`Report::with_embeddings`].
pub fn inspect_report(
    title: &str,
    settings: &[(String, String)],
    embeddings: &[Embedding<'_>],
) -> Result<Report, Error> {
    let report = Report::new(title).with_embeddings("Embeddings", embeddings)?;
    Ok(match settings {
        [] => report,
        _ => report.with_settings("What was inspected", settings.to_vec()),
    })
}
