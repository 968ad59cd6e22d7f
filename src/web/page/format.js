// Numbers, shares, money and times as people of a language write them.

import { known, spoken, t } from "./words.js";

const made = new Map();

function formatter(kind, options) {
  const locale = spoken() === "de" ? "de-DE" : "en-GB";
  const key = `${locale} ${kind.name} ${JSON.stringify(options)}`;
  if (!made.has(key)) made.set(key, new kind(locale, options));
  return made.get(key);
}

export const NOTHING = "–";
const is = (value) => value !== null && value !== undefined && Number.isFinite(Number(value));

// A figure with at most four digits that count.
export function plain(value) {
  if (!is(value)) return NOTHING;
  const digits = Math.abs(value) >= 1000 ? { maximumFractionDigits: 0 } : { maximumSignificantDigits: 4 };
  return formatter(Intl.NumberFormat, digits).format(value);
}

export const whole = (value) => (is(value) ? formatter(Intl.NumberFormat, { maximumFractionDigits: 0 }).format(value) : NOTHING);

export const fixed = (value, places) =>
  is(value) ? formatter(Intl.NumberFormat, { minimumFractionDigits: places, maximumFractionDigits: places }).format(value) : NOTHING;

// A share of 0 to 1 in percent.
export const share = (value, places = 1) => (is(value) ? `${fixed(value * 100, places)} %` : NOTHING);

// The same to three places where they say something, for what is near 100 %.
export const percent = (value) => (is(value) ? `${formatter(Intl.NumberFormat, { maximumFractionDigits: 3 }).format(value * 100)} %` : NOTHING);

// An amount without its currency, which stands in the title.
export const amount = (money) => (money ? fixed(Number(money.amount), 2) : NOTHING);

// An amount in whole units of its currency.
export const round = (sum) => (sum ? `${whole(Number(sum.amount))} ${sum.currency}` : NOTHING);

export const money = (sum) => (sum ? `${amount(sum)} ${sum.currency}` : NOTHING);

// The unit of a resource in the reader's language; the one that is given where
// there is no word for it.
export const unitOf = (resource, given = "") => (resource && known("unit", resource)) || known("unit", given) || given;

// The unit where it stands beside the resource's name; nothing where it is the
// same word. Names may hold places to break at.
export function unitBeside(resource, given) {
  const unit = unitOf(resource, given);
  return unit === known("resource", resource)?.replaceAll("\u00ad", "") ? "" : unit;
}

// A value in its unit; a share in percent.
export function measure(value, resource, unit) {
  if (unit === "share") return percent(value);
  return is(value) ? `${plain(value)} ${unitOf(resource, unit)}`.trim() : NOTHING;
}

const date = (text) => new Date(text);

// The form of a time that all pages use; only the audit log is exact to a
// second. The year is said where it is another one.
export function when(text) {
  if (!text) return NOTHING;
  const year = date(text).getFullYear() === new Date().getFullYear() ? undefined : "numeric";
  return formatter(Intl.DateTimeFormat, { weekday: "short", day: "numeric", month: "short", year, hour: "2-digit", minute: "2-digit" }).format(date(text));
}

export const exactly = (text) =>
  text ? formatter(Intl.DateTimeFormat, { year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit" }).format(date(text)) : NOTHING;

export const day = (text) => (text ? formatter(Intl.DateTimeFormat, { day: "numeric", month: "short" }).format(date(text)) : NOTHING);

export const clock = (text) => (text ? formatter(Intl.DateTimeFormat, { hour: "2-digit", minute: "2-digit" }).format(date(text)) : NOTHING);

// What stands below a mark of an axis of time: the day where one begins.
export function tick(at, areDays) {
  const time = date(at);
  return areDays || (time.getHours() === 0 && time.getMinutes() === 0) ? day(at) : clock(at);
}

// How long something has lasted, in its two largest units.
export function lasting(from, to = Date.now()) {
  const minutes = Math.max(0, Math.round((date(to) - date(from)) / 60000));
  const [days, hours, rest] = [Math.floor(minutes / 1440), Math.floor(minutes / 60) % 24, minutes % 60];
  if (days > 0) return `${days} ${t("time.days")} ${hours} h`;
  if (hours > 0) return `${hours} h ${rest} min`;
  return `${rest} min`;
}
