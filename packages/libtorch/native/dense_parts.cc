#include "dense_parts.h"

#include <ATen/Parallel.h>

#include <cstring>

namespace dense {

int threads() { return at::in_parallel_region() ? 1 : at::get_num_threads(); }

void in_parts(int64_t blocks, const std::function<void(int, int64_t, int64_t)>& body) {
  const int64_t parts = threads();
  at::parallel_for(0, parts, 1, [&](int64_t from, int64_t to) {
    for (int64_t part = from; part < to; part++) body(static_cast<int>(part), blocks * part / parts, blocks * (part + 1) / parts);
  });
}

at::Tensor as_float(const at::Tensor& weight) { return weight.detach().to(at::kFloat).contiguous(); }

static uint32_t bits_of(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  return bits;
}

static uint32_t bfloat_of(float value) { return c10::BFloat16(value).x; }

Packed pack(const kernels::Kernels& kernels, const float* weight, Axis taps, Axis k, Axis n) {
  const int64_t panel = kernels.panel, units = k.size / kernels.pair, panels = (n.size + panel - 1) / panel;
  Packed packed{std::vector<uint32_t>(panels * taps.size * units * panel), panels, taps.size * units * panel};
  at::parallel_for(0, panels * taps.size, 1, [&](int64_t from, int64_t to) {
    for (int64_t item = from; item < to; item++) {
      const int64_t tap = item % taps.size, first = item / taps.size * panel, columns = std::min(panel, n.size - first), width = kernels.panel_width(columns);
      const float* w = weight + tap * taps.stride + first * n.stride;
      uint32_t* out = packed.units.data() + item / taps.size * packed.panel_units + tap * units * width;
      for (int64_t u = 0; u < units; u++, out += width) {
        for (int64_t c = 0; c < columns; c++) {
          const float* at = w + c * n.stride + u * kernels.pair * k.stride;
          out[c] = kernels.pair == 1 ? bits_of(*at) : bfloat_of(*at) | bfloat_of(at[k.stride]) << 16;
        }
      }
    }
  });
  return packed;
}

// rstd = 1 / √(factor · variance + constant). An instance norm after an instance norm: its input has variance v / (v + ε), so both
// together divide by √((v + ε) · (v / (v + ε) + ε)) = √((1 + ε) · v + ε²).
static double factor_of(NormKind kind) { return kind == NormKind::instance_twice ? 1 + kEps : 1; }
static double constant_of(NormKind kind) { return kind == NormKind::instance_twice ? kEps * kEps : kEps; }

static void set(Norm& norm, int64_t image, int64_t channel, double mean, double rstd, double weight, double bias) {
  const int64_t at = image * norm.channels + channel;
  norm.mean[at] = static_cast<float>(mean);
  norm.rstd[at] = static_cast<float>(rstd);
  norm.scale[at] = static_cast<float>(weight * rstd);
  norm.offset[at] = static_cast<float>(bias - mean * weight * rstd);
}

Norm norm_of(const Field& field, NormKind kind, int64_t channels, Partial* partial, const Layer::BatchNorm& batch) {
  const int64_t images = field.sizes.images, pixels = field.sizes.pixels(), each = field.blocks_an_image();
  Norm norm;
  norm.channels = channels;
  norm.factor = static_cast<float>(factor_of(kind));
  norm.fixed = kind == NormKind::identity || (kind == NormKind::batch && !field.options.training);
  for (auto* values : {&norm.mean, &norm.rstd, &norm.scale, &norm.offset}) values->resize(images * channels);
  const bool affine = kind == NormKind::batch;
  const at::Tensor weight = affine ? as_float(batch.weight) : at::Tensor(), bias = affine ? as_float(batch.bias) : at::Tensor();
  const at::Tensor old_mean = affine ? as_float(batch.running_mean) : at::Tensor(), old_variance = affine ? as_float(batch.running_var) : at::Tensor();
  std::vector<double> means(images), variances(images);
  for (int64_t c = 0; c < channels; c++) {
    const double w = affine ? weight.data_ptr<float>()[c] : 1, b = affine ? bias.data_ptr<float>()[c] : 0;
    if (norm.fixed) {
      const double mean = affine ? old_mean.data_ptr<float>()[c] : 0, rstd = affine ? 1 / std::sqrt(old_variance.data_ptr<float>()[c] + kEps) : 1;
      for (int64_t n = 0; n < images; n++) set(norm, n, c, mean, rstd, w, b);
      continue;
    }
    for (int64_t n = 0; n < images; n++) {
      double sum = 0, squares = 0;
      for (int64_t block = n * each; block < (n + 1) * each; block++) sum += partial->at(block, 0)[c] * static_cast<double>(field.block(block).rows * field.sizes.width) + partial->at(block, 1)[c];
      const double mean = sum / pixels;
      for (int64_t block = n * each; block < (n + 1) * each; block++) {
        const double count = static_cast<double>(field.block(block).rows * field.sizes.width), off = partial->at(block, 0)[c] - mean;
        squares += partial->at(block, 2)[c] + off * (2 * partial->at(block, 1)[c] + count * off);
      }
      means[n] = mean;
      variances[n] = std::max(0.0, squares / pixels);
    }
    if (kind == NormKind::batch) {
      double mean = 0, variance = 0;
      for (int64_t n = 0; n < images; n++) mean += means[n] / images;
      for (int64_t n = 0; n < images; n++) variance += (variances[n] + (means[n] - mean) * (means[n] - mean)) / images;
      std::fill(means.begin(), means.end(), mean);
      std::fill(variances.begin(), variances.end(), variance);
      const double momentum = field.options.momentum, count = static_cast<double>(images * pixels);
      old_mean.data_ptr<float>()[c] += momentum * (mean - old_mean.data_ptr<float>()[c]);
      old_variance.data_ptr<float>()[c] += momentum * (variance * count / (count - 1) - old_variance.data_ptr<float>()[c]);
    }
    for (int64_t n = 0; n < images; n++) set(norm, n, c, means[n], 1 / std::sqrt(factor_of(kind) * variances[n] + constant_of(kind)), w, b);
  }
  if (affine && field.options.training) {
    at::NoGradGuard no_grad;
    batch.running_mean.detach().copy_(old_mean);
    batch.running_var.detach().copy_(old_variance);
  }
  return norm;
}

NormGradient gradient_of(const Field& field, const Norm& norm, Partial& partial) {
  const int64_t images = field.sizes.images, channels = norm.channels, each = field.blocks_an_image();
  const double pixels = static_cast<double>(field.sizes.pixels());
  NormGradient result;
  for (auto* values : {&result.p, &result.q, &result.r}) values->resize(images * channels);
  for (auto* values : {&result.weight, &result.bias, &result.input_bias}) values->resize(channels);
  std::vector<double> sums(images), dots(images);
  for (int64_t c = 0; c < channels; c++) {
    double weight = 0, bias = 0;
    for (int64_t n = 0; n < images; n++) {
      sums[n] = dots[n] = 0;
      for (int64_t block = n * each; block < (n + 1) * each; block++) {
        sums[n] += partial.at(block, 0)[c];
        dots[n] += partial.at(block, 1)[c];
      }
      bias += sums[n];
      weight += dots[n] * norm.rstd[n * channels + c];
    }
    const bool shared = field.has_batch_norm();  // statistics over all images
    const double all_sums = bias, all_dots = weight / norm.rstd[c];
    for (int64_t n = 0; n < images; n++) {
      const int64_t at = n * channels + c;
      const double p = norm.scale[at], s = norm.rstd[at];
      const double mean_h = shared ? all_sums / (pixels * images) : sums[n] / pixels, mean_hd = shared ? all_dots / (pixels * images) : dots[n] / pixels;
      result.p[at] = norm.scale[at];
      result.q[at] = norm.fixed ? 0 : static_cast<float>(p * mean_h);
      result.r[at] = norm.fixed ? 0 : static_cast<float>(p * norm.factor * s * s * mean_hd);
      if (norm.fixed) result.input_bias[c] += static_cast<float>(p * sums[n]);
    }
    result.weight[c] = static_cast<float>(weight);
    result.bias[c] = static_cast<float>(bias);
  }
  return result;
}

}  // namespace dense
