//! Copying few bytes: the call that copies so few takes longer than they do.

/// Copies so many bytes. Where both sides have room for it, a few are copied as a piece of `STEP`, the rest of which is to
/// be overwritten by what follows, or cut off.
#[inline]
pub fn copy<const STEP: usize>(from: &[u8], to: &mut [u8], length: usize) {
    match (from.first_chunk::<STEP>(), to.first_chunk_mut::<STEP>()) {
        (Some(from), Some(to)) if length <= STEP => *to = *from,
        _ => copy_exactly(from, to, length),
    }
}

/// Apart, for else the compiler makes one call of both.
#[cold]
#[inline(never)]
fn copy_exactly(from: &[u8], to: &mut [u8], length: usize) {
    to[..length].copy_from_slice(&from[..length]);
}
