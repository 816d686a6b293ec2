// Products of bfloat16 by AMX, whose tiles of 16 rows of 64 bytes multiply 16×32 by 32×16 values in one instruction. Included by
// kernels_avx512_bf16.cc, whose kernels take what no whole tile covers, and the sweeps.
//
// The right side as it is packed, [unit][column], is what the instruction wants there; the left side of `accumulate` is packed like that too,
// so its product is computed transposed. `Tiles` is the processor's or, for machines without, an emulation of the same instructions.
#pragma once

namespace kernels {
namespace {

constexpr int kSide = 16;  // rows of a tile, and its units or floats a row

struct HardwareTiles {
  // The tiles' shapes, as ldtilecfg reads them; palette 0: no tiles.
  struct alignas(64) Shapes { uint8_t palette, start, reserved[14]; uint16_t row_bytes[16]; uint8_t rows[16]; };
  static_assert(sizeof(Shapes) == 64);
  // Tiles belong to a thread, and oneDNN uses them too and may count on its shapes: they are put back.
  static Shapes begin() {
    const Shapes ours = {1, 0, {}, {64, 64, 64, 64, 64, 64, 64, 64}, {16, 16, 16, 16, 16, 16, 16, 16}};
    Shapes before;
    __asm__ volatile("sttilecfg %0" : "=m"(before)::"memory");
    __asm__ volatile("ldtilecfg %0" ::"m"(ours) : "memory");
    return before;
  }
  static void end(const Shapes& before) {
    if (before.palette == 0) __asm__ volatile("tilerelease" ::: "memory");
    else __asm__ volatile("ldtilecfg %0" ::"m"(before) : "memory");
  }
  template <int T> static INLINED void zero() { __asm__ volatile("tilezero %%tmm%c0" ::"i"(T)); }
  template <int T> static INLINED void load(const void* from, ptrdiff_t stride) { __asm__ volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(from), "r"(stride), "i"(T) : "memory"); }
  template <int T> static INLINED void store(void* to, ptrdiff_t stride) { __asm__ volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(to), "r"(stride), "i"(T) : "memory"); }
  // sum[row][column] += Σ_unit left[row][unit] · right[unit][column]
  template <int Sum, int Left, int Right> static INLINED void multiply() { __asm__ volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(Sum), "i"(Left), "i"(Right)); }
};

struct EmulatedTiles {
  static inline thread_local uint32_t tiles[8][kSide][kSide];
  struct Shapes {};
  static Shapes begin() {
    std::memset(tiles, 0xff, sizeof(tiles));  // NaN: nothing may count on what was there
    return {};
  }
  static void end(const Shapes&) {}
  template <int T> static void zero() { std::memset(tiles[T], 0, sizeof(tiles[T])); }
  template <int T> static void load(const void* from, ptrdiff_t stride) {
    for (int i = 0; i < kSide; i++) std::memcpy(tiles[T][i], static_cast<const char*>(from) + i * stride, sizeof(tiles[T][i]));
  }
  template <int T> static void store(void* to, ptrdiff_t stride) {
    for (int i = 0; i < kSide; i++) std::memcpy(static_cast<char*>(to) + i * stride, tiles[T][i], sizeof(tiles[T][i]));
  }
  template <int Sum, int Left, int Right> static void multiply() {
    const auto half = [](uint32_t unit, int which) { return widen(static_cast<uint16_t>(unit >> 16 * which)); };
    for (int i = 0; i < kSide; i++) for (int j = 0; j < kSide; j++) {
      float sum;
      std::memcpy(&sum, &tiles[Sum][i][j], 4);
      for (int u = 0; u < kSide; u++) for (int which = 0; which < 2; which++) sum += half(tiles[Left][i][u], which) * half(tiles[Right][u][j], which);
      std::memcpy(&tiles[Sum][i][j], &sum, 4);
    }
  }
};

// 16×16 values of 32 bits, rows to columns.
INLINED void transpose(__m512i* r) {
  __m512i t[16];
  UNROLLED for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
  }
  UNROLLED for (int i = 0; i < 16; i += 4) {  // then a lane holds four rows of a column: of columns j, 4 + j, 8 + j, 12 + j in r[i + j]
    r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  UNROLLED for (int j = 0; j < 4; j++) {
    const __m512i low = _mm512_shuffle_i32x4(r[j], r[4 + j], 0x88), high = _mm512_shuffle_i32x4(r[8 + j], r[12 + j], 0x88);  // columns j and 8 + j
    const __m512i odd_low = _mm512_shuffle_i32x4(r[j], r[4 + j], 0xdd), odd_high = _mm512_shuffle_i32x4(r[8 + j], r[12 + j], 0xdd);  // 4 + j and 12 + j
    t[j] = _mm512_shuffle_i32x4(low, high, 0x88);
    t[8 + j] = _mm512_shuffle_i32x4(low, high, 0xdd);
    t[4 + j] = _mm512_shuffle_i32x4(odd_low, odd_high, 0x88);
    t[12 + j] = _mm512_shuffle_i32x4(odd_low, odd_high, 0xdd);
  }
  UNROLLED for (int i = 0; i < 16; i++) r[i] = t[i];
}

