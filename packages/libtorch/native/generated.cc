// Generated from ops.json by scripts/generate.ts; do not edit.
#include "args.h"
#include "layers.h"

static Napi::Value op_zeros(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const std::vector<int64_t> shape = ints_arg(info, 0);
    const at::ScalarType dtype = dtype_arg(info, 1);
    const at::Device device = device_arg(info, 2);
    return wrap(info.Env(), at::zeros(shape, at::TensorOptions().dtype(dtype).device(device)));
  });
}

static Napi::Value op_full(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const std::vector<int64_t> shape = ints_arg(info, 0);
    const double value = float_arg(info, 1);
    const at::ScalarType dtype = dtype_arg(info, 2);
    const at::Device device = device_arg(info, 3);
    return wrap(info.Env(), at::full(shape, value, at::TensorOptions().dtype(dtype).device(device)));
  });
}

static Napi::Value op_arange(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const double start = float_arg(info, 0);
    const double end = float_arg(info, 1);
    const double step = float_arg(info, 2);
    const at::ScalarType dtype = dtype_arg(info, 3);
    const at::Device device = device_arg(info, 4);
    return wrap(info.Env(), at::arange(start, end, step, at::TensorOptions().dtype(dtype).device(device)));
  });
}

static Napi::Value op_rand(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const std::vector<int64_t> shape = ints_arg(info, 0);
    const at::ScalarType dtype = dtype_arg(info, 1);
    const at::Device device = device_arg(info, 2);
    return wrap(info.Env(), at::rand(shape, at::TensorOptions().dtype(dtype).device(device)));
  });
}

static Napi::Value op_randn(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const std::vector<int64_t> shape = ints_arg(info, 0);
    const at::ScalarType dtype = dtype_arg(info, 1);
    const at::Device device = device_arg(info, 2);
    return wrap(info.Env(), at::randn(shape, at::TensorOptions().dtype(dtype).device(device)));
  });
}

static Napi::Value op_zerosLike(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& input = tensor_arg(info, 0);
    return wrap(info.Env(), at::zeros_like(input));
  });
}

static Napi::Value op_onesLike(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& input = tensor_arg(info, 0);
    return wrap(info.Env(), at::ones_like(input));
  });
}

static Napi::Value op_to(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& input = tensor_arg(info, 0);
    const at::Device device = device_arg(info, 1);
    const bool nonBlocking = bool_arg(info, 2);
    return wrap(info.Env(), input.to(device, input.scalar_type(), nonBlocking));
  });
}

static Napi::Value op_toDtype(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& input = tensor_arg(info, 0);
    const at::ScalarType dtype = dtype_arg(info, 1);
    return wrap(info.Env(), input.to(dtype));
  });
}

static Napi::Value op_contiguous(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& input = tensor_arg(info, 0);
    return wrap(info.Env(), input.contiguous());
  });
}

static Napi::Value op_channelsLast(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& input = tensor_arg(info, 0);
    return wrap(info.Env(), input.contiguous(at::MemoryFormat::ChannelsLast));
  });
}

static Napi::Value op_clone(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& input = tensor_arg(info, 0);
    return wrap(info.Env(), input.clone());
  });
}

static Napi::Value op_detach(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& input = tensor_arg(info, 0);
    return wrap(info.Env(), input.detach());
  });
}

static Napi::Value op_reshape(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& input = tensor_arg(info, 0);
    const std::vector<int64_t> shape = ints_arg(info, 1);
    return wrap(info.Env(), input.reshape(shape));
  });
}

static Napi::Value op_permute(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& input = tensor_arg(info, 0);
    const std::vector<int64_t> dims = ints_arg(info, 1);
    return wrap(info.Env(), input.permute(dims));
  });
}

static Napi::Value op_flip(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& input = tensor_arg(info, 0);
    const std::vector<int64_t> dims = ints_arg(info, 1);
    return wrap(info.Env(), at::flip(input, dims));
  });
}

static Napi::Value op_narrow(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& input = tensor_arg(info, 0);
    const int64_t dim = int_arg(info, 1);
    const int64_t start = int_arg(info, 2);
    const int64_t length = int_arg(info, 3);
    return wrap(info.Env(), input.narrow(dim, start, length));
  });
}

