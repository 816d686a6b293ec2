// bfloat16 with AVX512-BF16, whose dot products of pairs have twice the rate of float, and with AMX on top of it.
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
  static INLINED Vector wide(const Element* from) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from))), 16));
  }
  static INLINED void put(Element* to, Vector value) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(value))); }
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

#include "amx.h"

namespace kernels {
const Kernels* const avx512_bf16 = &Made<Simd>::table;
const Kernels* const amx_bf16 = &Amx<HardwareTiles>::table;
const Kernels* const amx_emulated = &Amx<EmulatedTiles>::table;
}  // namespace kernels
#else
namespace kernels { const Kernels *const avx512_bf16 = nullptr, *const amx_bf16 = nullptr, *const amx_emulated = nullptr; }
#endif
