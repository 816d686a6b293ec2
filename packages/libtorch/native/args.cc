#include "args.h"

#include <torch/cuda.h>

#include <algorithm>
#include <cmath>
#include <mutex>
#include <unordered_map>

namespace {

// Marks our externals, so that another addon's can't be taken for a tensor.
const napi_type_tag kTensorTag = {0x6c6962746f726368, 0x756e7368616b6531};

// Bytes are counted once a storage, however many views and handles share it.
struct StorageCount { int64_t handles; int64_t bytes; };
std::mutex mutex;
std::unordered_map<const c10::StorageImpl*, StorageCount> storages;
int64_t live_bytes = 0;

// `held`: bytes that the environment's handles keep alive. `told`: what V8 knows of them, its high-water mark less what was collected.
struct EnvironmentData { int64_t live_handles = 0, held = 0, told = 0; };

EnvironmentData& data_of(Napi::Env env) {
  auto* data = env.GetInstanceData<EnvironmentData>();
  if (data == nullptr) {
    data = new EnvironmentData();
    env.SetInstanceData(data);
  }
  return *data;
}

const c10::StorageImpl* storage_of(const at::Tensor& tensor) {
  return tensor.defined() && tensor.has_storage() ? tensor.storage().unsafeGetStorageImpl() : nullptr;
}

int64_t count_in(const at::Tensor& tensor) {
  const auto* storage = storage_of(tensor);
  if (storage == nullptr) return 0;
  std::lock_guard<std::mutex> lock(mutex);
  auto& count = storages[storage];
  if (count.handles++ > 0) return 0;
  count.bytes = static_cast<int64_t>(storage->nbytes());
  live_bytes += count.bytes;
  return count.bytes;
}

int64_t count_out(const at::Tensor& tensor) {
  const auto* storage = storage_of(tensor);
  if (storage == nullptr) return 0;
  std::lock_guard<std::mutex> lock(mutex);
  auto found = storages.find(storage);
  if (found == storages.end() || --found->second.handles > 0) return 0;
  const int64_t bytes = found->second.bytes;
  storages.erase(found);
  live_bytes -= bytes;
  return bytes;
}

// What V8 is told that a handle itself weighs until it is collected, released or not. Far more than it does: V8 then collects after some 2000 of them,
// every step or two. Told less, or nothing, it lets wrappers pile up, and resident memory creeps.
constexpr int64_t kHandleBytes = 32768;

void weigh(napi_env env, int64_t bytes) {
  int64_t unused;
  napi_adjust_external_memory(env, bytes, &unused);
}

void tell(napi_env env, EnvironmentData& data, int64_t bytes) {
  data.told += bytes;
  if (bytes != 0) weigh(env, bytes);
}

// V8 collects garbage whenever external memory has risen by some 64 MiB. Every training step does, and gives it all back when its scope ends:
// told of each tensor, V8 would mark its whole heap ten times a second, for nothing (8 % of a step). So it hears of growth beyond what there
// once was, which is what tensors that nobody releases cause, and of what its collector itself has freed.
void hold(napi_env env, EnvironmentData& data, int64_t bytes) {
  data.held += bytes;
  if (data.held > data.told) tell(env, data, data.held - data.told);
}

std::string sizes_text(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); i++) text += (i ? "," : "") + std::to_string(shape[i]);
  return text + "]";
}

[[noreturn]] void expected(const Napi::CallbackInfo& info, size_t index, const char* what) {
  std::string received = "nothing";
  if (index < info.Length()) {
    received = info[index].IsObject() && !info[index].IsArray() ? "an object" : info[index].ToString().Utf8Value();
  }
  throw Napi::TypeError::New(info.Env(), "argument " + std::to_string(index + 1) + ": expected " + what + ", received " + received);
}

int64_t safe_integer(const Napi::CallbackInfo& info, size_t index, Napi::Value value) {
  if (!value.IsNumber()) expected(info, index, "an integer");
  const double number = value.As<Napi::Number>().DoubleValue();
  if (!(std::abs(number) <= 9007199254740991.0) || std::floor(number) != number) expected(info, index, "an integer");
  return static_cast<int64_t>(number);
}

const struct { const char* name; at::ScalarType dtype; } kDtypes[] = {
    {"float32", at::kFloat}, {"float64", at::kDouble}, {"bfloat16", at::kBFloat16}, {"float16", at::kHalf},
    {"uint8", at::kByte},    {"int32", at::kInt},      {"int64", at::kLong},        {"bool", at::kBool},
};

}  // namespace

Memory live_memory(Napi::Env env) {
  std::lock_guard<std::mutex> lock(mutex);
  return {data_of(env).live_handles, live_bytes};
}

void release_handle(Napi::Env env, Handle& handle) {
  if (handle.released) return;
  handle.shape_when_released = handle.tensor.sizes().vec();
  handle.released = true;
  EnvironmentData& data = data_of(env);
  data.live_handles--;
  data.held -= count_out(handle.tensor);
  handle.tensor = at::Tensor();
}

