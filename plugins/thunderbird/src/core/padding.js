// Padding of a message before it is sealed, to a Padmé size (spec §7, Padding).

const FIELD = "Recrypt-Padding:";
const HEADER_OCTETS = 32 * 2 ** 10;
const SHORTEST = 4; // of a folded line: a space, one character, CRLF
const LINE = 56;

/** Give the length that so many octets are padded to: 12 % more at most. */
export function padme(octets) {
  const exponent = Math.floor(Math.log2(octets));
  const unit = 2 ** (exponent - (Math.floor(Math.log2(exponent)) + 1));
  return Math.ceil(octets / unit) * unit;
}

/** Give the field for the end of a header, and what follows the body where that would be too large. */
export function padding(octets, header) {
  const least = FIELD.length + SHORTEST;
  const missing = Math.max(padme(octets + least) - octets, least);
  if (header + missing <= HEADER_OCTETS) return [FIELD + lines(missing - FIELD.length, "="), ""];
  return [FIELD + lines(SHORTEST, "="), lines(missing - least, " ")];
}

function lines(octets, filler) {
  if (octets < SHORTEST) return "";
  const full = Math.floor((octets - SHORTEST) / LINE);
  const rest = ((octets - SHORTEST) % LINE) + SHORTEST;
  return [...Array(full).fill(LINE), rest].map(each => ` ${filler.repeat(each - 3)}\r\n`).join("");
}
