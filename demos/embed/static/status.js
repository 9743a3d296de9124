// Shows the state, and asks for the next one: each long poll is answered when something has changed.

"use strict";

const RETRY = 2000;     // milliseconds between attempts while the program cannot be reached

let state = JSON.parse(document.body.dataset.state);
let skew = 0;           // seconds by which the program's clock is ahead of the browser's

const byId = (id) => document.getElementById(id);

function element(name, text, attributes = {}) {
  const made = Object.assign(document.createElement(name), attributes);
  made.textContent = text;
  return made;
}

function showContact(kind, text) {
  byId("contact").dataset.contact = kind;
  byId("contact").textContent = text;
}

function showUptime() {
  if (byId("contact").dataset.contact === "lost") {
    return;
  }
  const seconds = Math.max(0, Math.floor(Date.now() / 1000 + skew - state.started));
  const parts = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]].map(
    ([size, unit], index, units) =>
      [Math.floor((index ? seconds % units[index - 1][0] : seconds) / size), unit]);
  const first = Math.max(0, Math.min(2, parts.findIndex(([count]) => count)));
  const chosen = seconds < 60 ? parts.slice(3) : parts.slice(first, first + 2);
  byId("uptime").textContent = ", up " + chosen.map(([count, unit]) => `${count} ${unit}`).join(" ");
}

function show(before) {
  skew = state.now - Date.now() / 1000;
  byId("process").firstChild.data = `Process ${state.pid}`;
  showUptime();
  const old = new Map(before ? before.figures : state.figures);
  byId("figures").replaceChildren(...state.figures.map(([name, value]) => {
    const figure = element("div", "", {className: old.get(name) === value ? "" : "fresh"});
    figure.append(element("dt", name), element("dd", value.toLocaleString("en")));
    return figure;
  }));
  const seen = new Set((before || state).events.map(String));
  byId("events").replaceChildren(...state.events.map((event) => {
    const [time, text] = event;
    const when = new Date(time * 1000);
    const item = element("li", "", {className: seen.has(String(event)) ? "" : "fresh"});
    item.append(element("time", when.toLocaleTimeString("en-GB"), {dateTime: when.toISOString()}),
                element("span", text));
    return item;
  }));
  byId("quiet").hidden = state.events.length > 0;
}

async function follow() {
  let after = state.cursor;
  for (;;) {
    try {
      const response = await fetch("/wait?after=" + encodeURIComponent(after));
      if (!response.ok) {
        throw new Error(response.statusText);
      }
      const before = state;
      state = await response.json();
      after = state.cursor;
      showContact("live", "Live");
      show(before);
    } catch (error) {
      showContact("lost", "Lost contact");
      after = "";       // The next answer comes at once, and shows that there is contact again.
      await new Promise((resolve) => setTimeout(resolve, RETRY));
    }
  }
}

show();
showContact("live", "Live");
setInterval(showUptime, 1000);
follow();
