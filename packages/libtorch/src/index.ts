/** libtorch for Node. Reading order: tensor · scope · dispatch (+ generated) · autograd · nn · optim · distributed · trace · safetensors. */
export * from './tensor.js';
export { scope, keep, outsideScopes } from './scope.js';
export * from './generated.js';
export { TorchError } from './dispatch.js';
export * from './autograd.js';
export * from './functional.js';
export * from './nn.js';
export * from './dense-field.js';
export * from './dense-field.js';
export * from './optim.js';
export * from './grad-scaler.js';
export * from './device.js';
export * from './distributed.js';
export { trace, type Trace, type TraceArg, type TraceNode } from './trace.js';
export * from './safetensors.js';
export { status, LibtorchMissingError, type Isa } from './native.js';
export { findLibtorch, howToGetLibtorch } from './find-libtorch.js';
