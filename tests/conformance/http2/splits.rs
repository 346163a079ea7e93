//! Ways to split the bytes of a case.

use super::record::Case;

/// Longer cases are not split at every position.
const SHORT: usize = 300;

/// Longer cases are sent in pieces of [`PIECE`] bytes instead of byte by byte.
const MEDIUM: usize = 2_000;
const PIECE: usize = 997;

#[derive(Debug, Clone, Copy)]
pub(crate) enum Split {
    /// The bytes of each step are whole.
    Whole,
    /// In two at this position, counted over all steps.
    At(usize),
    /// In pieces of this length.
    Pieces(usize),
}

impl Split {
    /// All ways for a case. The opening, which all cases have, is split only into pieces.
    pub(crate) fn all(case: &Case) -> Vec<Self> {
        let length = case.steps.iter().map(|step| step.bytes.len()).sum();
        let mut splits = vec![Self::Whole];
        match length {
            0..SHORT => splits.extend((case.opening..length).map(Self::At)),
            _ => splits.extend([length / 2, length - 1].map(Self::At)),
        }
        splits.push(Self::Pieces(match length {
            0..MEDIUM => 1,
            _ => PIECE,
        }));
        splits
    }

    /// The parts of a step that begins at this position.
    pub(crate) fn parts(self, bytes: &[u8], start: usize) -> Vec<&[u8]> {
        match self {
            Self::At(position) if (start..start + bytes.len()).contains(&position) => {
                let (first, second) = bytes.split_at(position - start);
                vec![first, second]
            }
            Self::Whole | Self::At(_) => vec![bytes],
            Self::Pieces(length) => bytes.chunks(length).collect(),
        }
    }
}
