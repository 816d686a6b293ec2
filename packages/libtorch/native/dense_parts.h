// What the forward and the backward pass of the dense field share: threads, packed weights, the ring of rows, norms.
#pragma once
#include "dense_field.h"

#include <functional>

namespace dense {

constexpr int64_t kChunk = 256;  // pixels of one product: its result stays in the nearest caches

// Calls body(thread, first, last) for each thread's part of the blocks, always the same part: results don't change from run to run.
int threads();
void in_parts(int64_t blocks, const std::function<void(int, int64_t, int64_t)>& body);

// A weight packed for Kernels::multiply: element (tap, k, n) at those strides → [panel of n][tap][unit of k][column], zeros past n.
struct Packed {
  std::vector<uint32_t> units;
  int64_t panels, panel_units;  // units of a full panel; only the last may have less
  const uint32_t* panel(int64_t index) const { return units.data() + index * panel_units; }
};
struct Axis { int64_t size, stride; };
Packed pack(const kernels::Kernels& kernels, const float* weight, Axis taps, Axis k, Axis n);
at::Tensor as_float(const at::Tensor& weight);  // plain memory

inline char* at_element(const at::Tensor& tensor, int64_t element) { return static_cast<char*>(tensor.data_ptr()) + element * tensor.element_size(); }

// As many rows of a picture as a 3×3 with a dilation spans, with zeros around them; picture row y lies in slot y mod slots.
class Ring {
 public:
  Ring(int64_t dilation, int64_t width, int64_t channels, int64_t element_size)
      : slots_(2 * dilation + 1), row_(width + 2 * dilation + 2), margin_(dilation), width_(width), channels_(channels), size_(element_size), memory_(slots_ * row_ * channels * element_size) {}
  int64_t slot(int64_t y) const { return (y % slots_ + slots_) % slots_; }
  int64_t slots() const { return slots_; }
  int64_t row_pixels() const { return row_; }
  char* pixel(int64_t y, int64_t x) { return memory_.data() + offset(y, x) * size_; }  // x from −dilation on
  void clear(int64_t y) { std::fill_n(pixel(y, 0), width_ * channels_ * size_, 0); }
  // In 32-bit units from the start of the memory.
  ptrdiff_t units(int64_t y, int64_t x) const { return offset(y, x) * size_ / 4; }
  const char* start() const { return memory_.data(); }

 private:
  int64_t offset(int64_t y, int64_t x) const { return (slot(y) * row_ + margin_ + x) * channels_; }
  int64_t slots_, row_, margin_, width_, channels_, size_;
  std::vector<char> memory_;
};

// A norm's moments or gradient sums by block, `columns` wide, merged in double.
struct Partial {
  Partial(int64_t blocks, int64_t columns) : columns(columns), values(blocks * 3 * columns) {}
  int64_t columns;
  std::vector<float> values;
  float* at(int64_t block, int which) { return values.data() + (block * 3 + which) * columns; }
  kernels::Kernels::Moments moments(int64_t block, int64_t column = 0) { return {at(block, 0) + column, at(block, 1) + column, at(block, 2) + column}; }
};

enum class NormKind { identity, instance, batch, instance_twice };

// The norm whose input's moments are in `partial`. A batch norm in training updates its running statistics.
Norm norm_of(const Field& field, NormKind kind, int64_t channels, Partial* partial, const Layer::BatchNorm& batch);
// partial: which 0 = Σh, 1 = Σh·(x − mean).
NormGradient gradient_of(const Field& field, const Norm& norm, Partial& partial);

}  // namespace dense
