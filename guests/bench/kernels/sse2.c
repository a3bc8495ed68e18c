/** SSE2: packed doubles and packed integers. Compiled with vector registers even where the rest of a kernel is not. */
#include <emmintrin.h>

#include "kernels.h"

word loop_sse2(word iterations) {
  __m128d x = _mm_set_pd(1.0, 2.0), y = _mm_set_pd(0.999999, 1.000001), s = _mm_setzero_pd();
  __m128i a = _mm_set_epi32(1, 2, 3, 4), b = _mm_set_epi32(5, 6, 7, 8);
  for (word i = 0; i < iterations; i++) {
    x = _mm_mul_pd(x, y);
    s = _mm_add_pd(s, x);
    a = _mm_add_epi32(a, b);
    b = _mm_xor_si128(_mm_slli_epi32(b, 1), a);
    a = _mm_shuffle_epi32(a, 0x39);
  }
  word out[2], sums[2];
  _mm_storeu_si128((__m128i *)out, _mm_xor_si128(a, b));
  _mm_storeu_pd((double *)sums, s);
  return out[0] ^ out[1] ^ sums[0] ^ sums[1];
}
