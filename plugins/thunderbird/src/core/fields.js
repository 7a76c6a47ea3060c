// The candidate formulas of spec §1, on coordinates alone.
//
// BigInt isn't constant in time. What comes in are two coordinates whose combination unwraps one
// message's key: a measurement of it tells of that message, not of a private key.

import { Malformed } from "./errors.js";

const FIELDS = {
  X25519: { prime: 2n ** 255n - 19n, octets: 32, isLittle: true, montgomery: 486662n },
  X448: { prime: 2n ** 448n - 2n ** 224n - 1n, octets: 56, isLittle: true, montgomery: 156326n },
  "P-256": {
    prime: 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n,
    octets: 32,
    isLittle: false,
    alpha: -3n,
    beta: 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn,
  },
};

function power(base, exponent, prime) {
  let found = 1n;
  let square = modulo(base, prime);
  for (let left = exponent; left > 0n; left >>= 1n) {
    if (left & 1n) found = (found * square) % prime;
    square = (square * square) % prime;
  }
  return found;
}

const modulo = (number, prime) => ((number % prime) + prime) % prime;

const inOrder = (octets, { isLittle }) => (isLittle ? octets.slice().reverse() : octets);

function read(octets, field) {
  if (octets.length !== field.octets) throw new Malformed("a coordinate of the wrong length");
  const number = inOrder(octets, field).reduce((sum, each) => (sum << 8n) | BigInt(each), 0n);
  if (number >= field.prime) throw new Malformed("a coordinate that is not below the field's prime");
  return number;
}

function write(number, field) {
  const octets = new Uint8Array(field.octets);
  for (let at = field.octets - 1, left = number; at >= 0; at--, left >>= 8n) {
    octets[at] = Number(left & 0xffn);
  }
  return inOrder(octets, field);
}

function root(square, prime) {
  let found;
  if (prime % 4n === 3n) {
    found = power(square, (prime + 1n) / 4n, prime);
  } else {
    found = power(square, (prime + 3n) / 8n, prime); // p = 5 mod 8
    if ((found * found) % prime !== square) found = (found * power(2n, (prime - 1n) / 4n, prime)) % prime;
  }
  if ((found * found) % prime !== square) throw new Malformed("coordinates of no points of the curve");
  return found;
}

/** Refuse a coordinate of another length, or not below the field's prime (spec §1). */
export const checkCoordinate = (curve, octets) => void read(octets, FIELDS[curve]);

/** Give x(P+Q) and x(P-Q), in either order, from the coordinates of P and Q. */
export function candidates(curve, first, second) {
  const field = FIELDS[curve];
  const { prime } = field;
  const [x1, x2] = [read(first, field), read(second, field)];
  if (x1 === x2) throw new Malformed("two coordinates that are equal");
  const overD = power(x1 - x2, 2n * (prime - 2n), prime);
  const [sum, product] = [x1 + x2, x1 * x2];
  const { montgomery, alpha, beta } = field;
  const [h, q] = montgomery
    ? [sum * (product + 1n) + 2n * montgomery * product, (product - 1n) ** 2n]
    : [sum * (product + alpha) + 2n * beta, (product - alpha) ** 2n - 4n * beta * sum];
  const middle = modulo(h * overD, prime);
  const away = root(modulo(middle * middle - q * overD, prime), prime);
  return [middle + away, middle - away].map(each => write(modulo(each, prime), field));
}

/** Give a y of the P-256 point with this x: either serves, as only x comes of an exchange. */
export function anyY(x) {
  const field = FIELDS["P-256"];
  const { prime, alpha, beta } = field;
  const number = read(x, field);
  return write(root(modulo(number ** 3n + alpha * number + beta, prime), prime), field);
}
