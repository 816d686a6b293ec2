// Dropout whose mask is a function of the position and of one draw from the generator: made on all threads (ATen draws one number
// after the other on one), the same for any number of them, and made again in the backward pass instead of kept.
#include "bfloat.h"
#include "isa.h"
#include "layers.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <mutex>

namespace layers {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// A hash with every output bit depending on every input bit (constants by C. Wellons, "prospecting for hash functions").
INLINED uint32_t mixed(uint32_t x) {
  x = (x ^ (x >> 16)) * 0x7feb352du;
  x = (x ^ (x >> 15)) * 0x846ca68bu;
  return x ^ (x >> 16);
}

struct Mask { uint32_t low, high, threshold; double scale; };

#define DROP(T, A) \
  FOR_EACH_ISA void drop(const T* __restrict x, uint32_t first, int64_t count, Mask mask, T* __restrict y) { \
    const A scale = static_cast<A>(mask.scale); \
    for (int64_t i = 0; i < count; i++) { \
      const uint32_t draw = mixed(mixed((first + static_cast<uint32_t>(i)) ^ mask.low) ^ mask.high); \
      const T kept = narrow<T>(widen(x[i]) * scale); \
      y[i] = draw >= mask.threshold ? kept : T(0); \
    } \
  }
DROP(uint16_t, float) DROP(float, float) DROP(double, double)

// In the order of memory, which must be the same in both directions.
at::Tensor dropped(const at::Tensor& input, int64_t seed, double p) {
  at::Tensor output = at::empty_like(input);
  constexpr int64_t kPiece = 1 << 16;
  const int64_t count = input.numel();
  at::parallel_for(0, (count + kPiece - 1) / kPiece, 1, [&](int64_t from, int64_t to) {
    for (int64_t piece = from; piece < to; piece++) {
      const int64_t first = piece * kPiece, size = std::min(kPiece, count - first);
      // Positions beyond 2³² begin anew with another second word.
      const Mask mask{static_cast<uint32_t>(seed), mixed(static_cast<uint32_t>(seed >> 32) + static_cast<uint32_t>(first >> 32)), static_cast<uint32_t>(p * 4294967296.0), p < 1 ? 1 / (1 - p) : 0};
      const auto run = [&](auto* type) {
        using T = std::remove_pointer_t<decltype(type)>;
        drop(static_cast<const T*>(input.data_ptr()) + first, static_cast<uint32_t>(first), size, mask, static_cast<T*>(output.data_ptr()) + first);
      };
      if (input.scalar_type() == at::kBFloat16) run(static_cast<uint16_t*>(nullptr));
      else if (input.scalar_type() == at::kFloat) run(static_cast<float*>(nullptr));
      else run(static_cast<double*>(nullptr));
    }
  });
  return output;
}

struct Dropout : torch::autograd::Function<Dropout> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input, int64_t seed, double p) {
    context->saved_data["seed"] = seed;
    context->saved_data["p"] = p;
    context->saved_data["strides"] = input.strides().vec();
    return dropped(input, seed, p);
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const at::Tensor given = gradients[0]._is_zerotensor() ? gradients[0].clone() : gradients[0];
    const auto strides = context->saved_data["strides"].toIntVector();
    const at::Tensor gradient = given.strides() == at::IntArrayRef(strides) ? given : at::empty_strided(given.sizes(), strides, given.options()).copy_(given);
    return {apply(gradient, context->saved_data["seed"].toInt(), context->saved_data["p"].toDouble()), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor dropout(const at::Tensor& input, double p, bool training) {
  TORCH_CHECK(p >= 0 && p <= 1, "dropout probability has to be between 0 and 1, but got ", p);
  if (!training || p == 0 || input.numel() == 0) return input;
  const auto dtype = input.scalar_type();
  const bool ours = input.device().is_cpu() && p < 1 && input.is_non_overlapping_and_dense() && (dtype == at::kBFloat16 || dtype == at::kFloat || dtype == at::kDouble);
  if (!ours) return at::dropout(input, p, training);
  auto generator = at::detail::getDefaultCPUGenerator();
  int64_t seed;
  {
    std::lock_guard<std::mutex> lock(generator.mutex());
    seed = static_cast<int64_t>(at::check_generator<at::CPUGeneratorImpl>(generator)->random64());
  }
  return Dropout::apply(input, seed, p);
}

}  // namespace layers
