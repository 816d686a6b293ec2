// Layers whose ATen form loses the memory layout, the precision or the speed; each says which in ops.json.
#pragma once
#include "args.h"

namespace layers {

at::Tensor prelu(const at::Tensor& input, const at::Tensor& weight);
at::Tensor conv_transpose2d(const at::Tensor& input, const at::Tensor& weight, const Optional<at::Tensor>& bias, at::IntArrayRef stride,
                            at::IntArrayRef padding, at::IntArrayRef output_padding, int64_t groups, at::IntArrayRef dilation);
at::Tensor instance_norm(const at::Tensor& input, const Optional<at::Tensor>& weight, const Optional<at::Tensor>& bias, double eps);
at::Tensor instance_norm_leaky_relu(const at::Tensor& input, double eps, double negative_slope);
at::Tensor layer_norm2d(const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias, double eps);
at::Tensor dropout(const at::Tensor& input, double p, bool training);
at::Tensor dense_field(const at::Tensor& input, const std::vector<at::Tensor>& convolutions, const std::vector<at::Tensor>& norms, const std::vector<int64_t>& dilations,
                       bool training, bool normalise_features, bool activate_bottleneck, bool only_last, double momentum);
// On CUDA the gradient of a padded channels-last input was wrong up to PyTorch 2.13 (its issue 188344): pooled row-major there.
at::Tensor avg_pool2d(const at::Tensor& input, at::IntArrayRef kernel, at::IntArrayRef stride, at::IntArrayRef padding);
// Running sums, in float32 at least: a window of 384 × 384 in bfloat16 would be noise.
at::Tensor local_mean2d(const at::Tensor& input, int64_t window);
at::Tensor upsample(const at::Tensor& input, int64_t scale, bool bilinear);

// `output` in the memory layout of `like`.
at::Tensor keep_layout(const at::Tensor& output, const at::Tensor& like);

// `input` itself; its gradient comes back in its layout.
at::Tensor keep_gradient_layout(const at::Tensor& input);

// ATen's reflection and replication padding know neither bfloat16 on CPU nor channels-last.
template <class Pad> at::Tensor pad_by(Pad pad, const at::Tensor& input, const std::vector<int64_t>& padding) {
  const bool narrow = input.device().is_cpu() && (input.scalar_type() == at::kBFloat16 || input.scalar_type() == at::kHalf);
  const at::Tensor kept = keep_gradient_layout(input);
  const at::Tensor padded = pad(narrow ? kept.to(at::kFloat) : kept, padding);
  return keep_layout(narrow ? padded.to(input.scalar_type()) : padded, input);
}

}  // namespace layers
