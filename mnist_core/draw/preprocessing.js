"use strict";
/* mnist_core/predict/preprocessing.py, step for step and sum for sum: there it is explained. A grid is
   {height, width, data}, row after row in a Float64Array. */
const LONGEST_SIDE = 256, FIT_SIDE = 64, FITS = 6, DIGIT_SIZE = 20, FIELD_SIZE = 28;
const LEAST_CONTRAST = 0.08, INK_LEVEL = 0.2, SMALLEST_PART = 0.04, THINNEST_STROKE = 0.05;

const grid = (height, width, data) => ({height, width, data: data || new Float64Array(height * width)});
const map = (image, change) => grid(image.height, image.width, Float64Array.from(image.data, change));
const total = (values) => { let sum = 0; for (const value of values) sum += value; return sum; };
const clip = (value, low, high) => Math.min(Math.max(value, low), high);

/** RGBA bytes -> Uint8Array of 28 x 28, or null if there is nothing on the picture. */
function toMnist(rgba, height, width) {
  let light = brightness(rgba, height, width);
  if (!light) return null;
  light = shrink(light, LONGEST_SIDE);
  const ink = findInk(evenOut(isDarkOnLight(light) ? light : map(light, (value) => 1 - value)));
  if (!ink) return null;
  const digit = thicken(cutOut(ink));
  const longer = Math.max(digit.height, digit.width);
  const [rows, columns] = [digit.height, digit.width].map(
    (size) => Math.max(1, Math.floor(size * DIGIT_SIZE / longer + 0.5)));
  const small = resize(digit, rows, columns);
  const brightest = small.data.reduce((a, b) => Math.max(a, b));
  const bytes = Uint8Array.from(small.data, (value) => Math.floor(clip(value / brightest, 0, 1) * 255 + 0.5));
  const rowMass = new Array(rows).fill(0), columnMass = new Array(columns).fill(0);
  bytes.forEach((value, at) => { rowMass[Math.floor(at / columns)] += value; columnMass[at % columns] += value; });
  const top = offset(rowMass), left = offset(columnMass), field = new Uint8Array(FIELD_SIZE * FIELD_SIZE);
  bytes.forEach((value, at) => { field[(top + Math.floor(at / columns)) * FIELD_SIZE + left + at % columns] = value; });
  return field;
}

function brightness(rgba, height, width) {
  const luma = new Float64Array(height * width), opaque = [];
  for (let at = 0; at < luma.length; at++) {
    luma[at] = 299 * rgba[4 * at] + 587 * rgba[4 * at + 1] + 114 * rgba[4 * at + 2];
    if (rgba[4 * at + 3] >= 128) opaque.push(luma[at]);
  }
  if (!opaque.length) return null;
  const ranked = Float64Array.from(opaque).sort();
  let paper = ranked[Math.floor(ranked.length / 2)];
  if (ranked[ranked.length - 1] - ranked[0] < 76500) paper = paper >= 127500 ? 0 : 255000;
  return grid(height, width, luma.map((value, at) =>
    (value * rgba[4 * at + 3] + paper * (255 - rgba[4 * at + 3])) / 65025000));
}

function shrink(image, longestSide) {
  const longest = Math.max(image.height, image.width);
  if (longest <= longestSide) return image;
  const [height, width] = [image.height, image.width].map(
    (size) => Math.max(1, Math.floor(size * longestSide / longest + 0.5)));
  return resize(image, height, width);
}

const resize = (image, height, width) => transpose(resample(transpose(resample(image, height)), width));

function transpose(image) {
  const turned = grid(image.width, image.height);
  for (let y = 0; y < image.height; y++)
    for (let x = 0; x < image.width; x++) turned.data[x * image.height + y] = image.data[y * image.width + x];
  return turned;
}

function resample(image, size) {
  const {height: count, width, data} = image, step = count / size, result = grid(size, width);
  if (size > count) {
    for (let row = 0; row < size; row++) {
      const centre = clip((row + 0.5) * step - 0.5, 0, count - 1), lower = Math.floor(centre), part = centre - lower;
      const upper = Math.min(lower + 1, count - 1);
      for (let x = 0; x < width; x++)
        result.data[row * width + x] = data[lower * width + x] * (1 - part) + data[upper * width + x] * part;
    }
    return result;
  }
  const sums = new Float64Array((count + 1) * width);
  for (let at = 0; at < count * width; at++) sums[at + width] = sums[at] + data[at];
  const sumTo = (edge, x) => {
    const lower = Math.min(Math.floor(edge), count - 1);
    return sums[lower * width + x] + (edge - lower) * data[lower * width + x];
  };
  for (let row = 0; row < size; row++)
    for (let x = 0; x < width; x++)
      result.data[row * width + x] = (sumTo((row + 1) * step, x) - sumTo(row * step, x)) / step;
  return result;
}

