// Scales and the marks on them.

// From a range of values to a range of pixels.
export function scale([from, to], [start, end]) {
  const width = to - from || 1;
  const place = (value) => start + ((value - from) / width) * (end - start);
  place.back = (pixel) => from + ((pixel - start) / (end - start)) * width;
  return place;
}

// About `wanted` round values from 0 or `from` to `to`.
export function roundMarks(from, to, wanted) {
  const rough = (to - from) / Math.max(1, wanted);
  const power = 10 ** Math.floor(Math.log10(rough || 1));
  const step = [1, 2, 2.5, 5, 10].map((one) => one * power).find((one) => one >= rough) || 10 * power;
  const marks = [];
  for (let mark = Math.ceil(from / step) * step; mark <= to + step * 1e-9; mark += step) marks.push(Number(mark.toPrecision(12)));
  return marks;
}

const HOUR = 3600e3;
const STEPS = [HOUR / 4, HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, 24 * HOUR, 48 * HOUR, 4 * 24 * HOUR, 7 * 24 * HOUR, 14 * 24 * HOUR, 28 * 24 * HOUR];

// Round instants of the reader's own time, at most `most` of them, and whether
// they are whole days.
export function timeMarks(from, to, most) {
  const step = STEPS.find((one) => (to - from) / one <= most) || STEPS[STEPS.length - 1];
  const first = new Date(from);
  first.setHours(0, 0, 0, 0);
  if (step >= 24 * HOUR && first < from) first.setDate(first.getDate() + 1);
  const marks = [];
  if (step >= 24 * HOUR) {
    for (const at = first; at <= to; at.setDate(at.getDate() + step / (24 * HOUR))) if (at >= from) marks.push(at.getTime());
  } else {
    for (let at = first.getTime(); at <= to; at += step) if (at >= from) marks.push(at);
  }
  return { marks, areDays: step >= 24 * HOUR };
}

// The least and the largest value of each column of pixels, so that no peak is
// lost where a line has more points than the picture.
export function thinned(points, x, columns) {
  if (points.length <= columns * 2) return points;
  const kept = [];
  let column = null;
  let low = null;
  let high = null;
  const flush = () => {
    if (low === null) return;
    kept.push(...(low.at < high.at ? [low, high] : low === high ? [low] : [high, low]));
  };
  for (const point of points) {
    const own = Math.floor(x(point.at));
    if (own !== column || point.value === null) {
      flush();
      [low, high, column] = [null, null, own];
      if (point.value === null) {
        if (kept.length && kept[kept.length - 1].value !== null) kept.push(point);
        continue;
      }
    }
    if (low === null || point.value < low.value) low = point;
    if (high === null || point.value > high.value) high = point;
  }
  flush();
  return kept;
}

// The path of a line; a point without a value lifts the pen.
export function line(points, x, y) {
  let path = "";
  let down = false;
  for (const point of points) {
    if (point.value === null || point.value === undefined) {
      down = false;
      continue;
    }
    path += `${down ? "L" : "M"}${x(point.at).toFixed(1)} ${y(point.value).toFixed(1)}`;
    down = true;
  }
  return path;
}

// The path of a line that holds each value until the next.
export function steps(points, end, x, y) {
  let path = "";
  points.forEach((point, index) => {
    const until = index + 1 < points.length ? points[index + 1].at : end;
    path += `${index ? "V" : "M"}${index ? "" : `${x(point.at).toFixed(1)} `}${y(point.value).toFixed(1)}H${x(until).toFixed(1)}`;
  });
  return path;
}

// The outline of what lies between two lines of { at, low, high }; a gap ends
// one outline and begins the next.
export function area(points, x, y) {
  const parts = [[]];
  for (const point of points) {
    if (point.low === null || point.high === null) parts.push([]);
    else parts[parts.length - 1].push(point);
  }
  const outline = (part) => {
    const up = part.map((point) => `${x(point.at).toFixed(1)} ${y(point.high).toFixed(1)}`);
    const down = part.map((point) => `${x(point.at).toFixed(1)} ${y(point.low).toFixed(1)}`).reverse();
    return `M${[...up, ...down].join("L")}Z`;
  };
  return parts.filter((part) => part.length > 1).map(outline).join("");
}
