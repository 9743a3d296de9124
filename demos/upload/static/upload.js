// Sends each chosen file separately, with a progress bar. Without this script the form sends them all
// at once.
"use strict";

const form = document.getElementById("store");
const input = document.getElementById("file");
const drop = form.querySelector(".drop");
const list = document.getElementById("progress");
const waiting = [];
let running = null;

document.documentElement.classList.add("scripted");

function show(file) {
  const item = document.createElement("li");
  const name = document.createElement("bdi");
  const state = document.createElement("span");
  const bar = document.createElement("progress");
  const cancel = document.createElement("button");
  name.textContent = file.name;
  bar.max = 1;
  bar.value = 0;
  cancel.type = "button";
  cancel.textContent = form.dataset.cancel;
  item.append(name, cancel, bar, state);
  list.append(item);
  return {file, item, bar, state, cancel};
}

function fail(entry, text) {
  entry.state.textContent = text;
  entry.state.className = "failed";
  entry.bar.remove();
  entry.cancel.remove();
}

function next() {
  running = waiting.shift() || null;
  if (!running) {
    // Keep the messages about failed uploads.
    if (!list.querySelector(".failed")) {
      location.reload();
    }
    return;
  }
  const entry = running;
  const request = new XMLHttpRequest();
  const data = new FormData();
  data.append("file", entry.file);
  request.open("POST", "/store");
  request.setRequestHeader("X-XSRFToken", form.dataset.token);
  request.upload.onprogress = (event) => {
    if (event.lengthComputable) {
      entry.bar.value = event.loaded / event.total;
      entry.state.textContent = Math.floor(100 * entry.bar.value) + " %";
    }
  };
  request.onload = () => {
    if (request.status === 200) {
      entry.bar.value = 1;
      entry.cancel.remove();
    } else {
      fail(entry, request.status === 413 ? form.dataset.tooLarge : form.dataset.failed);
    }
    next();
  };
  request.onerror = () => { fail(entry, form.dataset.failed); next(); };
  request.onabort = () => { entry.item.remove(); next(); };
  entry.cancel.onclick = () => request.abort();
  request.send(data);
}

function add(files) {
  for (const file of files) {
    const entry = show(file);
    if (file.size > Number(form.dataset.limit)) {
      fail(entry, form.dataset.tooLarge);
    } else {
      entry.cancel.onclick = () => { waiting.splice(waiting.indexOf(entry), 1); entry.item.remove(); };
      waiting.push(entry);
    }
  }
  input.value = "";
  if (!running && waiting.length) {
    next();
  }
}

input.addEventListener("change", () => add(Array.from(input.files)));
form.addEventListener("submit", (event) => event.preventDefault());
for (const type of ["dragenter", "dragover"]) {
  drop.addEventListener(type, (event) => { event.preventDefault(); drop.classList.add("over"); });
}
drop.addEventListener("dragleave", () => drop.classList.remove("over"));
drop.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  add(Array.from(event.dataTransfer.files));
});
window.addEventListener("beforeunload", (event) => {
  if (running) {
    event.preventDefault();
  }
});
