// Between JavaScript values and libtorch: handles, arguments, results, errors.
#pragma once
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <napi.h>
#include <torch/version.h>

#include <cstdlib>
#include <exception>
#include <string>
#include <vector>

#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 3)
#include <optional>
template <class T> using Optional = std::optional<T>;
#else
template <class T> using Optional = c10::optional<T>;
#endif

// A JavaScript handle owns one at::Tensor. `release` empties it; the finalizer deletes it.
struct Handle {
  at::Tensor tensor;
  std::vector<int64_t> shape_when_released;
  bool released = false;
};

struct Memory { int64_t tensors, bytes; };
Memory live_memory(Napi::Env env);
void release_handle(Napi::Env env, Handle& handle);
Handle& handle_arg(const Napi::CallbackInfo& info, size_t index);

Napi::Value wrap(Napi::Env env, at::Tensor tensor);
Napi::Value wrap_all(Napi::Env env, const std::vector<at::Tensor>& tensors);

at::Tensor& tensor_of(Napi::Env env, Napi::Value value);
at::Tensor& tensor_arg(const Napi::CallbackInfo& info, size_t index);
Optional<at::Tensor> optional_tensor_arg(const Napi::CallbackInfo& info, size_t index);
std::vector<at::Tensor> tensors_arg(const Napi::CallbackInfo& info, size_t index);
double float_arg(const Napi::CallbackInfo& info, size_t index);
Optional<at::Scalar> optional_scalar_arg(const Napi::CallbackInfo& info, size_t index);
int64_t int_arg(const Napi::CallbackInfo& info, size_t index);
std::vector<int64_t> ints_arg(const Napi::CallbackInfo& info, size_t index);
bool bool_arg(const Napi::CallbackInfo& info, size_t index);
std::string string_arg(const Napi::CallbackInfo& info, size_t index);
at::ScalarType dtype_arg(const Napi::CallbackInfo& info, size_t index);
at::Device device_arg(const Napi::CallbackInfo& info, size_t index);
const char* dtype_name(at::ScalarType dtype);

// Turns whatever `body` throws into one JavaScript error; libtorch's own without its C++ frames.
template <class Body> Napi::Value guard(const Napi::CallbackInfo& info, Body body) {
  try {
    return body();
  } catch (const Napi::Error&) {
    throw;
  } catch (const c10::Error& error) {
    throw Napi::Error::New(info.Env(), std::getenv("TORCH_DEBUG") ? error.what() : error.what_without_backtrace());
  } catch (const std::exception& error) {
    throw Napi::Error::New(info.Env(), error.what());
  } catch (...) {
    throw Napi::Error::New(info.Env(), "unknown native error");
  }
}

// One registration function a file; addon.cc calls them.
void register_ops(Napi::Env env, Napi::Object exports);       // generated.cc
void register_tensor(Napi::Env env, Napi::Object exports);    // tensor.cc
void register_autograd(Napi::Env env, Napi::Object exports);  // autograd.cc
void register_runtime(Napi::Env env, Napi::Object exports);   // runtime.cc
void register_optim(Napi::Env env, Napi::Object exports);     // optim.cc
void register_distributed(Napi::Env env, Napi::Object exports);  // distributed.cc
