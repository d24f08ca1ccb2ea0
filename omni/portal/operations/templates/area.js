"use strict";
// Reads values off the charts where the pointer is, and keeps the page fresh. Without it the page works as well.
(() => {
  const EVERY_MS = 15000;

  function show(chart, index) {
    const moments = JSON.parse(chart.dataset.moments);
    const svg = chart.querySelector("svg");
    const x = (index / Math.max(moments.length - 1, 1)) * svg.viewBox.baseVal.width;
    svg.classList.add("at");
    svg.querySelector(".hair").setAttribute("d", `M${x} 0V${svg.viewBox.baseVal.height}`);
    chart.querySelector(".times .at").textContent = moments[index];
    for (const item of chart.querySelectorAll(".legend li")) {
      const value = item.querySelector("b");
      value.dataset.latest ??= value.textContent;
      value.textContent = JSON.parse(item.dataset.texts)[index];
    }
  }

  function leave(chart) {
    chart.querySelector("svg").classList.remove("at");
    chart.querySelector(".times .at").textContent = "";
    for (const value of chart.querySelectorAll(".legend b")) {
      value.textContent = value.dataset.latest ?? value.textContent;
    }
  }

  document.addEventListener("pointermove", (event) => {
    const svg = event.target.closest?.(".plot svg");
    for (const other of document.querySelectorAll(".plot svg.at")) {
      if (other !== svg) leave(other.closest(".chart"));
    }
    if (!svg) return;
    const chart = svg.closest(".chart");
    const box = svg.getBoundingClientRect();
    const last = JSON.parse(chart.dataset.moments).length - 1;
    const share = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
    show(chart, Math.round(share * last));
  });

  async function refresh() {
    const isBusy = document.hidden || document.querySelector(".plot svg.at, details[open]");
    if (!isBusy) {
      const answer = await fetch(location.href, { credentials: "same-origin" });
      if (answer.redirected) location.assign(answer.url); // the session is over
      else if (answer.ok) {
        const fresh = await (await answer.blob()).text();
        const frame = document.createElement("template");
        frame.innerHTML = policy.createHTML(fresh);
        document.querySelector("main").replaceWith(frame.content.querySelector("main"));
      }
    }
  }

  // Only what the console itself rendered, escaped by its templates, becomes part of the page.
  const policy = window.trustedTypes?.createPolicy("operations", { createHTML: (html) => html }) ?? {
    createHTML: (html) => html,
  };
  function complain() {
    const note = document.querySelector(".head .note");
    note.textContent = "The console does not answer: what you see is old.";
    note.setAttribute("role", "alert");
  }

  setInterval(() => refresh().catch(complain), EVERY_MS);
})();
