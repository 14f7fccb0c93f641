//! The points of all trees, each value once where shingles overlap.
//!
//! The store is a list of *units* in the order of time. A unit is one block, a point is `shingle` consecutive units and
//! is named by its first: no table leads from a name to a place. A point learnt right after its predecessor adds one
//! unit. Dead units stay until the store is full, then they are squeezed out and the trees' names are rewritten.
//!
//! Names are 16 bits. Where points hardly overlap (weak decay, long shingle) the units of all live points could be more
//! than that allows; then the store switches to one unit per whole point, of which there are at most trees x sample.

/// Names below this are nodes, not points: see `tree`.
pub(super) const FIRST: u16 = 512;
/// Most units that 16-bit names can tell apart.
const UNITS_MAX: usize = 65_535 - FIRST as usize;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Points {
    /// Values of a block.
    dims_base: usize,
    /// Values of a point.
    lanes: usize,
    /// Values of a unit: `dims_base`, or `lanes` after the switch.
    unit: usize,
    /// Blocks that came since the last one in the store; `shingle` or more: nothing to share.
    gap: usize,
    values: Vec<u16>,
    /// Per unit: trees that hold the point starting there.
    holders: Vec<u8>,
    /// The store is squeezed before it grows past this many units.
    room: usize,
}

/// Where the store stood before an append, to undo it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    units: usize,
    gap: usize,
}

/// New names by old unit, which say nothing of dead units; nothing at all if every name stays.
pub(super) struct Renamed(Option<Vec<u16>>);

impl Renamed {
    #[inline]
    pub(super) fn of(&self, name: u16) -> u16 {
        self.0.as_ref().map_or(name, |names| names[usize::from(name - FIRST)])
    }

    pub(super) fn is_nothing(&self) -> bool {
        self.0.is_none()
    }
}

/// The parts of a store that a snapshot keeps.
pub(super) struct Stored<'a> {
    pub(super) whole: bool,
    pub(super) gap: usize,
    pub(super) values: &'a [u16],
}

impl Points {
    pub(super) fn new(dims_base: usize, shingle: usize) -> Points {
        let lanes = dims_base * shingle;
        Points { dims_base, lanes, unit: dims_base, gap: shingle, values: Vec::new(), holders: Vec::new(), room: 0 }
    }

    pub(super) fn restore(dims_base: usize, shingle: usize, stored: &Stored<'_>) -> Points {
        let mut points = Points::new(dims_base, shingle);
        if stored.whole {
            points.unit = points.lanes;
        }
        points.gap = stored.gap;
        points.values = stored.values.to_vec();
        points.holders = vec![0; points.values.len() / points.unit];
        points.make_room();
        points
    }

