/** libheif's WebAssembly for browsers; its parts are typed where they are used (src/image/heic-decode.ts). */
declare module 'libheif-js/libheif-wasm/libheif-bundle.mjs' {
  const libheif: unknown;
  export default libheif;
}
