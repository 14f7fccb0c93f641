//! How the C library's allocator keeps memory. A chunk of input and the columns made of it take a megabyte or so each,
//! thousands of times a minute: by itself the allocator gives such pieces back to the system and asks for new ones,
//! each page of which the system clears. `etl` of a stream takes a tenth less time if they are kept, and 5 % more
//! memory at its peak.

/// Pieces below this are kept for the next one of that size.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const KEPT_BYTES: i32 = 32 << 20;
/// So much may be unused at an arena's end before it is given back.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const UNUSED_BYTES: i32 = 64 << 20;

/// To be called before there is a second thread. Other systems' allocators are as they are.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "the C library's own settings, of two numbers; nothing else sets them")]
pub(super) fn keep() {
    // SAFETY: no other thread allocates yet; a value that is not taken changes nothing
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, KEPT_BYTES);
        libc::mallopt(libc::M_TRIM_THRESHOLD, UNUSED_BYTES);
    }
}

/// Nothing to set here.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(super) fn keep() {}
