// bfloat16 to float and back by integer arithmetic, which the compiler vectorises (c10's own conversions branch).
#pragma once
#include <cstdint>
#include <type_traits>

// Not inlined into the code of each instruction set, these would keep its loops from becoming vector loops.
#define INLINED __attribute__((always_inline)) inline

static INLINED float widen(uint16_t bits) { union { uint32_t bits; float value; } wide{static_cast<uint32_t>(bits) << 16}; return wide.value; }
static INLINED float widen(float value) { return value; }
static INLINED double widen(double value) { return value; }
template <class T> static INLINED T narrow(std::conditional_t<std::is_same_v<T, double>, double, float> value) { return value; }
template <> INLINED uint16_t narrow<uint16_t>(float value) {
  union { float value; uint32_t bits; } wide{value};
  const uint32_t rounded = (wide.bits + 0x7fff + ((wide.bits >> 16) & 1)) >> 16;
  return static_cast<uint16_t>((wide.bits & 0x7fffffff) > 0x7f800000 ? 0x7fc0 : rounded);  // NaN stays NaN
}
