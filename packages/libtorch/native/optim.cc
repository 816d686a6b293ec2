// What touches all parameters of a network at each step: Adam, the averaged weights, the clipping of gradients. On CPU Adam is one sweep, each
// value read and written once, not once an operation of the rule; elsewhere an operation takes all tensors at once, in a few kernels.
#include "args.h"
#include "isa.h"

#include <ATen/Parallel.h>
#include <torch/version.h>

#include <algorithm>
#include <cmath>

namespace {

struct Rule { double lr, beta1, beta2, eps, weight_decay; bool decoupled; };

// One tensor's constants of a step.
template <class T> struct Constants { T beta1, rest1, beta2, rest2, eps, decay_gradient, keep, rate, unbias; };

template <class T> Constants<T> constants(const Rule& rule, int64_t step) {
  return {static_cast<T>(rule.beta1), static_cast<T>(1 - rule.beta1), static_cast<T>(rule.beta2), static_cast<T>(1 - rule.beta2), static_cast<T>(rule.eps), static_cast<T>(rule.decoupled ? 0 : rule.weight_decay),
          static_cast<T>(rule.decoupled ? 1 - rule.lr * rule.weight_decay : 1), static_cast<T>(rule.lr / (1 - std::pow(rule.beta1, step))), static_cast<T>(1 / std::sqrt(1 - std::pow(rule.beta2, step)))};
}

#define ADAM(T) \
  FOR_EACH_ISA void adam(T* __restrict parameter, const T* __restrict gradient, T* __restrict average, T* __restrict squares, int64_t count, Constants<T> k) { \
    for (int64_t i = 0; i < count; i++) { \
      const T old = parameter[i] * k.keep, g = gradient[i] + k.decay_gradient * old; \
      const T a = average[i] * k.beta1 + k.rest1 * g, s = squares[i] * k.beta2 + k.rest2 * g * g; \
      average[i] = a; \
      squares[i] = s; \
      parameter[i] = old - k.rate * a / (std::sqrt(s) * k.unbias + k.eps); \
    } \
  }
ADAM(float) ADAM(double)

// Elementwise over memory: all four alike, without gaps.
bool alike(const at::Tensor& parameter, const at::Tensor& other) {
  return other.device().is_cpu() && other.scalar_type() == parameter.scalar_type() && other.sizes() == parameter.sizes() && other.strides() == parameter.strides();
}

constexpr int64_t kPiece = 1 << 15;
struct Piece { size_t tensor; int64_t from, count; };

template <class T> void step_piece(const Piece& piece, std::vector<at::Tensor>* lists, const Constants<T>& k) {
  T* at[4];
  for (int i = 0; i < 4; i++) at[i] = static_cast<T*>(lists[i][piece.tensor].data_ptr()) + piece.from;
  adam(at[0], at[1], at[2], at[3], piece.count, k);
}

// Whether the sweep applies: float tensors on CPU, those of a parameter in one layout.
bool sweepable(const std::vector<at::Tensor>* lists) {
  for (size_t t = 0; t < lists[0].size(); t++) {
    const at::Tensor& parameter = lists[0][t];
    const auto dtype = parameter.scalar_type();
    if (!parameter.device().is_cpu() || !parameter.is_non_overlapping_and_dense() || (dtype != at::kFloat && dtype != at::kDouble)) return false;
    for (int i = 1; i < 4; i++) if (!alike(parameter, lists[i][t])) return false;
  }
  return true;
}

void adam_sweep(std::vector<at::Tensor>* lists, const std::vector<int64_t>& steps, const Rule& rule) {
  std::vector<Piece> pieces;
  for (size_t t = 0; t < lists[0].size(); t++) {
    for (int64_t from = 0, count = lists[0][t].numel(); from < count; from += kPiece) pieces.push_back({t, from, std::min(kPiece, count - from)});
  }
  at::parallel_for(0, static_cast<int64_t>(pieces.size()), 2, [&](int64_t from, int64_t to) {
    for (int64_t p = from; p < to; p++) {
      const Piece& piece = pieces[p];
      if (lists[0][piece.tensor].scalar_type() == at::kFloat) step_piece(piece, lists, constants<float>(rule, steps[piece.tensor]));
      else step_piece(piece, lists, constants<double>(rule, steps[piece.tensor]));
    }
  });
  for (int i : {0, 2, 3}) for (const auto& tensor : lists[i]) tensor.unsafeGetTensorImpl()->bump_version();  // autograd must see that they changed
}

// The same rule, an operation at a time over all tensors.
void adam_for_each(std::vector<at::Tensor>* lists, const std::vector<int64_t>& steps, const Rule& rule) {
  auto &parameters = lists[0], &gradients = lists[1], &averages = lists[2], &squares = lists[3];
  std::vector<at::Scalar> unbias, rate;
  for (const int64_t step : steps) {
    const auto k = constants<double>(rule, step);
    unbias.emplace_back(k.unbias);
    rate.emplace_back(-k.rate);
  }
  if (rule.weight_decay != 0) {
    if (rule.decoupled) at::_foreach_mul_(parameters, 1 - rule.lr * rule.weight_decay);
    else gradients = at::_foreach_add(gradients, parameters, rule.weight_decay);
  }
  at::_foreach_mul_(averages, rule.beta1);
  at::_foreach_add_(averages, gradients, 1 - rule.beta1);
  at::_foreach_mul_(squares, rule.beta2);
  at::_foreach_addcmul_(squares, gradients, gradients, 1 - rule.beta2);
  const std::vector<at::Tensor> denominators = at::_foreach_sqrt(squares);
  at::_foreach_mul_(denominators, unbias);
  at::_foreach_add_(denominators, rule.eps);
  at::_foreach_addcdiv_(parameters, averages, denominators, rate);
}

Napi::Value adam_step(const Napi::CallbackInfo& info) {  // (parameters, gradients, averages, squares, steps, [lr, beta1, beta2, eps, weight decay], decoupled)
  return guard(info, [&]() -> Napi::Value {
    at::NoGradGuard no_grad;
    std::vector<at::Tensor> lists[4];
    for (int i = 0; i < 4; i++) lists[i] = tensors_arg(info, i);
    if (lists[0].empty()) return info.Env().Undefined();
    const auto steps = ints_arg(info, 4);
    const auto numbers = info[5].As<Napi::Array>();
    const auto number = [&](uint32_t i) { return numbers.Get(i).As<Napi::Number>().DoubleValue(); };
    const Rule rule{number(0), number(1), number(2), number(3), number(4), bool_arg(info, 6)};
    if (sweepable(lists)) adam_sweep(lists, steps, rule);
    else adam_for_each(lists, steps, rule);
    return info.Env().Undefined();
  });
}

Napi::Value lerp_all(const Napi::CallbackInfo& info) {  // (tensors, ends, weight): each tensor += weight · (end − tensor)
  return guard(info, [&]() -> Napi::Value {
    at::NoGradGuard no_grad;
    const auto tensors = tensors_arg(info, 0), ends = tensors_arg(info, 1);
    const double weight = float_arg(info, 2);
#if TORCH_VERSION_MAJOR >= 2
    at::_foreach_lerp_(tensors, ends, weight);
#else
    for (size_t i = 0; i < tensors.size(); i++) tensors[i].lerp_(ends[i], weight);
#endif
    return info.Env().Undefined();
  });
}

// (gradients, limit) → their joint norm before. On a GPU it stays there, and nothing waits for it.
Napi::Value clip_grad_norm(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    at::NoGradGuard no_grad;
    const auto gradients = tensors_arg(info, 0);
    const double limit = float_arg(info, 1);
    if (gradients.empty()) return wrap(info.Env(), at::zeros({}));
    const at::Tensor norm = at::stack(at::_foreach_norm(gradients, 2)).norm();
    if (norm.device().is_cpu()) {
      const double before = norm.item<double>();
      if (before > limit) at::_foreach_mul_(gradients, limit / (before + 1e-6));
    } else {
      const at::Tensor factor = at::clamp_max(limit / (norm + 1e-6), 1);
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 2)
      at::_foreach_mul_(gradients, factor);
#else
      for (const auto& gradient : gradients) gradient.mul_(factor);
#endif
    }
    return wrap(info.Env(), norm);
  });
}

}  // namespace

void register_optim(Napi::Env env, Napi::Object exports) {
  exports.Set("adamStep", Napi::Function::New(env, adam_step, "adamStep"));
  exports.Set("lerpAll", Napi::Function::New(env, lerp_all, "lerpAll"));
  exports.Set("clipGradNorm", Napi::Function::New(env, clip_grad_norm, "clipGradNorm"));
}