Napi::Value wrap(Napi::Env env, at::Tensor tensor) {
  if (!tensor.defined()) return env.Null();
  if (tensor._is_zerotensor()) tensor = tensor.clone();  // autograd's stand-in for a zero gradient has no memory
  EnvironmentData& data = data_of(env);
  hold(env, data, count_in(tensor));
  weigh(env, kHandleBytes);
  data.live_handles++;
  auto* handle = new Handle{std::move(tensor), {}, false};
  auto external = Napi::External<Handle>::New(env, handle, [](Napi::BasicEnv basic, Handle* dying) {
    weigh(basic, -kHandleBytes);
    // The safety net: a handle that nobody released. The count lives in the environment, which may be going down already.
    if (!dying->released) {
      const int64_t bytes = count_out(dying->tensor);
      void* found = nullptr;
      if (napi_get_instance_data(basic, &found) == napi_ok && found != nullptr) {
        auto& data = *static_cast<EnvironmentData*>(found);
        data.live_handles--;
        data.held -= bytes;
        tell(basic, data, -std::min(bytes, data.told));
      }
    }
    delete dying;
  });
  napi_type_tag_object(env, external, &kTensorTag);
  return external;
}

Napi::Value wrap_all(Napi::Env env, const std::vector<at::Tensor>& tensors) {
  auto array = Napi::Array::New(env, tensors.size());
  for (size_t i = 0; i < tensors.size(); i++) array.Set(i, wrap(env, tensors[i]));
  return array;
}

static Handle& handle_of(Napi::Env env, Napi::Value value) {
  bool ours = false;
  if (value.IsExternal()) napi_check_object_type_tag(env, value, &kTensorTag, &ours);
  if (!ours) throw Napi::TypeError::New(env, "expected a Tensor, received " + (value.IsExternal() ? std::string("another external") : value.ToString().Utf8Value()));
  return *value.As<Napi::External<Handle>>().Data();
}

Handle& handle_arg(const Napi::CallbackInfo& info, size_t index) { return handle_of(info.Env(), info[index]); }

at::Tensor& tensor_of(Napi::Env env, Napi::Value value) {
  Handle& handle = handle_of(env, value);
  if (handle.released) throw Napi::Error::New(env, "tensor " + sizes_text(handle.shape_when_released) + " was used after it was released");
  return handle.tensor;
}

at::Tensor& tensor_arg(const Napi::CallbackInfo& info, size_t index) { return tensor_of(info.Env(), info[index]); }

Optional<at::Tensor> optional_tensor_arg(const Napi::CallbackInfo& info, size_t index) {
  if (info[index].IsNull() || info[index].IsUndefined()) return {};
  return tensor_arg(info, index);
}

std::vector<at::Tensor> tensors_arg(const Napi::CallbackInfo& info, size_t index) {
  if (!info[index].IsArray()) expected(info, index, "an array of tensors");
  const auto array = info[index].As<Napi::Array>();
  std::vector<at::Tensor> tensors;
  for (uint32_t i = 0; i < array.Length(); i++) tensors.push_back(tensor_of(info.Env(), array.Get(i)));
  return tensors;
}

double float_arg(const Napi::CallbackInfo& info, size_t index) {
  if (!info[index].IsNumber()) expected(info, index, "a number");
  return info[index].As<Napi::Number>().DoubleValue();
}

Optional<at::Scalar> optional_scalar_arg(const Napi::CallbackInfo& info, size_t index) {
  if (info[index].IsNull() || info[index].IsUndefined()) return {};
  return at::Scalar(float_arg(info, index));
}

int64_t int_arg(const Napi::CallbackInfo& info, size_t index) { return safe_integer(info, index, info[index]); }

std::vector<int64_t> ints_arg(const Napi::CallbackInfo& info, size_t index) {
  if (!info[index].IsArray()) expected(info, index, "an array of integers");
  const auto array = info[index].As<Napi::Array>();
  std::vector<int64_t> values;
  for (uint32_t i = 0; i < array.Length(); i++) values.push_back(safe_integer(info, index, array.Get(i)));
  return values;
}

bool bool_arg(const Napi::CallbackInfo& info, size_t index) {
  if (!info[index].IsBoolean()) expected(info, index, "true or false");
  return info[index].As<Napi::Boolean>().Value();
}

std::string string_arg(const Napi::CallbackInfo& info, size_t index) {
  if (!info[index].IsString()) expected(info, index, "a string");
  return info[index].As<Napi::String>().Utf8Value();
}

at::ScalarType dtype_arg(const Napi::CallbackInfo& info, size_t index) {
  const std::string name = string_arg(info, index);
  for (const auto& entry : kDtypes) if (name == entry.name) return entry.dtype;
  expected(info, index, "a dtype (float32, float64, bfloat16, float16, uint8, int32, int64, bool)");
}

// Refused here, since ATen's own messages list every backend it was ever built for.
at::Device device_arg(const Napi::CallbackInfo& info, size_t index) {
  const std::string name = string_arg(info, index);
  if (name == "cpu") return at::kCPU;
  const bool numbered = name.rfind("cuda:", 0) == 0 && name.size() > 5 && name.size() < 9 && name.find_first_not_of("0123456789", 5) == std::string::npos;
  if (name != "cuda" && !numbered) expected(info, index, "a device (cpu, cuda or cuda:N)");
  const int64_t number = numbered ? std::stoi(name.substr(5)) : 0, devices = torch::cuda::device_count();
  TORCH_CHECK(number < devices, "device ", name, ": libtorch ", TORCH_VERSION, " sees ", devices, " CUDA devices");
  return numbered ? at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(number)) : at::Device(at::kCUDA);
}

const char* dtype_name(at::ScalarType dtype) {
  for (const auto& entry : kDtypes) if (dtype == entry.dtype) return entry.name;
  return c10::toString(dtype);
}
