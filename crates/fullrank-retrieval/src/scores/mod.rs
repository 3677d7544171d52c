//! Retrieval scores.
