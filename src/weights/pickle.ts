/**
 * A pickle machine for the files of torch.save that executes nothing. Python's own would import any function that the file names and call it; this one
 * knows the opcodes of protocol 2 that torch.save writes, and the few names that its caller lists. Anything else is refused.
 */

/** A file that is no pickle of the kind expected, or asks for something that isn't on the list. */
export class PickleError extends Error {
  override name = 'PickleError';
}

/** The pickle goes on after the end of the bytes at hand. */
export class PickleCutError extends PickleError {}

/** What stands for a Python name: `make` builds the value where the file calls it. Without `make` it is a mere name (a class that is mentioned). */
export interface Global { name: string; make?: (args: readonly unknown[]) => unknown }

export interface PickleOptions {
  /** By `module.name`. */
  globals: ReadonlyMap<string, Global>;
  /** What torch.save's references to storages stand for. */
  persistent: (id: unknown) => unknown;
}

const mark = Symbol('mark');

/** One pickle from `start`; `end` is where it stops. Numbers beyond 2^53 come as bigint, dicts and OrderedDicts as Map. Throws PickleError. */
export function unpickle(bytes: Uint8Array, start: number, { globals, persistent }: PickleOptions): { value: unknown; end: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const stack: unknown[] = [], memo = new Map<number, unknown>();
  let at = start;

  const take = (length: number): number => {
    if (length > bytes.length - at) throw new PickleCutError(`the pickle is cut off at byte ${bytes.length}`);
    at += length;
    return at - length;
  };
  const text = (length: number): string => { const from = take(length); return new TextDecoder('utf-8', { fatal: false }).decode(bytes.subarray(from, from + length)); };
  const line = (): string => {
    const end = bytes.indexOf(0x0a, at);
    if (end < 0) throw new PickleCutError(`the pickle is cut off at byte ${bytes.length}`);
    const value = text(end - at);
    at++;
    return value;
  };
  const pop = (): unknown => {
    if (stack.length === 0 || stack[stack.length - 1] === mark) throw new PickleError('the pickle takes from an empty stack');
    return stack.pop();
  };
  const popToMark = (): unknown[] => {
    const from = stack.lastIndexOf(mark);
    if (from < 0) throw new PickleError('the pickle goes back to a mark that was not set');
    const items = stack.splice(from);
    return items.slice(1);
  };
  const top = <T>(kind: new (...args: never[]) => T, what: string): T => {
    const value = stack[stack.length - 1];
    if (!(value instanceof kind)) throw new PickleError(`the pickle fills something that is no ${what}`);
    return value;
  };
  const put = (map: Map<unknown, unknown>, items: readonly unknown[]): void => {
    if (items.length % 2 === 1) throw new PickleError('the pickle has a key without a value');
    for (let i = 0; i < items.length; i += 2) map.set(items[i], items[i + 1]);
  };
  const remembered = (key: number): unknown => {
    if (!memo.has(key)) throw new PickleError(`the pickle recalls entry ${key}, which it has not stored`);
    return memo.get(key);
  };
  /** A little-endian two's-complement integer of any length. */
  const long = (length: number): number | bigint => {
    const from = take(length);
    let value = 0n;
    for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[from + i]);
    if (length > 0 && bytes[from + length - 1] >= 0x80) value -= 1n << BigInt(8 * length);
    return value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
  };

  for (;;) {
    const opcode = bytes[take(1)];
    switch (String.fromCharCode(opcode)) {
      case '\x80': { // PROTO
        const protocol = bytes[take(1)];
        if (protocol !== 2) throw new PickleError(`the pickle is of protocol ${protocol}; torch.save writes 2`);
        break;
      }
      case '.': return { value: pop(), end: at }; //                                       STOP
      case '(': stack.push(mark); break; //                                                MARK
      case 'N': stack.push(null); break; //                                                NONE
      case '\x88': stack.push(true); break; //                                             NEWTRUE
      case '\x89': stack.push(false); break; //                                            NEWFALSE
      case 'J': stack.push(view.getInt32(take(4), true)); break; //                        BININT
      case 'K': stack.push(bytes[take(1)]); break; //                                      BININT1
      case 'M': stack.push(view.getUint16(take(2), true)); break; //                       BININT2
      case '\x8a': stack.push(long(bytes[take(1)])); break; //                             LONG1
      case 'G': stack.push(view.getFloat64(take(8), false)); break; //                     BINFLOAT
      case 'X': stack.push(text(view.getUint32(take(4), true))); break; //                 BINUNICODE
      case 'U': stack.push(text(bytes[take(1)])); break; //                                SHORT_BINSTRING, of Python 2
      case 'T': stack.push(text(view.getUint32(take(4), true))); break; //                 BINSTRING, of Python 2
      case ')': stack.push([]); break; //                                                  EMPTY_TUPLE
      case 't': stack.push(popToMark()); break; //                                         TUPLE
      case '\x85': stack.push([pop()]); break; //                                          TUPLE1
      case '\x86': { const b = pop(), a = pop(); stack.push([a, b]); break; } //           TUPLE2
      case '\x87': { const c = pop(), b = pop(), a = pop(); stack.push([a, b, c]); break; } // TUPLE3
      case ']': stack.push([]); break; //                                                  EMPTY_LIST
      case 'a': { const item = pop(); top(Array<unknown>, 'list').push(item); break; } //  APPEND
      case 'e': { const items = popToMark(); top(Array<unknown>, 'list').push(...items); break; } // APPENDS
      case '}': stack.push(new Map()); break; //                                           EMPTY_DICT
      case 's': { const value = pop(), key = pop(); put(top(Map<unknown, unknown>, 'dict'), [key, value]); break; } // SETITEM
      case 'u': { const items = popToMark(); put(top(Map<unknown, unknown>, 'dict'), items); break; } // SETITEMS
      case 'q': { const key = bytes[take(1)]; memo.set(key, stack[stack.length - 1]); break; } // BINPUT
      case 'r': { const key = view.getUint32(take(4), true); memo.set(key, stack[stack.length - 1]); break; } // LONG_BINPUT
      case 'h': stack.push(remembered(bytes[take(1)])); break; //                          BINGET
      case 'j': stack.push(remembered(view.getUint32(take(4), true))); break; //           LONG_BINGET
      case 'Q': stack.push(persistent(pop())); break; //                                   BINPERSID
      case 'c': { //                                                                       GLOBAL
        const name = `${line()}.${line()}`;
        const global = globals.get(name);
        if (!global) throw new PickleError(`the pickle asks for ${name}, which weights have no need of; refused`);
        stack.push(global);
        break;
      }
      case 'R': { //                                                                       REDUCE
        const args = pop(), global = pop() as Global;
        if (!Array.isArray(args) || typeof global?.make !== 'function') throw new PickleError('the pickle calls something that is not on the list; refused');
        stack.push(global.make(args));
        break;
      }
      case 'b': { pop(); top(Map<unknown, unknown>, 'OrderedDict'); break; } //            BUILD: attributes of an OrderedDict (state_dict's _metadata), of which nothing depends
      default: throw new PickleError(`the pickle has opcode 0x${opcode.toString(16)} at byte ${at - 1}, which torch.save doesn't write; refused`);
    }
  }
}