static Napi::Value op_chunk(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& input = tensor_arg(info, 0);
    const int64_t chunks = int_arg(info, 1);
    const int64_t dim = int_arg(info, 2);
    return wrap_all(info.Env(), at::chunk(input, chunks, dim));
  });
}

static Napi::Value op_cat(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const std::vector<at::Tensor> tensors = tensors_arg(info, 0);
    const int64_t dim = int_arg(info, 1);
    return wrap(info.Env(), at::cat(tensors, dim));
  });
}

static Napi::Value op_expand(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& input = tensor_arg(info, 0);
    const std::vector<int64_t> shape = ints_arg(info, 1);
    return wrap(info.Env(), input.expand(shape));
  });
}

static Napi::Value op_add(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& input = tensor_arg(info, 0);
    const at::Tensor& other = tensor_arg(info, 1);
    return wrap(info.Env(), at::add(input, other));
  });
}

static Napi::Value op_sub(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& input = tensor_arg(info, 0);
    const at::Tensor& other = tensor_arg(info, 1);
    return wrap(info.Env(), at::sub(input, other));
  });
}

static Napi::Value op_mul(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& input = tensor_arg(info, 0);
    const at::Tensor& other = tensor_arg(info, 1);
    return wrap(info.Env(), at::mul(input, other));
  });
}

static Napi::Value op_div(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& input = tensor_arg(info, 0);
    const at::Tensor& other = tensor_arg(info, 1);
    return wrap(info.Env(), at::div(input, other));
  });
}

static Napi::Value op_addScalar(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& input = tensor_arg(info, 0);
    const double value = float_arg(info, 1);
    return wrap(info.Env(), at::add(input, value));
  });
}

static Napi::Value op_mulScalar(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& input = tensor_arg(info, 0);
    const double value = float_arg(info, 1);
    return wrap(info.Env(), at::mul(input, value));
  });
}

static Napi::Value op_powScalar(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& input = tensor_arg(info, 0);
    const double exponent = float_arg(info, 1);
    return wrap(info.Env(), at::pow(input, exponent));
  });
}

static Napi::Value op_neg(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& input = tensor_arg(info, 0);
    return wrap(info.Env(), at::neg(input));
  });
}

static Napi::Value op_exp(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& input = tensor_arg(info, 0);
    return wrap(info.Env(), at::exp(input));
  });
}

static Napi::Value op_log(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& input = tensor_arg(info, 0);
    return wrap(info.Env(), at::log(input));
  });
}

static Napi::Value op_sqrt(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& input = tensor_arg(info, 0);
    return wrap(info.Env(), at::sqrt(input));
  });
}

static Napi::Value op_rsqrt(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& input = tensor_arg(info, 0);
    return wrap(info.Env(), at::rsqrt(input));
  });
}

static Napi::Value op_square(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& input = tensor_arg(info, 0);
    return wrap(info.Env(), at::square(input));
  });
}

static Napi::Value op_abs(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& input = tensor_arg(info, 0);
    return wrap(info.Env(), at::abs(input));
  });
}

static Napi::Value op_clamp(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& input = tensor_arg(info, 0);
    const Optional<at::Scalar> min = optional_scalar_arg(info, 1);
    const Optional<at::Scalar> max = optional_scalar_arg(info, 2);
    return wrap(info.Env(), at::clamp(input, min, max));
  });
}

static Napi::Value op_maximum(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& input = tensor_arg(info, 0);
    const at::Tensor& other = tensor_arg(info, 1);
    return wrap(info.Env(), at::maximum(input, other));
  });
}

static Napi::Value op_matmul(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& input = tensor_arg(info, 0);
    const at::Tensor& other = tensor_arg(info, 1);
    return wrap(info.Env(), at::matmul(input, other));
  });
}

static Napi::Value op_add_(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    at::Tensor& input = tensor_arg(info, 0);
    const at::Tensor& other = tensor_arg(info, 1);
    const double alpha = float_arg(info, 2);
    input.add_(other, alpha);
    return info[0];
  });
}

