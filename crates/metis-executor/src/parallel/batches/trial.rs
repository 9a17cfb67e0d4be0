//! Whether batches do well: where their transactions hardly need each other.

/// Points that may be lost before batches are given up.
const POINTS: u32 = 640;
/// For tests, in which that should happen often.
const POINTS_NEARLY_NONE: u32 = 40;

/// For a transaction that was run ahead and stands, and for one that was run again: as many of these as one in twenty of
/// those are borne.
const HELD: u32 = 1;
const AGAIN: u32 = 20;

/// How soon batches are given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endurance {
    Usual,
    NearlyNone,
    /// They are not.
    Endless,
}

/// How well a block's batches do; kept at the desk.
pub(super) struct Trial {
    /// Points that may still be lost, and at most.
    points: Option<(u32, u32)>,
}

impl Trial {
    pub(super) const fn of(endurance: Endurance) -> Self {
        Self {
            points: match endurance {
                Endurance::Usual => Some((POINTS, POINTS)),
                Endurance::NearlyNone => Some((POINTS_NEARLY_NONE, POINTS_NEARLY_NONE)),
                Endurance::Endless => None,
            },
        }
    }

    /// Transactions of a batch that was run ahead stand, and others were run again.
    pub(super) fn count(&mut self, held: u32, again: u32) {
        if let Some((left, most)) = &mut self.points {
            *left = left.saturating_add(held * HELD).min(*most).saturating_sub(again * AGAIN);
        }
    }

    /// Whether the rest of the block should be run in another way.
    pub(super) fn has_failed(&self) -> bool {
        self.points.is_some_and(|(left, _)| left == 0)
    }
}
