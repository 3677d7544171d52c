//! The allocator's memory between two evaluations.

use std::hint::black_box;
use std::sync::Once;

/// Makes glibc's allocator keep what is freed for the next evaluation, where the process does not know
/// that it should; called before an evaluation, it does something once.
///
/// By default matrices of more than 128 KiB go back to the system when they are freed, and every page of
/// the next one is a fault: a fifth of the time of SVMax at 144x128. glibc learns from the size of the
/// largest block freed so far (up to 32 MiB; `M_MMAP_THRESHOLD` in `mallopt(3)`) how much to keep: so
/// show it a large one, which, never written, costs no memory. To other allocators this is nothing.
pub(crate) fn keep_freed() {
    const LARGEST: usize = 31 << 20;
    static ONCE: Once = Once::new();
    ONCE.call_once(|| drop(black_box(Vec::<u8>::with_capacity(LARGEST))));
}