static Napi::Value op_mul_(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    at::Tensor& input = tensor_arg(info, 0);
    const at::Tensor& other = tensor_arg(info, 1);
    input.mul_(other);
    return info[0];
  });
}

static Napi::Value op_addScalar_(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    at::Tensor& input = tensor_arg(info, 0);
    const double value = float_arg(info, 1);
    input.add_(value);
    return info[0];
  });
}

static Napi::Value op_mulScalar_(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    at::Tensor& input = tensor_arg(info, 0);
    const double value = float_arg(info, 1);
    input.mul_(value);
    return info[0];
  });
}

static Napi::Value op_addcmul_(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    at::Tensor& input = tensor_arg(info, 0);
    const at::Tensor& a = tensor_arg(info, 1);
    const at::Tensor& b = tensor_arg(info, 2);
    const double value = float_arg(info, 3);
    input.addcmul_(a, b, value);
    return info[0];
  });
}

static Napi::Value op_addcdiv_(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    at::Tensor& input = tensor_arg(info, 0);
    const at::Tensor& a = tensor_arg(info, 1);
    const at::Tensor& b = tensor_arg(info, 2);
    const double value = float_arg(info, 3);
    input.addcdiv_(a, b, value);
    return info[0];
  });
}

static Napi::Value op_lerp_(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    at::Tensor& input = tensor_arg(info, 0);
    const at::Tensor& end = tensor_arg(info, 1);
    const double weight = float_arg(info, 2);
    input.lerp_(end, weight);
    return info[0];
  });
}

static Napi::Value op_clamp_(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    at::Tensor& input = tensor_arg(info, 0);
    const Optional<at::Scalar> min = optional_scalar_arg(info, 1);
    const Optional<at::Scalar> max = optional_scalar_arg(info, 2);
    input.clamp_(min, max);
    return info[0];
  });
}

static Napi::Value op_copy_(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    at::Tensor& input = tensor_arg(info, 0);
    const at::Tensor& source = tensor_arg(info, 1);
    input.copy_(source);
    return info[0];
  });
}

static Napi::Value op_fill_(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    at::Tensor& input = tensor_arg(info, 0);
    const double value = float_arg(info, 1);
    input.fill_(value);
    return info[0];
  });
}

static Napi::Value op_uniform_(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    at::Tensor& input = tensor_arg(info, 0);
    const double low = float_arg(info, 1);
    const double high = float_arg(info, 2);
    input.uniform_(low, high);
    return info[0];
  });
}

static Napi::Value op_normal_(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    at::Tensor& input = tensor_arg(info, 0);
    const double mean = float_arg(info, 1);
    const double std = float_arg(info, 2);
    input.normal_(mean, std);
    return info[0];
  });
}

static Napi::Value op_sum(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& input = tensor_arg(info, 0);
    const std::vector<int64_t> dims = ints_arg(info, 1);
    const bool keepDim = bool_arg(info, 2);
    return wrap(info.Env(), dims.empty() ? at::sum(input) : at::sum(input, dims, keepDim));
  });
}

static Napi::Value op_mean(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& input = tensor_arg(info, 0);
    const std::vector<int64_t> dims = ints_arg(info, 1);
    const bool keepDim = bool_arg(info, 2);
    return wrap(info.Env(), dims.empty() ? at::mean(input) : at::mean(input, dims, keepDim));
  });
}

static Napi::Value op_max(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& input = tensor_arg(info, 0);
    return wrap(info.Env(), at::max(input));
  });
}

static Napi::Value op_rfft2(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& input = tensor_arg(info, 0);
    return wrap(info.Env(), at::view_as_real(at::fft_rfft2(input, at::OptionalIntArrayRef(), {-2, -1}, "ortho")));
  });
}

static Napi::Value op_relu(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& input = tensor_arg(info, 0);
    return wrap(info.Env(), at::relu(input));
  });
}

static Napi::Value op_leakyRelu(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& input = tensor_arg(info, 0);
    const double negativeSlope = float_arg(info, 1);
    return wrap(info.Env(), at::leaky_relu(input, negativeSlope));
  });
}

