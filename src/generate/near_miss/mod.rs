//! What looks like a fault and is none (design, section 5: rules that keep findings true). One file a group of
//! detections, as for the faults.

mod routing;
mod storing;
mod failing;
mod starting;

use super::Plot;

/// Every near-miss by the name that the truth calls it.
const GROUPS: &[&[Plot]] = &[
    &routing::PLOTS,
    &storing::PLOTS,
    &failing::PLOTS,
    &starting::PLOTS,
];

pub(super) fn plots() -> impl Iterator<Item = Plot> {
    GROUPS.iter().copied().flatten().copied()
}
