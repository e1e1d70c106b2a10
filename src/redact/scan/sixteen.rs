//! Sixteen bytes compared at once, with what every x86-64 processor has.

use std::arch::x86_64::{
    __m128i, _mm_cmpeq_epi8, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set_epi64x,
    _mm_set1_epi8, _mm_sub_epi8,
};

/// Marks the bytes that [`super::Notable`] names, a bit each.
#[inline(always)]
pub(super) fn notable(bytes: &[u8; 16]) -> u32 {
    // SAFETY: every x86-64 processor has SSE2.
    unsafe { notable_marks(bytes) }
}

/// Marks the bytes that [`super::Delimiter`] names, a bit each.
#[inline(always)]
pub(super) fn delimiter(bytes: &[u8; 16]) -> u32 {
    // SAFETY: every x86-64 processor has SSE2.
    unsafe { delimiter_marks(bytes) }
}

#[inline]
#[target_feature(enable = "sse2")]
fn notable_marks(bytes: &[u8; 16]) -> u32 {
    let bytes = load(bytes);
    let from_colon = _mm_sub_epi8(bytes, all(b':'));
    let ranges = _mm_or_si128(up_to(bytes, b'&'), up_to(from_colon, b'?' - b':'));
    mask(_mm_or_si128(ranges, equal(bytes, b'\\')))
}

#[inline]
#[target_feature(enable = "sse2")]
fn delimiter_marks(bytes: &[u8; 16]) -> u32 {
    let bytes = load(bytes);
    let ends = _mm_or_si128(equal(bytes, b'"'), equal(bytes, b'\\'));
    mask(_mm_or_si128(up_to(bytes, 0x1F), ends))
}

#[inline]
#[target_feature(enable = "sse2")]
fn load(bytes: &[u8; 16]) -> __m128i {
    let halves = u128::from_le_bytes(*bytes);
    _mm_set_epi64x((halves >> 64) as i64, halves as i64)
}

#[inline]
#[target_feature(enable = "sse2")]
fn all(byte: u8) -> __m128i {
    _mm_set1_epi8(byte as i8)
}

#[inline]
#[target_feature(enable = "sse2")]
fn equal(bytes: __m128i, byte: u8) -> __m128i {
    _mm_cmpeq_epi8(bytes, all(byte))
}

/// There is no comparison of unsigned bytes: what the smaller of two is the first of is not greater.
#[inline]
#[target_feature(enable = "sse2")]
fn up_to(bytes: __m128i, greatest: u8) -> __m128i {
    _mm_cmpeq_epi8(_mm_min_epu8(bytes, all(greatest)), bytes)
}

#[inline]
#[target_feature(enable = "sse2")]
fn mask(marked: __m128i) -> u32 {
    _mm_movemask_epi8(marked) as u32
}