    pub(super) fn stored(&self) -> Stored<'_> {
        Stored { whole: self.is_whole(), gap: self.gap, values: &self.values }
    }

    /// The lanes of a point.
    pub(super) fn get(&self, name: u16) -> &[u16] {
        self.read::<0>(name)
    }

    /// The first value of a point.
    #[inline(always)]
    pub(super) fn first(&self, name: u16) -> u16 {
        self.values[usize::from(name - FIRST) * self.unit]
    }

    /// The lanes of a point, `L` of them, or any number if `L` is 0.
    #[inline(always)]
    pub(super) fn read<const L: usize>(&self, name: u16) -> &[u16] {
        let at = usize::from(name - FIRST) * self.unit;
        &self.values[at..at + if L == 0 { self.lanes } else { L }]
    }

    /// Whether a name from outside points into the store.
    pub(super) fn contains(&self, name: u16) -> bool {
        name >= FIRST && (usize::from(name - FIRST) * self.unit + self.lanes) <= self.values.len()
    }

    /// All values of one base dimension, shared ones once.
    pub(super) fn column(&self, dim: usize) -> impl Iterator<Item = u16> {
        self.values.iter().skip(dim).step_by(self.dims_base).copied()
    }

    /// True when [`Points::append`] may need more units than there is room for: squeeze first.
    pub(super) fn is_full(&self) -> bool {
        self.holders.len() + self.units_of_point() > self.room
    }

    /// Adds the newest point. Its name holds until the next squeeze.
    pub(super) fn append(&mut self, lanes: &[u16]) -> (u16, Mark) {
        let mark = Mark { units: self.holders.len(), gap: self.gap };
        let shared = if self.is_whole() { 0 } else { self.lanes.saturating_sub((self.gap + 1) * self.dims_base) };
        // the same blocks on the same grid give the same values; a point is never stored as anything else
        let fresh = if self.values.ends_with(&lanes[..shared]) { self.lanes - shared } else { self.lanes };
        if self.values.capacity() < self.values.len() + fresh || self.holders.capacity() == self.holders.len() {
            // a copy of a forest comes without room; lists are never left to grow by themselves
            for_capacity(&mut self.values, self.room * self.unit);
            for_capacity(&mut self.holders, self.room);
        }
        self.values.extend_from_slice(&lanes[self.lanes - fresh..]);
        self.holders.resize(self.values.len() / self.unit, 0);
        self.gap = 0;
        let first = self.holders.len() - self.units_of_point();
        (FIRST + first as u16, mark)
    }

    /// Takes back an append that no tree used.
    pub(super) fn undo(&mut self, mark: Mark) {
        self.holders.truncate(mark.units);
        self.values.truncate(mark.units * self.unit);
        self.gap = mark.gap;
    }

    /// A block came that was not appended.
    pub(super) fn skip(&mut self) {
        self.gap = (self.gap + 1).min(self.lanes / self.dims_base);
    }

    #[inline]
    pub(super) fn hold(&mut self, name: u16) {
        // a damaged snapshot could hold a point more often than there are trees; it is refused later
        let holders = &mut self.holders[usize::from(name - FIRST)];
        *holders = holders.saturating_add(1);
    }

    #[inline]
    pub(super) fn release(&mut self, name: u16) {
        self.holders[usize::from(name - FIRST)] -= 1;
    }

    pub(super) fn is_held(&self, name: u16) -> bool {
        self.holders[usize::from(name - FIRST)] > 0
    }

    /// Squeezes out dead units. The caller must rewrite every name by the answer.
    pub(super) fn squeeze(&mut self) -> Renamed {
        let (span, unit) = (self.units_of_point(), self.unit);
        // the end is still needed for the next point to overlap with
        let tail = if self.gap < span { self.holders.len().saturating_sub(span - 1) } else { self.holders.len() };
        let mut renamed = vec![0u16; self.holders.len()];
        let mut live_until = 0;
        let mut to = 0;
        for (from, name) in renamed.iter_mut().enumerate() {
            if self.holders[from] > 0 {
                live_until = from + span;
            }
            if from < live_until || from >= tail {
                *name = FIRST + to as u16;
                self.holders[to] = self.holders[from];
                self.values.copy_within(from * unit..(from + 1) * unit, to * unit);
                to += 1;
            }
        }
        self.holders.truncate(to);
        self.values.truncate(to * unit);
        let mut is_other = to < renamed.len();
        if !self.is_whole() && to + 2 * span > UNITS_MAX {
            self.part(&mut renamed);
            is_other = true;
        }
        self.make_room();
        Renamed(is_other.then_some(renamed))
    }

    /// Gives every live point a unit of its own.
    fn part(&mut self, renamed: &mut [u16]) {
        let (old, lanes) = (self.unit, self.lanes);
        let mut values = Vec::new();
        let mut holders = Vec::new();
        let mut names = vec![0u16; self.holders.len()];
        for (from, held) in self.holders.iter().enumerate().filter(|(_, held)| **held > 0) {
            names[from] = FIRST + holders.len() as u16;
            values.extend_from_slice(&self.values[from * old..from * old + lanes]);
            holders.push(*held);
        }
        for name in renamed.iter_mut().filter(|name| **name >= FIRST) {
            *name = names[usize::from(*name - FIRST)];
        }
        (self.values, self.holders, self.unit, self.gap) = (values, holders, lanes, lanes / self.dims_base);
    }

    /// Rewrites all values (a new frame). Nothing overlaps with the next point any more.
    pub(super) fn rewrite(&mut self, change: impl Fn(usize, u16) -> u16) {
        let dims = self.dims_base;
        for (i, value) in self.values.iter_mut().enumerate() {
            *value = change(i % dims, *value);
        }
        self.gap = self.lanes / self.dims_base;
    }

    pub(super) fn bytes(&self) -> usize {
        self.values.capacity() * size_of::<u16>() + self.holders.capacity()
    }

    fn is_whole(&self) -> bool {
        self.unit != self.dims_base
    }

    fn units_of_point(&self) -> usize {
        self.lanes / self.unit
    }

    /// Room for an eighth more than what lives, so that squeezing is rare.
    fn make_room(&mut self) {
        let live = self.holders.len();
        self.room = (live + (live / 8).max(2 * self.units_of_point()).max(32)).min(UNITS_MAX);
        for_capacity(&mut self.holders, self.room);
        for_capacity(&mut self.values, self.room * self.unit);
    }
}

/// Sets the capacity exactly when it is too small or wasteful.
fn for_capacity<T>(list: &mut Vec<T>, capacity: usize) {
    if list.capacity() < capacity {
        list.reserve_exact(capacity - list.len());
    } else if list.capacity() > capacity + capacity / 4 {
        list.shrink_to(capacity);
    }
}
