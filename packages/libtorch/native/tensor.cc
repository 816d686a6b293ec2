// What a tensor is, and its data in and out.
#include "args.h"

namespace {

Napi::Value sizes(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& tensor = tensor_arg(info, 0);
    auto array = Napi::Array::New(info.Env(), tensor.dim());
    for (int64_t i = 0; i < tensor.dim(); i++) array.Set(static_cast<uint32_t>(i), Napi::Number::New(info.Env(), static_cast<double>(tensor.size(i))));
    return array;
  });
}

Napi::Value describe(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& tensor = tensor_arg(info, 0);
    auto object = Napi::Object::New(info.Env());
    object.Set("dtype", dtype_name(tensor.scalar_type()));
    object.Set("device", tensor.device().str());
    object.Set("requiresGrad", tensor.requires_grad());
    object.Set("isLeaf", tensor.is_leaf());
    object.Set("channelsLast", tensor.dim() == 4 && tensor.is_contiguous(at::MemoryFormat::ChannelsLast));
    return object;
  });
}

// JavaScript's typed arrays by dtype; bfloat16 and float16 cross as float32.
at::ScalarType crossing_type(at::ScalarType dtype) {
  return dtype == at::kBFloat16 || dtype == at::kHalf ? at::kFloat : dtype;
}

Napi::Value from_bytes(const Napi::CallbackInfo& info) {  // (ArrayBufferView, shape, dtype) → a copy on the CPU
  return guard(info, [&]() -> Napi::Value {
    if (!info[0].IsTypedArray()) throw Napi::TypeError::New(info.Env(), "expected a typed array");
    const auto view = info[0].As<Napi::TypedArray>();
    at::Tensor tensor = at::empty(ints_arg(info, 1), at::TensorOptions().dtype(dtype_arg(info, 2)));
    TORCH_CHECK(tensor.nbytes() == view.ByteLength(), "the data has ", view.ByteLength(), " bytes, the shape needs ", tensor.nbytes());
    std::memcpy(tensor.data_ptr(), static_cast<const uint8_t*>(view.ArrayBuffer().Data()) + view.ByteOffset(), view.ByteLength());
    return wrap(info.Env(), tensor);
  });
}

Napi::Value to_bytes(const Napi::CallbackInfo& info) {  // → an ArrayBuffer, row-major
  return guard(info, [&]() -> Napi::Value {
    at::NoGradGuard no_grad;
    const at::Tensor& tensor = tensor_arg(info, 0);
    const bool raw = info.Length() > 1 && info[1].IsBoolean() && bool_arg(info, 1);
    const at::Tensor data = tensor.detach().to(at::kCPU, raw ? tensor.scalar_type() : crossing_type(tensor.scalar_type())).contiguous();
    auto buffer = Napi::ArrayBuffer::New(info.Env(), data.nbytes());
    std::memcpy(buffer.Data(), data.data_ptr(), data.nbytes());
    return buffer;
  });
}

Napi::Value item(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const at::Tensor& tensor = tensor_arg(info, 0);
    TORCH_CHECK(tensor.numel() == 1, "item() needs one element, the tensor has ", tensor.numel());
    return Napi::Number::New(info.Env(), tensor.item().toDouble());
  });
}

Napi::Value release(const Napi::CallbackInfo& info) {
  release_handle(info.Env(), handle_arg(info, 0));
  return info.Env().Undefined();
}

Napi::Value memory(const Napi::CallbackInfo& info) {
  const Memory live = live_memory(info.Env());
  auto object = Napi::Object::New(info.Env());
  object.Set("tensors", static_cast<double>(live.tensors));
  object.Set("bytes", static_cast<double>(live.bytes));
  return object;
}

}  // namespace

void register_tensor(Napi::Env env, Napi::Object exports) {
  const struct { const char* name; Napi::Value (*call)(const Napi::CallbackInfo&); } entries[] = {
      {"sizes", sizes}, {"describe", describe}, {"fromBytes", from_bytes}, {"toBytes", to_bytes}, {"item", item}, {"release", release}, {"memory", memory},
  };
  for (const auto& entry : entries) exports.Set(entry.name, Napi::Function::New(env, entry.call, entry.name));
}
