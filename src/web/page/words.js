// The page's words in the reader's language. What the daemon itself writes, as
// the reasons of a recommendation, is English.

import { english } from "./english.js";
import { german } from "./german.js";
import { sentences } from "./sentences.js";

const KEY = "plimsoll-language";
const LANGUAGES = { en: { ...english, ...sentences.en }, de: { ...german, ...sentences.de } };

function first() {
  const kept = localStorage.getItem(KEY);
  if (kept in LANGUAGES) return kept;
  return (navigator.languages || []).some((one) => one.startsWith("de")) && !navigator.language.startsWith("en") ? "de" : "en";
}

let language = first();

export const languages = [["en", "English"], ["de", "Deutsch"]];
export const spoken = () => language;

export function speak(wanted) {
  language = wanted in LANGUAGES ? wanted : "en";
  localStorage.setItem(KEY, language);
  document.documentElement.lang = language;
}

// The words of a key, with {names} replaced. A key that is missing shows
// itself.
export function t(key, values = {}) {
  const text = LANGUAGES[language][key] ?? english[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

// The words of a key that differ for one and for many: key.one and key.many.
export function count(key, number, shown = number) {
  return t(number === 1 ? `${key}.one` : `${key}.many`, { count: shown });
}

// The word for a name of the API, such as a resource; the name where there is
// none.
export const word = (kind, name) => known(kind, name) ?? String(name).replaceAll("_", " ");

// The same; nothing where there is no word.
export const known = (kind, name) => LANGUAGES[language][`${kind}.${name}`] ?? english[`${kind}.${name}`];
