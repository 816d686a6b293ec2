/** libheif's WebAssembly for Node; its parts are typed where they are used (heic-decode.ts). */
declare module 'libheif-js/wasm-bundle.js' {
  const libheif: unknown;
  export default libheif;
}
