#include "layers.h"
#include "autocast.h"

#include <c10/core/impl/LocalDispatchKeySet.h>

namespace layers {

at::Tensor keep_layout(const at::Tensor& output, const at::Tensor& like) {
  return like.dim() == 4 && output.dim() == 4 ? output.contiguous(like.suggest_memory_format()) : output;
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
  if (!(input.device().is_cpu() && autocast.enabled)) {
    return at::conv_transpose2d(input, weight, bias, stride, padding, output_padding, groups, dilation);
  }
  // CPU autocast lists transposed convolution among the float32 ops; cast by hand and step around it.
  const at::Tensor x = at::autocast::cached_cast(autocast.dtype, input, c10::DeviceType::CPU);
  const at::Tensor w = at::autocast::cached_cast(autocast.dtype, weight, c10::DeviceType::CPU);
  Optional<at::Tensor> b;
  if (bias) b = at::autocast::cached_cast(autocast.dtype, *bias, c10::DeviceType::CPU);
  c10::impl::ExcludeDispatchKeyGuard no_autocast(c10::DispatchKey::AutocastCPU);
  return at::conv_transpose2d(x, w, b, stride, padding, output_padding, groups, dilation);
}

at::Tensor layer_norm2d(const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias, double eps) {
  // Channels-last memory makes N, H, W, C a view: layer_norm then runs over contiguous rows.
  const at::Tensor rows = input.permute({0, 2, 3, 1});
  return at::layer_norm(rows, {input.size(1)}, weight.to(rows.scalar_type()), bias.to(rows.scalar_type()), eps).permute({0, 3, 1, 2});
}

at::Tensor upsample(const at::Tensor& input, int64_t scale, bool bilinear) {
  const std::vector<int64_t> size = {input.size(2) * scale, input.size(3) * scale};
  return keep_layout(bilinear ? at::upsample_bilinear2d(input, size, false) : at::upsample_nearest2d(input, size), input);
}

}  // namespace layers
