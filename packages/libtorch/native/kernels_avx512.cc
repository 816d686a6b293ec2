// float with AVX-512.
#include "kernels.h"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,prefer-vector-width=512")
#include "kernels_impl.h"

#include <immintrin.h>

namespace kernels {
namespace {
struct Simd {
  using Element = float;
  using Vector = __m512;
  static constexpr int pair = 1, lanes = 16, rows = 14;  // 28 sums, 2 of b and 1 of a fill the 32 registers
  static INLINED Vector zero() { return _mm512_setzero_ps(); }
  static INLINED Vector load(const void* from) { return _mm512_loadu_ps(from); }
  static INLINED void store(float* to, Vector value) { _mm512_storeu_ps(to, value); }
  static INLINED Vector spread(const uint32_t* from) { return _mm512_set1_ps(*reinterpret_cast<const float*>(from)); }
  static INLINED Vector multiply_add(Vector sum, Vector a, Vector b) { return _mm512_fmadd_ps(a, b, sum); }
  static INLINED Vector wide(const Element* from) { return load(from); }
  static INLINED void put(Element* to, Vector value) { store(to, value); }
  static INLINED Vector all(float value) { return _mm512_set1_ps(value); }
  static INLINED Vector add(Vector a, Vector b) { return _mm512_add_ps(a, b); }
  static INLINED Vector subtract(Vector a, Vector b) { return _mm512_sub_ps(a, b); }
  static INLINED Vector multiply(Vector a, Vector b) { return _mm512_mul_ps(a, b); }
  static INLINED Vector fused(Vector a, Vector b, Vector c) { return _mm512_fmadd_ps(a, b, c); }
  static INLINED Vector where_positive(Vector x, Vector yes, Vector no) { return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(x, zero(), _CMP_GT_OQ), no, yes); }
  static INLINED float total(Vector a) { return _mm512_reduce_add_ps(a); }
};
}  // namespace
const Kernels* const avx512_float = &Made<Simd>::table;
}  // namespace kernels
#else
namespace kernels { const Kernels* const avx512_float = nullptr; }
#endif
