// The machine: threads, random numbers, devices, versions, memory.
#include "allocator.h"
#include "args.h"
#include "kernels.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <torch/cuda.h>

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
  object.Set("isa", kernels::isa());
  object.Set("cudaDevices", static_cast<double>(torch::cuda::device_count()));
  return object;
}

Napi::Value limit_isa(const Napi::CallbackInfo& info) {  // (name) → what is used now
  return guard(info, [&]() -> Napi::Value {
    kernels::limit_isa(string_arg(info, 0));
    return Napi::String::New(info.Env(), kernels::isa());
  });
}

Napi::Value keep_freed(const Napi::CallbackInfo& info) {
  keep_freed_memory();
  return info.Env().Undefined();
}

}  // namespace

void register_runtime(Napi::Env env, Napi::Object exports) {
  const struct { const char* name; Napi::Value (*call)(const Napi::CallbackInfo&); } entries[] = {
      {"manualSeed", manual_seed}, {"rngState", rng_state}, {"setRngState", set_rng_state}, {"numThreads", num_threads},
      {"setNumThreads", set_num_threads}, {"setFlags", set_flags}, {"version", version}, {"keepFreedMemory", keep_freed}, {"limitIsa", limit_isa},
  };
  for (const auto& entry : entries) exports.Set(entry.name, Napi::Function::New(env, entry.call, entry.name));
}
