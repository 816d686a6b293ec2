// bfloat16 with AVX512-BF16, whose dot products of pairs have twice the rate of float.
#include "kernels.h"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 10
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx2,fma,prefer-vector-width=512")
#include "kernels_impl.h"

#include <immintrin.h>

namespace kernels {
namespace {
struct Simd {
  using Element = uint16_t;
  using Vector = __m512;
  static constexpr int pair = 2, lanes = 16, rows = 14;  // 28 sums, 2 of b and 1 of a fill the 32 registers
  static INLINED Vector zero() { return _mm512_setzero_ps(); }
  static INLINED Vector load(const void* from) { return _mm512_loadu_ps(from); }
  static INLINED void store(float* to, Vector value) { _mm512_storeu_ps(to, value); }
  static INLINED Vector spread(const uint32_t* from) { return _mm512_castsi512_ps(_mm512_set1_epi32(static_cast<int>(*from))); }
  static INLINED Vector multiply_add(Vector sum, Vector a, Vector b) { return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b)); }
};
}  // namespace
const Kernels* const avx512_bf16 = &Made<Simd>::table;
}  // namespace kernels
#else
namespace kernels { const Kernels* const avx512_bf16 = nullptr; }
#endif
