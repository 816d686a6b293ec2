#include "kernels.h"

#include <algorithm>
#include <cstdlib>
#include <stdexcept>
#include <vector>

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace kernels {
namespace {

const char* const kNames[] = {"none", "avx2", "avx512", "avx512_bf16", "amx_bf16", "amx_emulated"};
enum Level { kNone, kAvx2, kAvx512, kAvx512Bf16, kAmxBf16, kAmxEmulated };

// Whether both give the same products of some numbers, whole tiles and rests. Hardware that does otherwise is not used.
bool agree(const Kernels& one, const Kernels& other) {
  const int64_t units = 40, rows = 37, width = one.panel;
  uint32_t state = 1;
  const auto fill = [&](int64_t count) {
    std::vector<uint32_t> values(count);
    for (auto& value : values) {
      state = state * 1664525u + 1013904223u;
      value = 0x3f003f00u | (state >> 8 & 0x807f) | (state & 0x807f0000u);  // two numbers of 0.5 to 1, or −0.5 to −1
    }
    return values;
  };
  const std::vector<uint32_t> left = fill(rows * units + units), right = fill(2 * units * width), columns = fill(units * rows);
  const ptrdiff_t taps[] = {0, units};
  std::vector<float> results[2];
  for (const Kernels* kernels : {&one, &other}) {
    auto& result = results[kernels == &other];
    result.resize(2 * rows * width);
    kernels->multiply(left.data(), units / 2, taps, 2, units, right.data(), width, rows, result.data(), width);
    kernels->accumulate(columns.data(), rows, right.data(), width, units, rows, result.data() + rows * width, width);
  }
  return std::equal(results[0].begin(), results[0].end(), results[1].begin(), [](float a, float b) { return std::abs(a - b) <= 1e-4f; });
}

// The processor's AMX, with Linux's permission to use it, which each process has to ask for once.
bool has_amx() {
#if defined(__x86_64__) && defined(__linux__)
  unsigned a, b, c, d;
  if (!amx_bf16 || !__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(d >> 22 & 1) || !(d >> 24 & 1)) return false;
  unsigned low, high;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  constexpr unsigned tile_state = 3 << 17;
  constexpr int request_permission = 0x1023, tile_data = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  return (low & tile_state) == tile_state && syscall(SYS_arch_prctl, request_permission, tile_data) == 0 && agree(*amx_bf16, *avx512_bf16);
#else
  return false;
#endif
}

int best() {
#if defined(__x86_64__) && defined(__GNUC__)
  __builtin_cpu_init();
  if (avx512_float && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")) {
    if (!avx512_bf16 || !__builtin_cpu_supports("avx512bf16")) return kAvx512;
    static const bool amx = has_amx();
    return amx ? kAmxBf16 : kAvx512Bf16;
  }
  if (avx2_float && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return kAvx2;
#endif
  return kNone;
}

int level_of(const std::string& name) {
  if (name == "auto" || name.empty()) return kAmxBf16;
  const auto found = std::find(std::begin(kNames), std::end(kNames), name);
  if (found == std::end(kNames)) throw std::invalid_argument("expected an instruction set (auto, none, avx2, avx512, avx512_bf16, amx_bf16), received " + name);
  return static_cast<int>(found - std::begin(kNames));
}

int limited(int wanted) { return wanted == kAmxEmulated && best() >= kAvx512Bf16 ? kAmxEmulated : std::min(best(), wanted); }

int& level() {
  static int chosen = [] {
    const char* wanted = std::getenv("UNSHAKE_ISA");
    return limited(level_of(wanted ? wanted : "auto"));
  }();
  return chosen;
}

}  // namespace

const Kernels* kernels_for(c10::ScalarType dtype) {
  if (dtype == c10::ScalarType::BFloat16) return level() == kAmxEmulated ? amx_emulated : level() == kAmxBf16 ? amx_bf16 : level() == kAvx512Bf16 ? avx512_bf16 : nullptr;
  if (dtype == c10::ScalarType::Float) return level() >= kAvx512 ? avx512_float : level() == kAvx2 ? avx2_float : nullptr;
  return nullptr;
}

std::string isa() { return kNames[level()]; }

void limit_isa(const std::string& name) { level() = limited(level_of(name)); }

}  // namespace kernels
