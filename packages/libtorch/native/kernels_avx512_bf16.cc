// bfloat16 with AVX512-BF16, whose dot products of pairs have twice the rate of float, and with AMX on top of it.
#include "kernels.h"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 10
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx2,fma,prefer-vector-width=512")
#include "floats_avx512.h"

namespace kernels {
namespace {
struct Simd : Floats {
  using Element = uint16_t;
  static constexpr int pair = 2;
  static INLINED Vector spread(const uint32_t* from) { return _mm512_castsi512_ps(_mm512_set1_epi32(static_cast<int>(*from))); }
  static INLINED Vector multiply_add(Vector sum, Vector a, Vector b) { return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b)); }
  static INLINED Vector wide(const Element* from) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from))), 16));
  }
  static INLINED void put(Element* to, Vector value) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(value))); }
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