static Napi::Value op_prelu(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& input = tensor_arg(info, 0);
    const at::Tensor& weight = tensor_arg(info, 1);
    return wrap(info.Env(), layers::prelu(input, weight));
  });
}

static Napi::Value op_tanh(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& input = tensor_arg(info, 0);
    return wrap(info.Env(), at::tanh(input));
  });
}

static Napi::Value op_sigmoid(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& input = tensor_arg(info, 0);
    return wrap(info.Env(), at::sigmoid(input));
  });
}

static Napi::Value op_softplus(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& input = tensor_arg(info, 0);
    return wrap(info.Env(), at::softplus(input));
  });
}

static Napi::Value op_gelu(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& input = tensor_arg(info, 0);
    return wrap(info.Env(), at::gelu(input));
  });
}

static Napi::Value op_silu(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& input = tensor_arg(info, 0);
    return wrap(info.Env(), at::silu(input));
  });
}

static Napi::Value op_dropout(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& input = tensor_arg(info, 0);
    const double p = float_arg(info, 1);
    const bool training = bool_arg(info, 2);
    return wrap(info.Env(), layers::dropout(input, p, training));
  });
}

static Napi::Value op_conv2d(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& input = tensor_arg(info, 0);
    const at::Tensor& weight = tensor_arg(info, 1);
    const Optional<at::Tensor> bias = optional_tensor_arg(info, 2);
    const std::vector<int64_t> stride = ints_arg(info, 3);
    const std::vector<int64_t> padding = ints_arg(info, 4);
    const std::vector<int64_t> dilation = ints_arg(info, 5);
    const int64_t groups = int_arg(info, 6);
    return wrap(info.Env(), at::conv2d(input, weight, bias, stride, padding, dilation, groups));
  });
}

static Napi::Value op_convTranspose2d(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& input = tensor_arg(info, 0);
    const at::Tensor& weight = tensor_arg(info, 1);
    const Optional<at::Tensor> bias = optional_tensor_arg(info, 2);
    const std::vector<int64_t> stride = ints_arg(info, 3);
    const std::vector<int64_t> padding = ints_arg(info, 4);
    const std::vector<int64_t> outputPadding = ints_arg(info, 5);
    const int64_t groups = int_arg(info, 6);
    const std::vector<int64_t> dilation = ints_arg(info, 7);
    return wrap(info.Env(), layers::conv_transpose2d(input, weight, bias, stride, padding, outputPadding, groups, dilation));
  });
}

static Napi::Value op_linear(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& input = tensor_arg(info, 0);
    const at::Tensor& weight = tensor_arg(info, 1);
    const Optional<at::Tensor> bias = optional_tensor_arg(info, 2);
    return wrap(info.Env(), at::linear(input, weight, bias));
  });
}

static Napi::Value op_batchNorm(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& input = tensor_arg(info, 0);
    const Optional<at::Tensor> weight = optional_tensor_arg(info, 1);
    const Optional<at::Tensor> bias = optional_tensor_arg(info, 2);
    const Optional<at::Tensor> runningMean = optional_tensor_arg(info, 3);
    const Optional<at::Tensor> runningVar = optional_tensor_arg(info, 4);
    const bool training = bool_arg(info, 5);
    const double momentum = float_arg(info, 6);
    const double eps = float_arg(info, 7);
    return wrap(info.Env(), at::batch_norm(input, weight, bias, runningMean, runningVar, training, momentum, eps, false));
  });
}

static Napi::Value op_instanceNorm(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& input = tensor_arg(info, 0);
    const Optional<at::Tensor> weight = optional_tensor_arg(info, 1);
    const Optional<at::Tensor> bias = optional_tensor_arg(info, 2);
    const double eps = float_arg(info, 3);
    return wrap(info.Env(), layers::instance_norm(input, weight, bias, eps));
  });
}

static Napi::Value op_instanceNormLeakyRelu(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& input = tensor_arg(info, 0);
    const double eps = float_arg(info, 1);
    const double negativeSlope = float_arg(info, 2);
    return wrap(info.Env(), layers::instance_norm_leaky_relu(input, eps, negativeSlope));
  });
}

