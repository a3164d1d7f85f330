// XXH64: the values that the specification's implementations publish, and the bits of the twin.
import test from 'ava';
import fc from 'fast-check';
import * as plain from '../../../shared/kernels/plain/checksum.js';
import { fixed, kernels } from './memory.js';

const at = kernels.firstFreeByte + 64;

function hash(bytes: Uint8Array, shift = 0): number {
  kernels.u8(at + shift, bytes.length).set(bytes);
  return kernels.xxh64(at + shift, bytes.length);
}

test('known values of XXH64 with seed 0', (t) => {
  for (const [text, expected] of [
    ['', 0xef46db3751d8e999n],
    ['a', 0xd24ec4f1a98c6e5bn],
    ['abc', 0x44bc2cf5ad770999n],
    ['message digest', 0x066ed728fceeb3ben],
    ['abcdefghijklmnopqrstuvwxyz', 0xcfe1f278fa89835cn],
    ['ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789', 0xaaa46907d3047814n],
    ['12345678901234567890123456789012345678901234567890123456789012345678901234567890', 0xe04a477f19ee145dn],
  ] as const) {
    const low = Number(BigInt.asUintN(32, expected));
    t.is(hash(Buffer.from(text)), low, text);
    t.is(plain.xxh64(Buffer.from(text)), low, text);
  }
});

test('the kernel gives what its twin gives, for any length and alignment', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(9), (bytes, shift) => {
      t.is(hash(bytes, shift), plain.xxh64(bytes));
    }),
    fixed,
  );
});

test('any changed byte, and any two that change places, change it', (t) => {
  const bytes = Uint8Array.from({ length: 150 }, (_, i) => (i * 37) ^ (i >> 2));
  const whole = hash(bytes);
  for (let i = 0; i < bytes.length; i++) {
    const other = bytes.slice();
    other[i] ^= 1 << (i % 8);
    t.not(hash(other), whole);
    const swapped = bytes.slice();
    [swapped[i], swapped[(i + 64) % 150]] = [bytes[(i + 64) % 150], bytes[i]];
    if (swapped[i] !== bytes[i]) t.not(hash(swapped), whole);
  }
});
