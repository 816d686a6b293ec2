// Autocast's flags, whose names in ATen changed with 2.4. They are thread-local.
#pragma once
#include <ATen/autocast_mode.h>
#include <torch/version.h>

struct AutocastState { bool enabled; at::ScalarType dtype; };

#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 4)

inline AutocastState autocast_state(c10::DeviceType device) { return {at::autocast::is_autocast_enabled(device), at::autocast::get_autocast_dtype(device)}; }

inline void set_autocast_state(c10::DeviceType device, AutocastState state) {
  at::autocast::set_autocast_enabled(device, state.enabled);
  at::autocast::set_autocast_dtype(device, state.dtype);
}

#else

inline AutocastState autocast_state(c10::DeviceType device) {
  return device == c10::kCPU ? AutocastState{at::autocast::is_cpu_enabled(), at::autocast::get_autocast_cpu_dtype()}
                             : AutocastState{at::autocast::is_enabled(), at::autocast::get_autocast_gpu_dtype()};
}

inline void set_autocast_state(c10::DeviceType device, AutocastState state) {
  if (device == c10::kCPU) {
    at::autocast::set_cpu_enabled(state.enabled);
    at::autocast::set_autocast_cpu_dtype(state.dtype);
  } else {
    at::autocast::set_enabled(state.enabled);
    at::autocast::set_autocast_gpu_dtype(state.dtype);
  }
}

#endif
