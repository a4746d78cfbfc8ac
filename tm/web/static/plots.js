/* Draws every <figure class="plot" data-plot="ADDRESS"> from the JSON at ADDRESS:
   {"title", "unit", "series": [{"name", "points": [[seconds, value or null], …]}, …]}.

   A figure is drawn when it comes into sight, and anew after live events, at most every ten seconds. Lines differ by
   colour, which the stylesheet says, and by dashes. With the keyboard on a plot the arrows go from value to value. The
   table beside it is the server's. */
"use strict";
(() => {
  const APART = 10000;         // so often a plot is asked for at most, or as often as data-apart says in seconds …
  const IDLE = 60000;          // … and so often at least, while it can be seen
  const HIGH = 200;
  const COLOURS = ["--ours", "--others", "--series-3", "--series-4"];
  const LEAST_SPAN = 600;  // seconds: a picture of one moment would have an axis of months
  const DASHES = [[], [7, 4], [2, 3], [9, 3, 2, 3]];
  const STEPS = { ArrowLeft: -1, ArrowRight: 1, PageUp: -20, PageDown: 20 };
  const TWOS = Array.from({ length: 50 }, (none, power) => 2 ** power);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const now = () => Date.now();

  const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim() || "#808080";

  function make(name, where, text, className) {
    const made = document.createElement(name);
    if (text) made.textContent = text;
    if (className) made.className = className;
    if (where) where.append(made);
    return made;
  }

  /** A number as people read it: of bytes in their units, others with k, M, G. */
  function shown(value, unit) {
    if (value === null || value === undefined) return "–";
    const bytes = unit.startsWith("B");
    const step = bytes ? 1024 : 1000;
    const units = bytes ? ["B", "KiB", "MiB", "GiB", "TiB"] : ["", "k", "M", "G", "T"];
    let size = value;
    let place = 0;
    while (Math.abs(size) >= step && place < units.length - 1) { size /= step; place += 1; }
    const digits = Number.isInteger(size) || Math.abs(size) >= 100 ? 0 : Math.abs(size) >= 10 ? 1 : 2;
    const text = `${Number(size.toFixed(digits))}`;
    return bytes ? `${text} ${units[place]}${unit.slice(1)}` : text + units[place];
  }

  const two = (number) => String(number).padStart(2, "0");
  const day = (date) => `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  const clock = (date) => `${two(date.getHours())}:${two(date.getMinutes())}`;
  const moment = (seconds) => `${day(new Date(seconds * 1000))} ${clock(new Date(seconds * 1000))}`;

  /** What stands at the *ticks* of the axis of time that are *apart* seconds: the day where it is another. */
  function times(ticks, apart) {
    let last = "";
    return ticks.map((tick) => {
      const date = new Date(tick * 1000);
      const today = day(date);
      const parts = apart < 86400 ? [clock(date)] : [];
      if (today !== last) parts.push(today.slice(5));
      last = today;
      return parts.join("\n");
    });
  }

  class Plot {
    constructor(figure) {
      this.figure = figure;
      this.area = figure.querySelector(".plot-area") || make("div", figure);
      this.told = null;
      this.drawn = null;
      this.seen = false;
      this.due = true;
      this.apart = Math.max(APART, Number(figure.dataset.apart) * 1000 || 0);
      this.asking = false;
      this.at = 0;
      this.legend = make("ul", null, "", "plot-legend");
      this.readout = make("p", null, "", "plot-readout dim");
      this.area.after(this.legend, this.readout);
      this.area.tabIndex = 0;
      this.area.setAttribute("role", "group");
      this.area.addEventListener("keydown", (event) => this.key(event));
      this.area.addEventListener("blur", () => this.point(-1));
      this.button();
      this.tables();
      figure.addEventListener("live", () => { this.due = true; });
      new ResizeObserver(() => this.resize()).observe(this.area);
      new IntersectionObserver((found) => {
        this.seen = found[found.length - 1].isIntersecting;
        this.look();
      }, { rootMargin: "200px" }).observe(figure);
    }

    // -- the data ----------------------------------------------------------------------------------------------------

    look() {
      const since = now() - this.at;
      if (!this.seen || document.hidden || this.asking) return;
      if ((this.due && since >= this.apart) || since >= Math.max(IDLE, this.apart)) this.ask();
    }

    async ask() {
      this.asking = true;
      this.due = false;
      let good = false;
      try {
        const answer = await fetch(this.figure.dataset.plot, { headers: { Accept: "application/json" }, cache: "no-store" });
        const told = await answer.json();
        good = answer.ok;
        if (answer.ok) this.take(told);
        else this.say(told.error ? told.error.text : `the server has answered ${answer.status}`);
      } catch {
        if (!this.told) this.say("the values cannot be had now; they are asked for again by themselves");
      } finally {
        this.asking = false;
        this.due = this.due || !good;
        this.at = good ? now() : now() - this.apart + APART;
      }
    }

    take(told) {
      const known = told.series.some((one) => one.points.some((point) => point[1] !== null));
      this.told = told;
      this.area.setAttribute("aria-label", `${told.title}; the arrow keys go from value to value, the table below has them all`);
      if (!known) return this.say("nothing is known of that time yet");
      this.data = uPlot.join(told.series.map((one) => [one.points.map((p) => p[0]), one.points.map((p) => p[1])]));
      if (this.drawn && this.drawn.series.length === this.data.length) {
        this.drawn.setData(this.data);
        this.values(this.drawn.cursor.idx);
      } else this.draw();
    }

    say(text) {
      if (this.drawn) this.drawn.destroy();
      this.drawn = null;
      this.area.replaceChildren();
      make("p", this.area, text, "dim");
      this.legend.replaceChildren();
      this.save.hidden = true;
    }

    // -- the picture -------------------------------------------------------------------------------------------------

    draw() {
      if (this.drawn) this.drawn.destroy();
      this.area.replaceChildren();
      const unit = this.told.unit;
      const bytes = unit.startsWith("B");
      const font = `12px ${getComputedStyle(document.body).fontFamily}`;
      const axis = { stroke: ink("--dim"), font, grid: { stroke: ink("--line"), width: 1 }, ticks: { stroke: ink("--line"), width: 1 } };
      this.drawn = new uPlot({
        width: this.wide(), height: HIGH,
        legend: { show: false },
        cursor: { drag: { x: false, y: false }, points: { size: 7 } },
        scales: {
          x: { range: () => this.whole() },
          y: { range: (plot, least, most) => [Math.min(0, least || 0), most > 0 ? most * 1.05 : 1] },
        },
        axes: [
          { ...axis, values: (plot, ticks, which, space, apart) => times(ticks, apart) },
          { ...axis, size: bytes ? 86 : 56, incrs: bytes ? TWOS : undefined,
            values: (plot, ticks) => ticks.map((tick) => shown(tick, unit)) },
        ],
        series: [{}, ...this.told.series.map((one, place) => ({
          label: one.name, stroke: ink(COLOURS[place % COLOURS.length]), width: 2,
          dash: DASHES[place % DASHES.length], points: { show: one.points.length < 3 },
        }))],
        hooks: { setCursor: [(plot) => this.values(plot.cursor.idx)] },
      }, this.data, this.area);
      this.keys();
      this.values(null);
      this.save.hidden = false;
    }

    whole() {
      const at = this.data[0];
      return [Math.min(at[0], at[at.length - 1] - LEAST_SPAN), at[at.length - 1]];
    }

    wide() {
      return Math.max(160, Math.floor(this.area.clientWidth));
    }

    resize() {
      if (this.drawn && this.drawn.width !== this.wide()) this.drawn.setSize({ width: this.wide(), height: HIGH });
    }

    recolour() {
      if (this.drawn) this.draw();
    }

    /** The names of the lines, each with a piece of it, and the value under the cursor, else the last one. */
    keys() {
      this.legend.replaceChildren();
      this.numbers = this.told.series.map((one, place) => {
        const line = make("li", this.legend);
        const piece = make("canvas", line);
        piece.width = 28;
        piece.height = 10;
        const pen = piece.getContext("2d");
        pen.strokeStyle = ink(COLOURS[place % COLOURS.length]);
        pen.lineWidth = 3;
        pen.setLineDash(DASHES[place % DASHES.length]);
        pen.beginPath();
        pen.moveTo(0, 5);
        pen.lineTo(28, 5);
        pen.stroke();
        piece.setAttribute("aria-hidden", "true");
        line.append(` ${one.name} `);
        return make("strong", line);
      });
    }

    values(index) {
      if (!this.drawn || !this.numbers) return;
      const at = index === null || index === undefined ? this.data[0].length - 1 : index;
      this.numbers.forEach((number, place) => { number.textContent = shown(this.data[place + 1][at], this.told.unit); });
      const when = moment(this.data[0][at]);
      this.readout.textContent = index === null || index === undefined ? `${when}, the last values` : when;
    }

    // -- the keyboard ------------------------------------------------------------------------------------------------

    key(event) {
      if (!this.drawn || event.ctrlKey || event.altKey || event.metaKey) return;
      const last = this.data[0].length - 1;
      const at = this.place === undefined || this.place < 0 ? last + 1 : this.place;
      let next = at;
      if (event.key in STEPS) next = at + STEPS[event.key];
      else if (event.key === "Home") next = 0;
      else if (event.key === "End") next = last;
      else if (event.key === "Escape") next = -1;
      else return;
      event.preventDefault();
      this.readout.setAttribute("aria-live", "polite");
      this.point(event.key === "Escape" ? -1 : Math.max(0, Math.min(last, next)));
    }

    point(index) {
      this.place = index;
      if (!this.drawn) return;
      const off = { left: -10, top: -10 };
      this.drawn.setCursor(index < 0 ? off : { left: this.drawn.valToPos(this.data[0][index], "x"), top: HIGH / 4 });
      if (index < 0) return this.readout.removeAttribute("aria-live");
      this.values(index);
      const told = this.told.series.map((one, place) => `${one.name} ${shown(this.data[place + 1][index], this.told.unit)}`);
      this.readout.textContent = `${moment(this.data[0][index])}: ${told.join(", ")}`;
    }

    // -- to take away ------------------------------------------------------------------------------------------------

    button() {
      this.save = make("button", null, "Save as picture");
      this.save.type = "button";
      this.save.hidden = true;
      this.save.addEventListener("click", () => this.picture());
      this.readout.after(this.save);
    }

    picture() {
      const from = this.drawn.ctx.canvas;
      const ratio = from.width / this.drawn.width;
      const canvas = make("canvas");
      canvas.width = from.width;
      canvas.height = from.height + 56 * ratio;
      const pen = canvas.getContext("2d");
      pen.fillStyle = ink("--card");
      pen.fillRect(0, 0, canvas.width, canvas.height);
      pen.drawImage(from, 0, 28 * ratio);
      pen.scale(ratio, ratio);
      pen.fillStyle = ink("--ink");
      pen.font = `600 14px ${getComputedStyle(document.body).fontFamily}`;
      pen.fillText(this.told.title, 10, 19);
      this.named(pen, HIGH + 46);
      canvas.toBlob((blob) => {
        const link = make("a");
        link.href = URL.createObjectURL(blob);
        link.download = `${this.told.title.replace(/[^A-Za-z0-9]+/g, "-")}.png`;
        link.click();
        setTimeout(() => URL.revokeObjectURL(link.href), 10000);
      }, "image/png");
    }

    named(pen, y) {
      let x = 10;
      pen.font = `12px ${getComputedStyle(document.body).fontFamily}`;
      this.told.series.forEach((one, place) => {
        pen.strokeStyle = ink(COLOURS[place % COLOURS.length]);
        pen.lineWidth = 2;
        pen.setLineDash(DASHES[place % DASHES.length]);
        pen.beginPath();
        pen.moveTo(x, y - 4);
        pen.lineTo(x + 28, y - 4);
        pen.stroke();
        pen.fillText(one.name, x + 34, y);
        x += 54 + pen.measureText(one.name).width;
      });
    }

    // -- the table, where the page does not have it ------------------------------------------------------------------

    tables() {
      const link = this.figure.querySelector("a.plot-table");
      const details = link && link.closest("details");
      if (!details) return;
      details.addEventListener("toggle", async () => {
        if (!details.open) return;
        try {
          const answer = await fetch(link.href, { cache: "no-store" });
          const page = new DOMParser().parseFromString(await answer.text(), "text/html");
          const table = page.querySelector("main .scroll");
          if (!table) return;
          for (const old of details.querySelectorAll(".scroll")) old.remove();
          link.parentNode.hidden = true;
          link.parentNode.after(document.importNode(table, true));
        } catch {
          link.parentNode.hidden = false;
        }
      });
    }
  }

  const plots = [...document.querySelectorAll("figure.plot[data-plot]")].map((figure) => new Plot(figure));
  const all = (act) => () => plots.forEach(act);
  document.addEventListener("live", all((plot) => { plot.due = true; plot.look(); }));
  document.addEventListener("visibilitychange", all((plot) => plot.look()));
  dark.addEventListener("change", all((plot) => plot.recolour()));
  setInterval(all((plot) => plot.look()), 2000);
})();
