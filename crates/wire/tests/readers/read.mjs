// Reads documents, one in hexadecimal a line, and prints what each means in one canonical form a line.
import { readFileSync } from "node:fs";

const hex = (text) => Buffer.from(text, "utf8").toString("hex");

function shown(value) {
  if (value === null) return "n";
  if (value === true) return "t";
  if (value === false) return "f";
  if (typeof value === "number") {
    const bits = Buffer.alloc(8);
    bits.writeDoubleBE(value + 0);
    return "d" + bits.toString("hex");
  }
  if (typeof value === "string") return "s" + hex(value);
  if (Array.isArray(value)) return "[" + value.map(shown).join(",") + "]";
  const members = Object.keys(value).map((key) => hex(key) + ":" + shown(value[key]));
  return "{" + members.sort().join(",") + "}";
}

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
for (const line of readFileSync(0, "utf8").split("\n").slice(0, -1)) {
  try {
    console.log(shown(JSON.parse(strict.decode(Buffer.from(line, "hex")))));
  } catch (error) {
    console.log("refused: " + error);
  }
}
