// What the daemon says of itself, which is English: its common sentences are
// said in the reader's language, and in all others names of resources and times
// are written as the page writes them.

import { english } from "./english.js";
import { h } from "./dom.js";
import { plain, when } from "./format.js";
import { sentences } from "./sentences.js";
import { spoken, t, word } from "./words.js";

const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const NAMED_DAY = new RegExp(`\\b(${DAYS.join("|")}) (\\d\\d) (${MONTHS.join("|")}) (\\d\\d):(\\d\\d) UTC`, "g");
const INSTANT = /\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g;
const RESOURCES = Object.keys(english).filter((key) => key.startsWith("resource.")).map((key) => key.slice("resource.".length));
const RESOURCE = new RegExp(`\\b(${RESOURCES.join("|")})\\b`, "g");

// Each sentence as what finds it: the English words with a hole for each name.
const SENTENCES = Object.entries(sentences.en).map(([key, text]) => {
  const parts = text.split(/\{(\w+)\}/);
  const shape = parts.map((part, at) => (at % 2 ? `(?<${part}>.+?)` : part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"))).join("");
  return [key, new RegExp(`^${shape}$`)];
});

// The instant of a day and month whose year is not said: the nearest year in
// which it is that day of the week.
function nearest(weekday, day, month, hour, minute) {
  const now = new Date().getUTCFullYear();
  const years = [0, 1, -1, 2, -2, 3, -3].map((by) => new Date(Date.UTC(now + by, MONTHS.indexOf(month), Number(day), Number(hour), Number(minute))));
  return years.find((one) => DAYS[one.getUTCDay()] === weekday);
}

function written(text) {
  return text
    .replace(NAMED_DAY, (whole, ...parts) => when(nearest(...parts.slice(0, 5))) || whole)
    .replace(INSTANT, (instant) => when(instant))
    .replace(RESOURCE, (name) => word("resource", name));
}

const UNITS = Object.keys(english).filter((key) => key.startsWith("unit."));

// What stands in a hole of a sentence: a figure, an amount with its unit (one of
// which is said without the last letter), or anything else.
function value(text) {
  if (/^\d+(\.\d+)?$/.test(text)) return plain(Number(text));
  const [, figure, unit] = /^(\d+(?:\.\d+)?) (.+)$/.exec(text) || [];
  const key = unit && UNITS.find((one) => [unit, `${unit}s`].includes(english[one]));
  return key ? `${plain(Number(figure))} ${t(key)}` : written(text);
}

// The text as it is shown, and whether it is in the reader's language.
export function tellOf(text) {
  for (const [key, shape] of SENTENCES) {
    const found = shape.exec(text);
    if (found) return [t(key, Object.fromEntries(Object.entries(found.groups || {}).map(([name, one]) => [name, value(one)]))), true];
  }
  return [written(text), spoken() === "en"];
}

// The same as an element.
export function told(text, name = "span", attributes = {}) {
  const [shown, isOwn] = tellOf(text);
  return h(name, { lang: isOwn ? null : "en", ...attributes }, shown);
}
