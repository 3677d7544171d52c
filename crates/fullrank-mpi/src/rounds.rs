//! Messages in pieces: MPI counts in 32 bits what one call receives.

use std::ops::Range;

/// Which bytes of each worker's message every round exchanges, for messages of these lengths and at most `most` bytes
/// of all workers in a round, or one of each.
pub(crate) fn rounds(lengths: &[usize], most: usize) -> Vec<Vec<Range<usize>>> {
    let longest = lengths.iter().copied().max().unwrap_or(0);
    let piece = (most / lengths.len().max(1)).max(1);
    (0..longest)
        .step_by(piece)
        .map(|start| {
            let part = |&length: &usize| start.min(length)..(start + piece).min(length);
            lengths.iter().map(part).collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_have_every_byte_once_and_in_order() {
        for (lengths, most) in [
            (vec![0, 7, 20, 1], 12),
            (vec![5, 5], 1000),
            (vec![9, 0, 4], 1),
            (vec![1], 1),
        ] {
            let mut seen = vec![0; lengths.len()];
            for round in rounds(&lengths, most) {
                let bytes: usize = round.iter().map(Range::len).sum();
                assert!((1..=most.max(lengths.len())).contains(&bytes), "{round:?}");
                for (seen, part) in seen.iter_mut().zip(round) {
                    // A worker that has sent all has an empty part at its end.
                    assert_eq!(part.start, *seen);
                    *seen = part.end;
                }
            }
            assert_eq!(seen, lengths);
        }
    }

    #[test]
    fn messages_that_fit_are_one_round_and_none_is_no_round() {
        assert_eq!(rounds(&[3, 4], 8), [[0..3, 0..4]]);
        assert!(rounds(&[0, 0, 0], 8).is_empty());
    }
}
