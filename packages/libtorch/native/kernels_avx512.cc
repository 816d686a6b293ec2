// float with AVX-512.
#include "kernels.h"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,prefer-vector-width=512")
#include "floats_avx512.h"

namespace kernels {
namespace {
struct Simd : Floats {
  using Element = float;
  static constexpr int pair = 1;
  static INLINED Vector spread(const uint32_t* from) { return _mm512_set1_ps(*reinterpret_cast<const float*>(from)); }
  static INLINED Vector multiply_add(Vector sum, Vector a, Vector b) { return _mm512_fmadd_ps(a, b, sum); }
  static INLINED Vector wide(const Element* from) { return load(from); }
  static INLINED void put(Element* to, Vector value) { store(to, value); }
};
}  // namespace
const Kernels* const avx512_float = &Made<Simd>::table;
}  // namespace kernels
#else
namespace kernels { const Kernels* const avx512_float = nullptr; }
#endif
