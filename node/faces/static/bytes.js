// Bytes and their spellings: hexadecimal, base64, and canonical msgpack (docs/spec/encoding.md).

const DEPTH_MAX = 16;
const utf8 = new TextEncoder();

/** What was refused: `where`, what was expected there, what came. */
export class Refusal extends Error {
  constructor(where, expected, got) {
    super(`${where}: expected ${expected}, got ${got}`);
    Object.assign(this, { where, expected: String(expected), got: String(got) });
  }
}

export const encodeText = text => utf8.encode(text);

export function decodeText(bytes, where) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new Refusal(where, "UTF-8", "other bytes");
  }
}

export function concat(...parts) {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

export const same = (a, b) => a.length === b.length && a.every((byte, at) => byte === b[at]);

export const hex = bytes => Array.from(bytes, byte => byte.toString(16).padStart(2, "0")).join("");

export function fromHex(text, where) {
  if (!/^([0-9a-f]{2})*$/.test(text)) throw new Refusal(where, "hexadecimal digits", text.slice(0, 80));
  return Uint8Array.from(text.match(/../g) ?? [], pair => parseInt(pair, 16));
}

export function fromBase64(text, where) {
  try {
    if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text) || text.length % 4) throw new Error();
    return Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
  } catch {
    throw new Refusal(where, "base64", text.slice(0, 80));
  }
}

export const base64 = bytes => btoa(String.fromCharCode(...bytes));

export function decimal(text, where) {
  if (!/^(0|[1-9][0-9]{0,15})$/.test(text) || !Number.isSafeInteger(Number(text))) {
    throw new Refusal(where, "a decimal number below 2^53", text.slice(0, 40));
  }
  return Number(text);
}

/** The one value that `bytes` encode; anything but the canonical encoding is refused. */
export function decodeValue(bytes, where) {
  let at = 0;
  const refuse = got => {
    throw new Refusal(where, "one canonical value", got);
  };
  const take = count => {
    if (at + count > bytes.length) refuse("fewer bytes");
    at += count;
    return bytes.subarray(at - count, at);
  };
  const number = (count, least) => {
    const value = take(count).reduce((sum, byte) => sum * 256 + byte, 0);
    if (!Number.isSafeInteger(value) || value < least) refuse("a number spelled too long, or too large");
    return value;
  };
  const text = size => decodeText(take(size), where);
  const array = (size, depth) => {
    if (depth === DEPTH_MAX) refuse("deeper nesting");
    if (size > bytes.length - at) refuse("fewer bytes");
    return Array.from({ length: size }, () => value(depth + 1));
  };
  const value = depth => {
    const head = take(1)[0];
    if (head < 0x80) return head;
    if (head >= 0x90 && head < 0xa0) return array(head - 0x90, depth);
    if (head >= 0xa0 && head < 0xc0) return text(head - 0xa0);
    switch (head) {
      case 0xc0: return null;
      case 0xc2: return false;
      case 0xc3: return true;
      case 0xc4: return take(number(1, 0)).slice();
      case 0xc5: return take(number(2, 1 << 8)).slice();
      case 0xc6: return take(number(4, 1 << 16)).slice();
      case 0xcc: return number(1, 128);
      case 0xcd: return number(2, 1 << 8);
      case 0xce: return number(4, 1 << 16);
      case 0xcf: return number(8, 2 ** 32);
      case 0xd9: return text(number(1, 32));
      case 0xda: return text(number(2, 1 << 8));
      case 0xdb: return text(number(4, 1 << 16));
      case 0xdc: return array(number(2, 16), depth);
      case 0xdd: return array(number(4, 1 << 16), depth);
      default: return refuse(`type ${head.toString(16)}`);
    }
  };
  const decoded = value(0);
  if (at !== bytes.length) refuse("bytes after it");
  return decoded;
}

/** The canonical encoding of null, booleans, whole numbers, text, bytes and arrays of them. */
export function encodeValue(value) {
  if (value === null) return Uint8Array.of(0xc0);
  if (typeof value === "boolean") return Uint8Array.of(value ? 0xc3 : 0xc2);
  if (typeof value === "number") {
    return value < 128 ? Uint8Array.of(value) : sized(value, [[0xcc, 1], [0xcd, 2], [0xce, 4], [0xcf, 8]]);
  }
  if (value instanceof Uint8Array) {
    return concat(sized(value.length, [[0xc4, 1], [0xc5, 2], [0xc6, 4]]), value);
  }
  if (typeof value === "string") {
    const bytes = encodeText(value);
    const short = bytes.length < 32 && Uint8Array.of(0xa0 + bytes.length);
    return concat(short || sized(bytes.length, [[0xd9, 1], [0xda, 2], [0xdb, 4]]), bytes);
  }
  const short = value.length < 16 && Uint8Array.of(0x90 + value.length);
  return concat(short || sized(value.length, [[0xdc, 2], [0xdd, 4]]), ...value.map(encodeValue));
}

function sized(value, forms) {
  const [head, width] = forms.find(([, bytes]) => value < 256 ** bytes);
  const digits = Array.from({ length: width }, (_, at) => Math.floor(value / 256 ** (width - 1 - at)) % 256);
  return Uint8Array.of(head, ...digits);
}
