#include "dense_parts.h"

namespace dense {
namespace {

at::Tensor image_buffer(const Field& field, int64_t channels) {
  const Sizes& s = field.sizes;
  return at::empty({s.images, channels, s.height, s.width}, at::TensorOptions().dtype(field.dtype), at::MemoryFormat::ChannelsLast);
}

const float* values_of(const at::Tensor& bias) { return bias.defined() ? bias.data_ptr<float>() : nullptr; }

// features[first, first + channels) = leaky(norm(x)), all of x.
void activate(const Field& field, const at::Tensor& x, const Norm& norm, const at::Tensor& features, int64_t first) {
  const Sizes& s = field.sizes;
  const int64_t channels = x.size(1), total = features.size(1);
  in_parts(field.blocks(), [&](int, int64_t from, int64_t to) {
    for (int64_t b = from; b < to; b++) {
      const auto block = field.block(b);
      const int64_t pixel = block.image * s.pixels() + block.row * s.width;
      field.kernels->activate(at_element(x, pixel * channels), channels, norm.at(block.image), kSlope, block.rows * s.width, channels, at_element(features, pixel * total + first), total);
    }
  });
}

// z = 1×1 of the first `w.size(1)` features, and its moments.
void bottleneck(const Field& field, const at::Tensor& features, const Layer& layer, const at::Tensor& z, Partial& moments) {
  const Sizes& s = field.sizes;
  const auto& k = *field.kernels;
  const int64_t channels = layer.w1.size(1), width = s.bottleneck, total = features.size(1);
  const at::Tensor w = as_float(layer.w1), bias = layer.b1.defined() ? as_float(layer.b1) : at::Tensor();
  const Packed weight = pack(k, w.data_ptr<float>(), {1, 0}, {channels, 1}, {width, channels});
  in_parts(field.blocks(), [&](int, int64_t from, int64_t to) {
    std::vector<float> c(kChunk * k.panel);
    const ptrdiff_t start = 0;
    for (int64_t b = from; b < to; b++) {
      const auto block = field.block(b);
      const int64_t pixel = block.image * s.pixels() + block.row * s.width, count = block.rows * s.width;
      for (int64_t at = 0; at < count; at += kChunk) {
        const int64_t rows = std::min(kChunk, count - at);
        for (int64_t panel = 0; panel < weight.panels; panel++) {
          const int64_t column = panel * k.panel, columns = std::min<int64_t>(k.panel, width - column);
          k.multiply(at_element(features, (pixel + at) * total), total / k.pair, &start, 1, channels / k.pair, weight.panel(panel), k.panel_width(columns), rows, c.data(), k.panel);
          k.store(c.data(), k.panel, bias.defined() ? values_of(bias) + column : nullptr, rows, columns, at_element(z, (pixel + at) * width + column), width, at == 0, moments.moments(b, column));
        }
      }
    }
  });
}

// z2 = dilated 3×3 of z1 normalised (and activated), and its moments.
void dilated(const Field& field, const at::Tensor& z1, const Norm& norm, const Layer& layer, int64_t dilation, const at::Tensor& z2, Partial& moments) {
  const Sizes& s = field.sizes;
  const auto& k = *field.kernels;
  const int64_t width = s.bottleneck, growth = s.growth;
  const float slope = field.options.activate_bottleneck ? kSlope : 1;
  const at::Tensor w = as_float(layer.w2), bias = layer.b2.defined() ? as_float(layer.b2) : at::Tensor();  // growth, width, 3, 3
  const Packed weight = pack(k, w.data_ptr<float>(), {9, 1}, {width, 9}, {growth, 9 * width});
  in_parts(field.blocks(), [&](int, int64_t from, int64_t to) {
    Ring ring(dilation, s.width, width, z1.element_size());
    std::vector<float> c(kChunk * k.panel);
    int64_t image = -1, filled = 0;  // rows below `filled` are in the ring
    for (int64_t b = from; b < to; b++) {
      const auto block = field.block(b);
      if (block.image != image) {
        image = block.image;
        filled = block.row - dilation;
      }
      for (int64_t y = block.row; y < block.row + block.rows; y++) {
        for (; filled <= y + dilation; filled++) {
          if (filled < 0 || filled >= s.height) ring.clear(filled);
          else k.activate(at_element(z1, (image * s.pixels() + filled * s.width) * width), width, norm.at(image), slope, s.width, width, ring.pixel(filled, 0), width);
        }
        ptrdiff_t taps[9];
        for (int t = 0; t < 9; t++) taps[t] = ring.units(y + (t / 3 - 1) * dilation, (t % 3 - 1) * dilation);
        const int64_t pixel = image * s.pixels() + y * s.width;
        for (int64_t at = 0; at < s.width; at += kChunk) {
          const int64_t rows = std::min(kChunk, s.width - at);
          for (int64_t panel = 0; panel < weight.panels; panel++) {
            const int64_t column = panel * k.panel, columns = std::min<int64_t>(k.panel, growth - column);
            k.multiply(ring.start() + at * width * z1.element_size(), width / k.pair, taps, 9, width / k.pair, weight.panel(panel), k.panel_width(columns), rows, c.data(), k.panel);
            k.store(c.data(), k.panel, bias.defined() ? values_of(bias) + column : nullptr, rows, columns, at_element(z2, (pixel + at) * growth + column), growth,
                    y == block.row && at == 0, moments.moments(b, column));
          }
        }
      }
    }
  });
}

}  // namespace

at::Tensor forward(const Field& field, const at::Tensor& input, bool keep, Kept& kept) {
  const Sizes& s = field.sizes;
  const NormKind kind = field.has_batch_norm() ? NormKind::batch : NormKind::instance;
  kept.features = image_buffer(field, field.feature_channels());
  Partial moments(field.blocks(), s.head);
  if (field.options.normalise_features) {
    in_parts(field.blocks(), [&](int, int64_t from, int64_t to) {
      for (int64_t b = from; b < to; b++) {
        const auto block = field.block(b);
        field.kernels->moments(at_element(input, (block.image * s.pixels() + block.row * s.width) * s.head), s.head, block.rows * s.width, s.head, moments.moments(b));
      }
    });
  }
  kept.input = norm_of(field, field.options.normalise_features ? NormKind::instance : NormKind::identity, s.head, &moments, {});
  activate(field, input, kept.input, kept.features, 0);

  at::Tensor last;
  for (int layer = 0; layer < s.layers; layer++) {
    if (keep || layer == 0) {
      kept.z1.push_back(image_buffer(field, s.bottleneck));
      kept.z2.push_back(image_buffer(field, s.growth));
    }
    const at::Tensor &z1 = kept.z1.back(), &z2 = kept.z2.back();
    Partial wide(field.blocks(), s.bottleneck), narrow(field.blocks(), s.growth);
    bottleneck(field, kept.features, field.layers[layer], z1, wide);
    kept.n1.push_back(norm_of(field, kind, s.bottleneck, &wide, field.layers[layer].n1));
    dilated(field, z1, kept.n1.back(), field.layers[layer], field.options.dilations[layer], z2, narrow);
    const bool alone = field.options.only_last && layer == s.layers - 1;
    kept.n2.push_back(norm_of(field, field.options.normalise_features && !alone ? NormKind::instance_twice : kind, s.growth, &narrow, field.layers[layer].n2));
    if (alone) last = image_buffer(field, s.growth);
    activate(field, z2, kept.n2.back(), alone ? last : kept.features, alone ? 0 : s.channels(layer));
  }
  return field.options.only_last ? last : kept.features;
}

}  // namespace dense