function isDarkOnLight(light) {
  const small = shrink(light, FIT_SIDE), {height, width} = small;
  const rim = Uint8Array.from(small.data, (_, at) => {
    const y = Math.floor(at / width), x = at % width;
    return +(y === 0 || y === height - 1 || x === 0 || x === width - 1);
  });
  const surface = paperOf(small, rim, small, 3);
  return total(small.data.map((value, at) => {
    const rest = value - surface.data[at];
    return rest * rest * rest;
  })) <= 0;
}

function evenOut(light) {
  const small = shrink(light, FIT_SIDE);
  const surface = paperOf(small, new Uint8Array(small.data.length).fill(1), light, 6);
  return grid(light.height, light.width, light.data.map((value, at) => value / Math.max(surface.data[at], 0.1)));
}

function paperOf(image, places, shape, numTerms) {
  const values = image.data.filter((_, at) => places[at]).sort();
  let paper = places, surface = map(image, () => values[Math.floor(values.length / 2)]);
  for (let fit = 0; fit < FITS; fit++) {
    const distance = image.data.map((value, at) => Math.abs(value - surface.data[at]));
    const ranked = distance.filter((_, at) => places[at]).sort();
    const limit = Math.max(3 * ranked[Math.floor(ranked.length / 2)], 0.01);
    paper = places.map((place, at) => place && distance[at] <= limit ? 1 : 0);
    surface = surfaceOf(image, paper, image, numTerms);
  }
  return surfaceOf(image, paper, shape, numTerms);
}

function surfaceOf(image, mask, shape, numTerms) {
  const terms = termsOf(image).slice(0, numTerms);
  const matrix = terms.map((a) => terms.map((b) => total(a.map((value, at) => mask[at] * value * b[at]))));
  matrix.forEach((row, index) => { row[index] += 1e-9 * image.data.length; });
  const factors = solve(matrix, terms.map((a) => total(a.map((value, at) => mask[at] * value * image.data[at]))));
  const surface = grid(shape.height, shape.width);
  termsOf(shape).slice(0, numTerms).forEach((term, index) => {
    for (let at = 0; at < term.length; at++) surface.data[at] += factors[index] * term[at];
  });
  return surface;
}

function termsOf({height, width}) {
  const size = height * width, terms = Array.from({length: 6}, () => new Float64Array(size));
  for (let at = 0; at < size; at++) {
    const y = (2 * Math.floor(at / width) + 1) / height - 1, x = (2 * (at % width) + 1) / width - 1;
    [1, x, y, x * y, x * x, y * y].forEach((value, index) => { terms[index][at] = value; });
  }
  return terms;
}

function solve(matrix, right) {
  const size = right.length, rows = matrix.map((row, index) => [...row, right[index]]);
  for (let pivot = 0; pivot < size; pivot++)
    for (let row = pivot + 1; row < size; row++) {
      const factor = rows[row][pivot] / rows[pivot][pivot];
      for (let column = pivot; column <= size; column++) rows[row][column] -= factor * rows[pivot][column];
    }
  const solution = new Array(size).fill(0);
  for (let row = size - 1; row >= 0; row--) {
    let known = rows[row][size];
    for (let column = row + 1; column < size; column++) known -= rows[row][column] * solution[column];
    solution[row] = known / rows[row][row];
  }
  return solution;
}

function findInk(light) {
  const radius = Math.max(3, Math.floor(Math.max(light.height, light.width) / 4)), negate = (value) => -value;
  const paper = map(dilate(map(dilate(light, radius), negate), radius), negate);
  const missing = map(light, (value, at) => (paper.data[at] - value) / Math.max(paper.data[at], 0.1));
  const threshold = otsu(missing.data);
  const below = missing.data.filter((value) => value < threshold).sort();
  const above = missing.data.filter((value) => value >= threshold).sort();
  if (!below.length || !above.length) return null;
  const median = below[Math.floor(below.length / 2)];
  const deviation = below.map((value) => Math.abs(value - median)).sort()[Math.floor(below.length / 2)];
  const low = Math.min(median + 4.5 * deviation, threshold / 2), high = above[Math.floor(above.length * 9 / 10)];
  if (high - low < LEAST_CONTRAST) return null;
  return map(missing, (value) => clip((value - low) / (high - low), 0, 1));
}

