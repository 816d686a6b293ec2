/** A gray ICC profile, as small as one can be: version 2.4 with a description, a white point and one gamma (ICC.1:2001-04 §6.3). */
export function grayProfile(gamma = 1.8): Uint8Array {
  const text = Buffer.from('Unshaken gray\0', 'latin1');
  const description = Buffer.concat([Buffer.from('desc\0\0\0\0', 'latin1'), uint32(text.length), text, Buffer.alloc(4 + 4 + 2 + 1 + 67)]);
  const copyright = Buffer.from('text\0\0\0\0CC0\0', 'latin1');
  const white = Buffer.concat([Buffer.from('XYZ \0\0\0\0', 'latin1'), uint32(0xf6d6), uint32(0x10000), uint32(0xd32d)]);
  const curve = Buffer.concat([Buffer.from('curv\0\0\0\0', 'latin1'), uint32(1), Buffer.of(Math.floor(gamma), Math.round((gamma % 1) * 256))]);
  const tags: [string, Buffer][] = [['desc', description], ['cprt', copyright], ['wtpt', white], ['kTRC', curve]];
  let offset = 128 + 4 + 12 * tags.length;
  const table: Buffer[] = [uint32(tags.length)], data: Buffer[] = [];
  for (const [name, content] of tags) {
    const padded = Buffer.concat([content, Buffer.alloc(-content.length & 3)]);
    table.push(Buffer.from(name, 'latin1'), uint32(offset), uint32(content.length));
    data.push(padded);
    offset += padded.length;
  }
  const header = Buffer.alloc(128);
  header.writeUInt32BE(offset, 0);
  header.writeUInt32BE(0x02400000, 8);
  header.write('mntrGRAYXYZ ', 12, 'latin1');
  header.write('acsp', 36, 'latin1');
  header.set(white.subarray(8), 68); // the illuminant, D50
  return Buffer.concat([header, ...table, ...data]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
