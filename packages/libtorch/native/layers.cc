#include "layers.h"
#include "autocast.h"

#include <c10/core/impl/LocalDispatchKeySet.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

namespace layers {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;
using Ints = std::vector<int64_t>;

// Transposed convolution as what it is, the input's gradient of a convolution, which oneDNN does fast in any layout and
// precision. ATen 1.13's own goes through NCHW copies in float32, and in bfloat16 on CPU runs a plain convolution instead: an
// error, or with as many channels out as in a wrong result.
struct TransposedConvolution : torch::autograd::Function<TransposedConvolution> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input, const at::Tensor& weight, const Ints& size, const Ints& stride,
                            const Ints& padding, const Ints& dilation, int64_t groups) {
    context->save_for_backward({input, weight});
    context->saved_data["stride"] = stride;
    context->saved_data["padding"] = padding;
    context->saved_data["dilation"] = dilation;
    context->saved_data["groups"] = groups;
    const at::Tensor shape = at::empty(size, input.options().memory_format(input.suggest_memory_format()));
    return std::get<0>(at::convolution_backward(input, shape, weight, at::OptionalIntArrayRef(), stride, padding, dilation, false, {0, 0}, groups, {true, false, false}));
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const auto &input = saved[0], &weight = saved[1];
    const Ints stride = context->saved_data["stride"].toIntVector(), padding = context->saved_data["padding"].toIntVector(),
               dilation = context->saved_data["dilation"].toIntVector();
    const int64_t groups = context->saved_data["groups"].toInt();
    const at::Tensor g = gradients[0].to(input.scalar_type()).contiguous(input.suggest_memory_format());
    at::Tensor to_input, to_weight;
    if (context->needs_input_grad(0)) to_input = at::conv2d(g, weight, {}, stride, padding, dilation, groups);
    if (context->needs_input_grad(1)) {
      to_weight = std::get<1>(at::convolution_backward(input, g, weight, at::OptionalIntArrayRef(), stride, padding, dilation, false, {0, 0}, groups, {false, true, false}));
    }
    return {to_input, to_weight, at::Tensor(), at::Tensor(), at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

struct GradientLayout : torch::autograd::Function<GradientLayout> {
  static at::Tensor forward(AutogradContext*, const at::Tensor& input) { return input; }
  static variable_list backward(AutogradContext*, variable_list gradients) { return {gradients[0].contiguous(at::MemoryFormat::ChannelsLast)}; }
};

at::Tensor conv_transpose2d_on_cpu(const at::Tensor& input, const at::Tensor& weight, const Optional<at::Tensor>& bias, at::IntArrayRef stride,
                                   at::IntArrayRef padding, at::IntArrayRef output_padding, int64_t groups, at::IntArrayRef dilation) {
  TORCH_CHECK(input.scalar_type() == weight.scalar_type(), "input is ", input.scalar_type(), ", weight ", weight.scalar_type());
  TORCH_CHECK(input.dim() == 4 && weight.dim() == 4, "expected input N, C, H, W and weight C, O/groups, kH, kW");
  TORCH_CHECK(input.size(1) == weight.size(0) && groups > 0 && input.size(1) % groups == 0, "weight of ", weight.size(0), " channels in ", groups,
              " groups does not fit an input of ", input.size(1));
  TORCH_CHECK(stride.size() == 2 && padding.size() == 2 && output_padding.size() == 2 && dilation.size() == 2, "stride, padding, outputPadding and dilation need two numbers each");
  TORCH_CHECK(!bias || bias->numel() == weight.size(1) * groups, "expected a bias of ", weight.size(1) * groups, " elements");
  Ints size = {input.size(0), weight.size(1) * groups};
  for (int i = 0; i < 2; i++) {
    TORCH_CHECK(stride[i] > 0 && dilation[i] > 0 && padding[i] >= 0 && output_padding[i] >= 0 && output_padding[i] < stride[i], "output padding must be smaller than stride");
    size.push_back((input.size(2 + i) - 1) * stride[i] - 2 * padding[i] + dilation[i] * (weight.size(2 + i) - 1) + output_padding[i] + 1);
    TORCH_CHECK(size.back() > 0, "the output would be ", size.back(), " pixels wide or high");
  }
  const at::Tensor output = TransposedConvolution::apply(input, weight, size, stride.vec(), padding.vec(), dilation.vec(), groups);
  return keep_layout(bias ? output + bias->reshape({1, -1, 1, 1}) : output, input);
}

}  // namespace

at::Tensor keep_layout(const at::Tensor& output, const at::Tensor& like) {
  return like.dim() == 4 && output.dim() == 4 ? output.contiguous(like.suggest_memory_format()) : output;
}

at::Tensor keep_gradient_layout(const at::Tensor& input) {
  const bool channels_last = input.dim() == 4 && input.suggest_memory_format() == at::MemoryFormat::ChannelsLast;
  return channels_last && input.requires_grad() ? GradientLayout::apply(input) : input;
}

at::Tensor prelu(const at::Tensor& input, const at::Tensor& weight) {
  // ATen 1.13 walks prelu element by element in NCHW; two clamps and a product vectorise and keep the layout.
  TORCH_CHECK(weight.numel() == 1 || (input.dim() > 1 && weight.numel() == input.size(1)), "prelu needs one weight, or one a channel, got ", weight.numel());
  std::vector<int64_t> by_channel(input.dim(), 1);
  if (input.dim() > 1) by_channel[1] = -1;
  const at::Tensor slope = weight.to(input.scalar_type()).reshape(by_channel);
  return at::clamp_min(input, 0) + slope * at::clamp_max(input, 0);
}

at::Tensor conv_transpose2d(const at::Tensor& input, const at::Tensor& weight, const Optional<at::Tensor>& bias, at::IntArrayRef stride,
                            at::IntArrayRef padding, at::IntArrayRef output_padding, int64_t groups, at::IntArrayRef dilation) {
  const AutocastState autocast = autocast_state(c10::kCPU);
  if (!input.device().is_cpu()) return at::conv_transpose2d(input, weight, bias, stride, padding, output_padding, groups, dilation);
  if (!autocast.enabled) return conv_transpose2d_on_cpu(input, weight, bias, stride, padding, output_padding, groups, dilation);
  // CPU autocast lists transposed convolution among the float32 ops; cast by hand and step around it.
  const at::Tensor x = at::autocast::cached_cast(autocast.dtype, input, c10::DeviceType::CPU);
  const at::Tensor w = at::autocast::cached_cast(autocast.dtype, weight, c10::DeviceType::CPU);
  Optional<at::Tensor> b;
  if (bias) b = at::autocast::cached_cast(autocast.dtype, *bias, c10::DeviceType::CPU);
  c10::impl::ExcludeDispatchKeyGuard no_autocast(c10::DispatchKey::AutocastCPU);
  return conv_transpose2d_on_cpu(x, w, b, stride, padding, output_padding, groups, dilation);
}

at::Tensor avg_pool2d(const at::Tensor& input, at::IntArrayRef kernel, at::IntArrayRef stride, at::IntArrayRef padding) {
  const bool padded = std::any_of(padding.begin(), padding.end(), [](int64_t side) { return side != 0; });
  if (input.device().is_cpu() || !padded) return at::avg_pool2d(input, kernel, stride, padding);
  return keep_layout(at::avg_pool2d(input.contiguous(), kernel, stride, padding), input);
}

namespace {

// Means along one dimension over the `window` pixels around each; near an edge, over the nearest ones inside.
at::Tensor running_mean(const at::Tensor& x, int64_t dim, int64_t window) {
  const int64_t size = x.size(dim), count = std::min(window, size);
  const at::Tensor first = at::clamp(at::arange(size, x.options().dtype(at::kLong)) - (count - 1) / 2, 0, size - count);
  const at::Tensor until = at::cumsum(x, dim);
  return (at::index_select(until, dim, first + (count - 1)) - at::index_select(until, dim, first) + at::index_select(x, dim, first)) / count;
}

}  // namespace

at::Tensor local_mean2d(const at::Tensor& input, int64_t window) {
  TORCH_CHECK(input.dim() == 4 && window > 0, "expected N, C, H, W and a window of 1 or more, got ", input.dim(), " dimensions and a window of ", window);
  if (window >= input.size(2) && window >= input.size(3)) return input.mean({2, 3}, true);
  const at::Tensor kept = keep_gradient_layout(input);
  const at::Tensor exact = input.scalar_type() == at::kDouble ? kept : kept.to(at::kFloat);
  return keep_layout(running_mean(running_mean(exact, 3, window), 2, window).to(input.scalar_type()), input);
}

at::Tensor upsample(const at::Tensor& input, int64_t scale, bool bilinear) {
  const std::vector<int64_t> size = {input.size(2) * scale, input.size(3) * scale};
  return keep_layout(bilinear ? at::upsample_bilinear2d(input, size, false) : at::upsample_nearest2d(input, size), input);
}

}  // namespace layers
