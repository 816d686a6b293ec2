// The machine: threads, random numbers, devices, versions, the C library's allocator.
#include "args.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <torch/cuda.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <mutex>

namespace {

// The instruction set of ATen's kernels; 1.13 tells it only in this text.
std::string cpu_capability() {
  const std::string config = at::show_config(), label = "CPU capability usage: ";
  const size_t start = config.find(label);
  return start == std::string::npos ? "unknown" : config.substr(start + label.size(), config.find('\n', start) - start - label.size());
}

Napi::Value manual_seed(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    at::manual_seed(static_cast<uint64_t>(int_arg(info, 0)));
    return info.Env().Undefined();
  });
}

Napi::Value rng_state(const Napi::CallbackInfo& info) {  // (device) → uint8 tensor
  return guard(info, [&]() -> Napi::Value {
    auto generator = at::globalContext().defaultGenerator(device_arg(info, 0));
    std::lock_guard<std::mutex> lock(generator.mutex());
    return wrap(info.Env(), generator.get_state());
  });
}

Napi::Value set_rng_state(const Napi::CallbackInfo& info) {  // (device, uint8 tensor)
  return guard(info, [&]() -> Napi::Value {
    auto generator = at::globalContext().defaultGenerator(device_arg(info, 0));
    std::lock_guard<std::mutex> lock(generator.mutex());
    generator.set_state(tensor_arg(info, 1));
    return info.Env().Undefined();
  });
}

Napi::Value num_threads(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), at::get_num_threads()); }

Napi::Value set_num_threads(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    at::set_num_threads(static_cast<int>(int_arg(info, 0)));
    return info.Env().Undefined();
  });
}

Napi::Value set_flags(const Napi::CallbackInfo& info) {  // (tf32, cudnnBenchmark)
  return guard(info, [&]() -> Napi::Value {
    at::globalContext().setAllowTF32CuBLAS(bool_arg(info, 0));
    at::globalContext().setAllowTF32CuDNN(bool_arg(info, 0));
    at::globalContext().setBenchmarkCuDNN(bool_arg(info, 1));
    return info.Env().Undefined();
  });
}

Napi::Value version(const Napi::CallbackInfo& info) {
  auto object = Napi::Object::New(info.Env());
  object.Set("libtorch", TORCH_VERSION);
  object.Set("capability", cpu_capability());
  object.Set("cudaDevices", static_cast<double>(torch::cuda::device_count()));
  return object;
}

// glibc gives large blocks back to the kernel on every free; the page faults of taking them again cost up to half the time
// of elementwise work. Once for the process, when training starts.
Napi::Value keep_freed_memory(const Napi::CallbackInfo& info) {
#ifdef __GLIBC__
  static std::once_flag once;
  std::call_once(once, [] {
    mallopt(M_MMAP_MAX, 0);
    mallopt(M_TRIM_THRESHOLD, -1);
    mallopt(M_ARENA_MAX, 1);  // other arenas can't hold large blocks, and fall back to mmap
    mallopt(M_TOP_PAD, 64 << 20);
  });
#endif
  return info.Env().Undefined();
}

}  // namespace

void register_runtime(Napi::Env env, Napi::Object exports) {
  const struct { const char* name; Napi::Value (*call)(const Napi::CallbackInfo&); } entries[] = {
      {"manualSeed", manual_seed}, {"rngState", rng_state}, {"setRngState", set_rng_state}, {"numThreads", num_threads},
      {"setNumThreads", set_num_threads}, {"setFlags", set_flags}, {"version", version}, {"keepFreedMemory", keep_freed_memory},
  };
  for (const auto& entry : entries) exports.Set(entry.name, Napi::Function::New(env, entry.call, entry.name));
}
