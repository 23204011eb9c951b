"use strict";
// The viewer of a study's page. Places in the patient are [x, y, z] in mm (LPS: to the left, back, head), places on a
// picture [x, y] in its pixels from its corner. The data are made by viewer.py. A page has one viewer a study; of two
// dates each follows the other to a level and a place beside it.
document.querySelectorAll(".viewer").forEach((root, place) => {
  const data = JSON.parse(document.getElementById(root.dataset.of).textContent);
  const LINKED = "linked";
  const find = (selector) => root.querySelector(selector);
  const COLOURS = ["#ffd23f", "#6fc3df", "#ff8f6b", "#b7e07a", "#d9a6ff"];
  const WHEEL_STEP = 40; // of a wheel or a touchpad for a slice
  const state = { level: null, cell: null, size: null, cursor: null, marks: true, drag: "window" };

  const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
  const along = (a, step, b) => a.map((value, axis) => value + step * b[axis]);
  const minus = (a, b) => along(a, -1, b);
  const size = (a) => Math.sqrt(dot(a, a));
  const unit = (a) => a.map((value) => value / size(a));
  const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
  const normal = (slice) => unit(cross(slice.right, slice.down));
  const onPicture = (slice, point) => {
    const from = minus(point, slice.corner);
    return [dot(from, slice.right) / dot(slice.right, slice.right), dot(from, slice.down) / dot(slice.down, slice.down)];
  };
  const inPatient = (slice, [x, y]) => along(along(slice.corner, x, slice.right), y, slice.down);
  const distance = (slice, point) => Math.abs(dot(minus(point, slice.corner), normal(slice)));

  function letter(direction, sides) {
    const axis = [0, 1, 2].reduce((best, other) => Math.abs(direction[other]) > Math.abs(direction[best]) ? other : best, 0);
    const letters = [sides ? "RL" : "??", "AP", "FH"][axis];
    return letters[direction[axis] > 0 ? 1 : 0];
  }

  function made(tag, parent, values) {
    const element = Object.assign(document.createElement(tag), values);
    parent.append(element);
    return element;
  }

  class Pane {
    constructor(info, index) {
      this.info = info;
      this.index = index;
      this.slices = info.slices;
      this.figure = made("figure", find(".panes"), { className: "pane" });
      this.canvas = made("canvas", this.figure, { tabIndex: 0 });
      this.canvas.setAttribute("role", "img");
      this.range = made("input", this.figure, { type: "range", min: 0, max: this.slices.length - 1, step: 1 });
      this.range.setAttribute("aria-label", t("slice of {series}", { series: info.title }));
      this.range.hidden = this.slices.length < 2;
      this.caption = made("figcaption", this.figure, {});
      this.tab = made("button", find(".tabs"), { type: "button", textContent: info.title });
      this.tab.addEventListener("click", () => choose(this));
      this.range.addEventListener("input", () => this.go(Number(this.range.value)));
      this.rest = 0;
      this.pointers = new Map();
      this.reset();
      this.go(info.start);
      this.listen();
    }

    reset() {
      Object.assign(this, { zoom: 1, shift: [0, 0], window: null });
      this.paint();
    }

    get slice() { return this.slices[this.at]; }
    get greys() { return this.window || this.slice.window; }

    go(at) {
      this.at = clamp(Math.round(at), 0, this.slices.length - 1);
      this.range.value = this.at;
      panes.forEach((pane) => pane.paint());
    }

    nearest(point) {
      const far = this.slices.map((slice) => {
        const [x, y] = onPicture(slice, point);
        const beside = Math.max(0, -x, x - slice.size[0]) * size(slice.right) + Math.max(0, -y, y - slice.size[1]) * size(slice.down);
        return distance(slice, point) + 3 * beside;
      });
      return far.indexOf(Math.min(...far));
    }

    // Pixels of the canvas for a mm, and where the corner of the picture lies on it.
    fit() {
      const [width, height] = [this.slice.size[0] * size(this.slice.right), this.slice.size[1] * size(this.slice.down)];
      const scale = this.zoom * Math.min(this.canvas.width / width, this.canvas.height / height);
      const corner = [(this.canvas.width - scale * width) / 2 + this.shift[0] * this.canvas.width, (this.canvas.height - scale * height) / 2 + this.shift[1] * this.canvas.height];
      return { scale, corner };
    }

    toCanvas([x, y]) {
      const { scale, corner } = this.fit();
      return [corner[0] + x * scale * size(this.slice.right), corner[1] + y * scale * size(this.slice.down)];
    }

    toPicture([x, y]) {
      const { scale, corner } = this.fit();
      return [(x - corner[0]) / scale / size(this.slice.right), (y - corner[1]) / scale / size(this.slice.down)];
    }

    zoomBy(factor, around = [this.canvas.width / 2, this.canvas.height / 2]) {
      const under = this.toPicture(around);
      this.zoom = clamp(this.zoom * factor, 1, 12);
      const now = this.toCanvas(under);
      this.shift = [this.shift[0] + (around[0] - now[0]) / this.canvas.width, this.shift[1] + (around[1] - now[1]) / this.canvas.height];
      this.paint();
    }

    move(x, y) {
      this.shift = [this.shift[0] + x / this.canvas.clientWidth, this.shift[1] + y / this.canvas.clientHeight];
      this.paint();
    }

    dragWindow(x, y) {
      const [low, high] = this.greys, width = Math.max(2, (high - low) * Math.exp(x / 200));
      const middle = (low + high) / 2 + y * (high - low) / 300;
      this.window = [middle - width / 2, middle + width / 2];
      this.paint();
    }

    // The picture drawn so that a part of it fills most of the pane.
    show(corners) {
      const middle = [0, 1].map((axis) => corners.reduce((sum, corner) => sum + corner[axis], 0) / corners.length);
      const wide = Math.max(...corners.map((corner) => Math.abs(corner[0] - middle[0]) * size(this.slice.right)));
      this.zoom = 1;
      this.shift = [0, 0];
      const { scale } = this.fit();
      this.zoom = clamp(this.canvas.width * 0.27 / (wide * scale), 1, 12);
      const at = this.toCanvas(middle);
      this.shift = [0.5 - at[0] / this.canvas.width, 0.5 - at[1] / this.canvas.height];
      this.paint();
    }

    // A pane that is zoomed goes where the others go.
    center(point) {
      if (this.zoom === 1) return;
      const at = this.toCanvas(onPicture(this.slice, point));
      this.shift = [0, 1].map((axis) => this.shift[axis] + 0.5 - at[axis] / this.canvas.width);
      this.paint();
    }

    paint() {
      if (this.waiting) return;
      this.waiting = true;
      requestAnimationFrame(() => { this.waiting = false; this.draw(); });
    }

    async greysOf(slice) {
      if (slice.pixels) return slice.pixels;
      const image = new Image();
      image.src = "data:image/jpeg;base64," + slice.image;
      await image.decode();
      const [width, height] = slice.size;
      const canvas = Object.assign(document.createElement("canvas"), { width, height });
      const context = canvas.getContext("2d", { willReadFrequently: true });
      context.drawImage(image, 0, 0);
      slice.shown = { canvas, context, picture: context.getImageData(0, 0, width, height) };
      slice.pixels = Uint8Array.from({ length: width * height }, (_, index) => slice.shown.picture.data[4 * index]);
      return slice.pixels;
    }

    async draw() {
      const slice = this.slice, pixels = await this.greysOf(slice);
      if (slice !== this.slice) return;
      const [low, high] = this.greys, { picture, canvas, context } = slice.shown;
      if (slice.drawn !== `${low},${high}`) {
        const look = Uint8ClampedArray.from({ length: 256 }, (_, grey) => 255 * (grey - low) / Math.max(high - low, 1e-6));
        const words = new Uint32Array(picture.data.buffer);
        for (let index = 0; index < pixels.length; index++) words[index] = 0xff000000 | look[pixels[index]] * 0x010101;
        context.putImageData(picture, 0, 0);
        slice.drawn = `${low},${high}`;
      }
      const side = Math.round(this.canvas.clientWidth * devicePixelRatio) || 300;
      if (this.canvas.width !== side) this.canvas.width = this.canvas.height = side;
      const pen = this.canvas.getContext("2d");
      pen.fillStyle = "#000";
      pen.fillRect(0, 0, side, side);
      const [left, top] = this.toCanvas([0, 0]), [right, bottom] = this.toCanvas(slice.size);
      pen.imageSmoothingQuality = "high";
      pen.drawImage(canvas, left, top, right - left, bottom - top);
      this.drawMarks(pen, side);
      this.say(low, high);
    }

    line(pen, from, to, colour, width, dashes = []) {
      pen.strokeStyle = colour;
      pen.lineWidth = width * devicePixelRatio;
      pen.setLineDash(dashes.map((dash) => dash * devicePixelRatio));
      pen.beginPath();
      pen.moveTo(...this.toCanvas(from));
      pen.lineTo(...this.toCanvas(to));
      pen.stroke();
    }

    write(pen, text, [x, y], colour, align = "center") {
      pen.font = `600 ${13 * devicePixelRatio}px system-ui, sans-serif`;
      pen.textAlign = align;
      pen.textBaseline = "middle";
      pen.lineWidth = 3 * devicePixelRatio;
      pen.setLineDash([]);
      pen.strokeStyle = "rgb(0 0 0 / .8)";
      pen.strokeText(text, x, y);
      pen.fillStyle = colour;
      pen.fillText(text, x, y);
    }

    drawMarks(pen, side) {
      const slice = this.slice, edge = 12 * devicePixelRatio;
      const turned = (vector) => vector.map((value) => -value);
      this.write(pen, letter(turned(slice.right), this.info.sides), [edge, side / 2], "#fff");
      this.write(pen, letter(slice.right, this.info.sides), [side - edge, side / 2], "#fff");
      this.write(pen, letter(turned(slice.down), this.info.sides), [side / 2, edge], "#fff");
      this.write(pen, letter(slice.down, this.info.sides), [side / 2, side - edge], "#fff");
      if (!state.marks) return;
      for (const other of panes) if (other !== this) this.drawScout(pen, other);
      if (this.info.plane === "sagittal") for (const level of data.levels) this.drawLevel(pen, level);
      if (state.cursor) this.drawCursor(pen);
      const crop = this.crop();
      if (state.size && state.size.pane === this.index && state.size.slice === this.at) {
        for (const line of state.size.lines) line.forEach((place, index) => this.line(pen, place, line[(index + 1) % line.length], "#7dff9b", 1.5));
      }
      if (crop) crop.forEach((corner, index) => this.line(pen, corner, crop[(index + 1) % 4], "#7dff9b", 2));
    }

    // Where the slice shown in another pane crosses this one.
    drawScout(pen, other) {
      const slice = this.slice, across = normal(other.slice);
      if (Math.abs(dot(across, normal(slice))) > 0.8) return;
      const ends = [0, other.slice.size[0]].flatMap((x) => [0, other.slice.size[1]].map((y) => inPatient(other.slice, [x, y])));
      const direction = unit(cross(across, normal(slice)));
      const spread = ends.map((end) => dot(end, direction));
      const [a, b] = [dot(slice.right, across), dot(slice.down, across)];
      const rest = dot(minus(other.slice.corner, slice.corner), across) / (a * a + b * b);
      const foot = inPatient(slice, [a * rest, b * rest]);
      const points = [Math.min(...spread), Math.max(...spread)].map((end) => onPicture(slice, along(foot, end - dot(foot, direction), direction)));
      this.line(pen, ...points, COLOURS[other.index % COLOURS.length], 1.2, [5, 4]);
    }

    drawLevel(pen, level) {
      if (distance(this.slice, level.center) > 9) return;
      const chosen = level.name === state.level, [axis, ...measured] = level.lines;
      const places = (line) => line.map((end) => onPicture(this.slice, end));
      this.line(pen, ...places(axis), COLOURS[0], chosen ? 2 : 1);
      if (chosen) measured.forEach((line) => this.line(pen, ...places(line), COLOURS[2], 1.5));
      const front = this.toCanvas(onPicture(this.slice, axis[0]));
      this.write(pen, level.name, [front[0] - 6 * devicePixelRatio, front[1]], chosen ? "#fff" : COLOURS[0], "right");
    }

    drawCursor(pen) {
      const [x, y] = onPicture(this.slice, state.cursor), far = distance(this.slice, state.cursor);
      const [step, down] = [4 / size(this.slice.right), 4 / size(this.slice.down)];
      const colour = far < 4 ? "#7dff9b" : "#7dff9b80";
      this.line(pen, [x - step, y], [x + step, y], colour, 1.5);
      this.line(pen, [x, y - down], [x, y + down], colour, 1.5);
    }

    crop() {
      const deciding = data.cells[state.cell] || [];
      const here = deciding.find(([pane, slice]) => pane === this.index && slice === this.at);
      return here && here[3];
    }

    beside(slice) {
      const mm = Math.round(Math.abs(slice.beside));
      if (mm === 0) return t("midline");
      if (!this.info.sides) return t("{mm} mm, side unknown", { mm });
      return slice.beside > 0 ? t("{mm} mm left", { mm }) : t("{mm} mm right", { mm });
    }

    say(low, high) {
      const slice = this.slice, [black, white] = slice.greys, [number, count] = slice.number;
      const value = (grey) => black + grey * (white - black) / 255;
      const digits = white - black < 20 ? 2 : 0;
      const words = [`${this.info.title}`, this.info.title.includes(slice.series) ? t("slice {number} of {count}", { number, count }) : t("slice {number} of {count} of {series}", { number, count, series: slice.series })];
      if (this.info.plane === "sagittal" && count > 1) words.push(this.beside(slice));
      words.push(t("window {width}, level {level}", { width: (value(high) - value(low)).toFixed(digits), level: ((value(high) + value(low)) / 2).toFixed(digits) }));
      this.caption.textContent = words.join(" · ");
      this.canvas.setAttribute("aria-label", words.slice(0, 3).join(t(", ")));
      Object.assign(this.figure.dataset, { slice: this.at, zoom: this.zoom.toFixed(2), low: low.toFixed(1), high: high.toFixed(1), crop: this.crop() ? "marked" : "" });
    }

    listen() {
      this.canvas.addEventListener("keydown", (event) => {
        const act = KEYS[event.key];
        if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
        event.preventDefault();
        act(this);
      });
      this.canvas.addEventListener("wheel", (event) => {
        if (!root.contains(document.activeElement) && !event.ctrlKey) return; // the page scrolls until the viewer is used
        event.preventDefault();
        if (event.ctrlKey) return this.zoomBy(Math.exp(-event.deltaY / 300), this.under(event));
        this.rest += event.deltaY * (event.deltaMode ? WHEEL_STEP : 1);
        const steps = Math.trunc(this.rest / WHEEL_STEP);
        this.rest -= steps * WHEEL_STEP;
        if (steps) this.go(this.at + Math.sign(steps));
      }, { passive: false });
      this.canvas.addEventListener("pointerdown", (event) => {
        this.canvas.focus({ preventScroll: true });
        this.canvas.setPointerCapture(event.pointerId);
        this.pointers.set(event.pointerId, { from: [event.clientX, event.clientY], at: [event.clientX, event.clientY], slice: this.at });
      });
      this.canvas.addEventListener("pointermove", (event) => this.dragged(event));
      this.canvas.addEventListener("pointerup", (event) => {
        const pointer = this.pointers.get(event.pointerId);
        this.pointers.delete(event.pointerId);
        if (pointer && !pointer.moved) point(this, this.toPicture(this.under(event)));
      });
      this.canvas.addEventListener("pointercancel", (event) => this.pointers.delete(event.pointerId));
      this.canvas.addEventListener("contextmenu", (event) => event.preventDefault());
      new ResizeObserver(() => this.paint()).observe(this.canvas);
    }

    under(event) {
      const box = this.canvas.getBoundingClientRect(), scale = this.canvas.width / box.width;
      return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
    }

    dragged(event) {
      const pointer = this.pointers.get(event.pointerId);
      if (!pointer) return;
      const before = [...this.pointers.values()].map((one) => one.at);
      const [x, y] = [event.clientX - pointer.at[0], event.clientY - pointer.at[1]];
      if (Math.hypot(event.clientX - pointer.from[0], event.clientY - pointer.from[1]) > 4) pointer.moved = true;
      if (!pointer.moved) return;
      pointer.at = [event.clientX, event.clientY];
      const touches = [...this.pointers.values()];
      if (touches.length === 2) {
        const apart = (places) => Math.hypot(places[0][0] - places[1][0], places[0][1] - places[1][1]);
        touches.forEach((touch) => { touch.moved = true; });
        this.zoomBy(apart(touches.map((touch) => touch.at)) / Math.max(apart(before), 1));
        return this.move(x / 2, y / 2);
      }
      const kind = event.shiftKey || event.buttons > 1 ? "move" : state.drag;
      if (kind === "move") return this.move(x, y);
      if (kind === "window") return this.dragWindow(x, y);
      const step = this.canvas.clientHeight / Math.max(this.slices.length, 12);
      this.go(pointer.slice + (event.clientY - pointer.from[1]) / step);
    }
  }

  const stepLevel = (step) => {
    const names = data.levels.map((level) => level.name), at = names.indexOf(state.level);
    const name = names[clamp(at < 0 ? 0 : at + step, 0, names.length - 1)];
    toLevel(name);
    tell(name);
  };
  const KEYS = {
    ArrowUp: (pane) => pane.go(pane.at - 1), ArrowDown: (pane) => pane.go(pane.at + 1),
    PageUp: (pane) => pane.go(pane.at - 5), PageDown: (pane) => pane.go(pane.at + 5),
    Home: (pane) => pane.go(0), End: (pane) => pane.go(pane.slices.length - 1),
    ArrowLeft: () => stepLevel(1), ArrowRight: () => stepLevel(-1),
    "+": (pane) => pane.zoomBy(1.25), "=": (pane) => pane.zoomBy(1.25), "-": (pane) => pane.zoomBy(0.8), 0: (pane) => pane.reset(),
    m: () => { find(".marks-shown").click(); },
  };

  function choose(pane) {
    panes.forEach((other) => {
      other.figure.classList.toggle("chosen", other === pane);
      other.tab.setAttribute("aria-pressed", other === pane);
    });
    pane.paint();
  }

  function outline(chosen) {
    document.querySelectorAll("td.shown").forEach((cell) => cell.classList.remove("shown"));
    chosen?.classList.add("shown");
  }

  function pressLevel(name) {
    state.level = name;
    root.querySelectorAll("[data-go]").forEach((button) => button.setAttribute("aria-pressed", button.dataset.go === name));
    root.dataset.level = name || "";
  }

  // Tells the other viewers of a page where this one went: a level, and how far from its centre.
  const tell = (level, offset) => document.dispatchEvent(new CustomEvent(LINKED, { detail: { root, level, offset } }));

  function toLevel(name) {
    const level = data.levels.find((one) => one.name === name);
    pressLevel(name);
    state.cell = state.size = null;
    state.cursor = level.center;
    find(".read-from").textContent = "";
    outline(null);
    panes.forEach((pane) => { pane.go(pane.nearest(level.center)); pane.center(level.center); });
  }

  // Shows the slice that a size was measured in, with the lines around what was measured.
  function openSize(cell) {
    const [pane, slice, lines = []] = (data.measured || {})[cell?.dataset.size] || [];
    if (pane === undefined) return;
    toLevel(cell.dataset.size.split("|")[0]);
    state.cursor = null;
    state.size = { pane, slice, lines };
    panes[pane].go(slice);
    choose(panes[pane]);
    const { number, series } = panes[pane].slices[slice], words = cell.querySelector(".open-size")?.dataset.words;
    const status = find(".read-from");
    status.replaceChildren();
    if (words) made("b", status, { textContent: words });
    status.append(`${words ? ". " : ""}${t("Measured in {series}, slice {number}", { series, number: number[0] })}`);
    outline(cell);
    root.scrollIntoView({ block: "nearest" });
  }

  function point(pane, place) {
    state.cursor = inPatient(pane.slice, place);
    panes.forEach((other) => { if (other !== pane) other.go(other.nearest(state.cursor)); });
    pane.paint();
    const far = data.levels.map((level) => size(minus(state.cursor, level.center))), level = data.levels[far.indexOf(Math.min(...far))];
    if (level) tell(level.name, minus(state.cursor, level.center));
  }

  // Shows the slices that decided a grade: in each pane the one that counted most, its crop marked.
  function openCell(link) {
    const { level, target } = link.dataset, key = `${level}|${target}`, deciding = data.cells[key] || [];
    if (!data.levels.some((one) => one.name === level)) return;
    toLevel(level);
    if (!deciding.length) {
      outline(link.closest("td"));
      find(".read-from").textContent = `${link.dataset.words}. ${t("It is not known which slice it was read from.")}`;
      return;
    }
    state.cell = key;
    state.cursor = null;
    const shown = panes.map((pane) => deciding.find(([index]) => index === pane.index));
    shown.forEach((one, index) => { if (one) { panes[index].go(one[1]); panes[index].show(one[3]); } });
    choose(panes[deciding[0][0]]);
    const status = find(".read-from");
    status.replaceChildren();
    made("b", status, { textContent: link.dataset.words });
    status.append(`. ${t("Read from")} `);
    deciding.forEach(([pane, slice, share, corners], index) => {
      if (index) status.append(t(", "));
      const { number, series } = panes[pane].slices[slice];
      const button = made("button", status, { type: "button", textContent: `${t("{series}, slice {number}", { series, number: number[0] })}${!index && share > deciding[1]?.[2] ? ` (${t("counted most")})` : ""}` });
      button.addEventListener("click", () => { panes[pane].go(slice); panes[pane].show(corners); choose(panes[pane]); });
    });
    outline(link.closest("td"));
    root.scrollIntoView({ block: "nearest" });
    panes[deciding[0][0]].canvas.focus({ preventScroll: true });
  }

  root.hidden = false;
  document.body.classList.add("has-viewer");
  const panes = [];
  data.panes.forEach((info, index) => panes.push(new Pane(info, index)));
  [...data.levels].reverse().forEach((level) => {
    const button = made("button", find(".levels"), { type: "button", textContent: level.name });
    button.dataset.go = level.name;
    button.addEventListener("click", () => { toLevel(level.name); tell(level.name); });
  });
  state.drag = matchMedia("(pointer: coarse)").matches ? "scroll" : "window";
  root.querySelectorAll("[name=drag]").forEach((radio) => {
    radio.name = `drag-${place}`;
    radio.checked = radio.value === state.drag;
    radio.addEventListener("change", () => { state.drag = radio.value; });
  });
  find(".marks-shown").addEventListener("change", (event) => {
    state.marks = event.target.checked;
    panes.forEach((pane) => pane.paint());
  });
  const actions = { in: (pane) => pane.zoomBy(1.25), out: (pane) => pane.zoomBy(0.8), reset: (pane) => pane.reset() };
  root.querySelectorAll("[data-do]").forEach((button) => button.addEventListener("click", () => panes.forEach(actions[button.dataset.do])));
  document.addEventListener("click", (event) => {
    const onLink = event.target.closest("a.open-slice"), cell = event.target.closest("td");
    if (!onLink && !event.target.closest("a.open-size") && (event.target.closest("a, button, input, select, summary") || String(getSelection()))) return;
    const link = onLink || cell?.querySelector("a.open-slice");
    if (!link && event.target.closest("a.open-size")) event.preventDefault();
    if (!link) return openSize(cell);
    event.preventDefault();
    openCell(link);
  });
  document.addEventListener(LINKED, ({ detail }) => {
    const level = data.levels.find((one) => one.name === detail.level);
    if (detail.root === root || !level) return;
    toLevel(level.name);
    if (!detail.offset) return;
    state.cursor = along(level.center, 1, detail.offset);
    panes.forEach((pane) => pane.go(pane.nearest(state.cursor)));
  });
  document.querySelectorAll("td[data-size]").forEach((cell) => cell.classList.toggle("opens", cell.dataset.size in (data.measured || {})));
  choose(panes[0]);
  root.dataset.ready = "yes";
});
