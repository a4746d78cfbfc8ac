/* What a job writes, as it comes: asked for each second while the page can be seen, at most 2,000 lines are kept.
   Only text is ever put into the page. */
"use strict";
(() => {
  const MOST_LINES = 2000;
  const PAUSE = 1000;
  const LONGEST = 30000;

  /** Put *text* behind what is there; what is too much goes at the front, and who reads the end stays there. */
  function append(pre, text) {
    if (!text) return;
    const follows = pre.scrollHeight - pre.scrollTop - pre.clientHeight < 40;
    pre.append(text);
    const all = pre.textContent;
    let lines = 0, at = all.length;
    while (at > 0 && lines <= MOST_LINES) { at = all.lastIndexOf("\n", at - 1); lines += 1; }
    if (at > 0) pre.textContent = all.slice(at + 1);
    if (follows) pre.scrollTop = pre.scrollHeight;
  }

  function follow(section) {
    const status = section.querySelector("[data-status]");
    const fault = section.querySelector("[data-fault]");
    const streams = [...section.querySelectorAll("[data-stream]")];
    const places = new Map(streams.map((one) => [one.dataset.stream, one.dataset.at || ""]));
    const look = section.dataset.look;
    let pause = PAUSE;
    let timer = 0;
    let said = "";

    function say(text) {
      if (text !== said) status.textContent = said = text;
    }

    function show(answer) {
      for (const one of streams) {
        const got = answer[one.dataset.stream];
        const pre = one.querySelector("pre");
        if (got.anew) append(pre, "\n\u2014 the file has begun anew \u2014\n");
        append(pre, got.text);
        if (got.at !== null) places.set(one.dataset.stream, String(got.at));
      }
    }

    async function ask() {
      const query = new URLSearchParams({ look });
      for (const [name, at] of places) if (at) query.set(name, at);
      const response = await fetch(`${section.dataset.output}?${query}`, { headers: { Accept: "application/json" } });
      const answer = await response.json();
      if (!response.ok) throw new Error(answer.error ? answer.error.text : response.statusText);
      return answer;
    }

    function next(wait) {
      timer = setTimeout(again, wait);
    }

    async function again() {
      timer = 0;
      if (document.hidden) { next(PAUSE); return; }
      try {
        const answer = await ask();
        fault.hidden = true;
        pause = PAUSE;
        show(answer);
        if (answer.over) { say("The job has ended; this is all that it wrote."); return; }
        const waits = answer.state === "pending" || answer.state === "held";
        say(waits ? "It has not begun yet." : "Shown as it comes.");
        next(answer.more ? 0 : waits ? 2 * PAUSE : PAUSE);
      } catch (error) {
        fault.textContent = error.message;
        fault.hidden = false;
        pause = Math.min(LONGEST, 2 * pause);
        next(pause);
      }
    }

    for (const one of streams) {
      const pre = one.querySelector("pre");
      pre.scrollTop = pre.scrollHeight;
    }
    // What could not be had is asked for anew as soon as the page has come up to date again.
    document.addEventListener("live", () => {
      if (timer && pause > PAUSE) { clearTimeout(timer); again(); }
    });
    again();
  }

  for (const section of document.querySelectorAll("[data-output]")) follow(section);
})();
