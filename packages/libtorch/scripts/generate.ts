/**
 * Writes native/generated.cc and src/generated.ts from ops.json, the one list of the ops we bind.
 *
 * A signature reads as in PyTorch's native_functions: `Tensor! x` is changed in place, `Tensor?` may be null, and what
 * stands after `*` goes into the options object. `cpp` is the C++ expression over the arguments' names.
 * With `--check` it writes nothing and fails when a file isn't what it would write.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

type Kind = 'Tensor' | 'Tensor!' | 'Tensor?' | 'Tensor[]' | 'float' | 'float?' | 'int' | 'int[]' | 'bool' | 'dtype' | 'device';
interface Argument { kind: Kind; name: string; fallback?: string; option: boolean }
interface Op { name: string; args: Argument[]; returns: 'Tensor' | 'Tensor[]' | 'self'; cpp: string; doc: string; differentiable: boolean }

const root = new URL('../../', import.meta.url);
const header = '// Generated from ops.json by scripts/generate.ts; do not edit.\n';

const reader: Record<Kind, string> = {
  'Tensor': 'const at::Tensor& NAME = tensor_arg(info, INDEX)',
  'Tensor!': 'at::Tensor& NAME = tensor_arg(info, INDEX)',
  'Tensor?': 'const Optional<at::Tensor> NAME = optional_tensor_arg(info, INDEX)',
  'Tensor[]': 'const std::vector<at::Tensor> NAME = tensors_arg(info, INDEX)',
  'float': 'const double NAME = float_arg(info, INDEX)',
  'float?': 'const Optional<at::Scalar> NAME = optional_scalar_arg(info, INDEX)',
  'int': 'const int64_t NAME = int_arg(info, INDEX)',
  'int[]': 'const std::vector<int64_t> NAME = ints_arg(info, INDEX)',
  'bool': 'const bool NAME = bool_arg(info, INDEX)',
  'dtype': 'const at::ScalarType NAME = dtype_arg(info, INDEX)',
  'device': 'const at::Device NAME = device_arg(info, INDEX)',
};

const typescript: Record<Kind, string> = {
  'Tensor': 'Tensor', 'Tensor!': 'Tensor', 'Tensor?': 'Tensor | null', 'Tensor[]': 'readonly Tensor[]', 'float': 'number', 'float?': 'number | null',
  'int': 'number', 'int[]': 'readonly number[]', 'bool': 'boolean', 'dtype': 'DType', 'device': 'Device',
};

function parse(entry: { name: string; sig: string; cpp: string; doc: string; differentiable?: boolean }): Op {
  const match = /^\((.*)\) -> (Tensor|Tensor\[\]|self)$/.exec(entry.sig);
  if (!match) throw new Error(`${entry.name}: can't read the signature ${entry.sig}`);
  let option = false;
  const args: Argument[] = [];
  for (const part of match[1].split(/,\s*(?![^[]*\])/).filter(Boolean)) { // commas outside of [ ]
    if (part === '*') { option = true; continue; }
    const piece = /^(\S+) (\w+)(?:=(.*))?$/.exec(part);
    if (!piece || !(piece[1] in reader)) throw new Error(`${entry.name}: can't read the argument ${part}`);
    args.push({ kind: piece[1] as Kind, name: piece[2], fallback: piece[3], option });
  }
  const returns = match[2] as Op['returns'];
  return { name: entry.name, args, returns, cpp: entry.cpp, doc: entry.doc, differentiable: (entry.differentiable ?? true) && returns !== 'self' };
}

function cpp(op: Op): string {
  const reads = op.args.map((arg, i) => `    ${reader[arg.kind].replace('NAME', arg.name).replace('INDEX', String(i))};`).join('\n');
  const call = op.returns === 'self' ? `${op.cpp};\n    return info[0];`
    : op.returns === 'Tensor[]' ? `return wrap_all(info.Env(), ${op.cpp});` : `return wrap(info.Env(), ${op.cpp});`;
  return `static Napi::Value op_${op.name}(const Napi::CallbackInfo& info) {
  return guard(info, [&]() -> Napi::Value {
${reads}
    ${call}
  });
}
`;
}

function ts(op: Op): string {
  const positional = op.args.filter((arg) => !arg.option).map((arg) => `${arg.name}: ${typescript[arg.kind]}${arg.fallback ? ` = ${arg.fallback}` : ''}`);
  const options = op.args.filter((arg) => arg.option);
  if (options.length > 0) {
    const names = options.map((arg) => arg.fallback ? `${arg.name} = ${arg.fallback}` : arg.name).join(', ');
    const types = options.map((arg) => `${arg.name}${arg.fallback ? '?' : ''}: ${typescript[arg.kind]}`).join('; ');
    positional.push(`{ ${names} }: { ${types} }${options.every((arg) => arg.fallback) ? ' = {}' : ''}`);
  }
  const list = op.args.map((arg) => arg.name).join(', ');
  const returns = op.returns === 'Tensor[]' ? 'Tensor[]' : 'Tensor';
  const runner = { 'Tensor': 'run', 'Tensor[]': 'runAll', 'self': 'runInPlace' }[op.returns];
  return `/** ${op.doc} */
export function ${op.name}(${positional.join(', ')}): ${returns} {
  return ${runner}(specs.${op.name}, [${list}]);
}
`;
}

const ops = (JSON.parse(readFileSync(new URL('ops.json', root), 'utf8')) as Record<string, unknown>[])
  .filter((entry) => 'name' in entry).map((entry) => parse(entry as Parameters<typeof parse>[0]));

const native = `${header}#include "args.h"
#include "layers.h"

${ops.map(cpp).join('\n')}
void register_ops(Napi::Env env, Napi::Object exports) {
${ops.map((op) => `  exports.Set("${op.name}", Napi::Function::New(env, op_${op.name}, "${op.name}"));`).join('\n')}
}
`;
const source = `${header}import { run, runAll, runInPlace, type OpSpec } from './dispatch.js';
import type { Device, DType, Tensor } from './tensor.js';

/** What the recorder and the tests know of each op. */
export const specs = {
${ops.map((op) => `  ${op.name}: { name: '${op.name}', args: [${op.args.map((arg) => `'${arg.name}'`).join(', ')}], differentiable: ${op.differentiable} },`).join('\n')}
} satisfies Record<string, OpSpec>;

${ops.map(ts).join('\n')}`;

const check = process.argv.includes('--check');
for (const [path, text] of [['native/generated.cc', native], ['src/generated.ts', source]]) {
  const file = new URL(path, root);
  if (!check) {
    writeFileSync(file, text);
  } else if (readFileSync(file, 'utf8') !== text) {
    process.stderr.write(`${fileURLToPath(file)} is not what ops.json says: npm run generate --workspace @unshake/libtorch\n`);
    process.exitCode = 1;
  }
}
process.stdout.write(`${ops.length} ops ${check ? 'checked against' : 'written to'} ${fileURLToPath(root)}{native/generated.cc,src/generated.ts}\n`);
