// The op `denseField`: arguments, autograd, and the op-by-op form.
#include "dense_field.h"
#include "autocast.h"
#include "layers.h"

#include <c10/core/impl/LocalDispatchKeySet.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

namespace dense {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct Counts { bool biases, norms; };

// Layer by layer: w1, [b1], w2, [b2]; then, layer by layer, both norms' weight, bias, running_mean, running_var.
std::vector<Layer> layers_of(at::TensorList tensors, size_t layers, Counts counts) {
  std::vector<Layer> result(layers);
  size_t at = 0;
  for (auto& layer : result) {
    layer.w1 = tensors[at++];
    if (counts.biases) layer.b1 = tensors[at++];
    layer.w2 = tensors[at++];
    if (counts.biases) layer.b2 = tensors[at++];
  }
  if (!counts.norms) return result;
  for (auto& layer : result) {
    for (auto* norm : {&layer.n1, &layer.n2}) {
      *norm = {tensors[at], tensors[at + 1], tensors[at + 2], tensors[at + 3]};
      at += 4;
    }
  }
  return result;
}

// The gradients in the order of layers_of's list.
variable_list listed(const std::vector<Layer>& gradients, Counts counts) {
  variable_list list;
  for (const auto& layer : gradients) {
    list.push_back(layer.w1);
    if (counts.biases) list.push_back(layer.b1);
    list.push_back(layer.w2);
    if (counts.biases) list.push_back(layer.b2);
  }
  if (counts.norms) {
    for (const auto& layer : gradients) {
      for (const auto* norm : {&layer.n1, &layer.n2}) for (const auto& tensor : {norm->weight, norm->bias, at::Tensor(), at::Tensor()}) list.push_back(tensor);
    }
  }
  return list;
}

void check(const at::Tensor& input, const std::vector<Layer>& layers, const Options& options) {
  TORCH_CHECK(input.dim() == 4, "expected N, C, H, W, got a tensor with ", input.dim(), " dimensions");
  int64_t channels = input.size(1);
  for (size_t i = 0; i < layers.size(); i++) {
    const auto &w1 = layers[i].w1, &w2 = layers[i].w2;
    TORCH_CHECK(w1.dim() == 4 && w1.size(1) == channels && w1.size(2) == 1 && w1.size(3) == 1, "layer ", i, ": the 1x1 reads ", channels, " channels, its weight is ", w1.sizes());
    TORCH_CHECK(w2.dim() == 4 && w2.size(1) == w1.size(0) && w2.size(2) == 3 && w2.size(3) == 3, "layer ", i, ": the 3x3 reads ", w1.size(0), " channels, its weight is ", w2.sizes());
    TORCH_CHECK(w1.size(0) == layers[0].w1.size(0) && w2.size(0) == layers[0].w2.size(0), "layer ", i, ": all layers need equal widths");
    TORCH_CHECK(options.dilations[i] > 0, "layer ", i, ": dilation must be positive");
    channels += w2.size(0);
  }
  TORCH_CHECK(input.size(2) * input.size(3) > 1 || (layers[0].n1.weight.defined() && !options.training), "the norms need more than one pixel");
}

Sizes sizes_of(const at::Tensor& input, const std::vector<Layer>& layers) {
  return {input.size(0), input.size(2), input.size(3), input.size(1), layers[0].w2.size(0), layers[0].w1.size(0), static_cast<int>(layers.size())};
}

Field field_of(const at::Tensor& input, at::TensorList tensors, const Options& options, Counts counts) {
  std::vector<Layer> layers = layers_of(tensors, options.dilations.size(), counts);
  const Sizes sizes = sizes_of(input, layers);
  return {kernels::kernels_for(input.scalar_type()), input.scalar_type(), sizes, options, std::move(layers)};
}

bool has_kernel(const at::Tensor& input, at::ScalarType dtype, const std::vector<Layer>& layers) {
  const Sizes s = sizes_of(input, layers);
  const auto* kernels = kernels::kernels_for(dtype);
  return kernels && input.device().is_cpu() && input.is_contiguous(at::MemoryFormat::ChannelsLast) && s.images > 0 && s.head % kernels->pair == 0 && s.growth % kernels->pair == 0 &&
         s.bottleneck % kernels->pair == 0 && (input.scalar_type() == at::kFloat || input.scalar_type() == at::kBFloat16);
}

at::Tensor norm(const at::Tensor& x, const Layer::BatchNorm& batch, const Options& options) {
  if (!batch.weight.defined()) return layers::instance_norm_leaky_relu(x, kEps, 1);
  return at::batch_norm(x, batch.weight, batch.bias, batch.running_mean, batch.running_var, options.training, options.momentum, kEps, false);
}

struct DenseField : torch::autograd::Function<DenseField> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input, at::TensorList tensors, const Options& options, Counts counts) {
    const Field field = field_of(input, tensors, options, counts);
    auto state = c10::make_intrusive<State>();
    state->options = options;
    state->counts = counts;
    const at::Tensor output = dense::forward(field, input, true, state->kept);
    variable_list saved = {input, state->kept.features};
    saved.insert(saved.end(), state->kept.z1.begin(), state->kept.z1.end());
    saved.insert(saved.end(), state->kept.z2.begin(), state->kept.z2.end());
    saved.insert(saved.end(), tensors.begin(), tensors.end());
    context->save_for_backward(std::move(saved));
    state->kept.features = at::Tensor();  // saved by autograd, which frees them after the backward pass and minds that one is the output
    state->kept.z1.clear();
    state->kept.z2.clear();
    context->saved_data["state"] = c10::IValue::make_capsule(std::move(state));
    return output;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const auto state = c10::static_intrusive_pointer_cast<State>(context->saved_data["state"].toCapsule());
    const size_t layers = state->options.dilations.size();
    const at::Tensor& input = saved[0];
    const at::TensorList tensors = at::TensorList(saved).slice(2 + 2 * layers);
    variable_list result;
    if (at::GradMode::is_enabled()) {
      result = differentiable(input, tensors, *state, gradients[0]);
    } else {
      Kept kept = state->kept;
      kept.features = saved[1];
      kept.z1.assign(saved.begin() + 2, saved.begin() + 2 + layers);
      kept.z2.assign(saved.begin() + 2 + layers, saved.begin() + 2 + 2 * layers);
      at::Tensor gradient = std::move(gradients[0]);
      const bool own = gradient.use_count() == 1 && gradient.storage().use_count() == 1 && gradient.scalar_type() == input.scalar_type() && gradient.is_contiguous(at::MemoryFormat::ChannelsLast);
      if (!own) gradient = at::empty_like(gradient, input.options(), at::MemoryFormat::ChannelsLast).copy_(gradient);
      Gradients all = dense::backward(field_of(input, tensors, state->options, state->counts), input, kept, gradient, context->needs_input_grad(0));
      result = listed(all.layers, state->counts);
      result.insert(result.begin(), all.input);
    }
    result.insert(result.end(), 2, at::Tensor());  // options, counts
    return result;
  }

 private:
  struct State : torch::CustomClassHolder {
    Options options;
    Counts counts;
    Kept kept;
  };

  // create_graph: the gradient must itself be differentiable, so it is taken of the op-by-op form.
  static variable_list differentiable(const at::Tensor& input, at::TensorList tensors, const State& state, const at::Tensor& gradient) {
    c10::impl::ExcludeDispatchKeyGuard no_autocast(c10::DispatchKey::AutocastCPU);
    variable_list cast, wanted;
    std::vector<size_t> places;
    const auto want = [&](const at::Tensor& tensor, size_t place) {
      if (!tensor.requires_grad()) return;
      wanted.push_back(tensor);
      places.push_back(place);
    };
    want(input, 0);
    for (size_t i = 0; i < tensors.size(); i++) {
      want(tensors[i], i + 1);
      // Convolutions compute in the input's type; norms take their weights in float. Running statistics were updated once already.
      cast.push_back(tensors[i].dim() == 4 || !state.counts.norms || input.scalar_type() == tensors[i].scalar_type() ? tensors[i].to(input.scalar_type()) : tensors[i]);
      if (tensors[i].dim() == 1 && !tensors[i].requires_grad()) cast.back() = tensors[i].clone();
    }
    const at::Tensor output = op_by_op(input, layers_of(cast, state.options.dilations.size(), state.counts), state.options);
    const variable_list found = torch::autograd::grad({output}, wanted, {gradient}, /*retain_graph=*/true, /*create_graph=*/true, /*allow_unused=*/true);
    variable_list result(tensors.size() + 1);
    for (size_t i = 0; i < found.size(); i++) result[places[i]] = found[i];
    return result;
  }
};

}  // namespace