function otsu(values) {
  const counts = new Array(256).fill(0);
  for (const value of values) counts[clip(Math.floor(value * 256), 0, 255)]++;
  let all = 0, number = 0, sum = 0, largest = -1, best = 0;
  counts.forEach((count, bin) => { all += count * bin; });
  for (let bin = 0; bin < 255; bin++) {
    number += counts[bin];
    sum += counts[bin] * bin;
    const rest = values.length - number;
    const difference = sum / Math.max(number, 1) - (all - sum) / Math.max(rest, 1);
    const between = number * rest * difference * difference;
    if (between > largest) [largest, best] = [between, bin];
  }
  return (best + 1) / 256;
}

function dilate(image, radius) {
  for (let turn = 0; turn < 2; turn++) {
    const {height, width} = image, window = 2 * radius + 1;
    let rows = height + 2 * radius, padded = new Float64Array(rows * width).fill(-Infinity);
    padded.set(image.data, radius * width);
    for (let span = 1; span < window;) {
      const shift = Math.min(span, window - span);
      rows -= shift;
      for (let at = 0; at < rows * width; at++) padded[at] = Math.max(padded[at], padded[at + shift * width]);
      span += shift;
    }
    image = transpose(grid(height, width, padded.slice(0, height * width)));
  }
  return image;
}

function cutOut(ink) {
  const {height, width} = ink, {labels, sizes} = partsOf(ink);
  let strokes = sizes.map((_, index) => index + 1).filter((label) => !runsAlongASide(labels, label, height, width));
  if (!strokes.length) strokes = sizes.map((_, index) => index + 1);
  const largest = Math.max(...strokes.map((label) => sizes[label - 1]));
  const kept = new Set(strokes.filter((label) => sizes[label - 1] >= SMALLEST_PART * largest));
  let top = height, bottom = -1, left = width, right = -1;
  labels.forEach((label, at) => {
    if (!kept.has(label)) return;
    const y = Math.floor(at / width), x = at % width;
    [top, bottom, left, right] = [Math.min(top, y), Math.max(bottom, y), Math.min(left, x), Math.max(right, x)];
  });
  const box = grid(bottom - top + 1, right - left + 1);
  for (let y = top; y <= bottom; y++)
    for (let x = left; x <= right; x++) {
      const label = labels[y * width + x];
      if (!label || kept.has(label)) box.data[(y - top) * box.width + x - left] = ink.data[y * width + x];
    }
  return box;
}

function partsOf({height, width, data}) {
  const labels = new Int32Array(height * width), sizes = [];
  for (let start = 0; start < labels.length; start++) {
    if (labels[start] || data[start] < INK_LEVEL) continue;
    const part = [start];
    labels[start] = sizes.length + 1;
    for (const place of part) { // grows as it goes
      const y = Math.floor(place / width), x = place % width;
      for (let row = Math.max(y - 1, 0); row <= Math.min(y + 1, height - 1); row++)
        for (let column = Math.max(x - 1, 0); column <= Math.min(x + 1, width - 1); column++) {
          const at = row * width + column;
          if (labels[at] || data[at] < INK_LEVEL) continue;
          labels[at] = sizes.length + 1;
          part.push(at);
        }
    }
    sizes.push(part.length);
  }
  return {labels, sizes};
}

function runsAlongASide(labels, label, height, width) {
  let [top, bottom, left, right] = [0, 0, 0, 0];
  for (let x = 0; x < width; x++) { top += labels[x] === label; bottom += labels[(height - 1) * width + x] === label; }
  for (let y = 0; y < height; y++) { left += labels[y * width] === label; right += labels[y * width + width - 1] === label; }
  return 2 * top > width || 2 * bottom > width || 2 * left > height || 2 * right > height;
}

function thicken(ink) {
  const {height, width, data} = ink, dark = (y, x) => y >= 0 && y < height && x >= 0 && x < width && data[y * width + x] >= 0.5;
  let area = 0, edges = 0;
  for (let y = -1; y <= height; y++)
    for (let x = -1; x <= width; x++) {
      area += dark(y, x);
      edges += (dark(y, x) !== dark(y + 1, x)) + (dark(y, x) !== dark(y, x + 1));
    }
  const thickness = 2 * area / Math.max(edges, 1);
  const radius = Math.floor((THINNEST_STROKE * Math.max(height, width) - thickness) / 2 + 0.5);
  if (radius <= 0) return ink;
  const padded = grid(height + 2 * radius, width + 2 * radius);
  for (let y = 0; y < height; y++)
    padded.data.set(data.subarray(y * width, (y + 1) * width), (y + radius) * padded.width + radius);
  return dilate(padded, radius);
}

function offset(mass) {
  const moment = mass.reduce((sum, value, at) => sum + value * (2 * at + 1), 0);
  const centre = moment / (2 * mass.reduce((sum, value) => sum + value, 0));
  return clip(Math.floor(FIELD_SIZE / 2 + 1 - centre), 0, FIELD_SIZE - mass.length);
}
