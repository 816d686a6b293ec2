// @unshake/libtorch: libtorch for Node. Reading order: args (handles, errors) · tensor · autograd · runtime · layers · distributed · generated.
#include "args.h"

static Napi::Object initialise(Napi::Env env, Napi::Object exports) {
  register_tensor(env, exports);
  register_autograd(env, exports);
  register_runtime(env, exports);
  register_optim(env, exports);
  register_distributed(env, exports);
  register_ops(env, exports);
  return exports;
}

NODE_API_MODULE(unshake_libtorch, initialise)
