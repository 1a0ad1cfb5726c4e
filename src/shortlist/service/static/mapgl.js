// Paints up to some hundred thousand points: by WebGL 2, where points live on
// the GPU and a frame only sets uniforms, or where there is no GPU by hand.

const VERTEX = `#version 300 es
precision highp float;
in vec2 place; in float kind; in float weight; in uint tags;
uniform vec2 centre, zoom;
uniform vec3 palette[17], ramp[3];
uniform float size, alpha;
uniform int byWeight, lit, pass;
out vec4 colour; out float radius;
void main() {
  bool isLit = lit < 0 || (tags >> uint(max(lit, 0)) & 1u) == 1u;
  if (isLit != (pass == 1)) { gl_Position = vec4(2, 2, 2, 1); gl_PointSize = 0.0; return; }
  vec3 shade = byWeight == 1
    ? (weight < 0.5 ? mix(ramp[0], ramp[1], weight * 2.0) : mix(ramp[1], ramp[2], weight * 2.0 - 1.0))
    : palette[lit >= 0 && isLit ? lit + 1 : int(kind)];
  radius = size * (isLit ? 0.65 + 1.15 * weight : 0.65);
  gl_PointSize = radius + 1.0;
  gl_Position = vec4((place - centre) * zoom, 0, 1);
  colour = vec4(shade, isLit ? alpha : alpha * 0.16);
}`;

const FRAGMENT = `#version 300 es
precision mediump float;
in vec4 colour; in float radius; out vec4 painted;
void main() {
  float edge = (0.5 - length(gl_PointCoord - 0.5)) * (radius + 1.0);
  painted = vec4(colour.rgb, 1) * colour.a * clamp(edge, 0.0, 1.0);
}`;

function compile(gl, kind, source) {
  const shader = gl.createShader(kind);
  gl.shaderSource(shader, source);
  gl.compileShader(shader);
  return shader;
}

class GlPainter {
  constructor(gl, points) {
    this.gl = gl;
    this.count = points.count;
    const program = gl.createProgram();
    gl.attachShader(program, compile(gl, gl.VERTEX_SHADER, VERTEX));
    gl.attachShader(program, compile(gl, gl.FRAGMENT_SHADER, FRAGMENT));
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program) || "no program");
    gl.useProgram(program);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    const attribute = (name, values, width, type) => {
      const at = gl.getAttribLocation(program, name);
      gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
      gl.bufferData(gl.ARRAY_BUFFER, values, gl.STATIC_DRAW);
      gl.enableVertexAttribArray(at);
      if (type === gl.UNSIGNED_SHORT) gl.vertexAttribIPointer(at, width, type, 0, 0);
      else gl.vertexAttribPointer(at, width, type, false, 0, 0);
    };
    attribute("place", points.places, 2, gl.FLOAT);
    attribute("kind", points.kinds, 1, gl.UNSIGNED_BYTE);
    attribute("weight", points.weights, 1, gl.FLOAT);
    attribute("tags", points.tags, 1, gl.UNSIGNED_SHORT);
    // Items come most popular first; those shall lie on top, so drawn last.
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, Uint32Array.from({ length: points.count }, (_, i) => points.count - 1 - i), gl.STATIC_DRAW);
    this.at = (name) => gl.getUniformLocation(program, name);
    this.setWeights = (weights) => attribute("weight", weights, 1, gl.FLOAT);
  }

  draw({ x, y, scale, width, height, pixels }, { palette, ramp, byWeight, lit, size, alpha }) {
    const { gl, at } = this;
    gl.viewport(0, 0, gl.drawingBufferWidth, gl.drawingBufferHeight);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.uniform2f(at("centre"), x, y);
    gl.uniform2f(at("zoom"), (2 * scale) / width, (2 * scale) / height);
    gl.uniform3fv(at("palette"), palette.flat().map((part) => part / 255));
    gl.uniform3fv(at("ramp"), ramp.flat().map((part) => part / 255));
    gl.uniform1f(at("size"), size * pixels);
    gl.uniform1f(at("alpha"), alpha);
    gl.uniform1i(at("byWeight"), Number(byWeight));
    gl.uniform1i(at("lit"), lit);
    for (const pass of lit < 0 ? [1] : [0, 1]) {
      gl.uniform1i(at("pass"), pass);
      gl.drawElements(gl.POINTS, this.count, gl.UNSIGNED_INT, 0);
    }
  }
}

/** The pixels of a disc of some diameter, and how much of each it covers. */
function disc(diameter) {
  const found = [];
  for (let n = 0; n < diameter ** 2; n += 1) {
    const [x, y] = [n % diameter, Math.floor(n / diameter)];
    const inside = diameter / 2 - Math.hypot(x + 0.5 - diameter / 2, y + 0.5 - diameter / 2) + 0.5;
    if (diameter < 4 || inside > 0.05) found.push([x, y, diameter < 4 ? 1 : Math.min(1, inside)]);
  }
  return { diameter, xs: Uint8Array.from(found, ([x]) => x), ys: Uint8Array.from(found, ([, y]) => y), covers: Float32Array.from(found, ([, , cover]) => cover) };
}

