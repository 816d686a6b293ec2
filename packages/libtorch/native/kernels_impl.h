// The kernels of kernels.h over a `Simd`: what a unit is, how wide a vector, how many rows a tile. Included after the target pragma.
#include "kernels.h"

#pragma GCC optimize("no-trapping-math")  // else no comparison of floats becomes a select, and no loop with one a vector loop
#define UNROLLED _Pragma("GCC unroll 16")

namespace kernels {
namespace {

// One register tile: Rows × two vectors. By rows (`row` apart, units next to each other) or, Transposed, by columns (units `row` apart).
template <class S, int Rows, bool Transposed>
INLINED void tile(const uint32_t* a, ptrdiff_t row, const ptrdiff_t* taps, int tap_count, int64_t units, const uint32_t* b, float* c, int64_t ldc) {
  typename S::Vector sums[Rows][2];
  UNROLLED for (int i = 0; i < Rows; i++) {
    sums[i][0] = Transposed ? S::load(c + i * ldc) : S::zero();
    sums[i][1] = Transposed ? S::load(c + i * ldc + S::lanes) : S::zero();
  }
  for (int t = 0; t < tap_count; t++) {
    const uint32_t* at = a + taps[t];
    _Pragma("GCC unroll 2") for (int64_t u = 0; u < units; u++, at += Transposed ? row : 1, b += 2 * S::lanes) {
      const auto b0 = S::load(b), b1 = S::load(b + S::lanes);
      UNROLLED for (int i = 0; i < Rows; i++) {
        const auto spread = S::spread(Transposed ? at + i : at + i * row);
        sums[i][0] = S::multiply_add(sums[i][0], spread, b0);
        sums[i][1] = S::multiply_add(sums[i][1], spread, b1);
      }
    }
  }
  UNROLLED for (int i = 0; i < Rows; i++) {
    S::store(c + i * ldc, sums[i][0]);
    S::store(c + i * ldc + S::lanes, sums[i][1]);
  }
}

template <class S, int Rows, bool Transposed>
__attribute__((noinline)) void one_tile(const uint32_t* a, ptrdiff_t row, const ptrdiff_t* taps, int tap_count, int64_t units, const uint32_t* b, float* c, int64_t ldc) {
  tile<S, Rows, Transposed>(a, row, taps, tap_count, units, b, c, ldc);
}

template <class S, bool Transposed, int Rows = S::rows>
void tile_of(int64_t rows, const uint32_t* a, ptrdiff_t row, const ptrdiff_t* taps, int tap_count, int64_t units, const uint32_t* b, float* c, int64_t ldc) {
  if constexpr (Rows > 0) {
    if (rows == Rows) one_tile<S, Rows, Transposed>(a, row, taps, tap_count, units, b, c, ldc);
    else tile_of<S, Transposed, Rows - 1>(rows, a, row, taps, tap_count, units, b, c, ldc);
  }
}

// Rows in tiles of nearly equal size: a last tile of one row would waste most of its time.
template <class S, bool Transposed>
void tiles(const uint32_t* a, ptrdiff_t row, const ptrdiff_t* taps, int tap_count, int64_t units, const uint32_t* b, int64_t rows, float* c, int64_t ldc) {
  const int64_t count = (rows + S::rows - 1) / S::rows;
  for (int64_t t = 0; t < count; t++) {
    const int64_t from = rows * t / count, to = rows * (t + 1) / count;
    tile_of<S, Transposed>(to - from, a + from * (Transposed ? 1 : row), row, taps, tap_count, units, b, c + from * ldc, ldc);
  }
}

template <class S> struct Made {
  using T = typename S::Element;

  static void multiply(const void* a, ptrdiff_t row, const ptrdiff_t* taps, int tap_count, int64_t units, const uint32_t* b, int64_t rows, float* c, int64_t ldc) {
    tiles<S, false>(static_cast<const uint32_t*>(a), row, taps, tap_count, units, b, rows, c, ldc);
  }

  static void accumulate(const uint32_t* a, int64_t lda, const uint32_t* b, int64_t units, int64_t rows, float* c, int64_t ldc) {
    const ptrdiff_t start = 0;
    tiles<S, true>(a, lda, &start, 1, units, b, rows, c, ldc);
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

  template <class Row> static void begin(const Row* row, const float* bias, int64_t columns, Moments m) {
    for (int64_t j = 0; j < columns; j++) {
      m.shift[j] = widen(row[j]) + (bias ? bias[j] : 0.0f);
      m.sum[j] = m.squares[j] = 0;
    }
  }

  static void moments(const void* from, int64_t ldx, int64_t rows, int64_t columns, Moments m) {
    const T* __restrict x = static_cast<const T*>(from);
    begin(x, nullptr, columns, m);
    float *__restrict shift = m.shift, *__restrict sum = m.sum, *__restrict squares = m.squares;
    for (int64_t i = 0; i < rows; i++, x += ldx) {
      for (int64_t j = 0; j < columns; j++) {
        const float d = widen(x[j]) - shift[j];
        sum[j] += d;
        squares[j] += d * d;
      }
    }
  }

  static void store(const float* __restrict c, int64_t ldc, const float* __restrict bias, int64_t rows, int64_t columns, void* to, int64_t ldo, bool first, Moments m) {
    T* __restrict out = static_cast<T*>(to);
    if (first) begin(c, bias, columns, m);
    float *__restrict shift = m.shift, *__restrict sum = m.sum, *__restrict squares = m.squares;
    for (int64_t i = 0; i < rows; i++, c += ldc, out += ldo) {
      for (int64_t j = 0; j < columns; j++) {
        const float value = bias ? c[j] + bias[j] : c[j], d = value - shift[j];
        out[j] = narrow<T>(value);
        sum[j] += d;
        squares[j] += d * d;
      }
    }
  }

  static void add(const float* __restrict c, int64_t ldc, bool overwrite, int64_t rows, int64_t columns, void* to, int64_t ldo) {
    T* __restrict out = static_cast<T*>(to);
    for (int64_t i = 0; i < rows; i++, c += ldc, out += ldo) {
      if (overwrite) for (int64_t j = 0; j < columns; j++) out[j] = narrow<T>(c[j]);
      else for (int64_t j = 0; j < columns; j++) out[j] = narrow<T>(widen(out[j]) + c[j]);
    }
  }

  static void activate(const void* from, int64_t ldx, Affine norm, float slope, int64_t rows, int64_t columns, void* to, int64_t ldo) {
    const T* __restrict x = static_cast<const T*>(from);
    T* __restrict out = static_cast<T*>(to);
    const float *__restrict scale = norm.scale, *__restrict offset = norm.offset;
    for (int64_t i = 0; i < rows; i++, x += ldx, out += ldo) {
      for (int64_t j = 0; j < columns; j++) {
        const float y = widen(x[j]) * scale[j] + offset[j];
        out[j] = narrow<T>(y * (y > 0 ? 1.0f : slope));
      }
    }
  }

  static void gradient_sums(const void* from, int64_t ldx, const void* gradient, int64_t ldg, Affine norm, float slope, int64_t rows, int64_t columns,
                            float* __restrict sum, float* __restrict dot) {
    const T *__restrict x = static_cast<const T*>(from), *__restrict g = static_cast<const T*>(gradient);
    const float *__restrict mean = norm.mean, *__restrict scale = norm.scale, *__restrict offset = norm.offset;
    for (int64_t i = 0; i < rows; i++, x += ldx, g += ldg) {
      for (int64_t j = 0; j < columns; j++) {
        const float value = widen(x[j]), h = widen(g[j]) * (value * scale[j] + offset[j] > 0 ? 1.0f : slope);
        sum[j] += h;
        dot[j] += h * (value - mean[j]);
      }
    }
  }

  static void gradient(const void* from, int64_t ldx, const void* gradient, int64_t ldg, Affine norm, float slope, const float* __restrict p, const float* __restrict q,
                       const float* __restrict r, int64_t rows, int64_t columns, void* to, int64_t ldo) {
    const T *__restrict x = static_cast<const T*>(from), *__restrict g = static_cast<const T*>(gradient);
    T* __restrict out = static_cast<T*>(to);
    const float *__restrict mean = norm.mean, *__restrict scale = norm.scale, *__restrict offset = norm.offset;
    for (int64_t i = 0; i < rows; i++, x += ldx, g += ldg, out += ldo) {
      for (int64_t j = 0; j < columns; j++) {
        const float value = widen(x[j]), h = widen(g[j]) * (value * scale[j] + offset[j] > 0 ? 1.0f : slope);
        out[j] = narrow<T>(p[j] * h - q[j] - r[j] * (value - mean[j]));
      }
    }
  }

  static constexpr Kernels table = {S::pair, 2 * S::lanes, multiply, accumulate, interleave, moments, store, add, activate, gradient_sums, gradient};
};

}  // namespace
}  // namespace kernels
