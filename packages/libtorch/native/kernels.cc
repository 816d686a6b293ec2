#include "kernels.h"

#include <algorithm>
#include <cstdlib>
#include <stdexcept>

namespace kernels {
namespace {

const char* const kNames[] = {"none", "avx2", "avx512", "avx512_bf16"};

int best() {
#if defined(__x86_64__) && defined(__GNUC__)
  __builtin_cpu_init();
  if (avx512_float && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")) {
    return avx512_bf16 && __builtin_cpu_supports("avx512bf16") ? 3 : 2;
  }
  if (avx2_float && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return 1;
#endif
  return 0;
}

int level_of(const std::string& name) {
  if (name == "auto" || name.empty()) return 3;
  const auto found = std::find(std::begin(kNames), std::end(kNames), name);
  if (found == std::end(kNames)) throw std::invalid_argument("expected an instruction set (auto, none, avx2, avx512, avx512_bf16), received " + name);
  return static_cast<int>(found - std::begin(kNames));
}

int& level() {
  static int chosen = [] {
    const char* wanted = std::getenv("UNSHAKE_ISA");
    return std::min(best(), level_of(wanted ? wanted : "auto"));
  }();
  return chosen;
}

}  // namespace

const Kernels* kernels_for(c10::ScalarType dtype) {
  if (dtype == c10::ScalarType::BFloat16) return level() >= 3 ? avx512_bf16 : nullptr;
  if (dtype == c10::ScalarType::Float) return level() >= 2 ? avx512_float : level() == 1 ? avx2_float : nullptr;
  return nullptr;
}

std::string isa() { return kNames[level()]; }

void limit_isa(const std::string& name) { level() = std::min(best(), level_of(name)); }

}  // namespace kernels
