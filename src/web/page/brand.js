// The colours of a WHITE_LABEL tenant, for its own people: theirs take the place
// of ours, mixed with black or white only as far as all stays readable.

// What texts and lines stand on in light and in dark, the worst for contrast.
const GROUNDS = { light: "#e9f2f5", dark: "#1c2f37" };
const TEXT = 4.5;
const LINE = 3;

const parts = (colour) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));

// How bright a colour is, as WCAG 2 reckons it.
function brightness(colour) {
  const [red, green, blue] = parts(colour).map((part) => (part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

export function contrast(one, other) {
  const [low, high] = [brightness(one), brightness(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}

function mixed(colour, into, share) {
  const target = parts(into);
  return `#${parts(colour).map((part, at) => Math.round(part + (target[at] - part) * share).toString(16).padStart(2, "0")).join("")}`;
}

// The colour, as far from the ground as it has to be.
function readable(colour, ground, least) {
  const away = brightness(ground) > 0.18 ? "#000000" : "#ffffff";
  for (let step = 0; step <= 20; step += 1) {
    const tried = mixed(colour, away, step / 20);
    if (contrast(tried, ground) >= least) return tried;
  }
  return away;
}

// Black or white, whichever is read better on a colour.
const textOn = (colour) => (contrast(colour, "#ffffff") >= contrast(colour, "#000000") ? "#ffffff" : "#000000");

const both = (make) => `light-dark(${make("light")}, ${make("dark")})`;

const isColour = (text) => /^#[0-9a-f]{6}$/i.test(text || "");

// What the style sheet is told of a tenant's colours.
export function colours(primary, second) {
  const given = {};
  if (isColour(primary)) {
    given["--brand"] = primary;
    given["--on-brand"] = textOn(primary);
    given["--accent"] = both((theme) => readable(primary, GROUNDS[theme], TEXT));
    given["--on-accent"] = both((theme) => textOn(readable(primary, GROUNDS[theme], TEXT)));
  }
  if (isColour(second)) given["--second"] = both((theme) => readable(second, GROUNDS[theme], LINE));
  return given;
}

const NAMES = ["--brand", "--on-brand", "--accent", "--on-accent", "--second"];

// Dresses the page in them; in ours where there are none.
export function paint(primary, second) {
  const { style } = document.documentElement;
  for (const name of NAMES) style.removeProperty(name);
  for (const [name, colour] of Object.entries(colours(primary, second))) style.setProperty(name, colour);
}
