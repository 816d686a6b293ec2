// The norm of each pixel over its channels, over channels-last memory on CPU; statistics in float.
#include "kernels.h"
#include "layers.h"

#include <ATen/Parallel.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

namespace layers {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kBlock = 1024;  // pixels of a partial sum of the weights' gradients: short enough for float; merged in double, in order

// Channels-last memory makes N, H, W, C a view: layer_norm then runs over contiguous rows. In bfloat16 it would also add up in bfloat16.
at::Tensor by_aten(const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias, double eps) {
  const bool narrow = input.scalar_type() == at::kBFloat16 || input.scalar_type() == at::kHalf;
  const at::Tensor rows = (narrow ? input.to(at::kFloat) : input).permute({0, 2, 3, 1});
  return at::layer_norm(rows, {input.size(1)}, weight.to(rows.scalar_type()), bias.to(rows.scalar_type()), eps).permute({0, 3, 1, 2}).to(input.scalar_type());
}

struct LayerNorm2d : torch::autograd::Function<LayerNorm2d> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias, double eps) {
    const auto& kernels = *kernels::kernels_for(input.scalar_type());
    const int64_t channels = input.size(1), pixels = input.numel() / channels;
    const at::Tensor output = at::empty_like(input), kept = at::empty({pixels, 2}, input.options().dtype(at::kFloat).memory_format(at::MemoryFormat::Contiguous));
    const at::Tensor w = weight.to(at::kFloat).contiguous(), b = bias.to(at::kFloat).contiguous();
    at::parallel_for(0, pixels, kBlock, [&](int64_t from, int64_t to) {
      const int64_t offset = from * channels * input.element_size();
      kernels.normalise_rows(static_cast<const char*>(input.data_ptr()) + offset, to - from, channels, static_cast<float>(eps), w.data_ptr<float>(), b.data_ptr<float>(),
                             static_cast<char*>(output.data_ptr()) + offset, kept.data_ptr<float>() + 2 * from);
    });
    context->save_for_backward({input, weight, bias, kept});
    context->saved_data["eps"] = eps;
    return output;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &input = saved[0], &weight = saved[1], &bias = saved[2], &kept = saved[3];
    if (at::GradMode::is_enabled()) {  // create_graph: the gradient itself must be differentiable
      variable_list wanted;
      std::vector<size_t> places;
      for (size_t i = 0; i < 3; i++) {
        if (!saved[i].requires_grad()) continue;
        wanted.push_back(saved[i]);
        places.push_back(i);
      }
      const variable_list found = torch::autograd::grad({by_aten(input, weight, bias, context->saved_data["eps"].toDouble())}, wanted, {gradients[0]}, /*retain_graph=*/true, /*create_graph=*/true);
      variable_list result(4);
      for (size_t i = 0; i < found.size(); i++) result[places[i]] = found[i];
      return result;
    }
    const auto& kernels = *kernels::kernels_for(input.scalar_type());
    const at::Tensor given = gradients[0]._is_zerotensor() ? gradients[0].clone() : gradients[0];
    const at::Tensor g = given.to(input.scalar_type()).contiguous(at::MemoryFormat::ChannelsLast), w = weight.to(at::kFloat).contiguous();
    const int64_t channels = input.size(1), pixels = input.numel() / channels, blocks = (pixels + kBlock - 1) / kBlock;
    const at::Tensor output = at::empty_like(input), sums = at::zeros({blocks, 2, channels}, w.options());
    at::parallel_for(0, blocks, 1, [&](int64_t from, int64_t to) {
      for (int64_t block = from; block < to; block++) {
        const int64_t pixel = block * kBlock, offset = pixel * channels * input.element_size();
        float* sum = sums.data_ptr<float>() + 2 * block * channels;
        kernels.normalise_rows_gradient(static_cast<const char*>(input.data_ptr()) + offset, static_cast<const char*>(g.data_ptr()) + offset, std::min(kBlock, pixels - pixel), channels,
                                        w.data_ptr<float>(), kept.data_ptr<float>() + 2 * pixel, static_cast<char*>(output.data_ptr()) + offset, sum, sum + channels);
      }
    });
    const at::Tensor all = sums.sum(0, false, at::kDouble);
    return {output, all[0].to(weight.scalar_type()), all[1].to(bias.scalar_type()), at::Tensor()};
  }
};

}  // namespace

at::Tensor layer_norm2d(const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias, double eps) {
  TORCH_CHECK(input.dim() == 4, "expected N, C, H, W, got a tensor with ", input.dim(), " dimensions");
  for (const at::Tensor& affine : {weight, bias}) TORCH_CHECK(affine.numel() == input.size(1), "a norm of ", input.size(1), " channels needs as many weights, got ", affine.numel());
  const bool ours = input.device().is_cpu() && input.numel() > 0 && input.is_contiguous(at::MemoryFormat::ChannelsLast) && kernels::kernels_for(input.scalar_type());
  return ours ? LayerNorm2d::apply(input, weight, bias, eps) : by_aten(input, weight, bias, eps);
}

}  // namespace layers
