#include "dense_parts.h"

namespace dense {
namespace {

// A gradient within a wider channels-last buffer.
struct Slice {
  at::Tensor buffer;
  int64_t first;
  int64_t stride() const { return buffer.size(1); }
  const void* pixel(int64_t index) const { return at_element(buffer, index * stride() + first); }
};

// Each thread's own sum of a weight's gradient, `count` floats; added in the order of the threads.
struct Sums {
  explicit Sums(int64_t count) : count(count), all(at::zeros({threads(), count}, at::kFloat)) {}
  float* of(int thread) { return all.data_ptr<float>() + thread * count; }
  at::Tensor total() { return all.sum(0); }
  int64_t count;
  at::Tensor all;
};

at::Tensor vector_of(const std::vector<float>& values, const at::Tensor& like) { return at::tensor(values).to(like.scalar_type()); }

void norm_sums(const Field& field, const at::Tensor& x, const Slice& gradient, const Norm& norm, float slope, Partial& sums) {
  const Sizes& s = field.sizes;
  const int64_t channels = x.size(1);
  in_parts(field.blocks(), [&](int, int64_t from, int64_t to) {
    for (int64_t b = from; b < to; b++) {
      const auto block = field.block(b);
      const int64_t pixel = block.image * s.pixels() + block.row * s.width;
      field.kernels->gradient_sums(at_element(x, pixel * channels), channels, gradient.pixel(pixel), gradient.stride(), norm.at(block.image), slope, block.rows * s.width, channels,
                                   sums.at(b, 0), sums.at(b, 1));
    }
  });
}

// From the gradient of the layer's feature: that of the 3×3's weight, and of what the 3×3 read, into `to_normalised`, with the sums that
// the first norm's gradient needs.
at::Tensor through_dilated(const Field& field, const at::Tensor& z1, const at::Tensor& z2, const Norm& n1, const Norm& n2, const NormGradient& g2, const Slice& gradient,
                           const Layer& layer, int64_t dilation, const at::Tensor& to_normalised, Partial& sums) {
  const Sizes& s = field.sizes;
  const auto& k = *field.kernels;
  const int64_t width = s.bottleneck, growth = s.growth, element = z1.element_size(), columns_padded = k.padded(growth), tiles = (growth + k.panel - 1) / k.panel;
  const float slope = field.options.activate_bottleneck ? kSlope : 1;
  const at::Tensor w = as_float(layer.w2);
  const Packed weight = pack(k, w.data_ptr<float>(), {9, 1}, {growth, 9 * width}, {width, 9});
  const int64_t units = (s.width + k.pair - 1) / k.pair, ring_units = (s.width + 2 * dilation + 1) / k.pair, alignments = k.pair == 2 && dilation % 2 == 1 ? 2 : 1;
  Sums to_weight(9 * width * columns_padded);
  in_parts(field.blocks(), [&](int thread, int64_t from, int64_t to) {
    Ring ring(dilation, s.width, growth, element);
    // Each row of the ring as pairs of pixels, from the first pixel on and, where a tap is an odd number of pixels away, from the second.
    std::vector<uint32_t> pairs(ring.slots() * alignments * tiles * ring_units * k.panel);
    const auto pairs_at = [&](int64_t y, int64_t alignment, int64_t tile) { return pairs.data() + ((ring.slot(y) * alignments + alignment) * tiles + tile) * ring_units * k.panel; };
    std::vector<char> row((units * k.pair) * width * element);
    std::vector<uint32_t> row_pairs(units * width);
    std::vector<float> c(kChunk * k.panel);
    float* sum = to_weight.of(thread);
    int64_t image = -1, filled = 0;
    for (int64_t b = from; b < to; b++) {
      const auto block = field.block(b);
      if (block.image != image) {
        image = block.image;
        filled = block.row - dilation;
      }
      for (int64_t y = block.row; y < block.row + block.rows; y++) {
        for (; filled <= y + dilation; filled++) {
          if (filled < 0 || filled >= s.height) {
            ring.clear(filled);
            continue;
          }
          const int64_t pixel = image * s.pixels() + filled * s.width, channel = image * growth;
          k.gradient(at_element(z2, pixel * growth), growth, gradient.pixel(pixel), gradient.stride(), n2.at(image), kSlope, g2.p.data() + channel, g2.q.data() + channel,
                     g2.r.data() + channel, s.width, growth, ring.pixel(filled, 0), growth);
          for (int64_t alignment = 0; alignment < alignments; alignment++) {
            for (int64_t tile = 0; tile < tiles; tile++) {
              const int64_t column = tile * k.panel, columns = std::min<int64_t>(k.panel, growth - column);
              k.interleave(ring.pixel(filled, alignment - dilation) + column * element, growth, ring_units - alignment, columns, k.panel_width(columns), pairs_at(filled, alignment, tile));
            }
          }
        }
        const int64_t pixel = image * s.pixels() + y * s.width;
        ptrdiff_t taps[9];
        for (int t = 0; t < 9; t++) taps[t] = ring.units(y - (t / 3 - 1) * dilation, -(t % 3 - 1) * dilation);
        for (int64_t at = 0; at < s.width; at += kChunk) {
          const int64_t rows = std::min(kChunk, s.width - at);
          for (int64_t panel = 0; panel < weight.panels; panel++) {
            const int64_t column = panel * k.panel, columns = std::min<int64_t>(k.panel, width - column);
            k.multiply(ring.start() + at * growth * element, growth / k.pair, taps, 9, growth / k.pair, weight.panel(panel), k.panel_width(columns), rows, c.data(), k.panel);
            k.add(c.data(), k.panel, true, rows, columns, at_element(to_normalised, (pixel + at) * width + column), width);
          }
        }
        k.gradient_sums(at_element(z1, pixel * width), width, at_element(to_normalised, pixel * width), width, n1.at(image), slope, s.width, width, sums.at(b, 0), sums.at(b, 1));

        k.activate(at_element(z1, pixel * width), width, n1.at(image), slope, s.width, width, row.data(), width);
        k.interleave(row.data(), width, units, width, width, row_pairs.data());
        for (int t = 0; t < 9; t++) {
          const int64_t other = y - (t / 3 - 1) * dilation, shift = dilation - (t % 3 - 1) * dilation;
          if (other < 0 || other >= s.height) continue;
          for (int64_t tile = 0; tile < tiles; tile++) {
            const int64_t panel_width = k.panel_width(growth - tile * k.panel);
            const uint32_t* right = pairs_at(other, shift % k.pair, tile) + shift / k.pair * panel_width;
            k.accumulate(row_pairs.data(), width, right, panel_width, units, width, sum + t * width * columns_padded + tile * k.panel, columns_padded);
          }
        }
      }
    }
  });
  return to_weight.total().view({3, 3, width, columns_padded}).narrow(3, 0, growth).permute({3, 2, 0, 1}).to(layer.w2.scalar_type());
}

// Through the first norm and the 1×1: its weight's gradient; that of the features is added to `to_features`, or overwrites it.
at::Tensor through_bottleneck(const Field& field, const at::Tensor& features, const at::Tensor& z1, const at::Tensor& to_normalised, const Norm& n1, const NormGradient& g1,
                              const Layer& layer, const at::Tensor& to_features, bool overwrite) {
  const Sizes& s = field.sizes;
  const auto& k = *field.kernels;
  const int64_t channels = layer.w1.size(1), width = s.bottleneck, total = features.size(1), element = z1.element_size(), columns_padded = k.padded(channels);
  const float slope = field.options.activate_bottleneck ? kSlope : 1;
  const at::Tensor w = as_float(layer.w1);
  const Packed weight = pack(k, w.data_ptr<float>(), {1, 0}, {width, channels}, {channels, 1});
  Sums to_weight(width * columns_padded);
  in_parts(field.blocks(), [&](int thread, int64_t from, int64_t to) {
    std::vector<char> rows_of_gradient((kChunk + 1) * width * element), rows_of_features((kChunk + 1) * k.panel * element);
    std::vector<uint32_t> left(kChunk / k.pair * width), right(kChunk / k.pair * k.panel);
    std::vector<float> c(kChunk * k.panel);
    const ptrdiff_t start = 0;
    for (int64_t b = from; b < to; b++) {
      const auto block = field.block(b);
      const int64_t first = block.image * s.pixels() + block.row * s.width, count = block.rows * s.width, channel = block.image * width;
      for (int64_t at = 0; at < count; at += kChunk) {
        const int64_t pixel = first + at, rows = std::min(kChunk, count - at), units = (rows + k.pair - 1) / k.pair;
        k.gradient(at_element(z1, pixel * width), width, at_element(to_normalised, pixel * width), width, n1.at(block.image), slope, g1.p.data() + channel, g1.q.data() + channel,
                   g1.r.data() + channel, rows, width, rows_of_gradient.data(), width);
        std::fill_n(rows_of_gradient.data() + rows * width * element, width * element, 0);  // the second half of an odd last pair
        k.interleave(rows_of_gradient.data(), width, units, width, width, left.data());
        for (int64_t panel = 0; panel < weight.panels; panel++) {
          const int64_t column = panel * k.panel, columns = std::min<int64_t>(k.panel, channels - column), panel_width = k.panel_width(columns);
          k.multiply(rows_of_gradient.data(), width / k.pair, &start, 1, width / k.pair, weight.panel(panel), panel_width, rows, c.data(), k.panel);
          k.add(c.data(), k.panel, overwrite, rows, columns, at_element(to_features, pixel * total + column), total);
          const char* from_features = at_element(features, pixel * total + column);
          if (rows % k.pair != 0) {  // the pair's second pixel may lie past the end of the buffer
            for (int64_t i = 0; i < rows; i++) std::copy_n(from_features + i * total * element, columns * element, rows_of_features.data() + i * k.panel * element);
            std::fill_n(rows_of_features.data() + rows * k.panel * element, k.panel * element, 0);
            k.interleave(rows_of_features.data(), k.panel, units, columns, panel_width, right.data());
          } else {
            k.interleave(from_features, total, units, columns, panel_width, right.data());
          }
          k.accumulate(left.data(), width, right.data(), panel_width, units, width, to_weight.of(thread) + column, columns_padded);
        }
      }
    }
  });
  return to_weight.total().view({width, columns_padded, 1, 1}).narrow(1, 0, channels).to(layer.w1.scalar_type());
}

void set_norm_gradient(const NormGradient& g, const Layer::BatchNorm& batch, const at::Tensor& bias, Layer::BatchNorm& to_batch, at::Tensor& to_bias) {
  if (batch.weight.defined()) {
    to_batch.weight = vector_of(g.weight, batch.weight);
    to_batch.bias = vector_of(g.bias, batch.bias);
  }
  if (bias.defined()) to_bias = vector_of(g.input_bias, bias);  // a norm by the input's own statistics takes no notice of it
}

}  // namespace

Gradients backward(const Field& field, const at::Tensor& input, const Kept& kept, const at::Tensor& gradient, bool input_wanted) {
  const Sizes& s = field.sizes;
  const int64_t blocks = field.blocks();
  Gradients result;
  result.layers.resize(s.layers);
  const at::Tensor to_features = field.options.only_last ? at::empty_like(kept.features) : gradient;
  const at::Tensor to_normalised = at::empty_like(kept.z1[0]);
  for (int i = s.layers - 1; i >= 0; i--) {
    const bool alone = field.options.only_last && i == s.layers - 1;
    const Slice slice = alone ? Slice{gradient, 0} : Slice{to_features, s.channels(i)};
    const Layer& layer = field.layers[i];
    Layer& to_layer = result.layers[i];
    Partial narrow(blocks, s.growth), wide(blocks, s.bottleneck);
    norm_sums(field, kept.z2[i], slice, kept.n2[i], kSlope, narrow);
    const NormGradient g2 = gradient_of(field, kept.n2[i], narrow);
    to_layer.w2 = through_dilated(field, kept.z1[i], kept.z2[i], kept.n1[i], kept.n2[i], g2, slice, layer, field.options.dilations[i], to_normalised, wide);
    const NormGradient g1 = gradient_of(field, kept.n1[i], wide);
    to_layer.w1 = through_bottleneck(field, kept.features, kept.z1[i], to_normalised, kept.n1[i], g1, layer, to_features, alone);
    set_norm_gradient(g2, layer.n2, layer.b2, to_layer.n2, to_layer.b2);
    set_norm_gradient(g1, layer.n1, layer.b1, to_layer.n1, to_layer.b1);
  }
  if (!input_wanted) return result;
  Partial sums(blocks, s.head);
  const Slice slice{to_features, 0};
  norm_sums(field, input, slice, kept.input, kSlope, sums);
  const NormGradient g = gradient_of(field, kept.input, sums);
  result.input = at::empty_like(input);
  in_parts(blocks, [&](int, int64_t from, int64_t to) {
    for (int64_t b = from; b < to; b++) {
      const auto block = field.block(b);
      const int64_t pixel = block.image * s.pixels() + block.row * s.width, channel = block.image * s.head;
      field.kernels->gradient(at_element(input, pixel * s.head), s.head, slice.pixel(pixel), slice.stride(), kept.input.at(block.image), kSlope, g.p.data() + channel,
                              g.q.data() + channel, g.r.data() + channel, block.rows * s.width, s.head, at_element(result.input, pixel * s.head), s.head);
    }
  });
  return result;
}

}  // namespace dense
