// Instance normalisation and its fusion with LeakyReLU, over channels-last memory on CPU: one sweep for the statistics, one
// for the result, and the same backward; statistics in float (double for double). ATen copies to NCHW and back for each.
#include "bfloat.h"
#include "isa.h"
#include "layers.h"

#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

namespace layers {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// GCC turns no comparison of floats into a select as long as it might trap; and a branch on values of which half are below zero
// costs twenty times the arithmetic.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC push_options
#pragma GCC optimize("no-trapping-math")
#endif
// Per channel: Σ(x − shift) and Σ(x − shift)², shifted by about the mean so that a large one cancels nothing.
#define STATISTICS(T, A) \
  FOR_EACH_ISA void statistics(const T* __restrict x, const A* __restrict shift, int64_t pixels, int64_t channels, A* __restrict sum, A* __restrict squares) { \
    for (int64_t p = 0; p < pixels; p++, x += channels) { \
      for (int64_t c = 0; c < channels; c++) { const A d = widen(x[c]) - shift[c]; sum[c] += d; squares[c] += d * d; } \
    } \
  }
// y = leaky((x − mean) · rstd)
#define NORMALISE(T, A) \
  FOR_EACH_ISA void normalise(const T* __restrict x, const A* __restrict mean, const A* __restrict rstd, A slope, int64_t pixels, int64_t channels, T* __restrict y) { \
    for (int64_t p = 0; p < pixels; p++, x += channels, y += channels) { \
      for (int64_t c = 0; c < channels; c++) { const A n = (widen(x[c]) - mean[c]) * rstd[c]; y[c] = narrow<T>(n * (n > 0 ? A(1) : slope)); } \
    } \
  }
// With n = (x − mean) · rstd and h = g · leaky'(n): Σh and Σh·n.
#define GRADIENT_SUMS(T, A) \
  FOR_EACH_ISA void gradient_sums(const T* __restrict x, const T* __restrict g, const A* __restrict mean, const A* __restrict rstd, A slope, int64_t pixels, int64_t channels, A* __restrict sum, A* __restrict dot) { \
    for (int64_t p = 0; p < pixels; p++, x += channels, g += channels) { \
      for (int64_t c = 0; c < channels; c++) { \
        const A n = (widen(x[c]) - mean[c]) * rstd[c], h = widen(g[c]) * (n > 0 ? A(1) : slope); \
        sum[c] += h; dot[c] += h * n; \
      } \
    } \
  }
// dx = rstd · (h − mean(h) − n · mean(h·n))
#define GRADIENT(T, A) \
  FOR_EACH_ISA void gradient(const T* __restrict x, const T* __restrict g, const A* __restrict mean, const A* __restrict rstd, A slope, const A* __restrict sum, const A* __restrict dot, int64_t pixels, int64_t channels, T* __restrict dx) { \
    for (int64_t p = 0; p < pixels; p++, x += channels, g += channels, dx += channels) { \
      for (int64_t c = 0; c < channels; c++) { \
        const A n = (widen(x[c]) - mean[c]) * rstd[c], h = widen(g[c]) * (n > 0 ? A(1) : slope); \
        dx[c] = narrow<T>(rstd[c] * (h - sum[c] - n * dot[c])); \
      } \
    } \
  }
STATISTICS(uint16_t, float) STATISTICS(float, float) STATISTICS(double, double)
NORMALISE(uint16_t, float) NORMALISE(float, float) NORMALISE(double, double)
GRADIENT_SUMS(uint16_t, float) GRADIENT_SUMS(float, float) GRADIENT_SUMS(double, double)
GRADIENT(uint16_t, float) GRADIENT(float, float) GRADIENT(double, double)
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC pop_options
#endif

constexpr int64_t kBlock = 256;  // pixels a partial sum: short enough for float, long enough to amortise the merge in double

// Runs `sums(first pixel, pixels, a, b)` over blocks in parallel and merges them in block order: the result does not depend on threads.
template <class A, class Sums> void reduce_blocks(int64_t pixels, int64_t channels, Sums sums, double* first, double* second) {
  const int64_t blocks = (pixels + kBlock - 1) / kBlock;
  std::vector<A> partial(blocks * 2 * channels, A(0));
  at::parallel_for(0, blocks, 8, [&](int64_t from, int64_t to) {
    for (int64_t b = from; b < to; b++) {
      A* at = partial.data() + b * 2 * channels;
      sums(b * kBlock, std::min(kBlock, pixels - b * kBlock), at, at + channels);
    }
  });
  std::fill(first, first + channels, 0.0);
  std::fill(second, second + channels, 0.0);
  for (int64_t b = 0; b < blocks; b++) {
    const A* at = partial.data() + b * 2 * channels;
    for (int64_t c = 0; c < channels; c++) { first[c] += at[c]; second[c] += at[channels + c]; }
  }
}

// mean and rstd, each N·C of A.
template <class T, class A> void image_statistics(const T* x, int64_t images, int64_t channels, int64_t pixels, double eps, A* mean, A* rstd) {
  std::vector<A> shift(channels);
  std::vector<double> sum(channels), squares(channels);
  for (int64_t n = 0; n < images; n++) {
    const T* image = x + n * pixels * channels;
    const int64_t first = std::min<int64_t>(pixels, 16);
    for (int64_t c = 0; c < channels; c++) {
      double total = 0;
      for (int64_t p = 0; p < first; p++) total += widen(image[p * channels + c]);
      shift[c] = static_cast<A>(total / first);
    }
    reduce_blocks<A>(pixels, channels, [&](int64_t p, int64_t count, A* s, A* q) { statistics(image + p * channels, shift.data(), count, channels, s, q); },
                     sum.data(), squares.data());
    for (int64_t c = 0; c < channels; c++) {
      const double m = sum[c] / pixels, variance = std::max(0.0, squares[c] / pixels - m * m);
      mean[n * channels + c] = static_cast<A>(shift[c] + m);
      rstd[n * channels + c] = static_cast<A>(1 / std::sqrt(variance + eps));
    }
  }
}

// Calls body(T*, A*) with the storage type and the accumulation type of `tensor`.
template <class Body> void by_type(const at::Tensor& tensor, Body body) {
  switch (tensor.scalar_type()) {
    case at::kBFloat16: return body(static_cast<uint16_t*>(nullptr), static_cast<float*>(nullptr));
    case at::kFloat: return body(static_cast<float*>(nullptr), static_cast<float*>(nullptr));
    default: return body(static_cast<double*>(nullptr), static_cast<double*>(nullptr));
  }
}

bool has_kernel(const at::Tensor& input) {
  const auto dtype = input.scalar_type();
  return input.device().is_cpu() && input.dim() == 4 && input.numel() > 0 && input.is_contiguous(at::MemoryFormat::ChannelsLast) &&
         (dtype == at::kBFloat16 || dtype == at::kFloat || dtype == at::kDouble);
}

// For other devices and layouts, and for gradients of gradients: an image's channels are the channels of a batch of one.
at::Tensor by_batch_norm(const at::Tensor& input, double eps, double slope) {
  const bool widened = input.device().is_cpu() && (input.scalar_type() == at::kBFloat16 || input.scalar_type() == at::kHalf);
  const at::Tensor x = widened ? input.to(at::kFloat) : input;
  const at::Tensor one = x.size(0) == 1 ? x : x.reshape({1, x.size(0) * x.size(1), x.size(2), x.size(3)});
  const at::Tensor y = at::batch_norm(one, {}, {}, {}, {}, /*training=*/true, /*momentum=*/0, eps, /*cudnn_enabled=*/true).reshape(x.sizes());
  return keep_layout((slope == 1 ? y : at::leaky_relu(y, slope)).to(input.scalar_type()), input);
}

struct InstanceNormLeakyRelu : torch::autograd::Function<InstanceNormLeakyRelu> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input, double eps, double slope) {
    const int64_t images = input.size(0), channels = input.size(1), pixels = input.size(2) * input.size(3);
    at::Tensor output = at::empty_like(input), statistics;
    by_type(input, [&](auto* storage, auto* accumulator) {
      using T = std::remove_pointer_t<decltype(storage)>;
      using A = std::remove_pointer_t<decltype(accumulator)>;
      statistics = at::empty({2, images, channels}, input.options().dtype(c10::CppTypeToScalarType<A>::value).memory_format(at::MemoryFormat::Contiguous));
      const T* x = static_cast<const T*>(input.data_ptr());
      T* y = static_cast<T*>(output.data_ptr());
      A* mean = statistics.data_ptr<A>();
      A* rstd = mean + images * channels;
      image_statistics(x, images, channels, pixels, eps, mean, rstd);
      for (int64_t n = 0; n < images; n++) {
        at::parallel_for(0, pixels, 2048, [&](int64_t from, int64_t to) {
          const int64_t at = (n * pixels + from) * channels;
          normalise(x + at, mean + n * channels, rstd + n * channels, static_cast<A>(slope), to - from, channels, y + at);
        });
      }
    });
    context->save_for_backward({input, statistics});
    context->saved_data["eps"] = eps;
    context->saved_data["slope"] = slope;
    return output;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor& input = saved[0];
    const double eps = context->saved_data["eps"].toDouble(), slope = context->saved_data["slope"].toDouble();
    if (at::GradMode::is_enabled()) {  // create_graph: the gradient itself must be differentiable
      const auto dtype = input.scalar_type() == at::kBFloat16 ? at::kFloat : input.scalar_type();
      const at::Tensor x = input.to(dtype), h = gradients[0].to(dtype);
      const at::Tensor centred = x - x.mean({2, 3}, true);
      const at::Tensor rstd = at::rsqrt(centred.square().mean({2, 3}, true) + eps);
      const at::Tensor n = centred * rstd;
      const at::Tensor g = at::where(n > 0, h, h * slope);
      const at::Tensor dx = rstd * (g - g.mean({2, 3}, true) - n * (g * n).mean({2, 3}, true));
      return {dx.to(input.scalar_type()), at::Tensor(), at::Tensor()};
    }
    const at::Tensor given = gradients[0]._is_zerotensor() ? gradients[0].clone() : gradients[0];
    const at::Tensor g = given.to(input.scalar_type()).contiguous(at::MemoryFormat::ChannelsLast);
    const int64_t images = input.size(0), channels = input.size(1), pixels = input.size(2) * input.size(3);
    at::Tensor output = at::empty_like(input);
    by_type(input, [&](auto* storage, auto* accumulator) {
      using T = std::remove_pointer_t<decltype(storage)>;
      using A = std::remove_pointer_t<decltype(accumulator)>;
      const T* x = static_cast<const T*>(input.data_ptr());
      const T* gy = static_cast<const T*>(g.data_ptr());
      T* dx = static_cast<T*>(output.data_ptr());
      const A* mean = saved[1].data_ptr<A>();
      const A* rstd = mean + images * channels;
      std::vector<double> sum(channels), dot(channels);
      std::vector<A> mean_h(channels), mean_hn(channels);
      for (int64_t n = 0; n < images; n++) {
        const A *m = mean + n * channels, *r = rstd + n * channels;
        const int64_t start = n * pixels * channels;
        reduce_blocks<A>(pixels, channels, [&](int64_t p, int64_t count, A* s, A* d) {
          const int64_t at = start + p * channels;
          gradient_sums(x + at, gy + at, m, r, static_cast<A>(slope), count, channels, s, d);
        }, sum.data(), dot.data());
        for (int64_t c = 0; c < channels; c++) { mean_h[c] = static_cast<A>(sum[c] / pixels); mean_hn[c] = static_cast<A>(dot[c] / pixels); }
        at::parallel_for(0, pixels, 2048, [&](int64_t from, int64_t to) {
          const int64_t at = start + from * channels;
          gradient(x + at, gy + at, m, r, static_cast<A>(slope), mean_h.data(), mean_hn.data(), to - from, channels, dx + at);
        });
      }
    });
    return {output, at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor instance_norm_leaky_relu(const at::Tensor& input, double eps, double negative_slope) {
  TORCH_CHECK(input.dim() == 4, "expected N, C, H, W, got a tensor with ", input.dim(), " dimensions");
  TORCH_CHECK(input.size(2) * input.size(3) > 1, "instance norm needs more than one pixel, got ", input.size(2), "x", input.size(3));
  return has_kernel(input) ? InstanceNormLeakyRelu::apply(input, eps, negative_slope) : by_batch_norm(input, eps, negative_slope);
}

at::Tensor instance_norm(const at::Tensor& input, const Optional<at::Tensor>& weight, const Optional<at::Tensor>& bias, double eps) {
  at::Tensor output = instance_norm_leaky_relu(input, eps, 1);
  for (const auto& affine : {weight, bias}) {
    TORCH_CHECK(!affine || affine->numel() == input.size(1), "instance norm of ", input.size(1), " channels needs as many weights, got ", affine ? affine->numel() : 0);
  }
  if (weight) output = output * weight->to(output.scalar_type()).reshape({1, -1, 1, 1});
  if (bias) output = output + bias->to(output.scalar_type()).reshape({1, -1, 1, 1});
  return output;
}

}  // namespace layers