/** A colour laid over another with a pixel that it covers in part. */
function mixed(below, shade, cover) {
  let pixel = Math.max(below >>> 24, Math.round((shade >>> 24) * cover)) << 24;
  const part = below === 0 ? 1 : cover;
  for (const at of [0, 8, 16]) pixel |= Math.round(((shade >>> at) & 255) * part + ((below >>> at) & 255) * (1 - part)) << at;
  return pixel >>> 0;
}

/** One pixel as a number: the bytes of an image are red, green, blue, alpha. */
const pixelOf = ([red, green, blue], alpha) => ((Math.round(alpha * 255) << 24) | (blue << 16) | (green << 8) | red) >>> 0;

/**
 * The same picture, pixel by pixel: where there is no GPU this takes a tenth
 * of the time that WebGL in software does, and Canvas 2D's own shapes more.
 */
class FlatPainter {
  constructor(context, points) {
    this.context = context;
    this.points = points;
    this.discs = Array.from({ length: 80 }, (_, diameter) => disc(Math.max(1, diameter)));
  }

  setWeights(weights) {
    this.points = { ...this.points, weights };
  }

  draw(view, { palette, ramp, byWeight, lit, size, alpha: wanted }) {
    const { width, height } = this.context.canvas;
    const alpha = Math.min(1, wanted * 1.3); // one point hides another here: nothing adds up
    if (this.image?.width !== width || this.image.height !== height) this.image = this.context.createImageData(width, height);
    const pixels = new Uint32Array(this.image.data.buffer).fill(0);
    const steps = Array.from({ length: 9 }, (_, n) => {
      const [low, high] = n < 4 ? [ramp[0], ramp[1]] : [ramp[1], ramp[2]];
      return low.map((part, c) => Math.round(part + (high[c] - part) * ((n < 4 ? n : n - 4) / 4)));
    });
    const shades = Uint32Array.from(byWeight ? steps : palette, (shade) => pixelOf(shade, alpha));
    const dim = Uint32Array.from(byWeight ? steps : palette, (shade) => pixelOf(shade, alpha * 0.16));
    for (const pass of lit < 0 ? [true] : [false, true]) this.fill(pixels, view, { shades: pass ? shades : dim, pass, byWeight, lit, size });
    this.context.putImageData(this.image, 0, 0);
  }

  fill(pixels, { x, y, scale, pixels: ratio }, { shades, pass, byWeight, lit, size }) {
    const { places, kinds, weights, tags, count } = this.points;
    const { width, height } = this.context.canvas;
    const zoom = scale * ratio;
    for (let i = count - 1; i >= 0; i -= 1) {
      const isLit = lit < 0 || ((tags[i] >> lit) & 1) === 1;
      if (isLit !== pass) continue;
      const { diameter, xs, ys, covers } = this.discs[Math.min(79, Math.round(size * ratio * (pass ? 0.75 + 1.15 * weights[i] : 0.75)))];
      const left = Math.round((places[2 * i] - x) * zoom + (width - diameter) / 2);
      const top = Math.round((y - places[2 * i + 1]) * zoom + (height - diameter) / 2);
      if (left < -diameter || left >= width || top < -diameter || top >= height) continue;
      const shade = shades[byWeight ? Math.round(weights[i] * 8) : lit >= 0 && pass ? lit + 1 : kinds[i]];
      for (let n = 0; n < xs.length; n += 1) {
        const [column, row] = [left + xs[n], top + ys[n]];
        if (column < 0 || column >= width || row < 0 || row >= height) continue;
        const at = row * width + column;
        pixels[at] = covers[n] > 0.97 ? shade : mixed(pixels[at], shade, covers[n]);
      }
    }
  }
}

/** Whether WebGL is more than a program that plays a GPU; asked on another canvas, for one that had a context gets no other kind. */
function hasGpu() {
  const gl = document.createElement("canvas").getContext("webgl2", { failIfMajorPerformanceCaveat: true });
  if (!gl) return false;
  const info = gl.getExtension("WEBGL_debug_renderer_info");
  const name = String(gl.getParameter(info ? info.UNMASKED_RENDERER_WEBGL : gl.RENDERER));
  gl.getExtension("WEBGL_lose_context")?.loseContext();
  return !/swiftshader|llvmpipe|software|basic render/i.test(name);
}

/** A painter for a canvas that has not been painted on yet. */
export function painterFor(canvas, points) {
  const gl = hasGpu() && canvas.getContext("webgl2", { antialias: false, premultipliedAlpha: true });
  return gl ? new GlPainter(gl, points) : new FlatPainter(canvas.getContext("2d"), points);
}
