// Groups of processes for JavaScript: a group is a type-tagged external. Calls block until the other ranks have made theirs.
#include "distributed.h"

#include "args.h"

namespace {

const napi_type_tag kGroupTag = {0x6c6962746f726368, 0x756e7368616b6532};
using Held = std::shared_ptr<Group>;

Group& group_arg(const Napi::CallbackInfo& info) {
  if (!info[0].IsExternal() || !info[0].As<Napi::External<Held>>().CheckTypeTag(&kGroupTag)) throw Napi::TypeError::New(info.Env(), "expected a group");
  return **info[0].As<Napi::External<Held>>().Data();
}

Napi::Value backends(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    const auto names = Group::backends();
    auto array = Napi::Array::New(info.Env(), names.size());
    for (size_t i = 0; i < names.size(); i++) array.Set(static_cast<uint32_t>(i), names[i]);
    return array;
  });
}

Napi::Value open(const Napi::CallbackInfo& info) {  // (backend, device, host, port, rank, size, server, prefix, interface)
  return guard(info, [&]() -> Napi::Value {
    GroupOptions options;
    options.backend = string_arg(info, 0);
    options.device = string_arg(info, 1);
    options.host = string_arg(info, 2);
    options.port = static_cast<int>(int_arg(info, 3));
    options.rank = static_cast<int>(int_arg(info, 4));
    options.size = static_cast<int>(int_arg(info, 5));
    options.server = bool_arg(info, 6);
    options.prefix = string_arg(info, 7);
    options.interface = string_arg(info, 8);
    auto external = Napi::External<Held>::New(info.Env(), new Held(Group::open(options)), [](Napi::Env, Held* held) {
      (*held)->close();
      delete held;
    });
    external.TypeTag(&kGroupTag);
    return external;
  });
}

Napi::Value port(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value { return Napi::Number::New(info.Env(), group_arg(info).port()); });
}

Napi::Value joined(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value { return Napi::Number::New(info.Env(), static_cast<double>(group_arg(info).joined())); });
}

template <void (Group::*method)()> Napi::Value call(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
    (group_arg(info).*method)();
    return info.Env().Undefined();
  });
}

Napi::Value sum(const Napi::CallbackInfo& info) {  // (group, tensors, bucketBytes)
  return guard(info, [&]() -> Napi::Value {
    group_arg(info).sum(tensors_arg(info, 1), 1, int_arg(info, 2));
    return info.Env().Undefined();
  });
}

Napi::Value broadcast(const Napi::CallbackInfo& info) {  // (group, tensors, bucketBytes)
  return guard(info, [&]() -> Napi::Value {
    group_arg(info).broadcast(tensors_arg(info, 1), int_arg(info, 2));
    return info.Env().Undefined();
  });
}

Napi::Value average_gradients(const Napi::CallbackInfo& info) {  // (group, parameters, size, bucketBytes)
  return guard(info, [&]() -> Napi::Value {
    std::vector<at::Tensor> gradients;
    for (const auto& parameter : tensors_arg(info, 1)) {
      if (parameter.grad().defined()) gradients.push_back(parameter.grad());
    }
    group_arg(info).sum(gradients, 1 / float_arg(info, 2), int_arg(info, 3));
    return info.Env().Undefined();
  });
}

}  // namespace

void register_distributed(Napi::Env env, Napi::Object exports) {
  const struct { const char* name; Napi::Value (*call)(const Napi::CallbackInfo&); } entries[] = {
      {"groupBackends", backends}, {"groupOpen", open}, {"groupPort", port}, {"groupJoined", joined}, {"groupConnect", call<&Group::connect>},
      {"groupSum", sum}, {"groupBroadcast", broadcast}, {"groupAverageGradients", average_gradients}, {"groupCheck", call<&Group::check>}, {"groupClose", call<&Group::close>},
  };
  for (const auto& entry : entries) exports.Set(entry.name, Napi::Function::New(env, entry.call, entry.name));
}
