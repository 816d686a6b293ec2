// float with AVX2.
#include "kernels.h"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#pragma GCC target("avx2,fma")
#include "kernels_impl.h"

#include <immintrin.h>

namespace kernels {
namespace {
struct Simd {
  using Element = float;
  using Vector = __m256;
  static constexpr int pair = 1, lanes = 8, rows = 6;  // 12 sums, 2 of b and 1 of a of 16 registers
  static INLINED Vector zero() { return _mm256_setzero_ps(); }
  static INLINED Vector load(const void* from) { return _mm256_loadu_ps(static_cast<const float*>(from)); }
  static INLINED void store(float* to, Vector value) { _mm256_storeu_ps(to, value); }
  static INLINED Vector spread(const uint32_t* from) { return _mm256_broadcast_ss(reinterpret_cast<const float*>(from)); }
  static INLINED Vector multiply_add(Vector sum, Vector a, Vector b) { return _mm256_fmadd_ps(a, b, sum); }
  static INLINED Vector wide(const Element* from) { return load(from); }
  static INLINED void put(Element* to, Vector value) { store(to, value); }
  static INLINED Vector all(float value) { return _mm256_set1_ps(value); }
  static INLINED Vector add(Vector a, Vector b) { return _mm256_add_ps(a, b); }
  static INLINED Vector subtract(Vector a, Vector b) { return _mm256_sub_ps(a, b); }
  static INLINED Vector multiply(Vector a, Vector b) { return _mm256_mul_ps(a, b); }
  static INLINED Vector fused(Vector a, Vector b, Vector c) { return _mm256_fmadd_ps(a, b, c); }
  static INLINED Vector where_positive(Vector x, Vector yes, Vector no) { return _mm256_blendv_ps(no, yes, _mm256_cmp_ps(x, zero(), _CMP_GT_OQ)); }
  static INLINED float total(Vector a) {
    const __m128 half = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1)), pair = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(pair, _mm_movehdup_ps(pair)));
  }
};
}  // namespace
const Kernels* const avx2_float = &Made<Simd>::table;
}  // namespace kernels
#else
namespace kernels { const Kernels* const avx2_float = nullptr; }
#endif