template <class Tiles> struct Amx {
  using Rest = Made<Simd>;
  static constexpr int64_t kUnits = 128;  // of `accumulate` at once: what is transposed of the right side stays in the nearest cache

  // Sums in tiles 0 to 3, [row][vector]; the left side in 4 and 5, the right in 6 and 7.
  template <int Rows, int Vectors> static void block(const uint32_t* a, ptrdiff_t row, const ptrdiff_t* taps, int tap_count, int64_t units, int64_t whole, const uint32_t* b, float* c, int64_t ldc) {
    constexpr int width = Vectors * kSide;
    Tiles::template zero<0>();
    if constexpr (Vectors == 2) Tiles::template zero<1>();
    if constexpr (Rows == 2) Tiles::template zero<2>();
    if constexpr (Rows == 2 && Vectors == 2) Tiles::template zero<3>();
    for (int t = 0; t < tap_count; t++) {
      for (int64_t u = 0; u < whole; u += kSide) {
        const uint32_t *left = a + taps[t] + u, *right = b + (t * units + u) * width;
        Tiles::template load<4>(left, row * 4);
        if constexpr (Rows == 2) Tiles::template load<5>(left + kSide * row, row * 4);
        Tiles::template load<6>(right, width * 4);
        if constexpr (Vectors == 2) Tiles::template load<7>(right + kSide, width * 4);
        Tiles::template multiply<0, 4, 6>();
        if constexpr (Vectors == 2) Tiles::template multiply<1, 4, 7>();
        if constexpr (Rows == 2) Tiles::template multiply<2, 5, 6>();
        if constexpr (Rows == 2 && Vectors == 2) Tiles::template multiply<3, 5, 7>();
      }
    }
    Tiles::template store<0>(c, ldc * 4);
    if constexpr (Vectors == 2) Tiles::template store<1>(c + kSide, ldc * 4);
    if constexpr (Rows == 2) Tiles::template store<2>(c + kSide * ldc, ldc * 4);
    if constexpr (Rows == 2 && Vectors == 2) Tiles::template store<3>(c + kSide * ldc + kSide, ldc * 4);
  }

  template <int Vectors> static void multiply_by(const uint32_t* a, ptrdiff_t row, const ptrdiff_t* taps, int tap_count, int64_t units, const uint32_t* b, int64_t rows, float* c, int64_t ldc) {
    const int64_t whole = units / kSide * kSide, whole_rows = rows / kSide * kSide, width = Vectors * kSide;
    if (whole == 0 || whole_rows == 0) return Rest::multiply(a, row, taps, tap_count, units, b, width, rows, c, ldc);
    const auto before = Tiles::begin();
    int64_t i = 0;
    for (; i + 2 * kSide <= whole_rows; i += 2 * kSide) block<2, Vectors>(a + i * row, row, taps, tap_count, units, whole, b, c + i * ldc, ldc);
    if (i < whole_rows) block<1, Vectors>(a + i * row, row, taps, tap_count, units, whole, b, c + i * ldc, ldc);
    Tiles::end(before);
    for (int t = 0; t < tap_count && whole < units; t++) tiles<Simd, Vectors, false, true>(a + whole, row, taps + t, 1, units - whole, b + (t * units + whole) * width, whole_rows, c, ldc);
    if (whole_rows < rows) Rest::multiply(a + whole_rows * row, row, taps, tap_count, units, b, width, rows - whole_rows, c + whole_rows * ldc, ldc);
  }

  static void multiply(const void* a, ptrdiff_t row, const ptrdiff_t* taps, int tap_count, int64_t units, const uint32_t* b, int64_t width, int64_t rows, float* c, int64_t ldc) {
    if (width == kSide) multiply_by<1>(static_cast<const uint32_t*>(a), row, taps, tap_count, units, b, rows, c, ldc);
    else multiply_by<2>(static_cast<const uint32_t*>(a), row, taps, tap_count, units, b, rows, c, ldc);
  }

  // c[0..16)[0..16) += tile T, transposed.
  template <int T> static void add_transposed(float* c, int64_t ldc) {
    alignas(64) float sums[kSide][kSide];
    Tiles::template store<T>(sums, sizeof(sums[0]));
    __m512i rows[kSide];
    UNROLLED for (int i = 0; i < kSide; i++) rows[i] = _mm512_load_si512(sums[i]);
    transpose(rows);
    UNROLLED for (int i = 0; i < kSide; i++) _mm512_storeu_ps(c + i * ldc, _mm512_add_ps(_mm512_loadu_ps(c + i * ldc), _mm512_castsi512_ps(rows[i])));
  }

  // Sums in tiles 0 to 3, [vector][row], transposed: columns of c are their rows.
  template <int Rows, int Vectors> static void accumulate_block(const uint32_t* a, int64_t lda, const uint32_t* turned, int64_t units, float* c, int64_t ldc) {
    Tiles::template zero<0>();
    if constexpr (Rows == 2) Tiles::template zero<1>();
    if constexpr (Vectors == 2) Tiles::template zero<2>();
    if constexpr (Rows == 2 && Vectors == 2) Tiles::template zero<3>();
    for (int64_t u = 0; u < units; u += kSide, turned += Vectors * kSide * kSide) {
      Tiles::template load<4>(turned, kSide * 4);
      if constexpr (Vectors == 2) Tiles::template load<5>(turned + kSide * kSide, kSide * 4);
      Tiles::template load<6>(a + u * lda, lda * 4);
      if constexpr (Rows == 2) Tiles::template load<7>(a + u * lda + kSide, lda * 4);
      Tiles::template multiply<0, 4, 6>();
      if constexpr (Rows == 2) Tiles::template multiply<1, 4, 7>();
      if constexpr (Vectors == 2) Tiles::template multiply<2, 5, 6>();
      if constexpr (Rows == 2 && Vectors == 2) Tiles::template multiply<3, 5, 7>();
    }
    add_transposed<0>(c, ldc);
    if constexpr (Rows == 2) add_transposed<1>(c + kSide * ldc, ldc);
    if constexpr (Vectors == 2) add_transposed<2>(c + kSide, ldc);
    if constexpr (Rows == 2 && Vectors == 2) add_transposed<3>(c + kSide * ldc + kSide, ldc);
  }

  template <int Vectors> static void accumulate_by(const uint32_t* a, int64_t lda, const uint32_t* b, int64_t units, int64_t rows, float* c, int64_t ldc) {
    const int64_t whole = units / kSide * kSide, whole_rows = rows / kSide * kSide, width = Vectors * kSide;
    if (whole == 0 || whole_rows == 0) return Rest::accumulate(a, lda, b, width, units, rows, c, ldc);
    alignas(64) uint32_t turned[kUnits * width];  // [16 units][vector][column][unit]
    const auto before = Tiles::begin();
    for (int64_t first = 0; first < whole; first += kUnits) {
      const int64_t count = std::min(kUnits, whole - first);
      uint32_t* out = turned;
      for (int64_t u = first; u < first + count; u += kSide) {
        for (int v = 0; v < Vectors; v++, out += kSide * kSide) {
          __m512i block[kSide];
          UNROLLED for (int i = 0; i < kSide; i++) block[i] = _mm512_loadu_si512(b + (u + i) * width + v * kSide);
          transpose(block);
          UNROLLED for (int i = 0; i < kSide; i++) _mm512_store_si512(out + i * kSide, block[i]);
        }
      }
      int64_t i = 0;
      for (; i + 2 * kSide <= whole_rows; i += 2 * kSide) accumulate_block<2, Vectors>(a + first * lda + i, lda, turned, count, c + i * ldc, ldc);
      if (i < whole_rows) accumulate_block<1, Vectors>(a + first * lda + i, lda, turned, count, c + i * ldc, ldc);
    }
    Tiles::end(before);
    if (whole < units) Rest::accumulate(a + whole * lda, lda, b + whole * width, width, units - whole, whole_rows, c, ldc);
    if (whole_rows < rows) Rest::accumulate(a + whole_rows, lda, b, width, units, rows - whole_rows, c + whole_rows * ldc, ldc);
  }

  static void accumulate(const uint32_t* a, int64_t lda, const uint32_t* b, int64_t width, int64_t units, int64_t rows, float* c, int64_t ldc) {
    if (width == kSide) accumulate_by<1>(a, lda, b, units, rows, c, ldc);
    else accumulate_by<2>(a, lda, b, units, rows, c, ldc);
  }

  static constexpr Kernels made() {
    Kernels table = Rest::table;
    table.multiply = multiply;
    table.accumulate = accumulate;
    return table;
  }
  static constexpr Kernels table = made();
};

}  // namespace
}  // namespace kernels