static Napi::Value op_denseField(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& input = tensor_arg(info, 0);
    const std::vector<at::Tensor> convolutions = tensors_arg(info, 1);
    const std::vector<at::Tensor> norms = tensors_arg(info, 2);
    const std::vector<int64_t> dilations = ints_arg(info, 3);
    const bool training = bool_arg(info, 4);
    const bool normaliseFeatures = bool_arg(info, 5);
    const bool activateBottleneck = bool_arg(info, 6);
    const bool onlyLast = bool_arg(info, 7);
    const double momentum = float_arg(info, 8);
    return wrap(info.Env(), layers::dense_field(input, convolutions, norms, dilations, training, normaliseFeatures, activateBottleneck, onlyLast, momentum));
  });
}

static Napi::Value op_layerNorm2d(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& input = tensor_arg(info, 0);
    const at::Tensor& weight = tensor_arg(info, 1);
    const at::Tensor& bias = tensor_arg(info, 2);
    const double eps = float_arg(info, 3);
    return wrap(info.Env(), layers::layer_norm2d(input, weight, bias, eps));
  });
}

static Napi::Value op_avgPool2d(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& input = tensor_arg(info, 0);
    const std::vector<int64_t> kernel = ints_arg(info, 1);
    const std::vector<int64_t> stride = ints_arg(info, 2);
    const std::vector<int64_t> padding = ints_arg(info, 3);
    return wrap(info.Env(), layers::avg_pool2d(input, kernel, stride, padding));
  });
}

static Napi::Value op_localMean2d(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& input = tensor_arg(info, 0);
    const int64_t window = int_arg(info, 1);
    return wrap(info.Env(), layers::local_mean2d(input, window));
  });
}

static Napi::Value op_maxPool2d(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& input = tensor_arg(info, 0);
    const std::vector<int64_t> kernel = ints_arg(info, 1);
    const std::vector<int64_t> stride = ints_arg(info, 2);
    const std::vector<int64_t> padding = ints_arg(info, 3);
    const std::vector<int64_t> dilation = ints_arg(info, 4);
    const bool ceilMode = bool_arg(info, 5);
    return wrap(info.Env(), at::max_pool2d(input, kernel, stride, padding, dilation, ceilMode));
  });
}

static Napi::Value op_pixelShuffle(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& input = tensor_arg(info, 0);
    const int64_t factor = int_arg(info, 1);
    return wrap(info.Env(), layers::keep_layout(at::pixel_shuffle(input, factor), input));
  });
}

static Napi::Value op_pixelUnshuffle(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& input = tensor_arg(info, 0);
    const int64_t factor = int_arg(info, 1);
    return wrap(info.Env(), layers::keep_layout(at::pixel_unshuffle(input, factor), input));
  });
}

static Napi::Value op_upsampleNearest2d(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& input = tensor_arg(info, 0);
    const int64_t scale = int_arg(info, 1);
    return wrap(info.Env(), layers::upsample(input, scale, false));
  });
}

static Napi::Value op_upsampleBilinear2d(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& input = tensor_arg(info, 0);
    const int64_t scale = int_arg(info, 1);
    return wrap(info.Env(), layers::upsample(input, scale, true));
  });
}

static Napi::Value op_zeroPad2d(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& input = tensor_arg(info, 0);
    const std::vector<int64_t> padding = ints_arg(info, 1);
    return wrap(info.Env(), layers::keep_layout(at::constant_pad_nd(input, padding, 0), input));
  });
}

static Napi::Value op_reflectionPad2d(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& input = tensor_arg(info, 0);
    const std::vector<int64_t> padding = ints_arg(info, 1);
    return wrap(info.Env(), layers::pad_by(at::reflection_pad2d, input, padding));
  });
}

static Napi::Value op_replicationPad2d(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& input = tensor_arg(info, 0);
    const std::vector<int64_t> padding = ints_arg(info, 1);
    return wrap(info.Env(), layers::pad_by(at::replication_pad2d, input, padding));
  });
}