at::Tensor op_by_op(const at::Tensor& input, const std::vector<Layer>& layers, const Options& options) {
  const auto activate = [&](const at::Tensor& x, bool normalise) { return normalise ? layers::instance_norm_leaky_relu(x, kEps, kSlope) : at::leaky_relu(x, kSlope); };
  std::vector<at::Tensor> features = {activate(input, options.normalise_features)};
  for (size_t i = 0; i < layers.size(); i++) {
    const Layer& layer = layers[i];
    const auto optional = [](const at::Tensor& bias) { return bias.defined() ? Optional<at::Tensor>(bias) : Optional<at::Tensor>(); };
    at::Tensor h = norm(at::conv2d(at::cat(features, 1), layer.w1, optional(layer.b1)), layer.n1, options);
    if (options.activate_bottleneck) h = at::leaky_relu(h, kSlope);
    const int64_t dilation = options.dilations[i];
    h = norm(at::conv2d(h, layer.w2, optional(layer.b2), 1, dilation, dilation), layer.n2, options);
    if (options.only_last && i == layers.size() - 1) return activate(h, false);
    features.push_back(activate(h, options.normalise_features));
  }
  return at::cat(features, 1);
}

}  // namespace dense

at::Tensor layers::dense_field(const at::Tensor& input, const std::vector<at::Tensor>& convolutions, const std::vector<at::Tensor>& norms, const std::vector<int64_t>& dilations,
                               bool training, bool normalise_features, bool activate_bottleneck, bool only_last, double momentum) {
  const size_t count = dilations.size();
  TORCH_CHECK(count > 0 && (convolutions.size() == 2 * count || convolutions.size() == 4 * count), "expected 2 or 4 convolution tensors a layer, got ", convolutions.size(), " for ", count, " layers");
  TORCH_CHECK(norms.empty() || norms.size() == 8 * count, "expected no norm tensors or 8 a layer, got ", norms.size(), " for ", count, " layers");
  TORCH_CHECK(norms.empty() || !normalise_features, "features are normalised by instance norm only: batch norm would have weights of its own in each layer");
  const dense::Options options{dilations, normalise_features, activate_bottleneck, only_last, training, momentum};
  const dense::Counts counts{convolutions.size() == 4 * count, !norms.empty()};
  std::vector<at::Tensor> tensors = convolutions;
  tensors.insert(tensors.end(), norms.begin(), norms.end());
  const auto layers = dense::layers_of(tensors, count, counts);
  dense::check(input, layers, options);
  const AutocastState autocast = autocast_state(c10::kCPU);
  const at::ScalarType dtype = autocast.enabled && input.scalar_type() == at::kFloat ? autocast.dtype : input.scalar_type();
  if (!dense::has_kernel(input, dtype, layers)) return dense::op_by_op(input, layers, options);
  c10::impl::ExcludeDispatchKeyGuard no_autocast(c10::DispatchKey::AutocastCPU);
  const at::Tensor x = input.to(dtype);
  const bool differentiated = at::GradMode::is_enabled() && (x.requires_grad() || std::any_of(tensors.begin(), tensors.end(), [](const at::Tensor& tensor) { return tensor.requires_grad(); }));
  if (differentiated) return dense::DenseField::apply(x, at::TensorList(tensors), options, counts);
  dense::Kept kept;
  return dense::forward(dense::field_of(x, tensors, options, counts), x, false, kept);
}
