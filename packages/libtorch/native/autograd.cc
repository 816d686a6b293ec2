// Gradients, grad mode, autocast. Grad mode and autocast are thread-local; the TypeScript side restores them in `finally`.
#include "args.h"
#include "autocast.h"

#include <torch/csrc/autograd/autograd.h>

namespace {

Napi::Value backward(const Napi::CallbackInfo& info) {  // (loss, createGraph)
  return guard(info, [&]() -> Napi::Value {
    const bool create_graph = bool_arg(info, 1);
    torch::autograd::backward({tensor_arg(info, 0)}, {}, create_graph, create_graph);
    return info.Env().Undefined();
  });
}

Napi::Value gradients(const Napi::CallbackInfo& info) {  // (outputs, inputs, grad outputs | null, createGraph) → one a input, null where unused
  return guard(info, [&]() -> Napi::Value {
    const bool create_graph = bool_arg(info, 3);
    const auto grad_outputs = info[2].IsNull() ? std::vector<at::Tensor>{} : tensors_arg(info, 2);
    return wrap_all(info.Env(), torch::autograd::grad(tensors_arg(info, 0), tensors_arg(info, 1), grad_outputs, create_graph, create_graph, /*allow_unused=*/true));
  });
}

Napi::Value grad(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value { return wrap(info.Env(), tensor_arg(info, 0).grad()); });
}

Napi::Value set_grad(const Napi::CallbackInfo& info) {  // (tensor, gradient | null)
  return guard(info, [&]() -> Napi::Value {
    at::Tensor& tensor = tensor_arg(info, 0);
    const auto gradient = optional_tensor_arg(info, 1);
    // mutable_grad() takes anything; a wrong one would only show in the next optimizer step.
    TORCH_CHECK(!gradient || (gradient->sizes() == tensor.sizes() && gradient->scalar_type() == tensor.scalar_type() && gradient->device() == tensor.device()),
                "a gradient must have its tensor's shape, dtype and device");
    tensor.mutable_grad() = gradient ? *gradient : at::Tensor();
    return info.Env().Undefined();
  });
}

Napi::Value set_requires_grad(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    tensor_arg(info, 0).set_requires_grad(bool_arg(info, 1));
    return info.Env().Undefined();
  });
}

Napi::Value set_grad_enabled(const Napi::CallbackInfo& info) {  // → the previous value
  return guard(info, [&]() -> Napi::Value {
    const bool previous = at::GradMode::is_enabled();
    at::GradMode::set_enabled(bool_arg(info, 0));
    return Napi::Boolean::New(info.Env(), previous);
  });
}

// (device, dtype, enabled) → what to give to autocastLeave. Casts of weights are cached until the outermost region is left.
Napi::Value autocast_enter(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const auto device = device_arg(info, 0).type();
    const AutocastState previous = autocast_state(device);
    set_autocast_state(device, {bool_arg(info, 2), dtype_arg(info, 1)});
    at::autocast::increment_nesting();
    auto token = Napi::Object::New(info.Env());
    token.Set("enabled", previous.enabled);
    token.Set("dtype", dtype_name(previous.dtype));
    return token;
  });
}

Napi::Value autocast_leave(const Napi::CallbackInfo& info) {  // (device, previous dtype, previous enabled)
  return guard(info, [&]() -> Napi::Value {
    if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
    set_autocast_state(device_arg(info, 0).type(), {bool_arg(info, 2), dtype_arg(info, 1)});
    return info.Env().Undefined();
  });
}

Napi::Value all_finite(const Napi::CallbackInfo& info) {  // (tensors): one device synchronisation for all of them
  return guard(info, [&]() -> Napi::Value {
    at::NoGradGuard no_grad;
    at::Tensor finite;
    for (const auto& tensor : tensors_arg(info, 0)) {
      const at::Tensor ok = at::isfinite(tensor).all();
      finite = finite.defined() ? finite.logical_and(ok) : ok;
    }
    return Napi::Boolean::New(info.Env(), !finite.defined() || finite.item<bool>());
  });
}

}  // namespace

void register_autograd(Napi::Env env, Napi::Object exports) {
  const struct { const char* name; Napi::Value (*call)(const Napi::CallbackInfo&); } entries[] = {
      {"backward", backward}, {"gradients", gradients}, {"grad", grad}, {"setGrad", set_grad}, {"setRequiresGrad", set_requires_grad},
      {"setGradEnabled", set_grad_enabled}, {"autocastEnter", autocast_enter}, {"autocastLeave", autocast_leave}, {"allFinite", all_finite},
  };
  for (const auto& entry : entries) exports.Set(entry.name, Napi::Function::New(env, entry.call, entry.name));
}
