// What both AVX-512 Simds compute in: sixteen floats. Included after the target pragma.
#pragma once
#include "kernels_impl.h"

#include <immintrin.h>

namespace kernels {
namespace {
struct Floats {
  using Vector = __m512;
  static constexpr int lanes = 16, rows = 14;  // 28 sums, 2 of b and 1 of a fill the 32 registers
  static INLINED Vector zero() { return _mm512_setzero_ps(); }
  static INLINED Vector load(const void* from) { return _mm512_loadu_ps(from); }
  static INLINED void store(float* to, Vector value) { _mm512_storeu_ps(to, value); }
  static INLINED Vector all(float value) { return _mm512_set1_ps(value); }
  static INLINED Vector add(Vector a, Vector b) { return _mm512_add_ps(a, b); }
  static INLINED Vector subtract(Vector a, Vector b) { return _mm512_sub_ps(a, b); }
  static INLINED Vector multiply(Vector a, Vector b) { return _mm512_mul_ps(a, b); }
  static INLINED Vector fused(Vector a, Vector b, Vector c) { return _mm512_fmadd_ps(a, b, c); }
  static INLINED Vector where_positive(Vector x, Vector yes, Vector no) { return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(x, zero(), _CMP_GT_OQ), no, yes); }
  static INLINED float total(Vector a) { return _mm512_reduce_add_ps(a); }
};
}  // namespace
}  // namespace kernels
