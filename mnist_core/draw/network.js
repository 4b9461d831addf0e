"use strict";
/* A network from its architecture and weights, as networks/architectures.py describes it: images are HWC, dense kernels
   (in, out), convolution kernels HWIO, and padding is TensorFlow's. */

function decodeFloats(text) {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  return new Float32Array(bytes.buffer); // little-endian, as every browser's machine is
}

/** Uint8Array of 28 x 28 -> {probabilities, maps}: the feature maps after each pooling, or each convolution without. */
function runNetwork(model, image) {
  let value = {height: 28, width: 28, channels: 1, data: Float32Array.from(image, (byte) => byte / 255)};
  const maps = [], counts = {};
  model.architecture.forEach((layer, index) => {
    counts[layer.type] = (counts[layer.type] || 0) + 1;
    const name = `${layer.type}_${counts[layer.type]}`;
    const kernel = model.weights[`${name}.kernel`], bias = model.weights[`${name}.bias`];
    if (layer.type === "dense") value = dense(value, kernel, bias);
    else if (layer.type === "conv2d" || layer.type === "max_pool2d") value = slide(value, layer, kernel, bias);
    else throw new Error(`${layer.type} is no layer of this page`);
    if (layer.activation === "relu") value.data = value.data.map((number) => Math.max(number, 0));
    const next = model.architecture[index + 1];
    if (layer.type !== "dense" && !(next && next.type === "max_pool2d")) maps.push(value);
  });
  const largest = Math.max(...value.data), powers = Array.from(value.data, (logit) => Math.exp(logit - largest));
  const sum = powers.reduce((a, b) => a + b);
  return {logits: Array.from(value.data), probabilities: powers.map((power) => power / sum), maps};
}

function dense(value, kernel, bias) {
  const units = bias.length, result = Float64Array.from(bias);
  value.data.forEach((input, row) => {
    if (input !== 0) for (let unit = 0; unit < units; unit++) result[unit] += input * kernel[row * units + unit];
  });
  return {height: 1, width: 1, channels: units, data: Float32Array.from(result)};
}

function window1d(size, window, stride, padding) {
  if (padding === "valid") return [Math.floor((size - window) / stride) + 1, 0];
  const count = Math.ceil(size / stride);
  return [count, Math.floor(Math.max((count - 1) * stride + window - size, 0) / 2)];
}

/** Convolution, or maximum pooling for a layer with a pool_size. */
function slide(value, layer, kernel, bias) {
  const size = layer.kernel_size || layer.pool_size, {stride, padding} = layer, pools = layer.type === "max_pool2d";
  const [height, above] = window1d(value.height, size, stride, padding);
  const [width, before] = window1d(value.width, size, stride, padding);
  const inputs = value.channels, channels = pools ? inputs : bias.length;
  const data = new Float32Array(height * width * channels), sums = new Float64Array(channels);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      if (pools) sums.fill(-Infinity);
      else sums.set(bias);
      for (let i = 0; i < size; i++)
        for (let j = 0; j < size; j++) {
          const row = y * stride + i - above, column = x * stride + j - before;
          if (row < 0 || row >= value.height || column < 0 || column >= value.width) continue;
          const at = (row * value.width + column) * inputs, from = (i * size + j) * inputs * channels;
          for (let input = 0; input < inputs; input++) {
            const number = value.data[at + input];
            if (pools) sums[input] = Math.max(sums[input], number);
            else if (number !== 0)
              for (let output = 0; output < channels; output++)
                sums[output] += number * kernel[from + input * channels + output];
          }
        }
      data.set(sums, (y * width + x) * channels);
    }
  return {height, width, channels, data};
}
