// Arithmetic for one thread over channels-last memory: matrix products over strided rows, and the sweeps between them. Compiled once
// for each instruction set (kernels_*.cc) from kernels_impl.h; `kernels_for` picks. Nothing here knows libtorch's tensors.
//
// Products see memory as 32-bit units: one float, or two bfloat16 neighbours in the summed dimension, whose products the processor
// adds in one instruction. Both then have the same loops, and sums are float always. The right side is packed into panels of
// `panel` columns, or of half as many where half will do: [panel][unit][column].
#pragma once
#include "bfloat.h"

#include <c10/core/ScalarType.h>

// What kernels_impl.h needs as well: after its target pragma, inline functions of the standard library would be compiled for that
// instruction set, and the linker might keep them for everyone.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>

namespace kernels {

// A norm as the sweeps need it, one value a channel: y = scale · x + offset.
struct Affine { const float *mean, *scale, *offset; };

struct Kernels {
  int pair;   // elements of the summed dimension in a unit
  int panel;  // columns of a packed panel

  // Of the panel that holds `columns` of them.
  int64_t panel_width(int64_t columns) const { return columns <= panel / 2 ? panel / 2 : panel; }
  // `columns` rounded up to whole panels, the last of which may be a half.
  int64_t padded(int64_t columns) const { return (columns + panel / 2 - 1) / (panel / 2) * (panel / 2); }

  // c[i][0..width) = Σ_taps Σ_unit a[i · row + tap + unit] · b[tap][unit][0..width), for i < rows, where `width` is that of the panel.
  void (*multiply)(const void* a, ptrdiff_t row, const ptrdiff_t* taps, int tap_count, int64_t units, const uint32_t* b, int64_t width, int64_t rows, float* c, int64_t ldc);
  // c[i][0..width) += Σ_unit a[unit][i] · b[unit][0..width), for i < rows: a weight's gradient, summed over pixels.
  void (*accumulate)(const uint32_t* a, int64_t lda, const uint32_t* b, int64_t width, int64_t units, int64_t rows, float* c, int64_t ldc);
  // out[unit][column] from `pair` rows of x a unit; columns from `columns` to `width` become 0. Rows are readable up to a whole unit.
  void (*interleave)(const void* x, int64_t ldx, int64_t units, int64_t columns, int64_t width, uint32_t* out);

  // Moments of a block, a column each: Σ(v − shift) and Σ(v − shift)², shifted by its first row so that a large mean cancels nothing.
  struct Moments { float *shift, *sum, *squares; };
  // Moments of x, all of a block.
  void (*moments)(const void* x, int64_t ldx, int64_t rows, int64_t columns, Moments out);
  // out = c + bias (null: none), and its moments: of a block's `first` rows, or added to those before.
  void (*store)(const float* c, int64_t ldc, const float* bias, int64_t rows, int64_t columns, void* out, int64_t ldo, bool first, Moments moments);
  // out (+)= c.
  void (*add)(const float* c, int64_t ldc, bool overwrite, int64_t rows, int64_t columns, void* out, int64_t ldo);
  // out = leaky(scale · x + offset); slope 1 is no activation.
  void (*activate)(const void* x, int64_t ldx, Affine norm, float slope, int64_t rows, int64_t columns, void* out, int64_t ldo);
  // With h = g · leaky'(scale · x + offset): Σh and Σh · (x − mean), added.
  void (*gradient_sums)(const void* x, int64_t ldx, const void* g, int64_t ldg, Affine norm, float slope, int64_t rows, int64_t columns, float* sum, float* dot);
  // out = p · h − q − r · (x − mean).
  void (*gradient)(const void* x, int64_t ldx, const void* g, int64_t ldg, Affine norm, float slope, const float* p, const float* q, const float* r, int64_t rows,
                   int64_t columns, void* out, int64_t ldo);

  // A norm of each row by itself: out = n · weight + bias with n = (x − mean) · rstd; mean and rstd of each row are kept, two floats.
  void (*normalise_rows)(const void* x, int64_t rows, int64_t columns, float eps, const float* weight, const float* bias, void* out, float* kept);
  // Its gradient from g; Σg · n and Σg, the weight's and the bias's, are added.
  void (*normalise_rows_gradient)(const void* x, const void* g, int64_t rows, int64_t columns, const float* weight, const float* kept, void* out, float* to_weight, float* to_bias);
};

extern const Kernels* const avx512_bf16;  // null where the compiler can't
extern const Kernels* const amx_bf16;
extern const Kernels* const amx_emulated;  // the same code over tiles in memory, slow: for tests on machines without AMX
extern const Kernels* const avx512_float;
extern const Kernels* const avx2_float;

// The kernels for a dtype on this processor, or null: then op by op through ATen. The instruction set is the best that processor and
// compiler have, no better than UNSHAKE_ISA or `limit_isa` say: amx_bf16, avx512_bf16, avx512, avx2 or none.
const Kernels* kernels_for(c10::ScalarType dtype);
std::string isa();
// Throws std::invalid_argument for an unknown name; "auto" lifts the limit.
void limit_isa(const std::string& name);

}  // namespace kernels