static Napi::Value op_gtScalar(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& input = tensor_arg(info, 0);
    const double value = float_arg(info, 1);
    return wrap(info.Env(), at::gt(input, value));
  });
}

static Napi::Value op_where(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& condition = tensor_arg(info, 0);
    const at::Tensor& input = tensor_arg(info, 1);
    const at::Tensor& other = tensor_arg(info, 2);
    return wrap(info.Env(), at::where(condition, input, other));
  });
}

void register_ops(Napi::Env env, Napi::Object exports) {
  exports.Set("zeros", Napi::Function::New(env, op_zeros, "zeros"));
  exports.Set("full", Napi::Function::New(env, op_full, "full"));
  exports.Set("arange", Napi::Function::New(env, op_arange, "arange"));
  exports.Set("rand", Napi::Function::New(env, op_rand, "rand"));
  exports.Set("randn", Napi::Function::New(env, op_randn, "randn"));
  exports.Set("zerosLike", Napi::Function::New(env, op_zerosLike, "zerosLike"));
  exports.Set("onesLike", Napi::Function::New(env, op_onesLike, "onesLike"));
  exports.Set("to", Napi::Function::New(env, op_to, "to"));
  exports.Set("toDtype", Napi::Function::New(env, op_toDtype, "toDtype"));
  exports.Set("contiguous", Napi::Function::New(env, op_contiguous, "contiguous"));
  exports.Set("channelsLast", Napi::Function::New(env, op_channelsLast, "channelsLast"));
  exports.Set("clone", Napi::Function::New(env, op_clone, "clone"));
  exports.Set("detach", Napi::Function::New(env, op_detach, "detach"));
  exports.Set("reshape", Napi::Function::New(env, op_reshape, "reshape"));
  exports.Set("permute", Napi::Function::New(env, op_permute, "permute"));
  exports.Set("flip", Napi::Function::New(env, op_flip, "flip"));
  exports.Set("narrow", Napi::Function::New(env, op_narrow, "narrow"));
  exports.Set("chunk", Napi::Function::New(env, op_chunk, "chunk"));
  exports.Set("cat", Napi::Function::New(env, op_cat, "cat"));
  exports.Set("expand", Napi::Function::New(env, op_expand, "expand"));
  exports.Set("add", Napi::Function::New(env, op_add, "add"));
  exports.Set("sub", Napi::Function::New(env, op_sub, "sub"));
  exports.Set("mul", Napi::Function::New(env, op_mul, "mul"));
  exports.Set("div", Napi::Function::New(env, op_div, "div"));
  exports.Set("addScalar", Napi::Function::New(env, op_addScalar, "addScalar"));
  exports.Set("mulScalar", Napi::Function::New(env, op_mulScalar, "mulScalar"));
  exports.Set("powScalar", Napi::Function::New(env, op_powScalar, "powScalar"));
  exports.Set("neg", Napi::Function::New(env, op_neg, "neg"));
  exports.Set("exp", Napi::Function::New(env, op_exp, "exp"));
  exports.Set("log", Napi::Function::New(env, op_log, "log"));
  exports.Set("sqrt", Napi::Function::New(env, op_sqrt, "sqrt"));
  exports.Set("rsqrt", Napi::Function::New(env, op_rsqrt, "rsqrt"));
  exports.Set("square", Napi::Function::New(env, op_square, "square"));
  exports.Set("abs", Napi::Function::New(env, op_abs, "abs"));
  exports.Set("clamp", Napi::Function::New(env, op_clamp, "clamp"));
  exports.Set("maximum", Napi::Function::New(env, op_maximum, "maximum"));
  exports.Set("matmul", Napi::Function::New(env, op_matmul, "matmul"));
  exports.Set("add_", Napi::Function::New(env, op_add_, "add_"));
  exports.Set("mul_", Napi::Function::New(env, op_mul_, "mul_"));
  exports.Set("addScalar_", Napi::Function::New(env, op_addScalar_, "addScalar_"));
  exports.Set("mulScalar_", Napi::Function::New(env, op_mulScalar_, "mulScalar_"));
  exports.Set("addcmul_", Napi::Function::New(env, op_addcmul_, "addcmul_"));
  exports.Set("addcdiv_", Napi::Function::New(env, op_addcdiv_, "addcdiv_"));
  exports.Set("lerp_", Napi::Function::New(env, op_lerp_, "lerp_"));
  exports.Set("clamp_", Napi::Function::New(env, op_clamp_, "clamp_"));
  exports.Set("copy_", Napi::Function::New(env, op_copy_, "copy_"));
  exports.Set("fill_", Napi::Function::New(env, op_fill_, "fill_"));
  exports.Set("uniform_", Napi::Function::New(env, op_uniform_, "uniform_"));
  exports.Set("normal_", Napi::Function::New(env, op_normal_, "normal_"));
  exports.Set("sum", Napi::Function::New(env, op_sum, "sum"));
  exports.Set("mean", Napi::Function::New(env, op_mean, "mean"));
  exports.Set("max", Napi::Function::New(env, op_max, "max"));
  exports.Set("rfft2", Napi::Function::New(env, op_rfft2, "rfft2"));
  exports.Set("relu", Napi::Function::New(env, op_relu, "relu"));
  exports.Set("leakyRelu", Napi::Function::New(env, op_leakyRelu, "leakyRelu"));
  exports.Set("prelu", Napi::Function::New(env, op_prelu, "prelu"));
  exports.Set("tanh", Napi::Function::New(env, op_tanh, "tanh"));
  exports.Set("sigmoid", Napi::Function::New(env, op_sigmoid, "sigmoid"));
  exports.Set("softplus", Napi::Function::New(env, op_softplus, "softplus"));
  exports.Set("gelu", Napi::Function::New(env, op_gelu, "gelu"));
  exports.Set("silu", Napi::Function::New(env, op_silu, "silu"));
  exports.Set("dropout", Napi::Function::New(env, op_dropout, "dropout"));
  exports.Set("conv2d", Napi::Function::New(env, op_conv2d, "conv2d"));
  exports.Set("convTranspose2d", Napi::Function::New(env, op_convTranspose2d, "convTranspose2d"));
  exports.Set("linear", Napi::Function::New(env, op_linear, "linear"));
  exports.Set("batchNorm", Napi::Function::New(env, op_batchNorm, "batchNorm"));
  exports.Set("instanceNorm", Napi::Function::New(env, op_instanceNorm, "instanceNorm"));
  exports.Set("instanceNormLeakyRelu", Napi::Function::New(env, op_instanceNormLeakyRelu, "instanceNormLeakyRelu"));
  exports.Set("denseField", Napi::Function::New(env, op_denseField, "denseField"));
  exports.Set("layerNorm2d", Napi::Function::New(env, op_layerNorm2d, "layerNorm2d"));
  exports.Set("avgPool2d", Napi::Function::New(env, op_avgPool2d, "avgPool2d"));
  exports.Set("localMean2d", Napi::Function::New(env, op_localMean2d, "localMean2d"));
  exports.Set("maxPool2d", Napi::Function::New(env, op_maxPool2d, "maxPool2d"));
  exports.Set("pixelShuffle", Napi::Function::New(env, op_pixelShuffle, "pixelShuffle"));
  exports.Set("pixelUnshuffle", Napi::Function::New(env, op_pixelUnshuffle, "pixelUnshuffle"));
  exports.Set("upsampleNearest2d", Napi::Function::New(env, op_upsampleNearest2d, "upsampleNearest2d"));
  exports.Set("upsampleBilinear2d", Napi::Function::New(env, op_upsampleBilinear2d, "upsampleBilinear2d"));
  exports.Set("zeroPad2d", Napi::Function::New(env, op_zeroPad2d, "zeroPad2d"));
  exports.Set("reflectionPad2d", Napi::Function::New(env, op_reflectionPad2d, "reflectionPad2d"));
  exports.Set("replicationPad2d", Napi::Function::New(env, op_replicationPad2d, "replicationPad2d"));
  exports.Set("gtScalar", Napi::Function::New(env, op_gtScalar, "gtScalar"));
  exports.Set("where", Napi::Function::New(env, op_where, "where"));
}
