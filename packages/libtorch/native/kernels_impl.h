// The kernels of kernels.h over a `Simd`: what a unit is, how wide a vector, how many rows a tile. Included after the target pragma.
#include "kernels.h"

#pragma GCC optimize("no-trapping-math")  // else no comparison of floats becomes a select, and no loop with one a vector loop
#define UNROLLED _Pragma("GCC unroll 32")

namespace kernels {
namespace {

// One register tile: Rows × one or two vectors, instead of what is in c or, Add, on top of it. By rows (`row` apart, units next to each other)
// or, Transposed, by columns (units `row` apart).
template <class S, int Vectors, int Rows, bool Transposed, bool Add>
INLINED void tile(const uint32_t* a, ptrdiff_t row, const ptrdiff_t* taps, int tap_count, int64_t units, const uint32_t* b, float* c, int64_t ldc) {
  typename S::Vector sums[Rows][Vectors];
  UNROLLED for (int i = 0; i < Rows; i++) {
    UNROLLED for (int v = 0; v < Vectors; v++) sums[i][v] = Add ? S::load(c + i * ldc + v * S::lanes) : S::zero();
  }
  for (int t = 0; t < tap_count; t++) {
    const uint32_t* at = a + taps[t];
    _Pragma("GCC unroll 2") for (int64_t u = 0; u < units; u++, at += Transposed ? row : 1, b += Vectors * S::lanes) {
      typename S::Vector right[Vectors];
      UNROLLED for (int v = 0; v < Vectors; v++) right[v] = S::load(b + v * S::lanes);
      UNROLLED for (int i = 0; i < Rows; i++) {
        const auto spread = S::spread(Transposed ? at + i : at + i * row);
        UNROLLED for (int v = 0; v < Vectors; v++) sums[i][v] = S::multiply_add(sums[i][v], spread, right[v]);
      }
    }
  }
  UNROLLED for (int i = 0; i < Rows; i++) {
    UNROLLED for (int v = 0; v < Vectors; v++) S::store(c + i * ldc + v * S::lanes, sums[i][v]);
  }
}

template <class S, int Vectors, int Rows, bool Transposed, bool Add>
__attribute__((noinline)) void one_tile(const uint32_t* a, ptrdiff_t row, const ptrdiff_t* taps, int tap_count, int64_t units, const uint32_t* b, float* c, int64_t ldc) {
  tile<S, Vectors, Rows, Transposed, Add>(a, row, taps, tap_count, units, b, c, ldc);
}

// Rows of a tile: all sums, a panel's row and one of a fill the registers.
template <class S, int Vectors> constexpr int rows_of = Vectors == 2 ? S::rows : 2 * S::rows;

template <class S, int Vectors, bool Transposed, bool Add, int Rows = rows_of<S, Vectors>>
void tile_of(int64_t rows, const uint32_t* a, ptrdiff_t row, const ptrdiff_t* taps, int tap_count, int64_t units, const uint32_t* b, float* c, int64_t ldc) {
  if constexpr (Rows > 0) {
    if (rows == Rows) one_tile<S, Vectors, Rows, Transposed, Add>(a, row, taps, tap_count, units, b, c, ldc);
    else tile_of<S, Vectors, Transposed, Add, Rows - 1>(rows, a, row, taps, tap_count, units, b, c, ldc);
  }
}

// Rows in tiles of nearly equal size: a last tile of one row would waste most of its time.
template <class S, int Vectors, bool Transposed, bool Add>
void tiles(const uint32_t* a, ptrdiff_t row, const ptrdiff_t* taps, int tap_count, int64_t units, const uint32_t* b, int64_t rows, float* c, int64_t ldc) {
  const int64_t count = (rows + rows_of<S, Vectors> - 1) / rows_of<S, Vectors>;
  for (int64_t t = 0; t < count; t++) {
    const int64_t from = rows * t / count, to = rows * (t + 1) / count;
    tile_of<S, Vectors, Transposed, Add>(to - from, a + from * (Transposed ? 1 : row), row, taps, tap_count, units, b, c + from * ldc, ldc);
  }
}

// One column of T under the names of a Simd: for what is left of a sweep when no vector fits any more.
template <class T> struct Single {
  using Element = T;
  using Vector = float;
  static constexpr int lanes = 1;
  static INLINED float load(const float* from) { return *from; }
  static INLINED void store(float* to, float value) { *to = value; }
  static INLINED float wide(const T* from) { return widen(*from); }
  static INLINED void put(T* to, float value) { *to = narrow<T>(value); }
  static INLINED float all(float value) { return value; }
  static INLINED float add(float a, float b) { return a + b; }
  static INLINED float subtract(float a, float b) { return a - b; }
  static INLINED float multiply(float a, float b) { return a * b; }
  static INLINED float fused(float a, float b, float c) { return a * b + c; }
  static INLINED float where_positive(float x, float yes, float no) { return x > 0 ? yes : no; }
};

// Values of some columns, in registers: n vectors.
template <class S, int n> struct Columns {
  typename S::Vector v[n];
#define EACH UNROLLED for (int i = 0; i < n; i++)
  static INLINED Columns all(float value) { Columns c; EACH c.v[i] = S::all(value); return c; }
  static INLINED Columns load(const float* from) { Columns c; EACH c.v[i] = S::load(from + i * S::lanes); return c; }
  static INLINED Columns wide(const typename S::Element* from) { Columns c; EACH c.v[i] = S::wide(from + i * S::lanes); return c; }
  INLINED void store(float* to) const { EACH S::store(to + i * S::lanes, v[i]); }
  INLINED void put(typename S::Element* to) const { EACH S::put(to + i * S::lanes, v[i]); }
  INLINED Columns operator+(Columns b) const { EACH b.v[i] = S::add(v[i], b.v[i]); return b; }
  INLINED Columns operator-(Columns b) const { EACH b.v[i] = S::subtract(v[i], b.v[i]); return b; }
  INLINED Columns operator*(Columns b) const { EACH b.v[i] = S::multiply(v[i], b.v[i]); return b; }
  // a · b + c
  static INLINED Columns fused(Columns a, Columns b, Columns c) { EACH c.v[i] = S::fused(a.v[i], b.v[i], c.v[i]); return c; }
  // x, times the slope where `of` isn't positive: LeakyReLU, or its gradient.
  static INLINED Columns leaky(Columns of, Columns x, Columns slope) { EACH x.v[i] = S::where_positive(of.v[i], x.v[i], S::multiply(x.v[i], slope.v[i])); return x; }
#undef EACH
};

// Calls sweep(Columns, first column) for all columns, two vectors at a time as long as that goes: 32 bfloat16 are a cache line.
template <class S, class Sweep> INLINED void sweep_columns(int64_t columns, const Sweep& sweep) {
  int64_t j = 0;
  for (; j + 2 * S::lanes <= columns; j += 2 * S::lanes) sweep(Columns<S, 2>(), j);
  for (; j + S::lanes <= columns; j += S::lanes) sweep(Columns<S, 1>(), j);
  for (; j < columns; j++) sweep(Columns<Single<typename S::Element>, 1>(), j);
}

template <class S> struct Made {
  using T = typename S::Element;

  static void multiply(const void* a, ptrdiff_t row, const ptrdiff_t* taps, int tap_count, int64_t units, const uint32_t* b, int64_t width, int64_t rows, float* c, int64_t ldc) {
    if (width == S::lanes) tiles<S, 1, false, false>(static_cast<const uint32_t*>(a), row, taps, tap_count, units, b, rows, c, ldc);
    else tiles<S, 2, false, false>(static_cast<const uint32_t*>(a), row, taps, tap_count, units, b, rows, c, ldc);
  }

  static void accumulate(const uint32_t* a, int64_t lda, const uint32_t* b, int64_t width, int64_t units, int64_t rows, float* c, int64_t ldc) {
    const ptrdiff_t start = 0;
    if (width == S::lanes) tiles<S, 1, true, true>(a, lda, &start, 1, units, b, rows, c, ldc);
    else tiles<S, 2, true, true>(a, lda, &start, 1, units, b, rows, c, ldc);
  }

  static void interleave(const void* from, int64_t ldx, int64_t units, int64_t columns, int64_t width, uint32_t* out) {
    const T* x = static_cast<const T*>(from);
    for (int64_t u = 0; u < units; u++, out += width) {
      if constexpr (std::is_same_v<T, float>) {
        std::copy(x, x + columns, reinterpret_cast<float*>(out));
        x += ldx;
      } else {
        const T* __restrict next = x + ldx;
        for (int64_t c = 0; c < columns; c++) out[c] = x[c] | static_cast<uint32_t>(next[c]) << 16;
        x += 2 * ldx;
      }
      std::fill(out + columns, out + width, 0u);
    }
  }

  using Moments = Kernels::Moments;

  static void moments(const void* from, int64_t ldx, int64_t rows, int64_t columns, Moments m) {
    sweep_columns<S>(columns, [&](auto some, int64_t j) {
      using C = decltype(some);
      const T* x = static_cast<const T*>(from) + j;
      const C shift = C::wide(x);
      C sum = C::all(0), squares = C::all(0);
      for (int64_t i = 0; i < rows; i++, x += ldx) {
        const C d = C::wide(x) - shift;
        sum = sum + d;
        squares = C::fused(d, d, squares);
      }
      shift.store(m.shift + j);
      sum.store(m.sum + j);
      squares.store(m.squares + j);
    });
  }

  static void store(const float* from, int64_t ldc, const float* bias, int64_t rows, int64_t columns, void* to, int64_t ldo, bool first, Moments m) {
    sweep_columns<S>(columns, [&](auto some, int64_t j) {
      using C = decltype(some);
      const float* c = from + j;
      T* out = static_cast<T*>(to) + j;
      const C offset = bias ? C::load(bias + j) : C::all(0), shift = first ? C::load(c) + offset : C::load(m.shift + j);
      C sum = first ? C::all(0) : C::load(m.sum + j), squares = first ? C::all(0) : C::load(m.squares + j);
      for (int64_t i = 0; i < rows; i++, c += ldc, out += ldo) {
        const C value = C::load(c) + offset, d = value - shift;
        value.put(out);
        sum = sum + d;
        squares = C::fused(d, d, squares);
      }
      shift.store(m.shift + j);
      sum.store(m.sum + j);
      squares.store(m.squares + j);
    });
  }

  static void add(const float* from, int64_t ldc, bool overwrite, int64_t rows, int64_t columns, void* to, int64_t ldo) {
    sweep_columns<S>(columns, [&](auto some, int64_t j) {
      using C = decltype(some);
      const float* c = from + j;
      T* out = static_cast<T*>(to) + j;
      for (int64_t i = 0; i < rows; i++, c += ldc, out += ldo) (overwrite ? C::load(c) : C::wide(out) + C::load(c)).put(out);
    });
  }

  static void activate(const void* from, int64_t ldx, Affine norm, float slope, int64_t rows, int64_t columns, void* to, int64_t ldo) {
    sweep_columns<S>(columns, [&](auto some, int64_t j) {
      using C = decltype(some);
      const T* x = static_cast<const T*>(from) + j;
      T* out = static_cast<T*>(to) + j;
      const C scale = C::load(norm.scale + j), offset = C::load(norm.offset + j), slopes = C::all(slope);
      for (int64_t i = 0; i < rows; i++, x += ldx, out += ldo) {
        const C y = C::fused(C::wide(x), scale, offset);
        C::leaky(y, y, slopes).put(out);
      }
    });
  }

  static void gradient_sums(const void* from, int64_t ldx, const void* gradient, int64_t ldg, Affine norm, float slope, int64_t rows, int64_t columns, float* sum, float* dot) {
    sweep_columns<S>(columns, [&](auto some, int64_t j) {
      using C = decltype(some);
      const T *x = static_cast<const T*>(from) + j, *g = static_cast<const T*>(gradient) + j;
      const C mean = C::load(norm.mean + j), scale = C::load(norm.scale + j), offset = C::load(norm.offset + j), slopes = C::all(slope);
      C sums = C::load(sum + j), dots = C::load(dot + j);
      for (int64_t i = 0; i < rows; i++, x += ldx, g += ldg) {
        const C value = C::wide(x), h = C::leaky(C::fused(value, scale, offset), C::wide(g), slopes);
        sums = sums + h;
        dots = C::fused(h, value - mean, dots);
      }
      sums.store(sum + j);
      dots.store(dot + j);
    });
  }

  static void gradient(const void* from, int64_t ldx, const void* gradient, int64_t ldg, Affine norm, float slope, const float* p, const float* q, const float* r, int64_t rows,
                       int64_t columns, void* to, int64_t ldo) {
    sweep_columns<S>(columns, [&](auto some, int64_t j) {
      using C = decltype(some);
      const T *x = static_cast<const T*>(from) + j, *g = static_cast<const T*>(gradient) + j;
      T* out = static_cast<T*>(to) + j;
      const C mean = C::load(norm.mean + j), scale = C::load(norm.scale + j), offset = C::load(norm.offset + j), slopes = C::all(slope);
      const C by_h = C::load(p + j), less = C::load(q + j), by_x = C::load(r + j);
      for (int64_t i = 0; i < rows; i++, x += ldx, g += ldg, out += ldo) {
        const C value = C::wide(x), h = C::leaky(C::fused(value, scale, offset), C::wide(g), slopes);
        (C::fused(by_h, h, C::all(0) - less) - by_x * (value - mean)).put(out);
      }
    });
  }

  // Σ term(Simd, column) of a row, where a Simd's term is a vector of columns.
  template <class Term> static INLINED float total(int64_t columns, const Term& term) {
    int64_t j = 0;
    auto sums = S::all(0);
    for (; j + S::lanes <= columns; j += S::lanes) sums = S::add(sums, term(S(), j));
    float sum = S::total(sums);
    for (; j < columns; j++) sum += term(Single<T>(), j);
    return sum;
  }

  static void normalise_rows(const void* from, int64_t rows, int64_t columns, float eps, const float* weight, const float* bias, void* to, float* kept) {
    const T* x = static_cast<const T*>(from);
    T* out = static_cast<T*>(to);
    for (int64_t i = 0; i < rows; i++, x += columns, out += columns, kept += 2) {
      const float mean = total(columns, [&](auto simd, int64_t j) { return decltype(simd)::wide(x + j); }) / columns;
      const float variance = total(columns, [&](auto simd, int64_t j) {
        using P = decltype(simd);
        const auto d = P::subtract(P::wide(x + j), P::all(mean));
        return P::multiply(d, d);
      }) / columns;
      const float rstd = 1 / std::sqrt(variance + eps);
      sweep_columns<S>(columns, [&](auto some, int64_t j) {
        using C = decltype(some);
        C::fused((C::wide(x + j) - C::all(mean)) * C::all(rstd), C::load(weight + j), C::load(bias + j)).put(out + j);
      });
      kept[0] = mean;
      kept[1] = rstd;
    }
  }

  static void normalise_rows_gradient(const void* from, const void* gradient, int64_t rows, int64_t columns, const float* weight, const float* kept, void* to, float* to_weight, float* to_bias) {
    const T *x = static_cast<const T*>(from), *g = static_cast<const T*>(gradient);
    T* out = static_cast<T*>(to);
    for (int64_t i = 0; i < rows; i++, x += columns, g += columns, out += columns, kept += 2) {
      const float mean = kept[0], rstd = kept[1];
      const auto weighted = [&](auto simd, int64_t j) { using P = decltype(simd); return P::multiply(P::wide(g + j), P::load(weight + j)); };
      const float mean_h = total(columns, weighted) / columns;
      const float mean_hn = total(columns, [&](auto simd, int64_t j) { using P = decltype(simd); return P::multiply(weighted(simd, j), P::subtract(P::wide(x + j), P::all(mean))); }) * rstd / columns;
      sweep_columns<S>(columns, [&](auto some, int64_t j) {
        using C = decltype(some);
        const C n = (C::wide(x + j) - C::all(mean)) * C::all(rstd), given = C::wide(g + j);
        ((given * C::load(weight + j) - C::all(mean_h) - n * C::all(mean_hn)) * C::all(rstd)).put(out + j);
        C::fused(given, n, C::load(to_weight + j)).store(to_weight + j);
        (given + C::load(to_bias + j)).store(to_bias + j);
      });
    }
  }

  static constexpr Kernels table = {S::pair, 2 * S::lanes, multiply, accumulate, interleave, moments, store, add, activate, gradient_sums, gradient, normalise_rows, normalise_rows_gradient};
};

}  // namespace
}  // namespace kernels
