/* While a job is being typed: which hosts would fit, and the line that submits the same. */
"use strict";
(() => {
  const PAUSE = 500;
  const form = document.querySelector("form[data-fits]");
  const place = document.getElementById("fits");
  if (!form || !place) return;
  let timer = 0;
  let asked = 0;
  let last = "";

  async function ask() {
    const fields = new URLSearchParams(new FormData(form));
    if (String(fields) === last) return;
    last = String(fields);
    const number = ++asked;
    try {
      const response = await fetch(form.dataset.fits, { method: "POST", body: fields });
      if (!response.ok || number !== asked) return;
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      place.replaceChildren(...[...page.body.childNodes].map((node) => document.importNode(node, true)));
    } catch {
      last = "";  // asked again with the next letter
    }
  }

  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(ask, PAUSE);
  });
})();
