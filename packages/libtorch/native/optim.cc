// Adam over all parameters of a network in one sweep: each value is read and written once, not once an operation of the rule.
#include "args.h"
#include "isa.h"

#include <ATen/Parallel.h>

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

// (parameters, gradients, averages, squares, steps, [lr, beta1, beta2, eps, weight decay], decoupled) → false, with nothing done, where
// a tensor is not float on CPU in one layout: then the caller goes op by op.
Napi::Value adam_step(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    std::vector<at::Tensor> lists[4];
    for (int i = 0; i < 4; i++) lists[i] = tensors_arg(info, i);
    const auto steps = ints_arg(info, 4);
    const auto numbers = info[5].As<Napi::Array>();
    const auto number = [&](uint32_t i) { return numbers.Get(i).As<Napi::Number>().DoubleValue(); };
    const Rule rule{number(0), number(1), number(2), number(3), number(4), bool_arg(info, 6)};
    std::vector<Piece> pieces;
    for (size_t t = 0; t < lists[0].size(); t++) {
      const at::Tensor& parameter = lists[0][t];
      const auto dtype = parameter.scalar_type();
      if (!parameter.device().is_cpu() || !parameter.is_non_overlapping_and_dense() || (dtype != at::kFloat && dtype != at::kDouble)) return Napi::Boolean::New(info.Env(), false);
      for (int i = 1; i < 4; i++) if (!alike(parameter, lists[i][t])) return Napi::Boolean::New(info.Env(), false);
      for (int64_t from = 0; from < parameter.numel(); from += kPiece) pieces.push_back({t, from, std::min(kPiece, parameter.numel() - from)});
    }
    at::parallel_for(0, static_cast<int64_t>(pieces.size()), 2, [&](int64_t from, int64_t to) {
      for (int64_t p = from; p < to; p++) {
        const Piece& piece = pieces[p];
        if (lists[0][piece.tensor].scalar_type() == at::kFloat) step_piece(piece, lists, constants<float>(rule, steps[piece.tensor]));
        else step_piece(piece, lists, constants<double>(rule, steps[piece.tensor]));
      }
    });
    for (int i : {0, 2, 3}) for (const auto& tensor : lists[i]) tensor.unsafeGetTensorImpl()->bump_version();  // autograd must see that they changed
    return Napi::Boolean::New(info.Env(), true);
  });
}

}  // namespace

void register_optim(Napi::Env env, Napi::Object exports) { exports.Set("adamStep", Napi::Function::New(env, adam_step, "adamStep")); }
