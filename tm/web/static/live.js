/* What is shown stays true: elements with an id and data-live="TOPIC…" are asked for again when such an event comes.

   One tab of a browser follows the events of the server (it holds a lock); the others listen to it. Where there are no
   locks every visible tab follows them itself. A page is asked for as a whole, at its own address, and what differs is
   put in place; focus, scrolling, what is open, checked or typed stays. Nothing is stored, nothing is evaluated.

   data-live="jobs hosts log loads audit"  the topics (loads: the hosts were asked anew how they are;
                               audit: somebody has changed users, groups, hosts or properties)
   data-live-ids="17 18"       only events about these jobs
   data-live-user="alice"      only hers
   data-live-hosts="n1"        only events about these hosts
   data-every="2"              asked for again every two seconds while it can be seen
   data-keep, data-plot        what a script has drawn into it stays; it gets the event "live"                        */
"use strict";
(() => {
  const root = document.documentElement;
  const prefix = root.dataset.prefix || "";
  const session = root.dataset.session || "";
  const TOPICS = ["jobs", "hosts", "log", "loads", "audit"];
  const APART = 1000;          // a page is asked for once a second at most, less often where many look …
  const SHARE = 3;             // … and a quarter of the time at most, so that a slow server is asked less often
  const LONGEST = 30000;
  const SILENT = 45000;        // the server says something every 15 s
  const now = () => Date.now();

  // -- times: in the zone of the browser, ages kept current ----------------------------------------------------------

  const two = (number) => String(number).padStart(2, "0");
  const clock = (date) => `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  const day = (date) => `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;

  function age(seconds) {
    const later = seconds < 0;
    const far = Math.abs(seconds);
    if (far < 1.5) return "now";
    const text = far < 100 ? `${Math.round(far)} s` : far < 6000 ? `${Math.round(far / 60)} min`
      : far < 172800 ? `${Math.round(far / 3600)} h` : `${Math.round(far / 86400)} d`;
    return later ? `in ${text}` : `${text} ago`;
  }

  function showTime(element) {
    const date = new Date(element.dateTime);
    if (Number.isNaN(date.getTime())) return;
    const relative = age((now() - date.getTime()) / 1000);
    const absolute = `${day(date)} ${clock(date)}`;
    const [text, title] = element.hasAttribute("data-age") ? [relative, absolute] : [absolute, relative];
    if (element.textContent !== text) element.textContent = text;
    if (element.title !== title) element.title = title;
  }

  function showTimes(within) {
    for (const element of within.querySelectorAll("time[datetime]")) showTime(element);
  }

  // -- putting what is new in the place of what is old ---------------------------------------------------------------

  /** What makes an element the same thing in the old and in the new page; empty for what is known by its place alone. */
  function keyOf(node) {
    if (node.nodeType !== Node.ELEMENT_NODE) return "";
    if (node.id) return `#${node.id}`;
    if (node.dataset && node.dataset.key) return `:${node.dataset.key}`;
    if ((node.nodeName === "INPUT" || node.nodeName === "BUTTON") && node.name) {
      const chosen = node.type === "checkbox" || node.type === "radio" || node.nodeName === "BUTTON";
      return `?${node.type}:${node.name}:${chosen ? node.getAttribute("value") : ""}`;
    }
    if (node.hasAttribute("aria-labelledby")) return `=${node.getAttribute("aria-labelledby")}`;
    if (node.nodeName === "FORM") {
      const act = node.querySelector("input[name=act]");
      return `!${node.getAttribute("action")}:${act ? act.getAttribute("value") : ""}`;
    }
    if (node.nodeName === "TR" || node.nodeName === "LI") {
      const box = node.querySelector("input[type=checkbox][value]");
      if (box) return `?${box.name}:${box.getAttribute("value")}`;
      const link = node.querySelector("a[href]");
      if (link) return `@${link.getAttribute("href")}`;
    }
    return "";
  }

  function fresh(node) {
    const made = document.importNode(node, true);
    if (made.nodeType === Node.ELEMENT_NODE) {
      showTimes(made);
      if (made.nodeName === "TIME") showTime(made);
    }
    return made;
  }

  function morphAttributes(old, next) {
    const own = old.nodeName === "DETAILS" ? "open" : "";
    for (const { name, value } of next.attributes) {
      if (name !== own && old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    for (const { name } of [...old.attributes]) {
      if (name !== own && !next.hasAttribute(name)) old.removeAttribute(name);
    }
  }

  function morphChildren(old, next) {
    const wanted = new Set([...next.children].map(keyOf));
    const known = new Map();
    for (const child of [...old.children]) {
      const key = keyOf(child);
      if (key && (!wanted.has(key) || known.has(key))) child.remove();
      else if (key) known.set(key, child);
    }
    let at = old.firstChild;
    for (const child of next.childNodes) {
      const key = keyOf(child);
      const same = key ? known.get(key) : at && !keyOf(at) && at.nodeName === child.nodeName ? at : null;
      if (key) known.delete(key);
      if (!same) {
        old.insertBefore(fresh(child), at);
      } else {
        if (same === at) at = at.nextSibling;
        else old.insertBefore(same, at);
        morph(same, child);
      }
    }
    while (at) {
      const rest = at;
      at = at.nextSibling;
      rest.remove();
    }
  }

  /** Make the node *old* of this page like *next* of the one that has come. */
  function morph(old, next) {
    if (old.nodeName !== next.nodeName) {
      old.replaceWith(fresh(next));
    } else if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.data !== next.data) old.data = next.data;
    } else if (old.nodeName === "TIME") {
      if (old.dateTime !== next.dateTime) old.replaceWith(fresh(next));
    } else {
      morphAttributes(old, next);
      if (old.matches("[data-keep], [data-plot]")) old.dispatchEvent(new CustomEvent("live"));
      else morphChildren(old, next);
    }
  }

  // -- the banner: what is shown may be old --------------------------------------------------------------------------

  const problems = new Map();  // of the "link", of the "page": {text, since}

  function showProblem() {
    const banner = document.getElementById("stale");
    if (!banner) return;
    const found = problems.get("link") || problems.get("page");
    const text = found ? `since ${clock(new Date(found.since))}, ${found.text}` : "";
    const place = banner.querySelector("span") || banner;
    if (place.textContent !== text) place.textContent = text;
    banner.hidden = !found;
    if (found) root.dataset.stale = ""; else delete root.dataset.stale;
  }

  function trouble(what, text, since) {
    const before = problems.get(what);
    problems.set(what, { text, since: since || (before ? before.since : now()) });
    showProblem();
  }

  function settled(what) {
    if (problems.delete(what)) showProblem();
  }

  // -- asking for the page again -------------------------------------------------------------------------------------

  const shown = new Map();     // of each live element the HTML that the server has sent
  let dirty = false;
  let asking = false;
  let ended = false;
  let timer = 0;
  let notBefore = 0;
  let apart = APART;           // the server says it
  let pause = APART;
  let askedAt = now();

  const live = () => [...document.querySelectorAll("[data-live][id], [data-every][id]")];

  /** Whether an event of *topic* with *data* is about something that *element* shows. */
  function concerns(element, topic, data) {
    if (!(element.dataset.live || "").split(/\s+/).includes(topic)) return false;
    const about = (words, named, prefixed) => !words || !Array.isArray(named) || words.split(/\s+/).some(
      (word) => named.some((name) => String(name) === word || (prefixed && String(name).startsWith(`${word}_`))));
    return about(element.dataset.liveIds, data.ids, true) && about(element.dataset.liveUser, data.users, false)
      && about(element.dataset.liveHosts, data.hosts, false);
  }

  function soon() {
    if (!dirty || asking || timer || ended || document.hidden) return;
    const wait = Math.max(notBefore - now(), 0) + Math.random() * apart / 10;
    timer = setTimeout(() => { timer = 0; ask(); }, wait);
  }

  function everything() {
    if (live().length) dirty = true;
    soon();
  }

  async function ask() {
    if (document.hidden || ended) return;
    asking = true;
    dirty = false;
    const began = now();
    try {
      const answer = await fetch(location.href, {
        headers: { "X-Live": "1" }, cache: "no-store", signal: timeout(20000),
      });
      if (answer.status === 401) return over();
      if (answer.ok && !answer.redirected) {
        put(new DOMParser().parseFromString(await answer.text(), "text/html"));
        pause = Math.min(LONGEST, Math.max(apart - (now() - began), SHARE * (now() - began)));
        settled("page");
      } else if (answer.status >= 500 || answer.status === 429 || answer.status === 408) {
        again(`the server has answered ${answer.status}; it is asked again by itself`);
      } else {
        ended = true;
        trouble("page", "this page is not there any more; go back, or reload it");
      }
    } catch {
      again("the web server has not answered; it is asked again by itself");
    } finally {
      asking = false;
      askedAt = now();
      notBefore = askedAt + pause;
      soon();
    }
  }

  function again(text) {
    dirty = true;
    pause = Math.min(LONGEST, Math.max(apart, pause * 2));
    trouble("page", text);
  }

  function timeout(milliseconds) {
    const control = new AbortController();
    setTimeout(() => control.abort(), milliseconds);
    return control.signal;
  }

  function put(page) {
    if ((page.documentElement.dataset.session || "") !== session) return leave(location.href, "somebody else has logged in");
    const across = [scrollX, scrollY];
    const focus = document.activeElement;
    for (const element of live()) {
      const next = page.getElementById(element.id);
      if (!next || !element.isConnected) continue;
      const html = next.outerHTML;
      if (shown.get(element.id) === html) continue;
      shown.set(element.id, html);
      morph(element, next);
    }
    const made = [document.getElementById("made"), page.getElementById("made")];
    if (made[0] && made[1]) morph(...made);
    const focused = focus && (focus.isConnected ? focus : focus.id && document.getElementById(focus.id));
    if (focused && focused !== document.activeElement) focused.focus({ preventScroll: true });
    if (scrollX !== across[0] || scrollY !== across[1]) scrollTo(...across);
    document.dispatchEvent(new CustomEvent("live"));
  }

  // -- the session is over -------------------------------------------------------------------------------------------

  const typed = (field) => field.nodeName === "SELECT"
    ? [...field.options].some((option) => option.selected !== option.defaultSelected) && field.selectedIndex > 0
    : field.type === "checkbox" || field.type === "radio" ? field.checked !== field.defaultChecked
      : "defaultValue" in field && field.type !== "hidden" && field.value !== field.defaultValue;

  function over() {
    leave(`${prefix}/login`, "your session is over");
  }

  /** Go to another page, unless something has been typed here. */
  function leave(to, why) {
    if (ended) return;
    ended = true;
    if (source) source.close();
    const filled = [...document.forms].some((form) => form.method === "post" && [...form.elements].some(typed));
    if (filled) trouble("link", `${why}; what you have typed is still here, copy it before you leave this page`);
    else if (to === location.href) location.reload();
    else location.assign(to);
  }

  // -- following the events ------------------------------------------------------------------------------------------

  let source = null;           // the stream, in the tab that follows it
  let last = root.dataset.mark || "";
  let heard = now();
  let said = 0;                // how often anything was heard
  let opened = 0;
  let tries = 0;
  let retry = 0;
  let leads = false;
  let alone = false;
  let channel = null;

  /** Whether there may have been events between the ids *before* and *after*. */
  function missed(before, after) {
    const cut = (id) => [id.slice(0, id.lastIndexOf(".")), Number(id.slice(id.lastIndexOf(".") + 1))];
    const [whose, number] = cut(before);
    const [others, later] = cut(after);
    return whose !== others || later > number;
  }

  /** An event has come, over the stream of this tab or by the tab that leads. */
  function hear(name, data, id) {
    heard = now();
    said += 1;
    if (id) last = id;
    if (data.pace) apart = Math.max(APART, data.pace * 1000);
    if (TOPICS.includes(name)) {
      if (live().some((element) => concerns(element, name, data))) dirty = true;
      soon();
    } else if (name === "reset") everything();
    else if (name === "stale") trouble("link", data.reason, data.since * 1000);
    else if (name === "fresh") settled("link");
    else if (name === "over") over();
  }

  function tell(name, data, id) {
    if (channel) channel.postMessage({ name, data, id });
    hear(name, data, id);
  }

  function follow() {
    clearTimeout(retry);
    retry = 0;
    if (source || ended) return;
    heard = now();
    const stream = new EventSource(`${prefix}/events?topics=${TOPICS.join()}&after=${encodeURIComponent(last)}`);
    source = stream;
    const names = [...TOPICS, "hello", "reset", "stale", "fresh", "over", "beat", "full"];
    for (const name of names) {
      stream.addEventListener(name, (event) => {
        if (stream !== source) return;
        if (name === "hello") opened = now();
        tell(name, JSON.parse(event.data), event.lastEventId);
        if (name === "full") rest(60000);
      });
    }
    stream.onerror = () => { if (stream === source) failed(); };
  }

  function rest(milliseconds) {
    if (source) source.close();
    source = null;
    clearTimeout(retry);
    retry = setTimeout(follow, milliseconds);
  }

  /** The stream has ended: say why as soon as that is known, and try again after growing pauses. */
  async function failed() {
    if (opened && now() - opened > 5000) tries = 0;
    opened = 0;
    const pauses = Math.min(10000, 500 * 2 ** tries) * (0.5 + Math.random() / 2);
    tries += 1;
    rest(pauses);
    try {
      const answer = await fetch(`${prefix}/events`, {
        headers: { Accept: "application/json" }, cache: "no-store", signal: timeout(8000),
      });
      if (answer.status === 401) tell("over", {});
      else if (!answer.ok) tell("stale", { reason: (await answer.json()).error.text, since: since() });
    } catch {
      tell("stale", { reason: "the web server does not answer; it is asked again by itself", since: since() });
    }
  }

  const since = () => (problems.get("link") || { since: now() }).since / 1000;

  // -- which tab leads -----------------------------------------------------------------------------------------------

  function election(steal) {
    const name = `tm-${prefix}-${session}`;
    const lead = () => new Promise(() => {
      leads = true;
      follow();
      channel.postMessage(here());
    });
    navigator.locks.request(name, steal ? { steal: true } : {}, lead).catch((error) => {
      leads = false;
      if (source) source.close();
      source = null;
      clearTimeout(retry);
      if (error.name === "AbortError") election(false);
      else byMyself();
    });
  }

  const here = () => ({ name: "here", id: last, pace: apart / 1000, problem: problems.get("link") || null });

  function listen(message) {
    const { name, data, id, problem, pace } = message;
    if (name === "who") {
      if (leads) channel.postMessage(here());
    } else if (name === "here") {
      apart = pace * 1000;
      heard = now();
      said += 1;
      if (problem) trouble("link", problem.text, problem.since);
      else settled("link");
      if (id && missed(last, id)) {
        last = id;
        everything();
      }
    } else hear(name, data, id);
  }

  function askWhoLeads() {
    const before = said;
    channel.postMessage({ name: "who" });
    setTimeout(() => { if (!leads && !alone && said === before && !document.hidden) election(true); }, 3000);
  }

  function byMyself() {
    alone = true;
    if (!document.hidden) follow();
  }

  function watch() {
    const silent = now() - heard > SILENT;
    if (source && silent) failed();
    else if (channel && !leads && !alone && silent && !document.hidden) election(true);
    for (const element of live()) {
      const every = Number(element.dataset.every) * 1000;
      if (every && now() >= askedAt + every) dirty = true;
    }
    soon();
  }

  function seen() {
    if (alone && document.hidden && source) {
      source.close();
      source = null;
    } else if (!document.hidden) {
      if (alone) follow();
      else if (channel && !leads) askWhoLeads();
      soon();
    }
  }

  function start() {
    for (const element of live()) shown.set(element.id, element.outerHTML);
    showTimes(document);
    setInterval(() => { if (!document.hidden) showTimes(document); }, 1000);
    document.addEventListener("visibilitychange", seen);
    if (!session || !window.EventSource) return;
    setInterval(watch, 1000);
    addEventListener("pageshow", (event) => { if (event.persisted) { everything(); seen(); } });
    try {
      channel = new BroadcastChannel(`tm-${prefix}-${session}`);
      channel.onmessage = (event) => listen(event.data);
      election(false);
      askWhoLeads();
    } catch {
      channel = null;
      byMyself();
    }
  }

  start();
})();
